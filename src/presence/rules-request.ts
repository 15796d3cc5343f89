import { bytesKey } from '../wire/index.js';

/** Least time between two getPresence2 for one wallet to one endpoint (docs/protocol/05 §8.3 Strict). */
export const presenceRequestSeconds = 30;
/** Requests to one endpoint within that time: a relay coming back with its clients needs about this many. */
export const presenceRequestsPerEndpointMax = 256;
/** Pairs remembered; beyond it the oldest half is forgotten and may be asked again. */
const requestsRememberedMax = 65_536;

/**
 * Limits the requests that an unsigned packet about an unknown wallet would trigger (05 §8.3 Weakness): one
 * per 30 s for each pair of endpoint and wallet, and a bounded number per endpoint. Not per wallet alone, or
 * anybody naming a wallet could keep its owner from being asked.
 */
export class PresenceRequestLimiter {
  readonly #asked = new Map<string, number>();
  readonly #perEndpoint = new Map<string, { since: number; count: number }>();

  constructor(
    readonly perEndpointMax: number = presenceRequestsPerEndpointMax,
    readonly rememberedMax: number = requestsRememberedMax,
  ) {}

  /** True when the request may go out now; it then counts as sent. `now` in seconds. */
  allow(endpoint: string, wallet: Uint8Array, now: number): boolean {
    const pair = `${endpoint}\u0000${bytesKey(wallet)}`;
    const last = this.#asked.get(pair);
    if (last !== undefined && Math.abs(now - last) < presenceRequestSeconds) return false;
    let window = this.#perEndpoint.get(endpoint);
    if (window === undefined || Math.abs(now - window.since) >= presenceRequestSeconds) {
      window = { since: now, count: 0 };
      this.#perEndpoint.set(endpoint, window);
    }
    if (window.count >= this.perEndpointMax) return false;
    window.count++;
    this.#asked.delete(pair);
    this.#asked.set(pair, now);
    if (this.#asked.size > this.rememberedMax) this.#forget();
    return true;
  }

  /** Forgets an endpoint that has gone. */
  drop(endpoint: string): void {
    this.#perEndpoint.delete(endpoint);
  }

  #forget(): void {
    // Insertion order is order of asking: the first half is the oldest.
    let left = Math.floor(this.rememberedMax / 2);
    for (const key of this.#asked.keys()) {
      if (left-- <= 0) break;
      this.#asked.delete(key);
    }
  }
}
