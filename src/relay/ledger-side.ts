import type { Timer } from '../clock/index.js';
import {
  type BlockHeader,
  decodeHeader,
  encodeHeader,
  type HeaderChain,
  headerWindow,
  networkHeight,
} from '../ledger/index.js';
import type { PowKnowledge } from '../presence/index.js';
import {
  Code,
  decodeBlockHeaders3,
  decodeGetBlockHeaders3,
  encodeBlockHeaders3,
  encodeGetBlockHeaders3,
  InventoryType,
} from '../wire/index.js';
import type { RelayContext } from './context.js';
import type { Route } from './dispatch.js';
import { type HeaderProgress, HeaderSync } from './header-sync.js';
import { LedgerHandlers } from './ledger-handlers.js';
import { LedgerProxy } from './ledger-proxy.js';
import type { RelayPeer } from './peer.js';
import { PendingTransactions } from './pending-transactions.js';

/** Headers below the tip that are looked at again when a ledger node shows another branch. */
const forkWindowBlocks = 100;
/** A header this deep counts as settled for judging proofs of work (docs/protocol/05 §6.7). */
const settledDepthBlocks = 6;
/** Own headers count as current while the last one is younger (05 §6.7). */
const currentHeaderSeconds = 300;

/** Headers, and what clients ask of the ledger: the half of the relay that faces the ledger nodes. */
export class LedgerSide {
  readonly #sync: HeaderSync;
  readonly #proxy: LedgerProxy;
  readonly #transactions: PendingTransactions;
  readonly #handlers: LedgerHandlers;
  readonly #timers: Timer[] = [];
  /** A peer whose branch differs from ours, asked from further back. */
  #forkPeer: number | null = null;

