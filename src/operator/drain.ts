import { type Clock, systemClock, type Timer } from '../clock/index.js';
import type { Relay } from '../relay/index.js';
import { Bye } from '../wire/index.js';

/** Clients are told to leave this often. */
const stepMs = 50;
/**
 * At least so many a second: a handful of clients needs no spreading. Where they go each costs a signature, of which a
 * busy core may have no more than some tens a second to spare.
 */
const byesPerSecondMin = 25;
/**
 * Clients on their way from one process to another at a time: as many handshakes as the others finish within a second
 * or so, and few enough that nobody writes to many who are away.
 */
export const awayMax = 64;
/** After the last bye its client is heard for so long: a bye travels, and what the client had sent before arrives. */
const lastWordsMs = 2_000;
/** The same for clients that move on to another process, where nothing else waits for the end of this one. */
const lastMovesMs = 15_000;

export interface SpreadOptions {
  readonly seconds: number;
  readonly code: number;
  readonly text: string;
  readonly clock?: Clock;
  /** Ends early when it is true. */
  enough?(): boolean;
}

/** Says bye to clients, oldest first: every {@link stepMs} until `due` many were told in all, and nobody is left. */
function tellClients(
  relay: Relay,
  o: Omit<SpreadOptions, 'seconds'>,
  due: (told: number, total: number, elapsedMs: number) => number,
): { done: Promise<void>; cancel(): void } {
  const clock = o.clock ?? systemClock;
  const began = clock.nowMs();
  const { control } = relay;
  const total = control.clientIds().length;
  let told = 0;
  let timer: Timer | null = null;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const step = (): void => {
    const ids = control.clientIds();
    if (ids.length === 0 || o.enough?.() === true) {
      finish();
      return;
    }
    const until = due(told, total, clock.nowMs() - began);
    for (const id of ids) {
      if (told >= until) break;
      if (control.moveOn(id, o.code, o.text)) told++;
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

/**
 * Says bye to every client, evenly over at most `seconds`, oldest first, so that they do not all look for another
 * relay at the same moment. What is queued for a client leaves before its bye, and what it sent before it read that
 * is handled. Resolves when everybody was told.
 */
export function spreadByes(relay: Relay, o: SpreadOptions): { done: Promise<void>; cancel(): void } {
  return tellClients(relay, o, (_told, total, elapsedMs) => {
    const spanMs = Math.min(o.seconds * 1000, (total / byesPerSecondMin) * 1000);
    return elapsedMs >= spanMs ? Number.POSITIVE_INFINITY : Math.ceil((total * elapsedMs) / spanMs);
  });
}

/** Waits until every client that was told to leave has ended its connection, at most so long. */
async function lastWords(relay: Relay, ms: number, terms: Omit<SpreadOptions, 'seconds'>): Promise<void> {
  const { control } = relay;
  const clock = terms.clock ?? systemClock;
  const until = clock.nowMs() + ms;
  while (control.clientsConnected > 0 && clock.nowMs() < until) {
    // Those whose hello was under way when the others were told.
    for (const id of control.clientIds()) control.moveOn(id, terms.code, terms.text);
    await new Promise<void>((resolve) => void clock.after(stepMs, resolve));
  }
}

/**
 * Has all clients go to the other processes of this relay, as fast as those are seen to have taken them: with
 * {@link awayMax} on their way nobody more is told, unless it would take longer than `seconds` in all. Resolves when
 * the last one has closed.
 */
export async function moveClients(relay: Relay, seconds: number, clock: Clock = systemClock): Promise<void> {
  const terms = { code: Bye.bye, text: 'Please connect again', clock };
  await tellClients(relay, terms, (told, total, elapsedMs) =>
    elapsedMs >= seconds * 1000
      ? Number.POSITIVE_INFINITY
      : Math.max(told + awayMax - relay.control.away, Math.ceil((total * elapsedMs) / (seconds * 1000))),
  ).done;
  await lastWords(relay, lastMovesMs, terms);
}

/** Not ready at once, byes to the clients spread over `seconds`, everything saved (docs/protocol/11 §12.4). */
export async function stopGracefully(
  relay: Relay,
  seconds: number,
  clock: Clock = systemClock,
): Promise<void> {
  relay.control.setDraining(true);
  const terms = { code: Bye.bye, text: 'The relay is shutting down', clock };
  await spreadByes(relay, { ...terms, seconds }).done;
  await lastWords(relay, lastWordsMs, terms);
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
