import type { NodeType } from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import type { PresenceType } from './constants.js';
import type { Presence } from './presence.js';
import type { ClaimBytes } from './received-claim.js';

/** What a store knows of one device of one wallet. */
export interface StoredEntry {
  readonly address: PresenceAddress;
  /** Seconds of the claim last told to others, -Infinity when none was. */
  readonly announced: number;
  /** True when the work of its proof was checked (docs/protocol/05 §6.7). */
  readonly powVerified: boolean;
}

/** What decides whether a claim is newer, without its bytes. */
export interface StoredGlance {
  /** Seconds of the stored claim. */
  readonly lastSeen: number;
  /** As in {@link StoredEntry}. */
  readonly announced: number;
  /** The wallet's key, a view that the next change to the store may spoil. */
  readonly publicKey: Uint8Array;
  /** True when hostname and type are those of the claim looked at for. */
  readonly saysSame: boolean;
}

/** A verified claim of version 2 without proof of work, as it lies in its message. */
export interface RenewingClaim {
  readonly wallet: Uint8Array;
  readonly device: Uint8Array;
  readonly timestamp: number;
  readonly hostname: string;
  readonly type: PresenceType;
  readonly signature: Uint8Array;
  readonly bytes: ClaimBytes;
}

/** The wallet an endpoint belongs to. */
export type StoreOwner = Pick<Presence, 'wallet' | 'publicKey' | 'version'>;

/** What became of an endpoint handed to the store. */
export type UpsertResult =
  | 'added'
  | 'replaced'
  /** The wallet has as many devices of that type as it may, all newer. */
  | 'device-cap'
  /** The store is full of entries that this one may not push out. */
  | 'full';

/** Told of changes, after they happened. */
export interface StoreListener {
  /** The wallet has a relay endpoint now and had none. */
  relayAdded?(wallet: Uint8Array): void;
  /** The wallet's last relay endpoint is gone. */
  relayRemoved?(wallet: Uint8Array): void;
  /** Types that {@link stored} is told of; every one when absent. Of clients there may be thousands a second. */
  readonly storedTypes?: readonly PresenceType[];
  /** An endpoint came in or was renewed; `address` is what is held now. */
  stored?(wallet: Uint8Array, address: PresenceAddress): void;
  /** An endpoint left: by age, by hand, or because room was needed. */
  removed?(wallet: Uint8Array, address: PresenceAddress, why: 'expired' | 'removed' | 'evicted'): void;
}

/** True when the listener wants to be told of stored endpoints of that type. */
export function hears(listener: StoreListener, type: PresenceType): boolean {
  return listener.stored !== undefined && (listener.storedTypes?.includes(type) ?? true);
}

/** Thrown for a type letter that no node has; the reference gives no answer then (05 §8.5). */
export class UnknownPresenceType extends Error {
  override readonly name = 'UnknownPresenceType';
  constructor(readonly type: string) {
    super(`no such node type: ${JSON.stringify(type)}`);
  }
}

/**
 * Endpoints by wallet and device, with everything that is asked of them (docs/protocol/05 §8). Holds only
 * what was verified before; how it is laid out in memory is its own business, so callers get values, not
 * records, and arrays they hand in may be reused afterwards.
 */
export interface PresenceStore {
  /** Number of wallets. */
  readonly wallets: number;
  /** Number of endpoints. */
  readonly addresses: number;
  /** Endpoints per type; `W` is always 0. */
  readonly counts: Readonly<Record<NodeType, number>>;

  has(wallet: Uint8Array): boolean;
  /** The wallet's presence without metadata, or null. */
  get(wallet: Uint8Array): Presence | null;
  /** The stored public key, or null. */
  publicKey(wallet: Uint8Array): Uint8Array | null;
  /**
   * The wallet's presence as bytes that go out as they are (docs/protocol/05 §4), `perPacket` endpoints in
   * each; none for an unknown wallet. In front of each there is room for a frame's header, see `sealFrame`.
   */
  packets(wallet: Uint8Array, perPacket: number): Uint8Array[];
  /** Size of the wallet's whole presence as bytes; 0 for an unknown wallet. */
  presenceBytes(wallet: Uint8Array): number;
  /** Writes it to `out[at…]`, where there is room for it; returns where it ends. */
  copyPresence(wallet: Uint8Array, out: Uint8Array, at: number): number;
  /** One device, or null. */
  entry(wallet: Uint8Array, device: Uint8Array): StoredEntry | null;

