import { sectorPrefix } from '../identity/index.js';
import { bytesEqual, bytesKey, Code, EventType } from '../wire/index.js';
import type { RelayContext } from './context.js';
import { offerIntervalSeconds, sectorCopies } from './limits.js';
import type { RelayPeer } from './peer.js';
import { RecentOffers } from './recent-offers.js';

/** What a verified keep-alive says, with the bytes that say it. */
export interface Claim {
  readonly wallet: Uint8Array;
  readonly device: Uint8Array;
  readonly type: string;
  /** Unix seconds, network time. */
  readonly timestamp: number;
  readonly hostname: string;
  /** The keep-alive as it goes over the wire. */
  readonly bytes: Uint8Array;
}

/**
 * Hands accepted keep-alives on: a client's, once and only when it came from the client itself, to the relays
 * of the client's sector (docs/protocol/06 §8, strict); a relay's to the other relays; everybody's to those
 * who subscribed to that wallet (04 §1.4). Nothing goes back where it came from.
 */
export class Gossip {
  readonly #offers = new RecentOffers(offerIntervalSeconds);

  constructor(
    private readonly ctx: RelayContext,
    /** Called with the sector relays of an own client, so that connections to them can be kept (06 §8 rule 4). */
    private readonly wantSector: (wallets: readonly Uint8Array[]) => void,
  ) {}

  #count(kind: string, n: number): void {
    this.ctx.counters
      .counter('ixian_keep_alives_passed_on_total', 'Keep-alives handed to others, by audience', { kind })
      .add(n);
  }

  /**
   * One accepted change. `from` null: our own keep-alive. `announce` false: too soon after the last one with
   * nothing else changed, stored but not passed on (05 §8.3 strict). `first`: it came with a presence, which other
   * processes of this relay may not know yet.
   */
  changed(ka: Claim, from: RelayPeer, announce: boolean, first = false): void {
    this.ctx.cluster?.presences.tell(ka, { announce, fromClient: from.isClient, first });
    if (!announce) return;
    this.#toSubscribers(ka, from);
    if (ka.type === 'C' && from.isClient) this.#toSector(ka, from);
    else if (ka.type === 'R') this.#toRelays(ka, from);
  }

  /** A change that another process of this relay accepted and that is worth announcing. */
  accepted(ka: Claim, fromClient: boolean): void {
    this.#toSubscribers(ka, null);
    if (ka.type === 'C' && fromClient) this.#toSector(ka, null);
    else if (ka.type === 'R') this.#toRelays(ka, null);
  }

  /** Of several processes connected to one relay or ledger node, one speaks. */
  #speaksTo(walletKey: string): boolean {
    return this.ctx.cluster?.sessions.speaksTo(walletKey) ?? true;
  }

  #toSector(ka: Claim, from: RelayPeer | null): void {
    const { tree, ownWallet, peers } = this.ctx;
    if (tree.size === 0 || (tree.size === 1 && bytesEqual(tree.wallets[0]!, ownWallet))) return;
    const wallets = tree
      .select(sectorPrefix(ka.wallet), sectorCopies)
      .filter((w) => !bytesEqual(w, ownWallet));
    this.wantSector(wallets);
    if (this.#offers.has(ka, this.ctx.networkSeconds())) return;
    let sent = 0;
    for (const w of wallets) {
      const walletKey = bytesKey(w);
      if (!this.#speaksTo(walletKey)) continue;
      const relay = peers.byWallet(walletKey).find((p) => p.isOpen && p.isRelay && p !== from);
      // In full rather than as an item: one message instead of three, understood by both lines (05 §10.2).
      if (relay?.send(Code.keepAlivePresence, ka.bytes) === true) sent++;
    }
    if (sent === 0) return;
    this.#offers.add(ka, this.ctx.networkSeconds());
    this.#count('sector', sent);
  }

  #toRelays(ka: Claim, from: RelayPeer | null): void {
    const relays = this.ctx.peers.filter(
      (p) => p.isRelay && p !== from && p.walletKey !== bytesKey(ka.wallet) && this.#speaksTo(p.walletKey),
    );
    for (const r of relays) r.link.announceKeepAlive(ka, ka.bytes);
    this.#count('relays', relays.length);
  }

  /** Complete keep-alives, as a ledger node delivers them: no second round trip for the subscriber. */
  #toSubscribers(ka: Claim, from: RelayPeer | null): void {
    let sent = 0;
    for (const p of this.ctx.peers.watching(EventType.keepAlive, ka.wallet))
      if (p.isInbound && p !== from && (p.isClient || p.isRelay) && p.send(Code.keepAlivePresence, ka.bytes))
        sent++;
    if (sent > 0) this.#count('subscribers', sent);
  }

  /** Our own keep-alive goes to every ledger node and relay we are connected with, in full (05 §9). */
  own(ka: Claim): void {
    let sent = 0;
    for (const p of this.ctx.peers.filter((x) => !x.isClient && this.#speaksTo(x.walletKey)))
      if (p.send(Code.keepAlivePresence, ka.bytes)) sent++;
    this.#count('own', sent);
    this.#toSubscribers(ka, null);
  }
}
