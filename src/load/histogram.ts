/** Values below this have a bucket each; above, every doubling has half as many, so a bucket is within 1.6 %. */
const LINEAR = 128;
const HALF = LINEAR / 2;
/** Largest value that is told apart from larger ones: 2^31 − 1 µs are 36 minutes. */
const VALUE_MAX = 0x7fff_ffff;
const BUCKETS = LINEAR + (31 - 7) * HALF;

function bucketOf(v: number): number {
  if (v < LINEAR) return v;
  const shift = 25 - Math.clz32(v);
  return shift * HALF + (v >>> shift);
}

/** The largest value of a bucket. */
function upperOf(bucket: number): number {
  if (bucket < LINEAR) return bucket;
  const shift = Math.floor((bucket - HALF) / HALF);
  return (bucket - shift * HALF + 1) * 2 ** shift - 1;
}

/** A histogram as it travels between processes and into reports: `[bucket, count]` pairs, flat. */
export interface HistogramData {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly buckets: readonly number[];
}

/** What a person wants to know of a distribution, in the unit that was recorded. */
export interface HistogramSummary {
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/**
 * Counts of whole numbers from 0 to 2^31 − 1 in buckets of at most 1.6 % width (HDR). Recording costs a few
 * nanoseconds and no allocation; histograms of several processes add up exactly.
 */
export class HdrHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** Counts one value; fractions are cut off, negative ones count as 0, too large ones as the largest. */
  record(value: number): void {
    const v = value <= 0 ? 0 : value >= VALUE_MAX ? VALUE_MAX : Math.floor(value);
    this.#counts[bucketOf(v)]!++;
    this.#count++;
    this.#sum += v;
    if (v < this.#min) this.#min = v;
    if (v > this.#max) this.#max = v;
  }

  /** The value that a share `q` (0…1) of all values does not exceed, to bucket precision; 0 when empty. */
  quantile(q: number): number {
    if (this.#count === 0) return 0;
    const wanted = Math.max(1, Math.ceil(q * this.#count));
    let seen = 0;
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.#counts[i]!;
      if (seen >= wanted) return Math.min(Math.max(upperOf(i), this.#min), this.#max);
    }
    return this.#max;
  }

  /** Adds what another one counted. */
  add(other: HistogramData): void {
    for (let i = 0; i + 1 < other.buckets.length; i += 2)
      this.#counts[other.buckets[i]!]! += other.buckets[i + 1]!;
    this.#count += other.count;
    this.#sum += other.sum;
    if (other.count > 0) {
      this.#min = Math.min(this.#min, other.min);
      this.#max = Math.max(this.#max, other.max);
    }
  }

  /** Forgets everything. */
  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#sum = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = 0;
  }

  data(): HistogramData {
    const buckets: number[] = [];
    for (let i = 0; i < BUCKETS; i++) if (this.#counts[i]! > 0) buckets.push(i, this.#counts[i]!);
    return {
      count: this.#count,
      sum: this.#sum,
      min: this.#count === 0 ? 0 : this.#min,
      max: this.#max,
      buckets,
    };
  }

  summary(): HistogramSummary {
    return {
      count: this.#count,
      min: this.#count === 0 ? 0 : this.#min,
      mean: this.#count === 0 ? 0 : this.#sum / this.#count,
      p50: this.quantile(0.5),
      p90: this.quantile(0.9),
      p99: this.quantile(0.99),
      p999: this.quantile(0.999),
      max: this.#max,
    };
  }
}
