import {
  aesGcmDecryptSelfContained,
  aesGcmEncryptSelfContained,
  base64Decode,
  base64Encode,
} from '../../identity/index.js';
import type { ClientStorage, StorageChange } from '../storage.js';

const storeName = 'entries';

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export interface IndexedDbOptions {
  /**
   * 32 bytes, e.g. `storageSecret` of the wallet: values are encrypted with it. Keys are not: whoever reads the disk
   * sees the addresses of contacts and how many texts there are.
   */
  readonly secret?: Uint8Array;
}

/** A value that was encrypted for another wallet, or is damaged. */
export class IndexedDbStorageError extends Error {
  override readonly name = 'IndexedDbStorageError';
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

/**
 * A client's storage in IndexedDB: one database per profile. A commit is one transaction, so it happens as a
 * whole or not at all, also when the tab is closed meanwhile.
 */
export class IndexedDbStorage implements ClientStorage {
  readonly #db: IDBDatabase;
  readonly #secret: Uint8Array | null;

  private constructor(db: IDBDatabase, secret: Uint8Array | null) {
    this.#db = db;
    this.#secret = secret;
  }

  /** Opens, and makes if missing, the database of that name. Rejects with what the browser says. */
  static async open(name: string, options: IndexedDbOptions = {}): Promise<IndexedDbStorage> {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(storeName);
    };
    const db = await done(request);
    // A newer version in another tab must not wait for this one for ever.
    db.onversionchange = () => db.close();
    return new IndexedDbStorage(db, options.secret ?? null);
  }

  async list(prefix: string): Promise<readonly (readonly [string, string])[]> {
    const store = this.#db.transaction(storeName, 'readonly').objectStore(storeName);
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const [keys, values] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))]);
    return keys.map((k, i) => [String(k), this.#open(String(values[i]))] as const);
  }

  #seal(value: string): string {
    const secret = this.#secret;
    return secret === null ? value : base64Encode(aesGcmEncryptSelfContained(secret, utf8.encode(value)));
  }

  #open(value: string): string {
    if (this.#secret === null) return value;
    const sealed = base64Decode(value);
    const plain = sealed === null ? null : aesGcmDecryptSelfContained(this.#secret, sealed);
    if (plain === null) throw new IndexedDbStorageError('the contents are encrypted for another wallet');
    return text.decode(plain);
  }

  commit(changes: readonly StorageChange[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#db.transaction(storeName, 'readwrite', { durability: 'strict' });
      const store = transaction.objectStore(storeName);
      for (const { key, value } of changes) {
        if (value === null) store.delete(key);
        else store.put(this.#seal(value), key);
      }
      transaction.oncomplete = () => resolve();
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  }

  close(): Promise<void> {
    this.#db.close();
    return Promise.resolve();
  }
}
