import type { KeyObject } from 'node:crypto';
import { publicKeyToJwk, type RsaPublicKey } from '../rsa-key.js';
import { cryptoRuntime, type NodeCrypto } from '../runtime.js';
import {
  type Candidate,
  candidate,
  EngineClosed,
  KeyCache,
  type VerifyEngine,
  type VerifyItem,
} from './engine.js';

/**
 * Verifications handed to the thread pool at a time. Its four threads stay busy, and a burst of signatures
 * does not keep file and name look-ups, which use the same pool, waiting behind thousands of jobs.
 */
const inFlightMax = 8;

/** Items after which the in-place engine lets the event loop turn: about 10 ms of 4096-bit keys. */
const chunkItemsMax = 64;

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

/** OpenSSL through node:crypto; signatures are checked on the libuv thread pool. */
export class NativeEngine implements VerifyEngine {
  readonly name = 'native';
  readonly #node: NodeCrypto;
  readonly #keys: KeyCache<KeyObject | null>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #operations = 0;
  #closed = false;
  #onIdle: (() => void)[] = [];

  constructor(node: NodeCrypto) {
    this.#node = node;
    this.#keys = keyCache(node);
  }

  get operations(): number {
    return this.#operations;
  }

  verify(items: readonly VerifyItem[]): Promise<boolean[]> {
    if (this.#closed) return Promise.reject(new EngineClosed());
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
    this.#operations++;
    return new Promise((resolve) => {
      const job = (): void => {
        this.#running++;
        this.#node.verify('sha512', c.message, key, c.signature, (error, ok) => {
          this.#running--;
          resolve(error === null && ok);
          this.#waiting.shift()?.();
          if (this.#running === 0) for (const f of this.#onIdle.splice(0)) f();
        });
      };
      if (this.#running < inFlightMax) job();
      else this.#waiting.push(job);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    this.#keys.clear();
  }
}

/** OpenSSL on the calling thread: for tools and for threads whose whole work is verifying. */
export class NativeSyncEngine implements VerifyEngine {
  readonly name = 'native-sync';
  readonly #node: NodeCrypto;
  readonly #keys: KeyCache<KeyObject | null>;
  #operations = 0;
  #closed = false;

  constructor(node: NodeCrypto) {
    this.#node = node;
    this.#keys = keyCache(node);
  }

  get operations(): number {
    return this.#operations;
  }

  async verify(items: readonly VerifyItem[]): Promise<boolean[]> {
    if (this.#closed) throw new EngineClosed();
    const out: boolean[] = [];
    for (let i = 0; i < items.length; i++) {
      if (i > 0 && i % chunkItemsMax === 0) await new Promise<void>((resolve) => setTimeout(resolve, 0));
      out.push(this.#one(items[i]!));
    }
    return out;
  }

  #one(item: VerifyItem): boolean {
    const c = candidate(item);
    if (c === null) return false;
    const key = this.#keys.get(c);
    if (key === null) return false;
    this.#operations++;
    try {
      return this.#node.verify('sha512', c.message, key, c.signature);
    } catch {
      return false;
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#keys.clear();
    return Promise.resolve();
  }
}

/** The native engine of this runtime, or null where there is no node:crypto. */
export function nativeEngine(): NativeEngine | null {
  const { node } = cryptoRuntime();
  return node === null ? null : new NativeEngine(node);
}
