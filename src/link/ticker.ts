import type { Clock, Timer } from '../clock/index.js';

/** What is looked at regularly. */
export interface Ticked {
  tick(nowMs: number): void;
  /** Time passed that nobody lived through: move own deadlines by it. */
  shift(ms: number): void;
}

/**
 * A tick this late (or early) means that the process slept, was stopped, or that somebody set the clock. The
 * peers said nothing wrong in that time, their bytes are still in the socket.
 */
const lostTimeMs = 2_000;

/** One timer for all links: a hundred thousand timers of their own would be most of an idle relay's work. */
class Ticker {
  readonly #members = new Set<Ticked>();
  #timer: Timer | null = null;
  #last = 0;

  constructor(
    readonly clock: Clock,
    readonly everyMs: number,
  ) {}

  add(member: Ticked): void {
    this.#members.add(member);
    if (this.#timer !== null) return;
    this.#last = this.clock.nowMs();
    this.#timer = this.clock.every(this.everyMs, () => this.#tick());
  }

  remove(member: Ticked): void {
    this.#members.delete(member);
    if (this.#members.size > 0 || this.#timer === null) return;
    this.#timer.cancel();
    this.#timer = null;
  }

  #tick(): void {
    const now = this.clock.nowMs();
    const lost = now - this.#last - this.everyMs;
    this.#last = now;
    if (Math.abs(lost) > lostTimeMs) for (const m of this.#members) m.shift(lost);
    for (const m of this.#members) m.tick(now);
  }
}

const tickers = new WeakMap<Clock, Map<number, Ticker>>();

/** The ticker of a clock and interval; shared by everything that asks for the same. */
export function tickerOf(clock: Clock, everyMs: number): Pick<Ticker, 'add' | 'remove'> {
  let byInterval = tickers.get(clock);
  if (byInterval === undefined) {
    byInterval = new Map();
    tickers.set(clock, byInterval);
  }
  let ticker = byInterval.get(everyMs);
  if (ticker === undefined) {
    ticker = new Ticker(clock, everyMs);
    byInterval.set(everyMs, ticker);
  }
  return ticker;
}
