import { smallPrimeSignerWasm } from '../generated/small-prime-signer.js';
import { POOL_PRIMES, privateExponent } from './prime-pool.js';

/** Bytes of a modulus and of a signature. */
export const MODULUS_BYTES = 512;
/** Bytes of a choice: one bit for each of the 128 places of a key. */
export const CHOICE_BYTES = 16;
/** Bytes of the SHA-512 digest that is signed. */
const DIGEST_BYTES = 64;

/** DigestInfo of SHA-512 (RFC 8017 §9.2, note 1). */
const DIGEST_INFO = '3051300d060960864801650304020305000440';

/** The padded message without its digest, as a number: 00 01 FF … 00 DigestInfo 0^64 (RFC 8017 §9.2). */
function paddingNumber(): bigint {
  const filler = MODULUS_BYTES - 3 - DIGEST_INFO.length / 2 - DIGEST_BYTES;
  return BigInt(`0x01${'ff'.repeat(filler)}00${DIGEST_INFO}${'00'.repeat(DIGEST_BYTES)}`);
}

interface SignerExports {
  primesAt(): number;
  exponentsAt(): number;
  paddingAt(): number;
  choiceAt(): number;
  digestAt(): number;
  outAt(): number;
  prepare(): void;
  modulus(): void;
  sign(): void;
}

/** Pages of the module's memory: its tables, 275 kB. */
const MEMORY_PAGES = 5;

/**
 * Signs with keys of 128 small primes, tens of thousands of times a second. **Insecure by intent**: such a modulus
 * is factored in minutes. For load tests; nothing that makes wallets can reach this.
 */
export class SmallPrimeSigner {
  readonly #wasm: SignerExports;
  readonly #choice: Uint8Array;
  readonly #digest: Uint8Array;
  readonly #out: Uint8Array;

  /** Makes the pool's tables; some hundredths of a second. Throws RangeError unless there are 256 primes. */
  constructor(primes: Uint32Array) {
    if (primes.length !== POOL_PRIMES) throw new RangeError(`${primes.length} primes, not ${POOL_PRIMES}`);
    const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
    const module = new WebAssembly.Module(Buffer.from(smallPrimeSignerWasm, 'base64'));
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const wasm = exports as unknown as SignerExports;
    this.#wasm = wasm;
    const words = (at: number): Uint32Array => new Uint32Array(memory.buffer, at, POOL_PRIMES);
    const padding = paddingNumber();
    words(wasm.primesAt()).set(primes);
    words(wasm.exponentsAt()).set(primes.map(privateExponent));
    words(wasm.paddingAt()).set(primes.map((p) => Number(padding % BigInt(p))));
    wasm.prepare();
    this.#choice = new Uint8Array(memory.buffer, wasm.choiceAt(), CHOICE_BYTES);
    this.#digest = new Uint8Array(memory.buffer, wasm.digestAt(), DIGEST_BYTES);
    this.#out = new Uint8Array(memory.buffer, wasm.outAt(), MODULUS_BYTES);
  }

  /** The modulus of a key, 512 bytes big endian. */
  modulus(choice: Uint8Array): Uint8Array {
    this.#choice.set(choice);
    this.#wasm.modulus();
    return this.#out.slice();
  }

  /** RSASSA-PKCS1-v1_5 over a SHA-512 digest, 512 bytes. */
  sign(choice: Uint8Array, digest: Uint8Array): Uint8Array {
    this.#choice.set(choice);
    this.#digest.set(digest);
    this.#wasm.sign();
    return this.#out.slice();
  }
}
