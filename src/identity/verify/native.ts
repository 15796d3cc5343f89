import type { KeyObject } from 'node:crypto';
import { publicKeyToJwk, type RsaPublicKey } from '../rsa-key.js';
import type { NodeCrypto } from '../runtime.js';
import { BaseEngine, InPlaceEngine } from './base.js';
import { type Candidate, candidate, KeyCache, type VerifyItem } from './engine.js';

/**
 * Verifications handed to the thread pool at a time. Its four threads stay busy, and a burst of signatures
 * does not keep file and name look-ups, which use the same pool, waiting behind thousands of jobs.
 */
const inFlightMax = 8;

function keyCache(node: NodeCrypto): KeyCache<KeyObject | null> {
  return new KeyCache((key: RsaPublicKey) => {
    try {
      return node.createPublicKey({ key: publicKeyToJwk(key), format: 'jwk' });
    } catch {
      // OpenSSL refuses the numbers: the key is unusable, the verdict false.
      return null;
    }
  });
}

/** OpenSSL through node:crypto; signatures are checked on the libuv thread pool, never on the calling thread. */
export class NativeEngine extends BaseEngine {
  override readonly name = 'native';
  readonly #node: NodeCrypto;
  readonly #keys: KeyCache<KeyObject | null>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(node: NodeCrypto) {
    super();
    this.#node = node;
    this.#keys = keyCache(node);
  }

  protected override run(items: readonly VerifyItem[]): Promise<boolean[]> {
    return Promise.all(
      items.map((item) => {
        const c = candidate(item);
        if (c === null) return false;
        const key = this.#keys.get(c);
        return key === null ? false : this.#queued(c, key);
      }),
    );
  }

  #queued(c: Candidate, key: KeyObject): Promise<boolean> {
    this.operationsDone++;
    return new Promise((resolve) => {
      const job = (): void => {
        this.#running++;
        this.#node.verify('sha512', c.message, key, c.signature, (error, ok) => {
          this.#running--;
          resolve(error === null && ok);
          this.#waiting.shift()?.();
        });
      };
      if (this.#running < inFlightMax) job();
      else this.#waiting.push(job);
    });
  }

  protected override release(): void {
    this.#keys.clear();
  }
}

/** OpenSSL on the calling thread: for tools and for threads whose whole work is verifying. */
export class NativeSyncEngine extends InPlaceEngine {
  override readonly name = 'native-sync';
  // About 10 ms of 4096-bit keys.
  protected override readonly chunkItemsMax = 64;
  readonly #node: NodeCrypto;
  readonly #keys: KeyCache<KeyObject | null>;

  constructor(node: NodeCrypto) {
    super();
    this.#node = node;
    this.#keys = keyCache(node);
  }

  protected override check(c: Candidate): boolean | null {
    const key = this.#keys.get(c);
    return key === null ? null : this.#node.verify('sha512', c.message, key, c.signature);
  }

  protected override release(): void {
    this.#keys.clear();
  }
}
