import type { Signer } from '../identity/index.js';
import type { Network } from '../wire/index.js';
import { needsPow, type PresenceType } from './constants.js';
import { type KeepAlive, signKeepAlive } from './keep-alive.js';
import { decodePow } from './pow.js';

/**
 * Own keep-alives are renewed this often whatever the type: a relay at the reference's 200 s of 300 would
 * expire with one lost message (docs/protocol/05 §9 Strict).
 */
export const ownKeepAliveSeconds = 100;
/** Least step between two signed keep-alives (05 §9). */
const stepSeconds = 2;
/** A stored claim further ahead than this is given up for the present time (05 §9). */
const overflowSeconds = 10;
/** Blocks after which the own proof of work must be replaced (05 §9). */
const ownPowBlocks = 120;

export interface KeepAliveGeneratorOptions {
  readonly signer: Signer;
  readonly network: Network;
  readonly type: PresenceType;
  /** Device id: a single byte on nodes, 16 bytes on clients. */
  readonly device: Uint8Array;
  /** Network time in whole seconds. */
  readonly now: () => number;
  /** Endpoint to announce, empty while unknown. */
  readonly hostname?: string;
  /** Seconds after which a new one is signed. */
  readonly intervalSeconds?: number;
  /** Encoded proof of work to announce, for M and H; asked for each new signature. */
  readonly pow?: () => Uint8Array | null;
  /** Highest block height known in the network, 0 while unknown. */
  readonly networkHeight?: () => number;
}

/** Makes the own keep-alives (05 §9): one object per wallet and device, which remembers the last one. */
export class KeepAliveGenerator {
  readonly #o: KeepAliveGeneratorOptions;
  readonly #interval: number;
  #hostname: string;
  #last: KeepAlive | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: KeepAliveGeneratorOptions) {
    this.#o = options;
    this.#interval = options.intervalSeconds ?? ownKeepAliveSeconds;
    this.#hostname = options.hostname ?? '';
  }

  /** The keep-alive made last, or null. */
  get last(): KeepAlive | null {
    return this.#last;
  }

  /** Endpoint announced from the next keep-alive on. */
  get hostname(): string {
    return this.#hostname;
  }

  /** Changes the announced endpoint; the next call of {@link next} then signs a new keep-alive. */
  setHostname(hostname: string): void {
    this.#hostname = hostname;
  }

  /**
   * The keep-alive to send now: a new one when due or `force`d, else the last one again, unchanged. Null
   * while there is nothing to announce: no endpoint, or a ledger node without proof of work.
   */
  next(force = false): Promise<KeepAlive | null> {
    // One at a time: each new timestamp depends on the one before.
    const turn = this.#turn.then(() => this.#next(force));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #next(force: boolean): Promise<KeepAlive | null> {
    const now = this.#o.now();
    const last = this.#last;
    if (last !== null && !force && !this.#isDue(last, now)) return last;
    const { type, device } = this.#o;
    const hostname = this.#hostname;
    const pow = this.#o.pow?.() ?? null;
    if (hostname === '' || (needsPow(type) && pow === null)) return null;
    const timestamp = ownTimestamp(last?.timestamp ?? null, now);
    const fields = { device, timestamp, hostname, type, pow };
    this.#last = await signKeepAlive(fields, this.#o.signer, this.#o.network);
    return this.#last;
  }

  #isDue(last: KeepAlive, now: number): boolean {
    if (last.timestamp > now + overflowSeconds) return true;
    if (now - last.timestamp >= this.#interval) return true;
    if (last.hostname !== this.#hostname) return true;
    if (last.pow === null) return false;
    const height = BigInt(this.#o.networkHeight?.() ?? 0);
    return decodePow(last.pow).block + BigInt(ownPowBlocks) < height;
  }
}

/**
 * Timestamp of a new own keep-alive (05 §9): now, but at least 2 s after the last one, unless that one lies
 * more than 10 s ahead.
 */
export function ownTimestamp(last: number | null, now: number): number {
  if (last === null || last > now + overflowSeconds) return now;
  return Math.max(now, last + stepSeconds);
}

/** Heights a found proof of work may have (05 §9): the oldest above the first bound, else the newest above the second. */
export function chooseOwnPow<T extends { readonly block: bigint }>(
  found: readonly T[],
  networkHeight: bigint,
): T | null {
  const oldestValid = networkHeight > BigInt(ownPowBlocks) ? networkHeight - BigInt(ownPowBlocks) : 0n;
  const byBlock = found.toSorted((a, b) => (a.block < b.block ? -1 : a.block > b.block ? 1 : 0));
  return (
    byBlock.find((p) => p.block > oldestValid + 7n) ?? byBlock.findLast((p) => p.block > oldestValid) ?? null
  );
}
