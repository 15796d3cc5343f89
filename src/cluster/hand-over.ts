import type { Counters } from '../counters/index.js';

/** Hand-overs to one worker that it has not confirmed yet: enough to keep it busy, few to give again. */
export const unconfirmedMax = 64;
/** Longest a connection waits for a worker before it is told to come back: a peer waits 10 s for its hello. */
export const waitForWorkerMs = 8_000;
/** Times a connection is given to workers that cannot take it before it is told to come back. */
export const attemptsMax = 4;

/** A worker that could not take one is left alone for so long: it would be the one with the fewest again. */
export const restMs = 1_000;

/** How far a worker may be ahead of the one with the fewest: these many connections, or that share. */
const aheadMin = 8;
const aheadShare = 0.05;

/** An accepted connection on its way to a worker. The parent's copy of its descriptor is open until it is there. */
export interface PendingConnection {
  /** Which listener it came to. */
  readonly gate: string;
  /** Closes the parent's copy; the connection lives on in the worker. */
  release(): void;
  /** Says that nobody can take it now, and ends it. */
  refuse(): void;
}

/** A worker as the hand-over sees it. */
export interface Taker<C extends PendingConnection> {
  readonly name: string;
  /** Connections it may hold. */
  readonly capacity: number;
  /** Sends it the connection; `false` when its channel is gone. */
  give(id: number, connection: C): boolean;
}

interface Item<C> {
  readonly id: number;
  readonly connection: C;
  readonly sinceMs: number;
  attempts: number;
}

interface Slot<C extends PendingConnection> {
  readonly taker: Taker<C>;
  readonly unconfirmed: Map<number, Item<C>>;
  /** Confirmed and not yet reported closed. */
  held: number;
  retiring: boolean;
  /** Gets nothing before this moment. */
  restsUntilMs: number;
  /** When it confirmed last, or was given the first of what it has not confirmed. */
  progressMs: number;
}

export interface HandOverOptions {
  readonly counters: Counters;
  /** Default {@link waitForWorkerMs}. */
  readonly waitMs?: number;
  nowMs?(): number;
  /** Called when a place in the waiting line became free. */
  onRoom?(): void;
}

/**
 * Gives accepted connections to workers: always to the one with the fewest, so that no two differ by more than what
 * comes and goes. A connection counts as given only when its worker confirmed it, which it does before it reads a
 * byte; one whose worker died or was full first is given again.
 */
export class HandOver<C extends PendingConnection> {
  readonly #slots = new Map<string, Slot<C>>();
  readonly #line: Item<C>[] = [];
  #nextId = 1;
  readonly #nowMs: () => number;

  constructor(private readonly options: HandOverOptions) {
    this.#nowMs = options.nowMs ?? (() => Date.now());
  }

  /** Connections whose descriptor the parent holds. */
  get pending(): number {
    let n = this.#line.length;
    for (const s of this.#slots.values()) n += s.unconfirmed.size;
    return n;
  }

  /** Connections of each worker, those on their way included. */
  get loads(): ReadonlyMap<string, number> {
    return new Map([...this.#slots].map(([name, s]) => [name, s.held + s.unconfirmed.size]));
  }

  #count(result: string): void {
    this.options.counters
      .counter('ixian_handovers_total', 'Connections given to worker processes, by result', { result })
      .add();
  }

  /** A worker takes connections from now on. */
  join(taker: Taker<C>): void {
    this.#slots.set(taker.name, {
      taker,
      unconfirmed: new Map(),
      held: 0,
      retiring: false,
      restsUntilMs: 0,
      progressMs: 0,
    });
    this.#work();
  }

  /** A worker gets nothing more; it lives and takes what is on its way to it. */
  retire(name: string): void {
    const slot = this.#slots.get(name);
    if (slot !== undefined) slot.retiring = true;
  }

