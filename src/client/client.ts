import { systemClock, type Timer } from '../clock/index.js';
import { Counters } from '../counters/index.js';
import {
  addressFromText,
  addressText,
  createSigner,
  createVerifyEngine,
  randomBytes,
  type Signer,
  type VerifyEngine,
} from '../identity/index.js';
import { signDirectly } from '../link/index.js';
import {
  addressOf,
  decodeKeepAlive,
  encodeKeepAlive,
  freshnessProblem,
  verifyKeepAlive,
} from '../presence/index.js';
import {
  bytesEqual,
  Code,
  CuckooFilter,
  DecodeError,
  decodeGetPresence2,
  decodeInventory2,
  decodeKeepAlivesChunk,
  EventType,
  encodeAttachEvent,
  encodeDetachEvent,
  encodeGetPresence2,
  fromHex,
  toHex,
} from '../wire/index.js';
import { Announcer } from './announcer.js';
import {
  type ChatMessage,
  type ClientEvents,
  type ClientState,
  type ContactView,
  Emitter,
} from './events.js';
import { Lookup } from './lookup.js';
import { Messenger } from './messenger.js';
import { PresenceBook } from './presence-book.js';
import { closeText, type RelayConnection } from './relay-connection.js';
import { type KnownRelay, RelayPool } from './relay-pool.js';
import { Router } from './router.js';
import { TicketBook } from './tickets.js';
import {
  ClientError,
  type ClientLimits,
  type ClientOptions,
  defaultClientLimits,
  type FindResult,
} from './types.js';
import { PresenceVerifier } from './verify-presence.js';

/** Name and version in hello and presence: at most 20 characters (docs/protocol/03 §3.1). */
export const clientProductVersion = 'starling-c-0.1.0';
/** Bytes of a client's device id (05 §3.1). */
const deviceBytes = 16;
/** Repetitions, expiry and waits are looked at this often. */
const tickMs = 1_000;
/** Addresses one subscription may hold at any relay (04 §1.2). */
const subscribedMax = 500;
/** After a change of the primary: time for contacts to learn of it before everything is repeated. */
const repeatDelayMs = 700;

const addressKey = 'own/address';
const deviceKey = 'own/device';
const claimKey = 'own/claim';
const relaysKey = 'own/relays';

interface StoredRelay {
  readonly endpoint: string;
  readonly wallet: string;
}

/**
 * A client of the Ixian network: connects to relays, says where it is reached, finds others by their address
 * alone, agrees keys and exchanges encrypted messages (docs/protocol/08 §4). See `src/client/index.ts` for the
 * first lines of code.
 */
export class StarlingClient {
  readonly #o: ClientOptions;
  readonly #signer: Signer;
  readonly #engine: VerifyEngine;
  readonly #limits: ClientLimits;
  readonly #events = new Emitter<ClientEvents>();
  readonly #pool: RelayPool;
  readonly #book: PresenceBook;
  readonly #lookup: Lookup;
  readonly #messenger: Messenger;
  readonly #announcer: Announcer;
  readonly #verifier: PresenceVerifier;
  readonly #timers: Timer[] = [];
  #state: ClientState = 'stopped';
  #online: { readonly resolve: () => void; readonly reject: (e: ClientError) => void }[] = [];
  #greeted = false;
  #sectorAsked = false;

