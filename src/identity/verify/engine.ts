import { bytesEqual, bytesKey, compareBytes, DecodeError } from '../../wire/index.js';
import { sha512 } from '../hash.js';
import { decodePublicKey, type RsaPublicKey } from '../rsa-key.js';

/** One question: did the holder of `key` sign `message`? RSASSA-PKCS1-v1_5 with SHA-512 (docs/protocol/02 §2.3). */
export interface VerifyItem {
  /** Serialized public key, bare or with header (02 §2). */
  readonly key: Uint8Array;
  /** Hashed once more inside the scheme: where a rule signs a checksum, this is the checksum. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** The only road to RSA verification. Verdicts never depend on the engine. */
export interface VerifyEngine {
  readonly name: VerifyEngineName;
  /** RSA operations done so far: items refused by their shape cost none. */
  readonly operations: number;
  /**
   * Verdicts in the order of the items; malformed keys and signatures are false, never an error. The item's
   * arrays may be reused once the promise has settled. Rejects with {@link EngineClosed} after {@link close}, and, where
   * the engine works on threads, with `VerifyBusy` or `VerifyFailed`: then nothing is said about any signature.
   */
  verify(items: readonly VerifyItem[]): Promise<boolean[]>;
  /** Waits for what is under way and lets go of threads and keys. */
  close(): Promise<void>;
}

export type VerifyEngineName =
  | 'native'
  | 'native-sync'
  | 'wasm-relaxed'
  | 'wasm-simd'
  | 'wasm-scalar'
  | 'webcrypto'
  | 'forge';

/** An item that passed the cheap checks and is worth one RSA operation. */
export interface Candidate extends VerifyItem {
  readonly parsed: RsaPublicKey;
}

/**
 * The checks that cost no RSA operation: the key parses and is sane, the signature is exactly as long as the
 * modulus and smaller than it. Null when the verdict is already false.
 */
export function candidate(item: VerifyItem): Candidate | null {
  let parsed: RsaPublicKey;
  try {
    parsed = decodePublicKey(item.key);
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
  if (item.signature.length !== parsed.n.length) return null;
  if (compareBytes(item.signature, parsed.n) >= 0) return null;
  return { ...item, parsed };
}

/** DigestInfo of SHA-512 (RFC 8017 §9.2, note 1), followed by the 64 digest bytes. */
const SHA512_DIGEST_INFO = Uint8Array.of(
  0x30,
  0x51,
  0x30,
  0x0d,
  0x06,
  0x09,
  0x60,
  0x86,
  0x48,
  0x01,
  0x65,
  0x03,
  0x04,
  0x02,
  0x03,
  0x05,
  0x00,
  0x04,
  0x40,
);

/**
 * The one encoded message that a valid signature opens to: 00 01 ff…ff 00 DigestInfo digest. Comparing whole
 * strings instead of parsing what came out leaves padding attacks nothing to work with.
 */
export function encodedMessage(message: Uint8Array, modulusBytes: number): Uint8Array {
  const digest = sha512(message);
  const out = new Uint8Array(modulusBytes).fill(0xff);
  const info = modulusBytes - digest.length - SHA512_DIGEST_INFO.length;
  out[0] = 0;
  out[1] = 1;
  out[info - 1] = 0;
  out.set(SHA512_DIGEST_INFO, info);
  out.set(digest, modulusBytes - digest.length);
  return out;
}

/** True when an opened signature (left-padded to the modulus) is the encoded message. */
export function opensTo(opened: Uint8Array, message: Uint8Array): boolean {
  return bytesEqual(opened, encodedMessage(message, opened.length));
}

/** Prepared keys an engine keeps: a relay's neighbours and its clients of the last minutes; 4096 bit ≈ 4 kB each. */
export const preparedKeysMax = 4096;

/** Prepared keys by blob, least recently used first out. */
export class KeyCache<K> {
  readonly #map = new Map<string, K>();

  constructor(
    readonly prepare: (key: RsaPublicKey) => K,
    readonly capacity: number = preparedKeysMax,
  ) {}

  /** The prepared key; `prepare` runs only when it is not held. */
  get(c: Candidate): K {
    const id = bytesKey(c.key);
    let k = this.#map.get(id);
    if (k === undefined) {
      k = this.prepare(c.parsed);
      if (this.#map.size >= this.capacity) this.#map.delete(this.#map.keys().next().value as string);
    } else this.#map.delete(id);
    this.#map.set(id, k);
    return k;
  }

  get size(): number {
    return this.#map.size;
  }

  clear(): void {
    this.#map.clear();
  }
}

/** Thrown by every engine when asked after {@link VerifyEngine.close}. */
export class EngineClosed extends Error {
  override readonly name = 'EngineClosed';
  constructor() {
    super('the verify engine is closed');
  }
}
