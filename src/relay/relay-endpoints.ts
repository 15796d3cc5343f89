import type { Clock } from '../clock/index.js';
import type { PresenceStore } from '../presence/index.js';

/** All relays are listed anew at most this often: strangers may ask for endpoints that nobody has. */
const listIntervalMs = 2_000;

/**
 * Which endpoints (`ip:port`) belong to relays with a verified presence. The list is made when an endpoint is not on
 * it, and what is on it is compared with the store each time. Following every change of the store instead would cost
 * the keep-alives of all clients, which are a million times as many.
 */
export class RelayEndpoints {
  readonly #walletOf = new Map<string, Uint8Array>();
  #listedMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly store: PresenceStore,
    private readonly clock: Clock,
  ) {}

  /** Whether a relay claims `endpoint`, verified and not expired. */
  has(endpoint: string): boolean {
    if (this.#holds(endpoint)) return true;
    const now = this.clock.nowMs();
    if (now - this.#listedMs < listIntervalMs) return false;
    this.#listedMs = now;
    this.#list();
    return this.#holds(endpoint);
  }

  #holds(endpoint: string): boolean {
    const wallet = this.#walletOf.get(endpoint);
    if (wallet === undefined) return false;
    return this.store.get(wallet)?.addresses.some((a) => a.type === 'R' && a.hostname === endpoint) ?? false;
  }

  #list(): void {
    this.#walletOf.clear();
    for (const wallet of this.store.relayWallets())
      for (const a of this.store.get(wallet)?.addresses ?? [])
        if (a.type === 'R') this.#walletOf.set(a.hostname, wallet);
  }
}
