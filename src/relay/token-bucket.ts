/**
 * A token bucket: `rate` tokens a second up to `burst`. Refilled on use, so an idle one costs nothing.
 * Time comes from the caller in milliseconds, so that a replay or a test decides it.
 */
export class TokenBucket {
  #tokens: number;
  #atMs: number;

  constructor(
    private ratePerSecond: number,
    private burst: number,
    nowMs: number,
  ) {
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Changes rate and burst; what is there already stays, up to the new burst. */
  setRate(ratePerSecond: number, burst: number): void {
    this.ratePerSecond = ratePerSecond;
    this.burst = burst;
  }

  /** Takes `n` tokens; false (and nothing taken) when there are not enough. */
  take(nowMs: number, n = 1): boolean {
    // A clock stepped back must not freeze the bucket: no negative elapsed time.
    const elapsed = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.burst, this.#tokens + (elapsed * this.ratePerSecond) / 1000);
    if (this.#tokens < n) return false;
    this.#tokens -= n;
    return true;
  }

  /** Whether `n` tokens are there; takes none. */
  has(nowMs: number, n = 1): boolean {
    this.take(nowMs, 0);
    return this.#tokens >= n;
  }

  /** Whether everything is there again. */
  isFull(nowMs: number): boolean {
    this.take(nowMs, 0);
    return this.#tokens >= this.burst;
  }
}
