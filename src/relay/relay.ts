import type { Socket } from 'node:net';
import type { Timer } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import { sectorPrefix, type VerifyEngine } from '../identity/index.js';
import { openVerifier } from '../identity/node/index.js';
import { chainStart, HeaderChain } from '../ledger/index.js';
import {
  type LinkClose,
  numberLinksFor,
  plainAddress,
  type SelfInfo,
  type Transport,
  type TransportListener,
} from '../link/index.js';
import { adoptTcp, dialTcp, type HttpServer, listenTcp, resetTcp } from '../link/node/index.js';
import {
  type KeepAlive,
  KeepAliveGenerator,
  NO_POW_KNOWLEDGE,
  type PowKnowledge,
  type Presence,
  type SlabPresenceStore,
} from '../presence/index.js';
import { Code, CuckooFilter, EventType, encodeAttachEvent, encodeGetRandomPresences } from '../wire/index.js';
import { AllowList } from './allow-list.js';
import { Blacklist } from './blacklist.js';
import { lastChecksums } from './cluster-ledger.js';
import { ClusterSide } from './cluster-side.js';
import { Connections, emptyTip } from './connections.js';
import type { RelayContext } from './context.js';
import { RelayControl } from './control.js';
import { Dispatcher, type Route } from './dispatch.js';
import { followerRoutes, tellTransaction } from './follower.js';
import { LedgerSide } from './ledger-side.js';
import type { NetworkTime } from './network-time.js';
import {
  RELAY_DEVICE_ID,
  RELAY_PRODUCT_VERSION,
  type RelayOptions,
  UNKNOWN_BLOCK_VERSION,
} from './options.js';
import { OutboundSides } from './outbound-sides.js';
import type { RelayPeer } from './peer.js';
import { PresenceSide } from './presence-side.js';
import { RelayFiles } from './relay-files.js';
import { generationOf } from './remote-session.js';
import { contextOf } from './shared-context.js';
import { SignQueue } from './sign-queue.js';
import { leaderStateOf, type RelayStatus, statusOf } from './status.js';
import { StreamRouter } from './stream-router.js';
import { Tickets } from './tickets.js';
import { DEFAULT_TUNNEL_LIMITS } from './tunnel-limits.js';
import { Tunnels } from './tunnels.js';
import { HelloVerifyQueue } from './verify-queue.js';
import { WebSide } from './web-side.js';

