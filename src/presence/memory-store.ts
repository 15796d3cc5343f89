import { sectorPrefix } from '../identity/index.js';
import { ByteWriter, bytesEqual, bytesKey, type NodeType, withRoom } from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import {
  futureToleranceSeconds,
  isPresenceType,
  PRESENCE_TYPES,
  type PresenceType,
  presenceLifetimeSeconds,
} from './constants.js';
import { type Presence, presencePackets } from './presence.js';
import { expiryThreshold, isOverdrawn } from './rules-time.js';
import { SectorIndex } from './sector-index.js';
import { slotBytesFor } from './slab-memory.js';
import { bodyOffset, headOffset, RecordScratch } from './slab-record.js';
import {
  devicesMax,
  type EvictionReason,
  entryIndexBytes,
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
  walletIndexBytes,
} from './store.js';
import { SecondWheel, type WheelEntry } from './wheel.js';

interface WalletRecord {
  readonly wallet: Uint8Array;
  readonly prefix: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly version: number;
  readonly entries: Entry[];
  relays: number;
}

class Entry implements WheelEntry<Entry>, StoredEntry {
  second = 0;
  prev: Entry | null = null;
  next: Entry | null = null;
  announced = Number.NEGATIVE_INFINITY;

  constructor(
    readonly record: WalletRecord,
    public address: PresenceAddress,
    public type: PresenceType,
    public powVerified: boolean,
  ) {}
}

const copy = (b: Uint8Array | null): Uint8Array | null => (b === null ? null : b.slice());

/** Received arrays are views into a chunk that is reused or would be kept alive by them. */
function owned(a: PresenceAddress): PresenceAddress {
  return { ...a, device: a.device.slice(), signature: copy(a.signature), pow: copy(a.pow) };
}

type Wheels = Readonly<Record<PresenceType, SecondWheel<Entry>>>;

