/** Label values of one sample, e.g. `{ reason: 'replay' }`. Never an address: labels must stay few. */
export type Labels = Readonly<Record<string, string>>;

/** A number that only grows. */
export interface Counter {
  readonly value: number;
  add(n?: number): void;
}

/** A number that goes both ways. */
export interface Gauge {
  readonly value: number;
  set(n: number): void;
  add(n: number): void;
}

/** Counts of observations at or below each upper bound, cumulative as Prometheus wants them. */
export interface Histogram {
  readonly bounds: readonly number[];
  readonly count: number;
  readonly sum: number;
  observe(v: number): void;
  /** Adds what another histogram with the same bounds observed. @throws RangeError for other bounds */
  merge(cumulative: readonly number[], sum: number): void;
  /** Observations at or below `bounds[i]`; one entry more for everything. */
  cumulative(): readonly number[];
}

export interface Sample {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: Labels;
  readonly metric: Counter | Gauge | Histogram;
}

class Value implements Counter, Gauge {
  value = 0;
  add(n = 1): void {
    this.value += n;
  }
  set(n: number): void {
    this.value = n;
  }
}

class Buckets implements Histogram {
  readonly #counts: number[];
  count = 0;
  sum = 0;
  constructor(readonly bounds: readonly number[]) {
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }
  observe(v: number): void {
    let i = 0;
    while (i < this.bounds.length && v > this.bounds[i]!) i++;
    this.#counts[i]!++;
    this.count++;
    this.sum += v;
  }
  merge(cumulative: readonly number[], sum: number): void {
    if (cumulative.length !== this.#counts.length) throw new RangeError('other bounds');
    let before = 0;
    cumulative.forEach((c, i) => {
      this.#counts[i]! += c - before;
      before = c;
    });
    this.count += before;
    this.sum += sum;
  }
  cumulative(): readonly number[] {
    let run = 0;
    return this.#counts.map((c) => (run += c));
  }
}

/** Upper bounds in seconds for latencies from 0.1 ms to 10 s. */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/**
 * All numbers of one node, by name and labels. Only the numbers: how they are shown is the operator room's
 * business. Asking twice for the same name and labels gives the same object.
 */
export class Counters {
  readonly #samples = new Map<string, Sample>();
  /** The same by labels in the order they were written in, which costs a fifth to make a key of. */
  readonly #asWritten = new Map<string, Sample>();

  #get(
    kind: Sample['kind'],
    name: string,
    help: string,
    labels: Labels,
    make: () => Sample['metric'],
  ): Sample {
    let written = name;
    for (const label in labels) written += `\u0000${label}\u0000${labels[label]}`;
    const known = this.#asWritten.get(written);
    if (known !== undefined && known.kind === kind) return known;
    const key = `${name}\u0000${Object.entries(labels).sort().flat().join('\u0000')}`;
    let s = this.#samples.get(key);
    if (s === undefined) {
      s = { name, help, kind, labels, metric: make() };
      this.#samples.set(key, s);
    } else if (s.kind !== kind) throw new TypeError(`${name} is a ${s.kind}, not a ${kind}`);
    this.#asWritten.set(written, s);
    return s;
  }

  counter(name: string, help = '', labels: Labels = {}): Counter {
    return this.#get('counter', name, help, labels, () => new Value()).metric as Counter;
  }

  gauge(name: string, help = '', labels: Labels = {}): Gauge {
    return this.#get('gauge', name, help, labels, () => new Value()).metric as Gauge;
  }

  histogram(
    name: string,
    help = '',
    bounds: readonly number[] = LATENCY_BOUNDS_SECONDS,
    labels: Labels = {},
  ): Histogram {
    return this.#get('histogram', name, help, labels, () => new Buckets(bounds)).metric as Histogram;
  }

  /** Every sample, in order of first use. */
  samples(): readonly Sample[] {
    return [...this.#samples.values()];
  }

  /** Sum over all label sets of one counter or gauge; 0 when unknown. */
  total(name: string): number {
    let sum = 0;
    for (const s of this.#samples.values())
      if (s.name === name && s.kind !== 'histogram') sum += (s.metric as Counter).value;
    return sum;
  }
}
