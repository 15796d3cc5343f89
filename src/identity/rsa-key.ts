import { ByteReader, ByteWriter, DecodeError } from '../wire/index.js';
import { base64Decode, base64UrlEncode } from './base64.js';
import { bytesToBigInt } from './numbers.js';
import { wipe } from './runtime.js';

/** Total lengths that mean "no header" (docs/protocol/02 §2.2): a bare 4096-bit public or private key. */
const BARE_PUBLIC_BYTES = 523;
const BARE_PRIVATE_BYTES = 2339;
/** Address version, then the key format version. */
const HEADER_BYTES = 5;
/** Longest key blob looked at: parts of an 8192-bit private key with room to spare. */
export const rsaKeyBlobBytesMax = 8192;
/** Smallest modulus an RSA operation accepts: below, keys are factored at home. */
export const rsaModulusBitsMin = 1024;
/** Largest: twice the size costs four times the work, and a verifier works for strangers. */
export const rsaModulusBitsMax = 4096;
/** Largest public exponent, as in OpenSSL for moduli above 3072 bits: the work of a verification grows with it. */
export const rsaExponentBitsMax = 64;

/** Numbers of a public key: big endian, without leading zeros. */
export interface RsaPublicKey {
  /** First header byte; null for a bare key, whose address is version 0. */
  readonly addressVersion: number | null;
  /** Modulus. */
  readonly n: Uint8Array;
  /** Public exponent. */
  readonly e: Uint8Array;
  /** Bits of the modulus. */
  readonly bits: number;
}

/** Numbers of a private key; p, q, dp, dq and qInv are half as long as n, d is as long (left-padded). */
export interface RsaPrivateKey extends RsaPublicKey {
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  readonly dp: Uint8Array;
  readonly dq: Uint8Array;
  readonly qInv: Uint8Array;
  readonly d: Uint8Array;
}

function stripZeros(b: Uint8Array): Uint8Array {
  let i = 0;
  while (i < b.length && b[i] === 0) i++;
  return b.subarray(i);
}

function bitLength(stripped: Uint8Array): number {
  return stripped.length === 0 ? 0 : stripped.length * 8 - Math.clz32(stripped[0]!) + 24;
}

/** One part: i32 length, then the number. Negative lengths and more than is there are refused. */
function part(r: ByteReader, field: string): Uint8Array {
  const at = r.offset;
  const n = r.i32(field);
  if (n < 0) throw new DecodeError('RANGE', field, at, `length ${n}`);
  return r.raw(n, field);
}

interface Parts {
  readonly addressVersion: number | null;
  readonly n: Uint8Array;
  readonly e: Uint8Array;
  /** p, q, dp, dq, qInv, d; null when the blob ends behind e. */
  readonly secret: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array] | null;
  /** Bytes up to the end of e. */
  readonly publicEnd: number;
}

function readParts(blob: Uint8Array): Parts {
  if (blob.length > rsaKeyBlobBytesMax) throw new DecodeError('TOOLONG', 'rsaKey', 0);
  const r = new ByteReader(blob);
  let addressVersion: number | null = null;
  if (blob.length !== BARE_PUBLIC_BYTES && blob.length !== BARE_PRIVATE_BYTES) {
    // The header is skipped unread (02 §2.2); only the address depends on it.
    addressVersion = r.raw(HEADER_BYTES, 'rsaKey.header')[0]!;
  }
  const n = part(r, 'rsaKey.n');
  const e = part(r, 'rsaKey.e');
  const publicEnd = r.offset;
  if (r.remaining === 0) return { addressVersion, n, e, secret: null, publicEnd };
  const p = part(r, 'rsaKey.p');
  const q = part(r, 'rsaKey.q');
  const dp = part(r, 'rsaKey.dp');
  const dq = part(r, 'rsaKey.dq');
  const qInv = part(r, 'rsaKey.qInv');
  const d = part(r, 'rsaKey.d');
  const half = (n.length + 1) >> 1;
  for (const x of [p, q, dp, dq, qInv])
    if (x.length !== half)
      throw new DecodeError('RANGE', 'rsaKey', r.offset, 'private part of another length');
  if (d.length !== n.length)
    throw new DecodeError('RANGE', 'rsaKey.d', r.offset, 'not as long as the modulus');
  return { addressVersion, n, e, secret: [p, q, dp, dq, qInv, d], publicEnd };
}

