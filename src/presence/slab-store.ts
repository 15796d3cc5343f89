import type { NodeType } from '../wire/index.js';
import { EMPTY_BYTES, withRoom } from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import {
  futureToleranceSeconds,
  isPresenceType,
  PRESENCE_TYPES,
  type PresenceType,
  presenceLifetimeSeconds,
} from './constants.js';
import { encodePresence, type Presence } from './presence.js';
import { expiryThreshold, isOverdrawn } from './rules-time.js';
import { ImageReader, isAlive, writeImage } from './slab-image.js';
import { Flag } from './slab-record.js';
import { noRow } from './slab-rows.js';
import { SlabTables } from './slab-tables.js';
import { RowWheel } from './slab-wheel.js';
import type { ExportedWallets, SnapshotSource, SnapshotTarget } from './snapshot.js';
import {
  devicesMax,
  type EvictionReason,
  evictionScanMax,
  hears,
  highestType,
  type PresenceStore,
  type RenewingClaim,
  type StoreBounds,
  type StoredEntry,
  type StoredGlance,
  type StoreListener,
  type StoreOptions,
  type StoreOwner,
  storeAddressesMax,
  trimmedAtOnceMax,
  UnknownPresenceType,
  type UpsertResult,
} from './store.js';

type Gone = 'expired' | 'removed' | 'evicted';

/**
 * The presence store as bytes in a slab with indices of numbers: no object per presence, so a million of
 * them cost the collector nothing and little more memory than their bytes on the wire.
 */
