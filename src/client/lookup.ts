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
    const dropped: DroppedEndpoint[] = [];
    const wallet = toHex(address);
    let best: VerifiedEndpoints | null = null;
    let rounds = 0;
    for (let i = 0; i < order.length; i += askedAtOnce) {
      rounds++;
      const answers = await this.#askRound(address, order.slice(i, i + askedAtOnce), relaysAsked);
      for (const v of answers) {
        for (const d of v.dropped)
          if (!dropped.some((x) => x.endpoint === d.endpoint && x.reason === d.reason)) dropped.push(d);
        if (best === null || v.addresses.length > 0) best = v;
      }
      if (answers.some((v) => book.hasUsable(wallet, v.addresses))) break;
    }
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

  /** Asks some relays together; ends with the first usable answer, or when their time is over. */
  async #askRound(
    address: Uint8Array,
    relays: readonly KnownRelay[],
    asked: string[],
  ): Promise<VerifiedEndpoints[]> {
    const { pool, clock, limits, book } = this.#o;
    const wallet = toHex(address);
    const request = encodeGetPresence2(address);
    const answers: VerifiedEndpoints[] = [];
    const set = this.#presenceWaiters.get(wallet) ?? new Set<(v: VerifiedEndpoints) => void>();
    this.#presenceWaiters.set(wallet, set);
    let waiter: ((v: VerifiedEndpoints) => void) | null = null;
    const answered = new Promise<void>((resolve) => {
      waiter = (v) => {
        answers.push(v);
        if (book.hasUsable(wallet, v.addresses)) resolve();
      };
      set.add(waiter);
    });
    // Relays that cannot be reached at all need not be waited for.
    const attempts = relays.map(async (r): Promise<boolean> => {
      try {
        const c = await pool.connect({ endpoint: r.endpoint, wallet: r.wallet });
        c.lastUsedMs = clock.nowMs();
        const sent = c.send(Code.getPresence2, request);
        if (sent) asked.push(r.endpoint);
        return sent;
      } catch {
        return false;
      }
    });
    const patience = async (): Promise<void> => {
      const reached = await Promise.race([
        Promise.all(attempts).then((sent) => sent.includes(true)),
        sleep(clock, limits.presenceAnswerMs).then(() => true),
      ]);
      if (reached) await sleep(clock, limits.presenceAnswerMs);
    };
    await Promise.race([answered, patience()]);
    if (waiter !== null) set.delete(waiter);
    if (set.size === 0 && this.#presenceWaiters.get(wallet) === set) this.#presenceWaiters.delete(wallet);
    return answers;
  }
}
