import { readFile, rename, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Timer } from '../clock/index.js';
import { Counters } from '../counters/index.js';
import { createVerifyEngine, sectorPrefix, type VerifyEngine } from '../identity/index.js';
import { chainStart, HeaderChain, type HeaderStorage, MemoryHeaderStorage } from '../ledger/index.js';
import { FileHeaderStorage } from '../ledger/node/index.js';
import {
  aggregateDifference,
  type LinkClose,
  type SelfInfo,
  squashDifference,
  type Transport,
  type TransportListener,
} from '../link/index.js';
import { dialTcp, listenTcp } from '../link/node/index.js';
import {
  isPublicIpv4,
  type KeepAlive,
  KeepAliveGenerator,
  NO_POW_KNOWLEDGE,
  PresenceService,
  parseIpv4,
  SlabPresenceStore,
} from '../presence/index.js';
import { followPresences, RelayTree } from '../sectors/index.js';
import {
  bytesEqual,
  bytesKey,
  Code,
  CuckooFilter,
  EventType,
  encodeAttachEvent,
  encodeGetRandomPresences,
} from '../wire/index.js';
import { Blacklist } from './blacklist.js';
import { Connections, emptyTip } from './connections.js';
import type { RelayContext } from './context.js';
import { RelayControl } from './control.js';
import { Dispatcher, type Route } from './dispatch.js';
import { LedgerSide } from './ledger-side.js';
import { DEFAULT_RELAY_LIMITS } from './limits.js';
import {
  RELAY_DEVICE_ID,
  RELAY_PRODUCT_VERSION,
  type RelayOptions,
  UNKNOWN_BLOCK_VERSION,
} from './options.js';
import { OutboundManager } from './outbound.js';
import { PeerSet, type RelayPeer } from './peer.js';
import { PeerStorage } from './peer-storage.js';
import { PresenceSide } from './presence-side.js';
import { PresenceSnapshots } from './presence-snapshots.js';
import { PublicEndpoint } from './public-endpoint.js';
import { SessionTable } from './sessions.js';
import { SignQueue } from './sign-queue.js';
import { StreamRouter } from './stream-router.js';
import { WebSide } from './web-side.js';

/** Expired presences are removed this often (docs/protocol/05 §8.4). */
const cleanupMs = 2_500;
/** The own keep-alive's due time is looked at this often. */
const keepAliveCheckMs = 1_000;
/** The peer file is written at most this often (03 §5.6). */
const peerFileMs = 60_000;
/** How long a stopping relay lets byes and queued messages leave. */
const stopGraceMs = 1_000;

/** What a relay reports of itself. */
export interface RelayStatus {
  readonly address: Uint8Array;
  readonly endpoint: string;
  readonly connections: number;
  readonly sessions: number;
  readonly ledgerPeers: number;
  readonly sectorPeers: number;
  readonly presences: number;
  readonly relaysKnown: number;
  readonly height: number;
  /** Height of the network by the ledger nodes' word, the own one with fewer than three of them (09 §12). */
  readonly networkHeight: number;
  /** Unix seconds of the last header, 0 without one; its block version, 0 without one. */
  readonly headerSeconds: number;
  readonly blockVersion: number;
  /** Network second of the own keep-alive that was sent last, 0 before the first. */
  readonly announcedSeconds: number;
  /** Seconds by which the machine's clock is ahead of the network's, as applied (03 §5.3). */
  readonly timeDifferenceSeconds: number;
  /** The same before it is clamped, for the operator. */
  readonly unclampedTimeDifferenceSeconds: number;
}

/**
 * An S2 relay: accepts clients over TCP and WebSocket, keeps presences, answers lookups, forwards stream
 * messages, and stands with its other half in the ledger's network (docs/protocol/03, 05, 06, 07, 09).
 */
