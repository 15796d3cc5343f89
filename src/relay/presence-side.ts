import type { Timer } from '../clock/index.js';
import { sectorPrefix } from '../identity/index.js';
import { addressOf, encodeKeepAlive, type KeepAlive, type Presence } from '../presence/index.js';
import {
  bytesEqual,
  Code,
  decodeGetSectorNodes,
  decodeSectorNodes,
  encodeGetKeepAlives,
  encodeGetSectorNodes,
} from '../wire/index.js';
import type { RelayContext } from './context.js';
import { handleInventory, type Route } from './dispatch.js';
import { type Claim, Gossip } from './gossip.js';
import { type Fetch, KeepAliveFetch, type Known } from './keep-alive-fetch.js';
import type { LedgerSide } from './ledger-side.js';
import { sectorNodesMax, sectorNodesMin } from './limits.js';
import { RELAY_PRODUCT_VERSION, type RelayOptions } from './options.js';
import type { RelayPeer } from './peer.js';
import { PresenceHandlers } from './presence-handlers.js';
import { SectorAnswers } from './sector-answers.js';
import { SectorPeers } from './sector-peers.js';
import { SectorQuestions } from './sector-questions.js';

/** Own sector asked again this often (docs/protocol/06 §7). */
const ownSectorMs = 300_000;
/** While fewer than two neighbours are known it is asked sooner, at growing intervals between these. */
const ownSectorUnknownMs = 2_000;
const ownSectorUnknownMostMs = 30_000;
/** Relays asked for around the own place (06 §7). */
const ownSectorAsked = 8;
/** Ledger nodes one sector question goes to (06 §6.2 Strict: two or three). */
const sectorFanOut = 2;
/** Announcements without their keep-alive are looked at this often. */
const fetchSweepMs = 10_000;
/** Pairs of one getKeepAlives (04 §6.1). */
const keepAlivePairsMax = 500;

/** Presences, sectors and their gossip: the half of the relay that knows where everybody is. */
export class PresenceSide {
  readonly sectorPeers: SectorPeers;
  readonly gossip: Gossip;
  readonly #handlers: PresenceHandlers;
  readonly #questions: SectorQuestions;
  readonly #sectorAnswers: SectorAnswers;
  readonly #fetch = new KeepAliveFetch();
  readonly #timers: Timer[] = [];
  #ownAskedMs = Number.NEGATIVE_INFINITY;
  #ownAskMs = ownSectorUnknownMs;
  /** Of all connections together. */
  #subscriptionBytes = 0;

