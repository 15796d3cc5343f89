import { addressWithChecksum, parseAddress } from '../identity/index.js';
import { ByteReader, ByteWriter, DecodeError, EMPTY_BYTES } from '../wire/index.js';
import { decodePresenceAddress, encodePresenceAddress, type PresenceAddress } from './address.js';
import { addressesPerChunk, presenceBytesMax } from './constants.js';
import { decodePow } from './pow.js';

/** A wallet, its public key and its endpoints (docs/protocol/05 §4). */
export interface Presence {
  /** 1 now, 0 for the legacy layout; kept and echoed. */
  readonly version: number;
  /** Raw address, 33 or 45 bytes. */
  readonly wallet: Uint8Array;
  /** Serialized public key; empty when the packet had none. */
  readonly publicKey: Uint8Array;
  /** Unsigned bytes that nothing may rely on (05 §5.3); never stored or passed on. */
  readonly metadata: Uint8Array | null;
  readonly addresses: readonly PresenceAddress[];
}

/** A presence as received: endpoints that did not decode are set aside, the others live on (05 §7.4). */
export interface DecodedPresence extends Presence {
  readonly malformed: readonly DecodeError[];
}

interface Slots {
  readonly addresses: PresenceAddress[];
  readonly malformed: DecodeError[];
}

/** One broken endpoint must not cost the others: its error is kept, not thrown. */
function readSlot(slot: Uint8Array, at: number, into: Slots): void {
  try {
    into.addresses.push(decodePresenceAddress(slot));
  } catch (e) {
    if (!(e instanceof DecodeError)) throw e;
    into.malformed.push(new DecodeError(e.code, `presence.${e.field}`, at + e.offset));
  }
}

/** The trailing proof of work belongs to the first master endpoint that has none of its own (05 §4.1). */
function attachPow(slots: Slots, pow: Uint8Array, at: number): void {
  const i = slots.addresses.findIndex((a) => a.type === 'M' && a.pow === null);
  if (pow.length === 0 || i < 0) return;
  try {
    decodePow(pow, 'presence.pow');
    slots.addresses[i] = { ...slots.addresses[i]!, pow };
  } catch (e) {
    if (!(e instanceof DecodeError)) throw e;
    slots.addresses.splice(i, 1);
    slots.malformed.push(new DecodeError(e.code, e.field, at + e.offset));
  }
}

/**
 * Decodes a presence, legacy layout included; byte fields are views into `bytes`. Bytes behind the last
 * field are ignored, as in the reference. Throws DecodeError when the frame of the packet is broken.
 */
export function decodePresence(bytes: Uint8Array): DecodedPresence {
  if (bytes.length > presenceBytesMax)
    throw new DecodeError('TOOLONG', 'presence', 0, `${bytes.length} bytes`);
  const r = new ByteReader(bytes);
  return r.peek('presence.version') === 0 ? decodeV0(r) : decodeV1(r);
}

function decodeV1(r: ByteReader): DecodedPresence {
  const version = r.varInt('presence.version');
  const wallet = parseAddress(r.vb('presence.wallet'), 'presence.wallet');
  const publicKey = r.vb('presence.publicKey');
  const metadata = r.ixiBytes('presence.metadata');
  const count = r.uvarInt('presence.count', r.remaining);
  const slots: Slots = { addresses: [], malformed: [] };
  for (let i = 0; i < count; i++) {
    const slot = r.vb('presence.address');
    if (slot.length > 0) readSlot(slot, r.offset - slot.length, slots);
  }
  const at = r.offset;
  attachPow(slots, r.remaining > 0 ? r.vb('presence.pow') : EMPTY_BYTES, at);
  return { version, wallet, publicKey, metadata, ...slots };
}

function decodeV0(r: ByteReader): DecodedPresence {
  const version = r.i32('presence.version');
  if (version < 0) throw new DecodeError('RANGE', 'presence.version', 0);
  const wallet = parseAddress(r.i32Bytes('presence.wallet') ?? EMPTY_BYTES, 'presence.wallet');
  const publicKey = r.i32Bytes('presence.publicKey') ?? EMPTY_BYTES;
  const metadata = r.i32Bytes('presence.metadata');
  const count = r.u16('presence.count');
  const slots: Slots = { addresses: [], malformed: [] };
  for (let i = 0; i < count; i++) {
    const slot = r.i32Bytes('presence.address');
    if (slot !== null) readSlot(slot, r.offset - slot.length, slots);
  }
  const at = r.offset;
  attachPow(slots, r.remaining > 0 ? r.vb('presence.pow') : EMPTY_BYTES, at);
  return { version, wallet, publicKey, metadata, ...slots };
}

/** Bytes of a presence: version 0 in the legacy layout, every other number in the current one (05 §4). */
export function encodePresence(p: Presence): Uint8Array {
  return encodePresenceSlots(p, p.addresses);
}

/** As {@link encodePresence}, with empty slots where there is no endpoint: readers skip them (05 §4.1). */
export function encodePresenceSlots(
  p: Omit<Presence, 'addresses'>,
  slots: readonly (PresenceAddress | null)[],
): Uint8Array {
  return p.version === 0 ? encodeV0(p, slots) : encodeV1(p, slots);
}

type Slot = PresenceAddress | null;

function encodeV1(p: Omit<Presence, 'addresses'>, slots: readonly Slot[]): Uint8Array {
  const w = new ByteWriter(1280 + 640 * slots.length);
  w.var(p.version).vb(p.wallet).vb(p.publicKey).vb(p.metadata).var(slots.length);
  for (const a of slots) w.vb(a === null ? null : encodePresenceAddress(a));
  return w.vb(slots.find((a) => a?.type === 'M' && a.pow !== null)?.pow ?? null).bytes();
}

function encodeV0(p: Omit<Presence, 'addresses'>, slots: readonly Slot[]): Uint8Array {
  const w = new ByteWriter(1280 + 640 * slots.length);
  w.i32(0).i32Bytes(addressWithChecksum(p.wallet)).i32Bytes(p.publicKey).i32Bytes(p.metadata);
  w.u16(slots.length);
  for (const a of slots) w.i32Bytes(a === null ? null : encodePresenceAddress(a));
  // Unlike the rest of this layout, the last length is a varint; any type counts (05 §4.2).
  return w.vb(slots.find((a) => a !== null && a.pow !== null)?.pow ?? null).bytes();
}

/**
 * The updatePresence payloads of a presence: ten endpoints each, complete packets, none when there are no
 * endpoints (05 §4.3). Unlike the reference, every chunk holds what it announces.
 */
export function presenceChunks(p: Presence): Uint8Array[] {
  return presencePackets(p, addressesPerChunk);
}

/** As {@link presenceChunks}, with that many endpoints in each packet. */
export function presencePackets(p: Presence, perPacket: number): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let i = 0; i < p.addresses.length; i += perPacket)
    out.push(encodePresence({ ...p, addresses: p.addresses.slice(i, i + perPacket) }));
  return out;
}
