import { join } from 'node:path';
import { type Clock, nowSeconds, systemClock, type Timer } from '../clock/index.js';
import { Counters } from '../counters/index.js';
import { createVerifyEngine, type VerifyEngine } from '../identity/index.js';
import { type BlockHeader, MemoryHeaderStorage } from '../ledger/index.js';
import { FileHeaderStorage } from '../ledger/node/index.js';
import {
  type Endpoint,
  Link,
  type LinkClose,
  type SelfInfo,
  type Transport,
  type TransportListener,
} from '../link/index.js';
import { listenTcp } from '../link/node/index.js';
import {
  addressOf,
  encodeKeepAlive,
  type KeepAlive,
  KeepAliveGenerator,
  MemoryPresenceStore,
  PresenceService,
} from '../presence/index.js';
import { followPresences, RelayTree } from '../sectors/index.js';
import { Bye, Code, DecodeError, encodeFrame, encodeGetPresence2, InventoryType } from '../wire/index.js';
import {
  type AnswerContext,
  balanceReply,
  headers3Reply,
  headers4Reply,
  keepAlivesReply,
  nameReply,
  pitReply,
  presenceReply,
  type Reply,
  randomPresencesReply,
  sectorNodesReply,
} from './answers.js';
import { DevChain } from './chain.js';
import {
  BLOCK_INTERVAL_MS,
  type CoordinatorEvent,
  type CoordinatorOptions,
  connectionsMax,
  DEVICE_ID,
  DUMMY_POW,
  EXPIRY_MS,
  GENESIS_STEP_SECONDS,
  KEEP_ALIVE_MS,
  PRODUCT_VERSION,
} from './options.js';

/** Node types whose presence a master fetches at their hello (docs/protocol/09 §3.2 rule 1). */
const FETCHED_TYPES: readonly string[] = ['M', 'H', 'R'];
/** Node types that hear of every block (09 §14 row 12). */
const BLOCK_NEWS_TYPES: readonly string[] = ['R', 'C', 'W'];
/** A presence is asked of one connection at most this often because of unknown keep-alives. */
const presenceAskMs = 2_000;

/**
 * A process that plays a ledger master well enough for relays and clients of both lines to find each other
 * (docs/protocol/09 §14, levels L0 and L1): presences, sector lookups, empty blocks and their headers. It keeps
 * no coins and dials nobody. For development networks only.
 */
