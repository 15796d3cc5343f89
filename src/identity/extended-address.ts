import { ByteReader, ByteWriter, bytesEqual, concatBytes, DecodeError } from '../wire/index.js';
import {
  ADDRESS_BYTES,
  type Address,
  addressFromBytes,
  addressFromText,
  addressKeyBytesMax,
  addressText,
  parseAddress,
} from './address.js';
import { base58Decode, base58Encode } from './base58.js';
import { sha3sqTrunc } from './hash.js';

/** Payment modes (docs/protocol/02 §6); unknown values are kept. */
export const ExtendedFlag = { primary: 0, end2End: 1, offlineTag: 2, offlineAddress: 3 } as const;

/** Longest tag. */
export const extendedTagBytesMax = 16;

const CHECKSUM_BYTES = 3;
/** Largest flag the text form can hold, which gives it one byte. */
const textFlagMax = 255;

/** An address with a payment mode, a tag and, in one mode, a separate address for messages. */
export interface ExtendedAddress {
  readonly flag: number;
  /** Where funds go. */
  readonly payment: Address;
  /** Where messages go: the payment address itself except with `offlineAddress`. */
  readonly routing: Address;
  /** At most 16 bytes; null when absent. */
  readonly tag: Uint8Array | null;
}

export interface ExtendedAddressParts {
  readonly payment: Address;
  readonly flag?: number;
  /** Given exactly with flag 3. */
  readonly routing?: Address | null;
  readonly tag?: Uint8Array | null;
  /** Nonce of the address that stands for the holder's identity, when it was derived with one: refused. */
  readonly nonce?: Uint8Array | null;
}

/**
 * Checks the parts of an extended address (02 §6). Throws DecodeError for a tag above 16 bytes, for flag 3
 * without a routing address or with one elsewhere, and for an address that carries a nonce.
 */
export function makeExtendedAddress(parts: ExtendedAddressParts): ExtendedAddress {
  const { payment, flag = ExtendedFlag.primary, routing = null, tag = null, nonce = null } = parts;
  if (nonce !== null) throw new DecodeError('BADARG', 'extendedAddress.nonce', 0, 'a derived address');
  if (!Number.isInteger(flag) || flag < 0) throw new DecodeError('RANGE', 'extendedAddress.flag', 0);
  if ((flag === ExtendedFlag.offlineAddress) !== (routing !== null))
    throw new DecodeError('BADARG', 'extendedAddress.routing', 0, 'goes with flag 3 and only with it');
  if (tag !== null && tag.length > extendedTagBytesMax)
    throw new DecodeError('TOOLONG', 'extendedAddress.tag', 0, `${tag.length} bytes`);
  return { flag, payment, routing: routing ?? payment, tag };
}

/** Binary form (02 §6.1): `ixibytes` payment ‖ `uvar` flag ‖ [`ixibytes` routing] ‖ `ixibytes` tag. */
export function encodeExtendedAddress(a: ExtendedAddress): Uint8Array {
  const w = new ByteWriter(128).vb(a.payment).var(a.flag);
  if (a.flag === ExtendedFlag.offlineAddress) w.vb(a.routing);
  return w.vb(a.tag).bytes();
}

/**
 * Reads {@link encodeExtendedAddress}; checksummed addresses and keys are taken in the address fields and
 * bytes behind the tag ignored, as everywhere this form is used. A zero-length tag is absent.
 */
export function decodeExtendedAddress(bytes: Uint8Array): ExtendedAddress {
  const r = new ByteReader(bytes);
  const field = 'extendedAddress';
  const payment = addressFromBytes(r.vb(`${field}.payment`, addressKeyBytesMax), `${field}.payment`);
  const flag = r.uvarInt(`${field}.flag`);
  const routing =
    flag === ExtendedFlag.offlineAddress
      ? addressFromBytes(r.vb(`${field}.routing`, addressKeyBytesMax), `${field}.routing`)
      : null;
  const tag = r.ixiBytes(`${field}.tag`, extendedTagBytesMax);
  return makeExtendedAddress({ payment, flag, routing, tag: tag === null ? null : new Uint8Array(tag) });
}

/**
 * Text form (02 §6.2): the payment address alone for flag 0 without a tag, else `_` and the base58 of flag,
 * routing address, tag and a checksum behind it. Throws RangeError for a flag above 255.
 */
export function extendedAddressText(a: ExtendedAddress): string {
  const text = addressText(a.payment);
  if (a.flag === ExtendedFlag.primary && a.tag === null) return text;
  if (a.flag > textFlagMax) throw new RangeError(`flag ${a.flag} has no text form`);
  const x = new ByteWriter(80).u8(a.flag);
  if (a.flag === ExtendedFlag.offlineAddress) x.raw(a.routing);
  if (a.tag !== null) x.raw(a.tag);
  const body = x.bytes();
  return `${text}_${base58Encode(concatBytes(body, sha3sqTrunc(body, CHECKSUM_BYTES)))}`;
}

/**
 * Parses {@link extendedAddressText} and plain address text (02 §6.3); parts behind a second `_` are ignored.
 * Throws AddressTextError for the address, DecodeError for the extension. With flag 3 an absent tag reads as
 * an empty one, which is the same on the wire.
 */
export function extendedAddressFromText(text: string): ExtendedAddress {
  const [addressPart, extension] = text.split('_');
  const payment = addressFromText(addressPart!);
  if (extension === undefined) return makeExtendedAddress({ payment });
  const field = 'extendedAddress.extension';
  const bytes = base58Decode(extension, field);
  const end = bytes.length - CHECKSUM_BYTES;
  // Nothing in front of the checksum is refused too: there is no flag to read.
  if (end < 1) throw new DecodeError('EOF', field, bytes.length);
  const body = bytes.subarray(0, end);
  if (!bytesEqual(sha3sqTrunc(body, CHECKSUM_BYTES), bytes.subarray(end)))
    throw new DecodeError('CHECKSUM', field, end);
  const flag = body[0]!;
  if (flag !== ExtendedFlag.offlineAddress) {
    const tag = body.length > 1 ? body.slice(1) : null;
    return makeExtendedAddress({ payment, flag, tag });
  }
  const version = body[1];
  const routingBytes = version === undefined ? undefined : ADDRESS_BYTES[version];
  if (routingBytes === undefined) throw new DecodeError('RANGE', `${field}.routing`, 1);
  if (body.length < 1 + routingBytes) throw new DecodeError('EOF', `${field}.routing`, body.length);
  const routing = parseAddress(body.subarray(1, 1 + routingBytes), `${field}.routing`);
  return makeExtendedAddress({ payment, flag, routing, tag: body.slice(1 + routingBytes) });
}
