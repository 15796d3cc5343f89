/** An observation this much older than the next one counts for a third: load has changed since. */
const memoryMs = 1_000;
/** Share of a new observation that follows the one before at once: about ten are remembered. */
const weightMin = 0.1;
/**
 * One observation counts for no more than so many times what is known. A thread that was not scheduled for a
 * moment makes one signature look like thirty, and must not turn away everybody; what is slow indeed reaches any
 * value within a few observations.
 */
export const outlierTimesMax = 4;
/** How much of the way to what is usual the least goes back with each observation: it outlives a burst of some seconds. */
const leastWeight = 1 / 2_000;
/** And with time in which nothing was observed. */
const leastMemoryMs = 30_000;

/**
 * How long one piece of work takes at present: a moving average whose memory is counted in time as well as in
 * observations. After an idle hour the first observation replaces what was known, instead of being one tenth
 * of it.
 */
export class ServiceTime {
  #ms: number;
  #leastMs: number;
  #calmMs: number;
  #observedMs = Number.NEGATIVE_INFINITY;

  /** `ms`: what is assumed before anything was observed. */
  constructor(ms: number) {
    this.#ms = ms;
    this.#leastMs = ms;
    this.#calmMs = ms;
  }

  /** What it came down to lately: beyond doubt it takes that long. */
  get leastMs(): number {
    return this.#leastMs;
  }

  /**
   * What it came down to in calmer times, which return: for promises about later. Unlike the least it is not forgotten for
   * what was observed in a crush, which is what comes first after silence when everybody is back at once. Relays that took
   * that for calm called their clients back at half the rate they could serve, and stood idle for a third of the time
   * (5,000 clients at a relay just started, Node 20).
   */
  get calmMs(): number {
    return this.#calmMs;
  }

  get ms(): number {
    return this.#ms;
  }

  /** `isCalm`: nothing else waited when it was done. */
  observe(ms: number, nowMs: number, isCalm = true): void {
    const age = Math.max(0, nowMs - this.#observedMs);
    const leastShare = 1 - (1 - leastWeight) * Math.exp(-age / leastMemoryMs);
    const weight = 1 - (1 - weightMin) * Math.exp(-age / memoryMs);
    this.#observedMs = nowMs;
    const counted = Math.min(ms, outlierTimesMax * Math.max(this.#ms, 1));
    this.#ms += weight * (counted - this.#ms);
    this.#leastMs = this.#down(this.#leastMs, leastShare);
    this.#calmMs = this.#down(this.#calmMs, isCalm ? leastShare : leastWeight);
  }

  /** Down to what is usual at once, up only by that share of the way. */
  #down(least: number, share: number): number {
    return this.#ms < least ? this.#ms : least + share * (this.#ms - least);
  }
}
