import type { Link, PeerInfo } from '../link/index.js';
import { Subscriptions, walletKeyOf } from '../link/index.js';
import { bytesKey, cuckooTag } from '../wire/index.js';
import type { Allowance } from './allowance.js';
import type { Budgets, Fairness, Place } from './fairness.js';
import type { Group } from './groups.js';
import { TokenBucket } from './token-bucket.js';
import { Watchers, watchBytes } from './watchers.js';

/** Which of the relay's roles a connection plays. */
export type PeerRole =
  /** Dialled by the manager of ledger nodes: questions go there. */
  | 'ledger'
  /** Dialled as a neighbour of a sector. */
  | 'sector'
  /** Dialled us. */
  | 'inbound';

/**
 * One connection that completed its handshake, with what the relay keeps about it: its buckets, its
 * subscriptions, the height it announced. All of it goes with the connection.
 */
export class RelayPeer implements Budgets {
  readonly id: number;
  /** Map key of the wallet it claims. */
  readonly walletKey: string;
  readonly nodeType: string;
  /** Source address as this relay sees it. */
  readonly sourceAddress: string;
  readonly info: PeerInfo;
  /** Highest block it named; 0 = unknown (docs/protocol/09 §12). */
  height: number;
  /** Keep-alives and presences it sent that are not judged yet. */
  claimsPending = 0;
  // Its budgets as fields of its own: an object less for each of a hundred thousand.
  readonly own: Allowance;
  wallet: Group | null = null;
  readonly prefix: Group | null;
  /** Null while it has attached none, as most. */
  #subscriptions: Subscriptions | null = null;
  /** Made when the first transaction comes: most connections never send one. */
  #transactions: TokenBucket | null = null;

  constructor(
    readonly link: Link,
    readonly role: PeerRole,
    private readonly fairness: Fairness,
    /** When its handshake was complete, by the clock of the relay. */
    readonly openedMs: number,
    /** `host:port` it was dialled at, which may be a name; null when it dialled us. */
    readonly dialledHost: string | null = null,
    /** Its place among the inbound connections; null when this relay dialled. */
    place: Place | null = null,
  ) {
    const info = link.peer;
    if (info === null) throw new TypeError('the handshake of this link is not complete');
    this.id = link.id;
    this.info = info;
    this.walletKey = walletKeyOf(info);
    this.nodeType = info.nodeType;
    this.sourceAddress = info.observedIp;
    this.height = info.lastBlock?.number ?? 0;
    const isServer = this.isLedger || this.isRelay;
    const kind = isServer ? 'server' : info.verified === 'none' ? 'unproven' : 'client';
    this.own = fairness.allowance(kind);
    this.prefix = place?.prefix ?? null;
    if (place !== null && info.verified !== 'none') this.#shareWallet();
  }

  /** The key of its wallet was shown after the hello (docs/protocol/07 §9.1 c). */
  proven(): void {
    this.link.setProven();
    if (!this.isLedger && !this.isRelay) this.own.rates = this.fairness.rates.client;
    if (this.isInbound) this.#shareWallet();
  }

  /** A hello signature may be a replayed one: its sender shares with those of his own prefix only. */
  #shareWallet(): void {
    if (this.isLedger || this.isRelay) return;
    const proven = this.link.peer?.verified === 'proven';
    this.fairness.shareWallet(this, proven ? this.walletKey : `${this.walletKey}|${this.prefix?.key}`);
  }

  /** Whether it may do that now; takes what it costs, from its wallet and its prefix too. */
  may(what: 'messages' | 'requests', n: number, nowMs: number): boolean {
    return this.fairness.take(this, what, n, nowMs);
  }

  /** Whether it may submit a transaction now (10 §9.1). */
  maySubmit(limits: { transactionsPerSecond: number; transactionsBurst: number }, nowMs: number): boolean {
    const { transactionsPerSecond, transactionsBurst } = limits;
    if (transactionsPerSecond === 0) return true;
    this.#transactions ??= new TokenBucket(transactionsPerSecond, transactionsBurst, nowMs);
    this.#transactions.setRate(transactionsPerSecond, transactionsBurst);
    return this.#transactions.take(nowMs);
  }

  /** Its event filters; null when it never attached one. */
  get subscriptions(): Subscriptions | null {
    return this.#subscriptions;
  }

  /** Its event filters, to attach one. */
  subscribing(): Subscriptions {
    this.#subscriptions ??= new Subscriptions(undefined, watchBytes);
    return this.#subscriptions;
  }

  get isOpen(): boolean {
    return this.link.isOpen;
  }

  get isLedger(): boolean {
    return this.nodeType === 'M' || this.nodeType === 'H';
  }

  get isRelay(): boolean {
    return this.nodeType === 'R';
  }

  get isClient(): boolean {
    return this.nodeType === 'C';
  }

  /**
   * Whether events of that wallet may go here: a connection that has not proven the key of the wallet it
   * claims may subscribe to nothing of it (docs/protocol/07 §9.1).
   */
  mayWatch(walletKey: string): boolean {
    return walletKey !== this.walletKey || this.link.peer?.verified !== 'none';
  }

  get isInbound(): boolean {
    return this.role === 'inbound';
  }

  /** Sends a whole frame that nobody changes any more. */
  sendFrame(code: number, frame: Uint8Array): boolean {
    return this.link.sendFrame(code, frame);
  }

  send(code: number, payload: Uint8Array, priority?: 'high' | 'normal' | 'low'): boolean {
    return this.link.send(code, payload, priority);
  }
}

