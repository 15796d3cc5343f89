/** One change of a commit: a value, or null to forget the key. */
export interface StorageChange {
  readonly key: string;
  readonly value: string | null;
}

/**
 * Where a client keeps what must survive it: contacts, session keys, the outgoing queue, history. A flat map
 * of text to text, so that any store can be put behind it. It holds secrets: keep it where the wallet is kept.
 */
export interface ClientStorage {
  /** All entries whose key begins with `prefix`, in key order. */
  list(prefix: string): Promise<readonly (readonly [key: string, value: string])[]>;
  /**
   * All changes or none, durable when it resolves. Commits take effect in the order of the calls.
   */
  commit(changes: readonly StorageChange[]): Promise<void>;
  close(): Promise<void>;
}

/** Entries of a map below a prefix, in key order. */
export function entriesBelow(
  map: ReadonlyMap<string, string>,
  prefix: string,
): (readonly [key: string, value: string])[] {
  const found: (readonly [string, string])[] = [];
  for (const e of map) if (e[0].startsWith(prefix)) found.push(e);
  return found.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
}

/** Applies a commit to a map. */
export function applyChanges(map: Map<string, string>, changes: readonly StorageChange[]): void {
  for (const { key, value } of changes) {
    if (value === null) map.delete(key);
    else map.set(key, value);
  }
}

/** Keeps everything in memory: for tests and throw-away identities. */
export class MemoryStorage implements ClientStorage {
  readonly #map: Map<string, string>;

  constructor(entries: Iterable<readonly [string, string]> = []) {
    this.#map = new Map(entries);
  }

  /** A second storage with the same contents, e.g. for another device of the same wallet. */
  copy(): MemoryStorage {
    return new MemoryStorage(this.#map);
  }

  list(prefix: string): Promise<readonly (readonly [string, string])[]> {
    return Promise.resolve(entriesBelow(this.#map, prefix));
  }

  commit(changes: readonly StorageChange[]): Promise<void> {
    applyChanges(this.#map, changes);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
