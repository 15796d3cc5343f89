import type { Clock, Timer } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import { bytesKey, Code } from '../wire/index.js';
import type { ProxyPeer } from './ledger-proxy.js';

/** Transactions of clients followed at once (docs/protocol/10 §9.1). */
export const pendingTransactionsMax = 50_000;
/** Of those, per client connection. */
export const pendingTransactionsPerClientMax = 256;
/** How long an entry is followed: a rejection that has not come by then will not come. */
export const pendingTransactionSeconds = 600;
/** Ledger nodes a transaction goes to first; the others follow after {@link spreadMs} (10 §9.2). */
export const firstLedgerNodes = 2;
export const spreadMs = 3_000;
/** The same transaction submitted again within this time is not sent again (10 §9.1). */
export const repeatMs = 20_000;
/** Distinct ledger nodes that must object before a client is told (10 §6 remedy). */
export const objectionsMin = 2;

/** Rejections that say the transaction will not be taken: invalid, dust, fee too low (10 §6). */
export const rejectedFatal: readonly number[] = [0x20, 0x21, 0x22];
/** Rejection that means "already known", the normal sign of success (10 §6). */
export const rejectedDuplicate = 0x23;

interface Entry {
  readonly bytes: Uint8Array;
  readonly submitters: Map<number, ProxyPeer>;
  readonly sentTo: Set<number>;
  readonly objections: Map<number, Uint8Array>;
  sentMs: number;
  confirmed: boolean;
  readonly timers: Timer[];
}

export interface PendingTransactionsOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  upstreams(): readonly ProxyPeer[];
}

/**
 * Clients' transactions on their way to the ledger. The relay judges nothing: it forwards the bytes, and hands
 * a rejection back only when the ledger nodes that were asked agree on it, so that neither a client nor a
 * single faulty ledger node can cancel somebody's payment (docs/protocol/10 §6).
 */
export class PendingTransactions {
  readonly #entries = new Map<string, Entry>();
  readonly #perClient = new Map<number, number>();

  constructor(private readonly options: PendingTransactionsOptions) {}

  get size(): number {
    return this.#entries.size;
  }

  #count(result: string): void {
    this.options.counters
      .counter('ixian_transactions_relayed_total', 'Client transactions by result', { result })
      .add();
  }

  /** Forwards a client's transaction. False when refused by a limit. `bytes` is copied. */
  submit(peer: ProxyPeer, txid: Uint8Array, bytes: Uint8Array): boolean {
    const key = bytesKey(txid);
    const { clock } = this.options;
    const old = this.#entries.get(key);
    const mine = this.#perClient.get(peer.id) ?? 0;
    if (old?.submitters.has(peer.id) !== true && mine >= pendingTransactionsPerClientMax) {
      this.#count('client_limit');
      return false;
    }
    if (old !== undefined) {
      if (!old.submitters.has(peer.id)) this.#perClient.set(peer.id, mine + 1);
      old.submitters.set(peer.id, peer);
      if (clock.nowMs() - old.sentMs >= repeatMs) this.#resend(old);
      this.#count('repeated');
      return true;
    }
    if (this.#entries.size >= pendingTransactionsMax) {
      this.#count('evicted');
      this.#drop(this.#entries.keys().next().value!);
    }
    const entry: Entry = {
      bytes: bytes.slice(),
      submitters: new Map([[peer.id, peer]]),
      sentTo: new Set(),
      objections: new Map(),
      sentMs: clock.nowMs(),
      confirmed: false,
      timers: [],
    };
    this.#entries.set(key, entry);
    this.#perClient.set(peer.id, (this.#perClient.get(peer.id) ?? 0) + 1);
    this.#spread(entry, firstLedgerNodes);
    entry.timers.push(
      clock.after(spreadMs, () => this.#spread(entry, this.options.upstreams().length)),
      clock.after(pendingTransactionSeconds * 1000, () => this.#drop(key)),
    );
    this.#count('forwarded');
    return true;
  }

  #spread(entry: Entry, most: number): void {
    let sent = entry.sentTo.size;
    for (const u of this.options.upstreams()) {
      if (sent >= most) return;
      if (!u.isOpen || entry.sentTo.has(u.id)) continue;
      if (!u.send(Code.transactionData2, entry.bytes)) continue;
      entry.sentTo.add(u.id);
      sent++;
    }
  }

  /** To everybody again: who asks twice has waited long enough. */
  #resend(entry: Entry): void {
    entry.sentMs = this.options.clock.nowMs();
    for (const u of this.options.upstreams())
      if (u.isOpen && u.send(Code.transactionData2, entry.bytes)) entry.sentTo.add(u.id);
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    for (const t of entry.timers) t.cancel();
    this.#entries.delete(key);
    for (const id of entry.submitters.keys()) {
      const n = (this.#perClient.get(id) ?? 1) - 1;
      if (n <= 0) this.#perClient.delete(id);
      else this.#perClient.set(id, n);
    }
  }

  /**
   * A ledger node's `rejected`. Duplicates are handed on at once, they confirm; a fatal code when all nodes
   * asked object, or two of them do, and none confirmed. False when that node was never sent the transaction.
   */
  rejected(upstream: ProxyPeer, reason: number, txid: Uint8Array, payload: Uint8Array): boolean {
    const key = bytesKey(txid);
    const entry = this.#entries.get(key);
    if (entry === undefined || !entry.sentTo.has(upstream.id)) {
      this.#count('unasked_rejection');
      return false;
    }
    if (reason === rejectedDuplicate) {
      entry.confirmed = true;
      this.#tell(entry, payload);
      return true;
    }
    if (!rejectedFatal.includes(reason)) {
      this.#count('unknown_rejection');
      return true;
    }
    entry.objections.set(upstream.id, payload.slice());
    this.#judge(key, entry);
    return true;
  }

  #judge(key: string, entry: Entry): void {
    const last = [...entry.objections.values()].pop();
    if (last === undefined || entry.confirmed) return;
    if (entry.objections.size < Math.min(entry.sentTo.size, objectionsMin)) return;
    this.#tell(entry, last);
    this.#count('rejected');
    this.#drop(key);
  }

  /** A ledger connection ended: its verdict will not come, those of the others may now be all there is. */
  dropUpstream(peerId: number): void {
    for (const [key, entry] of this.#entries)
      if (!entry.objections.has(peerId) && entry.sentTo.delete(peerId)) this.#judge(key, entry);
  }

  #tell(entry: Entry, payload: Uint8Array): void {
    for (const p of entry.submitters.values()) if (p.isOpen) p.send(Code.rejected, payload, 'high');
  }

  /** The bytes of a transaction still followed, for a client that asks by id (10 §9.3). */
  get(txid: Uint8Array): Uint8Array | null {
    return this.#entries.get(bytesKey(txid))?.bytes ?? null;
  }

  close(): void {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
  }
}
