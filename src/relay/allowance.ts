import type { RelayLimits } from './limits.js';

/** What is counted against an allowance. */
export type Spend = 'bytes' | 'messages' | 'requests';

/** Tokens a second and at most, for each kind. One object serves every allowance of its scope. */
export interface Rates {
  bytesPerSecond: number;
  bytesBurst: number;
  messagesPerSecond: number;
  messagesBurst: number;
  requestsPerSecond: number;
  requestsBurst: number;
}

/** The rates of each scope. Changed in place by a reload, so that open connections follow at once. */
export interface ScopeRates {
  readonly client: Rates;
  /** Connections that did not prove their wallet's key (docs/protocol/07 §9.1). */
  readonly unproven: Rates;
  /** Ledger nodes and relays. */
  readonly server: Rates;
  readonly wallet: Rates;
  readonly prefix: Rates;
}

/** The rates that follow from the limits; given `into`, they are put there. */
export function scopeRates(l: Readonly<RelayLimits>, into?: ScopeRates): ScopeRates {
  const client: Rates = {
    bytesPerSecond: l.bytesPerSecond,
    bytesBurst: l.bytesBurst,
    messagesPerSecond: l.messagesPerSecond,
    messagesBurst: l.messagesBurst,
    requestsPerSecond: l.requestsPerSecond,
    requestsBurst: l.requestsBurst,
  };
  const next: ScopeRates = {
    client,
    unproven: { ...client, messagesPerSecond: l.unprovenMessagesPerSecond },
    server: {
      ...client,
      // Headers and blocks come in answers of up to 16 MiB, and only where this relay asked.
      bytesPerSecond: 0,
      requestsPerSecond: l.serverRequestsPerSecond,
      requestsBurst: l.serverRequestsBurst,
    },
    wallet: {
      bytesPerSecond: l.walletBytesPerSecond,
      bytesBurst: l.walletBytesBurst,
      messagesPerSecond: l.walletMessagesPerSecond,
      messagesBurst: l.walletMessagesBurst,
      requestsPerSecond: l.walletRequestsPerSecond,
      requestsBurst: l.walletRequestsBurst,
    },
    prefix: {
      bytesPerSecond: l.prefixBytesPerSecond,
      bytesBurst: l.prefixBytesBurst,
      messagesPerSecond: l.prefixMessagesPerSecond,
      messagesBurst: l.prefixMessagesBurst,
      requestsPerSecond: l.prefixRequestsPerSecond,
      requestsBurst: l.prefixRequestsBurst,
    },
  };
  if (into === undefined) return next;
  for (const scope of Object.keys(next) as (keyof ScopeRates)[]) Object.assign(into[scope], next[scope]);
  return into;
}

/** A clock that goes back by no more than this was not set back. */
const setBackMs = 1_000;

/**
 * Three token buckets that are refilled together: what one connection, wallet or source prefix may still cost.
 * Refilled on use, so an idle one costs nothing, and nothing is allocated when it is used.
 */
export class Allowance {
  #bytes: number;
  #messages: number;
  #requests: number;
  #atMs: number;

  constructor(
    public rates: Rates,
    nowMs: number,
  ) {
    this.#bytes = rates.bytesBurst;
    this.#messages = rates.messagesBurst;
    this.#requests = rates.requestsBurst;
    this.#atMs = nowMs;
  }

  /** Adds what time has given; once before {@link has}, {@link spend} or {@link owe}. */
  refill(nowMs: number): void {
    // Most messages come in the same millisecond as the one before. Within a chunk the time of its arrival counts as now,
    // so that time may seem to go back a little: nothing is given twice then.
    if (nowMs <= this.#atMs && this.#atMs - nowMs < setBackMs) return;
    // A clock set back must not freeze the buckets, and one set forward fills them at most once.
    const seconds = (nowMs - this.#atMs) / 1000;
    this.#atMs = nowMs;
    const r = this.rates;
    const more = Math.max(seconds, 0);
    this.#bytes = Math.min(r.bytesBurst, this.#bytes + more * r.bytesPerSecond);
    this.#messages = Math.min(r.messagesBurst, this.#messages + more * r.messagesPerSecond);
    this.#requests = Math.min(r.requestsBurst, this.#requests + more * r.requestsPerSecond);
  }

  has(what: 'messages' | 'requests', n: number): boolean {
    const r = this.rates;
    return what === 'messages'
      ? this.#messages >= n || r.messagesPerSecond === 0
      : this.#requests >= n || r.requestsPerSecond === 0;
  }

  spend(what: 'messages' | 'requests', n: number): void {
    const r = this.rates;
    if (what === 'messages') {
      if (r.messagesPerSecond !== 0) this.#messages -= n;
    } else if (r.requestsPerSecond !== 0) this.#requests -= n;
  }

  /**
   * Takes bytes that have arrived already, below zero if need be. Returns the milliseconds until nothing is owed
   * any more: so long nothing more should be read.
   */
  owe(bytes: number): number {
    const perSecond = this.rates.bytesPerSecond;
    if (perSecond === 0) return 0;
    this.#bytes -= bytes;
    return this.#bytes >= 0 ? 0 : Math.ceil((-this.#bytes * 1000) / perSecond);
  }

  /** Whether everything is there again: nothing is lost by forgetting it. */
  isFull(nowMs: number): boolean {
    this.refill(nowMs);
    const r = this.rates;
    return (
      (this.#bytes >= r.bytesBurst || r.bytesPerSecond === 0) &&
      (this.#messages >= r.messagesBurst || r.messagesPerSecond === 0) &&
      (this.#requests >= r.requestsBurst || r.requestsPerSecond === 0)
    );
  }
}
