import { bytesEqual, DecodeError } from '../wire/index.js';
import { base64Decode, base64Encode } from './base64.js';
import { DerReader, DerTag, der, derInteger } from './der.js';
import {
  decodeMultiPrimeKey,
  isMultiPrimeBlob,
  multiPrimeFromPkcs1,
  multiPrimeToPkcs1,
  publicKeyOfMultiPrime,
} from './multi-prime.js';
import {
  decodePrivateKey,
  decodePublicKey,
  encodePrivateKey,
  encodePublicKey,
  isConsistentPrivateKey,
  isRsaPublicKey,
  type RsaPrivateKey,
} from './rsa-key.js';
import { wipe } from './runtime.js';
import { WalletError } from './wallet.js';

/** `pkcs1`: "RSA … KEY", either half; `pkcs8`: "PRIVATE KEY"; `spki`: "PUBLIC KEY". */
export type PemForm = 'pkcs1' | 'pkcs8' | 'spki';

/** Longest PEM text looked at: an 8192-bit private key has 6.5 kB. */
export const pemCharsMax = 16_384;

/** AlgorithmIdentifier: rsaEncryption (1.2.840.113549.1.1.1) and NULL. */
const RSA_ALGORITHM = Uint8Array.of(
  0x30,
  0x0d,
  0x06,
  0x09,
  0x2a,
  0x86,
  0x48,
  0x86,
  0xf7,
  0x0d,
  0x01,
  0x01,
  0x01,
  0x05,
  0x00,
);
const VERSION_0 = der(DerTag.integer, Uint8Array.of(0));

