import { type Clock, sleep } from '../clock/index.js';
import { addressText, sectorPrefix } from '../identity/index.js';
import { parseEndpoint } from '../link/index.js';
import { decodePresence } from '../presence/index.js';
import {
  bytesEqual,
  Code,
  DecodeError,
  decodeSectorNodes,
  encodeGetPresence2,
  encodeGetSectorNodes,
  toHex,
} from '../wire/index.js';
import type { PresenceBook } from './presence-book.js';
import type { RelayConnection } from './relay-connection.js';
import type { KnownRelay, RelayPool } from './relay-pool.js';
import {
  ClientError,
  type ClientLimits,
  type DroppedEndpoint,
  type FindResult,
  type VerifiedEndpoints,
} from './types.js';
import type { PresenceVerifier } from './verify-presence.js';

/** Relays of a sector asked for (docs/protocol/08 §5). */
export const sectorRelaysAsked = 6;
/** Relays asked for a presence at a time: there is no negative answer, so one alone may cost a wait (05 §10.3). */
const askedAtOnce = 2;
/** Silence of a relay counts after this many times its hello took, which was two round trips and two signatures. */
const helloTimes = 4;
/** But not sooner: a busy relay may take a moment. */
const answerMsMin = 250;
/** How long a sector's relays are remembered (07 §8.2). */
const sectorCacheMs = 150_000;
/** Sectors remembered; the oldest go first. */
const sectorsMax = 1_000;

interface SectorEntry {
  readonly relays: readonly KnownRelay[];
  readonly atMs: number;
}

export interface LookupOptions {
  readonly pool: RelayPool;
  readonly book: PresenceBook;
  readonly verifier: PresenceVerifier;
  readonly clock: Clock;
  readonly limits: ClientLimits;
  /** A verified presence of another wallet, asked for or not. */
  onPresence(wallet: Uint8Array, v: VerifiedEndpoints): void;
  /** A look-up is over, also one that found nobody. */
  onFound(result: FindResult): void;
  onSector(address: Uint8Array, prefix: Uint8Array, relays: readonly KnownRelay[], ms: number): void;
}

/**
 * Finds wallets (08 §4 steps 1–4): which relays are responsible for an address, and what they know about it.
 * Two round trips with warm connections; every endpoint is verified before anybody sees it.
 */
export class Lookup {
  readonly #o: LookupOptions;
  readonly #sectors = new Map<string, SectorEntry>();
  readonly #sectorWaiters = new Map<string, Set<(relays: readonly KnownRelay[]) => void>>();
  readonly #presenceWaiters = new Map<string, Set<(v: VerifiedEndpoints) => void>>();

  constructor(options: LookupOptions) {
    this.#o = options;
  }

  // --- answers -----------------------------------------------------------------------------------------------

