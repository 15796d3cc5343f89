import type { Timer } from '../clock/index.js';
import {
  type BlockHeader,
  decodeHeader,
  encodeHeader,
  groupHeaders,
  type HeaderChain,
  type HeaderForm,
  headerWindow,
  isSuperblock,
  networkHeight,
} from '../ledger/index.js';
import type { PowKnowledge } from '../presence/index.js';
import {
  Code,
  concatBytes,
  decodeBlockHeaders3,
  decodeGetBlockHeaders3,
  decodeGetBlockHeaders4,
  encodeBlockHeaders3,
  encodeGetBlockHeaders3,
  HeaderMode,
  headersQuestionKey,
  InventoryType,
} from '../wire/index.js';
import type { RelayContext } from './context.js';
import type { Route } from './dispatch.js';
import { HeaderBranch } from './header-branch.js';
import { type HeaderProgress, type HeaderQuestion, HeaderSync } from './header-sync.js';
import { LedgerHandlers } from './ledger-handlers.js';
import { LedgerProxy } from './ledger-proxy.js';
import type { AskingPeer, RelayPeer } from './peer.js';
import { PendingTransactions } from './pending-transactions.js';

/** Difficulty 1.0 in units: the safe constant of 09 §7.3. */
const unknownDifficulty = 100_000_000n;
/** A header this deep counts as settled for judging proofs of work (docs/protocol/05 §6.7). */
export const settledDepthBlocks = 6;
/** Own headers count as current while the last one is younger (05 §6.7). */
export const currentHeaderSeconds = 300;

/** Headers, and what clients ask of the ledger: the half of the relay that faces the ledger nodes. */
export class LedgerSide {
  readonly #sync: HeaderSync;
  readonly #proxy: LedgerProxy;
  readonly #transactions: PendingTransactions;
  readonly #handlers: LedgerHandlers;
  readonly #timers: Timer[] = [];
  readonly #branch: HeaderBranch;