/** What the ledger's side needs of whoever asks it: a connection here, or one of another process. */
export type AskingPeer = Pick<RelayPeer, 'id' | 'isOpen' | 'isClient' | 'isRelay' | 'send' | 'maySubmit'>;

const NOBODY: readonly RelayPeer[] = [];

/** Connections of one role and type. */
export interface PeerGroup {
  readonly role: PeerRole;
  readonly type: string;
  readonly count: number;
}

/** All connections that completed their handshake, findable by id, wallet and kind. */
export class PeerSet {
  readonly #byId = new Map<number, RelayPeer>();
  /** The one connection of a wallet, or its several. */
  readonly #byWallet = new Map<string, RelayPeer | RelayPeer[]>();
  readonly #watchers = new Watchers<RelayPeer>();
  readonly #groups = new Map<string, PeerGroup>();

  get size(): number {
    return this.#byId.size;
  }

  add(peer: RelayPeer): void {
    this.#byId.set(peer.id, peer);
    this.#count(peer, 1);
    this.subscribed(peer);
    const held = this.#byWallet.get(peer.walletKey);
    if (held === undefined) this.#byWallet.set(peer.walletKey, peer);
    else if (Array.isArray(held)) held.push(peer);
    else this.#byWallet.set(peer.walletKey, [held, peer]);
  }

  /** Its filters may have changed: from now on it is told of the events they ask for. */
  subscribed(peer: RelayPeer): void {
    const { subscriptions } = peer;
    if (subscriptions === null || subscriptions.types.length === 0) this.#watchers.delete(peer);
    else if (this.#byId.has(peer.id)) this.#watchers.set(peer, subscriptions.tags());
  }

  remove(peer: RelayPeer): void {
    if (!this.#byId.delete(peer.id)) return;
    this.#count(peer, -1);
    this.#watchers.delete(peer);
    const held = this.#byWallet.get(peer.walletKey);
    const left = Array.isArray(held) ? held.filter((p) => p !== peer) : [];
    if (left.length === 0) this.#byWallet.delete(peer.walletKey);
    else this.#byWallet.set(peer.walletKey, left.length === 1 ? left[0]! : left);
  }

  /** How many there are of each role and type: nobody has to look at all of them for it. */
  get groups(): readonly PeerGroup[] {
    return [...this.#groups.values()].filter((g) => g.count > 0);
  }

  #count(peer: RelayPeer, by: number): void {
    const { role, nodeType: type } = peer;
    const key = `${role} ${type}`;
    const count = (this.#groups.get(key)?.count ?? 0) + by;
    this.#groups.set(key, { role, type, count });
  }

  /** Connections that have subscribed to something. */
  get subscribers(): Iterable<RelayPeer> {
    return this.#watchers.holders();
  }

  /** Open connections that asked for events of that type about that wallet, and may be told (docs/protocol/04 §1.4). */
  watching(type: number, wallet: Uint8Array): readonly RelayPeer[] {
    if (this.#watchers.size === 0) return NOBODY;
    const tag = cuckooTag(wallet);
    const held = this.#watchers.of(tag.tag);
    if (held === null) return NOBODY;
    const key = bytesKey(wallet);
    // The index knows the tag alone; whether it lies where a filter of that type looks for it, the filter says.
    return held.filter((p) => p.isOpen && p.subscriptions?.hasTag(type, tag) === true && p.mayWatch(key));
  }

  get(id: number): RelayPeer | null {
    return this.#byId.get(id) ?? null;
  }

  byWallet(walletKey: string): readonly RelayPeer[] {
    const held = this.#byWallet.get(walletKey);
    return held === undefined ? NOBODY : Array.isArray(held) ? held : [held];
  }

  all(): IterableIterator<RelayPeer> {
    return this.#byId.values();
  }

  /** Open connections of which `keep` is true, in order of arrival. */
  filter(keep: (peer: RelayPeer) => boolean): RelayPeer[] {
    const out: RelayPeer[] = [];
    for (const p of this.#byId.values()) if (p.isOpen && keep(p)) out.push(p);
    return out;
  }
}
