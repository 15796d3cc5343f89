import { ByteReader, ByteWriter } from '../wire/index.js';
import { encodePresenceAddress, type PresenceAddress } from './address.js';
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

/** The beginning of a presence up to its key: what {@link headOffset} points to. */
export function encodeHead(owner: StoreOwner): Uint8Array {
  return new ByteWriter(48 + owner.publicKey.length + owner.wallet.length)
    .var(owner.version)
    .vb(owner.wallet)
    .vb(owner.publicKey)
    .bytes();
}

/** What a head says; views into `bytes`. Throws DecodeError for anything else. */
export function decodeHead(bytes: Uint8Array, at = 0, end = bytes.length): StoreOwner {
  const r = new ByteReader(bytes, at, end);
  const version = r.varSafe('head.version');
  const wallet = r.vb('head.wallet');
  const publicKey = r.vb('head.publicKey');
  r.done('head');
  return { version, wallet, publicKey };
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

/** The endpoint's body. */
export function encodeBody(a: PresenceAddress): Uint8Array {
  return encodePresenceAddress(a.version === 1 ? { ...a, version: 2 } : a);
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

/** Product and version in a body, without looking at the rest. */
export function nodeVersionOf(bytes: Uint8Array, at: number, end: number): string {
  const r = new ByteReader(bytes, at, end);
  r.raw(varBytes(r.peek('body.version')), 'body.version');
  r.vb('body.device');
  r.netstrBytes('body.hostname');
  r.char('body.type');
  return r.netstr('body.nodeVersion');
}
