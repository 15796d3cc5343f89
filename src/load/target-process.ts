import { readdirSync, readFileSync } from 'node:fs';

/** Ticks a second of /proc/PID/stat: the same on every Linux that Node runs on. */
const ticksPerSecond = 100;
const pageBytes = 4096;

/** Processor seconds, resident bytes and open files of a process, or null where they cannot be read. */
export interface ProcessReading {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  /** Files, sockets and all else that has a descriptor; null for a process of somebody else. */
  readonly openFiles: number | null;
}

function openFilesOf(pid: number): number | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null;
  }
}

/** Reads /proc; null on other systems and for a process that has gone. */
export function readProcess(pid: number): ProcessReading | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; the fields behind it do not.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
      rssBytes: Number(fields[21]) * pageBytes,
      openFiles: openFilesOf(pid),
    };
  } catch {
    return null;
  }
}

/** Soft limit of open files of this process; null where it cannot be read. */
export function openFilesMax(): number | null {
  try {
    const line = readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .find((l) => l.startsWith('Max open files'));
    const n = Number(line?.split(/\s{2,}/)[1]);
    return Number.isInteger(n) ? n : null;
  } catch {
    return null;
  }
}
