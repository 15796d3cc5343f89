import { bytesEqual, concatBytes, DecodeError, type DecodeErrorCode } from '../wire/index.js';
import { base58BadCharacter, base58CharsMax, base58Decode, base58Encode } from './base58.js';
import { sha3_512, sha3sqTrunc, sha512quTrunc, sha512sqTrunc } from './hash.js';

/** Raw address: version byte and hash part, 33 bytes (version 0) or 45 (1, 2); docs/protocol/02 §3. */
export type Address = Uint8Array;

/** Bytes of a raw address by version. */
export const ADDRESS_BYTES: readonly [v0: number, v1: number, v2: number] = [33, 45, 45];
/** Longest raw address. */
export const addressBytesMax = 45;
/** Checksum bytes behind a raw address in the checked form. */
export const ADDRESS_CHECKSUM_BYTES = 3;
/** Bytes of a sector prefix. */
export const SECTOR_PREFIX_BYTES = 10;
/** Shortest and longest public key that may become an address (02 §3.1). */
export const addressKeyBytesMin = 49;
export const addressKeyBytesMax = 1023;
/** A key of exactly this length has no header: a bare 4096-bit key, always version 0 (02 §2.2). */
const BARE_KEY_BYTES = 523;

/** What is wrong with an address a person typed. */
export type AddressTextFault =
  | 'empty'
  | 'character' // not a base58 character, at `offset`
  | 'length' // does not decode to a checked address of its version
  | 'version' // version byte above 2
  | 'checksum'; // mistyped: the last three bytes do not match

const FAULT_CODES: { readonly [F in AddressTextFault]: DecodeErrorCode } = {
  empty: 'EMPTY',
  character: 'FORMAT',
  length: 'BADARG',
  version: 'RANGE',
  checksum: 'CHECKSUM',
};

const FAULT_TEXTS: { readonly [F in AddressTextFault]: string } = {
  empty: 'nothing was given',
  character: 'a character that no address contains',
  length: 'too short or too long for an address',
  version: 'address version unknown',
  checksum: 'the checksum does not match, most likely a typing error',
};

/** Thrown by {@link addressFromText}; `fault` is for programs, the message for people. */
export class AddressTextError extends DecodeError {
  constructor(
    readonly fault: AddressTextFault,
    offset = 0,
  ) {
    super(FAULT_CODES[fault], 'address', offset, FAULT_TEXTS[fault]);
  }
}

/** First three bytes of sha512sq over the raw address, the same for every version (02 §3). */
export function addressChecksum(raw: Address): Uint8Array {
  return sha512sqTrunc(raw, ADDRESS_CHECKSUM_BYTES);
}

/** Raw address followed by its checksum: 36 or 48 bytes. */
export function addressWithChecksum(raw: Address): Uint8Array {
  return concatBytes(raw, addressChecksum(raw));
}

/** Base58 of the checked form: what people read and type. */
export function addressText(raw: Address): string {
  return base58Encode(addressWithChecksum(raw));
}

/** First ten bytes of a single sha3_512 over the raw address (02 §3, 06). */
export function sectorPrefix(raw: Address): Uint8Array {
  return sha3_512(raw).slice(0, SECTOR_PREFIX_BYTES);
}

function checksumMatches(checked: Uint8Array): boolean {
  const at = checked.length - ADDRESS_CHECKSUM_BYTES;
  return bytesEqual(addressChecksum(checked.subarray(0, at)), checked.subarray(at));
}

/**
 * Strict address parser (02 §3.1 "Strict"): raw, or with a checksum that must match; the length must be the
 * one of the version byte, where the reference would hash the bytes as if they were a key.
 * `verifyChecksum` false skips the comparison only, as for copies of block signatures.
 * Returns the raw address as a fresh copy. Throws DecodeError.
 */
export function parseAddress(bytes: Uint8Array, field = 'address', verifyChecksum = true): Address {
  if (bytes.length === 0) throw new DecodeError('EMPTY', field, 0);
  const version = bytes[0]!;
  const rawBytes = ADDRESS_BYTES[version];
  if (rawBytes === undefined) throw new DecodeError('RANGE', field, 0, `address version ${version}`);
  if (bytes.length === rawBytes) return new Uint8Array(bytes);
  if (bytes.length !== rawBytes + ADDRESS_CHECKSUM_BYTES)
    throw new DecodeError('BADARG', field, 0, `${bytes.length} bytes for version ${version}`);
  if (verifyChecksum && !checksumMatches(bytes)) throw new DecodeError('CHECKSUM', field, rawBytes);
  return new Uint8Array(bytes.subarray(0, rawBytes));
}

/** True for exactly the raw form of an address of a known version. */
export function isRawAddress(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes.length === ADDRESS_BYTES[bytes[0]!];
}

/**
 * Address of a field that may hold an address or a public key (02 §3.1, §5): 33, 36, 45 and 48 bytes are an
 * address under the rules of {@link parseAddress}, 49…1023 a key. Throws DecodeError.
 */
