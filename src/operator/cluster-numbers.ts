import { Counters, type Histogram, type Labels } from '../counters/index.js';
import { type LiveSample, mergeDrops } from './live/merge.js';
import { LIVE_SERIES, type LiveValues } from './live/series.js';

/** One counted number as it travels between processes. */
export interface TextSample {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: Labels;
  readonly value?: number;
  readonly bounds?: readonly number[];
  readonly cumulative?: readonly number[];
  readonly sum?: number;
}

export function textSamples(counters: Counters): TextSample[] {
  return counters.samples().map((s): TextSample => {
    const { name, help, kind, labels } = s;
    if (kind !== 'histogram')
      return { name, help, kind, labels, value: (s.metric as { value: number }).value };
    const h = s.metric as Histogram;
    return { name, help, kind, labels, bounds: h.bounds, cumulative: h.cumulative(), sum: h.sum };
  });
}

/** Adds a number of one process to those of all. */
export function addUp(into: Counters, s: TextSample): void {
  if (s.kind === 'histogram') into.histogram(s.name, s.help, s.bounds, s.labels).merge(s.cumulative!, s.sum!);
  else if (s.kind === 'counter') into.counter(s.name, s.help, s.labels).add(s.value);
  else {
    const g = into.gauge(s.name, s.help, s.labels);
    // A moment is no amount: of several the last one counts.
    if (/_seconds$/.test(s.name)) g.set(Math.max(g.value, s.value!));
    else g.add(s.value!);
  }
}

/** What a process had counted when it ended in order. */
export interface ProcessEnd {
  /** Counters and histograms; a gauge of a process that is gone says nothing. */
  readonly samples: readonly TextSample[];
  readonly live: LiveSample;
}

/** Ends kept apart; older ones are added up. */
export const pastProcessesMax = 32;

/**
 * What ended processes of this relay had counted. It goes on being counted, or every number would fall with each step
 * of an upgrade, and rates computed from it would jump. Every process keeps it, whoever leads next.
 */
export class PastProcesses {
  readonly #ends = new Map<string, ProcessEnd>();

  /** By name, which is never used again; older ones together under the empty name. */
  get all(): ReadonlyMap<string, ProcessEnd> {
    return this.#ends;
  }

  add(name: string, end: ProcessEnd): void {
    if (this.#ends.has(name)) return;
    this.#ends.set(name, { ...end, samples: end.samples.filter((s) => s.kind !== 'gauge') });
    if (this.#ends.size <= pastProcessesMax) return;
    const oldest = [...this.#ends.keys()].find((n) => n !== '')!;
    const together = [this.#ends.get(''), this.#ends.get(oldest)].filter((e) => e !== undefined);
    this.#ends.delete(oldest);
    this.#ends.set('', sumOf(together));
  }
}

function sumOf(ends: readonly ProcessEnd[]): ProcessEnd {
  const counters = new Counters();
  for (const s of ends.flatMap((e) => e.samples)) addUp(counters, s);
  const values = Object.fromEntries(
    LIVE_SERIES.map((name) => [name, ends.reduce((n, e) => n + e.live.values[name], 0)]),
  ) as LiveValues;
  return {
    samples: textSamples(counters),
    live: { values, drops: mergeDrops(ends.map((e) => e.live.drops)) },
  };
}
