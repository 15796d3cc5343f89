import { compareBytes } from '../wire/index.js';

/** A wallet at its place on the line (docs/protocol/06 §1). */
export interface Placed {
  /** Sector prefix, 10 bytes. */
  readonly prefix: Uint8Array;
  readonly wallet: Uint8Array;
}

/** Buckets by the first 12 bits: prefixes are hashes, so a million wallets put about 250 into each. */
const bucketCount = 4096;

const bucketOf = (prefix: Uint8Array): number => (prefix[0]! << 4) | (prefix[1]! >> 4);

const order = (a: Placed, b: Placed): number =>
  compareBytes(a.prefix, b.prefix) || compareBytes(a.wallet, b.wallet);

/** Wallets ordered by sector prefix. */
export class SectorIndex<T extends Placed> {
  readonly #buckets: (T[] | undefined)[] = new Array<T[] | undefined>(bucketCount);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  #find(bucket: readonly T[], item: Placed): number {
    let l = 0;
    let h = bucket.length;
    while (l < h) {
      const mid = (l + h) >>> 1;
      if (order(bucket[mid]!, item) < 0) l = mid + 1;
      else h = mid;
    }
    return l;
  }

  add(item: T): void {
    const b = bucketOf(item.prefix);
    this.#buckets[b] ??= [];
    const bucket = this.#buckets[b];
    bucket.splice(this.#find(bucket, item), 0, item);
    this.#size++;
  }

  remove(item: T): void {
    const b = bucketOf(item.prefix);
    const bucket = this.#buckets[b];
    if (bucket === undefined) return;
    const at = this.#find(bucket, item);
    if (bucket[at] !== item) return;
    bucket.splice(at, 1);
    if (bucket.length === 0) this.#buckets[b] = undefined;
    this.#size--;
  }

  /** Items with `from <= prefix <= to` in order, at most `max`; both ends are 10-byte prefixes. */
  range(from: Uint8Array, to: Uint8Array, max: number): T[] {
    const out: T[] = [];
    for (let b = bucketOf(from); b <= bucketOf(to) && out.length < max; b++) {
      for (const item of this.#buckets[b] ?? []) {
        if (compareBytes(item.prefix, from) < 0) continue;
        if (compareBytes(item.prefix, to) > 0 || out.length >= max) return out;
        out.push(item);
      }
    }
    return out;
  }
}
