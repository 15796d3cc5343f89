import { Allowance, type Rates } from './allowance.js';
import { TokenBucket } from './token-bucket.js';

/** How many new connections a group may bring. */
export interface ConnectRate {
  perSecond: number;
  burst: number;
}

/** Connections that share an allowance: those of a wallet, or of a source prefix. */
export class Group {
  readonly allowance: Allowance;
  /** New connections; unbounded where nothing was given. */
  readonly connects: TokenBucket | null;
  /** Connections that count here now. */
  connections = 0;

  constructor(
    readonly key: string,
    rates: Rates,
    nowMs: number,
    connects: ConnectRate | null,
  ) {
    this.allowance = new Allowance(rates, nowMs);
    this.connects = connects === null ? null : new TokenBucket(connects.perSecond, connects.burst, nowMs);
  }

  /** Whether nothing is lost by forgetting it. */
  isWhole(nowMs: number): boolean {
    return this.allowance.isFull(nowMs) && this.connects?.isFull(nowMs) !== false;
  }
}

/**
 * Groups remembered after their last connection has gone, so that coming back does not refill their allowance.
 * Beyond it the one that left first is forgotten and would begin anew.
 */
export const idleGroupsMax = 16_384;

/**
 * Groups by key. Those with connections are as many as connections at most; those without are kept while they
 * still owe something, and no more than {@link idleGroupsMax} of them.
 */
export class Groups {
  readonly #live = new Map<string, Group>();
  readonly #idle = new Map<string, Group>();

  constructor(
    private readonly rates: Rates,
    private readonly connects: ConnectRate | null = null,
    private readonly idleMax = idleGroupsMax,
  ) {}

  /** Groups remembered, with connections and without. */
  get size(): number {
    return this.#live.size + this.#idle.size;
  }

  /** The group of a key, made when there is none; without counting a connection. */
  find(key: string, nowMs: number): Group {
    return this.#live.get(key) ?? this.#idle.get(key) ?? new Group(key, this.rates, nowMs, this.connects);
  }

  /** The rate of new connections was changed in place. */
  connectRateChanged(): void {
    const rate = this.connects;
    if (rate === null) return;
    for (const groups of [this.#live, this.#idle])
      for (const g of groups.values()) g.connects?.setRate(rate.perSecond, rate.burst);
  }

  /** Counts a connection. */
  join(group: Group): void {
    if (group.connections++ > 0) return;
    this.#idle.delete(group.key);
    this.#live.set(group.key, group);
  }

  /** One connection less. */
  leave(group: Group, nowMs: number): void {
    if (--group.connections > 0) return;
    this.#live.delete(group.key);
    this.remember(group, nowMs);
  }

  /** Keeps a group without connections for as long as its allowance is not whole. */
  remember(group: Group, nowMs: number): void {
    if (group.connections > 0) return;
    this.#idle.delete(group.key);
    if (group.isWhole(nowMs)) return;
    this.#idle.set(group.key, group);
    if (this.#idle.size <= this.idleMax) return;
    const [first] = this.#idle.keys();
    this.#idle.delete(first!);
  }
}
