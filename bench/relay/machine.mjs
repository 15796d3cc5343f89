// What the machine says about itself: processor time of a process, memory, how much else is running.

import { readdirSync, readFileSync } from 'node:fs';

/** Tells a process that has collect.mjs preloaded to collect its garbage; every other process ignores it. */
export const collectSignal = 'SIGWINCH';

/** Nanoseconds of processor time of all threads of a process so far. Threads that ended are not in it. */
export function cpuNanoseconds(pid) {
  // A server elsewhere: only what it answers can be seen.
  if (pid === null) return Number.NaN;
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`))
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch (e) {
      if (e.code !== 'ENOENT' && e.code !== 'ESRCH') throw e;
    }
  return sum;
}

/** Resident bytes of a process. */
export function residentBytes(pid) {
  if (pid === null) return Number.NaN;
  return 4096 * Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
}

/** Kernel memory in slabs, bytes: sockets live there, not in the process. */
export function slabBytes() {
  return 1024 * Number(/^Slab:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]);
}

/** Nanoseconds that all processors together were busy so far, whoever with, to a hundredth of a second. */
export function busyNanoseconds() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return 1e7 * (user + nice + system + irq + softirq + steal);
}

/** TCP segments that left any socket of the machine so far, acknowledgements among them. */
export function tcpSegments() {
  const [names, values] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('OutSegs')]);
}