/** Expired presences are removed this often (docs/protocol/05 §8.4). */
const cleanupMs = 2_500;
/** The own keep-alive's due time is looked at this often. */
const keepAliveCheckMs = 1_000;
/** The peer file is written at most this often (03 §5.6). */
const peerFileMs = 60_000;
/** Followers are told this often what the leading process knows. */
const stateMs = 1_000;
/** How long a stopping relay lets byes and queued messages leave. */
const stopGraceMs = 1_000;

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
  readonly #files: RelayFiles;
  #connections: Connections | null = null;
  #listener: TransportListener | null = null;
  #web: WebSide | null = null;
  #tunnels: Tunnels | null = null;
  /** Null while standing alone. */
  #outbound: OutboundSides | null = null;
  #presence: PresenceSide | null = null;
  #ledger: LedgerSide | null = null;
  #dispatcher: Dispatcher | null = null;
  #control: RelayControl | null = null;
  #generator: KeepAliveGenerator | null = null;
  readonly #time: NetworkTime;
  /** The own keep-alive that was stored and sent last. */
  #announced: KeepAlive | null = null;
  /** Network second of the newest own keep-alive, whichever process made it. */
  #announcedSeconds = 0;
  readonly #blacklist: Blacklist;
  readonly #allowList: AllowList;
  readonly #timers: Timer[] = [];
  #stopping: Promise<void> | null = null;
  readonly #store: SlabPresenceStore;
  #port: number;
  #router: StreamRouter | null = null;
  /** Own presence as served and told to other processes. */
  #own: Presence | null = null;
  /** Taking and giving up the lead, one after the other. */
  #leading: Promise<void> = Promise.resolve();

  /** Use {@link Relay.start}. */
  private constructor(options: RelayOptions, port: number, engine: VerifyEngine) {
    this.#o = options;
    this.#blacklist = new Blacklist(options.blacklist);
    this.#allowList = new AllowList(options.allowList);
    this.#engineGiven = options.engine !== undefined;
    this.#engine = Promise.resolve(engine);
    const { ctx, store, time } = contextOf(options, port, engine, {
      pow: () => this.#powKnowledge(),
      endpointChanged: (text) => this.#endpointChanged(text),
    });
    this.#ctx = ctx;
    this.#time = time;
    this.counters = ctx.counters;
    this.#files = new RelayFiles(ctx, options, store);
    this.#store = store;
    this.#port = port;
  }

  /** Starts a relay and resolves when it serves. Rejects when a port is taken or a file cannot be read. */
  static async start(options: RelayOptions): Promise<Relay> {
    const engine = options.engine ?? (await openVerifier());
    if (options.cluster !== undefined) {
      const relay = new Relay(options, options.publicPort ?? options.cluster.port, engine);
      relay.#port = options.cluster.port;
      try {
        await relay.#build(engine);
      } catch (e) {
        await relay.stop();
        throw e;
      }
      return relay;
    }
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
      shuns: (address) => relay !== null && relay.#connections?.shuns(address) === true,
    });
    try {
      relay = new Relay(options, options.publicPort ?? listener.port, engine);
      relay.#listener = listener;
      relay.#port = listener.port;
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
    return this.#port;
  }

  /** Takes a TCP connection that another process accepted. */
  adopt(socket: Socket): void {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) socket.destroy();
    else if (this.#connections!.shuns(plainAddress(remoteAddress))) resetTcp(socket);
    else this.#connections!.accept(adoptTcp(socket, this.#ctx.clock));
  }

  /** Takes a connection to the HTTP and WebSocket port that another process accepted. */
  adoptWeb(socket: Socket): void {
    if (this.#web === null) socket.destroy();
    else this.#web.adopt(socket);
  }

  /** Takes a connection that came another way than through the listeners, e.g. within one process. */
  accept(transport: Transport): void {
    this.#connections!.accept(transport);
  }

  /** Port of HTTP and WebSocket, null when off. */
  get wsPort(): number | null {
    return this.#web?.port ?? null;
  }

  /** Its public HTTP server, null when off: who runs the relay adds further routes, such as a page. */
  get web(): HttpServer | null {
    return this.#web?.server ?? null;
  }

  get address(): Uint8Array {
    return this.#ctx.ownWallet;
  }

  status(): RelayStatus {
    return statusOf(this.#ctx, this.#ledger, this.#outbound, this.#time, this.#announcedSeconds);
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
      networkTimeMs: () => this.#time.nowMs(),
      tip: () =>
        this.#ledger?.chain.tip ??
        (this.#ledger === null ? ctx.cluster?.ledger.tip() : null) ??
        emptyTip(UNKNOWN_BLOCK_VERSION),
      sign: signQueue.sign,
      busy: signQueue.busy,
    };
    this.#presence = new PresenceSide(ctx, { standalone: o.standalone ?? false });
    this.#router = new StreamRouter({
      counters: this.counters,
      sessions: ctx.sessions,
      limits: ctx.limits,
      ownWallet: ctx.ownWallet,
      clock: ctx.clock,
      slowReceiverMs: () => ctx.linkLimits.slowReceiverMs,
      networkSeconds: ctx.networkSeconds,
      remote: () => ctx.cluster?.messages ?? null,
    });
    if (o.cluster !== undefined) this.#joinCluster(o);
    const leads = ctx.cluster?.leads ?? true;
    if (leads) await this.#openLedger();
    this.#dispatcher = new Dispatcher(ctx, this.#routes(this.#presence));
    this.#generator = new KeepAliveGenerator({
      signer: o.signer,
      network: ctx.network,
      type: 'R',
      device: self.deviceId,
      now: ctx.networkSeconds,
      hostname: ctx.endpoint.text,
    });
    if (leads) await this.#files.loadPeers();
    const keys = await this.#files.ticketKeys();
    ctx.cluster?.tickets.share(keys);
    await ctx.cluster?.join();
    // Only now: a process that joins gets the keys of the others.
    keys.current();
    const taken = (await ctx.cluster?.takeOver()) ?? null;
    if (taken !== null)
      ctx.log('info', 'presences_taken_over', { from: taken.node, addresses: taken.addresses });
    else await this.#files.snapshots?.load();
    this.#connections = new Connections(
      ctx,
      {
        engine,
        issuer: new Tickets(keys, this.counters, () => Math.floor(ctx.clock.nowMs() / 1000)),
        verifyHello: new HelloVerifyQueue(engine, ctx.clock, this.counters, signQueue).verify,
        self,
        unverifiedClients: o.unverifiedClients ?? 'accept',
        probePeers: o.probePeers ?? true,
        challenge: o.challenge ?? null,
        dial:
          o.dial ??
          ((host, port, localAddress) =>
            dialTcp({ host, port, ...(localAddress === null ? {} : { localAddress }) })),
        blacklist: this.#blacklist,
        allowList: this.#allowList,
      },
      {
        opened: (p) => this.#opened(p),
        message: (p, code, payload) => this.#dispatcher!.dispatch(p, code, payload),
        closed: (p, close) => this.#closed(p, close),
        endpointReported: (reporter, ip) => void ctx.endpoint.vote(reporter, ip),
      },
    );
    this.#control = new RelayControl(ctx, this.#connections, this.#blacklist, this.#allowList, {
      pause: () => this.#outbound?.stop(),
      resume: () => this.#outbound?.start(),
    });
    const connections = this.#connections;
    this.#tunnels = new Tunnels(
      ctx,
      { ...DEFAULT_TUNNEL_LIMITS, ...o.tunnelLimits },
      this.#blacklist,
      () => connections.draining,
    );
    this.#web = await WebSide.start(ctx, o, this.port, (t) => connections.accept(t), this.#tunnels);
    this.#startTimers();
    if (leads) await this.#startLeading();
    ctx.log('info', 'relay_started', { endpoint: ctx.endpoint.text, port: this.port, wsPort: this.wsPort });
  }

  // --- leading ---------------------------------------------------------------------------------------------

  /** The header chain and what faces the ledger: of one process alone. */
  async #openLedger(): Promise<void> {
    const chain = await HeaderChain.open(chainStart(this.#ctx.network.name), this.#files.headerStorage());
    this.#ledger = new LedgerSide(this.#ctx, chain, {
      standalone: this.#o.standalone ?? false,
      upstreams: () => this.#ledgerPeers(),
      onHeader: () => this.#tellState(),
    });
  }

  async #startLeading(): Promise<void> {
    const o = this.#o;
    this.#ledger!.start();
    this.#files.snapshots?.start();
    // Before the first dial: ledger nodes ask for it in the same breath as they answer our hello (09 §2).
    await this.#announceSelf(true);
    if (o.standalone === true) return;
    this.#outbound = new OutboundSides(this.#ctx, {
      connections: this.#connections!,
      blacklist: this.#blacklist,
      peerStorage: this.#files.peers,
      sectorPeers: this.#presence!.sectorPeers,
      port: this.port,
      ledgerConnections: o.ledgerConnections ?? 6,
      sectorConnections: o.sectorConnections ?? 24,
    });
    this.#outbound.start();
  }

  /** Another process leads from now on, or this one does. */
  setLeader(name: string | null): Promise<void> {
    const { cluster, log } = this.#ctx;
    if (cluster === null) throw new TypeError('this relay is one process');
    cluster.leader = name;
    this.#leading = this.#leading
      .then(() => this.#follow())
      .catch((e: unknown) => log('error', 'lead_failed', { error: String(e) }));
    return this.#leading;
  }

  async #follow(): Promise<void> {
    const { cluster } = this.#ctx;
    if (this.#stopping !== null || cluster === null) return;
    if (cluster.leads && this.#ledger === null) {
      await this.#openLedger();
      this.#dispatcher = new Dispatcher(this.#ctx, this.#routes(this.#presence!));
      await this.#files.loadPeers();
      await this.#startLeading();
    } else if (!cluster.leads && this.#ledger !== null) await this.#yield();
  }

  /** Gives up what one process alone may hold: files, and the connections to ledger nodes and sector relays. */
  async #yield(): Promise<void> {
    const ledger = this.#ledger;
    this.#outbound?.stop();
    this.#outbound = null;
    this.#ledger = null;
    this.#dispatcher = new Dispatcher(this.#ctx, this.#routes(this.#presence!));
    ledger?.stop();
    await this.#files.saveLed(ledger?.chain ?? null);
  }

  #joinCluster(o: RelayOptions): void {
    const ctx = this.#ctx;
    numberLinksFor(generationOf(o.cluster!.bus.self));
    ctx.cluster = new ClusterSide(ctx, o.cluster!, this.#store, {
      deliver: (receivers, payload) => this.#router!.deliver(receivers, payload),
      ask: (peer, code, payload) => this.#ledger?.ask(peer, code, payload),
      gone: (id) => this.#ledger?.askerGone(id),
      transaction: (payload) => tellTransaction(ctx, payload),
      changed: (claim, fromClient) => this.#presence!.gossip.accepted(claim, fromClient),
      own: (presence, claim) => {
        this.#own = presence;
        this.#announcedSeconds = claim.timestamp;
        ctx.presences.setOwn(presence);
        if (this.#connections !== null) this.#presence!.gossip.own(claim);
      },
      state: (s) => {
        this.#time.follow(s.timeDifferenceSeconds, s.unclampedSeconds);
        ctx.endpoint.follow(s.endpointIp);
      },
      joined: (node) => {
        if (this.#ledger === null) return;
        this.#tellState(node);
        if (this.#own !== null) ctx.cluster?.tellOwn(this.#own, node);
      },
    });
  }

  /** Leader: what the others need to know, to all or to a newcomer. */
  #tellState(to?: string): void {
    const { cluster } = this.#ctx;
    const ledger = this.#ledger;
    if (cluster === null || ledger === null) return;
    const state = leaderStateOf(this.#ctx, ledger, this.#outbound, this.#time);
    cluster.ledger.tellState(state, lastChecksums(ledger.chain), to);
  }

  #powKnowledge(): PowKnowledge {
    return this.#ledger?.powKnowledge() ?? this.#ctx.cluster?.ledger.powKnowledge() ?? NO_POW_KNOWLEDGE;
  }

  #routes(presence: PresenceSide): ReadonlyMap<number, Route> {
    const ledger = this.#ledger;
    const inventory: Route['handle'] = (p, b) => presence.inventory(p, b, ledger);
    const { cluster } = this.#ctx;
    return new Map<number, Route>([
      [Code.s2data, { from: 'anyone', cost: 0, handle: (p, b) => this.#router!.route(p, b) }],
      ...presence.routes(),
      ...(ledger?.routes(inventory) ?? followerRoutes(cluster!, inventory)),
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
      sessions.add(peer, proof);
    } else this.#ctx.cluster?.sessions.dialled(peer, true);
    if (!peer.isInbound && reportedEndpoint !== null)
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
    this.#files.peers.connected(peer.dialledHost ?? peer.info.hostname, this.#ctx.networkSeconds());
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

  #adjustClock(): void {
    const differences = this.#ctx.peers
      .filter((p) => p.role === 'ledger')
      .map((p) => p.info.timeDifferenceSeconds);
    if (this.#time.adjust(differences, this.#outbound?.ledgerHosts.length)) this.#tellState();
  }

  #closed(peer: RelayPeer, close: LinkClose): void {
    const { peers, sessions, log } = this.#ctx;
    peers.remove(peer);
    if (peer.isInbound) sessions.remove(peer);
    else this.#ctx.cluster?.sessions.dialled(peer, false);
    this.#presence?.peerClosed(peer);
    this.#ledger?.peerClosed(peer);
    if (peer.role === 'ledger' && this.#ledgerPeers().length === 0) this.#files.peers.reset();
    log('debug', 'peer_closed', { peer: peer.sourceAddress, type: peer.nodeType, why: close.why });
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
    // Of several processes one makes it; the others are told.
    if (this.#ctx.cluster?.leads === false) return;
    const ka = await generator.next(force);
    if (ka === null || this.#stopping !== null) return;
    if (ka !== this.#announced) {
      this.#announced = ka;
      this.#announcedSeconds = ka.timestamp;
      this.#own = this.#presence!.setOwn(ka, this.#o);
      this.#ctx.cluster?.tellOwn(this.#own);
      this.#presence!.gossip.own(this.#presence!.claimOf(ka));
    } else if (to?.isOpen === true) to.send(Code.keepAlivePresence, this.#presence!.claimOf(ka).bytes);
  }

  // --- timers and files -----------------------------------------------------------------------------------

  #startTimers(): void {
    const { clock, presences } = this.#ctx;
    this.#timers.push(
      clock.every(cleanupMs, () => void presences.expire()),
      clock.every(keepAliveCheckMs, () => void this.#announceSelf(false)),
      clock.every(peerFileMs, () => {
        if (this.#ledger !== null) void this.#files.peerFile.save();
      }),
      clock.every(stateMs, () => this.#tellState()),
    );
    this.#presence!.start();
  }

  /** Adds a ledger node to the candidates, e.g. an operator's `/connect`. */
  addLedgerPeer(host: string, wallet: Uint8Array | null = null): boolean {
    return this.#files.peers.add(host, wallet, this.#ctx.networkSeconds());
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
    this.#router?.stop();
    this.#connections?.drain();
    this.#outbound?.stop();
    this.#presence?.stop();
    this.#ledger?.stop();
    await this.#listener?.close();
    this.#connections?.closeAll('The relay is shutting down');
    const until = Date.now() + stopGraceMs;
    while (this.#ctx.peers.size > 0 && Date.now() < until) await new Promise((r) => setTimeout(r, 10));
    this.#connections?.destroyAll();
    this.#ctx.cluster?.messages.leave();
    this.#tunnels?.stop();
    await this.#web?.stop();
    if (this.#ledger !== null) await this.#files.saveLed(this.#ledger.chain);
    if (!this.#engineGiven) await (await this.#engine).close();
  }
}