export class Relay {
  readonly counters: Counters;
  readonly #o: RelayOptions;
  readonly #ctx: RelayContext;
  readonly #engineGiven: boolean;
  readonly #engine: Promise<VerifyEngine>;
  readonly #peerStorage: PeerStorage;
  #connections: Connections | null = null;
  #listener: TransportListener | null = null;
  #web: WebSide | null = null;
  #ledgerManager: OutboundManager | null = null;
  #sectorManager: OutboundManager | null = null;
  #presence: PresenceSide | null = null;
  #ledger: LedgerSide | null = null;
  #dispatcher: Dispatcher | null = null;
  #control: RelayControl | null = null;
  #generator: KeepAliveGenerator | null = null;
  #timeDifferenceSeconds = 0;
  #unclampedDifferenceSeconds = 0;
  /** The own keep-alive that was stored and sent last. */
  #announced: KeepAlive | null = null;
  readonly #blacklist: Blacklist;
  readonly #timers: Timer[] = [];
  #headerFile: FileHeaderStorage | null = null;
  readonly #snapshots: PresenceSnapshots | null;
  #savedPeers = '';
  #stopping: Promise<void> | null = null;

  /** Use {@link Relay.start}. */
  private constructor(options: RelayOptions, port: number, engine: VerifyEngine) {
    this.#o = options;
    this.#blacklist = new Blacklist(options.blacklist);
    const clock = options.clock ?? systemClock;
    this.counters = options.counters ?? new Counters();
    this.#engineGiven = options.engine !== undefined;
    this.#engine = Promise.resolve(engine);
    const { network, signer } = options;
    const limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
    const store = new SlabPresenceStore({
      addressesMax: limits.presencesMax,
      isPinned: (w) => bytesEqual(w, signer.address),
    });
    const networkSeconds = (): number => Math.floor(clock.nowMs() / 1000) - this.#timeDifferenceSeconds;
    const tree = new RelayTree();
    followPresences(tree, store);
    this.#ctx = {
      clock,
      counters: this.counters,
      limits,
      network,
      log: options.log ?? (() => undefined),
      ownWallet: signer.address,
      store,
      presences: new PresenceService({
        store,
        network,
        ownType: 'R',
        ownWallet: signer.address,
        engine,
        now: networkSeconds,
        counters: this.counters,
        pow: () => this.#ledger?.powKnowledge() ?? NO_POW_KNOWLEDGE,
      }),
      tree,
      peers: new PeerSet(),
      sessions: new SessionTable<RelayPeer>(),
      endpoint: new PublicEndpoint(options.externalIp ?? null, guessPublicIp(), port, (text) =>
        this.#endpointChanged(text),
      ),
      networkSeconds,
    };
    this.#peerStorage = new PeerStorage(network.name === 'reg');
    const dir = options.dataDir ?? null;
    const name = network.name === 'main' ? 'presences.bin' : 'testnet-presences.bin';
    this.#snapshots = dir === null ? null : new PresenceSnapshots(this.#ctx, store, join(dir, name));
  }

  /** Starts a relay and resolves when it serves. Rejects when a port is taken or a file cannot be read. */
  static async start(options: RelayOptions): Promise<Relay> {
    const engine = options.engine ?? (await createVerifyEngine());
    // The port is part of what we sign, so the listener comes first; connections wait until all is built.
    const waiting: Parameters<Parameters<typeof listenTcp>[0]['onConnection']>[0][] = [];
    let relay: Relay | null = null;
    const listener = await listenTcp({
      host: options.host ?? '0.0.0.0',
      port: options.port ?? options.network.relayPort,
      onConnection: (t) => {
        const connections = relay === null ? null : relay.#connections;
        if (connections === null) waiting.push(t);
        else connections.accept(t);
      },
    });
    try {
      relay = new Relay(options, options.publicPort ?? listener.port, engine);
      relay.#listener = listener;
      await relay.#build(engine);
    } catch (e) {
      await listener.close();
      if (relay !== null) await relay.stop();
      throw e;
    }
    for (const t of waiting) relay.#connections!.accept(t);
    return relay;
  }

  get port(): number {
    return this.#listener!.port;
  }

  /** Takes a connection that came another way than through the listeners, e.g. within one process. */
  accept(transport: Transport): void {
    this.#connections!.accept(transport);
  }

  /** Port of HTTP and WebSocket, null when off. */
  get wsPort(): number | null {
    return this.#web?.port ?? null;
  }

  get address(): Uint8Array {
    return this.#ctx.ownWallet;
  }

  status(): RelayStatus {
    const { peers, sessions, store, tree, endpoint, ownWallet } = this.#ctx;
    return {
      address: ownWallet,
      endpoint: endpoint.text,
      connections: peers.size,
      sessions: sessions.sessions,
      ledgerPeers: this.#ledgerManager?.links.length ?? 0,
      sectorPeers: this.#sectorManager?.links.length ?? 0,
      presences: store.addresses,
      relaysKnown: tree.size,
      height: this.#ledger?.chain.height ?? 0,
      networkHeight: this.#ledger?.networkHeight() ?? 0,
      headerSeconds: this.#ledger?.chain.tip?.timestamp ?? 0,
      blockVersion: this.#ledger?.chain.tip?.version ?? 0,
      announcedSeconds: this.#announced?.timestamp ?? 0,
      timeDifferenceSeconds: this.#timeDifferenceSeconds,
      unclampedTimeDifferenceSeconds: this.#unclampedDifferenceSeconds,
    };
  }

  /** What an operator may look at and change. Only after start has finished. */
  get control(): RelayControl {
    if (this.#control === null) throw new TypeError('the relay has not been started');
    return this.#control;
  }

  /** The header chain; null before start has finished. */
  get chain(): HeaderChain | null {
    return this.#ledger?.chain ?? null;
  }

  async #build(engine: VerifyEngine): Promise<void> {
    const ctx = this.#ctx;
    const o = this.#o;
    const signQueue = new SignQueue(o.signer, ctx.clock, this.counters);
    const self: SelfInfo = {
      network: ctx.network,
      nodeType: 'R',
      address: ctx.ownWallet,
      publicKey: o.signer.publicKey,
      productVersion: o.productVersion ?? RELAY_PRODUCT_VERSION,
      deviceId: o.deviceId ?? RELAY_DEVICE_ID,
      publicEndpoint: () => ({ ip: ctx.endpoint.ip, port: ctx.endpoint.port }),
      networkTimeMs: () => ctx.clock.nowMs() - this.#timeDifferenceSeconds * 1000,
      tip: () => this.#ledger?.chain.tip ?? emptyTip(UNKNOWN_BLOCK_VERSION),
      sign: signQueue.sign,
    };
    const chain = await HeaderChain.open(chainStart(ctx.network.name), await this.#headerStorage());
    this.#presence = new PresenceSide(ctx, { standalone: o.standalone ?? false });
    this.#ledger = new LedgerSide(ctx, chain, {
      standalone: o.standalone ?? false,
      upstreams: () => this.#ledgerPeers(),
    });
    this.#dispatcher = new Dispatcher(ctx, this.#routes(this.#presence, this.#ledger));
    this.#generator = new KeepAliveGenerator({
      signer: o.signer,
      network: ctx.network,
      type: 'R',
      device: self.deviceId,
      now: ctx.networkSeconds,
      hostname: ctx.endpoint.text,
    });
    await this.#loadPeers();
    await this.#snapshots?.load();
    this.#connections = new Connections(
      ctx,
      {
        engine,
        self,
        linkLimits: o.linkLimits ?? {},
        unverifiedClients: o.unverifiedClients ?? 'accept',
        probePeers: o.probePeers ?? true,
        challenge: o.challenge ?? null,
        dial:
          o.dial ??
          ((host, port, localAddress) =>
            dialTcp({ host, port, ...(localAddress === null ? {} : { localAddress }) })),
        blacklist: this.#blacklist,
      },
      {
        opened: (p) => this.#opened(p),
        message: (p, code, payload) => this.#dispatcher!.dispatch(p, code, payload),
        closed: (p, close) => this.#closed(p, close),
        endpointReported: (reporter, ip) => void ctx.endpoint.vote(reporter, ip),
      },
    );
    this.#control = new RelayControl(ctx, this.#connections, this.#blacklist, {
      pause: () => {
        this.#ledgerManager?.stop();
        this.#sectorManager?.stop();
      },
      resume: () => {
        this.#ledgerManager?.start();
        this.#sectorManager?.start();
      },
    });
    this.#web = await WebSide.start(ctx, o, this.port, (t) => this.#connections!.accept(t));
    this.#startTimers();
    // Before the first dial: ledger nodes ask for it in the same breath as they answer our hello (09 §2).
    await this.#announceSelf(true);
    if (o.standalone !== true) this.#startManagers();
    ctx.log('info', 'relay_started', { endpoint: ctx.endpoint.text, port: this.port, wsPort: this.wsPort });
  }

  async #headerStorage(): Promise<HeaderStorage> {
    if (this.#o.headerStorage !== undefined) return this.#o.headerStorage;
    const dir = this.#o.dataDir ?? null;
    if (dir === null) return new MemoryHeaderStorage();
    const name = this.#o.network.name === 'main' ? 'headers' : 'testnet-headers';
    this.#headerFile = new FileHeaderStorage(join(dir, name, 'headers.bin'));
    return this.#headerFile;
  }

  #routes(presence: PresenceSide, ledger: LedgerSide): ReadonlyMap<number, Route> {
    const router = new StreamRouter({
      counters: this.counters,
      sessions: this.#ctx.sessions,
      limits: this.#ctx.limits,
      ownWallet: this.#ctx.ownWallet,
      nowMs: () => this.#ctx.clock.nowMs(),
      networkSeconds: this.#ctx.networkSeconds,
    });
    return new Map<number, Route>([
      [Code.s2data, { from: 'anyone', cost: 0, handle: (p, b) => router.route(p, b) }],
      ...presence.routes(),
      ...ledger.routes((p, b) => presence.inventory(p, b, ledger)),
    ]);
  }

  // --- peers ----------------------------------------------------------------------------------------------

  /** Ledger nodes that questions go to: those we dialled (09 §13). */
  #ledgerPeers(): RelayPeer[] {
    return this.#ctx.peers.filter((p) => p.role === 'ledger' && p.isLedger);
  }

  #opened(peer: RelayPeer): void {
    const { peers, sessions, log } = this.#ctx;
    peers.add(peer);
    const { verified, reportedEndpoint, timeDifferenceSeconds } = peer.info;
    if (peer.isInbound) {
      const proof = verified === 'proven' ? 'key' : verified;
      sessions.add(peer.walletKey, peer, proof);
    } else if (reportedEndpoint !== null)
      this.#ctx.endpoint.vote(peer.sourceAddress, reportedEndpoint.split(':')[0] ?? '');
    log('debug', 'peer_opened', {
      peer: peer.sourceAddress,
      type: peer.nodeType,
      role: peer.role,
      verified,
      version: peer.info.productVersion,
    });
    if (peer.role === 'ledger') this.#ledgerOpened(peer, timeDifferenceSeconds);
    if (!peer.isInbound) void this.#announceSelf(false, peer);
    // A ledger node or relay that dials us without being known: learn its presence (03 §3.5).
    if (peer.isInbound && !peer.isClient && !this.#ctx.store.has(peer.info.address))
      this.#presence!.ask(peer, peer.info.address);
  }

  #ledgerOpened(peer: RelayPeer, differenceSeconds: number): void {
    this.#peerStorage.connected(peer.dialledHost ?? peer.info.hostname, this.#ctx.networkSeconds());
    this.#adjustClock();
    this.#ctx.log('debug', 'ledger_peer', {
      peer: peer.info.hostname,
      height: peer.height,
      differenceSeconds,
    });
    for (const type of ['M', 'H']) peer.send(Code.getRandomPresences, encodeGetRandomPresences(type));
    // Payments to the own wallet, from ledger nodes that still tell (04 §1.4).
    const filter = CuckooFilter.empty(1);
    filter.add(this.#ctx.ownWallet);
    for (const type of [EventType.transactionFrom, EventType.transactionTo])
      peer.send(Code.attachEvent, encodeAttachEvent({ type, filter: filter.encode() }));
    this.#presence!.refreshOwnSector();
    this.#ledger!.peerOpened(peer);
  }

  /** Of the main outbound manager's connections alone, at each helloData; it never decays (03 §5.3). */
  #adjustClock(): void {
    const differences = this.#ctx.peers
      .filter((p) => p.role === 'ledger')
      .map((p) => squashDifference(p.info.timeDifferenceSeconds));
    const network = aggregateDifference(differences, 'R', this.#ledgerManager?.hosts.length);
    if (network === null) return;
    this.#timeDifferenceSeconds = network.seconds;
    this.#unclampedDifferenceSeconds = network.unclampedSeconds;
  }

  #closed(peer: RelayPeer, close: LinkClose): void {
    const { peers, sessions, log } = this.#ctx;
    peers.remove(peer);
    if (peer.isInbound) sessions.remove(peer.walletKey, peer.id);
    this.#presence?.peerClosed(peer);
    this.#ledger?.peerClosed(peer);
    if (peer.role === 'ledger' && this.#ledgerPeers().length === 0) this.#peerStorage.reset();
    log('debug', 'peer_closed', { peer: peer.sourceAddress, type: peer.nodeType, why: close.why });
  }

  #startManagers(): void {
    const ctx = this.#ctx;
    const connections = this.#connections!;
    const own = new Set(localAddresses().map((ip) => `${ip}:${this.port}`));
    const isSelf = (host: string): boolean => host === ctx.endpoint.text || own.has(host);
    /** Ourselves, refused ones, and whom we dialled already, for either manager (03 §5.1). */
    const excluded = (host: string): boolean =>
      isSelf(host) ||
      this.#blacklist.endpoint(host) ||
      // The managers' own few, not the thousands that dialled us: this is asked for every candidate.
      [this.#ledgerManager, this.#sectorManager].some(
        (m) => m !== null && (m.hosts.includes(host) || m.links.some((l) => l.peer?.hostname === host)),
      );
    const dialled = (wallet: Uint8Array | null): boolean =>
      wallet !== null &&
      (this.#blacklist.wallet(wallet) || ctx.peers.byWallet(bytesKey(wallet)).some((p) => !p.isInbound));
    this.#ledgerManager = new OutboundManager({
      clock: ctx.clock,
      target: this.#o.ledgerConnections ?? 6,
      next: (skip) => {
        // A node known by name is met again by its wallet.
        const e = this.#peerStorage.pick(
          Math.floor(ctx.clock.nowMs() / 1000),
          (x) => skip(x.host) || dialled(x.wallet),
        );
        return e === null ? null : { host: e.host, wallet: e.wallet };
      },
      excluded,
      dial: (c, events) => connections.dial(c, 'ledger', events),
      onGivenUp: (host) => this.#peerStorage.failed(host),
    });
    const sector = this.#presence!.sectorPeers;
    const sectorTarget = this.#o.sectorConnections ?? 24;
    this.#sectorManager = new OutboundManager({
      clock: ctx.clock,
      target: sectorTarget,
      next: (skip) => sector.next(skip),
      excluded,
      dial: (c, events) => connections.dial(c, 'sector', events),
      // Neighbours of yesterday stay until their place is needed for one of today (03 §5.1 rule 3).
      keeps: (link) =>
        link.peer === null || !this.#sectorFull(sectorTarget) || sector.wants(link.peer.address),
    });
    // Ledger nodes met in presences become candidates (03 §5.6).
    ctx.store.subscribe({
      stored: (wallet, a) => {
        if ((a.type === 'M' || a.type === 'H') && a.hostname !== '')
          this.#peerStorage.add(a.hostname, wallet, a.lastSeen);
      },
    });
    this.#ledgerManager.start();
    this.#sectorManager.start();
  }

  #sectorFull(target: number): boolean {
    return (this.#sectorManager?.hosts.length ?? 0) >= target;
  }

  // --- own presence ---------------------------------------------------------------------------------------

  #endpointChanged(text: string): void {
    this.#ctx.log('info', 'public_endpoint', { endpoint: text });
    this.#generator?.setHostname(text);
    void this.#announceSelf(true);
  }

  /** Signs the own keep-alive when due (or `force`d), stores it and sends it: to all, or to one newcomer. */
  async #announceSelf(force: boolean, to: RelayPeer | null = null): Promise<void> {
    const generator = this.#generator;
    // While draining it is left to lapse, so that nobody is sent here any more (11 §12.4).
    if (generator === null || this.#connections?.draining === true) return;
    const ka = await generator.next(force);
    if (ka === null || this.#stopping !== null) return;
    if (ka !== this.#announced) {
      this.#announced = ka;
      this.#presence!.setOwn(ka, this.#o);
      this.#presence!.gossip.own(this.#presence!.claimOf(ka));
    } else if (to?.isOpen === true) to.send(Code.keepAlivePresence, this.#presence!.claimOf(ka).bytes);
  }

  // --- timers and files -----------------------------------------------------------------------------------

  #startTimers(): void {
    const { clock, presences } = this.#ctx;
    this.#timers.push(
      clock.every(cleanupMs, () => void presences.expire()),
      clock.every(keepAliveCheckMs, () => void this.#announceSelf(false)),
      clock.every(peerFileMs, () => void this.#savePeers()),
    );
    this.#presence!.start();
    this.#ledger!.start();
    this.#snapshots?.start();
  }

  #peerFile(): string | null {
    const dir = this.#o.dataDir ?? null;
    if (dir === null) return null;
    return join(dir, this.#o.network.name === 'main' ? 'peers.ixi' : 'testnet-peers.ixi');
  }

  async #loadPeers(): Promise<void> {
    const now = this.#ctx.networkSeconds();
    for (const s of this.#o.seeds ?? []) this.#peerStorage.add(s.host, s.wallet, now, 1);
    const file = this.#peerFile();
    if (file === null) return;
    try {
      const refused = this.#peerStorage.load(await readFile(file, 'utf8'));
      if (refused > 0) this.#ctx.log('warn', 'peer_file_lines_refused', { file, lines: refused });
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
    }
  }

  async #savePeers(): Promise<void> {
    const file = this.#peerFile();
    const text = this.#peerStorage.serialize();
    if (file === null || text === null || text === this.#savedPeers) return;
    try {
      await writeFile(`${file}.tmp`, text, { mode: 0o600 });
      await rename(`${file}.tmp`, file);
      this.#savedPeers = text;
    } catch (e) {
      this.#ctx.log('error', 'peer_file_not_saved', { file, error: String(e) });
    }
  }

  /** Adds a ledger node to the candidates, e.g. an operator's `/connect`. */
  addLedgerPeer(host: string, wallet: Uint8Array | null = null): boolean {
    return this.#peerStorage.add(host, wallet, this.#ctx.networkSeconds());
  }

  /** The relays responsible for a wallet, nearest window of `max` (06 §4). */
  sectorOf(wallet: Uint8Array, max: number): Uint8Array[] {
    return this.#ctx.tree.select(sectorPrefix(wallet), max);
  }

  /** Stops in order: no newcomers, byes, files, engine. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    for (const t of this.#timers) t.cancel();
    this.#connections?.drain();
    this.#ledgerManager?.stop();
    this.#sectorManager?.stop();
    this.#presence?.stop();
    this.#ledger?.stop();
    await this.#listener?.close();
    this.#connections?.closeAll('The relay is shutting down');
    const until = Date.now() + stopGraceMs;
    while (this.#ctx.peers.size > 0 && Date.now() < until) await new Promise((r) => setTimeout(r, 10));
    this.#connections?.destroyAll();
    await this.#web?.stop();
    await this.#savePeers();
    await this.#snapshots?.stop();
    await this.#ledger?.chain.settled().catch((e: unknown) => {
      this.#ctx.log('error', 'headers_not_saved', { error: String(e) });
    });
    await this.#headerFile?.close();
    if (!this.#engineGiven) await (await this.#engine).close();
  }
}

/** IPv4 addresses of this machine's interfaces, loopback included. */
function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter((i) => i.family === 'IPv4').map((i) => i.address),
  );
}

/** The last public IPv4 of this machine's interfaces, `''` without one (03 §5.4 rule 2). */
function guessPublicIp(): string {
  return (
    localAddresses().findLast((a) => {
      const ip = parseIpv4(a);
      return ip !== null && isPublicIpv4(ip);
    }) ?? ''
  );
}
