import type { Clock, Timer } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { VerifyEngine } from '../identity/index.js';
import {
  aggregateDifference,
  Link,
  type LinkClose,
  type LinkLimits,
  parseEndpoint,
  type SelfInfo,
  squashDifference,
} from '../link/index.js';
import { Bye, bytesEqual } from '../wire/index.js';
import { closeText, RelayConnection, RelayUnreachable, targetText } from './relay-connection.js';
import { retryWaitMs } from './retry.js';
import type { TicketBook } from './tickets.js';
import type { ClientLimits, Dial, DialTarget, RelaySeed } from './types.js';

/** A relay known from its verified presence. */
export interface KnownRelay {
  readonly endpoint: string;
  /** Raw address. */
  readonly wallet: Uint8Array;
}

/** How often the pool looks whether it holds what it should (docs/protocol/08 §5: 2 s). */
const passMs = 1_000;
export interface RelayPoolOptions {
  /** Everything of a hello but the endpoint it is signed over. */
  readonly self: Omit<SelfInfo, 'publicEndpoint'>;
  readonly seeds: readonly RelaySeed[];
  /** Own-sector relays of an earlier run: tried before the seeds. */
  readonly known: readonly KnownRelay[];
  readonly dial: Dial;
  readonly clock: Clock;
  readonly engine: VerifyEngine;
  readonly counters: Counters;
  readonly limits: ClientLimits;
  readonly linkLimits?: Partial<LinkLimits>;
  /** Sessions resume with these; absent: every hello is a full one. */
  readonly tickets?: TicketBook;
  onOpen(connection: RelayConnection): void;
  onMessage(connection: RelayConnection, code: number, payload: Uint8Array): void;
  /** Only for connections that had been open. */
  onClose(connection: RelayConnection, close: LinkClose): void;
  onPrimary(connection: RelayConnection | null): void;
  onError(error: unknown, during: string): void;
}

interface Backoff {
  failures: number;
  nextMs: number;
}

/**
 * The relay connections of a client (docs/protocol/08 §2, §3, §6): a primary, warm standbys of the own sector,
 * and contacts' relays on demand; one connection per relay whatever it is used for. When the primary goes, an
 * open standby takes its place in the same turn.
 */
export class RelayPool {
  readonly #o: RelayPoolOptions;
  readonly #open = new Map<string, RelayConnection>();
  readonly #dialling = new Map<string, Promise<RelayConnection>>();
  readonly #links = new Set<Link>();
  readonly #backoff = new Map<string, Backoff>();
  #sector: readonly KnownRelay[];
  #primary: RelayConnection | null = null;
  #pass: Timer | null = null;
  #running = false;

  constructor(options: RelayPoolOptions) {
    this.#o = options;
    this.#sector = options.known;
  }

  get primary(): RelayConnection | null {
    return this.#primary;
  }