  private constructor(
    options: ClientOptions,
    signer: Signer,
    engine: VerifyEngine,
    own: { readonly device: Uint8Array; readonly claim: number; readonly relays: readonly KnownRelay[] },
  ) {
    this.#o = options;
    this.#signer = signer;
    this.#engine = engine;
    this.#limits = { ...defaultClientLimits, ...options.limits };
    const clock = options.clock ?? systemClock;
    const networkSeconds = (): number => Math.floor(this.#pool.networkTimeMs() / 1000);
    const productVersion = options.productVersion ?? clientProductVersion;
    const onError = (error: unknown, during: string): void => this.#events.emit('error', { error, during });
    this.#pool = new RelayPool({
      self: {
        network: options.network,
        nodeType: 'C',
        address: signer.address,
        publicKey: signer.publicKey,
        productVersion,
        deviceId: own.device,
        networkTimeMs: () => this.#pool.networkTimeMs(),
        tip: () => null,
        sign: signDirectly(signer, () => clock.nowMs()),
      },
      seeds: options.relays,
      known: own.relays,
      dial: options.dial,
      clock,
      engine,
      counters: options.counters ?? new Counters(),
      limits: this.#limits,
      ...(options.resumeSessions === false ? {} : { tickets: new TicketBook(signer) }),
      ...(options.linkLimits === undefined ? {} : { linkLimits: options.linkLimits }),
      onOpen: (c) => this.#opened(c),
      onMessage: (c, code, payload) => this.#message(c, code, payload),
      onClose: (c, close) => {
        if (this.#state === 'stopped') return;
        const why = { endpoint: c.endpoint, wallet: addressText(c.peer.address), why: closeText(close) };
        this.#events.emit('relayLost', why);
        this.#messenger.onRelayLost(c.endpoint);
      },
      onPrimary: (c) => this.#primaryChanged(c),
      onError,
    });
    this.#book = new PresenceBook(networkSeconds, () => clock.nowMs());
    this.#verifier = new PresenceVerifier(options.network, engine, networkSeconds);
    this.#lookup = new Lookup({
      pool: this.#pool,
      book: this.#book,
      verifier: this.#verifier,
      clock,
      limits: this.#limits,
      onPresence: (wallet, v) => {
        const key = toHex(wallet);
        const change = this.#book.update(key, v);
        if (v.dropped.length > 0)
          this.#events.emit('dropped', { address: addressText(wallet), endpoints: v.dropped });
        this.#messenger.onPresence(key, change);
      },
      onFound: (result) => {
        const facts = {
          address: result.address,
          endpoints: result.endpoints.map((e) => e.hostname),
          dropped: result.dropped.map((d) => `${d.endpoint ?? '?'}: ${d.reason}`),
          relaysAsked: result.relaysAsked,
          roundTrips: result.timings.roundTrips,
          keyBoundToWallet: result.publicKey !== null,
          signaturesVerified: result.endpoints.length,
        };
        this.#events.emit('stage', { stage: 4, name: 'presence', ms: result.timings.presenceMs, facts });
      },
      onSector: (address, prefix, relays, ms) => {
        const facts = {
          address: addressText(address),
          prefix: toHex(prefix),
          relays: relays.map((r) => r.endpoint),
        };
        this.#events.emit('stage', { stage: 3, name: 'sector', ms, facts });
      },
    });
    const router = new Router({
      pool: this.#pool,
      book: this.#book,
      lookup: this.#lookup,
      clock,
      wake: (c) => this.#messenger.wake(c),
    });
    this.#messenger = new Messenger({
      signer,
      engine,
      storage: options.storage,
      clock,
      limits: this.#limits,
      book: this.#book,
      router,
      events: this.#events,
      nick: options.nick ?? '',
      autoAccept: options.autoAccept ?? false,
      allowRequests: options.allowRequests ?? true,
      readReceipts: options.readReceipts ?? true,
      networkSeconds,
      onContacts: () => {
        for (const c of this.#pool.connections) this.#subscribe(c);
      },
    });
    this.#announcer = new Announcer(
      {
        signer,
        network: options.network,
        device: own.device,
        productVersion,
        clock,
        networkSeconds,
        homes: () => this.#pool.homes,
        onAnnounced: (ka, relays, ms) => {
          const facts = {
            hostname: ka.hostname,
            timestamp: ka.timestamp,
            relays,
            device: toHex(ka.device),
            keepAliveBytes: encodeKeepAlive(ka).length,
          };
          this.#events.emit('stage', { stage: 2, name: 'announce', ms, facts });
          this.#keep('the own claim', claimKey, String(ka.timestamp));
        },
        onError,
      },
      own.claim,
    );
  }

  /**
   * A client with what its storage holds; it does nothing before {@link start}. Storage and engine stay the
   * caller's when they were given: {@link stop} closes neither.
   *
   * @throws DecodeError for an unusable private key, ClientError `storage` for contents that do not read.
   */
  static async open(options: ClientOptions): Promise<StarlingClient> {
    const { wallet, storage } = options;
    const signer = wallet instanceof Uint8Array ? await createSigner(wallet) : wallet;
    const engine = options.engine ?? (await createVerifyEngine());
    try {
      const own = new Map(await storage.list('own/'));
      const address = addressText(signer.address);
      const owner = own.get(addressKey);
      // Contacts and keys of one wallet are poison to another.
      if (owner !== undefined && owner !== address)
        throw new ClientError('storage', `the storage belongs to another wallet, ${owner}`);
      const device = own.get(deviceKey) ?? toHex(randomBytes(deviceBytes));
      if (owner === undefined || !own.has(deviceKey))
        await storage.commit([
          { key: addressKey, value: address },
          { key: deviceKey, value: device },
        ]);
      const stored = JSON.parse(own.get(relaysKey) ?? '[]') as StoredRelay[];
      const client = new StarlingClient(options, signer, engine, {
        device: fromHex(device),
        claim: Number(own.get(claimKey) ?? 0),
        relays: stored.map((r) => ({ endpoint: r.endpoint, wallet: fromHex(r.wallet) })),
      });
      await client.#messenger.load();
      return client;
    } catch (error) {
      if (options.engine === undefined) await engine.close();
      if (error instanceof DecodeError || error instanceof SyntaxError)
        throw new ClientError('storage', `the storage does not read: ${error.message}`, { cause: error });
      throw error;
    }
  }

  /** Own address as others type it. */
  get address(): string {
    return addressText(this.#signer.address);
  }

  get state(): ClientState {
    return this.#state;
  }

  /** `ip:port` of the relay that we announce, null while there is none. */
  get primaryRelay(): string | null {
    return this.#pool.primary?.endpoint ?? null;
  }

  /** `ip:port` of every connected relay, the primary first. */
  get relays(): readonly string[] {
    const primary = this.primaryRelay;
    const all = new Set(this.#pool.connections.map((c) => c.endpoint));
    if (primary === null) return [...all];
    all.delete(primary);
    return [primary, ...all];
  }

  /** Calls `handler` on every such event; the returned call ends that. */
  on<K extends keyof ClientEvents>(name: K, handler: (event: ClientEvents[K]) => void): () => void {
    return this.#events.on(name, handler);
  }

  /**
   * Connects and stays connected until {@link stop}. Resolves once a relay is reached and knows where we are;
   * until then it goes on trying, and what is sent is kept.
   *
   * @throws ClientError `stopped` when {@link stop} comes first.
   */
  start(): Promise<void> {
    if (this.#state !== 'stopped') return this.#whenOnline();
    const clock = this.#o.clock ?? systemClock;
    this.#setState('connecting');
    this.#timers.push(
      clock.every(tickMs, () => this.#messenger.tick()),
      clock.every(this.#limits.sectorRefreshMs, () => void this.#refreshSector()),
    );
    this.#announcer.start();
    this.#pool.start();
    return this.#whenOnline();
  }

  #whenOnline(): Promise<void> {
    if (this.#state === 'online') return Promise.resolve();
    return new Promise((resolve, reject) => this.#online.push({ resolve, reject }));
  }

  /**
   * Tries every relay again at once: for applications that learn that the machine woke or the network is back. `fresh`
   * ends the present connections first, because after a sleep nobody says that they are dead. Texts that wait go out as
   * soon as a relay is reached.
   */
  reconnect(options: { readonly fresh?: boolean } = {}): void {
    this.#pool.reconnect(options.fresh ?? false);
    this.#messenger.tick();
  }

  /** Ends every connection. What is unconfirmed is in the storage and goes out after the next start. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#setState('stopped');
    this.#greeted = false;
    for (const waiting of this.#online.splice(0))
      waiting.reject(new ClientError('stopped', 'stopped before a relay was reached'));
    for (const t of this.#timers.splice(0)) t.cancel();
    this.#announcer.stop();
    this.#pool.stop();
    await this.#messenger.settle();
    if (this.#o.engine === undefined) await this.#engine.close();
  }

  /**
   * Looks a wallet up: its relays, its verified endpoints, what was dropped and why.
   *
   * @throws AddressTextError for a mistyped address, ClientError `not-connected`.
   */
  async find(address: string): Promise<FindResult> {
    return await this.#lookup.find(addressFromText(address));
  }

  /** Asks a wallet to become a contact, or agrees when it asked us. Resolves once the request is stored. */
  async addContact(address: string): Promise<void> {
    const raw = addressFromText(address);
    if (bytesEqual(raw, this.#signer.address))
      throw new ClientError('own-address', 'that is the own address');
    await this.#messenger.addContact(raw);
  }

  /** Agrees to a request. @throws ClientError `nothing-to-accept` */
  accept(address: string): Promise<void> {
    return this.#messenger.accept(addressFromText(address));
  }

  /** Forgets a contact, its keys, its history. The other side is not told. */
  removeContact(address: string): Promise<void> {
    return this.#messenger.remove(addressFromText(address));
  }

  /**
   * Sends a text to a contact, encrypted for it alone. Resolves with the message id once the text is stored:
   * from then on it is repeated until the contact confirms it (`delivered`), across restarts, for five days.
   *
   * @throws ClientError `unknown-contact`, `text-too-long`; QueueFull with 2,000 unconfirmed texts.
   */
  send(address: string, text: string): Promise<string> {
    return this.#messenger.send(addressFromText(address), text);
  }

  /** The application has shown a text: its sender is told, unless `readReceipts` is false. */
  markRead(address: string, id: string): Promise<void> {
    return this.#messenger.markRead(addressFromText(address), id);
  }

  contacts(): readonly ContactView[] {
    return this.#messenger.views();
  }

  /** Every text exchanged with a contact, in the order in which it was stored. */
  history(address: string): readonly ChatMessage[] {
    return this.#messenger.history(addressFromText(address));
  }

  // --- relays ------------------------------------------------------------------------------------------------

  #setState(state: ClientState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#events.emit('state', { state });
    if (state !== 'online') return;
    for (const waiting of this.#online.splice(0)) waiting.resolve();
  }

  #opened(c: RelayConnection): void {
    const { peer } = c;
    const facts = {
      relay: c.endpoint,
      wallet: addressText(peer.address),
      type: peer.nodeType,
      transport: c.link.transport.kind,
      signatureVerified: peer.verified !== 'none',
      keyBoundToWallet: true,
      version: peer.productVersion,
      height: peer.lastBlock?.number ?? 0,
    };
    this.#events.emit('stage', { stage: 1, name: 'connect', ms: c.helloMs, facts });
    this.#subscribe(c);
    this.#announcer.greet(c);
    if (!this.#sectorAsked) {
      this.#sectorAsked = true;
      void this.#refreshSector();
    }
  }

  #primaryChanged(c: RelayConnection | null): void {
    if (this.#state === 'stopped') return;
    const clock = this.#o.clock ?? systemClock;
    this.#announcer.setPrimary(c?.endpoint ?? null);
    const wallet = c === null ? null : addressText(c.peer.address);
    this.#events.emit('relay', { endpoint: c?.endpoint ?? null, wallet });
    this.#setState(c === null ? 'offline' : 'online');
    if (c === null) return;
    if (!this.#greeted) {
      this.#greeted = true;
      this.#messenger.lookAround();
    }
    clock.after(repeatDelayMs, () => {
      if (this.#state !== 'stopped') this.#messenger.retryEverything();
    });
  }

  async #refreshSector(): Promise<void> {
    try {
      const { relays } = await this.#lookup.sectorOf(this.#signer.address, true);
      if (this.#state === 'stopped') return;
      if (relays.length === 0) {
        this.#sectorAsked = false;
        return;
      }
      this.#pool.setSector(relays);
      const stored: StoredRelay[] = relays.map((r) => ({ endpoint: r.endpoint, wallet: toHex(r.wallet) }));
      this.#keep('the own relays', relaysKey, JSON.stringify(stored));
    } catch (error) {
      this.#sectorAsked = false;
      if (!(error instanceof ClientError))
        this.#events.emit('error', { error, during: 'asking for the own sector' });
    }
  }

  #keep(what: string, key: string, value: string): void {
    this.#o.storage
      .commit([{ key, value }])
      .catch((error: unknown) => this.#events.emit('error', { error, during: `keeping ${what}` }));
  }

  /** Keep-alives of contacts come without asking from now on (07 §8.1 step 6). */
  #subscribe(c: RelayConnection): void {
    const addresses = this.#messenger.addresses.slice(0, subscribedMax);
    if (addresses.length === 0) return;
    const filter = CuckooFilter.empty(addresses.length);
    for (const a of addresses) filter.add(a);
    // First away with the old one: some relays count both against the quota (04 §1.2 Quirk).
    c.send(Code.detachEvent, encodeDetachEvent({ type: EventType.keepAlive, item: null }));
    c.send(Code.attachEvent, encodeAttachEvent({ type: EventType.keepAlive, filter: filter.encode() }));
  }

  // --- messages ----------------------------------------------------------------------------------------------

  #message(c: RelayConnection, code: number, view: Uint8Array): void {
    switch (code) {
      case Code.s2data:
        this.#messenger.receive(c, view.slice());
        return;
      case Code.sectorNodes:
        this.#handle(this.#lookup.sectorNodes(view.slice()));
        return;
      case Code.updatePresence:
        this.#handle(this.#lookup.presence(view.slice(), (wallet) => this.#messenger.has(wallet)));
        return;
      case Code.keepAlivePresence:
        this.#handle(this.#keepAlive(c, view.slice()));
        return;
      case Code.keepAlivesChunk:
        for (const ka of decodeKeepAlivesChunk(view.slice())) this.#handle(this.#keepAlive(c, ka));
        return;
      case Code.getPresence2:
        this.#ownPresenceAsked(c, decodeGetPresence2(view));
        return;
      case Code.inventory2:
        this.#inventory(c, view.slice());
        return;
      default: // nothing a client has asked for
    }
  }

  /** What is malformed is as if it had never come. */
  #handle(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof DecodeError))
        this.#events.emit('error', { error, during: 'a message of a relay' });
    });
  }

  #ownPresenceAsked(c: RelayConnection, address: Uint8Array): void {
    const own = this.#signer.address;
    // With or without checksum (02 §3.1).
    if (address.length < own.length || !bytesEqual(address.subarray(0, own.length), own)) return;
    const presence = this.#announcer.presence();
    if (presence !== null) c.send(Code.updatePresence, presence);
  }

  /** A keep-alive of a contact, by subscription. Cheap checks first; RSA only for news. */
  async #keepAlive(c: RelayConnection, bytes: Uint8Array): Promise<void> {
    const ka = decodeKeepAlive(bytes);
    const wallet = toHex(ka.wallet);
    if (!this.#messenger.has(wallet) || ka.type !== 'C') return;
    const key = this.#book.publicKey(wallet);
    if (key === null) {
      c.send(Code.getPresence2, encodeGetPresence2(ka.wallet));
      return;
    }
    const stored = this.#book.claimOf(wallet, ka.device);
    const now = Math.floor(this.#pool.networkTimeMs() / 1000);
    if (freshnessProblem(ka.timestamp, stored?.lastSeen ?? 0, now) !== null) return;
    const { context, gate } = this.#verifier;
    if ((await verifyKeepAlive(ka, key, context, gate)) !== null) return;
    const addresses = [addressOf(ka, stored?.nodeVersion ?? '')];
    this.#messenger.onPresence(wallet, this.#book.update(wallet, { publicKey: key, addresses }));
  }

  /** Relays of the reference announce a contact's keep-alive instead of sending it (04 §1.4). */
  #inventory(c: RelayConnection, payload: Uint8Array): void {
    for (const item of decodeInventory2(payload).items) {
      if (item.type !== 3 && item.type !== 5) continue;
      const wallet = toHex(item.address);
      if (!this.#messenger.has(wallet)) continue;
      const stored = this.#book.claimOf(wallet, item.device);
      if (stored === null || stored.lastSeen < item.lastSeen)
        c.send(Code.getPresence2, encodeGetPresence2(item.address));
    }
  }
}