  /** A worker is gone; what it has not confirmed is given to others. */
  leave(name: string): void {
    const slot = this.#slots.get(name);
    if (slot === undefined) return;
    this.#slots.delete(name);
    for (const item of [...slot.unconfirmed.values()].reverse()) {
      this.#count('given_again');
      this.#line.unshift(item);
    }
    this.#work();
  }

  /** A connection was accepted. */
  add(connection: C): void {
    this.#line.push({ id: this.#nextId++, connection, sinceMs: this.#nowMs(), attempts: 0 });
    this.#work();
  }

  /** The worker has it and begins to read. */
  confirmed(name: string, id: number): void {
    const slot = this.#slots.get(name);
    const item = slot?.unconfirmed.get(id);
    if (slot === undefined || item === undefined) return;
    slot.unconfirmed.delete(id);
    slot.progressMs = this.#nowMs();
    slot.held++;
    this.#count('given');
    item.connection.release();
    this.#work();
    this.options.onRoom?.();
  }

  /** The worker could not take it: another one shall. */
  declined(name: string, id: number): void {
    const slot = this.#slots.get(name);
    const item = slot?.unconfirmed.get(id);
    if (slot === undefined || item === undefined) return;
    slot.unconfirmed.delete(id);
    slot.restsUntilMs = this.#nowMs() + restMs;
    this.#count('declined');
    if (item.attempts >= attemptsMax) this.#refuse(item, 'attempts');
    else this.#line.unshift(item);
    this.#work();
  }

  /** So many connections of that worker ended. */
  closed(name: string, n: number): void {
    const slot = this.#slots.get(name);
    if (slot === undefined) return;
    slot.held = Math.max(0, slot.held - n);
    this.#work();
  }

  /** Sends away who has waited too long; call it every second. */
  sweep(): void {
    const before = this.#nowMs() - (this.options.waitMs ?? waitForWorkerMs);
    // Those given again stand in front although they came earlier, so all are looked at.
    for (const item of this.#line.filter((i) => i.sinceMs < before)) {
      this.#line.splice(this.#line.indexOf(item), 1);
      this.#refuse(item, 'waited');
    }
    this.#work();
  }

  /** Sends away everybody who waits: the parent stops. */
  close(): void {
    for (const item of this.#line.splice(0)) this.#refuse(item, 'stopping');
  }

  #refuse(item: Item<C>, reason: string): void {
    this.options.counters
      .counter('ixian_handovers_refused_total', 'Connections no worker process could take, by reason', {
        reason,
      })
      .add();
    item.connection.refuse();
    this.options.onRoom?.();
  }

  /**
   * The worker with the fewest. One that is merely slow is waited for as soon as the others would get ahead of it by
   * more than a twentieth; one that confirms nothing for a second is not.
   */
  #next(): Slot<C> | null {
    let best: Slot<C> | null = null;
    let least = Number.POSITIVE_INFINITY;
    let lowest = Number.POSITIVE_INFINITY;
    const now = this.#nowMs();
    for (const s of this.#slots.values()) {
      const load = s.held + s.unconfirmed.size;
      if (s.retiring || s.restsUntilMs > now || load >= s.taker.capacity) continue;
      if (s.unconfirmed.size === 0 || now - s.progressMs < restMs) lowest = Math.min(lowest, load);
      if (s.unconfirmed.size >= unconfirmedMax || load >= least) continue;
      best = s;
      least = load;
    }
    return least > lowest + Math.max(aheadMin, lowest * aheadShare) ? null : best;
  }

  #work(): void {
    while (this.#line.length > 0) {
      const slot = this.#next();
      if (slot === null) return;
      const item = this.#line.shift()!;
      item.attempts++;
      if (slot.unconfirmed.size === 0) slot.progressMs = this.#nowMs();
      slot.unconfirmed.set(item.id, item);
      if (slot.taker.give(item.id, item.connection)) continue;
      // Its channel is gone and its end will be told; meanwhile it gets nothing more.
      slot.unconfirmed.delete(item.id);
      item.attempts--;
      this.#line.unshift(item);
      this.leave(slot.taker.name);
      return;
    }
  }
}