export class SlabPresenceStore implements PresenceStore, SnapshotSource, SnapshotTarget {
  readonly #tables = new SlabTables();
  readonly #wheels: Readonly<Record<PresenceType, RowWheel>> = {
    C: new RowWheel(this.#tables),
    R: new RowWheel(this.#tables),
    M: new RowWheel(this.#tables),
    H: new RowWheel(this.#tables),
  };
  readonly #listeners = new Set<StoreListener>();
  #relayVersion = 0;
  #addressesMax: number;
  #bytesMax: number;
  readonly #evicted: (type: PresenceType, why: EvictionReason) => void;
  readonly #devicesMax: Readonly<Record<PresenceType, number>>;
  readonly #isOwnSector: ((wallet: Uint8Array) => boolean) | undefined;
  readonly #isPinned: (wallet: Uint8Array) => boolean;

  constructor(options: StoreOptions = {}) {
    this.#addressesMax = options.addressesMax ?? storeAddressesMax;
    this.#bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
    this.#evicted = options.evicted ?? (() => undefined);
    this.#devicesMax = { ...devicesMax, ...options.devicesMax };
    this.#isOwnSector = options.isOwnSector;
    this.#isPinned = options.isPinned ?? (() => false);
  }

  get wallets(): number {
    return this.#tables.wallets;
  }

  get addresses(): number {
    return this.#tables.entries;
  }

  get counts(): Readonly<Record<NodeType, number>> {
    const w = this.#wheels;
    return { M: w.M.size, H: w.H.size, R: w.R.size, C: w.C.size, W: 0 };
  }

  /** Bytes of the pages that hold records, the segments they lie in, and records moved to keep them tight. */
  get memory(): { readonly pageBytes: number; readonly segmentBytes: number; readonly movedRecords: number } {
    const { pageBytes, segmentBytes, movedRecords } = this.#tables.slab;
    return { pageBytes, segmentBytes, movedRecords };
  }

  has(wallet: Uint8Array): boolean {
    return this.#tables.index.find(wallet) >= 0;
  }

  get(wallet: Uint8Array): Presence | null {
    const t = this.#tables;
    const w = t.index.find(wallet);
    if (w < 0) return null;
    const { version, wallet: own, publicKey } = t.ownerOf(w);
    const addresses = t.entriesOf(w).map((e) => t.addressOf(e));
    return { version, wallet: own, publicKey, metadata: null, addresses };
  }

  publicKey(wallet: Uint8Array): Uint8Array | null {
    const w = this.#tables.index.find(wallet);
    return w < 0 ? null : this.#tables.publicKeyOf(w);
  }

  entry(wallet: Uint8Array, device: Uint8Array): StoredEntry | null {
    const t = this.#tables;
    const e = this.#find(wallet, device);
    if (e === noRow) return null;
    return {
      address: t.addressOf(e),
      announced: t.announcedOf(e),
      powVerified: (t.flagsOf(e) & Flag.powVerified) !== 0,
    };
  }

  glance({ wallet, device, bytes }: Pick<RenewingClaim, 'wallet' | 'device' | 'bytes'>): StoredGlance | null {
    const t = this.#tables;
    const w = t.index.find(wallet);
    const e = w < 0 ? noRow : t.findEntry(w, device);
    if (e === noRow) return null;
    return {
      lastSeen: t.secondOf(e),
      announced: t.announcedOf(e),
      publicKey: t.publicKeyViewOf(w),
      saysSame: t.saysSame(e, bytes),
    };
  }

  renew({ wallet, device, bytes, type, timestamp }: RenewingClaim): boolean {
    const e = this.#find(wallet, device);
    if (e === noRow) return false;
    const before = this.#takeOut(e);
    this.#tables.rewriteEntry(e, bytes, type, timestamp);
    this.#putBack(e, before, type);
    this.#relayChanged(this.#tables.walletRowOf(e));
    this.#shrink(type, e);
    this.#tellStored(wallet, device, type);
    return true;
  }

  packets(wallet: Uint8Array, perPacket: number): Uint8Array[] {
    const t = this.#tables;
    const w = t.index.find(wallet);
    if (w < 0) return [];
    const entries = t.entriesOf(w);
    // The layout of version 0 differs in every field (05 §4.2), and nobody sends it any more.
    const legacy = t.versionOf(w) === 0 ? t.ownerOf(w) : null;
    const out: Uint8Array[] = [];
    for (let i = 0; i < entries.length; i += perPacket) {
      const part = entries.length <= perPacket ? entries : entries.slice(i, i + perPacket);
      if (legacy === null) out.push(t.packet(w, part));
      else {
        const addresses = part.map((e) => t.addressOf(e));
        out.push(withRoom(encodePresence({ ...legacy, metadata: null, addresses })));
      }
    }
    return out;
  }

  presenceBytes(wallet: Uint8Array): number {
    const t = this.#tables;
    const w = t.index.find(wallet);
    if (w < 0) return 0;
    const legacy = t.versionOf(w) === 0;
    return legacy ? this.#whole(wallet).length : t.packetBytes(w, t.entriesOf(w));
  }

  copyPresence(wallet: Uint8Array, out: Uint8Array, at: number): number {
    const t = this.#tables;
    const w = t.index.find(wallet);
    if (w < 0) return at;
    if (t.versionOf(w) !== 0) return t.copyPacket(w, t.entriesOf(w), out, at);
    const bytes = this.#whole(wallet);
    out.set(bytes, at);
    return at + bytes.length;
  }

  #whole(wallet: Uint8Array): Uint8Array {
    return this.packets(wallet, Number.POSITIVE_INFINITY)[0] ?? EMPTY_BYTES;
  }

  #find(wallet: Uint8Array, device: Uint8Array): number {
    const w = this.#tables.index.find(wallet);
    return w < 0 ? noRow : this.#tables.findEntry(w, device);
  }

  upsert(owner: StoreOwner, address: PresenceAddress, facts: { powVerified?: boolean } = {}): UpsertResult {
    const { type } = address;
    if (!isPresenceType(type)) throw new UnknownPresenceType(type);
    const t = this.#tables;
    const powVerified = facts.powVerified ?? false;
    let w = t.index.find(owner.wallet);
    const stored = w < 0 ? noRow : t.findEntry(w, address.device);
    if (stored !== noRow) {
      const before = this.#takeOut(stored);
      t.replaceEntry(stored, address, type, powVerified);
      this.#putBack(stored, before, type);
      this.#relayChanged(w);
      this.#shrink(type, stored);
      this.#tellStored(owner.wallet, address.device, type);
      return 'replaced';
    }
    const surplus = w < 0 ? noRow : this.#surplus(w, type);
    // The oldest device gives way; when that is the new one, nothing changes.
    if (surplus !== noRow && t.secondOf(surplus) > address.lastSeen) return 'device-cap';
    if (surplus === noRow && !this.#roomFor(owner, address, type)) return 'full';
    // Making room may have taken the wallet's last endpoint, and the wallet with it.
    w = t.index.find(owner.wallet);
    if (w < 0) w = t.addOwner(owner);
    const entry = t.addEntry(w, address, type, powVerified);
    this.#wheels[type].insert(entry);
    if (type === 'R') this.#relayGained(w);
    this.#relayChanged(w);
    if (surplus !== noRow) {
      this.#drop(surplus, 'evicted');
      this.#shrink(type, entry);
    }
    this.#tellStored(owner.wallet, address.device, type);
    return 'added';
  }

  get bytes(): number {
    return this.#bytesMax === Number.POSITIVE_INFINITY ? 0 : this.#tables.bytes;
  }

  setBounds(bounds: StoreBounds): void {
    this.#addressesMax = bounds.addressesMax ?? this.#addressesMax;
    this.#bytesMax = bounds.bytesMax ?? this.#bytesMax;
  }

  /** Makes room for one more endpoint; false when it must stay out. The own one never has to. */
  #roomFor(owner: StoreOwner, address: PresenceAddress, type: PresenceType): boolean {
    const t = this.#tables;
    const isOwn = this.#isPinned(owner.wallet);
    const kind = isOwn ? highestType : type;
    const isBounded = this.#bytesMax !== Number.POSITIVE_INFINITY;
    for (;;) {
      const isNew = t.index.find(owner.wallet) < 0;
      const why =
        this.addresses >= this.#addressesMax
          ? 'count'
          : isBounded && t.bytes + t.bytesOf(isNew ? owner : null, address) > this.#bytesMax
            ? 'bytes'
            : null;
      if (why === null) return true;
      if (!this.#makeRoom(kind, why)) return isOwn;
    }
  }

  /** Back within the bytes after an endpoint grew, which itself stays. */
  #shrink(type: PresenceType, keep: number): void {
    while (this.#tables.bytes > this.#bytesMax && this.#makeRoom(type, 'bytes', keep));
  }

  /** After the bounds became smaller: so many at once and no more. */
  #trim(): void {
    for (let i = 0; i < trimmedAtOnceMax; i++) {
      const why =
        this.addresses > this.#addressesMax ? 'count' : this.#tables.bytes > this.#bytesMax ? 'bytes' : null;
      if (why === null || !this.#makeRoom(highestType, why)) return;
    }
  }

  /** What is held now, for whoever asked to be told. */
  #tellStored(wallet: Uint8Array, device: Uint8Array, type: PresenceType): void {
    let address: PresenceAddress | null = null;
    for (const l of this.#listeners) {
      if (!hears(l, type)) continue;
      if (address === null) {
        const e = this.#find(wallet, device);
        if (e === noRow) return;
        address = this.#tables.addressOf(e);
      }
      l.stored?.(wallet.slice(), address);
    }
  }

  /** Takes an endpoint that is about to be replaced from the wheel of its type, which is returned. */
  #takeOut(e: number): PresenceType {
    const before = this.#tables.typeOf(e);
    this.#wheels[before].remove(e);
    return before;
  }

