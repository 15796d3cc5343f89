import type { ClientStorage, StorageChange } from '../storage.js';

const storeName = 'entries';

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * A client's storage in IndexedDB: one database per profile. A commit is one transaction, so it happens as a
 * whole or not at all, also when the tab is closed meanwhile.
 */
export class IndexedDbStorage implements ClientStorage {
  readonly #db: IDBDatabase;

  private constructor(db: IDBDatabase) {
    this.#db = db;
  }

  /** Opens, and makes if missing, the database of that name. Rejects with what the browser says. */
  static async open(name: string): Promise<IndexedDbStorage> {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(storeName);
    };
    const db = await done(request);
    // A newer version in another tab must not wait for this one for ever.
    db.onversionchange = () => db.close();
    return new IndexedDbStorage(db);
  }

  async list(prefix: string): Promise<readonly (readonly [string, string])[]> {
    const store = this.#db.transaction(storeName, 'readonly').objectStore(storeName);
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const [keys, values] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))]);
    return keys.map((k, i) => [String(k), String(values[i])] as const);
  }

  commit(changes: readonly StorageChange[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#db.transaction(storeName, 'readwrite', { durability: 'strict' });
      const store = transaction.objectStore(storeName);
      for (const { key, value } of changes) {
        if (value === null) store.delete(key);
        else store.put(value, key);
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