  /** A sectorNodes message. Unasked ones are ignored: they could only misdirect. */
  async sectorNodes(payload: Uint8Array): Promise<void> {
    const { prefix, presences } = decodeSectorNodes(payload);
    const waiters = this.#sectorWaiters.get(toHex(prefix));
    if (waiters === undefined) return;
    const found = await Promise.all(presences.slice(0, 20).map((p) => this.#relayOf(p)));
    const relays = found.filter((r) => r !== null);
    // An empty answer is no answer: another relay may know more.
    if (relays.length > 0) for (const w of [...waiters]) w(relays);
  }

  async #relayOf(bytes: Uint8Array): Promise<KnownRelay | null> {
    try {
      const p = decodePresence(bytes);
      const v = await this.#o.verifier.verify(p);
      const a = v?.addresses.find((x) => x.type === 'R' && parseEndpoint(x.hostname) !== null);
      return a === undefined ? null : { endpoint: a.hostname, wallet: p.wallet };
    } catch (error) {
      if (error instanceof DecodeError) return null;
      throw error;
    }
  }

  /** An updatePresence message, an answer or an event. `wanted` says whether an unasked one is of interest. */
  async presence(payload: Uint8Array, wanted: (wallet: string) => boolean): Promise<void> {
    const p = decodePresence(payload);
    const wallet = toHex(p.wallet);
    const waiters = this.#presenceWaiters.get(wallet);
    if (waiters === undefined && !wanted(wallet)) return;
    const v = await this.#o.verifier.verify(p);
    if (v === null) return;
    this.#o.onPresence(p.wallet, v);
    for (const w of [...(waiters ?? [])]) w(v);
  }

  // --- questions ---------------------------------------------------------------------------------------------

  /**
   * The relays responsible for an address, verified; the cache answers for 150 s.
   *
   * @throws ClientError `not-connected` when there is nobody to ask.
   */
  async sectorOf(
    address: Uint8Array,
    fresh = false,
  ): Promise<{ relays: readonly KnownRelay[]; asked: boolean }> {
    const { pool, clock, limits } = this.#o;
    const prefix = sectorPrefix(address);
    const key = toHex(prefix);
    const cached = this.#sectors.get(key);
    if (!fresh && cached !== undefined && clock.nowMs() - cached.atMs < sectorCacheMs)
      return { relays: cached.relays, asked: false };
    const startMs = clock.nowMs();
    const request = encodeGetSectorNodes({ prefix, max: sectorRelaysAsked });
    const relays = await this.#firstAnswer(this.#sectorWaiters, key, limits.sectorAnswerMs, () => {
      const sent = pool.connections.filter((c) => c.send(Code.getSectorNodes, request));
      if (sent.length === 0) throw new ClientError('not-connected', 'no relay is connected');
    });
    // Late is better than never: what was known before still leads somewhere.
    if (relays === null) return { relays: cached?.relays ?? [], asked: true };
    this.#sectors.delete(key);
    this.#sectors.set(key, { relays, atMs: clock.nowMs() });
    if (this.#sectors.size > sectorsMax) this.#sectors.delete(this.#sectors.keys().next().value!);
    this.#o.onSector(address, prefix, relays, clock.nowMs() - startMs);
    return { relays, asked: true };
  }