function armor(label: string, body: Uint8Array): string {
  const lines = base64Encode(body).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function privateToPkcs1(k: RsaPrivateKey): Uint8Array {
  const numbers = [k.n, k.e, k.d, k.p, k.q, k.dp, k.dq, k.qInv].map(derInteger);
  const pkcs1 = der(DerTag.sequence, VERSION_0, ...numbers);
  wipe(...numbers);
  return pkcs1;
}

/** PrivateKeyInfo (RFC 5958) around an RSAPrivateKey. Secret: wipe it after use. */
export function pkcs1ToPkcs8(pkcs1: Uint8Array): Uint8Array {
  return der(DerTag.sequence, VERSION_0, RSA_ALGORITHM, der(DerTag.octetString, pkcs1));
}

/**
 * PEM text of a serialized key (docs/protocol/02 §2). Default form: `pkcs8` for a private key, `spki` for a
 * public one; a private key with `spki` gives its public half. The address version is not part of a PEM. A key of
 * more than two primes keeps them all (otherPrimeInfos), in a form that OpenSSL reads and WebCrypto may not.
 * Throws DecodeError for a malformed key, WalletError `PEM` for `pkcs8` of a public key.
 */
export function exportPem(keyBlob: Uint8Array, form?: PemForm): string {
  const isPublic = isRsaPublicKey(keyBlob);
  if (!isPublic && form === 'spki' && isMultiPrimeBlob(keyBlob))
    return exportPem(publicKeyOfMultiPrime(keyBlob), 'spki');
  const chosen = form ?? (isPublic ? 'spki' : 'pkcs8');
  if (isPublic || chosen === 'spki') {
    if (chosen === 'pkcs8') throw new WalletError('PEM', 'a public key has no PKCS#8 form');
    const { n, e } = decodePublicKey(keyBlob);
    const pkcs1 = der(DerTag.sequence, derInteger(n), derInteger(e));
    if (chosen === 'pkcs1') return armor('RSA PUBLIC KEY', pkcs1);
    const bits = der(DerTag.bitString, Uint8Array.of(0), pkcs1);
    return armor('PUBLIC KEY', der(DerTag.sequence, RSA_ALGORITHM, bits));
  }
  const pkcs1 = isMultiPrimeBlob(keyBlob)
    ? multiPrimeToPkcs1(decodeMultiPrimeKey(keyBlob))
    : privateToPkcs1(decodePrivateKey(keyBlob));
  const pkcs8 = pkcs1ToPkcs8(pkcs1);
  const text = chosen === 'pkcs1' ? armor('RSA PRIVATE KEY', pkcs1) : armor('PRIVATE KEY', pkcs8);
  wipe(pkcs1, pkcs8);
  return text;
}

/**
 * Serialized key, in header form with this address version, of the first PEM block in a text: PKCS#1 or
 * PKCS#8 private, PKCS#1 or SPKI public. Throws WalletError `PEM`; encrypted PEM is refused by name.
 */
export function importPem(text: string, addressVersion: 0 | 1 | 2 = 1): Uint8Array {
  if (text.length > pemCharsMax) throw new WalletError('PEM', 'too long for a PEM key');
  const block = /-----BEGIN ([A-Z ]+)-----([\s\S]*?)-----END \1-----/.exec(text);
  if (block === null) throw new WalletError('PEM', 'no PEM block found');
  const label = block[1]!;
  const body = block[2]!;
  if (label === 'ENCRYPTED PRIVATE KEY' || body.includes('ENCRYPTED'))
    throw new WalletError('PEM', 'the PEM key is encrypted; decrypt it first');
  const bytes = base64Decode(body.replace(/\s+/g, ''));
  if (bytes === null) throw new WalletError('PEM', 'the PEM text is damaged');
  try {
    return parse(label, bytes, addressVersion);
  } catch (error) {
    if (error instanceof DecodeError || error instanceof RangeError)
      throw new WalletError('PEM', `no usable RSA key in the PEM block ${label}`);
    throw error;
  } finally {
    wipe(bytes);
  }
}

function parse(label: string, bytes: Uint8Array, addressVersion: number): Uint8Array {
  const outer = new DerReader(bytes, 'pem');
  const r = outer.sequence();
  outer.done();
  switch (label) {
    case 'RSA PRIVATE KEY':
      return privateBlob(r, addressVersion);
    case 'PRIVATE KEY': {
      r.integer();
      checkAlgorithm(r);
      return privateBlob(new DerReader(r.read(DerTag.octetString), 'pem').sequence(), addressVersion);
    }
    case 'RSA PUBLIC KEY':
      return publicBlob(r, addressVersion);
    case 'PUBLIC KEY': {
      checkAlgorithm(r);
      const bits = r.read(DerTag.bitString);
      if (bits[0] !== 0) throw new DecodeError('FORMAT', 'pem', 0);
      return publicBlob(new DerReader(bits.subarray(1), 'pem').sequence(), addressVersion);
    }
    default:
      throw new WalletError('PEM', `a PEM block ${label} holds no RSA key`);
  }
}

/** Other algorithms, RSA-PSS included, may not be turned into a key of this network. */
function checkAlgorithm(r: DerReader): void {
  const found = der(DerTag.sequence, r.read(DerTag.sequence));
  if (!bytesEqual(found, RSA_ALGORITHM)) throw new DecodeError('FORMAT', 'pem.algorithm', 0);
}

function privateBlob(r: DerReader, addressVersion: number): Uint8Array {
  const version = r.integer();
  if (version.length !== 1 || version[0]! > 1) throw new DecodeError('RANGE', 'pem.version', 0);
  if (version[0] === 1) return multiPrimeFromPkcs1(r, addressVersion);
  const [n, e, d, p, q, dp, dq, qInv] = [
    r.integer(),
    r.integer(),
    r.integer(),
    r.integer(),
    r.integer(),
    r.integer(),
    r.integer(),
    r.integer(),
  ];
  r.done();
  const blob = encodePrivateKey({ addressVersion, n, e, d, p, q, dp, dq, qInv });
  if (!isConsistentPrivateKey(decodePrivateKey(blob))) throw new DecodeError('FORMAT', 'pem.key', 0);
  return blob;
}

function publicBlob(r: DerReader, addressVersion: number): Uint8Array {
  const blob = encodePublicKey({ addressVersion, n: r.integer(), e: r.integer() });
  r.done();
  decodePublicKey(blob);
  return blob;
}
