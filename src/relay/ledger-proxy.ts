import type { Clock, Timer } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import { bytesKey, Code, concatBytes } from '../wire/index.js';
import {
  balanceCacheMs,
  headerRequestBytesMax,
  headerRequestSeconds,
  ledgerRepeatMs,
  ledgerRequestBytesMax,
  ledgerRequestSeconds,
  ledgerRetryMs,
  type RelayLimits,
} from './limits.js';

/** The part of a connection the proxy needs. */
export interface ProxyPeer {
  readonly id: number;
  readonly isOpen: boolean;
  send(code: number, payload: Uint8Array, priority?: 'high' | 'normal' | 'low'): boolean;
}

/** One client waiting for an answer. */
interface Asker {
  readonly peer: ProxyPeer;
  /** Whether code 49 carried a mode: decides how transactions are handed on (docs/protocol/09 §7.4). */
  readonly withMode: boolean;
}

interface Pending {
  readonly code: number;
  readonly key: string;
  readonly payload: Uint8Array;
  /** What distinguishes requests whose answers look alike (the mode of code 49, the record key of 43). */
  readonly variant: string;
  readonly askers: Asker[];
  /** In flight, as opposed to waiting behind another variant of the same key. */
  started: boolean;
  /** Ids of the ledger connections the question went to: only they may answer. */
  readonly asked: Set<number>;
  /** Those of them that got it since it was last begun anew: nobody gets it twice in one round. */
  readonly round: Set<number>;
  /** Clock milliseconds of the last sending. */
  sentMs: number;
  expiry: Timer | null;
  /** Of this round: the second and the third ledger node. */
  retries: Timer[];
}

export interface Question {
  readonly code: number;
  /** What the answer can be matched by. */
  readonly key: Uint8Array;
  /** Requests with equal keys but different variants must not be open together (09 §13). */
  readonly variant?: Uint8Array;
  readonly payload: Uint8Array;
  readonly withMode?: boolean;
}

export interface LedgerProxyOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly limits: Pick<RelayLimits, 'ledgerRequestsMax' | 'ledgerRequestsPerClientMax'>;
  /** Ledger connections that completed their handshake, in the order they should be asked. */
  upstreams(): readonly ProxyPeer[];
}

/**
 * Passes clients' questions to ledger nodes and the answers back, in the strict form of docs/protocol/09 §13:
 * equal questions are asked once, one ledger node at a time with a second and third after silence, an answer
 * counts only from a connection the question was sent to, every entry has its own timer, and both the table
 * and each client's share of it are bounded.
 *
 * A question that is repeated while it is open is asked again: ledger nodes pass over in silence what they do
 * not have yet, as the header behind their last but one block (09 §7.1), and clients repeat it word for word
 * once that block is announced.
 */
export class LedgerProxy {
  /** Open questions by code and key, the one in flight first; others of the same key wait behind it. */
  readonly #pending = new Map<string, Pending[]>();
  /** The same entries, oldest first. */
  readonly #all = new Set<Pending>();
  readonly #perClient = new Map<number, number>();
  readonly #balances = new Map<string, { payload: Uint8Array; untilMs: number }>();

  constructor(private readonly options: LedgerProxyOptions) {}

  /** Questions open or waiting. */
  get size(): number {
    return this.#all.size;
  }

