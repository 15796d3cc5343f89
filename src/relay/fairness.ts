import type { Clock } from '../clock/index.js';
import type { Counter, Counters } from '../counters/index.js';
import { Allowance, type ScopeRates, type Spend, scopeRates } from './allowance.js';
import { type ConnectRate, type Group, Groups } from './groups.js';
import type { RelayLimits } from './limits.js';
import { Offenders } from './offenders.js';
import { sourcePrefix } from './source-prefix.js';

/** Whose allowance was used up. */
export type QuotaScope = 'connection' | 'wallet' | 'prefix';

const SCOPES: readonly QuotaScope[] = ['connection', 'wallet', 'prefix'];
const SPENDS: readonly Spend[] = ['bytes', 'messages', 'requests'];

/** Why a connection from there is not taken now. */
export type SourceRefusal = 'source_share' | 'prefix_share' | 'prefix_connects';

/** A place that an accepted connection holds until {@link Fairness.left}. */
export interface Place {
  readonly address: string;
  readonly prefix: Group;
}

/** What one connection may cost, together with whom it shares with. */
export interface Budgets {
  readonly own: Allowance;
  /** Connections of its wallet, once it has shown the key; nobody may use up a wallet he only claims. */
  wallet: Group | null;
  /** Connections of its source prefix; null where this relay dialled. */
  readonly prefix: Group | null;
}

/**
 * Who may cost this relay how much: token buckets per connection, wallet and source prefix, and the shares of
 * places that an address and a prefix may hold. Everything is decided before work is done, every refusal is
 * counted by scope and kind, and deciding allocates nothing.
 */
export class Fairness {
  readonly rates: ScopeRates;
  readonly #wallets: Groups;
  readonly #prefixes: Groups;
  readonly #connectRate: ConnectRate;
  readonly #offenders: Offenders;
  /** Connections by source address. */
  readonly #addresses = new Map<string, number>();
  readonly #exceeded: Readonly<Record<QuotaScope, Readonly<Record<Spend, Counter>>>>;

