import { HdrHistogram, type HistogramData } from './histogram.js';

/** A number that grows; hot paths keep the object. */
export interface Count {
  value: number;
}

/** What one generator process counted, as it travels to the parent. */
export interface MetricsData {
  /** Since the start. */
  readonly total: Readonly<Record<string, number>>;
  /** During the steady window only. */
  readonly window: Readonly<Record<string, number>>;
  readonly histograms: Readonly<Record<string, HistogramData>>;
}

/** One distribution, in microseconds: of the whole steady window, and of the current second for live display. */
export class Latency {
  readonly window = new HdrHistogram();
  readonly second = new HdrHistogram();

  constructor(
    private readonly span: WindowSpan,
    /** Counts whenever it happens, not only in the window: for what happens before it, like handshakes. */
    private readonly always: boolean,
  ) {}

  /**
   * Records a latency. Both in milliseconds of `performance.now()`: when the thing was due, and when it was done.
   * It belongs to the window when it was due inside it, however late it came.
   */
  record(dueMs: number, doneMs: number): void {
    const us = (doneMs - dueMs) * 1000;
    this.second.record(us);
    if (this.always || (dueMs >= this.span.fromMs && dueMs < this.span.toMs)) this.window.record(us);
  }
}

/** The steady window, in milliseconds of `performance.now()`; empty until it is set. */
export interface WindowSpan {
  fromMs: number;
  toMs: number;
}

/** Everything one generator process counts and times, by name. */
export class Metrics {
  readonly span: WindowSpan = { fromMs: Number.POSITIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  readonly #counts = new Map<string, Count>();
  readonly #latencies = new Map<string, Latency>();
  #atStart: Record<string, number> | null = null;
  #atEnd: Record<string, number> | null = null;

  count(name: string): Count {
    let c = this.#counts.get(name);
    if (c === undefined) {
      c = { value: 0 };
      this.#counts.set(name, c);
    }
    return c;
  }

  add(name: string, n = 1): void {
    this.count(name).value += n;
  }

  latency(name: string, always = false): Latency {
    let l = this.#latencies.get(name);
    if (l === undefined) {
      l = new Latency(this.span, always);
      this.#latencies.set(name, l);
    }
    return l;
  }

  values(): Record<string, number> {
    return Object.fromEntries([...this.#counts].map(([name, c]) => [name, c.value]));
  }

  /** Called when the steady window begins and when it ends. */
  windowStarts(): void {
    this.#atStart = this.values();
  }

  windowEnds(): void {
    this.#atEnd = this.values();
  }

  /** The distributions of the second that has just passed; they start anew. */
  takeSecond(): Record<string, HistogramData> {
    const out: Record<string, HistogramData> = {};
    for (const [name, l] of this.#latencies) {
      out[name] = l.second.data();
      l.second.reset();
    }
    return out;
  }

  data(): MetricsData {
    const total = this.values();
    const start = this.#atStart;
    const end = start === null ? null : (this.#atEnd ?? total);
    const window: Record<string, number> = {};
    if (start !== null && end !== null)
      for (const [name, v] of Object.entries(end)) window[name] = v - (start[name] ?? 0);
    const histograms: Record<string, HistogramData> = {};
    for (const [name, l] of this.#latencies) histograms[name] = l.window.data();
    return { total, window, histograms };
  }
}
