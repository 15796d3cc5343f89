import { ByteReader, ByteWriter, DecodeError, shortUnitsMax } from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import type { ClaimBytes } from './received-claim.js';
import { slabRecordBytesMax } from './slab-memory.js';
import type { StoreOwner } from './store.js';

/**
 * How records lie in the slab, little endian.
 *
 * Wallet: owner u32 | head length u16 | wallet's offset u8 | wallet's length u8 | head
 * Endpoint: owner u32 | body length u16 | flags u8 | type letter u8 | announced f64 | body
 *
 * The head is the beginning of a presence (version, wallet, public key) and the body is an endpoint, both as
 * they go out (docs/protocol/05 §3, §4): an answer is put together from them without encoding anything.
 */
export const headOffset = 8;
export const bodyOffset = 16;

/** Flags of an endpoint. */
export const Flag = {
  /** It has no signature: four zero bytes stand for it (05 §3.1). */
  unsigned: 1,
  /** It has no proof of work: four zero bytes stand for it. */
  powless: 2,
  /** The work of its proof was checked. */
  powVerified: 4,
  /** It is of version 1; the body holds its fields in the layout of version 2. */
  legacy: 8,
} as const;

/** Where flags, type and the claim announced last stand in an endpoint's record. */
export const flagsAt = 6;
export const typeAt = 7;
export const announcedAt = 8;

const utf8 = new TextEncoder();

/**
 * Where a record is put together before it goes into the slab: one buffer for all, because a fresh one for
 * every claim would be most of the memory that the collector has to find again.
 */
export class RecordScratch {
  readonly #bytes = new Uint8Array(slabRecordBytesMax);
  #at = 0;

  #u8(v: number): this {
    this.#bytes[this.#at++] = v;
    return this;
  }

  #raw(b: Uint8Array): this {
    this.#bytes.set(b, this.#at);
    this.#at += b.length;
    return this;
  }

  #var(v: number): this {
    if (v >= 0 && v <= 0xf7 && Number.isInteger(v)) return this.#u8(v);
    return this.#raw(new ByteWriter(16).var(v).bytes());
  }

  /** Lengths and seconds, which are most numbers here. */
  #positive(v: number): this {
    if (v <= 0xf7 || v > 0xffff_ffff || !Number.isInteger(v)) return this.#var(v);
    if (v <= 0xffff)
      return this.#u8(0xfc)
        .#u8(v & 255)
        .#u8(v >>> 8);
    this.#u8(0xfd);
    for (let shift = 0; shift < 32; shift += 8) this.#u8((v >>> shift) & 255);
    return this;
  }

  #vb(b: Uint8Array): this {
    return this.#positive(b.length).#raw(b);
  }

  #netstr(text: string): this {
    if (text.length > shortUnitsMax) return this.#raw(new ByteWriter(256).netstr(text).bytes());
    const { written } = utf8.encodeInto(text, this.#bytes.subarray(this.#at + 1));
    this.#u8(written);
    this.#at += written;
    return this;
  }

  #taken(): Uint8Array {
    if (this.#at > this.#bytes.length) throw new RangeError(`a record of ${this.#at} bytes`);
    return this.#bytes.subarray(0, this.#at);
  }

  /** The beginning of a presence up to its key: what {@link headOffset} points to. Valid until the next call. */
  head(owner: StoreOwner): Uint8Array {
    this.#at = 0;
    return this.#var(owner.version).#vb(owner.wallet).#vb(owner.publicKey).#taken();
  }

  /** The endpoint's body with that node version. Valid until the next call. */
  body(a: PresenceAddress, nodeVersion: string): Uint8Array {
    this.#at = 0;
    this.#var(a.version === 1 ? 2 : a.version)
      .#vb(a.device)
      .#netstr(a.hostname)
      .#u8(a.type.charCodeAt(0))
      .#netstr(nodeVersion)
      .#positive(a.lastSeen);
    for (const field of [a.signature, a.pow])
      if (field === null) this.#raw(absent);
      else this.#vb(field);
    return this.#taken();
  }

  /**
   * The body of a claim that lies in its message, with the node version that lies at `from`…`to` in `old`, lengths
   * included. Valid until the next call.
   */
  bodyFrom(claim: ClaimBytes, old: Uint8Array, from: number, to: number): Uint8Array {
    const { message, deviceFrom, timestampFrom, hostnameFrom, typeEnd, signatureFrom } = claim;
    this.#at = 0;
    return this.#u8(2)
      .#part(message, deviceFrom, timestampFrom)
      .#part(message, hostnameFrom, typeEnd)
      .#part(old, from, to)
      .#part(message, timestampFrom, hostnameFrom)
      .#part(message, signatureFrom, message.length)
      .#raw(absent)
      .#taken();
  }

  /** A view costs more than copying some bytes one by one. */
  #part(from: Uint8Array, at: number, end: number): this {
    if (end - at > partBytesMax) return this.#raw(from.subarray(at, end));
    const bytes = this.#bytes;
    let to = this.#at;
    for (let i = at; i < end; i++) bytes[to++] = from[i]!;
    this.#at = to;
    return this;
  }
}