  constructor(
    private readonly limits: Readonly<RelayLimits>,
    private readonly clock: Clock,
    counters: Counters,
  ) {
    this.rates = scopeRates(limits);
    this.#wallets = new Groups(this.rates.wallet);
    this.#connectRate = {
      perSecond: limits.prefixConnectsPerSecond,
      burst: limits.prefixConnectsBurst,
    };
    this.#prefixes = new Groups(this.rates.prefix, this.#connectRate);
    this.#offenders = new Offenders(limits);
    const help = 'What was refused or slowed down because an allowance was used up';
    const of = (scope: QuotaScope): Readonly<Record<Spend, Counter>> =>
      Object.fromEntries(
        SPENDS.map((kind) => [kind, counters.counter('ixian_quota_exceeded_total', help, { kind, scope })]),
      ) as Record<Spend, Counter>;
    this.#exceeded = Object.fromEntries(SCOPES.map((s) => [s, of(s)])) as Record<
      QuotaScope,
      Record<Spend, Counter>
    >;
  }

  /** Takes over limits that were changed in place. */
  limitsChanged(): void {
    scopeRates(this.limits, this.rates);
    this.#connectRate.perSecond = this.limits.prefixConnectsPerSecond;
    this.#connectRate.burst = this.limits.prefixConnectsBurst;
    this.#prefixes.connectRateChanged();
  }

  /** Wallets and prefixes remembered. */
  get size(): { readonly wallets: number; readonly prefixes: number } {
    return { wallets: this.#wallets.size, prefixes: this.#prefixes.size };
  }

  // --- offences -------------------------------------------------------------------------------------------

  /** A connection from there said what no peer says before its hello. */
  offended(address: string): void {
    this.#offenders.add(address, this.clock.nowMs());
  }

  /** Whether nothing is taken from there now because of what came before. */
  shuns(address: string): boolean {
    return this.#offenders.shuns(address, this.clock.nowMs());
  }

  // --- places ---------------------------------------------------------------------------------------------

  /** A place for a connection from that address, or why there is none. */
  enter(address: string): Place | SourceRefusal {
    const l = this.limits;
    const now = this.clock.nowMs();
    const prefix = this.#prefixes.find(sourcePrefix(address, l.prefixBitsIpv4, l.prefixBitsIpv6), now);
    if (l.prefixConnectsPerSecond > 0 && prefix.connects?.take(now) === false) {
      this.#prefixes.remember(prefix, now);
      return 'prefix_connects';
    }
    const fromAddress = this.#addresses.get(address) ?? 0;
    if (isOver(fromAddress, l.connectionsPerSourcePercent, l.connectionsMax)) return 'source_share';
    if (isOver(prefix.connections, l.connectionsPerPrefixPercent, l.connectionsMax)) return 'prefix_share';
    this.#addresses.set(address, fromAddress + 1);
    this.#prefixes.join(prefix);
    return { address, prefix };
  }

  /** The connection has gone. */
  left(place: Place): void {
    const n = (this.#addresses.get(place.address) ?? 1) - 1;
    if (n <= 0) this.#addresses.delete(place.address);
    else this.#addresses.set(place.address, n);
    this.#prefixes.leave(place.prefix, this.clock.nowMs());
  }

  // --- allowances -----------------------------------------------------------------------------------------

  /** What a connection may cost by itself, from the end of its handshake. */
  allowance(kind: 'client' | 'unproven' | 'server'): Allowance {
    return new Allowance(this.rates[kind], this.clock.nowMs());
  }

  /**
   * The connection shares its wallet's budget from now on. `key` is the wallet alone for a connection that
   * proved the key here, and wallet and prefix for one whose proof may be a replayed one: so that nobody can
   * use up the budget of an owner elsewhere.
   */
  shareWallet(b: Budgets, key: string): void {
    const now = this.clock.nowMs();
    if (b.wallet?.key === key) return;
    if (b.wallet !== null) this.#wallets.leave(b.wallet, now);
    b.wallet = this.#wallets.find(key, now);
    this.#wallets.join(b.wallet);
  }

  /** The connection has gone. */
  close(b: Budgets): void {
    if (b.wallet !== null) this.#wallets.leave(b.wallet, this.clock.nowMs());
    b.wallet = null;
  }

  /** Takes `n` from every scope, or nothing and false when one has not enough. */
  take(b: Budgets, what: 'messages' | 'requests', n: number, nowMs: number): boolean {
    const wallet = b.wallet?.allowance ?? null;
    const prefix = b.prefix?.allowance ?? null;
    b.own.refill(nowMs);
    if (!b.own.has(what, n)) return this.#refuse('connection', what);
    if (wallet !== null) {
      wallet.refill(nowMs);
      if (!wallet.has(what, n)) return this.#refuse('wallet', what);
    }
    if (prefix !== null) {
      prefix.refill(nowMs);
      if (!prefix.has(what, n)) return this.#refuse('prefix', what);
      prefix.spend(what, n);
    }
    b.own.spend(what, n);
    wallet?.spend(what, n);
    return true;
  }

  /** Bytes arrived. Returns for how many milliseconds the connection should not be read. */
  received(b: Budgets, bytes: number, nowMs: number): number {
    b.own.refill(nowMs);
    let wait = b.own.owe(bytes);
    let scope: QuotaScope = 'connection';
    if (b.wallet !== null) {
      b.wallet.allowance.refill(nowMs);
      const more = b.wallet.allowance.owe(bytes);
      if (more > wait) {
        wait = more;
        scope = 'wallet';
      }
    }
    if (b.prefix !== null) {
      b.prefix.allowance.refill(nowMs);
      const more = b.prefix.allowance.owe(bytes);
      if (more > wait) {
        wait = more;
        scope = 'prefix';
      }
    }
    if (wait > 0) this.#exceeded[scope].bytes.add();
    return wait;
  }

  #refuse(scope: QuotaScope, what: Spend): false {
    this.#exceeded[scope][what].add();
    return false;
  }
}

/** Shares are not looked at below this: a small relay for a few friends has them all behind one address. */
export const shareConnectionsMin = 32;

/** Whether one more would be beyond that part of all places. */
const isOver = (held: number, percent: number, all: number): boolean =>
  percent < 100 && held >= Math.max(shareConnectionsMin, Math.floor((all * percent) / 100));