/** The presence store as plain objects. */
export class MemoryPresenceStore implements PresenceStore {
  readonly #records = new Map<string, WalletRecord>();
  readonly #wheels: Wheels = {
    C: new SecondWheel(),
    R: new SecondWheel(),
    M: new SecondWheel(),
    H: new SecondWheel(),
  };
  readonly #sectors = new SectorIndex<WalletRecord>();
  readonly #listeners = new Set<StoreListener>();
  #addressesMax: number;
  #bytesMax: number;
  readonly #evicted: (type: PresenceType, why: EvictionReason) => void;
  /** Made when a bound on bytes asks for it. */
  #sizes: RecordScratch | null = null;
  readonly #devicesMax: Readonly<Record<PresenceType, number>>;
  readonly #isOwnSector: ((wallet: Uint8Array) => boolean) | undefined;
  readonly #isPinned: (wallet: Uint8Array) => boolean;
  #addresses = 0;
  #relayVersion = 0;
  #bytes = 0;

  constructor(options: StoreOptions = {}) {
    this.#addressesMax = options.addressesMax ?? storeAddressesMax;
    this.#bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
    this.#evicted = options.evicted ?? (() => undefined);
    this.#devicesMax = { ...devicesMax, ...options.devicesMax };
    this.#isOwnSector = options.isOwnSector;
    this.#isPinned = options.isPinned ?? (() => false);
  }

  get wallets(): number {
    return this.#records.size;
  }

  get addresses(): number {
    return this.#addresses;
  }

  get counts(): Readonly<Record<NodeType, number>> {
    const w = this.#wheels;
    return { M: w.M.size, H: w.H.size, R: w.R.size, C: w.C.size, W: 0 };
  }

  has(wallet: Uint8Array): boolean {
    return this.#records.has(bytesKey(wallet));
  }

  get(wallet: Uint8Array): Presence | null {
    const record = this.#records.get(bytesKey(wallet));
    if (record === undefined) return null;
    const { version, publicKey, entries } = record;
    return {
      version,
      wallet: record.wallet,
      publicKey,
      metadata: null,
      addresses: entries.map((e) => e.address),
    };
  }

  packets(wallet: Uint8Array, perPacket: number): Uint8Array[] {
    const p = this.get(wallet);
    return p === null ? [] : presencePackets(p, perPacket).map(withRoom);
  }

  presenceBytes(wallet: Uint8Array): number {
    return this.packets(wallet, Number.POSITIVE_INFINITY)[0]?.length ?? 0;
  }

  copyPresence(wallet: Uint8Array, out: Uint8Array, at: number): number {
    const bytes = this.packets(wallet, Number.POSITIVE_INFINITY)[0];
    if (bytes === undefined) return at;
    out.set(bytes, at);
    return at + bytes.length;
  }

  publicKey(wallet: Uint8Array): Uint8Array | null {
    return this.#records.get(bytesKey(wallet))?.publicKey ?? null;
  }

  entry(wallet: Uint8Array, device: Uint8Array): StoredEntry | null {
    return this.#entry(wallet, device) ?? null;
  }

  glance({ wallet, device, bytes }: Pick<RenewingClaim, 'wallet' | 'device' | 'bytes'>): StoredGlance | null {
    const e = this.#entry(wallet, device);
    if (e === undefined) return null;
    const { hostname, type } = e.address;
    return {
      lastSeen: e.address.lastSeen,
      announced: e.announced,
      publicKey: e.record.publicKey,
      saysSame: bytesEqual(
        new ByteWriter(128).netstr(hostname).char(type).bytes(),
        bytes.message.subarray(bytes.hostnameFrom, bytes.typeEnd),
      ),
    };
  }

  renew(claim: RenewingClaim): boolean {
    const { wallet, device, timestamp, hostname, type, signature } = claim;
    const e = this.#entry(wallet, device);
    if (e === undefined) return false;
    const { nodeVersion } = e.address;
    const address = {
      version: 2,
      device,
      hostname,
      type,
      nodeVersion,
      lastSeen: timestamp,
      signature,
      pow: null,
    };
    this.upsert(e.record, address);
    return true;
  }

  #entry(wallet: Uint8Array, device: Uint8Array): Entry | undefined {
    return this.#records.get(bytesKey(wallet))?.entries.find((e) => bytesEqual(e.address.device, device));
  }

  upsert(owner: StoreOwner, address: PresenceAddress, facts: { powVerified?: boolean } = {}): UpsertResult {
    const { type } = address;
    if (!isPresenceType(type)) throw new UnknownPresenceType(type);
    const powVerified = facts.powVerified ?? false;
    const stored = this.#entry(owner.wallet, address.device);
    if (stored !== undefined) {
      this.#replace(stored, address, type, powVerified);
      this.#shrink(type, stored);
      this.#tellStored(stored);
      return 'replaced';
    }
    let record = this.#records.get(bytesKey(owner.wallet));
    const surplus = record === undefined ? null : this.#surplus(record, type);
    // The oldest device gives way; when that is the new one, nothing changes.
    if (surplus !== null && surplus.second > address.lastSeen) return 'device-cap';
    if (surplus === null && !this.#roomFor(owner, address, type)) return 'full';
    // Making room may have taken the record's last endpoint, and the record with it.
    record = this.#records.get(bytesKey(owner.wallet)) ?? this.#addRecord(owner);
    const entry = new Entry(record, owned(address), type, powVerified);
    entry.second = address.lastSeen;
    record.entries.push(entry);
    this.#wheels[type].insert(entry);
    this.#addresses++;
    this.#bytes += this.#entryBytes(entry.address);
    if (type === 'R') this.#relayGained(record);
    if (surplus !== null) {
      this.#drop(surplus, 'evicted');
      this.#shrink(type, entry);
    }
    this.#tellStored(entry);
    return 'added';
  }

  get bytes(): number {
    return this.#isBounded ? this.#bytes : 0;
  }

  setBounds(bounds: StoreBounds): void {
    const wasBounded = this.#isBounded;
    this.#addressesMax = bounds.addressesMax ?? this.#addressesMax;
    this.#bytesMax = bounds.bytesMax ?? this.#bytesMax;
    if (wasBounded || !this.#isBounded) return;
    for (const r of this.#records.values()) {
      this.#bytes += this.#ownerBytes(r);
      for (const e of r.entries) this.#bytes += this.#entryBytes(e.address);
    }
  }

  get #isBounded(): boolean {
    return this.#bytesMax !== Number.POSITIVE_INFINITY;
  }

  get #scratch(): RecordScratch {
    this.#sizes ??= new RecordScratch();
    return this.#sizes;
  }

  /** Counted as the slab would hold it, so that both stores give up the same; not at all without a bound. */
  #entryBytes(a: PresenceAddress): number {
    if (!this.#isBounded) return 0;
    return slotBytesFor(bodyOffset + this.#scratch.body(a, a.nodeVersion).length) + entryIndexBytes;
  }

  #ownerBytes(owner: StoreOwner): number {
    if (!this.#isBounded) return 0;
    return slotBytesFor(headOffset + this.#scratch.head(owner).length) + walletIndexBytes;
  }

  /** Makes room for one more endpoint; false when it must stay out. The own one never has to. */
  #roomFor(owner: StoreOwner, address: PresenceAddress, type: PresenceType): boolean {
    const isOwn = this.#isPinned(owner.wallet);
    const kind = isOwn ? highestType : type;
    for (;;) {
      const head = this.#records.has(bytesKey(owner.wallet)) ? 0 : this.#ownerBytes(owner);
      const why =
        this.#addresses >= this.#addressesMax
          ? 'count'
          : this.#bytes + head + this.#entryBytes(address) > this.#bytesMax
            ? 'bytes'
            : null;
      if (why === null) return true;
      if (!this.#makeRoom(kind, why)) return isOwn;
    }
  }

  /** Back within the bytes after an endpoint grew, which itself stays. */
  #shrink(type: PresenceType, keep: Entry): void {
    while (this.#bytes > this.#bytesMax && this.#makeRoom(type, 'bytes', keep));
  }

  /** After the bounds became smaller: so many at once and no more. */
  #trim(): void {
    for (let i = 0; i < trimmedAtOnceMax; i++) {
      const why =
        this.#addresses > this.#addressesMax ? 'count' : this.#bytes > this.#bytesMax ? 'bytes' : null;
      if (why === null || !this.#makeRoom(highestType, why)) return;
    }
  }

  #tellStored(entry: Entry): void {
    if (entry.record.relays > 0) this.#relayVersion++;
    for (const l of this.#listeners) if (hears(l, entry.type)) l.stored?.(entry.record.wallet, entry.address);
  }

  #addRecord(owner: StoreOwner): WalletRecord {
    const wallet = owner.wallet.slice();
    const record: WalletRecord = {
      wallet,
      prefix: sectorPrefix(wallet),
      publicKey: owner.publicKey.slice(),
      version: owner.version,
      entries: [],
      relays: 0,
    };
    this.#records.set(bytesKey(wallet), record);
    this.#sectors.add(record);
    this.#bytes += this.#ownerBytes(record);
    return record;
  }

  #replace(entry: Entry, address: PresenceAddress, type: PresenceType, powVerified: boolean): void {
    const { record } = entry;
    const before = entry.type;
    this.#wheels[before].remove(entry);
    this.#bytes -= this.#entryBytes(entry.address);
    entry.address = { ...owned(address), nodeVersion: entry.address.nodeVersion };
    this.#bytes += this.#entryBytes(entry.address);
    entry.type = type;
    entry.powVerified = powVerified;
    entry.second = address.lastSeen;
    this.#wheels[type].insert(entry);
    if (before === type) return;
    if (type === 'R') this.#relayGained(record);
    if (before === 'R') this.#relayLost(record);
    const surplus = this.#surplus(record, type, entry);
    if (surplus !== null) this.#drop(surplus, 'evicted');
  }

  /** The oldest device of that type when one more would be too many, `besides` not counted. */
  #surplus(record: WalletRecord, type: PresenceType, besides?: Entry): Entry | null {
    const same = record.entries.filter((e) => e.type === type && e !== besides);
    if (same.length < this.#devicesMax[type]) return null;
    return same.reduce((oldest, e) => (e.second < oldest.second ? e : oldest));
  }

  /**
   * Gives up one endpoint: clients first, then relays, then ledger nodes, never a higher kind than the one
   * that comes; the oldest outside the own sectors, else the oldest.
   */
  #makeRoom(incoming: PresenceType, why: EvictionReason, keep: Entry | null = null): boolean {
    for (const type of PRESENCE_TYPES) {
      const victim = this.#victim(type, keep);
      if (victim !== null) {
        this.#drop(victim, 'evicted');
        this.#evicted(type, why);
        return true;
      }
      if (type === incoming) return false;
    }
    return false;
  }

  #victim(type: PresenceType, keep: Entry | null): Entry | null {
    let oldest: Entry | null = null;
    let looked = 0;
    for (const e of this.#wheels[type].oldestFirst()) {
      if (++looked > evictionScanMax) break;
      if (e === keep || this.#isPinned(e.record.wallet)) continue;
      if (this.#isOwnSector === undefined || !this.#isOwnSector(e.record.wallet)) return e;
      oldest ??= e;
    }
    return oldest;
  }

  markAnnounced(wallet: Uint8Array, device: Uint8Array, timestamp: number): void {
    const entry = this.#entry(wallet, device);
    if (entry !== undefined) entry.announced = timestamp;
  }

  remove(wallet: Uint8Array, device: Uint8Array): boolean {
    const entry = this.#entry(wallet, device);
    if (entry === undefined) return false;
    this.#drop(entry, 'removed');
    return true;
  }

  removeWallet(wallet: Uint8Array): boolean {
    const record = this.#records.get(bytesKey(wallet));
    if (record === undefined) return false;
    for (const e of [...record.entries]) this.#drop(e, 'removed');
    return true;
  }

  #drop(entry: Entry, why: 'expired' | 'removed' | 'evicted'): void {
    const { record } = entry;
    const at = record.entries.indexOf(entry);
    if (at < 0) return;
    if (record.relays > 0) this.#relayVersion++;
    record.entries.splice(at, 1);
    this.#wheels[entry.type].remove(entry);
    this.#addresses--;
    this.#bytes -= this.#entryBytes(entry.address);
    if (record.entries.length === 0) {
      this.#records.delete(bytesKey(record.wallet));
      this.#sectors.remove(record);
      this.#bytes -= this.#ownerBytes(record);
    }
    if (entry.type === 'R') this.#relayLost(record);
    for (const l of this.#listeners) l.removed?.(record.wallet, entry.address, why);
  }

  #relayGained(record: WalletRecord): void {
    if (record.relays++ === 0) for (const l of this.#listeners) l.relayAdded?.(record.wallet);
  }

  #relayLost(record: WalletRecord): void {
    this.#relayVersion++;
    if (--record.relays === 0) for (const l of this.#listeners) l.relayRemoved?.(record.wallet);
  }

  expire(now: number): number {
    const before = this.#addresses;
    const threshold = expiryThreshold(now);
    for (const type of PRESENCE_TYPES) {
      for (const due of this.#wheels[type].due(threshold)) {
        this.#drop(due, 'expired');
        // 05 §8.4: what lies too far ahead goes along, of the same wallet and type.
        for (const e of [...due.record.entries])
          if (e.type === type && isOverdrawn(e.second, now)) this.#drop(e, 'expired');
      }
    }
    this.#trim();
    return before - this.#addresses;
  }

  byType(type: string, max: number, now: number): Uint8Array[] {
    if (type === 'W') return [];
    if (!isPresenceType(type)) throw new UnknownPresenceType(type);
    const found = new Set<WalletRecord>();
    const from = now + futureToleranceSeconds;
    for (const e of this.#wheels[type].newestFirst(from, now - presenceLifetimeSeconds)) {
      if (found.size >= max) break;
      found.add(e.record);
    }
    return Array.from(found, (r) => r.wallet);
  }

  inSectorRange(from: Uint8Array, to: Uint8Array, max: number): Uint8Array[] {
    return this.#sectors.range(from, to, max).map((r) => r.wallet);
  }

  get relayVersion(): number {
    return this.#relayVersion;
  }

  *relayWallets(): Generator<Uint8Array> {
    for (const r of this.#records.values()) if (r.relays > 0) yield r.wallet;
  }

  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
