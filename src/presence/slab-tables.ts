import { sectorPrefix } from '../identity/index.js';
import { bytesEqual, lengthBytes, putLength, roomyPayload } from '../wire/index.js';
import { encodePresenceAddress, type PresenceAddress } from './address.js';
import { PRESENCE_TYPES, type PresenceType } from './constants.js';
import type { ClaimBytes } from './received-claim.js';
import { type Addressed, AddressIndex, addressHash } from './slab-index.js';
import { Slab, slotBytesFor } from './slab-memory.js';
import {
  announcedAt,
  bodyOffset,
  decodeBody,
  decodeHead,
  Flag,
  flagsAt,
  flagsOf,
  headOffset,
  hostnameAt,
  lengthAt,
  netstrBytes,
  nodeVersionAt,
  nodeVersionOf,
  RecordScratch,
  typeAt,
  varBytes,
} from './slab-record.js';
import { noRow, Rows } from './slab-rows.js';
import { type Positioned, prefixLead, SectorOrder } from './slab-sectors.js';
import type { WheelRows } from './slab-wheel.js';
import { entryIndexBytes, type StoreOwner, walletIndexBytes } from './store.js';

/** Fields of a wallet's row. */
const W = { ref: 0, first: 1, relays: 2, lead: 3, hash: 4 } as const;
/** Fields of an endpoint's row; its second takes two. */
const E = { ref: 0, wallet: 1, sibling: 2, prev: 3, next: 4, low: 5, high: 6, type: 7 } as const;
/** Set in the owner of a wallet's record; rows stay far below it. */
const walletMark = 0x8000_0000;
const two32 = 0x1_0000_0000;

/**
 * Wallets and endpoints as rows of numbers that point into the slab, with the ways to find a wallet by
 * address and by sector. Knows layouts, no rules: those are the store's.
 */
export class SlabTables implements Addressed, Positioned, WheelRows {
  #slab = this.#emptySlab();
  readonly #scratch = new RecordScratch();
  readonly #wallets = new Rows(5);
  readonly #entries = new Rows(8);
  readonly index = new AddressIndex(this);
  readonly sectors = new SectorOrder(this);