  /** Every connection with a completed hello. */
  get connections(): readonly RelayConnection[] {
    return [...this.#open.values()].filter((c) => c.isOpen);
  }

  /** Relays that are to hold our presence: the primary and the open ones of the own sector. */
  get homes(): readonly RelayConnection[] {
    return this.connections.filter((c) => c.isRelay && (c === this.#primary || this.#isSector(c)));
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#pass = this.#o.clock.every(passMs, () => this.#look());
    this.#look();
  }

  stop(): void {
    this.#running = false;
    this.#pass?.cancel();
    this.#primary = null;
    for (const link of this.#links) link.bye(Bye.bye, 'Client stops');
  }

  /**
   * Dials again at once whoever was to be left alone for a while; `fresh` also ends what is open, without a word: after
   * a sleep the other side has given up long ago, and finding that out by silence takes ten seconds.
   */
  reconnect(fresh: boolean): void {
    if (!this.#running) return;
    if (fresh) for (const link of [...this.#links]) link.destroy();
    // Behind what the ended links tell, which notes a wait for each of them.
    queueMicrotask(() => {
      this.#backoff.clear();
      if (this.#running) this.#look();
    });
  }

  /** Open connection to that `ip:port`, or null. */
  get(endpoint: string): RelayConnection | null {
    const c = this.#open.get(endpoint);
    return c?.isOpen === true ? c : null;
  }

  /** Relays responsible for our own address, from verified presences. */
  setSector(relays: readonly KnownRelay[]): void {
    this.#sector = relays;
    if (this.#running) this.#look();
  }

  /**
   * The connection to a relay, opened when there is none.
   *
   * @throws RelayUnreachable
   */
  connect(target: DialTarget): Promise<RelayConnection> {
    const key = targetText(target);
    const open = this.#open.get(key);
    if (open?.isOpen === true) return Promise.resolve(open);
    let dialling = this.#dialling.get(key);
    if (dialling === undefined) {
      dialling = this.#connect(key, target);
      this.#dialling.set(key, dialling);
      const done = (): void => {
        this.#dialling.delete(key);
      };
      dialling.then(done, done);
    }
    return dialling;
  }

  /** Network time, from what the connected relays say (03 §5.3). */
  networkTimeMs(): number {
    const differences = this.connections.map((c) => squashDifference(c.peer.timeDifferenceSeconds));
    return this.#o.clock.nowMs() - (aggregateDifference(differences, 'C')?.seconds ?? 0) * 1000;
  }

  // --- dialling ----------------------------------------------------------------------------------------------

  async #connect(key: string, target: DialTarget): Promise<RelayConnection> {
    if (!this.#running) throw new RelayUnreachable(key, 'the client is stopped');
    const startedMs = this.#o.clock.nowMs();
    try {
      const { transport, expectedEndpoints, wallet } = await this.#o.dial(this.#withUrl(target));
      if (!this.#running) {
        transport.destroy();
        throw new RelayUnreachable(key, 'the client is stopped');
      }
      return await new Promise<RelayConnection>((resolve, reject) => {
        // Signed over a presence endpoint the hello is worthless at any other relay; without one, over nothing.
        const endpoint = parseEndpoint(target.endpoint ?? '') ?? { ip: '', port: 0 };
        let connection: RelayConnection | null = null;
        const link = new Link(transport, {
          direction: 'out',
          self: { ...this.#o.self, publicEndpoint: () => endpoint },
          clock: this.#o.clock,
          engine: this.#o.engine,
          counters: this.#o.counters,
          ...(this.#o.linkLimits === undefined ? {} : { limits: this.#o.linkLimits }),
          ...(this.#o.tickets === undefined ? {} : { tickets: this.#o.tickets.storeOf(key) }),
          policy: {
            expectedWallet: target.wallet ?? wallet ?? null,
            expectedEndpoints: expectedEndpoints ?? [],
            acceptsServerType: (type) => type === 'R' || type === 'M' || type === 'H',
          },
          handlers: {
            onOpen: (l) => {
              connection = new RelayConnection(l, target, startedMs);
              resolve(this.#opened(connection));
            },
            onMessage: (_l, code, payload) => {
              if (connection !== null) this.#o.onMessage(connection, code, payload);
            },
            onClose: (l, close) => {
              this.#links.delete(l);
              reject(new RelayUnreachable(key, closeText(close)));
              if (connection !== null) this.#closed(connection, close);
              else this.#failed(key, close);
            },
            onError: (_l, error) => this.#o.onError(error, `connection to ${key}`),
          },
        });
        this.#links.add(link);
      });
    } catch (error) {
      if (error instanceof RelayUnreachable) throw error;
      this.#failed(key, null);
      throw new RelayUnreachable(key, error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
  }

  /** A seed's WebSocket URL holds for the same relay wherever else its endpoint came from. */
  #withUrl(target: DialTarget): DialTarget {
    const host = target.endpoint ?? target.host;
    const seed = this.#o.seeds.find((s) => s.wsUrl !== undefined && s.host === host);
    return seed?.wsUrl === undefined ? target : { wsUrl: seed.wsUrl, ...target };
  }

  /** Notes when that relay may be dialled again, and turns to others at once (docs/protocol/08 §6). */
  #failed(key: string, close: LinkClose | null): void {
    const b = this.#backoff.get(key) ?? { failures: 0, nextMs: 0 };
    b.nextMs = this.#o.clock.nowMs() + retryWaitMs(b.failures, close);
    b.failures++;
    this.#backoff.set(key, b);
    if (close?.byeCode === Bye.notReady && this.#running) queueMicrotask(() => this.#running && this.#fill());
  }

  /** The connection to use: another one when that relay is connected already, under another name. */
  #opened(c: RelayConnection): RelayConnection {
    c.endpoint = c.peer.signedEndpoint ?? c.peer.hostname;
    c.helloMs = this.#o.clock.nowMs() - c.startedMs;
    const other = this.#open.get(c.endpoint);
    if (other?.isOpen === true) {
      // A seed under another name: remembered, so that the name leads to the open connection from now on.
      this.#open.set(targetText(c.target), other);
      c.link.bye(Bye.bye, 'Connected already');
      return other;
    }
    this.#open.set(c.endpoint, c);
    this.#open.set(targetText(c.target), c);
    this.#backoff.delete(targetText(c.target));
    this.#backoff.delete(c.endpoint);
    this.#o.onOpen(c);
    this.#choosePrimary();
    return c;
  }

  #closed(c: RelayConnection, close: LinkClose): void {
    let known = false;
    for (const [key, value] of this.#open)
      if (value === c) {
        known = true;
        this.#open.delete(key);
        this.#failed(key, close);
      }
    if (!known) return;
    if (this.#primary === c) {
      this.#primary = null;
      this.#choosePrimary();
      if (this.#primary === null && this.#running) this.#o.onPrimary(null);
    }
    this.#o.onClose(c, close);
    if (this.#running) this.#look();
  }

  // --- choosing ----------------------------------------------------------------------------------------------

  #isSector(c: RelayConnection): boolean {
    return this.#sector.some((r) => r.endpoint === c.endpoint && bytesEqual(r.wallet, c.peer.address));
  }

  /** Keeps a good primary: moving costs every contact a look-up. Own-sector relays win, then the nearest. */
  #choosePrimary(): void {
    if (!this.#running) return;
    const current = this.#primary;
    if (current?.isOpen === true && (this.#sector.length === 0 || this.#isSector(current))) return;
    const relays = this.connections.filter((c) => c.isRelay);
    const own = relays.filter((c) => this.#isSector(c));
    if (current?.isOpen === true && own.length === 0) return;
    const best = (own.length > 0 ? own : relays).sort((a, b) => a.helloMs - b.helloMs)[0];
    if (best === undefined || best === current) return;
    // The one left stays connected for a while: messages under way still go there (08 §6.5).
    if (current !== null) current.lastUsedMs = this.#o.clock.nowMs();
    this.#primary = best;
    this.#o.onPrimary(best);
  }

  #mayDial(key: string): boolean {
    if (this.get(key) !== null || this.#dialling.has(key)) return false;
    return (this.#backoff.get(key)?.nextMs ?? 0) <= this.#o.clock.nowMs();
  }

  #look(): void {
    this.#choosePrimary();
    this.#fill();
    this.#trim();
  }

  /** Dials until enough own-sector relays are there or on their way; seeds while the sector is not enough. */
  #fill(): void {
    const wanted: DialTarget[] = [...this.#sector, ...this.#o.seeds];
    const reached = new Set<RelayConnection>();
    let coming = 0;
    for (const t of wanted) {
      const key = targetText(t);
      const c = this.get(key);
      if (c?.isRelay === true) reached.add(c);
      else if (this.#dialling.has(key)) coming++;
    }
    let missing = this.#o.limits.sectorConnections - reached.size - coming;
    for (const t of wanted) {
      if (missing <= 0) return;
      if (!this.#mayDial(targetText(t))) continue;
      missing--;
      this.connect(t).catch(() => undefined); // its back-off is noted, the next pass goes on
    }
  }

  /** Ends connections nobody needs: not of the own sector, idle, or too many. */
  #trim(): void {
    const { limits, clock } = this.#o;
    const keep = new Set<RelayConnection>();
    if (this.#primary !== null) keep.add(this.#primary);
    const all = [...new Set(this.connections)];
    const homes = [...all.filter((c) => this.#isSector(c)), ...all.filter((c) => this.#isSeed(c))];
    for (const c of homes) if (keep.size < limits.sectorConnections) keep.add(c);
    const rest = all.filter((c) => !keep.has(c)).sort((a, b) => b.lastUsedMs - a.lastUsedMs);
    rest.forEach((c, i) => {
      const idle = clock.nowMs() - c.lastUsedMs > limits.peerIdleMs;
      if (idle || i >= limits.peerConnectionsMax) c.link.bye(Bye.bye, 'No longer needed');
    });
  }

  #isSeed(c: RelayConnection): boolean {
    return this.#o.seeds.some((s) => this.get(targetText(s)) === c);
  }
}