export function addressFromBytes(bytes: Uint8Array, field = 'address', verifyChecksum = true): Address {
  if (bytes.length < addressKeyBytesMin) return parseAddress(bytes, field, verifyChecksum);
  return keyAddress(bytes, field);
}

function keyAddress(key: Uint8Array, field: string): Address {
  if (key.length < addressKeyBytesMin || key.length > addressKeyBytesMax)
    throw new DecodeError('BADARG', field, 0, `${key.length} bytes are no public key`);
  const bare = key.length === BARE_KEY_BYTES;
  const version = bare ? 0 : key[0]!;
  // Which bytes are hashed differs by version on purpose: v0 ignores the header, v1 the address version (02 §3.2).
  if (version === 0) return versioned(0, sha512quTrunc(bare ? key : key.subarray(5), 32));
  if (version === 1) return versioned(1, sha512sqTrunc(key.subarray(1), 44));
  if (version === 2) return versioned(2, sha3sqTrunc(key, 44));
  throw new DecodeError('RANGE', field, 0, `address version ${version}`);
}

function versioned(version: number, hash: Uint8Array): Address {
  const out = new Uint8Array(1 + hash.length);
  out[0] = version;
  out.set(hash, 1);
  return out;
}

/** True when a nonce leaves the base address as it is: absent, or the single byte 00 (02 §3.3). */
function isNoNonce(nonce: Uint8Array | null): nonce is null {
  return nonce === null || (nonce.length === 1 && nonce[0] === 0);
}

/**
 * Address of a base address and a nonce (02 §3.3). Absent nonce or the single byte `00` is the base itself;
 * an empty nonce is a real one.
 */
export function addressFromNonce(base: Address, nonce: Uint8Array | null): Address {
  if (isNoNonce(nonce)) return base;
  const version = base[0]!;
  if (version === 0) return versioned(0, sha512quTrunc(concatBytes(base, addressChecksum(base), nonce), 32));
  // The version byte and the first four hash bytes are left out of the v1 pre-image.
  if (version === 1)
    return versioned(1, sha512sqTrunc(concatBytes(base.subarray(5), addressChecksum(base), nonce), 44));
  if (version === 2) return versioned(2, sha3sqTrunc(concatBytes(base, nonce), 44));
  throw new DecodeError('RANGE', 'address', 0, `address version ${version}`);
}

/**
 * Address of a serialized public key (02 §3.2), with a nonce the derived one (02 §3.3). Throws DecodeError
 * for anything but 49…1023 bytes and for a first byte above 2 (a bare 523-byte key is always version 0).
 */
export function addressFromKey(key: Uint8Array, nonce: Uint8Array | null = null): Address {
  return addressFromNonce(keyAddress(key, 'publicKey'), nonce);
}

/**
 * Address as a person types it: base58 with the checksum, length and version in agreement (02 §3.4).
 * Nothing is trimmed. Throws {@link AddressTextError}.
 */
export function addressFromText(text: string): Address {
  if (text.length === 0) throw new AddressTextError('empty');
  const bad = base58BadCharacter(text);
  if (bad >= 0) throw new AddressTextError('character', bad);
  if (text.length > base58CharsMax) throw new AddressTextError('length');
  const bytes = base58Decode(text);
  const version = bytes[0]!;
  const rawBytes = ADDRESS_BYTES[version];
  // A typing error in the first characters changes version and length; blame the length first.
  const checkedLength = bytes.length === 36 || bytes.length === 48;
  if (!checkedLength) throw new AddressTextError('length');
  if (!checksumMatches(bytes)) throw new AddressTextError('checksum');
  if (rawBytes === undefined) throw new AddressTextError('version');
  if (bytes.length !== rawBytes + ADDRESS_CHECKSUM_BYTES) throw new AddressTextError('length');
  return bytes.slice(0, rawBytes);
}

/**
 * Address in text that programs wrote: seed lists, peer files and some APIs leave the checksum out (02 §3.4).
 * A checksum that is there must match; keys in text form are refused. Never for input a person types.
 */
export function addressFromUncheckedText(text: string, field = 'address'): Address {
  return parseAddress(base58Decode(text, field), field);
}

/** The reference's checksum test: 36…48 bytes whose last three match; version and exact length are not looked at. */
export function hasAddressChecksum(bytes: Uint8Array): boolean {
  return bytes.length >= 36 && bytes.length <= 48 && checksumMatches(bytes);
}

/** The reference's shape test for transaction recipients: 33…48 bytes, first byte 0…2 (02 §3.4). */
export function hasAddressShape(bytes: Uint8Array): boolean {
  return bytes.length >= 33 && bytes.length <= 48 && bytes[0]! <= 2;
}

/** Random bytes that make a group address unique. */
export const GROUP_RANDOM_BYTES = 16;

/** Address of a group chat (02 §4): version 1, belongs to no key. `random` is 16 bytes. */
export function groupAddress(creator: Address, random: Uint8Array): Address {
  if (random.length !== GROUP_RANDOM_BYTES) throw new RangeError('a group address needs 16 random bytes');
  return versioned(1, sha3sqTrunc(concatBytes(creator, random), 44));
}
