import { LIVE_SERIES, type LiveDrop, type LiveSeries, type LiveValues } from './series.js';

/** What one process tells of one second. */
export interface LiveSample {
  readonly values: LiveValues;
  readonly drops: readonly LiveDrop[];
}

/** Of several processes: those that add up; of the slowest; the rest is the same in all, or the leader's alone. */
const ADD_UP: ReadonlySet<LiveSeries> = new Set<LiveSeries>([
  ...LIVE_SERIES.filter((name) => name.endsWith('Total')),
  ...(['clients', 'relays', 'ledgerNodes', 'greeting', 'sessions'] as const),
  ...(['queueFrames', 'queueBytes', 'verifyPending', 'residentBytes', 'heapBytes'] as const),
]);
const WORST: ReadonlySet<LiveSeries> = new Set<LiveSeries>(['loopDelaySeconds']);

/** Drops of several processes by counter and reason. */
export function mergeDrops(all: readonly (readonly LiveDrop[])[]): LiveDrop[] {
  const out = new Map<string, LiveDrop>();
  for (const drop of all.flat()) {
    const key = `${drop.counter} ${drop.reason}`;
    out.set(key, { ...drop, total: drop.total + (out.get(key)?.total ?? 0) });
  }
  return [...out.values()];
}

/**
 * One second of the whole relay: `own` is the process that shows it, `others` those beside it, `past` those that have
 * ended, whose totals go on counting so that nothing seems to shrink in an upgrade.
 */
export function mergeLive(
  own: LiveSample,
  others: readonly LiveSample[],
  past: readonly LiveSample[],
): LiveSample {
  if (others.length === 0 && past.length === 0) return own;
  const values = { ...own.values };
  for (const name of LIVE_SERIES)
    if (WORST.has(name)) values[name] = Math.max(values[name], ...others.map((o) => o.values[name]));
    else if (ADD_UP.has(name)) {
      for (const o of others) values[name] += o.values[name];
      if (name.endsWith('Total')) for (const p of past) values[name] += p.values[name];
    }
  return { values, drops: mergeDrops([own, ...others, ...past].map((s) => s.drops)) };
}
