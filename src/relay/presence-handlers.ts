import type { Counter } from '../counters/index.js';
import { parseAddress } from '../identity/index.js';
import {
  encodeKeepAlive,
  type KeepAliveOutcome,
  keepAliveChunks,
  keepAliveOf,
  type PresenceAddress,
  type PresenceOutcome,
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
import { ClaimInbox, KEEP_ALIVES, PRESENCES } from './claim-inbox.js';
import type { RelayContext } from './context.js';
import type { Claim, Gossip } from './gossip.js';
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

/** As {@link Sender}, of a presence. */
interface Carrier extends Sender {
  /** Called when all that follows from the presence has been done. */
  readonly done: (() => void) | undefined;
}

/** Versions of keep-alives and presences whose wallet stands where {@link walletAt} says. */
const keepAliveVersion = 2;
const presenceVersion = 1;
/** Where the wallet stands in them: behind the version and a length of one byte. */
const walletAt = 2;

/** False when a claim of that version is surely not about that wallet (docs/protocol/05 §4.1, §5.1). */
function mayBeOf(claim: Uint8Array, version: number, wallet: Uint8Array): boolean {
  if (claim[0] !== version || claim[1] !== wallet.length) return true;
  return bytesEqualAt(claim, walletAt, wallet.length, wallet);
}

/** An endpoint of a verified presence as a claim; encoded only for those who are told of it. */
function claimOf(wallet: Uint8Array, address: PresenceAddress): Claim {
  const ka = keepAliveOf(wallet, address);
  let encoded: Uint8Array | null = null;
  return {
    ...ka,
    get bytes() {
      encoded ??= encodeKeepAlive(ka);
      return encoded;
    },
  };
}

/**
 * Everything about presences that arrives as a message: keep-alives and presences in, lookups out
 * (docs/protocol/05 §10.3). Verification runs off the main thread; a connection may have only so much of it
 * in progress, so that one flooding peer cannot fill the verify queue.
 */
export class PresenceHandlers {
  readonly #answered: Counter;
  readonly #unknown: Counter;
  readonly #asked = new PresenceRequestLimiter();
  readonly #keepAlives: ClaimInbox<Sender, KeepAliveOutcome>;
  readonly #presences: ClaimInbox<Carrier, PresenceOutcome>;

  constructor(
    private readonly ctx: RelayContext,
    private readonly gossip: Gossip,
  ) {
    this.#presences = new ClaimInbox(PRESENCES, {
      judge: (messages) => ctx.presences.receivePresences(messages),
      judged: (_bytes, sender, outcome) => this.#presenceJudged(sender, outcome),
      failed: (error) => this.#failed(Code.updatePresence, error),
    });
    this.#keepAlives = new ClaimInbox(KEEP_ALIVES, {
      judge: (messages) => {
        // What came before them goes to the verify engine before them.
        this.#presences.flush();
        return ctx.presences.receiveKeepAlives(messages);
      },
      judged: (bytes, sender, outcome) => this.#keepAliveJudged(bytes, sender, outcome),
      failed: (error) => this.#failed(Code.keepAlivePresence, error),
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

  #failed(code: number, error: unknown): void {
    const why = { reason: 'handler_error' };
    this.ctx.counters.counter('ixian_frames_dropped_total', 'Messages not handled, by reason', why).add();
    this.ctx.log('error', 'handler_error', {
      code,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }

  /** False, and counted, when the peer has as much in progress as it may. */
  #begins(peer: RelayPeer, what: 'keep_alives' | 'presences'): boolean {
    if (peer.claimsPending >= pendingPerPeerMax) {
      this.#count(what, 'peer_limit');
      return false;
    }
    peer.claimsPending++;
    return true;
  }

  /** One keep-alive (code 34, or an entry of code 7); judged together with all that arrive in this turn. */
  keepAlive(peer: RelayPeer, payload: Uint8Array): void {
    if (!this.#begins(peer, 'keep_alives')) return;
    this.#keepAlives.add(payload, {
      peer,
      newestBefore: this.#newestBefore(peer, payload, keepAliveVersion),
    });
  }

  /** Nothing but the connection's own wallet is proven by a claim. */
  #newestBefore(peer: RelayPeer, claim: Uint8Array, version: number): number {
    const { address } = peer.info;
    return mayBeOf(claim, version, address) ? this.#newest(address) : Number.POSITIVE_INFINITY;
  }

  #keepAliveJudged(
    bytes: Uint8Array,
    { peer, newestBefore }: Sender,
    outcome: KeepAliveOutcome | null,
  ): void {
    peer.claimsPending--;
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
    if (!peer.isOpen || claim.timestamp <= newestBefore) return;
    // Made anew of the kept key each time it is asked for.
    const { address } = peer.info;
    if (!bytesEqual(claim.wallet, address)) return;
    const here = claim.hostname === endpoint.text;
    if (newestBefore === 0) {
      const openSeconds = Math.ceil((clock.nowMs() - peer.openedMs) / 1000);
      if (!here || peer.info.verified === 'none') return;
      if (claim.timestamp < this.ctx.networkSeconds() - openSeconds) return;
    }
    const alone = sessions.receivers(address).every((r) => r.id === peer.id);
    const sameDevice = bytesEqual(claim.device, peer.info.deviceId);
    if (!here && !(alone && sameDevice)) return;
    peer.proven();
    sessions.prove(peer, 'key');
  }

  /**
   * One presence (code 24, or an entry of code 19); judged together with all that arrive in this turn. `done` is called
   * once, also when it was not looked at.
   */
  presence(peer: RelayPeer, payload: Uint8Array, done?: () => void): void {
    if (!this.#begins(peer, 'presences')) {
      done?.();
      return;
    }
    const newestBefore = this.#newestBefore(peer, payload, presenceVersion);
    this.#presences.add(payload, { peer, newestBefore, done });
  }

  #presenceJudged({ peer, newestBefore, done }: Carrier, outcome: PresenceOutcome | null): void {
    peer.claimsPending--;
    try {
      if (outcome?.kind !== 'changed') return;
      const { wallet, addresses } = outcome.presence;
      for (const a of addresses) {
        const claim = claimOf(wallet, a);
        // The endpoints of a presence are signed keep-alives; the first one of a client comes in its presence.
        this.#maybeProve(peer, claim, newestBefore);
        this.gossip.changed(claim, peer, true, true);
      }
    } finally {
      done?.();
    }
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
