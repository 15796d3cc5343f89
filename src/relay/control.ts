import { addressText } from '../identity/index.js';
import type { Presence } from '../presence/index.js';
import { Bye, bytesEqual } from '../wire/index.js';
import type { AllowList } from './allow-list.js';
import type { Blacklist } from './blacklist.js';
import type { Connections } from './connections.js';
import type { RelayContext } from './context.js';
import { type ChangeableLimits, isLinkLimit, linkPart } from './limit-table.js';
import type { PeerGroup, PeerRole, RelayPeer } from './peer.js';

/** One connection as an operator sees it. Nothing in it is secret; addresses are for the operator alone. */
export interface PeerSnapshot {
  readonly id: number;
  readonly role: PeerRole;
  /** M, H, R, C or W. */
  readonly type: string;
  /** Wallet address as text. */
  readonly address: string;
  readonly ip: string;
  /** `ip:port` of the connection as this relay sees it. */
  readonly remote: string;
  readonly transport: string;
  /** Product and version the peer named. */
  readonly version: string;
  readonly verified: 'none' | 'signature' | 'proven';
  /** Unix milliseconds. */
  readonly sinceMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly queuedFrames: number;
  readonly queuedBytes: number;
  /** Event filters of this connection. */
  readonly subscriptions: number;
  /** Highest block it named; 0 = unknown. */
  readonly height: number;
}

/** Sums over all connections, sampled for gauges. */
export interface TrafficTotals {
  /** Complete connections by role and type. */
  readonly peers: readonly PeerGroup[];
  /** Inbound connections in any state, and those before their hello. */
  readonly inbound: number;
  readonly greeting: number;
  readonly clientQueueFrames: number;
  readonly clientQueueBytes: number;
  readonly serverQueueFrames: number;
  readonly serverQueueBytes: number;
  readonly subscriptions: number;
}

/** Stops and starts the dialling of others. */
export interface OutboundSwitch {
  /** Ends the dialled connections and dials no more. */
  pause(): void;
  resume(): void;
}

/** What the operator's side may look at and change in a running relay. */
export class RelayControl {
  /** Bytes of each client when {@link busiest} was asked last. */
  readonly #movedBefore = new WeakMap<RelayPeer, number>();

  constructor(
    private readonly ctx: RelayContext,
    private readonly connections: Connections,
    private readonly blacklist: Blacklist,
    private readonly allowList: AllowList,
    private readonly outbound: OutboundSwitch,
  ) {}

  /** Open connections in order of arrival. */
  peers(): PeerSnapshot[] {
    return this.ctx.peers.filter(() => true).map(snapshotOf);
  }

  /** Connections to ledger nodes and relays, either way, at most `max`. */
  servers(max: number): PeerSnapshot[] {
    return this.ctx.peers
      .filter((p) => !p.isClient)
      .slice(0, max)
      .map(snapshotOf);
  }

  /** Wallets of the relays and ledger nodes connected, as text. */
  connectedWallets(): ReadonlySet<string> {
    return new Set(this.ctx.peers.filter((p) => !p.isClient).map((p) => addressText(p.info.address)));
  }

