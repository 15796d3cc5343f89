import type { Bus } from '../cluster/index.js';
import type { BlockTip } from '../link/index.js';
import type { PowKnowledge } from '../presence/index.js';
import { InventoryType } from '../wire/index.js';
import { emptyTip } from './connections.js';
import type { RelayContext } from './context.js';
import { currentHeaderSeconds, settledDepthBlocks } from './ledger-side.js';
import { UNKNOWN_BLOCK_VERSION } from './options.js';
import type { AskingPeer } from './peer.js';
import { TokenBucket } from './token-bucket.js';

const askTopic = 'ledger?';
const tellTopic = 'ledger';
const stateTopic = 'leader';
const transactionTopic = 'transaction';
/** Checksums of the last blocks that followers need to judge proofs of work: 120 blocks and slack (05 §6.5). */
export const checksumsKept = 150;
/** Of those, told with every state. */
const checksumsTold = 8;

/** What followers know from the leader. */
export interface LeaderState {
  readonly height: number;
  readonly checksum: string;
  readonly blockVersion: number;
  readonly headerSeconds: number;
  readonly networkHeight: number;
  readonly timeDifferenceSeconds: number;
  readonly unclampedSeconds: number;
  readonly endpointIp: string;
  readonly ledgerPeers: number;
  readonly sectorPeers: number;
  /** Numbers and checksums of the last blocks. */
  readonly blocks: readonly (readonly [number, string])[];
}

const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');
const unhex = (t: string): Uint8Array => new Uint8Array(Buffer.from(t, 'hex'));

/** A client of another process that asks the ledger through this one. */
class RemoteAsker implements AskingPeer {
  readonly isClient: boolean;
  readonly isRelay: boolean;
  readonly #transactions: TokenBucket;
  isOpen = true;

  constructor(
    readonly id: number,
    nodeType: string,
    ctx: RelayContext,
    private readonly tell: (
      code: number,
      payload: Uint8Array,
      priority: 'high' | 'normal' | 'low',
    ) => boolean,
  ) {
    this.isClient = nodeType === 'C';
    this.isRelay = nodeType === 'R';
    const { transactionsPerSecond, transactionsBurst } = ctx.limits;
    this.#transactions = new TokenBucket(transactionsPerSecond, transactionsBurst, ctx.clock.nowMs());
  }

  maySubmit(limits: { transactionsPerSecond: number; transactionsBurst: number }, nowMs: number): boolean {
    if (limits.transactionsPerSecond === 0) return true;
    this.#transactions.setRate(limits.transactionsPerSecond, limits.transactionsBurst);
    return this.#transactions.take(nowMs);
  }

  send(code: number, payload: Uint8Array, priority: 'high' | 'normal' | 'low' = 'normal'): boolean {
    return this.isOpen && this.tell(code, payload, priority);
  }
}

const PRIORITIES = ['high', 'normal', 'low'] as const;

export interface ClusterLedgerOptions {
  readonly leader: () => string | null;
  /** A question of another process's client; only asked of the leader. */
  ask(peer: AskingPeer, code: number, payload: Uint8Array): void;
  /** The leader told its state. */
  state(s: LeaderState): void;
  /** A transaction that nobody asked for: subscribers connected here hear of it. */
  transaction(payload: Uint8Array): void;
}

/** Questions to the ledger and what comes of them, between the processes: the leader alone is connected to it. */
export class ClusterLedger {
  readonly #askers = new Map<number, RemoteAsker>();
  readonly #blocks = new Map<number, Uint8Array>();
  #state: LeaderState | null = null;

  constructor(
    private readonly ctx: RelayContext,
    private readonly bus: Bus,
    private readonly options: ClusterLedgerOptions,
  ) {
    bus.on(askTopic, (from, payload) => this.#asked(from, payload));
    bus.on(tellTopic, (_from, payload) => this.#told(payload));
    bus.on(stateTopic, (from, payload) => {
      if (from === options.leader()) this.#took(JSON.parse(Buffer.from(payload).toString()) as LeaderState);
    });
    bus.on(transactionTopic, (_from, payload) => options.transaction(payload.slice()));
  }

  #count(result: string): void {
    this.ctx.counters
      .counter(
        'ixian_cluster_questions_total',
        'Questions to the ledger through the leading process, by result',
        {
          result,
        },
      )
      .add();
  }

  /** Asks the leader on behalf of a connection here. */
  ask(peer: { readonly id: number; readonly nodeType: string }, code: number, payload: Uint8Array): void {
    const leader = this.options.leader();
    const out = new Uint8Array(11 + payload.length);
    const view = new DataView(out.buffer);
    view.setFloat64(0, peer.id, true);
    view.setUint16(8, code, true);
    out[10] = peer.nodeType.charCodeAt(0);
    out.set(payload, 11);
    // Without a leader nobody is asked: clients repeat what is not answered (09 §13).
    this.#count(leader !== null && this.bus.send(leader, askTopic, out) ? 'asked' : 'no_leader');
  }

  #asked(from: string, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const id = view.getFloat64(0, true);
    let asker = this.#askers.get(id);
    if (asker === undefined) {
      asker = new RemoteAsker(id, String.fromCharCode(bytes[10]!), this.ctx, (code, payload, priority) => {
        const out = new Uint8Array(11 + payload.length);
        const v = new DataView(out.buffer);
        v.setFloat64(0, id, true);
        v.setUint16(8, code, true);
        out[10] = PRIORITIES.indexOf(priority);
        out.set(payload, 11);
        return this.bus.send(from, tellTopic, out);
      });
      this.#askers.set(id, asker);
    }
    this.options.ask(asker, view.getUint16(8, true), bytes.subarray(11));
  }

