import type { Counter } from '../counters/index.js';
import { parseAddress } from '../identity/index.js';
import {
  encodeKeepAlive,
  type KeepAliveOutcome,
  keepAliveChunks,
  keepAliveOf,
  PresenceRequestLimiter,
  presenceAnswer,
  presenceChunks,
  randomPresences,
  readKeepAlivePairs,
} from '../presence/index.js';
import {
  bytesEqual,
  bytesEqualAt,
  Code,
  decodeGetPresence2,
  decodeGetRandomPresences,
  decodeKeepAlivesChunk,
  encodeGetPresence2,
  sealFrame,
} from '../wire/index.js';
import type { RelayContext } from './context.js';
import type { Claim, Gossip } from './gossip.js';
import { KeepAliveInbox } from './keep-alive-inbox.js';
import type { RelayPeer } from './peer.js';

/** Keep-alives of one chunk that are looked at (docs/protocol/04 §6.2). */
export const keepAlivesPerChunkMax = 500;
/** Presence work of one connection in progress at once: each entry may cost an RSA operation. */
export const pendingPerPeerMax = 512;

/** Whom a keep-alive came from, and the newest claim known of that connection's own wallet when it came. */
interface Sender {
  readonly peer: RelayPeer;
  readonly newestBefore: number;
}

/** Where the wallet stands in a keep-alive of version 2: behind the version and a length of one byte. */
const walletAt = 2;

/** False when the keep-alive is surely not about that wallet (docs/protocol/05 §5). */
function mayBeOf(keepAlive: Uint8Array, wallet: Uint8Array): boolean {
  if (keepAlive[0] !== 2 || keepAlive[1] !== wallet.length) return true;
  return bytesEqualAt(keepAlive, walletAt, wallet.length, wallet);
}

/**
 * Everything about presences that arrives as a message: keep-alives and presences in, lookups out
 * (docs/protocol/05 §10.3). Verification runs off the main thread; a connection may have only so much of it
 * in progress, so that one flooding peer cannot fill the verify queue.
 */
export class PresenceHandlers {
  readonly #pending = new Map<number, number>();
  readonly #answered: Counter;
  readonly #unknown: Counter;
  readonly #asked = new PresenceRequestLimiter();
  readonly #inbox: KeepAliveInbox<Sender>;

  constructor(
    private readonly ctx: RelayContext,
    private readonly gossip: Gossip,
  ) {
    this.#inbox = new KeepAliveInbox({
      judge: (messages) => ctx.presences.receiveKeepAlives(messages),
      judged: (bytes, sender, outcome) => this.#keepAliveJudged(bytes, sender, outcome),
      failed: (error) =>
        ctx.log('error', 'handler_error', {
          code: Code.keepAlivePresence,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
    });
    const lookups = (result: string): Counter =>
      ctx.counters.counter(
        'ixian_presence_lookups_total',
        'Outcome of received presence_lookups, by result',
        {
          result,
        },
      );
    this.#answered = lookups('answered');
    this.#unknown = lookups('unknown');
  }