  #putBack(e: number, before: PresenceType, type: PresenceType): void {
    const t = this.#tables;
    this.#wheels[type].insert(e);
    if (before === type) return;
    const w = t.walletRowOf(e);
    if (type === 'R') this.#relayGained(w);
    if (before === 'R') this.#relayLost(w, t.walletOf(w));
    const surplus = this.#surplus(w, type, e);
    if (surplus !== noRow) this.#drop(surplus, 'evicted');
  }

  /** The oldest device of that type when one more would be too many, `besides` not counted. */
  #surplus(w: number, type: PresenceType, besides = noRow): number {
    const t = this.#tables;
    let count = 0;
    let oldest = noRow;
    for (let e = t.firstOf(w); e !== noRow; e = t.siblingOf(e)) {
      if (e === besides || t.typeOf(e) !== type) continue;
      count++;
      if (oldest === noRow || t.secondOf(e) < t.secondOf(oldest)) oldest = e;
    }
    return count < this.#devicesMax[type] ? noRow : oldest;
  }

  /**
   * Gives up one endpoint: clients first, then relays, then ledger nodes, never a higher kind than the one
   * that comes; the oldest outside the own sectors, else the oldest.
   */
  #makeRoom(incoming: PresenceType, why: EvictionReason, keep = noRow): boolean {
    for (const type of PRESENCE_TYPES) {
      const victim = this.#victim(type, keep);
      if (victim !== noRow) {
        this.#drop(victim, 'evicted');
        this.#evicted(type, why);
        return true;
      }
      if (type === incoming) return false;
    }
    return false;
  }

  #victim(type: PresenceType, keep: number): number {
    let oldest = noRow;
    let looked = 0;
    for (const e of this.#wheels[type].oldestFirst()) {
      if (++looked > evictionScanMax) break;
      const wallet = this.#tables.walletOf(this.#tables.walletRowOf(e));
      if (e === keep || this.#isPinned(wallet)) continue;
      if (this.#isOwnSector === undefined || !this.#isOwnSector(wallet)) return e;
      if (oldest === noRow) oldest = e;
    }
    return oldest;
  }

  markAnnounced(wallet: Uint8Array, device: Uint8Array, timestamp: number): void {
    const e = this.#find(wallet, device);
    if (e !== noRow) this.#tables.setAnnounced(e, timestamp);
  }

  remove(wallet: Uint8Array, device: Uint8Array): boolean {
    const e = this.#find(wallet, device);
    if (e === noRow) return false;
    this.#drop(e, 'removed');
    return true;
  }

  removeWallet(wallet: Uint8Array): boolean {
    const w = this.#tables.index.find(wallet);
    if (w < 0) return false;
    // A listener may have taken others meanwhile.
    for (const e of this.#tables.entriesOf(w))
      if (this.#tables.walletRowOf(e) === w) this.#drop(e, 'removed');
    return true;
  }

  #drop(e: number, why: Gone): void {
    const t = this.#tables;
    const w = t.walletRowOf(e);
    const type = t.typeOf(e);
    const isHeard = this.#isHeard((l) => l.removed);
    const address = isHeard ? t.addressOf(e) : null;
    const wallet = isHeard || type === 'R' ? t.walletOf(w) : null;
    this.#relayChanged(w);
    this.#wheels[type].remove(e);
    t.removeEntry(e);
    const relays = type === 'R' ? t.relaysOf(w) - 1 : 1;
    if (type === 'R') t.setRelays(w, relays);
    if (t.firstOf(w) === noRow) t.removeWallet(w);
    if (relays === 0) for (const l of this.#listeners) l.relayRemoved?.(wallet!);
    if (address !== null) for (const l of this.#listeners) l.removed?.(wallet!, address, why);
  }

  #isHeard(of: (l: StoreListener) => unknown): boolean {
    for (const l of this.#listeners) if (of(l) !== undefined) return true;
    return false;
  }

  /** Something of that wallet is about to change, or has. */
  #relayChanged(w: number): void {
    if (this.#tables.relaysOf(w) > 0) this.#relayVersion++;
  }

  #relayGained(w: number): void {
    const t = this.#tables;
    const relays = t.relaysOf(w) + 1;
    t.setRelays(w, relays);
    if (relays === 1) for (const l of this.#listeners) l.relayAdded?.(t.walletOf(w));
  }

  #relayLost(w: number, wallet: Uint8Array): void {
    this.#relayVersion++;
    const relays = this.#tables.relaysOf(w) - 1;
    this.#tables.setRelays(w, relays);
    if (relays === 0) for (const l of this.#listeners) l.relayRemoved?.(wallet);
  }

  expire(now: number): number {
    const t = this.#tables;
    const before = this.addresses;
    const threshold = expiryThreshold(now);
    for (const type of PRESENCE_TYPES) {
      for (const due of this.#wheels[type].due(threshold)) {
        const w = t.walletRowOf(due);
        // Rows are used again: a listener may have removed this one and put another in its place.
        if (w === noRow || t.secondOf(due) > threshold || t.typeOf(due) !== type) continue;
        this.#drop(due, 'expired');
        // 05 §8.4: what lies too far ahead goes along, of the same wallet and type.
        for (const e of t.entriesOf(w))
          if (t.walletRowOf(e) === w && t.typeOf(e) === type && isOverdrawn(t.secondOf(e), now))
            this.#drop(e, 'expired');
      }
    }
    this.#trim();
    return before - this.addresses;
  }

  byType(type: string, max: number, now: number): Uint8Array[] {
    if (type === 'W') return [];
    if (!isPresenceType(type)) throw new UnknownPresenceType(type);
    const found = new Set<number>();
    const from = now + futureToleranceSeconds;
    for (const e of this.#wheels[type].newestFirst(from, now - presenceLifetimeSeconds)) {
      if (found.size >= max) break;
      found.add(this.#tables.walletRowOf(e));
    }
    return Array.from(found, (w) => this.#tables.walletOf(w));
  }

  inSectorRange(from: Uint8Array, to: Uint8Array, max: number): Uint8Array[] {
    return this.#tables.sectors.range(from, to, max).map((w) => this.#tables.walletOf(w));
  }

  get relayVersion(): number {
    return this.#relayVersion;
  }

  *relayWallets(): Generator<Uint8Array> {
    const t = this.#tables;
    for (let w = 0; w < t.walletEnd; w++)
      if (t.firstOf(w) !== noRow && t.relaysOf(w) > 0) yield t.walletOf(w);
  }

  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  // --- snapshot -------------------------------------------------------------------------------------------

  exportWallets(row: number, into: Uint8Array, at = 0, enough = into.length): ExportedWallets {
    const t = this.#tables;
    let end = at;
    let wallets = 0;
    for (let w = row; w < t.walletEnd; w++) {
      if (t.firstOf(w) === noRow) continue;
      const next = end - at < enough ? writeImage(t, w, into, end) : -1;
      if (next < 0) {
        // One that fits no block at all would stop the rest.
        if (end === 0) continue;
        return { next: w, bytes: end - at, wallets };
      }
      end = next;
      wallets++;
    }
    return { next: null, bytes: end - at, wallets };
  }

  importBegins(wallets: number): void {
    this.#tables.expect(Math.min(wallets, this.#addressesMax));
  }

  importWallets(payload: Uint8Array, now: number): { addresses: number; skipped: number } {
    const t = this.#tables;
    const before = this.addresses;
    let read = 0;
    const image = new ImageReader(payload);
    while (image.nextWallet()) {
      let w = t.index.find(image.wallet);
      for (; image.nextEntry(); read++) {
        const { type, body } = image;
        if (!isAlive(image.second, now) || this.addresses >= this.#addressesMax) continue;
        if (t.bytes > this.#bytesMax) continue;
        if (w < 0) w = t.addWallet(image.head, image.wallet, image.lead, true);
        // A wallet stands there twice when it left and came back while the snapshot was written.
        else if (this.#surplus(w, type) !== noRow || t.hasBodyOf(w, body)) continue;
        const entry = t.addBody(w, body, image.flags, type, image.second, image.announced);
        this.#wheels[type].insert(entry);
        if (type === 'R') t.setRelays(w, t.relaysOf(w) + 1);
      }
    }
    const addresses = this.addresses - before;
    return { addresses, skipped: read - addresses };
  }

  /** Relays and ledger nodes are told of; of clients, which are nearly all, nobody asks what was known before. */
  importFinished(): void {
    const t = this.#tables;
    t.expect(0);
    this.#relayVersion++;
    for (const w of [...this.relayWallets()]) for (const l of this.#listeners) l.relayAdded?.(w);
    for (const type of ['R', 'H', 'M'] as const)
      for (const e of [...this.#wheels[type].oldestFirst()]) {
        const w = t.walletRowOf(e);
        if (w === noRow) continue;
        const address = t.addressOf(e);
        const wallet = t.walletOf(w);
        for (const l of this.#listeners) if (hears(l, type)) l.stored?.(wallet, address);
      }
  }

  importAborted(): void {
    this.#relayVersion++;
    this.#tables.clear();
    for (const type of PRESENCE_TYPES) this.#wheels[type].clear();
  }
}
