/** One thing that has to be looked at all the time. Answers whether it did something. */
export type Tick = (nowMs: number) => boolean;

/** How often `timer` looks unless told otherwise: the shortest that Node's timers can do. */
const timerMs = 1;

/**
 * Drives a generator's schedule. `timer` looks once a millisecond and sleeps between, which costs little and makes
 * messages up to a millisecond late (send lag, reported); while nothing there is that urgent, less often: a thousand
 * looks a second are 4 % of a core in each process of a generator that only keeps connections alive. `spin` looks in
 * every turn of the event loop, which takes a whole core and makes them late by microseconds; the share of turns with
 * nothing to do says how much was left.
 */
export class Pacer {
  /** With the milliseconds that may pass between two looks. */
  readonly #ticks = new Map<Tick, number>();
  #timer: NodeJS.Timeout | null = null;
  #timerMs = 0;
  #immediate: NodeJS.Immediate | null = null;
  #running = false;
  #idleMs = 0;
  #spinMs = 0;
  #lastMs = 0;
  /** Set by whoever received something since the last turn. */
  worked = false;

  constructor(readonly mode: 'timer' | 'spin') {}

  /** @param everyMs may pass between two looks; they come more often where another tick needs that */
  add(tick: Tick, everyMs = timerMs): void {
    this.#ticks.set(tick, everyMs);
    this.#retime();
  }

  remove(tick: Tick): void {
    this.#ticks.delete(tick);
    this.#retime();
  }

  #retime(): void {
    if (!this.#running || this.mode !== 'timer') return;
    const ms = Math.min(...this.#ticks.values());
    if (ms === this.#timerMs || !Number.isFinite(ms)) return;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timerMs = ms;
    this.#timer = setInterval(() => this.#turn(), ms);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#lastMs = performance.now();
    if (this.mode === 'timer') this.#retime();
    else this.#spin();
  }

  stop(): void {
    this.#running = false;
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#timerMs = 0;
    this.#immediate = null;
  }

  #turn(): void {
    const now = performance.now();
    if (this.mode === 'spin') {
      // The time since the last turn was spare when that turn had nothing to send and nothing came after it.
      if (!this.worked) this.#idleMs += now - this.#lastMs;
      this.#spinMs += now - this.#lastMs;
      this.#lastMs = now;
    }
    this.worked = false;
    for (const tick of this.#ticks.keys()) if (tick(now)) this.worked = true;
  }

  #spin(): void {
    this.#immediate = setImmediate(() => {
      if (!this.#running) return;
      this.#turn();
      this.#spin();
    });
  }

  /** Of `spin`: milliseconds spent, and those of them with nothing to do. */
  spent(): { readonly spinMs: number; readonly idleMs: number } {
    return { spinMs: this.#spinMs, idleMs: this.#idleMs };
  }
}
