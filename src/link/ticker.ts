import type { Clock, Timer } from '../clock/index.js';

/** What is looked at regularly. */
export interface Ticked {
  /**
   * Looks at what is due. Returns for how many milliseconds nothing will be, 0 for the next tick; null when it has
   * ended and need not be looked at again.
   */
  tick(nowMs: number): number | null;
  /** Time passed that nobody lived through: move own deadlines by it. */
  shift(ms: number): void;
}

/**
 * A tick this late (or early) means that the process slept, was stopped, or that somebody set the clock. The
 * peers said nothing wrong in that time, their bytes are still in the socket.
 */
const lostTimeMs = 2_000;

/** Ticks ahead that members can be put to: a ping every 3 s, looked at every half second, is six of them. */
const ticksAheadMax = 7;

/**
 * One timer for all links: a hundred thousand timers of their own would be most of an idle relay's work. A link lies in
 * the tick in which something can be due for it, and whoever ends is left there until then.
 */
class Ticker {
  readonly #turns: Ticked[][] = Array.from({ length: ticksAheadMax + 1 }, () => []);
  #turn = 0;
  #members = 0;
  #timer: Timer | null = null;
  #last = 0;

  constructor(
    readonly clock: Clock,
    readonly everyMs: number,
  ) {}

  add(member: Ticked): void {
    this.#members++;
    this.#put(member, 1);
    if (this.#timer !== null) return;
    this.#last = this.clock.nowMs();
    this.#timer = this.clock.every(this.everyMs, () => this.#tick());
  }

  /** A member has ended: its {@link Ticked.tick} says so from now on. */
  remove(): void {
    this.#members--;
    if (this.#members > 0 || this.#timer === null) return;
    this.#timer.cancel();
    this.#timer = null;
    for (const turn of this.#turns) turn.length = 0;
  }

  #put(member: Ticked, ticks: number): void {
    this.#turns[(this.#turn + ticks) % this.#turns.length]!.push(member);
  }

  #tick(): void {
    const now = this.clock.nowMs();
    const lost = now - this.#last - this.everyMs;
    this.#last = now;
    if (Math.abs(lost) > lostTimeMs) for (const turn of this.#turns) for (const m of turn) m.shift(lost);
    this.#turn = (this.#turn + 1) % this.#turns.length;
    // Nobody is put into the turn that is being looked at.
    const due = this.#turns[this.#turn]!;
    for (const m of due) {
      const calmMs = m.tick(now);
      if (calmMs === null) continue;
      const ticks = Math.ceil(calmMs / this.everyMs);
      this.#put(m, Math.max(1, Math.min(ticks, ticksAheadMax)));
    }
    due.length = 0;
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
