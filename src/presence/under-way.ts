const NONE = -1;
const slotsInitial = 64;

/** Something that waits and is found by a hash, which need not tell it from all others. */
export interface Waiting {
  readonly hash: number;
  /** Where it lies in the table; the table's own. */
  slot: number;
}

/**
 * What waits, by hash. Not a Map: one that thousands pass through every second gives up its table again and again, and the
 * one given up, old by then, keeps what came last alive until the next full collection: a tenth of all that was ever
 * allocated for signatures had to be copied for that.
 */
export class UnderWay<T extends Waiting> {
  /** First slot of each bucket's chain; twice as many as slots. */
  #heads = new Int32Array(2 * slotsInitial).fill(NONE);
  #next = new Int32Array(slotsInitial);
  #previous = new Int32Array(slotsInitial);
  #held: (T | null)[] = new Array<T | null>(slotsInitial).fill(null);
  #used = 0;
  /** Slots given back, chained through `next`. */
  #free = NONE;
  /** Whoever sends what waits can choose hashes, but not which of them share a bucket. */
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;

  /** The newest one in the bucket of that hash; others with other hashes lie between. */
  first(hash: number): T | null {
    return this.#at(this.#heads[this.#bucket(hash)]!);
  }

  /** The next older one of the bucket. */
  after(item: T): T | null {
    return this.#at(this.#next[item.slot]!);
  }

  add(item: T): void {
    let slot = this.#free;
    if (slot !== NONE) this.#free = this.#next[slot]!;
    else {
      if (this.#used === this.#next.length) this.#grow();
      slot = this.#used++;
    }
    item.slot = slot;
    this.#held[slot] = item;
    this.#link(slot, this.#bucket(item.hash));
  }

  delete(item: T): void {
    const { slot } = item;
    const next = this.#next[slot]!;
    const previous = this.#previous[slot]!;
    if (previous === NONE) this.#heads[this.#bucket(item.hash)] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
    this.#held[slot] = null;
    this.#next[slot] = this.#free;
    this.#free = slot;
  }

  #at(slot: number): T | null {
    return slot === NONE ? null : this.#held[slot]!;
  }

  #bucket(hash: number): number {
    let h = Math.imul(hash ^ this.#seed, 0x2c1b3c6d);
    h = Math.imul(h ^ (h >>> 15), 0x297a2d39);
    return (h ^ (h >>> 15)) & (this.#heads.length - 1);
  }

  #link(slot: number, bucket: number): void {
    const head = this.#heads[bucket]!;
    this.#next[slot] = head;
    this.#previous[slot] = NONE;
    if (head !== NONE) this.#previous[head] = slot;
    this.#heads[bucket] = slot;
  }

  /** Twice the room. Only called when every slot is taken. */
  #grow(): void {
    const n = 2 * this.#next.length;
    this.#heads = new Int32Array(2 * n).fill(NONE);
    this.#next = new Int32Array(n);
    this.#previous = new Int32Array(n);
    while (this.#held.length < n) this.#held.push(null);
    for (let slot = 0; slot < this.#used; slot++) this.#link(slot, this.#bucket(this.#held[slot]!.hash));
  }
}
