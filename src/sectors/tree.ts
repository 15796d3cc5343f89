import { compareBytes } from '../wire/index.js';
import { SECTOR_LEVELS, SelectionError, selectRange } from './select.js';

/** What {@link PrefixTree.remove} found. */
export interface Removal {
  /** True when the key was there. */
  readonly existed: boolean;
  /** True when it was the last of its bucket; this is what the reference returns (06 §4.5). */
  readonly bucketEmptied: boolean;
}

/**
 * Sorted keys with values, queried by 06 §4. One flat array: with a few thousand relays a copy on insert
 * costs less than any tree would, and selection needs nothing but the order.
 */
export class PrefixTree<V> {
  #keys: Uint8Array[] = [];
  #values: V[] = [];

  /** @throws SelectionError when `levels` is below 1 */
  constructor(readonly levels: number = SECTOR_LEVELS) {
    if (!(levels >= 1)) throw new SelectionError(`a tree needs at least 1 level, not ${levels}`);
  }

  get size(): number {
    return this.#keys.length;
  }

  /** All keys, ascending. A view: do not change it. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  /** All values in key order. A view: do not change it. */
  get values(): readonly V[] {
    return this.#values;
  }

  #find(key: Uint8Array): { at: number; found: boolean } {
    let l = 0;
    let h = this.#keys.length;
    while (l < h) {
      const mid = (l + h) >>> 1;
      const d = compareBytes(this.#keys[mid]!, key);
      if (d === 0) return { at: mid, found: true };
      if (d < 0) l = mid + 1;
      else h = mid;
    }
    return { at: l, found: false };
  }

  /**
   * Inserts; an equal key is left untouched and `false` returned (06 §4.5).
   *
   * @throws SelectionError when the key is shorter than `levels`
   */
  add(key: Uint8Array, value: V): boolean {
    if (key.length < this.levels)
      throw new SelectionError(`a key of ${key.length} bytes is too short for ${this.levels} levels`);
    const { at, found } = this.#find(key);
    if (found) return false;
    this.#keys.splice(at, 0, key);
    this.#values.splice(at, 0, value);
    return true;
  }

  /** Removes exactly this key. */
  remove(key: Uint8Array): Removal {
    const { at, found } = this.#find(key);
    if (!found) return { existed: false, bucketEmptied: false };
    this.#keys.splice(at, 1);
    this.#values.splice(at, 1);
    const shares = (i: number): boolean => {
      const other = this.#keys[i];
      if (other === undefined) return false;
      for (let k = 0; k < this.levels; k++) if (other[k] !== key[k]) return false;
      return true;
    };
    // Neighbours in order are the only keys that can share the bucket.
    return { existed: true, bucketEmptied: !shares(at - 1) && !shares(at) };
  }

  /** The value of exactly this key. */
  get(key: Uint8Array): V | undefined {
    const { at, found } = this.#find(key);
    return found ? this.#values[at] : undefined;
  }

  has(key: Uint8Array): boolean {
    return this.#find(key).found;
  }

  /** Values of the selected keys in ascending key order; errors as {@link selectRange}. */
  select(query: Uint8Array | null, max: number): V[] {
    const { from, to } = this.range(query, max);
    return this.#values.slice(from, to);
  }

  /** The same as a range of {@link values}; errors as {@link selectRange}. */
  range(query: Uint8Array | null, max: number): { readonly from: number; readonly to: number } {
    return selectRange(this.#keys, query, max, this.levels);
  }

  /** The selected keys in ascending order; errors as {@link selectRange}. */
  selectKeys(query: Uint8Array | null, max: number): Uint8Array[] {
    const { from, to } = this.range(query, max);
    return this.#keys.slice(from, to);
  }
}
