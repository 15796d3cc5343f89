// Latencies in milliseconds, in buckets 1.5 % wide from a microsecond on: fixed memory, however long a run lasts.

const least = 0.001;
const step = Math.log(1.015);

export class Histogram {
  #counts = new Float64Array(1400);
  count = 0;
  max = 0;

  add(ms) {
    const i = ms <= least ? 0 : Math.min(this.#counts.length - 1, Math.ceil(Math.log(ms / least) / step));
    this.#counts[i]++;
    this.count++;
    if (ms > this.max) this.max = ms;
  }

  /** The value that the share `p` of the observations does not exceed, null without any. */
  quantile(p) {
    if (this.count === 0) return null;
    let left = p * this.count;
    for (let i = 0; i < this.#counts.length; i++) {
      left -= this.#counts[i];
      if (left <= 0) return Math.min(this.max, least * Math.exp(i * step));
    }
    return this.max;
  }

  summary() {
    return { count: this.count, p50: this.quantile(0.5), p99: this.quantile(0.99), max: this.max };
  }
}