  /** Registers for the first answer, asks, waits. Null after `ms`. */
  async #firstAnswer<T>(
    waiters: Map<string, Set<(answer: T) => void>>,
    key: string,
    ms: number,
    ask: () => void,
  ): Promise<T | null> {
    const set = waiters.get(key) ?? new Set<(answer: T) => void>();
    waiters.set(key, set);
    return await new Promise<T | null>((resolve, reject) => {
      const finish = (answer: T | null): void => {
        timer.cancel();
        set.delete(finish);
        if (set.size === 0 && waiters.get(key) === set) waiters.delete(key);
        resolve(answer);
      };
      const timer = this.#o.clock.after(ms, () => finish(null));
      set.add(finish);
      try {
        ask();
      } catch (error) {
        finish(null);
        reject(error);
      }
    });
  }

  /**
   * Looks a wallet up. `usable` false for endpoints that failed before: relays that know no better are passed
   * over while others may (07 §10).
   *
   * @throws ClientError `not-connected`
   */
  async find(address: Uint8Array): Promise<FindResult> {
    const { clock, book } = this.#o;
    const startMs = clock.nowMs();
    const { relays, asked } = await this.sectorOf(address);
    const sectorMs = clock.nowMs() - startMs;
    const order = this.#inOrder(relays);
    const relaysAsked: string[] = [];
    const wallet = toHex(address);
    const answers: VerifiedEndpoints[] = [];
    const usable = (v: VerifiedEndpoints): boolean => book.hasUsable(wallet, v.addresses);
    let rounds = 0;
    const satisfied = this.#collect(wallet, answers, usable);
    try {
      for (let i = 0; i < order.length && !answers.some(usable); i += askedAtOnce) {
        rounds++;
        const last = i + askedAtOnce >= order.length;
        const patience = this.#ask(address, order.slice(i, i + askedAtOnce), relaysAsked, last);
        await Promise.race([satisfied.first, patience]);
      }
    } finally {
      satisfied.end();
    }
    const best = answers.find(usable) ?? answers.find((v) => v.addresses.length > 0) ?? answers[0] ?? null;
    const dropped: DroppedEndpoint[] = [];
    for (const d of answers.flatMap((v) => v.dropped))
      if (!dropped.some((x) => x.endpoint === d.endpoint && x.reason === d.reason)) dropped.push(d);
    const totalMs = clock.nowMs() - startMs;
    const result: FindResult = {
      address: addressText(address),
      publicKey: best?.publicKey ?? null,
      endpoints: best === null ? [] : book.endpoints(wallet),
      dropped,
      relaysAsked,
      sectorRelays: relays.map((r) => r.endpoint),
      timings: { sectorMs, presenceMs: totalMs - sectorMs, totalMs, roundTrips: (asked ? 1 : 0) + rounds },
    };
    this.#o.onFound(result);
    return result;
  }

  /** Connected relays first, the nearest before the others; then the rest in random order. */
  #inOrder(relays: readonly KnownRelay[]): KnownRelay[] {
    const { pool } = this.#o;
    const connected = relays.filter((r) => this.#openTo(r) !== null);
    connected.sort((a, b) => this.#openTo(a)!.helloMs - this.#openTo(b)!.helloMs);
    const others = relays.filter((r) => pool.get(r.endpoint) === null);
    const turn = Math.floor(Math.random() * others.length);
    return [...connected, ...others.slice(turn), ...others.slice(0, turn)];
  }

  #openTo(r: KnownRelay): RelayConnection | null {
    const c = this.#o.pool.get(r.endpoint);
    return c !== null && bytesEqual(c.peer.address, r.wallet) ? c : null;
  }

  /** Collects the verified answers about a wallet until `end`; `first` resolves with a usable one. */
  #collect(
    wallet: string,
    into: VerifiedEndpoints[],
    usable: (v: VerifiedEndpoints) => boolean,
  ): { readonly first: Promise<void>; end(): void } {
    const waiters = this.#presenceWaiters;
    const set = waiters.get(wallet) ?? new Set<(v: VerifiedEndpoints) => void>();
    waiters.set(wallet, set);
    let resolve: () => void = () => undefined;
    const first = new Promise<void>((r) => {
      resolve = r;
    });
    const waiter = (v: VerifiedEndpoints): void => {
      into.push(v);
      if (usable(v)) resolve();
    };
    set.add(waiter);
    const end = (): void => {
      set.delete(waiter);
      if (set.size === 0 && waiters.get(wallet) === set) waiters.delete(wallet);
    };
    return { first, end };
  }

  /**
   * Asks some relays together; resolves when they have had their time. A relay's hello tells how fast it answers,
   * so silence of a near one is noticed soon; later answers still count while others are being asked.
   */
  async #ask(
    address: Uint8Array,
    relays: readonly KnownRelay[],
    asked: string[],
    last: boolean,
  ): Promise<void> {
    const { pool, clock, limits } = this.#o;
    const request = encodeGetPresence2(address);
    let slowestMs = 0;
    const attempts = relays.map(async (r): Promise<boolean> => {
      try {
        const c = await pool.connect({ endpoint: r.endpoint, wallet: r.wallet });
        c.lastUsedMs = clock.nowMs();
        const sent = c.send(Code.getPresence2, request);
        if (sent) asked.push(r.endpoint);
        slowestMs = Math.max(slowestMs, c.helloMs);
        return sent;
      } catch {
        return false; // not reached at all: need not be waited for
      }
    });
    const reached = await Promise.race([
      Promise.all(attempts).then((sent) => sent.includes(true)),
      sleep(clock, limits.presenceAnswerMs).then(() => true),
    ]);
    if (!reached) return;
    const soon = Math.min(limits.presenceAnswerMs, Math.max(answerMsMin, helloTimes * slowestMs));
    await sleep(clock, last ? limits.presenceAnswerMs : soon);
  }
}
