import { type Clock, systemClock, type Timer } from '../clock/index.js';
import type { Relay } from '../relay/index.js';
import { Bye } from '../wire/index.js';

/** Clients are told to leave this often. */
const stepMs = 50;
/** At least so many a second: a handful of clients needs no spreading. */
const byesPerSecondMin = 200;

export interface SpreadOptions {
  readonly seconds: number;
  readonly code: number;
  readonly text: string;
  readonly clock?: Clock;
  /** Ends early when it is true. */
  enough?(): boolean;
  /** Everybody's queue is flushed and everybody is heard out: they come back to another process of this relay. */
  readonly moving?: boolean;
}

/**
 * Says bye to every client, evenly over at most `seconds`, oldest first, so that they do not all look for another
 * relay at the same moment. Resolves when none is left.
 */
export function spreadByes(relay: Relay, o: SpreadOptions): { done: Promise<void>; cancel(): void } {
  const clock = o.clock ?? systemClock;
  const began = clock.nowMs();
  const total = relay.control.clientIds().length;
  const spanMs = Math.min(o.seconds * 1000, (total / byesPerSecondMin) * 1000);
  let told = 0;
  let timer: Timer | null = null;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const step = (): void => {
    const ids = relay.control.clientIds();
    if (ids.length === 0 || o.enough?.() === true) {
      finish();
      return;
    }
    const elapsed = clock.nowMs() - began;
    const due = elapsed >= spanMs ? Number.POSITIVE_INFINITY : Math.ceil((total * elapsed) / spanMs);
    for (const id of ids) {
      if (told >= due) break;
      if (o.moving === true ? relay.control.moveOn(id) : relay.control.disconnect(id, o.code, o.text)) told++;
    }
    timer = clock.after(stepMs, step);
  };
  step();
  return {
    done,
    cancel: () => {
      timer?.cancel();
      finish();
    },
  };
}

/** Not ready at once, byes to the clients spread over `seconds`, everything saved (docs/protocol/11 §12.4). */
export async function stopGracefully(relay: Relay, seconds: number, clock?: Clock): Promise<void> {
  relay.control.setDraining(true);
  await spreadByes(relay, {
    seconds,
    code: Bye.bye,
    text: 'The relay is shutting down',
    ...(clock === undefined ? {} : { clock }),
  }).done;
  await relay.stop();
}

export interface DrainOptions {
  /** Clients are left alone for so long, then told over `seconds`. */
  readonly graceSeconds: number;
  readonly seconds: number;
  /** The drain is over when no more clients than these are left. */
  readonly minClients: number;
}

export type DrainState = 'idle' | 'grace' | 'evicting' | 'drained';

/** The long drain: no newcomers, no keep-alives of our own, clients asked to leave after a while. */
export class Drain {
  #state: DrainState = 'idle';
  #cancel: () => void = () => undefined;

  constructor(
    private readonly relay: Relay,
    private readonly clock: Clock = systemClock,
  ) {}

  get state(): DrainState {
    return this.#state;
  }

  /** Starts it, once. Resolves true when it is complete, false when it was called off. */
  async start(o: DrainOptions): Promise<boolean> {
    if (this.#state !== 'idle') return false;
    const { control } = this.relay;
    const enough = (): boolean => control.clientIds().length <= o.minClients;
    control.setDraining(true);
    this.#state = 'grace';
    if (!enough())
      await new Promise<void>((resolve) => {
        const timer = this.clock.after(o.graceSeconds * 1000, resolve);
        this.#cancel = () => {
          timer.cancel();
          resolve();
        };
      });
    if (this.#stateNow() === 'idle') return false;
    this.#state = 'evicting';
    const spread = spreadByes(this.relay, {
      seconds: o.seconds,
      code: Bye.bye,
      text: 'The relay is draining',
      clock: this.clock,
      enough,
    });
    this.#cancel = spread.cancel;
    await spread.done;
    if (this.#stateNow() === 'idle') return false;
    this.#state = 'drained';
    return true;
  }

  // Read through a call: it changes while we wait.
  #stateNow(): DrainState {
    return this.#state;
  }

  /** Calls it off: newcomers are welcome again. */
  cancel(): void {
    if (this.#state === 'idle') return;
    this.#state = 'idle';
    this.#cancel();
    this.relay.control.setDraining(false);
  }
}
