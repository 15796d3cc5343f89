import type { RelayLimits } from './limits.js';
import { sourcePrefix } from './source-prefix.js';
import { TokenBucket } from './token-bucket.js';

/** Addresses remembered for what they did; beyond, the one that offended first is forgotten. */
export const offendersMax = 16_384;

/** One host has this many leading bits of an IPv6 address for itself; an IPv4 address is one host. */
const ipv6HostBits = 64;

/**
 * Source addresses whose connections were ended because no peer says such a thing before its hello. An address that
 * does so faster than the limits allow is shunned until its bucket holds a whole token again: a flood then costs an
 * accept and a close for each connection, and an honest neighbour behind the same address waits seconds, not for ever.
 */
export class Offenders {
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(private readonly limits: Readonly<RelayLimits>) {}

  /** Addresses remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** One offence from that address. */
  add(address: string, nowMs: number): void {
    const { sourceOffencesPerSecond: rate, sourceOffencesBurst: burst } = this.limits;
    if (rate === 0) return;
    const key = host(address);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= offendersMax) this.#forgetFirst();
      bucket = new TokenBucket(rate, burst, nowMs);
      this.#buckets.set(key, bucket);
    }
    bucket.setRate(rate, burst);
    bucket.take(nowMs);
  }

  /** Whether connections from that address are not taken now. */
  shuns(address: string, nowMs: number): boolean {
    // Nobody offends on most days, and then this is all there is to it.
    if (this.#buckets.size === 0 || this.limits.sourceOffencesPerSecond === 0) return false;
    const key = host(address);
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return false;
    if (bucket.isFull(nowMs)) {
      this.#buckets.delete(key);
      return false;
    }
    return !bucket.has(nowMs);
  }

  #forgetFirst(): void {
    const [first] = this.#buckets.keys();
    this.#buckets.delete(first!);
  }
}

function host(address: string): string {
  return address.includes(':') ? sourcePrefix(address, 32, ipv6HostBits) : address;
}