  constructor(
    private readonly ctx: RelayContext,
    readonly chain: HeaderChain,
    private readonly options: { readonly standalone: boolean; upstreams(): readonly RelayPeer[] },
  ) {
    const { clock, counters, limits } = ctx;
    const upstreams = (): readonly RelayPeer[] => options.upstreams();
    this.#proxy = new LedgerProxy({ clock, counters, limits, upstreams });
    this.#transactions = new PendingTransactions({ clock, counters, upstreams });
    this.#handlers = new LedgerHandlers(ctx, chain, this.#proxy, this.#transactions);
    this.#sync = new HeaderSync({
      clock,
      counters,
      height: () => this.#from() - 1,
      sources: upstreams,
      take: (peer, payload) => this.#take(peer, payload),
      request: (from, count) => encodeGetBlockHeaders3({ from, count }),
      onMismatch: (peer) => this.#mismatch(peer),
    });
  }

  start(): void {
    if (!this.options.standalone) this.#sync.start();
  }

  stop(): void {
    for (const t of this.#timers) t.cancel();
    this.#sync.stop();
    this.#proxy.close();
    this.#transactions.close();
  }

  routes(inventory: Route['handle']): [number, Route][] {
    const h = this.#handlers;
    const ask = (handle: Route['handle']): Route => ({ from: 'anyone', cost: 2, handle });
    const answer = (handle: Route['handle']): Route => ({ from: 'ledger', cost: 0, handle });
    return [
      [Code.inventory2, { from: 'anyone', cost: 2, handle: inventory }],
      [Code.getBlockHeaders3, { from: 'anyone', cost: 5, handle: (p, b) => this.#serveHeaders(p, b) }],
      [Code.getBlockHeaders4, ask((p, b) => h.getHeaders4(p, b))],
      [Code.getBalance2, ask((p, b) => h.getBalance(p, b))],
      [Code.getNameRecord, ask((p, b) => h.getName(p, b))],
      [Code.getPIT2, ask((p, b) => h.getPit(p, b))],
      [Code.getTransaction3, ask((p, b) => h.getTransaction(p, b))],
      [Code.getTransactions2, ask((p, b) => h.getTransactions(p, b))],
      [
        Code.transactionData2,
        {
          from: 'anyone',
          cost: 5,
          handle: (p, b) => (p.isClient ? h.submit(p, b) : p.isRelay ? undefined : h.transaction(p, b)),
        },
      ],
      [Code.blockHeaders3, answer((p, b) => void this.#sync.answered(p, b))],
      [Code.blockHeaders4, answer((p, b) => h.headers4(p, b))],
      [Code.balance2, answer((p, b) => h.balance(p, b))],
      [Code.nameRecord, answer((p, b) => h.name(p, b))],
      [Code.pitData2, answer((p, b) => h.pit(p, b))],
      [Code.rejected, answer((p, b) => h.rejected(p, b))],
      [Code.transactionsChunk3, answer((p, b) => h.transactionsChunk(p, b))],
    ];
  }

  peerOpened(peer: RelayPeer): void {
    if (peer.isLedger) this.#sync.ask(peer);
  }

  peerClosed(peer: RelayPeer): void {
    this.#proxy.dropClient(peer.id);
    this.#proxy.dropUpstream(peer.id);
    this.#sync.dropped(peer.id);
    if (this.#forkPeer === peer.id) this.#forkPeer = null;
  }

  /** A block was announced (inventory type 1): remember the height, fetch what is new (04 §4.1). */
  announced(peer: RelayPeer, number: number): void {
    peer.height = Math.max(peer.height, number);
    if (!peer.isLedger || number <= this.chain.height) return;
    this.#sync.ask(peer);
  }

  /** Height of the network by the outbound ledger nodes' word (09 §12, strict). */
  networkHeight(): number {
    const tip = this.chain.tip;
    return networkHeight(
      this.options.upstreams().map((p) => p.height),
      { height: tip?.number ?? 0, timestamp: tip?.timestamp ?? 0, now: this.ctx.networkSeconds() },
    );
  }

  /** What the presence rules may check proofs of work against (05 §6.7). */
  powKnowledge(): PowKnowledge {
    const tip = this.chain.tip;
    const current = tip !== null && this.ctx.networkSeconds() - tip.timestamp < currentHeaderSeconds;
    return {
      height: current ? tip.number : null,
      blockVersion: tip?.version ?? -1,
      blockChecksum: (block) =>
        block + BigInt(settledDepthBlocks) <= BigInt(this.chain.height)
          ? this.chain.checksumOf(Number(block))
          : null,
    };
  }

  // --- following the chain --------------------------------------------------------------------------------

  #from(): number {
    const { chain } = this;
    // A differing branch is asked for from further back, where it and ours may still agree.
    if (this.#forkPeer !== null) return Math.max(chain.first, chain.height - forkWindowBlocks + 1);
    return chain.wanted;
  }

  #take(peer: RelayPeer, payload: Uint8Array): HeaderProgress {
    const headers: BlockHeader[] = decodeBlockHeaders3(payload.slice()).map((h) => decodeHeader(h, 'any'));
    if (this.#forkPeer === peer.id) return this.#takeBranch(peer, headers);
    const before = this.chain.height;
    const { taken, stopped } = this.chain.appendAll(headers);
    for (const h of headers.slice(-taken)) if (taken > 0 && h.number > before) this.#announce(h);
    if (stopped !== null && stopped.kind !== 'gap')
      this.ctx.log('warn', 'header_refused', { peer: peer.sourceAddress, height: before, why: stopped.kind });
    return { appended: taken, mismatch: taken === 0 && stopped?.kind === 'fork' };
  }

  #mismatch(peer: RelayPeer): void {
    if (this.#forkPeer !== null) return;
    this.#forkPeer = peer.id;
    this.ctx.log('warn', 'header_branch', { peer: peer.sourceAddress, height: this.chain.height });
    this.#sync.ask(peer);
  }

  /** A branch is taken only as a whole and only when it is longer than ours (09 §7.5, better rule). */
  #takeBranch(peer: RelayPeer, headers: readonly BlockHeader[]): HeaderProgress {
    this.#forkPeer = null;
    const fork = headers.findIndex((h) => {
      const ours = this.chain.checksumOf(h.number);
      return ours === null || ours.some((b, i) => b !== h.checksum[i]);
    });
    if (fork < 0) return { appended: 0, mismatch: false };
    const result = this.chain.adopt(headers.slice(fork));
    this.ctx.log('warn', 'header_branch_judged', {
      peer: peer.sourceAddress,
      verdict: result.kind === 'adopted' ? 'adopted' : result.reason,
      height: this.chain.height,
    });
    return { appended: result.kind === 'adopted' ? result.added : 0, mismatch: false };
  }

  /** Every new header is told to our clients, as the reference does (04 §4.2). */
  #announce(h: BlockHeader): void {
    for (const p of this.ctx.peers.filter((x) => x.isInbound && x.isClient))
      p.link.announce({ type: InventoryType.block, hash: h.checksum, block: h.number });
  }

  /** getBlockHeaders3 from the own chain (09 §7.1); we serve up to the tip, so that nobody lags behind us. */
  async #serveHeaders(peer: RelayPeer, payload: Uint8Array): Promise<void> {
    const q = decodeGetBlockHeaders3(payload);
    const window = headerWindow(q.from, q.count, this.chain.height, { servesTip: true });
    if (window === null) return;
    const headers = await this.chain.range(window);
    if (headers.length === 0 || !peer.isOpen) return;
    const encoded = headers.map((h) =>
      encodeHeader(h, { signatures: 'compacted', tail: 'difficulty', transactions: false }),
    );
    peer.send(Code.blockHeaders3, encodeBlockHeaders3(encoded));
  }
}
