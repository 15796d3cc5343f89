import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createVerifyEngine } from '../../identity/index.js';
import { freeBytes } from '../node.js';
import { fails, type Outcome, ok, warning } from './finding.js';
import type { Machine, Subject } from './subject.js';

/** The machine as it is. */
export const thisMachine: Machine = {
  nowMs: () => Date.now(),
  openFilesMax,
  freeBytes: (dir) => freeBytes(existing(dir)),
  engine: (name) => createVerifyEngine(name),
};

/** The folder, or the nearest one above it that exists. */
export function existing(dir: string): string {
  let at = resolve(dir);
  while (freeBytes(at) === null && dirname(at) !== at) at = dirname(at);
  return at;
}

/** The soft limit of open files of a process. Node raises its own to the hard limit when it starts. */
function openFilesMax(pid: number): number | null {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'));
    if (line !== null) return line[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line[1]);
  } catch {
    // Not Linux, or not ours to read.
  }
  if (pid !== process.pid) return null;
  const report = process.report?.getReport() as
    | { userLimits?: { open_files?: { soft?: number | string } } }
    | undefined;
  const soft = report?.userLimits?.open_files?.soft;
  if (soft === 'unlimited') return Number.POSITIVE_INFINITY;
  return typeof soft === 'number' ? soft : null;
}

/** Files a relay opens besides its connections: headers, libraries, listeners, outbound connections. */
export const otherFilesMax = 256;

export function checkFiles(s: Subject): Outcome {
  const wanted = s.config.whole('maxConnections') + otherFilesMax;
  const max = s.machine.openFilesMax(s.running?.pid ?? process.pid);
  if (max === null)
    return warning('the limit of open files cannot be read here', `see that it is ${wanted} or more`);
  const found = `${max === Number.POSITIVE_INFINITY ? 'no limit' : `${max} open files`}, ${wanted} wanted`;
  if (max >= wanted) return ok(found);
  return fails(
    found,
    `set LimitNOFILE=${Math.max(65_535, wanted)} in the service unit (or ulimit -n), or lower maxConnections to ${Math.max(1, max - otherFilesMax)}`,
  );
}

/** Below this a relay soon cannot save headers and presences. */
const diskFailsBytes = 256e6;
/** The alert StarlingDisk begins here (docs/protocol/11 §12.2). */
const diskWarnsBytes = 1e9;

export function checkDisk(s: Subject): Outcome {
  const free = s.machine.freeBytes(s.dataDir);
  if (free === null)
    return warning('the free space cannot be read here', `see that ${s.dataDir} has 1 GB free`);
  const found = `${(free / 1e9).toFixed(free < 1e10 ? 2 : 0)} GB free where ${s.dataDir} lies`;
  const todo = 'free space there, or move dataFolderPath to a larger disk';
  if (free < diskFailsBytes) return fails(found, todo);
  return free < diskWarnsBytes ? warning(found, todo) : ok(found);
}

/** No release of this program is older: an earlier clock was never set. */
const earliestMs = Date.UTC(2026, 0, 1);
const latestMs = Date.UTC(2100, 0, 1);
/** The network time follows its ledger nodes by at most this much: beyond, nobody believes our keep-alives. */
const offsetFailsSeconds = 30;
/** The alert StarlingClockOffset begins here. */
const offsetWarnsSeconds = 5;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

export async function checkClock(s: Subject): Promise<Outcome> {
  const now = s.machine.nowMs();
  const date = new Date(now).toISOString();
  const todo = 'start time synchronisation (timedatectl set-ntp true, or chrony)';
  if (now < earliestMs || now > latestMs) return fails(`the clock says ${date}`, todo);
  const told = s.running?.ledgerPeers === 0 ? null : (s.running?.clockOffsetSeconds ?? null);
  let offset = told;
  let by = 'the ledger peers of the running relay';
  if (offset === null && !s.config.on('standalone')) {
    const offsets = (await s.greetings()).flatMap((g) => g.greeting.clockOffsetSeconds ?? []);
    if (offsets.length > 0) offset = median(offsets);
    by = `${offsets.length} ledger ${offsets.length === 1 ? 'node' : 'nodes'}`;
  }
  if (offset === null)
    return s.config.on('standalone')
      ? ok(`${date}, not compared: standalone`)
      : warning(`${date}, and nobody to compare it with`, 'compare it with another clock; see ledger below');
  // Hellos tell whole seconds.
  const size = Math.abs(offset);
  const found = `${size <= 1 ? 'agrees with' : `${size.toFixed(0)} s ${offset > 0 ? 'ahead of' : 'behind'}`} ${by}`;
  if (size >= offsetFailsSeconds) return fails(found, todo);
  return size > offsetWarnsSeconds ? warning(found, todo) : ok(found);
}
