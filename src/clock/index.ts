/** A scheduled call that can be taken back. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as a dependency: everything that waits or stamps gets one of these, so that a recorded session can be
 * replayed and an expiry tested without waiting.
 */
export interface Clock {
  /** Unix time in milliseconds of this machine (not network-adjusted). */
  nowMs(): number;
  /** Calls `fn` once after `ms` milliseconds. */
  after(ms: number, fn: () => void): Timer;
  /** Calls `fn` every `ms` milliseconds until cancelled. */
  every(ms: number, fn: () => void): Timer;
}

/** Resolves after `ms` milliseconds of that clock. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** Whole Unix seconds of that clock. */
export function nowSeconds(clock: Clock): number {
  return Math.floor(clock.nowMs() / 1000);
}

/** The machine's clock. Timers do not keep a Node process alive by themselves. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(ms, fn) {
    const t = setTimeout(fn, ms);
    return { cancel: () => clearTimeout(t) };
  },
  every(ms, fn) {
    const t = setInterval(fn, ms);
    return { cancel: () => clearInterval(t) };
  },
};

interface Pending {
  at: number;
  seq: number;
  period: number | null;
  fn: () => void;
}

/** A clock that moves only when told to: for tests and replays. */
export class ManualClock implements Clock {
  #now: number;
  #seq = 0;
  #pending: Pending[] = [];

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  nowMs(): number {
    return this.#now;
  }

  after(ms: number, fn: () => void): Timer {
    return this.#schedule(ms, null, fn);
  }

  every(ms: number, fn: () => void): Timer {
    return this.#schedule(ms, ms, fn);
  }

  #schedule(ms: number, period: number | null, fn: () => void): Timer {
    const entry: Pending = { at: this.#now + Math.max(0, ms), seq: this.#seq++, period, fn };
    this.#pending.push(entry);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((p) => p !== entry);
      },
    };
  }

  /** When the next timer is due, or null. */
  nextDueMs(): number | null {
    let min: number | null = null;
    for (const p of this.#pending) if (min === null || p.at < min) min = p.at;
    return min;
  }

  /** Moves to `targetMs`, firing every timer due on the way in order, each at its own time. */
  advanceTo(targetMs: number): void {
    for (;;) {
      let next: Pending | null = null;
      for (const p of this.#pending) {
        if (p.at > targetMs) continue;
        if (next === null || p.at < next.at || (p.at === next.at && p.seq < next.seq)) next = p;
      }
      if (next === null) break;
      this.#now = Math.max(this.#now, next.at);
      if (next.period === null) this.#pending = this.#pending.filter((p) => p !== next);
      else {
        next.at += Math.max(1, next.period);
        next.seq = this.#seq++;
      }
      next.fn();
    }
    this.#now = Math.max(this.#now, targetMs);
  }

  /** Moves forward by `ms`. */
  advance(ms: number): void {
    this.advanceTo(this.#now + ms);
  }
}