  /** The clients that moved most bytes since the last call, most first. */
  busiest(max: number): PeerSnapshot[] {
    const top: { readonly peer: RelayPeer; readonly moved: number }[] = [];
    for (const peer of this.ctx.peers.all()) {
      if (!peer.isClient) continue;
      const { bytesIn, bytesOut } = peer.link.stats;
      const moved = bytesIn + bytesOut - (this.#movedBefore.get(peer) ?? 0);
      if (moved > 0) this.#movedBefore.set(peer, bytesIn + bytesOut);
      // A short list kept in order: with 100,000 clients nothing is sorted as a whole.
      if (moved === 0 || (top.length === max && moved <= top[max - 1]!.moved)) continue;
      const at = top.findIndex((t) => t.moved < moved);
      top.splice(at < 0 ? top.length : at, 0, { peer, moved });
      if (top.length > max) top.pop();
    }
    return top.map((t) => snapshotOf(t.peer));
  }

  /** Connections of clients, or all others, with ids above `after`, in order of their ids. */
  page(
    clients: boolean,
    after: number,
    max: number,
  ): { readonly items: PeerSnapshot[]; readonly total: number; readonly more: boolean } {
    const all = this.ctx.peers.filter((p) => (p.isInbound && p.isClient) === clients);
    // Ids grow and are never used again: a place stays right while connections come and go.
    const rest = all.filter((p) => p.id > after).sort((a, b) => a.id - b.id);
    return { items: rest.slice(0, max).map(snapshotOf), total: all.length, more: rest.length > max };
  }

  totals(): TrafficTotals {
    const t = {
      clientQueueFrames: 0,
      clientQueueBytes: 0,
      serverQueueFrames: 0,
      serverQueueBytes: 0,
      subscriptions: 0,
    };
    const { peers } = this.ctx;
    for (const p of peers.all()) {
      // Nothing waits for most of a hundred thousand clients.
      if (p.link.isFlushed) continue;
      if (p.isInbound) {
        t.clientQueueFrames += p.link.queuedFrames;
        t.clientQueueBytes += p.link.queuedBytes;
      } else {
        t.serverQueueFrames += p.link.queuedFrames;
        t.serverQueueBytes += p.link.queuedBytes;
      }
    }
    for (const p of peers.subscribers) t.subscriptions += p.subscriptions?.types.length ?? 0;
    const { inbound, greeting } = this.connections;
    return { ...t, peers: peers.groups, inbound, greeting };
  }

  /** Inbound connections in any state. */
  get inbound(): number {
    return this.connections.inbound;
  }

  /** Complete connections of all processes of this relay, as far as this one knows. */
  get connectionsKnown(): number {
    return this.ctx.peers.size + (this.ctx.cluster?.sessions.remote ?? 0);
  }

  /** Endpoints in the presence store by node type. */
  get presenceCounts(): Readonly<Record<string, number>> {
    return this.ctx.store.counts;
  }

  presence(wallet: Uint8Array): Presence | null {
    return this.ctx.store.get(wallet);
  }

  /** Presences with an endpoint of that type, newest first, `offset` of them skipped. */
  presences(type: string, max: number, offset = 0): Presence[] {
    return this.ctx.store
      .byType(type, offset + max, this.ctx.networkSeconds())
      .slice(offset)
      .flatMap((w) => this.ctx.store.get(w) ?? []);
  }

  /** Wallets of the relays known, in the order of their sector keys. */
  relays(): readonly Uint8Array[] {
    return this.ctx.tree.wallets;
  }

  /** Relays of a sector prefix (10 bytes), nearest first (docs/protocol/06 §4). */
  sector(prefix: Uint8Array, max: number): Uint8Array[] {
    return this.ctx.tree.size === 0 ? [] : this.ctx.tree.select(prefix, max);
  }

  /** Every limit that can be changed, by name, with the value in force. */
  limits(): Readonly<ChangeableLimits> {
    return { ...this.ctx.limits, ...linkPart(this.ctx.linkLimits) };
  }

  /** Changes limits in place: connections that are open follow at once. Returns the names that changed. */
  setLimits(changes: Partial<ChangeableLimits>): string[] {
    const { limits, linkLimits, linkMemory, fairness, store } = this.ctx;
    const now = this.limits();
    const changed = (Object.keys(changes) as (keyof ChangeableLimits)[]).filter(
      (k) => changes[k] !== undefined && changes[k] !== now[k],
    );
    for (const k of changed)
      if (isLinkLimit(k)) linkLimits[k] = changes[k]!;
      else limits[k] = changes[k]!;
    if (changed.length === 0) return changed;
    fairness.limitsChanged();
    linkMemory.queuedBytesMax = limits.queueBytesTotalMax;
    linkMemory.receivingBytesMax = limits.receiveBytesTotalMax;
    store.setBounds({ addressesMax: limits.presencesMax, bytesMax: limits.presenceBytesMax });
    return changed;
  }

  /** Bytes held for presences, for receivers, and of frames that have not arrived whole. */
  get memory(): {
    readonly presenceBytes: number;
    readonly queuedBytes: number;
    readonly receivingBytes: number;
  } {
    const { store, linkMemory } = this.ctx;
    const { queuedBytes, receivingBytes } = linkMemory;
    return { presenceBytes: store.bytes, queuedBytes, receivingBytes };
  }

  /** Wallets and source prefixes whose allowances are remembered. */
  get allowances(): { readonly wallets: number; readonly prefixes: number } {
    return this.ctx.fairness.size;
  }

  /** Source addresses and ranges that may connect; empty means everybody. */
  allowed(): readonly string[] {
    return this.allowList.entries;
  }

  /**
   * Replaces the list of who may connect and ends the inbound connections it does not cover. Returns how many.
   *
   * @throws RangeError for an entry that is no address or range; nothing is changed then.
   */
  setAllowed(entries: readonly string[]): number {
    this.allowList.replace(entries);
    const out = this.ctx.peers.filter((p) => p.isInbound && !this.allowList.admits(p.sourceAddress));
    for (const p of out) p.link.bye(Bye.rejected, 'Not on the list of who may connect');
    return out.length;
  }

  bans(): readonly string[] {
    return this.blacklist.entries;
  }

  /**
   * Replaces the list of who is refused and ends the connections it now covers. Returns how many were ended.
   *
   * @throws Error for an entry that is no wallet, endpoint, address or range; nothing is changed then.
   */
  setBans(entries: readonly string[]): number {
    this.blacklist.replace(entries);
    const hit = this.ctx.peers.filter(
      (p) =>
        this.blacklist.source(p.sourceAddress) ||
        this.blacklist.wallet(p.info.address) ||
        this.blacklist.endpoint(p.info.hostname),
    );
    for (const p of hit) p.link.bye(Bye.rejected, 'Blacklisted');
    return hit.length;
  }

  /** Ends one connection with a bye; false when there is none with that id. */
  disconnect(id: number, code: number = Bye.bye, text = 'Disconnected by the operator'): boolean {
    const p = this.ctx.peers.get(id);
    if (p === null || !p.isOpen) return false;
    p.link.bye(code, text);
    return true;
  }

  /**
   * Has a client go, to another process of this relay or elsewhere: it is no session any more, everything queued for
   * it leaves, and what it still sends until it has read the bye is handled. False when there is none with that id.
   */
  moveOn(id: number, code: number = Bye.bye, text = 'Please connect again'): boolean {
    const p = this.ctx.peers.get(id);
    if (p === null || !p.isOpen) return false;
    this.ctx.sessions.remove(p);
    this.ctx.cluster?.sessions.moves.told(p, this.ctx.clock.nowMs());
    p.link.leave(code, text);
    return true;
  }

  /** Clients that were moved on and have no session in another process yet, for as long as one waits for them. */
  get away(): number {
    return this.ctx.cluster?.sessions.moves.away(this.ctx.clock.nowMs()) ?? 0;
  }

  /** Connections that clients have not closed yet, those before their hello included. */
  get clientsConnected(): number {
    let n = this.connections.greeting;
    for (const p of this.ctx.peers.all()) if (p.isInbound && p.isClient) n++;
    return n;
  }

  /** Ids of client connections, oldest first. */
  clientIds(): number[] {
    return this.ctx.peers.filter((p) => p.isInbound && p.isClient).map((p) => p.id);
  }

  /** Whether newcomers are being sent away. */
  get draining(): boolean {
    return this.connections.draining;
  }

  /** Sends newcomers away (bye 700) from now on, or takes them again. */
  setDraining(on: boolean): void {
    if (on) this.connections.drain();
    else this.connections.resume();
  }

  /** Ends the dialled connections until {@link resumeOutbound}. */
  pauseOutbound(): void {
    this.outbound.pause();
  }

  resumeOutbound(): void {
    this.outbound.resume();
  }

  /** Ends every inbound connection. */
  disconnectInbound(text: string): void {
    for (const p of this.ctx.peers.filter((x) => x.isInbound)) p.link.bye(Bye.bye, text);
  }

  /** Whether the wallet is this relay's own. */
  isOwn(wallet: Uint8Array): boolean {
    return bytesEqual(wallet, this.ctx.ownWallet);
  }

  /** Network time in whole Unix seconds. */
  networkSeconds(): number {
    return this.ctx.networkSeconds();
  }
}

function snapshotOf(p: RelayPeer): PeerSnapshot {
  const { link, info } = p;
  return {
    id: p.id,
    role: p.role,
    type: p.nodeType,
    address: addressText(info.address),
    ip: p.sourceAddress,
    remote: p.dialledHost ?? `${p.sourceAddress}:${link.transport.remotePort}`,
    transport: link.transport.kind,
    version: info.productVersion,
    verified: link.peer?.verified ?? 'none',
    ...link.stats,
    queuedFrames: link.queuedFrames,
    queuedBytes: link.queuedBytes,
    subscriptions: p.subscriptions?.types.length ?? 0,
    height: p.height,
  };
}
