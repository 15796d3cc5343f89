import { createHash } from 'node:crypto';
import { type Address, addressFromKey, encodePublicKey, sha512 } from '../../identity/index.js';
import { PRIMES_PER_KEY, primePool } from './prime-pool.js';
import { openOaep } from './small-prime-opener.js';
import { CHOICE_BYTES, SmallPrimeSigner } from './small-prime-signer.js';

/** Address version of every identity: that of clients on the network (docs/protocol/02 §2.2). */
const ADDRESS_VERSION = 1;
const EXPONENT_BYTES = Uint8Array.of(1, 0, 1);
/** Bytes of a device id: a GUID's. */
const DEVICE_BYTES = 16;

/** One wallet of a load test: an RSA-4096 key that a relay cannot tell from any other, and that nobody may trust. */
export interface Identity {
  readonly index: number;
  /** Raw address, 45 bytes. */
  readonly address: Address;
  /** Key blob with header, 528 bytes. */
  readonly publicKey: Uint8Array;
  /** 16 bytes. */
  readonly deviceId: Uint8Array;
  /** 16 bytes that stand for the private key, for {@link Identities.sign}. */
  readonly choice: Uint8Array;
  /** RSASSA-PKCS1-v1_5 with SHA-512 over the message, at once. */
  sign(message: Uint8Array): Uint8Array;
  /** Opens RSAES-OAEP with SHA-1 and an empty label, at once; null for what does not open. */
  open(ciphertext: Uint8Array): Uint8Array | null;
}

/**
 * All identities of one seed, numbered. The same seed gives the same ones on every machine and in every process,
 * so processes share nothing but the seed. Making one costs about 15 µs, so none is kept on disk.
 *
 * **Insecure by intent**: the keys are products of small primes and follow from the seed.
 */
export class Identities {
  readonly #signer: SmallPrimeSigner;
  readonly #pool: Uint32Array;

  /** Makes the seed's pool of primes: about 0.1 s. */
  constructor(readonly seed: string) {
    this.#pool = primePool(seed);
    this.#signer = new SmallPrimeSigner(this.#pool);
  }

  /** The identity of a number from 0 to 2^53 − 1. */
  at(index: number): Identity {
    if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`no identity number: ${index}`);
    const digest = createHash('sha512').update(`starling load identity ${this.seed} ${index}`).digest();
    const choice = Uint8Array.from(digest.subarray(0, CHOICE_BYTES));
    const publicKey = encodePublicKey({
      addressVersion: ADDRESS_VERSION,
      n: this.#signer.modulus(choice),
      e: EXPONENT_BYTES,
    });
    return {
      index,
      address: addressFromKey(publicKey),
      publicKey,
      deviceId: Uint8Array.from(digest.subarray(CHOICE_BYTES, CHOICE_BYTES + DEVICE_BYTES)),
      choice,
      sign: (message) => this.sign(choice, message),
      open: (ciphertext) => openOaep(this.#primesOf(choice), ciphertext),
    };
  }

  /** Signs with a key of this seed; for whoever keeps many of them. */
  sign(choice: Uint8Array, message: Uint8Array): Uint8Array {
    return this.#signer.sign(choice, sha512(message));
  }

  /** Bit j of the choice names one of two primes for place j. */
  #primesOf(choice: Uint8Array): number[] {
    return Array.from(
      { length: PRIMES_PER_KEY },
      (_, j) => this.#pool[((choice[j >> 3]! >> (j & 7)) & 1) * PRIMES_PER_KEY + j]!,
    );
  }
}