export class Coordinator {
  readonly #o: CoordinatorOptions;
  readonly #clock: Clock;
  readonly #store = new MemoryPresenceStore();
  readonly #relays = new RelayTree();
  readonly #links = new Map<number, Link>();
  readonly #asked = new Map<number, number>();
  readonly counters: Counters;
  #engine: VerifyEngine | null = null;
  #service: PresenceService | null = null;
  #chain: DevChain | null = null;
  #file: FileHeaderStorage | null = null;
  #generator: KeepAliveGenerator | null = null;
  #listener: TransportListener | null = null;
  #timers: Timer[] = [];
  #blockTimer: Timer | null = null;
  #making: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: CoordinatorOptions) {
    this.#o = options;
    this.#clock = options.clock ?? systemClock;
    this.counters = options.counters ?? new Counters();
  }

  /** Raw address of its wallet. */
  get address(): Uint8Array {
    return this.#o.signer.address;
  }

  /** Bound port; 0 before {@link start}. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Number of the last block; 0 before {@link start}. */
  get height(): number {
    return this.#chain?.height ?? 0;
  }

  /** Checksum of a block. Throws RangeError for one it does not hold. */
  checksum(number: number): Uint8Array {
    return this.#running().checksum(number);
  }

  /** Wallets of the relays that are listed now. */
  get relays(): readonly Uint8Array[] {
    return this.#relays.wallets;
  }

  /** Connections that completed their hello. */
  get peers(): number {
    return [...this.#links.values()].filter((l) => l.isOpen).length;
  }

  #running(): DevChain {
    if (this.#chain === null) throw new Error('the coordinator has not been started');
    return this.#chain;
  }

  #now = (): number => nowSeconds(this.#clock);

  #tell(event: CoordinatorEvent): void {
    this.#o.onEvent?.(event);
  }

  #trouble(e: unknown): void {
    this.#tell({ kind: 'trouble', detail: e instanceof Error ? e.message : String(e) });
  }

  /** Opens the chain, listens, and announces itself. Throws when the port is taken or the chain unreadable. */
  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (e) {
      await this.stop().catch(() => undefined);
      throw e;
    }
  }

  async #start(): Promise<void> {
    await this.#openChain();
    this.#engine = this.#o.engine ?? (await createVerifyEngine());
    this.#service = new PresenceService({
      store: this.#store,
      network: this.#o.network,
      ownType: 'M',
      ownWallet: this.address,
      engine: this.#engine,
      now: this.#now,
      counters: this.counters,
    });
    followPresences(this.#relays, this.#store);
    this.#store.subscribe({
      relayAdded: (address) => this.#tell({ kind: 'relay-listed', address }),
      relayRemoved: (address) => this.#tell({ kind: 'relay-gone', address }),
    });
    const host = this.#o.host ?? '127.0.0.1';
    this.#listener = await listenTcp({
      host,
      port: this.#o.port ?? 0,
      clock: this.#clock,
      onConnection: (t) => this.accept(t),
    });
    this.#generator = new KeepAliveGenerator({
      signer: this.#o.signer,
      network: this.#o.network,
      type: 'M',
      device: DEVICE_ID,
      now: this.#now,
      hostname: `${this.#publicEndpoint().ip}:${this.port}`,
      pow: () => DUMMY_POW,
    });
    await this.#announceSelf();
    this.#timers = [
      this.#clock.every(KEEP_ALIVE_MS, () => {
        this.#announceSelf().catch((e: unknown) => this.#trouble(e));
      }),
      this.#clock.every(EXPIRY_MS, () => void this.#service?.expire()),
    ];
    this.#scheduleBlock();
    this.#tell({ kind: 'listening', host, port: this.port });
  }

  async #openChain(): Promise<void> {
    const { dataDir, storage } = this.#o;
    if (storage === undefined && dataDir !== undefined)
      this.#file = new FileHeaderStorage(join(dataDir, 'coordinator-headers.bin'));
    const chain = await DevChain.open(storage ?? this.#file ?? new MemoryHeaderStorage());
    if (chain.height === 0) {
      const n = Math.max(1, this.#o.genesisBlocks ?? 1);
      const now = this.#now();
      const times = Array.from({ length: n }, (_, i) => now - GENESIS_STEP_SECONDS * (n - 1 - i));
      await chain.extendAll(times);
    }
    this.#chain = chain;
  }

  /** Ends every connection with bye 200, stops listening and closes the chain. Safe to call twice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#blockTimer?.cancel();
    for (const t of this.#timers) t.cancel();
    await this.#listener?.close();
    for (const link of [...this.#links.values()]) {
      if (link.isOpen) link.bye(Bye.bye, 'Shutting down');
      else link.destroy();
    }
    await this.#making;
    await this.#chain?.settled().catch((e: unknown) => this.#trouble(e));
    await this.#file?.close();
    if (this.#o.engine === undefined) await this.#engine?.close();
  }

  #publicEndpoint(): Endpoint {
    const host = this.#o.publicIp ?? this.#o.host ?? '127.0.0.1';
    return { ip: host, port: this.port };
  }

  #self(): SelfInfo {
    const { network, signer } = this.#o;
    return {
      network,
      nodeType: 'M',
      address: signer.address,
      publicKey: signer.publicKey,
      productVersion: this.#o.productVersion ?? PRODUCT_VERSION,
      deviceId: DEVICE_ID,
      publicEndpoint: () => this.#publicEndpoint(),
      networkTimeMs: () => this.#clock.nowMs(),
      tip: () => this.#chain?.tip ?? null,
      sign: (request) => signer.sign(request.message),
    };
  }

  /**
   * Serves a connection that somebody else accepted. No connectivity probe: on one machine it would only
   * fail or lie (09 §14 row 1).
   */
  accept(transport: Transport): void {
    if (this.#stopped || this.#links.size >= connectionsMax || this.#engine === null) {
      transport.destroy();
      return;
    }
    const link = new Link(transport, {
      direction: 'in',
      self: this.#self(),
      clock: this.#clock,
      engine: this.#engine,
      counters: this.counters,
      ...(this.#o.linkLimits === undefined ? {} : { limits: this.#o.linkLimits }),
      handlers: {
        onOpen: (l) => this.#opened(l),
        onMessage: (l, code, payload) => this.#received(l, code, payload),
        onClose: (l, close) => this.#closed(l, close),
      },
    });
    this.#links.set(link.id, link);
  }

  #opened(link: Link): void {
    const peer = link.peer!;
    this.#tell({
      kind: 'peer-open',
      link: link.id,
      type: peer.nodeType,
      address: peer.address,
      product: peer.productVersion,
      endpoint: `${peer.observedIp}:${peer.port}`,
    });
    // Without asking, no relay would ever be listed: nobody sends its presence unasked (09 §3.2 rule 1).
    if (FETCHED_TYPES.includes(peer.nodeType) && !this.#store.has(peer.address))
      link.send(Code.getPresence2, encodeGetPresence2(peer.address));
  }

  #closed(link: Link, close: LinkClose): void {
    this.#links.delete(link.id);
    this.#asked.delete(link.id);
    if (close.opened) this.#tell({ kind: 'peer-close', link: link.id, why: close.why });
  }

  #received(link: Link, code: number, payload: Uint8Array): void {
    // Views die with this call, and several answers need a turn of the event loop.
    this.#handle(link, code, payload.slice()).catch((e: unknown) => {
      const detail = e instanceof Error ? e.message : String(e);
      if (e instanceof DecodeError) this.#tell({ kind: 'malformed', link: link.id, code, detail });
      else this.#tell({ kind: 'trouble', detail: `code ${code}: ${detail}` });
    });
  }

  async #handle(link: Link, code: number, payload: Uint8Array): Promise<void> {
    switch (code) {
      case Code.keepAlivePresence:
        return this.#onKeepAlive(link, payload);
      case Code.updatePresence:
        await this.#service!.receivePresence(payload);
        return;
      default: {
        const replies = await this.#replies(link, code, payload);
        for (const r of replies) link.send(r.code, r.payload);
      }
    }
  }

  /** Rows 3–6, 8, 9, 13 and 16; everything else, events and inventory included, is ignored in silence. */
  async #replies(link: Link, code: number, payload: Uint8Array): Promise<readonly Reply[]> {
    const ctx: AnswerContext = {
      store: this.#store,
      relays: this.#relays,
      chain: this.#running(),
      now: this.#now,
      servesHeaders: this.#o.level !== 'L0',
      random: Math.random,
    };
    switch (code) {
      case Code.getSectorNodes: {
        const replies = sectorNodesReply(ctx, payload);
        this.#tellSector(link, payload);
        return replies;
      }
      case Code.getBalance2:
        return balanceReply(ctx, payload);
      case Code.getPresence2:
        return presenceReply(ctx, payload);
      case Code.getRandomPresences:
        return randomPresencesReply(ctx, payload);
      case Code.getKeepAlives:
        return keepAlivesReply(ctx, payload);
      case Code.getNameRecord:
        return nameReply(payload);
      case Code.getBlockHeaders3:
        return headers3Reply(ctx, payload);
      case Code.getBlockHeaders4:
        return headers4Reply(ctx, payload);
      case Code.getPIT2:
        return pitReply(ctx, payload, link.peer?.nodeType === 'R');
      default:
        return [];
    }
  }

  #tellSector(link: Link, payload: Uint8Array): void {
    this.#tell({
      kind: 'sector-answer',
      link: link.id,
      prefix: payload.slice(1, 11),
      relays: this.#relays.size,
    });
  }

  async #onKeepAlive(link: Link, payload: Uint8Array): Promise<void> {
    const outcome = await this.#service!.receiveKeepAlive(payload);
    if (outcome.kind !== 'unknown') return;
    const now = this.#clock.nowMs();
    if (now - (this.#asked.get(link.id) ?? Number.NEGATIVE_INFINITY) < presenceAskMs) return;
    this.#asked.set(link.id, now);
    link.send(Code.getPresence2, encodeGetPresence2(outcome.wallet));
  }

  /** Renews the own presence and tells every peer, relays included (09 §3.2 rule 5). */
  async #announceSelf(): Promise<void> {
    const ka = await this.#generator!.next();
    if (ka === null || this.#stopped) return;
    this.#keepOwn(ka);
    const frame = encodeFrame(Code.keepAlivePresence, encodeKeepAlive(ka));
    for (const link of this.#links.values()) if (link.isOpen) link.sendFrame(Code.keepAlivePresence, frame);
  }

  #keepOwn(ka: KeepAlive): void {
    this.#service!.setOwn({
      version: 1,
      wallet: this.address,
      publicKey: this.#o.signer.publicKey,
      metadata: null,
      addresses: [addressOf(ka, this.#o.productVersion ?? PRODUCT_VERSION)],
    });
  }

  /** Milliseconds until the next block: one interval after the last, or at once after a longer pause. */
  #scheduleBlock(): void {
    const interval = this.#o.blockIntervalMs ?? BLOCK_INTERVAL_MS;
    const due = (this.#chain!.tip?.timestamp ?? 0) * 1000 + interval;
    const wait = Math.min(interval, Math.max(0, due - this.#clock.nowMs()));
    this.#blockTimer = this.#clock.after(wait, () => {
      this.#making = this.#makeBlock();
    });
  }

  async #makeBlock(): Promise<void> {
    try {
      const block = await this.#chain!.extend(this.#nextTimestamp());
      this.#announceBlock(block);
    } catch (e) {
      // A full disk must not end the network: it goes on with the blocks it has.
      this.#trouble(e);
      return;
    }
    if (!this.#stopped) this.#scheduleBlock();
  }

  /**
   * Never in the future, never before its parent, and exactly one interval after it unless there was a pause
   * (09 §14 header recipe).
   */
  #nextTimestamp(): number {
    const step = (this.#o.blockIntervalMs ?? BLOCK_INTERVAL_MS) / 1000;
    const last = this.#chain!.tip?.timestamp ?? 0;
    const now = this.#now();
    const even = last + step;
    return Number.isInteger(step) && even <= now && now - even < step ? even : Math.max(last, now);
  }

  #announceBlock(block: BlockHeader): void {
    this.#tell({ kind: 'block', number: block.number, checksum: block.checksum });
    if (this.#o.level === 'L0') return;
    for (const link of this.#links.values()) {
      if (!link.isOpen || !BLOCK_NEWS_TYPES.includes(link.peer!.nodeType)) continue;
      link.announce({ type: InventoryType.block, hash: block.checksum, block: block.number });
    }
  }
}
