// Resident memory per stored presence, growth peaks included, and what the store does in a second of processor time.
//
// A process of its own fills the store with presences of an RSA-4096 key each, whose keys and signatures are random bytes,
// because the store never looks into them. Relays of a network keep some 700,000.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { atMost } from './judge.mjs';
import { root, serverCore } from './servers.mjs';

export const about = 'resident memory per stored presence, and the rates of the store';

export const sizes = { full: { presences: 1_000_000 }, short: { presences: 200_000 } };

const bar = 1.12;

/** The measuring process's answer; more switches than the number as it has them. */
export function presenceStore(count, ...more) {
  const program = join(root, 'bench/relay/generator/presence-store.mjs');
  const args = [process.execPath, '--expose-gc', program, '--count', String(count), ...more];
  return JSON.parse(execFileSync('taskset', ['-c', serverCore, ...args], { encoding: 'utf8', cwd: root }));
}

export async function run(settings) {
  const { presences } = settings.size;
  settings.say(`${presences} presences`);
  const r = presenceStore(presences);
  const group = `${presences.toLocaleString('en-US')} presences of ${Math.round(r.wireBytes)} bytes on the wire`;
  const times = (bytes) => bytes / r.wireBytes;
  return {
    title: 'Memory per stored presence',
    bars: [
      atMost('resident per presence : its bytes on the wire', bar, times(r.residentBytes), 0, { unit: '×' }),
      atMost('the same at the highest point while growing', bar, times(r.peakBytes), 0, { unit: '×' }),
    ],
    rows: [
      { group, name: 'on the wire', bytes: r.wireBytes },
      { group, name: 'relay, resident', bytes: r.residentBytes },
      { group, name: 'relay, resident at the highest point', bytes: r.peakBytes },
      ...Object.entries(r.perCpuSecond).map(([name, perSecond]) => ({
        group: 'a second of processor time',
        name,
        perSecond,
      })),
      { group: 'snapshot', name: 'written', seconds: r.saved.seconds, held: r.saved.longestHoldMs },
      { group: 'snapshot', name: 'read into an empty store', seconds: r.warm.seconds },
    ],
    columns: { bytes: 'bytes each', perSecond: 'a second', seconds: 's', held: 'ms the thread was held' },
    chart: { value: 'bytes', unit: 'bytes' },
    store: r,
  };
}