  #count(what: string, result: string): void {
    this.ctx.counters
      .counter(`ixian_${what}_total`, `Outcome of received ${what}, by result`, { result })
      .add();
  }

  async #bounded(peer: RelayPeer, what: string, work: () => Promise<void>): Promise<void> {
    const n = this.#pending.get(peer.id) ?? 0;
    if (n >= pendingPerPeerMax) {
      this.#count(what, 'peer_limit');
      return;
    }
    this.#pending.set(peer.id, n + 1);
    try {
      await work();
    } finally {
      this.#left(peer);
    }
  }

  #left(peer: RelayPeer): void {
    const left = (this.#pending.get(peer.id) ?? 1) - 1;
    if (left <= 0) this.#pending.delete(peer.id);
    else this.#pending.set(peer.id, left);
  }

  /** One keep-alive (code 34, or an entry of code 7); judged together with all that arrive in this turn. */
  keepAlive(peer: RelayPeer, payload: Uint8Array): void {
    const n = this.#pending.get(peer.id) ?? 0;
    if (n >= pendingPerPeerMax) {
      this.#count('keep_alives', 'peer_limit');
      return;
    }
    this.#pending.set(peer.id, n + 1);
    const { address } = peer.info;
    // Nothing but the connection's own wallet is proven by a keep-alive.
    const newestBefore = mayBeOf(payload, address) ? this.#newest(address) : Number.POSITIVE_INFINITY;
    this.#inbox.add(payload, { peer, newestBefore });
  }

  #keepAliveJudged(
    bytes: Uint8Array,
    { peer, newestBefore }: Sender,
    outcome: KeepAliveOutcome | null,
  ): void {
    this.#left(peer);
    if (outcome === null || outcome.kind === 'refused') return;
    if (outcome.kind === 'unknown') {
      this.ask(peer, outcome.wallet);
      return;
    }
    const { wallet, device, type, timestamp, hostname, announce } = outcome;
    const claim: Claim = { wallet, device, type, timestamp, hostname, bytes };
    this.#maybeProve(peer, claim, newestBefore);
    this.gossip.changed(claim, peer, announce);
  }

  /** Asks a peer for a wallet's presence, within the limits for packets nobody signed (05 §8.3). */
  ask(peer: RelayPeer, wallet: Uint8Array): void {
    if (!peer.isOpen || !this.#asked.allow(String(peer.id), wallet, this.ctx.networkSeconds())) return;
    peer.send(Code.getPresence2, encodeGetPresence2(wallet), 'high');
  }

  #newest(wallet: Uint8Array): number {
    let newest = 0;
    for (const a of this.ctx.store.get(wallet)?.addresses ?? []) newest = Math.max(newest, a.lastSeen);
    return newest;
  }

  /**
   * 07 §9.1 (c): a keep-alive of the connection's own wallet, newer than every entry known for it, proves the
   * key. It must name this relay, or come while nobody else holds a session of the wallet: otherwise somebody
   * could carry the owner's fresh keep-alive from one relay to another and be taken for the owner there. Where
   * nothing is known of the wallet, no entry shows a keep-alive to be a recorded one: there it must be no older
   * than the connection, and the hello must have been verified.
   */
  #maybeProve(peer: RelayPeer, claim: Claim, newestBefore: number): void {
    const { sessions, endpoint, clock } = this.ctx;
    if (!peer.isOpen || !bytesEqual(claim.wallet, peer.info.address)) return;
    if (claim.timestamp <= newestBefore) return;
    const here = claim.hostname === endpoint.text;
    if (newestBefore === 0) {
      const openSeconds = Math.ceil((clock.nowMs() - peer.openedMs) / 1000);
      if (!here || peer.info.verified === 'none') return;
      if (claim.timestamp < this.ctx.networkSeconds() - openSeconds) return;
    }
    const alone = sessions.receivers(peer.info.address).every((r) => r.id === peer.id);
    const sameDevice = bytesEqual(claim.device, peer.info.deviceId);
    if (!here && !(alone && sameDevice)) return;
    peer.proven();
    sessions.prove(peer, 'key');
  }

  /** One presence (code 24, or an entry of code 19). */
  presence(peer: RelayPeer, payload: Uint8Array): Promise<void> {
    const bytes = payload.slice();
    return this.#bounded(peer, 'presences', async () => {
      const newestBefore = this.#newest(peer.info.address);
      const outcome = await this.ctx.presences.receivePresence(bytes);
      if (outcome.kind !== 'changed') return;
      const { wallet, addresses } = outcome.presence;
      for (const a of addresses) {
        const ka = keepAliveOf(wallet, a);
        const claim: Claim = { ...ka, bytes: encodeKeepAlive(ka) };
        // The endpoints of a presence are signed keep-alives; the first one of a client comes in its presence.
        this.#maybeProve(peer, claim, newestBefore);
        this.gossip.changed(claim, peer, true, true);
      }
    });
  }

  /** getPresence2: every stored endpoint in chunks of ten, or silence (05 §10.3). */
  getPresence(peer: RelayPeer, payload: Uint8Array): void {
    const wallet = parseAddress(decodeGetPresence2(payload), 'getPresence2.address');
    const chunks = presenceAnswer(this.ctx.store, wallet);
    (chunks.length === 0 ? this.#unknown : this.#answered).add();
    for (const c of chunks) peer.sendFrame(Code.updatePresence, sealFrame(Code.updatePresence, c));
  }

  /** getRandomPresences: ledger nodes and relays only, never clients (03 §6.2 h). */
  getRandom(peer: RelayPeer, payload: Uint8Array): void {
    const type = decodeGetRandomPresences(payload);
    const { store } = this.ctx;
    for (const p of randomPresences(store, type, this.ctx.networkSeconds(), Math.random))
      for (const c of presenceChunks(p)) peer.send(Code.updatePresence, c, 'high');
  }

  getKeepAlives(peer: RelayPeer, payload: Uint8Array): void {
    for (const chunk of keepAliveChunks(this.ctx.store, readKeepAlivePairs(payload)))
      peer.send(Code.keepAlivesChunk, chunk, 'high');
  }

  keepAlivesChunk(peer: RelayPeer, payload: Uint8Array): void {
    for (const e of decodeKeepAlivesChunk(payload).slice(0, keepAlivesPerChunkMax)) this.keepAlive(peer, e);
  }

  drop(peerId: number): void {
    this.#asked.drop(String(peerId));
  }
}