  #count(result: string): void {
    this.options.counters
      .counter('ixian_ledger_requests_total', 'Client questions to the ledger by result', { result })
      .add();
  }

  #id(code: number, key: Uint8Array): string {
    return `${code}:${bytesKey(key)}`;
  }

  /** A client asks. False when the question was refused (too large, too many open). */
  ask(peer: ProxyPeer, q: Question): boolean {
    const { limits, clock } = this.options;
    const most = q.code === Code.getBlockHeaders4 ? headerRequestBytesMax : ledgerRequestBytesMax;
    if (q.payload.length > most) {
      this.#count('too_large');
      return false;
    }
    if (q.code === Code.getBalance2) {
      const hit = this.#balances.get(bytesKey(q.key));
      if (hit !== undefined && hit.untilMs > clock.nowMs()) {
        this.#count('cached');
        return peer.send(Code.balance2, hit.payload, 'high');
      }
    }
    const open = this.#perClient.get(peer.id) ?? 0;
    if (open >= limits.ledgerRequestsPerClientMax) {
      this.#count('client_limit');
      return false;
    }
    const id = this.#id(q.code, q.key);
    const variant = bytesKey(q.variant ?? new Uint8Array(0));
    const list = this.#pending.get(id) ?? [];
    const asker: Asker = { peer, withMode: q.withMode ?? false };
    const same = list.find((p) => p.variant === variant);
    if (same !== undefined) {
      if (!same.askers.some((a) => a.peer.id === peer.id)) {
        same.askers.push(asker);
        this.#perClient.set(peer.id, open + 1);
        this.#count('joined');
      }
      if (same.started && clock.nowMs() - same.sentMs >= ledgerRepeatMs) {
        this.#count('repeated');
        this.#begin(same);
      }
      return true;
    }
    if (this.#all.size >= limits.ledgerRequestsMax) this.#evictOldest();
    const entry: Pending = {
      code: q.code,
      key: id,
      // The frame buffer is reused by the reader: what outlives the call must be a copy.
      payload: q.payload.slice(),
      variant,
      askers: [asker],
      started: false,
      asked: new Set(),
      round: new Set(),
      sentMs: Number.NEGATIVE_INFINITY,
      expiry: null,
      retries: [],
    };
    // Making room may have emptied the list and with it its place in the map.
    const queue = this.#pending.get(id) ?? [];
    queue.push(entry);
    this.#pending.set(id, queue);
    this.#all.add(entry);
    this.#perClient.set(peer.id, (this.#perClient.get(peer.id) ?? 0) + 1);
    const seconds = q.code === Code.getBlockHeaders4 ? headerRequestSeconds : ledgerRequestSeconds;
    // From the asking on, not from when its turn comes: nobody waits longer for being behind others.
    entry.expiry = clock.after(seconds * 1000, () => {
      this.#count('timeout');
      this.#finish(entry);
    });
    if (queue.length === 1) this.#begin(entry);
    return true;
  }

  /** Begins a round: one ledger node at once, a second and a third after silence. */
  #begin(entry: Pending): void {
    const { clock } = this.options;
    entry.started = true;
    entry.round.clear();
    for (const t of entry.retries) t.cancel();
    this.#askNext(entry);
    entry.retries = [ledgerRetryMs, 2 * ledgerRetryMs].map((ms) =>
      clock.after(ms, () => this.#askNext(entry)),
    );
  }

  #askNext(entry: Pending): void {
    for (const u of this.options.upstreams()) {
      // One whose queue is full did not get the question: the next one may.
      if (!u.isOpen || entry.round.has(u.id) || !u.send(entry.code, entry.payload, 'normal')) continue;
      entry.asked.add(u.id);
      entry.round.add(u.id);
      entry.sentMs = this.options.clock.nowMs();
      this.#count('forwarded');
      return;
    }
  }

  /** A ledger connection came up: what nobody could be asked so far is asked there. */
  upstreamOpened(): void {
    for (const entry of this.#all) if (entry.started && entry.asked.size === 0) this.#askNext(entry);
  }

  #cancel(entry: Pending): void {
    entry.expiry?.cancel();
    for (const t of entry.retries) t.cancel();
  }

  #finish(entry: Pending): void {
    if (!this.#all.delete(entry)) return;
    this.#cancel(entry);
    for (const a of entry.askers) {
      const n = (this.#perClient.get(a.peer.id) ?? 1) - 1;
      if (n <= 0) this.#perClient.delete(a.peer.id);
      else this.#perClient.set(a.peer.id, n);
    }
    const list = this.#pending.get(entry.key)!;
    const i = list.indexOf(entry);
    list.splice(i, 1);
    if (list.length === 0) this.#pending.delete(entry.key);
    else if (i === 0) this.#begin(list[0]!);
  }

  #evictOldest(): void {
    for (const oldest of this.#all) {
      this.#count('evicted');
      this.#finish(oldest);
      return;
    }
  }

  /** The question in flight under that key that was put to that upstream, if any. */
  #inFlight(code: number, key: Uint8Array, upstream: ProxyPeer): Pending | null {
    const entry = this.#pending.get(this.#id(code, key))?.[0];
    return entry?.asked.has(upstream.id) ? entry : null;
  }

  /** Whether an answer with this key from that connection was asked for. */
  expects(code: number, key: Uint8Array, upstream: ProxyPeer): boolean {
    return this.#inFlight(code, key, upstream) !== null;
  }

  /**
   * Final answer to a question: goes to everyone who asked. False when nobody asked that connection for it,
   * in which case nothing was sent and nothing changed.
   */
  answer(
    code: number,
    key: Uint8Array,
    upstream: ProxyPeer,
    answerCode: number,
    payload: Uint8Array,
  ): boolean {
    const entry = this.#inFlight(code, key, upstream);
    if (entry === null) {
      this.#count('unasked_answer');
      return false;
    }
    for (const a of entry.askers) if (a.peer.isOpen) a.peer.send(answerCode, payload, 'high');
    if (code === Code.getBalance2) this.#cacheBalance(key, payload);
    this.#count('answered');
    this.#finish(entry);
    return true;
  }

  /**
   * A message that belongs to a question still open (transactions and proofs sent before the headers of code
   * 50): handed to `each` per waiting client. False when it was not asked for.
   */
  side(
    code: number,
    key: Uint8Array,
    upstream: ProxyPeer,
    each: (peer: ProxyPeer, withMode: boolean) => void,
  ): boolean {
    const entry = this.#inFlight(code, key, upstream);
    if (entry === null) {
      this.#count('unasked_answer');
      return false;
    }
    for (const a of entry.askers) if (a.peer.isOpen) each(a.peer, a.withMode);
    return true;
  }

  #cacheBalance(key: Uint8Array, payload: Uint8Array): void {
    const { clock, limits } = this.options;
    if (this.#balances.size >= limits.ledgerRequestsMax)
      this.#balances.delete(this.#balances.keys().next().value!);
    this.#balances.set(bytesKey(key), {
      payload: concatBytes(payload),
      untilMs: clock.nowMs() + balanceCacheMs,
    });
  }

  /** A client's connection ended: it waits for nothing any more, and questions only it asked are dropped. */
  dropClient(peerId: number): void {
    if (!this.#perClient.has(peerId)) return;
    for (const entry of [...this.#all]) {
      const i = entry.askers.findIndex((a) => a.peer.id === peerId);
      if (i < 0) continue;
      entry.askers.splice(i, 1);
      if (entry.askers.length === 0) this.#finish(entry);
    }
    this.#perClient.delete(peerId);
  }

  /** A ledger connection ended: what was asked of it is asked elsewhere at once. */
  dropUpstream(peerId: number): void {
    for (const entry of this.#all) if (entry.asked.delete(peerId)) this.#askNext(entry);
  }

  close(): void {
    for (const entry of this.#all) this.#cancel(entry);
    this.#all.clear();
    this.#pending.clear();
    this.#perClient.clear();
  }
}