  constructor(
    private readonly ctx: RelayContext,
    private readonly options: { readonly standalone: boolean },
  ) {
    this.sectorPeers = new SectorPeers(ctx);
    this.gossip = new Gossip(ctx, (wallets) => this.sectorPeers.want(wallets));
    this.#handlers = new PresenceHandlers(ctx, this.gossip);
    this.#sectorAnswers = new SectorAnswers(ctx.store, ctx.tree);
    this.#questions = new SectorQuestions({
      clock: ctx.clock,
      askLedger: (prefix, max) => this.#askLedger(prefix, max),
      answer: (peer, prefix, max) => this.#answer(peer as RelayPeer, prefix, max),
    });
  }

  start(): void {
    const { clock } = this.ctx;
    this.#timers.push(
      clock.every(fetchSweepMs, () =>
        this.#send(this.#fetch.sweep((i) => this.#known(i), clock.nowMs(), this.ctx.networkSeconds())),
      ),
      clock.every(ownSectorUnknownMs, () => {
        const alone = this.sectorPeers.ownSector().length < 2;
        if (clock.nowMs() - this.#ownAskedMs < (alone ? this.#ownAskMs : ownSectorMs)) return;
        this.#ownAskMs = alone ? Math.min(2 * this.#ownAskMs, ownSectorUnknownMostMs) : ownSectorUnknownMs;
        this.refreshOwnSector();
      }),
    );
  }

  stop(): void {
    for (const t of this.#timers) t.cancel();
    this.#questions.close();
  }

  routes(): [number, Route][] {
    const h = this.#handlers;
    return [
      [Code.keepAlivePresence, { from: 'anyone', cost: 1, handle: (p, b) => h.keepAlive(p, b) }],
      [Code.updatePresence, { from: 'anyone', cost: 2, handle: (p, b) => h.presence(p, b) }],
      [Code.getPresence2, { from: 'anyone', cost: 1, handle: (p, b) => h.getPresence(p, b) }],
      [Code.getRandomPresences, { from: 'anyone', cost: 5, handle: (p, b) => h.getRandom(p, b) }],
      [Code.getKeepAlives, { from: 'anyone', cost: 5, handle: (p, b) => h.getKeepAlives(p, b) }],
      [Code.keepAlivesChunk, { from: 'anyone', cost: 5, handle: (p, b) => h.keepAlivesChunk(p, b) }],
      [Code.getSectorNodes, { from: 'anyone', cost: 1, handle: (p, b) => this.#getSectorNodes(p, b) }],
      [Code.sectorNodes, { from: 'ledger-or-relay', cost: 0, handle: (p, b) => this.#sectorNodes(p, b) }],
      // Each item goes into the index of watchers: a filter of 64 KiB takes milliseconds.
      [Code.attachEvent, { from: 'anyone', cost: 2, costPerKiB: 1, handle: (p, b) => this.#attach(p, b) }],
      [Code.detachEvent, { from: 'anyone', cost: 1, handle: (p, b) => this.#detach(p, b) }],
    ];
  }

  /** Asks a peer for a wallet's presence. */
  ask(peer: RelayPeer, wallet: Uint8Array): void {
    this.#handlers.ask(peer, wallet);
  }

  peerClosed(peer: RelayPeer): void {
    this.#handlers.drop(peer.id);
    this.#subscriptionBytes -= peer.subscriptions?.bytes ?? 0;
  }

  /** Keeps the sum of all filters right while those of one connection change. */
  #subscribing<T>(peer: RelayPeer, change: () => T): T {
    const before = peer.subscriptions?.bytes ?? 0;
    try {
      return change();
    } finally {
      this.#subscriptionBytes += (peer.subscriptions?.bytes ?? 0) - before;
    }
  }

  #detach(peer: RelayPeer, payload: Uint8Array): void {
    const before = peer.subscriptions?.types.length ?? 0;
    this.#subscribing(peer, () => peer.subscribing().detach(payload));
    // An item that was detached alone may stay in the index: whether it is still wanted, its filter says.
    if (peer.subscriptions?.types.length !== before) this.ctx.peers.subscribed(peer);
  }

  #attach(peer: RelayPeer, payload: Uint8Array): void {
    const room = this.ctx.limits.subscriptionBytesTotalMax - this.#subscriptionBytes;
    const outcome = this.#subscribing(peer, () => peer.subscribing().attach(payload, room));
    if (outcome.kind === 'attached') this.ctx.peers.subscribed(peer);
    this.ctx.counters
      .counter('ixian_subscriptions_total', 'attachEvent requests by outcome', {
        result: outcome.kind === 'attached' ? 'attached' : outcome.reason,
      })
      .add();
  }

  // --- sectors --------------------------------------------------------------------------------------------

  #getSectorNodes(peer: RelayPeer, payload: Uint8Array): void {
    const q = decodeGetSectorNodes(payload);
    const max = Math.min(Math.max(q.max, sectorNodesMin), sectorNodesMax);
    // With as many relays as asked for, or no ledger to ask, the own tree is the answer (06 §6.2 Strict).
    const trusted = this.options.standalone || this.ctx.tree.size > max;
    this.#questions.ask(peer, q.prefix, max, trusted);
  }

  #answer(peer: RelayPeer, prefix: Uint8Array, max: number): void {
    peer.sendFrame(Code.sectorNodes, this.#sectorAnswers.frame(prefix, max));
  }

  #askLedger(prefix: Uint8Array, max: number): number {
    const payload = encodeGetSectorNodes({ prefix, max });
    let asked = 0;
    for (const p of this.ctx.peers.filter((x) => x.role === 'ledger' && x.isLedger)) {
      if (asked >= sectorFanOut) break;
      if (p.send(Code.getSectorNodes, payload, 'high')) asked++;
    }
    return asked;
  }

  /** Asks the ledger for the relays around our own place. */
  refreshOwnSector(): void {
    this.#ownAskedMs = this.ctx.clock.nowMs();
    if (!this.options.standalone) this.#questions.refresh(sectorPrefix(this.ctx.ownWallet), ownSectorAsked);
  }

  /** Only what was asked for within 30 s counts; everything else is ignored (06 §6.2 Strict). */
  async #sectorNodes(peer: RelayPeer, payload: Uint8Array): Promise<void> {
    const m = decodeSectorNodes(payload.slice());
    if (peer.isInbound || !this.#questions.expects(m.prefix)) {
      this.ctx.counters
        .counter('ixian_frames_dropped_total', 'Messages not handled, by reason', {
          reason: 'unasked_sector_nodes',
        })
        .add();
      return;
    }
    await Promise.all(
      m.presences.map((p) => new Promise<void>((done) => this.#handlers.presence(peer, p, done))),
    );
    this.#questions.answered(m.prefix);
  }

  // --- inventory ------------------------------------------------------------------------------------------

  inventory(peer: RelayPeer, payload: Uint8Array, ledger: LedgerSide | null): void {
    handleInventory(
      {
        block: (p, number) => ledger?.announced(p, number),
        keepAlives: (p, items) => {
          const { clock } = this.ctx;
          const fetches: Fetch[] = [];
          for (const item of items) {
            if (bytesEqual(item.wallet, this.ctx.ownWallet)) continue;
            const f = this.#fetch.offered(
              p,
              item,
              (i) => this.#known(i),
              clock.nowMs(),
              this.ctx.networkSeconds(),
            );
            if (f !== null) fetches.push(f);
          }
          this.#send(fetches);
        },
      },
      peer,
      payload,
    );
  }

  #known(item: { wallet: Uint8Array; device: Uint8Array }): Known {
    const { store } = this.ctx;
    const entry = store.entry(item.wallet, item.device);
    return { wallet: entry !== null, lastSeen: entry?.address.lastSeen ?? null };
  }

  #send(fetches: readonly Fetch[]): void {
    const perPeer = new Map<RelayPeer, Fetch[]>();
    for (const f of fetches) {
      const peer = f.peer as RelayPeer;
      if (f.kind === 'presence') this.#handlers.ask(peer, f.wallet);
      else perPeer.set(peer, [...(perPeer.get(peer) ?? []), f]);
    }
    for (const [peer, list] of perPeer)
      for (let i = 0; i < list.length; i += keepAlivePairsMax)
        peer.send(
          Code.getKeepAlives,
          encodeGetKeepAlives(
            list.slice(i, i + keepAlivePairsMax).map((f) => ({ address: f.wallet, device: f.device })),
          ),
          'high',
        );
  }

  // --- own presence ---------------------------------------------------------------------------------------

  /** What the own keep-alive says, with its bytes. */
  claimOf(ka: KeepAlive): Claim {
    return { ...ka, bytes: encodeKeepAlive(ka) };
  }

  /** Stores a new own keep-alive, from where it is served and never expires while we run. */
  setOwn(ka: KeepAlive, options: RelayOptions): Presence {
    const own: Presence = {
      version: 1,
      wallet: this.ctx.ownWallet,
      publicKey: options.signer.publicKey,
      metadata: null,
      addresses: [addressOf(ka, options.productVersion ?? RELAY_PRODUCT_VERSION)],
    };
    this.ctx.presences.setOwn(own);
    return own;
  }
}
