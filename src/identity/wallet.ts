import { bytesEqual, concatBytes, DecodeError, EMPTY_BYTES } from '../wire/index.js';
import { type Address, addressFromKey, addressFromNonce } from './address.js';
import { sha3_512sq, sha512qu, sha512quTrunc, sha512sq, sha512sqTrunc } from './hash.js';
import { isMultiPrimeBlob } from './multi-prime.js';
import { isConsistentPrivateBlob, primesOf, publicKeyOfPrivate } from './private-blob.js';
import { decodePublicKey } from './rsa-key.js';
import { randomBytes, wipe } from './runtime.js';

/** Versions of the wallet file that hold a usable key (docs/protocol/02 §10). */
export type WalletVersion = 1 | 2 | 4 | 5;

/** What failed, for programs; messages are for people and never contain key material. */
export type WalletErrorCode =
  | 'WRONG_PASSWORD' // or, with versions 1 to 4, a damaged file: their encryption cannot tell
  | 'UNKNOWN_VERSION'
  | 'UNSUPPORTED_VERSION' // version 3, which nothing can load
  | 'CORRUPT'
  | 'WEAK_PASSWORD'
  | 'VIEW_ONLY' // the operation needs a private key
  | 'NONCE_REPLAY' // the stored last nonce is not one of this wallet's
  | 'MULTI_PRIME' // the key has more primes than that form can hold
  | 'PEM' // not a PEM text with an RSA key we can read
  | 'EXISTS' // refuses to overwrite
  | 'NOT_FOUND'
  | 'IO';