  /** {@link entry} for the path that thousands of claims a second take: nothing is decoded. Null when not known. */
  glance(claim: Pick<RenewingClaim, 'wallet' | 'device' | 'bytes'>): StoredGlance | null;
  /** {@link upsert} on that path: the claim replaces that of its device. False, and nothing done, when there is none. */
  renew(claim: RenewingClaim): boolean;

  /**
   * Puts an endpoint in or replaces the one of its device. Key, version and node version of what is stored
   * stay (05 §8.2); everything signed is replaced, the proof of work also by none.
   */
  upsert(owner: StoreOwner, address: PresenceAddress, facts?: { powVerified?: boolean }): UpsertResult;
  /** Remembers which claim was told to others last. */
  markAnnounced(wallet: Uint8Array, device: Uint8Array, timestamp: number): void;
  /** Removes one device; false when it was not there. */
  remove(wallet: Uint8Array, device: Uint8Array): boolean;
  /** Removes a wallet with all devices; false when it was not there. */
  removeWallet(wallet: Uint8Array): boolean;
  /** Removes what is 300 s old or older at network second `now` (05 §8.4); returns how many endpoints. */
  expire(now: number): number;

  /**
   * Distinct wallets with an endpoint of that type, newest first, at most `max`.
   *
   * @throws UnknownPresenceType for a letter outside C, H, M, R, W
   */
  byType(type: string, max: number, now: number): Uint8Array[];
  /** Wallets whose sector prefix lies in `from…to` (10 bytes each, inclusive) in order, at most `max`. */
  inSectorRange(from: Uint8Array, to: Uint8Array, max: number): Uint8Array[];
  /** Changes with every change to the presence of a wallet that has, or had, a relay endpoint. */
  readonly relayVersion: number;
  /** Wallets that have a relay endpoint. */
  relayWallets(): Iterable<Uint8Array>;
  /** Bytes held, as {@link StoreBounds.bytesMax} counts them; 0 where no such bound is set. */
  readonly bytes: number;
  /** Changes the bounds. What is too much now goes with the next calls of {@link expire}. */
  setBounds(bounds: StoreBounds): void;
  /** Calls `listener` on every later change; the returned call ends it. */
  subscribe(listener: StoreListener): () => void;
}

/** Why an endpoint was given up. */
export type EvictionReason =
  /** As many endpoints as there may be. */
  | 'count'
  /** As many bytes as there may be. */
  | 'bytes';

/** How much a store may hold. */
export interface StoreBounds {
  /** Most endpoints: at about 1.2 kB each the default stays below 1.3 GB. */
  readonly addressesMax?: number;
  /**
   * Most bytes: records in the slots that the slab keeps them in, and what the indices need for each. What is
   * resident is at most a thirty-second more, and a segment.
   */
  readonly bytesMax?: number;
}

/** Bounds of a store and who goes first when it is full. */
export interface StoreOptions extends StoreBounds {
  /** Told of each endpoint given up for want of room. */
  readonly evicted?: (type: PresenceType, why: EvictionReason) => void;
  /** Most devices of one wallet by type (05 §8.1 Strict): 8 clients, 2 of anything else. */
  readonly devicesMax?: Partial<Record<PresenceType, number>>;
  /** True for wallets in the own sectors: others are given up before them (05 §8.1 Strict). */
  readonly isOwnSector?: (wallet: Uint8Array) => boolean;
  /** True for wallets that are never given up: the own one. */
  readonly isPinned?: (wallet: Uint8Array) => boolean;
}

/** The kind that is given up last. */
export const highestType: PresenceType = 'M';
/** Most endpoints of a store that was not told otherwise. */
export const storeAddressesMax = 1_000_000;
/** Most devices of one wallet by type (05 §8.1 Strict). */
export const devicesMax: Readonly<Record<PresenceType, number>> = { C: 8, R: 2, M: 2, H: 2 };
/** Bytes of indices for one wallet: row of five numbers, its place in the address index and in sector order. */
export const walletIndexBytes = 40;
/** Bytes of indices for one endpoint: row of eight numbers. */
export const entryIndexBytes = 32;
/** Endpoints given up by one call of expire after the bounds became smaller: some 20 ms. */
export const trimmedAtOnceMax = 20_000;
/** Endpoints looked at to find one outside the own sectors: bounds the cost of making room. */
export const evictionScanMax = 256;
