import {
  decodeMultiPrimeKey,
  isConsistentMultiPrimeKey,
  isMultiPrimeBlob,
  publicKeyOfMultiPrime,
} from './multi-prime.js';
import { decodePrivateKey, isConsistentPrivateKey, publicKeyOf } from './rsa-key.js';

/** Public key inside a serialized private key of any number of primes. A copy. Throws DecodeError. */
export function publicKeyOfPrivate(blob: Uint8Array): Uint8Array {
  return isMultiPrimeBlob(blob) ? publicKeyOfMultiPrime(blob) : publicKeyOf(blob);
}

/** True when its private numbers belong together. Throws DecodeError for a malformed blob. */
export function isConsistentPrivateBlob(blob: Uint8Array): boolean {
  return isMultiPrimeBlob(blob)
    ? isConsistentMultiPrimeKey(decodeMultiPrimeKey(blob))
    : isConsistentPrivateKey(decodePrivateKey(blob));
}

/** Primes of a serialized private key: 2 for the network's own form. Throws DecodeError. */
export function primesOf(blob: Uint8Array): number {
  return isMultiPrimeBlob(blob) ? 2 + decodeMultiPrimeKey(blob).others.length : 2;
}