/** Every failure of wallet files, PEM texts and wallet storage. */
export class WalletError extends Error {
  override readonly name = 'WalletError';
  constructor(
    readonly code: WalletErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Bytes of a generated nonce. */
export const WALLET_NONCE_BYTES = 16;
/** Random base nonce of a version 5 wallet. */
export const WALLET_BASE_NONCE_BYTES = 64;
/** Derived addresses replayed at most on loading: a wrong stored nonce would never be found (02 §10). */
export const replayedNoncesMax = 100_000;

/** One address of a wallet; the primary one has no nonce. */
export interface WalletAddress {
  readonly nonce: Uint8Array | null;
  readonly address: Address;
}

export interface WalletParts {
  readonly version: WalletVersion;
  /** Serialized private key; null for a view-only wallet. */
  readonly privateKey: Uint8Array | null;
  readonly publicKey: Uint8Array;
  /** Needed where it is stored (view-only version 4, version 5); else derived from the private key. */
  readonly baseNonce?: Uint8Array | null;
  readonly lastNonce?: Uint8Array | null;
}

function nextNonce(version: WalletVersion, base: Uint8Array, last: Uint8Array): Uint8Array {
  const input = concatBytes(base, last);
  const hash = version === 1 ? sha512qu(input) : version === 5 ? sha3_512sq(input) : sha512sq(input);
  wipe(input);
  return hash.slice(0, WALLET_NONCE_BYTES);
}

/** Base nonce of the versions that do not store it: a hash of the start of p (02 §10). */
function derivedBaseNonce(version: WalletVersion, privateKey: Uint8Array, publicBytes: number): Uint8Array {
  const source = privateKey.subarray(publicBytes, publicBytes + 64);
  if (source.length !== 64) throw new WalletError('CORRUPT', 'the private key is too short for its wallet');
  return version === 1 ? sha512quTrunc(source, 32) : sha512sqTrunc(source, 44);
}

/**
 * A key with its derived addresses: the contents of a wallet file. Secrets sit in private fields, so that no
 * log or inspection prints them; {@link wipe} ends their life.
 */
export class Wallet {
  readonly version: WalletVersion;
  readonly publicKey: Uint8Array;
  /** Primes of the private key: 4 for a relay wallet, which has a file format of its own; 2 else, or unknown. */
  readonly primes: number;
  /** The address other people know (nonce `00`). */
  readonly primary: Address;
  readonly #privateKey: Uint8Array | null;
  readonly #baseNonce: Uint8Array;
  readonly #nonces: Uint8Array[] = [];
  /** Derived from the nonces when asked for: replaying thousands of them must stay cheap. */
  readonly #derived: Address[] = [];

  /** Copies what it is given. Throws {@link WalletError} when the parts do not fit together. */
  constructor(parts: WalletParts) {
    const { version, privateKey, publicKey } = parts;
    try {
      decodePublicKey(publicKey);
      this.primary = addressFromKey(publicKey);
      if (privateKey !== null) {
        const consistent = isConsistentPrivateBlob(privateKey);
        if (!consistent || !bytesEqual(publicKeyOfPrivate(privateKey), publicKey))
          throw new WalletError('CORRUPT', 'the numbers of the keys do not belong together');
      }
    } catch (error) {
      if (error instanceof DecodeError)
        throw new WalletError('CORRUPT', 'the wallet holds no usable RSA key');
      throw error;
    }
    if (privateKey !== null && isMultiPrimeBlob(privateKey) && version !== 5)
      throw new WalletError('CORRUPT', `a wallet of version ${version} has a key of two primes`);
    this.version = version;
    this.primes = privateKey === null ? 2 : primesOf(privateKey);
    this.publicKey = new Uint8Array(publicKey);
    this.#privateKey = privateKey === null ? null : new Uint8Array(privateKey);
    const stored = parts.baseNonce ?? null;
    if (stored !== null) this.#baseNonce = new Uint8Array(stored);
    else if (privateKey !== null && version !== 5)
      this.#baseNonce = derivedBaseNonce(version, privateKey, publicKey.length);
    else throw new WalletError('CORRUPT', 'the base nonce is missing');
    const last = parts.lastNonce ?? null;
    if (last !== null && last.length > 0) this.#replay(last);
  }

  /** A new version 5 wallet around a private key. */
  static create(privateKey: Uint8Array): Wallet {
    let publicKey: Uint8Array;
    try {
      publicKey = publicKeyOfPrivate(privateKey);
    } catch {
      throw new WalletError('CORRUPT', 'not a private RSA key');
    }
    return new Wallet({ version: 5, privateKey, publicKey, baseNonce: randomBytes(WALLET_BASE_NONCE_BYTES) });
  }

  #replay(last: Uint8Array): void {
    while (this.#nonces.length < replayedNoncesMax) if (bytesEqual(this.#nextNonce(), last)) return;
    throw new WalletError('NONCE_REPLAY', 'the last nonce of the file is not one of this wallet');
  }

  #nextNonce(): Uint8Array {
    const nonce = nextNonce(this.version, this.#baseNonce, this.lastNonce ?? EMPTY_BYTES);
    this.#nonces.push(nonce);
    return nonce;
  }

  #at(i: number): WalletAddress {
    const nonce = this.#nonces[i]!;
    this.#derived[i] ??= addressFromNonce(this.primary, nonce);
    return { nonce, address: this.#derived[i]! };
  }

  /** True when there is no private key. */
  get viewOnly(): boolean {
    return this.#privateKey === null;
  }

  /** A copy of the private key; wipe it after use. Throws `VIEW_ONLY` when there is none. */
  exportPrivateKey(): Uint8Array {
    if (this.#privateKey === null)
      throw new WalletError('VIEW_ONLY', 'a view-only wallet has no private key');
    return new Uint8Array(this.#privateKey);
  }

  /** A copy of the base nonce: who knows it can link every address of the wallet. */
  exportBaseNonce(): Uint8Array {
    return new Uint8Array(this.#baseNonce);
  }

  /** Nonce of the newest derived address; null while there is only the primary one. */
  get lastNonce(): Uint8Array | null {
    return this.#nonces.at(-1) ?? null;
  }

  /** Primary address, then the derived ones in order. */
  get addresses(): readonly WalletAddress[] {
    return [{ nonce: null, address: this.primary }, ...this.#nonces.map((_, i) => this.#at(i))];
  }

  /** Derives and remembers the next address (02 §10); save the wallet to keep it. */
  nextAddress(): WalletAddress {
    this.#nextNonce();
    return this.#at(this.#nonces.length - 1);
  }

  /** The same wallet without its private key; versions below 5 become 4, the oldest with that form. */
  toViewOnly(): Wallet {
    return new Wallet({
      version: this.version === 5 ? 5 : 4,
      privateKey: null,
      publicKey: this.publicKey,
      baseNonce: this.#baseNonce,
      lastNonce: this.lastNonce,
    });
  }

  /** Overwrites the secrets; the wallet is of no use afterwards. */
  wipe(): void {
    wipe(this.#privateKey, this.#baseNonce);
  }
}