function publicPart({ addressVersion, n: rawN, e: rawE }: Parts): RsaPublicKey {
  const n = stripZeros(rawN);
  const e = stripZeros(rawE);
  const bits = bitLength(n);
  if (bits < rsaModulusBitsMin || bits > rsaModulusBitsMax)
    throw new DecodeError('RANGE', 'rsaKey.n', 0, `modulus of ${bits} bits`);
  if ((n[n.length - 1]! & 1) === 0) throw new DecodeError('RANGE', 'rsaKey.n', 0, 'even modulus');
  if (e.length === 0 || bitLength(e) > rsaExponentBitsMax || (e[e.length - 1]! & 1) === 0)
    throw new DecodeError('RANGE', 'rsaKey.e', 0, 'unusable exponent');
  if (e.length === 1 && e[0]! < 3) throw new DecodeError('RANGE', 'rsaKey.e', 0, 'exponent below 3');
  return { addressVersion, n, e, bits };
}

/**
 * Public numbers of a serialized key, bare or with header (02 §2). A private key is read too and must be
 * complete, as in the reference: whoever verifies accepts it. The numbers are views into `blob`.
 * Throws DecodeError for a malformed blob and for numbers no RSA operation should touch: 1024…4096 bits, odd
 * modulus, odd exponent 3…2^64−1.
 */
export function decodePublicKey(blob: Uint8Array): RsaPublicKey {
  return publicPart(readParts(blob));
}

/** All numbers of a private key; throws DecodeError as {@link decodePublicKey}. Views into `blob`. */
export function decodePrivateKey(blob: Uint8Array): RsaPrivateKey {
  const parts = readParts(blob);
  if (parts.secret === null) throw new DecodeError('EOF', 'rsaKey.p', parts.publicEnd, 'a public key');
  const [p, q, dp, dq, qInv, d] = parts.secret;
  return { ...publicPart(parts), p, q, dp, dq, qInv, d };
}

