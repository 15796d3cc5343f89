import { sectorPrefix } from '../identity/index.js';
import { bytesEqual, bytesKey } from '../wire/index.js';
import type { RelayContext } from './context.js';
import type { Candidate } from './outbound.js';

/** Relays of the own sector in the target list, own entry included (docs/protocol/06 §7). */
export const ownSectorSize = 7;
/** Connections to relays that the own sector is worth (06 §7). */
export const ownSectorConnections = 6;
/** Wallets of other sectors in which own clients fall, newest first (06 §8 rule 4). */
export const clientSectorWalletsMax = 64;
/** A relay that could not be reached is not tried again sooner. */
export const relayRetryMs = 30_000;

/**
 * Which relays this one wants connections with: the neighbours on the line around its own place, and those
 * around the places of its clients, within a budget. A peer is dialled at the newest relay endpoint of its
 * stored presence, and must prove the wallet it was dialled for.
 */
export class SectorPeers {
  readonly #clientSectors = new Map<string, Uint8Array>();
  readonly #triedMs = new Map<string, number>();

  constructor(private readonly ctx: RelayContext) {}

  /** The relays around an own client's place; remembered, the least recently named are forgotten. */
  want(wallets: readonly Uint8Array[]): void {
    for (const w of wallets) {
      const key = bytesKey(w);
      this.#clientSectors.delete(key);
      this.#clientSectors.set(key, w);
    }
    while (this.#clientSectors.size > clientSectorWalletsMax)
      this.#clientSectors.delete(this.#clientSectors.keys().next().value!);
  }

  /** The own sector's relays without ourselves. */
  ownSector(): Uint8Array[] {
    const { tree, ownWallet } = this.ctx;
    if (tree.size === 0) return [];
    return tree.select(sectorPrefix(ownWallet), ownSectorSize).filter((w) => !bytesEqual(w, ownWallet));
  }

  /** Wallets worth a connection, own sector first. */
  wanted(): Map<string, Uint8Array> {
    const out = new Map<string, Uint8Array>();
    for (const w of this.ownSector()) out.set(bytesKey(w), w);
    for (const [key, w] of [...this.#clientSectors].reverse())
      if (this.ctx.tree.has(w)) out.set(key, w);
      else this.#clientSectors.delete(key);
    return out;
  }

  /** Whether a connection with that wallet is worth its place; true while nobody is known (03 §5.1 rule 3). */
  wants(wallet: Uint8Array): boolean {
    const wanted = this.wanted();
    return wanted.size === 0 || wanted.has(bytesKey(wallet));
  }

  /** Newest relay endpoint of a wallet, `ip:port`, or null. */
  #endpointOf(wallet: Uint8Array): string | null {
    const p = this.ctx.store.get(wallet);
    if (p === null) return null;
    let best: { hostname: string; lastSeen: number } | null = null;
    for (const a of p.addresses)
      if (a.type === 'R' && (best === null || a.lastSeen > best.lastSeen)) best = a;
    return best?.hostname ?? null;
  }

  /** The next relay to dial, or null. */
  next(skip: (host: string) => boolean): Candidate | null {
    const now = this.ctx.clock.nowMs();
    for (const [key, wallet] of this.wanted()) {
      if (this.ctx.peers.byWallet(key).some((p) => p.isOpen && p.isRelay)) continue;
      if (now - (this.#triedMs.get(key) ?? Number.NEGATIVE_INFINITY) < relayRetryMs) continue;
      const host = this.#endpointOf(wallet);
      if (host === null || skip(host)) continue;
      this.#triedMs.set(key, now);
      if (this.#triedMs.size > 10_000) this.#triedMs.delete(this.#triedMs.keys().next().value!);
      return { host, wallet };
    }
    return null;
  }
}