  #emptySlab(): Slab {
    return new Slab((owner, ref) => {
      if (owner >= walletMark) this.#wallets.set(owner - walletMark, W.ref, ref);
      else this.#entries.set(owner, E.ref, ref);
    });
  }

  get slab(): Slab {
    return this.#slab;
  }

  /** Forgets everything. */
  clear(): void {
    this.#slab = this.#emptySlab();
    this.#wallets.clear();
    this.#entries.clear();
    this.index.clear();
    this.sectors.clear();
  }

  /** So many wallets are about to come: the indices make room for them at once, where they would grow many times. */
  expect(wallets: number): void {
    this.index.expect(wallets);
    this.sectors.expect(wallets);
  }

  /** Bytes of everything stored, the indices' share included. */
  get bytes(): number {
    return this.slab.usedBytes + this.#wallets.size * walletIndexBytes + this.#entries.size * entryIndexBytes;
  }

  /** Bytes that one more endpoint would take; with its wallet when that is new. */
  bytesOf(owner: StoreOwner | null, address: PresenceAddress): number {
    const body = this.#scratch.body(address, address.nodeVersion).length;
    const entry = slotBytesFor(bodyOffset + body) + entryIndexBytes;
    if (owner === null) return entry;
    return entry + slotBytesFor(headOffset + this.#scratch.head(owner).length) + walletIndexBytes;
  }

  get wallets(): number {
    return this.#wallets.size;
  }

  get entries(): number {
    return this.#entries.size;
  }

  /** Wallet rows lie below this. */
  get walletEnd(): number {
    return this.#wallets.end;
  }

  // --- wallets --------------------------------------------------------------------------------------------

  /** Adds a wallet without endpoints. */
  addOwner(owner: StoreOwner): number {
    const { wallet } = owner;
    return this.addWallet(this.#scratch.head(owner), wallet, prefixLead(sectorPrefix(wallet)), false);
  }

  /** As {@link addOwner}, from the bytes of a head. */
  addWallet(head: Uint8Array, wallet: Uint8Array, lead: number, isOneOfMany: boolean): number {
    const rows = this.#wallets;
    const w = rows.add();
    const ref = this.slab.alloc(headOffset + head.length, walletMark + w);
    const at = this.slab.offset(ref);
    const bytes = this.slab.bytes(ref);
    this.slab.view(ref).setUint16(at + 4, head.length, true);
    const version = varBytes(head[0]!);
    bytes[at + 6] = headOffset + version + varBytes(head[version]!);
    bytes[at + 7] = wallet.length;
    bytes.set(head, at + headOffset);
    rows.set(w, W.ref, ref);
    rows.set(w, W.first, noRow);
    rows.set(w, W.relays, 0);
    rows.set(w, W.lead, lead);
    rows.set(w, W.hash, addressHash(wallet));
    this.index.add(w);
    if (isOneOfMany) this.sectors.addLater(w);
    else this.sectors.add(w);
    return w;
  }

  /** Removes a wallet that has no endpoint any more. */
  removeWallet(w: number): void {
    this.index.remove(w);
    this.sectors.remove(w);
    const ref = this.#wallets.get(w, W.ref);
    this.#wallets.set(w, W.first, noRow);
    this.#wallets.remove(w);
    this.slab.free(ref);
  }

  /** The wallet's address, a copy. */
  walletOf(w: number): Uint8Array {
    const ref = this.#wallets.get(w, W.ref);
    const bytes = this.slab.bytes(ref);
    const at = this.slab.offset(ref);
    const from = at + bytes[at + 6]!;
    return bytes.slice(from, from + bytes[at + 7]!);
  }

  isWallet(w: number, wallet: Uint8Array): boolean {
    const ref = this.#wallets.get(w, W.ref);
    const bytes = this.slab.bytes(ref);
    const at = this.slab.offset(ref);
    const n = bytes[at + 7]!;
    if (n !== wallet.length) return false;
    const from = at + bytes[at + 6]!;
    for (let i = 0; i < n; i++) if (bytes[from + i] !== wallet[i]) return false;
    return true;
  }

  hashOf(w: number): number {
    return this.#wallets.get(w, W.hash);
  }

  /** Version, wallet and key in arrays of their own. */
  ownerOf(w: number): StoreOwner {
    return decodeHead(this.headOf(w).slice());
  }

  /** The wallet's head, a view that the next change to the store may spoil. */
  headOf(w: number): Uint8Array {
    const ref = this.#wallets.get(w, W.ref);
    const at = this.slab.offset(ref) + headOffset;
    return this.slab.bytes(ref).subarray(at, at + this.#lengthIn(ref));
  }

  /** Length of a record's head or body. */
  #lengthIn(ref: number): number {
    const bytes = this.slab.bytes(ref);
    const at = this.slab.offset(ref) + 4;
    return bytes[at]! | (bytes[at + 1]! << 8);
  }

  /** Version of the wallet's presence, with which its head begins. */
  versionOf(w: number): number {
    const ref = this.#wallets.get(w, W.ref);
    return this.slab.bytes(ref)[this.slab.offset(ref) + headOffset]!;
  }

  /** The wallet's public key, a copy. */
  publicKeyOf(w: number): Uint8Array {
    return this.publicKeyViewOf(w).slice();
  }

  /** The wallet's public key, a view that the next change to the store may spoil. */
  publicKeyViewOf(w: number): Uint8Array {
    const ref = this.#wallets.get(w, W.ref);
    const bytes = this.slab.bytes(ref);
    const at = this.slab.offset(ref);
    const key = at + bytes[at + 6]! + bytes[at + 7]!;
    const from = key + varBytes(bytes[key]!);
    return bytes.subarray(from, from + lengthAt(bytes, key));
  }

  leadOf(w: number): number {
    return this.#wallets.get(w, W.lead);
  }

  prefixOf(w: number): Uint8Array {
    return sectorPrefix(this.walletOf(w));
  }

  /** Relay endpoints of the wallet. */
  relaysOf(w: number): number {
    return this.#wallets.get(w, W.relays);
  }

  setRelays(w: number, relays: number): void {
    this.#wallets.set(w, W.relays, relays);
  }

  /** First endpoint of the wallet; {@link noRow} when it has none, or is no wallet any more. */
  firstOf(w: number): number {
    return this.#wallets.get(w, W.first);
  }

  /** Endpoints of the wallet in their order. */
  entriesOf(w: number): number[] {
    const out: number[] = [];
    for (let e = this.firstOf(w); e !== noRow; e = this.siblingOf(e)) out.push(e);
    return out;
  }

  // --- endpoints ------------------------------------------------------------------------------------------

  /** Adds an endpoint behind the wallet's others. */
  addEntry(w: number, address: PresenceAddress, type: PresenceType, powVerified: boolean): number {
    const flags = flagsOf(address, powVerified);
    const body = this.#scratch.body(address, address.nodeVersion);
    return this.addBody(w, body, flags, type, address.lastSeen, Number.NEGATIVE_INFINITY);
  }

  /** As {@link addEntry}, from the bytes of a body. */
  addBody(
    w: number,
    body: Uint8Array,
    flags: number,
    type: PresenceType,
    second: number,
    announced: number,
  ): number {
    const rows = this.#entries;
    const e = rows.add();
    const ref = this.slab.alloc(bodyOffset + body.length, e);
    rows.set(e, E.ref, ref);
    rows.set(e, E.wallet, w);
    rows.set(e, E.sibling, noRow);
    this.#write(e, ref, body, flags, type, second);
    this.slab.view(ref).setFloat64(this.slab.offset(ref) + announcedAt, announced, true);
    let last = this.firstOf(w);
    if (last === noRow) this.#wallets.set(w, W.first, e);
    else {
      for (let next = this.siblingOf(last); next !== noRow; next = this.siblingOf(next)) last = next;
      rows.set(last, E.sibling, e);
    }
    return e;
  }

  /** Puts another claim of the same device in its place: where it lies, unless its size changed. */
  replaceEntry(e: number, address: PresenceAddress, type: PresenceType, powVerified: boolean): void {
    const body = this.#scratch.body(address, this.#nodeVersionOf(e));
    this.#replaceBody(e, body, flagsOf(address, powVerified), type, address.lastSeen);
  }

  #replaceBody(e: number, body: Uint8Array, flags: number, type: PresenceType, second: number): void {
    const old = this.#entries.get(e, E.ref);
    if (this.slab.fits(old, bodyOffset + body.length)) {
      this.#write(e, old, body, flags, type, second);
      return;
    }
    const announced = this.announcedOf(e);
    const ref = this.slab.alloc(bodyOffset + body.length, e);
    this.#entries.set(e, E.ref, ref);
    this.#write(e, ref, body, flags, type, second);
    this.setAnnounced(e, announced);
    this.slab.free(old);
  }

  /** As {@link replaceEntry} with a claim that lies in its message, copied over as it is (05 §3.1, §5.1). */
  rewriteEntry(e: number, claim: ClaimBytes, type: PresenceType, second: number): void {
    const old = this.#entries.get(e, E.ref);
    const at = this.slab.offset(old) + bodyOffset;
    const bytes = this.slab.bytes(old);
    const from = nodeVersionAt(bytes, at);
    const body = this.#scratch.bodyFrom(claim, bytes, from, from + netstrBytes(bytes, from));
    this.#replaceBody(e, body, Flag.powless, type, second);
  }

  /** True when hostname and type of the endpoint are those of the claim, which has them in the same form. */
  saysSame(e: number, { message, hostnameFrom, typeEnd }: ClaimBytes): boolean {
    const ref = this.#entries.get(e, E.ref);
    const bytes = this.slab.bytes(ref);
    let at = hostnameAt(bytes, this.slab.offset(ref) + bodyOffset);
    // The length comes first, so no byte behind the endpoint's own is looked at.
    for (let i = hostnameFrom; i < typeEnd; i++) if (message[i] !== bytes[at++]) return false;
    return true;
  }

  #write(e: number, ref: number, body: Uint8Array, flags: number, type: PresenceType, second: number): void {
    const bytes = this.slab.bytes(ref);
    const at = this.slab.offset(ref);
    bytes[at + 4] = body.length & 255;
    bytes[at + 5] = body.length >> 8;
    bytes[at + flagsAt] = flags;
    bytes[at + typeAt] = type.charCodeAt(0);
    bytes.set(body, at + bodyOffset);
    const rows = this.#entries;
    rows.set(e, E.low, second);
    rows.set(e, E.high, Math.floor(second / two32));
    rows.set(e, E.type, PRESENCE_TYPES.indexOf(type));
  }

  /** Takes an endpoint out of its wallet and forgets it. */
  removeEntry(e: number): void {
    const rows = this.#entries;
    const w = this.walletRowOf(e);
    const after = this.siblingOf(e);
    if (this.firstOf(w) === e) this.#wallets.set(w, W.first, after);
    else {
      let before = this.firstOf(w);
      while (this.siblingOf(before) !== e) before = this.siblingOf(before);
      rows.set(before, E.sibling, after);
    }
    const ref = rows.get(e, E.ref);
    rows.set(e, E.wallet, noRow);
    rows.remove(e);
    this.slab.free(ref);
  }

  /** The wallet's endpoint on that device, or {@link noRow}. */
  findEntry(w: number, device: Uint8Array): number {
    for (let e = this.firstOf(w); e !== noRow; e = this.siblingOf(e)) {
      const ref = this.#entries.get(e, E.ref);
      const bytes = this.slab.bytes(ref);
      const body = this.slab.offset(ref) + bodyOffset;
      const at = body + varBytes(bytes[body]!);
      const from = at + varBytes(bytes[at]!);
      if (lengthAt(bytes, at) !== device.length) continue;
      if (bytesEqual(bytes.subarray(from, from + device.length), device)) return e;
    }
    return noRow;
  }

  /** True when the wallet has an endpoint on the device of that body. */
  hasBodyOf(w: number, body: Uint8Array): boolean {
    if (this.firstOf(w) === noRow) return false;
    const at = varBytes(body[0]!);
    const from = at + varBytes(body[at]!);
    return this.findEntry(w, body.subarray(from, from + lengthAt(body, at))) !== noRow;
  }

  /** Row of the endpoint's wallet; {@link noRow} when it is no endpoint any more. */
  walletRowOf(e: number): number {
    return this.#entries.get(e, E.wallet);
  }

  siblingOf(e: number): number {
    return this.#entries.get(e, E.sibling);
  }

  secondOf(e: number): number {
    return (this.#entries.get(e, E.high) | 0) * two32 + this.#entries.get(e, E.low);
  }

  typeOf(e: number): PresenceType {
    return PRESENCE_TYPES[this.#entries.get(e, E.type)]!;
  }

  prevOf(e: number): number {
    return this.#entries.get(e, E.prev);
  }

  nextOf(e: number): number {
    return this.#entries.get(e, E.next);
  }

  setPrev(e: number, other: number): void {
    this.#entries.set(e, E.prev, other);
  }

  setNext(e: number, other: number): void {
    this.#entries.set(e, E.next, other);
  }

  flagsOf(e: number): number {
    const ref = this.#entries.get(e, E.ref);
    return this.slab.bytes(ref)[this.slab.offset(ref) + flagsAt]!;
  }

  announcedOf(e: number): number {
    const ref = this.#entries.get(e, E.ref);
    return this.slab.view(ref).getFloat64(this.slab.offset(ref) + announcedAt, true);
  }

  setAnnounced(e: number, timestamp: number): void {
    const ref = this.#entries.get(e, E.ref);
    this.slab.view(ref).setFloat64(this.slab.offset(ref) + announcedAt, timestamp, true);
  }

  /** The endpoint's body, a view that the next change to the store may spoil. */
  bodyOf(e: number): Uint8Array {
    const ref = this.#entries.get(e, E.ref);
    const at = this.slab.offset(ref);
    const from = at + bodyOffset;
    return this.slab.bytes(ref).subarray(from, from + this.#lengthIn(ref));
  }

  /** The endpoint in arrays of its own. */
  addressOf(e: number): PresenceAddress {
    const body = this.bodyOf(e);
    return decodeBody(body, 0, body.length, this.flagsOf(e));
  }

  #nodeVersionOf(e: number): string {
    const body = this.bodyOf(e);
    return nodeVersionOf(body, 0, body.length);
  }

  // --- answers --------------------------------------------------------------------------------------------

  /**
   * The presence of the wallet with these endpoints, put together from what lies here (05 §4.1), with room for a
   * frame's header in front ({@link roomyPayload}).
   */
  packet(w: number, entries: readonly number[]): Uint8Array {
    const out = roomyPayload(this.packetBytes(w, entries));
    this.copyPacket(w, entries, out, 0);
    return out;
  }

  /** Size of that packet: without a view of anything, for it is asked for with every answer. */
  packetBytes(w: number, entries: readonly number[]): number {
    const pow = this.#powOf(entries)?.length ?? 0;
    const head = this.#lengthIn(this.#wallets.get(w, W.ref));
    let size = head + 1 + lengthBytes(entries.length) + lengthBytes(pow) + pow;
    for (const e of entries) {
      const n = this.#isLegacy(e) ? this.#bodyToSend(e).length : this.#lengthIn(this.#entries.get(e, E.ref));
      size += lengthBytes(n) + n;
    }
    return size;
  }

  #isLegacy(e: number): boolean {
    return (this.flagsOf(e) & Flag.legacy) !== 0;
  }

  /** Writes that packet to `out[at…]`; where it ends. */
  copyPacket(w: number, entries: readonly number[], out: Uint8Array, at: number): number {
    const head = this.headOf(w);
    out.set(head, at);
    // Behind the head one zero byte: no metadata (05 §5.3).
    out[at + head.length] = 0;
    let end = putLength(out, at + head.length + 1, entries.length);
    for (const e of entries) {
      const body = this.#bodyToSend(e);
      end = putLength(out, end, body.length);
      out.set(body, end);
      end += body.length;
    }
    const pow = this.#powOf(entries);
    end = putLength(out, end, pow?.length ?? 0);
    if (pow !== null) out.set(pow, end);
    return end + (pow?.length ?? 0);
  }

  #bodyToSend(e: number): Uint8Array {
    return this.#isLegacy(e) ? encodePresenceAddress(this.addressOf(e)) : this.bodyOf(e);
  }

  /** Proof of work of the first master among them. */
  #powOf(entries: readonly number[]): Uint8Array | null {
    for (const e of entries)
      if (this.typeOf(e) === 'M' && (this.flagsOf(e) & Flag.powless) === 0) return this.addressOf(e).pow;
    return null;
  }
}