/** True when the blob parses as an RSA key whose numbers are usable and holds no private part. */
export function isRsaPublicKey(blob: Uint8Array): boolean {
  try {
    const parts = readParts(blob);
    if (parts.secret !== null) return false;
    publicPart(parts);
    return true;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

/** The public key inside a private one: its prefix, in the same form (02 §2.1). A copy. */
export function publicKeyOf(privateBlob: Uint8Array): Uint8Array {
  const parts = readParts(privateBlob);
  if (parts.secret === null) throw new DecodeError('EOF', 'rsaKey.p', parts.publicEnd, 'a public key');
  // A bare private key gives 523 bytes: its prefix is a bare public key by length.
  return new Uint8Array(privateBlob.subarray(0, parts.publicEnd));
}

function writeHeader(w: ByteWriter, addressVersion: number | null): void {
  if (addressVersion === null) return;
  if (!Number.isInteger(addressVersion) || addressVersion < 0 || addressVersion > 255)
    throw new RangeError(`address version ${addressVersion}`);
  w.u8(addressVersion).i32(0);
}

/**
 * Serialized public key. `addressVersion` 0, 1 or 2 gives the header form, the one to send; null the bare
 * form, which only 4096-bit keys with a three-byte exponent have (02 §2.2).
 */
export function encodePublicKey(key: Pick<RsaPublicKey, 'addressVersion' | 'n' | 'e'>): Uint8Array {
  const w = new ByteWriter(key.n.length + key.e.length + 16);
  writeHeader(w, key.addressVersion);
  const out = w.i32Bytes(key.n).i32Bytes(key.e).bytes();
  checkForm(out.length, key.addressVersion === null, BARE_PUBLIC_BYTES);
  return out;
}

/** Serialized private key; the parts are left-padded to their fixed lengths (02 §2.1). */
export function encodePrivateKey(key: Omit<RsaPrivateKey, 'bits'>): Uint8Array {
  const half = (key.n.length + 1) >> 1;
  const w = new ByteWriter(key.n.length * 5);
  writeHeader(w, key.addressVersion);
  w.i32Bytes(key.n).i32Bytes(key.e);
  for (const x of [key.p, key.q, key.dp, key.dq, key.qInv]) w.i32Bytes(padLeft(x, half));
  const out = w.i32Bytes(padLeft(key.d, key.n.length)).bytes();
  checkForm(out.length, key.addressVersion === null, BARE_PRIVATE_BYTES);
  return out;
}

/** Only the total length tells the two forms apart, so neither may have the other's. */
function checkForm(length: number, bare: boolean, bareLength: number): void {
  if (bare !== (length === bareLength)) throw new RangeError(`a key of ${length} bytes would be misread`);
}

function padLeft(b: Uint8Array, size: number): Uint8Array {
  const stripped = stripZeros(b);
  if (stripped.length > size) throw new RangeError('RSA number longer than its field');
  const out = new Uint8Array(size);
  out.set(stripped, size - stripped.length);
  return out;
}

/**
 * True when the private numbers belong together. An inconsistent key signs wrongly, and one wrong CRT
 * signature gives the key away, so nothing is signed with a key that was not checked.
 */
export function isConsistentPrivateKey(key: RsaPrivateKey): boolean {
  const [n, e, p, q, dp, dq, qInv, d] = [key.n, key.e, key.p, key.q, key.dp, key.dq, key.qInv, key.d].map(
    bytesToBigInt,
  ) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  if (p <= 2n || q <= 2n || p * q !== n) return false;
  return (
    (e * dp) % (p - 1n) === 1n &&
    (e * dq) % (q - 1n) === 1n &&
    d % (p - 1n) === dp &&
    d % (q - 1n) === dq &&
    (q * qInv) % p === 1n
  );
}

/** JSON Web Key of a public key, numbers in base64url. */
export type RsaPublicJwk = { kty: 'RSA'; n: string; e: string };

/** JSON Web Key with every private number. */
export type RsaPrivateJwk = RsaPublicJwk & {
  d: string;
  p: string;
  q: string;
  dp: string;
  dq: string;
  qi: string;
};

/** Public key as a JSON Web Key, the form every engine can import. */
export function publicKeyToJwk(key: Pick<RsaPublicKey, 'n' | 'e'>): RsaPublicJwk {
  return { kty: 'RSA', n: base64UrlEncode(stripZeros(key.n)), e: base64UrlEncode(stripZeros(key.e)) };
}

/**
 * Private key as a JSON Web Key. Secret: keep it short-lived. Serialized keys pad their numbers; here they stand in the
 * fewest bytes, as RFC 7518 §2 (Base64urlUInt) wants it: Chromium refuses a key with a leading zero, Node takes it.
 */
export function privateKeyToJwk(key: RsaPrivateKey): RsaPrivateJwk {
  const text = (b: Uint8Array): string => base64UrlEncode(stripZeros(b));
  return {
    ...publicKeyToJwk(key),
    d: text(key.d),
    p: text(key.p),
    q: text(key.q),
    dp: text(key.dp),
    dq: text(key.dq),
    qi: text(key.qInv),
  };
}

/** Serialized private key from a JSON Web Key with all CRT members. Throws DecodeError when one is missing. */
export function privateKeyFromJwk(
  jwk: Partial<Record<keyof RsaPrivateJwk, unknown>>,
  addressVersion: number,
): Uint8Array {
  const member = (name: 'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi'): Uint8Array => {
    const text = jwk[name];
    const b = typeof text === 'string' ? base64Decode(text) : null;
    if (b === null || b.length === 0) throw new DecodeError('FORMAT', `jwk.${name}`, 0);
    return b;
  };
  const secret = [member('p'), member('q'), member('dp'), member('dq'), member('qi'), member('d')] as const;
  const [p, q, dp, dq, qInv, d] = secret;
  const blob = encodePrivateKey({
    addressVersion,
    n: stripZeros(member('n')),
    e: stripZeros(member('e')),
    p,
    q,
    dp,
    dq,
    qInv,
    d,
  });
  wipe(...secret);
  return blob;
}