/** Longer parts are copied as a whole. */
const partBytesMax = 64;

/** What the reference writes where a signature or proof of work is missing (05 §3.1). */
const absent = new Uint8Array(4);

/** What a head says; views into `bytes`. Throws DecodeError for anything else. */
export function decodeHead(bytes: Uint8Array, at = 0, end = bytes.length): StoreOwner {
  const r = new ByteReader(bytes, at, end);
  const version = r.varSafe('head.version');
  const wallet = r.vb('head.wallet');
  const publicKey = r.vb('head.publicKey');
  r.done('head');
  return { version, wallet, publicKey };
}

/** True for the first byte of what {@link lengthAt} reads. */
const isLengthLead = (lead: number | undefined): boolean =>
  lead !== undefined && (lead <= 0xf7 || lead === 0xfc);

/** Where the wallet stands in a head, without its lengths. Throws DecodeError for what is no head. */
export function walletIn(head: Uint8Array): { readonly from: number; readonly to: number } {
  const wallet = varBytes(head[0] ?? 0);
  const from = wallet + varBytes(head[wallet] ?? 0);
  const to = from + lengthAt(head, wallet);
  const end = to + varBytes(head[to] ?? 0) + lengthAt(head, to);
  const isSound = isLengthLead(head[wallet]) && isLengthLead(head[to]) && end === head.length;
  // A record keeps a wallet's length in a byte.
  if (!isSound || to - from > 255) throw new DecodeError('RANGE', 'head', 0);
  return { from, to };
}

/** Flags of an endpoint as its body is read by. */
export function flagsOf(a: PresenceAddress, powVerified: boolean): number {
  return (
    (a.signature === null ? Flag.unsigned : 0) |
    (a.pow === null ? Flag.powless : 0) |
    (powVerified ? Flag.powVerified : 0) |
    (a.version === 1 ? Flag.legacy : 0)
  );
}

/** Bytes of the IxiVarInt that begins with `lead` (docs/protocol/01 §2). */
export function varBytes(lead: number): number {
  if (lead <= 0xf7) return 1;
  const size = lead & 3;
  return size === 0 ? 3 : size === 1 ? 5 : 9;
}

/** A length as the writer writes it, up to 65,535: no record is larger. */
export function lengthAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  return lead <= 0xf7 ? lead : bytes[at + 1]! | (bytes[at + 2]! << 8);
}

/** The endpoint in a body, in arrays of its own. */
export function decodeBody(bytes: Uint8Array, at: number, end: number, flags: number): PresenceAddress {
  const r = new ByteReader(bytes, at, end);
  const version = r.varSafe('body.version');
  const device = r.vb('body.device').slice();
  const hostname = r.netstr('body.hostname');
  const type = r.char('body.type');
  const nodeVersion = r.netstr('body.nodeVersion');
  const lastSeen = r.varSafe('body.lastSeen');
  const field = (absent: number, name: string): Uint8Array | null => {
    if ((flags & absent) === 0) return r.vb(name).slice();
    r.raw(4, name);
    return null;
  };
  return {
    version: (flags & Flag.legacy) === 0 ? version : 1,
    device,
    hostname,
    type,
    nodeVersion,
    lastSeen,
    signature: field(Flag.unsigned, 'body.signature'),
    pow: field(Flag.powless, 'body.pow'),
  };
}

/** Bytes of the string at `at` with its length in front (docs/protocol/01 §4.2): as the writer writes it. */
export function netstrBytes(bytes: Uint8Array, at: number): number {
  let length = 0;
  let lead = at;
  for (let shift = 0; ; shift += 7) {
    const group = bytes[lead++]!;
    length |= (group & 0x7f) << shift;
    if (group < 0x80) return lead - at + length;
  }
}

/** Where the hostname's length stands in a body that begins at `at`. */
export function hostnameAt(bytes: Uint8Array, at: number): number {
  const device = at + varBytes(bytes[at]!);
  return device + varBytes(bytes[device]!) + lengthAt(bytes, device);
}

/** Where the node version's length stands in a body that begins at `at`. */
export function nodeVersionAt(bytes: Uint8Array, at: number): number {
  const hostname = hostnameAt(bytes, at);
  return hostname + netstrBytes(bytes, hostname) + 1;
}

/** Product and version in a body, without looking at the rest. */
export function nodeVersionOf(bytes: Uint8Array, at: number, end: number): string {
  const r = new ByteReader(bytes, at, end);
  r.raw(varBytes(r.peek('body.version')), 'body.version');
  r.vb('body.device');
  r.netstrBytes('body.hostname');
  r.char('body.type');
  return r.netstr('body.nodeVersion');
}
