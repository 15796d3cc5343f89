import { type PresenceAddress, presenceLifetimeSeconds, timeProblem } from '../presence/index.js';
import { bytesEqual, toHex } from '../wire/index.js';
import type { FoundEndpoint, VerifiedEndpoints } from './types.js';

/** Wallets kept besides contacts, e.g. from look-ups: the oldest go first. */
const walletsMax = 2_000;
/** Devices kept per wallet; the newest stay. */
const devicesMax = 16;
/** A failed endpoint is tried again after this even without a newer claim: an error may have been forged. */
const failedMs = 30_000;

interface Failure {
  /** Claims up to this one are not believed any more. */
  readonly lastSeen: number;
  readonly untilMs: number;
}

interface Entry {
  publicKey: Uint8Array;
  readonly addresses: Map<string, PresenceAddress>;
  readonly failed: Map<string, Failure>;
}

/** What an update changed. */
export interface PresenceChange {
  /** A device has a newer claim than before. */
  readonly newer: boolean;
  /** A hostname came that was not there, or the wallet came online. */
  readonly moved: boolean;
}

/** Verified endpoints of other wallets, and which of them have failed us (docs/protocol/07 §10). */
export class PresenceBook {
  readonly #entries = new Map<string, Entry>();

  constructor(
    private readonly networkSeconds: () => number,
    private readonly nowMs: () => number,
  ) {}

  /** Takes over endpoints that passed {@link PresenceVerifier}. `wallet` is a hex address. */
  update(wallet: string, v: Pick<VerifiedEndpoints, 'publicKey' | 'addresses'>): PresenceChange {
    const before = new Set(this.hostnames(wallet));
    let e = this.#entries.get(wallet);
    if (e === undefined) e = { publicKey: v.publicKey, addresses: new Map(), failed: new Map() };
    this.#entries.delete(wallet);
    this.#entries.set(wallet, e);
    let newer = false;
    for (const a of v.addresses) {
      if (a.type !== 'C') continue;
      const key = toHex(a.device);
      const old = e.addresses.get(key);
      if (old !== undefined && old.lastSeen >= a.lastSeen) continue;
      e.addresses.set(key, a);
      newer = true;
      const f = e.failed.get(a.hostname);
      if (f !== undefined && f.lastSeen < a.lastSeen) e.failed.delete(a.hostname);
    }
    this.#prune(e);
    if (this.#entries.size > walletsMax) this.#entries.delete(this.#entries.keys().next().value!);
    return { newer, moved: this.hostnames(wallet).some((h) => !before.has(h)) };
  }

  #prune(e: Entry): void {
    if (e.addresses.size <= devicesMax) return;
    const oldestFirst = [...e.addresses].sort((a, b) => a[1].lastSeen - b[1].lastSeen);
    for (const [key] of oldestFirst.slice(0, e.addresses.size - devicesMax)) e.addresses.delete(key);
  }

  /** Key of a wallet seen before, null otherwise. */
  publicKey(wallet: string): Uint8Array | null {
    return this.#entries.get(wallet)?.publicKey ?? null;
  }

  /** The stored claim of one device. */
  claimOf(wallet: string, device: Uint8Array): PresenceAddress | null {
    return this.#entries.get(wallet)?.addresses.get(toHex(device)) ?? null;
  }

  /** Fresh endpoints, newest first, failed ones included. */
  endpoints(wallet: string): FoundEndpoint[] {
    const now = this.networkSeconds();
    return [...(this.#entries.get(wallet)?.addresses.values() ?? [])]
      .filter((a) => timeProblem(a.lastSeen, now) === null)
      .sort((a, b) => b.lastSeen - a.lastSeen)
      .map(({ hostname, device, lastSeen, nodeVersion }) => ({ hostname, device, lastSeen, nodeVersion }));
  }

  /** Distinct relays to try, that of the newest claim first, those that failed left out. */
  hostnames(wallet: string): string[] {
    const out = new Set<string>();
    for (const e of this.endpoints(wallet)) if (!this.#hasFailed(wallet, e)) out.add(e.hostname);
    return [...out];
  }

  /** Newest claim of a wallet in network seconds, 0 without one. */
  lastSeen(wallet: string): number {
    let newest = 0;
    for (const a of this.#entries.get(wallet)?.addresses.values() ?? [])
      newest = Math.max(newest, a.lastSeen);
    return newest;
  }

  isOnline(wallet: string): boolean {
    return this.networkSeconds() - this.lastSeen(wallet) <= presenceLifetimeSeconds;
  }

  /** True for a claim that an earlier failure has discredited. */
  #hasFailed(wallet: string, e: { readonly hostname: string; readonly lastSeen: number }): boolean {
    const f = this.#entries.get(wallet)?.failed.get(e.hostname);
    return f !== undefined && e.lastSeen <= f.lastSeen && this.nowMs() < f.untilMs;
  }

  /** Whether any of these claims may be used: an answer without one is worth asking somebody else. */
  hasUsable(wallet: string, addresses: readonly PresenceAddress[]): boolean {
    return addresses.some((a) => a.type === 'C' && !this.#hasFailed(wallet, a));
  }

  /**
   * That relay did not deliver to this wallet: its claims up to now are not used again, so that a stale presence
   * cannot bring it back (07 §10). True when it had been in use.
   */
  fail(wallet: string, hostname: string): boolean {
    const e = this.#entries.get(wallet);
    if (e === undefined) return false;
    const claims = this.endpoints(wallet).filter((x) => x.hostname === hostname);
    const used = claims.some((x) => !this.#hasFailed(wallet, x));
    if (used) e.failed.set(hostname, { lastSeen: claims[0]!.lastSeen, untilMs: this.nowMs() + failedMs });
    return used;
  }

  /** Wallets with a fresh claim that names this relay. */
  walletsAt(hostname: string): string[] {
    return [...this.#entries.keys()].filter((w) => this.endpoints(w).some((e) => e.hostname === hostname));
  }

  /** True when this very claim is stored. */
  holds(wallet: string, a: Pick<PresenceAddress, 'device' | 'lastSeen' | 'signature'>): boolean {
    const old = this.claimOf(wallet, a.device);
    return (
      old !== null &&
      old.lastSeen === a.lastSeen &&
      old.signature !== null &&
      a.signature !== null &&
      bytesEqual(old.signature, a.signature)
    );
  }
}
