import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';

/** State LISTEN in /proc/net/tcp. */
const LISTEN = '0A';

/** Inodes of the sockets that listen on a port, from the kernel's table. */
async function inodesOf(port: number): Promise<Set<string>> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const out = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      const f = line.trim().split(/\s+/);
      if (f[1]?.endsWith(`:${hex}`) === true && f[3] === LISTEN && f[9] !== undefined) out.add(f[9]);
    }
  }
  return out;
}

/** Processes that listen on a TCP port, as far as the system lets us see; empty elsewhere than on Linux. */
export async function listenersOf(port: number): Promise<number[]> {
  const inodes = await inodesOf(port);
  if (inodes.size === 0) return [];
  const pids = (await readdir('/proc').catch((): string[] => [])).filter((n) => /^\d+$/.test(n));
  const out: number[] = [];
  for (const pid of pids) {
    // Other users' processes cannot be looked into: that is an empty list.
    const fds = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
    for (const fd of fds) {
      const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      out.push(Number(pid));
      break;
    }
  }
  return out;
}

/** ` (name)` of a process, '' when it cannot be told. */
export function processName(pid: number): string {
  try {
    return ` (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`;
  } catch {
    return '';
  }
}