  constructor(
    private readonly ctx: RelayContext,
    readonly chain: HeaderChain,
    private readonly options: {
      readonly standalone: boolean;
      upstreams(): readonly RelayPeer[];
      /** A header was added to the chain. */
      onHeader?(): void;
    },
  ) {
    const { clock, counters, limits } = ctx;
    const upstreams = (): readonly RelayPeer[] => options.upstreams();
    this.#proxy = new LedgerProxy({ clock, counters, limits, upstreams });
    this.#transactions = new PendingTransactions({ clock, counters, upstreams });
    this.#handlers = new LedgerHandlers(ctx, chain, this.#proxy, this.#transactions);
    this.#branch = new HeaderBranch(chain, upstreams);
    this.#sync = new HeaderSync({
      clock,
      counters,
      height: () => chain.wanted - 1,
      sources: () => this.#branch.trusted(upstreams()),
      branchFrom: () => this.#branch.from,
      take: (peer, payload, question) => this.#take(peer, payload, question),
      branchUnanswered: () => this.#branch.forget(),
      request: (from, count) => encodeGetBlockHeaders3({ from, count }),
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
      [Code.getBlockHeaders4, ask((p, b) => this.#getHeaders4(p, b))],
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

  /** A question of a client of another process. */
  ask(peer: AskingPeer, code: number, payload: Uint8Array): void {
    const h = this.#handlers;
    if (code === Code.getBlockHeaders3) void this.#serveHeaders(peer, payload);
    else if (code === Code.getBlockHeaders4) void this.#getHeaders4(peer, payload);
    else if (code === Code.getBalance2) h.getBalance(peer, payload);
    else if (code === Code.getNameRecord) h.getName(peer, payload);
    else if (code === Code.getPIT2) h.getPit(peer, payload);
    else if (code === Code.getTransaction3) h.getTransaction(peer, payload);
    else if (code === Code.getTransactions2) h.getTransactions(peer, payload);
    else if (code === Code.transactionData2 && peer.isClient) h.submit(peer, payload);
  }

  /** A client of another process went. */
  askerGone(id: number): void {
    this.#proxy.dropClient(id);
  }

  peerOpened(peer: RelayPeer): void {
    if (!peer.isLedger) return;
    this.#sync.ask(peer);
    this.#proxy.upstreamOpened();
  }

  peerClosed(peer: RelayPeer): void {
    this.#proxy.dropClient(peer.id);
    this.#proxy.dropUpstream(peer.id);
    this.#transactions.dropUpstream(peer.id);
    this.#branch.dropped(peer.id);
    this.#sync.dropped(peer.id);
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

  #take(peer: RelayPeer, payload: Uint8Array, question: HeaderQuestion): HeaderProgress {
    const headers: BlockHeader[] = decodeBlockHeaders3(payload.slice()).map((h) => decodeHeader(h, 'any'));
    const before = this.chain.height;
    if (question === 'branch') {
      const verdict = this.#branch.judge(peer, headers);
      this.ctx.log('warn', 'header_branch', {
        peer: peer.sourceAddress,
        verdict: verdict.kind === 'refused' ? verdict.reason : verdict.kind,
        height: before,
      });
      if (verdict.kind === 'adopted') for (const h of verdict.headers) this.#announce(h);
      return {
        appended: verdict.kind === 'adopted' ? verdict.headers.length : 0,
        askBranch: verdict.kind === 'confirm' ? verdict.peer : null,
      };
    }
    const { taken, stopped } = this.chain.appendAll(headers);
    for (const h of headers) if (h.number > before && h.number <= this.chain.height) this.#announce(h);
    if (stopped !== null && stopped.kind !== 'gap')
      this.ctx.log('warn', 'header_refused', { peer: peer.sourceAddress, height: before, why: stopped.kind });
    return { appended: taken, askBranch: taken === 0 && stopped?.kind === 'fork' ? peer : null };
  }

  /** Every new header is told to our clients, as the reference does (04 §4.2). */
  #announce(h: BlockHeader): void {
    this.options.onHeader?.();
    for (const p of this.ctx.peers.filter((x) => x.isInbound && x.isClient))
      p.link.announce({ type: InventoryType.block, hash: h.checksum, block: h.number });
  }

  /** getBlockHeaders3 from the own chain (09 §7.1); we serve up to the tip, so that nobody lags behind us. */
  async #serveHeaders(peer: AskingPeer, payload: Uint8Array): Promise<void> {
    const q = decodeGetBlockHeaders3(payload);
    const window = headerWindow(q.from, q.count, this.chain.height, { servesTip: true });
    if (window === null) return;
    const headers = await this.chain.range(window);
    if (headers.length === 0 || !peer.isOpen) return;
    // Only the 0.9.7 line asks this way, and it reads the bits form (09 §7.3).
    const encoded = headers.map((h) => encodeHeader(readable(h), { signatures: 'compacted', tail: 'bits' }));
    for (const group of groupHeaders(encoded)) peer.send(Code.blockHeaders3, encodeBlockHeaders3(group));
  }

  /**
   * getBlockHeaders4: from the own chain where our copy is all the asker can get, or where there is nobody to
   * pass the question to; otherwise the ledger's (09 §7.4, §13).
   */
  async #getHeaders4(peer: AskingPeer, payload: Uint8Array): Promise<void> {
    const q = decodeGetBlockHeaders4(payload);
    const { mode } = q;
    const bare = q.filter === null && (mode === undefined || mode === HeaderMode.minimal);
    const passOn = this.options.upstreams().length > 0;
    const window = headerWindow(q.from, q.count, this.chain.height, { servesTip: true });
    if (passOn && (!bare || window === null)) {
      this.#handlers.getHeaders4(peer, payload);
      return;
    }
    if (window === null || (mode ?? 0) > HeaderMode.transactions) return;
    const copy = payload.slice();
    const headers = await this.chain.range(window);
    if (headers.length === 0 || !peer.isOpen) return;
    // The 0.9.8 line weighs branches by the difficulty, which headers with signatures do not name here.
    const complete = headers.every(
      (h) => !isSuperblock(h.number) && (mode === undefined || h.signatures.length === 0),
    );
    if (passOn && !complete) {
      this.#handlers.getHeaders4(peer, copy);
      return;
    }
    const encoded = headers.map((h) => encodeHeader(readable(h), formFor(mode, isSuperblock(h.number))));
    const answer = [headersQuestionKey(copy), encodeBlockHeaders3(groupHeaders(encoded)[0] ?? [])];
    peer.send(Code.blockHeaders4, concatBytes(...answer), 'high');
  }
}

/** A total difficulty of 0 cannot be read back by the 0.9.7 line: 1.0 stands for "not known" (09 §7.3). */
function readable(h: BlockHeader): BlockHeader {
  return h.signerDifficulty > 0n ? h : { ...h, signerDifficulty: unknownDifficulty };
}

/** The table of 09 §7.4. */
function formFor(mode: number | undefined, superblock: boolean): HeaderForm {
  const tail = mode === undefined ? 'bits' : 'difficulty';
  if (superblock || mode === HeaderMode.transactions) return { signatures: 'full', tail, transactions: true };
  if (mode === HeaderMode.pocw) return { signatures: 'compacted', tail };
  return { signatures: mode === HeaderMode.signatures ? 'full' : 'none', tail };
}