  #told(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const peer = this.ctx.peers.get(view.getFloat64(0, true));
    if (peer?.isOpen === true)
      peer.send(view.getUint16(8, true), bytes.slice(11), PRIORITIES[bytes[10]!] ?? 'normal');
  }

  /** A connection of another process ended; true when it had asked something. */
  gone(id: number): boolean {
    const asker = this.#askers.get(id);
    if (asker === undefined) return false;
    asker.isOpen = false;
    return this.#askers.delete(id);
  }

  // --- what the leader knows ------------------------------------------------------------------------------

  /** Leader: tells the others, or one newcomer. */
  tellState(
    s: Omit<LeaderState, 'blocks'>,
    blocks: readonly (readonly [number, Uint8Array])[],
    to?: string,
  ): void {
    const told = to === undefined ? blocks.slice(-checksumsTold) : blocks;
    const state: LeaderState = { ...s, blocks: told.map(([n, c]) => [n, hex(c)] as const) };
    const payload = Buffer.from(JSON.stringify(state));
    if (to === undefined) this.bus.publish(stateTopic, payload, 'control');
    else this.bus.send(to, stateTopic, payload, 'control');
  }

  /** Leader: a transaction for subscribers. */
  tellTransaction(payload: Uint8Array): void {
    this.bus.publish(transactionTopic, payload.slice());
  }

  #took(s: LeaderState): void {
    const before = this.#state?.height ?? 0;
    this.#state = s;
    const fresh: [number, Uint8Array][] = [];
    for (const [n, c] of s.blocks) {
      if (before > 0 && n > before) fresh.push([n, unhex(c)]);
      this.#blocks.delete(n);
      this.#blocks.set(n, unhex(c));
    }
    while (this.#blocks.size > checksumsKept) this.#blocks.delete(this.#blocks.keys().next().value!);
    // Every new header is told to our clients, as the leader tells its own (04 §4.2).
    for (const [block, hash] of fresh)
      for (const p of this.ctx.peers.filter((x) => x.isInbound && x.isClient))
        p.link.announce({ type: InventoryType.block, hash, block });
    this.options.state(s);
  }

  /** The last state the leader told, null before the first. */
  get state(): LeaderState | null {
    return this.#state;
  }

  /** Tip for helloData by the leader's word. */
  tip(): BlockTip {
    const s = this.#state;
    if (s === null || s.height === 0) return emptyTip(UNKNOWN_BLOCK_VERSION);
    return { number: s.height, checksum: unhex(s.checksum), version: s.blockVersion };
  }

  /** What proofs of work are judged by, by the leader's word (05 §6.7). */
  powKnowledge(): PowKnowledge {
    const s = this.#state;
    const current =
      s !== null && s.height > 0 && this.ctx.networkSeconds() - s.headerSeconds < currentHeaderSeconds;
    return {
      height: current ? s.height : null,
      blockVersion: s === null || s.height === 0 ? -1 : s.blockVersion,
      blockChecksum: (block) =>
        s !== null && Number(block) + settledDepthBlocks <= s.height
          ? (this.#blocks.get(Number(block)) ?? null)
          : null,
    };
  }
}

/** The last headers of a chain as followers are told them. */
export function lastChecksums(chain: {
  readonly height: number;
  checksumOf(n: number): Uint8Array | null;
}): [number, Uint8Array][] {
  const out: [number, Uint8Array][] = [];
  for (let n = Math.max(1, chain.height - checksumsKept + 1); n <= chain.height; n++) {
    const c = chain.checksumOf(n);
    if (c !== null) out.push([n, c]);
  }
  return out;
}
