/** End of a chain, and an empty bucket. */
const NONE = -1;
const bucketsInitial = 64;

/**
 * Memory that one tag of one holder takes here at most: five columns of four bytes, up to two buckets of four, and half as
 * much again because columns double.
 */
export const watchBytes = 42;

/**
 * Who holds which tag in an event filter (docs/protocol/04 §2): so that an event costs what its watchers cost, not what all
 * subscribers do. Chained hashing in typed arrays, since a hundred thousand clients with fifty contacts each are five
 * million entries. Whoever subscribes chooses the tags, so they are mixed with a secret of this process.
 */
export class Watchers<T> {
  /** First entry of each bucket's chain. */
  #heads = new Int32Array(bucketsInitial).fill(NONE);
  /** Columns of an entry: its tag, its holder's row, its neighbours in the chain, the holder's next entry. */
  #tags = new Uint32Array(bucketsInitial);
  #rows = new Int32Array(bucketsInitial);
  #next = new Int32Array(bucketsInitial);
  #previous = new Int32Array(bucketsInitial);
  #nextOfRow = new Int32Array(bucketsInitial);
  /** Entries that were ever used, and those of them that were given back, chained through {@link #next}. */
  #used = 0;
  #free = NONE;
  #entries = 0;
  readonly #rowOf = new Map<T, number>();
  readonly #holders: (T | undefined)[] = [];
  readonly #firstOfRow: number[] = [];
  readonly #freeRows: number[] = [];
  readonly #secret = crypto.getRandomValues(new Int32Array(2));

  /** Holders. */
  get size(): number {
    return this.#rowOf.size;
  }

  /** Tags of all holders together. */
  get entries(): number {
    return this.#entries;
  }

  holders(): IterableIterator<T> {
    return this.#rowOf.keys();
  }

  /** Replaces what a holder has; one without a tag is a holder all the same. */
  set(holder: T, tags: Iterable<number>): void {
    let row = this.#rowOf.get(holder);
    if (row === undefined) {
      row = this.#freeRows.pop() ?? this.#holders.length;
      this.#rowOf.set(holder, row);
      this.#holders[row] = holder;
      this.#firstOfRow[row] = NONE;
    } else this.#clear(row);
    for (const tag of new Set(tags)) this.#add(tag, row);
  }

  /** Forgets a holder; false when it was none. */
  delete(holder: T): boolean {
    const row = this.#rowOf.get(holder);
    if (row === undefined) return false;
    this.#clear(row);
    this.#rowOf.delete(holder);
    this.#holders[row] = undefined;
    this.#freeRows.push(row);
    if (this.#entries === 0) this.#forgetAll();
    return true;
  }

  /** Those who hold the tag, each once, in no order; null when nobody does. Free to be changed by what they do. */
  of(tag: number): T[] | null {
    let found: T[] | null = null;
    for (let e = this.#heads[this.#bucket(tag)]!; e !== NONE; e = this.#next[e]!) {
      if (this.#tags[e] !== tag) continue;
      found ??= [];
      found.push(this.#holders[this.#rows[e]!]!);
    }
    return found;
  }

  #bucket(tag: number): number {
    let h = Math.imul(tag ^ this.#secret[0]!, this.#secret[1]! | 1);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 13)) & (this.#heads.length - 1);
  }

  #add(tag: number, row: number): void {
    let e = this.#free;
    if (e !== NONE) this.#free = this.#next[e]!;
    else {
      if (this.#used === this.#tags.length) this.#grow();
      e = this.#used++;
    }
    this.#tags[e] = tag;
    this.#rows[e] = row;
    this.#nextOfRow[e] = this.#firstOfRow[row]!;
    this.#firstOfRow[row] = e;
    this.#link(e, this.#bucket(tag));
    this.#entries++;
  }

  #link(e: number, bucket: number): void {
    const head = this.#heads[bucket]!;
    this.#next[e] = head;
    this.#previous[e] = NONE;
    if (head !== NONE) this.#previous[head] = e;
    this.#heads[bucket] = e;
  }

  #clear(row: number): void {
    for (let e = this.#firstOfRow[row]!; e !== NONE; e = this.#nextOfRow[e]!) {
      const next = this.#next[e]!;
      const previous = this.#previous[e]!;
      if (previous === NONE) this.#heads[this.#bucket(this.#tags[e]!)] = next;
      else this.#next[previous] = next;
      if (next !== NONE) this.#previous[next] = previous;
      this.#next[e] = this.#free;
      this.#free = e;
      this.#entries--;
    }
    this.#firstOfRow[row] = NONE;
  }

  /** Twice the room. Only called when every entry is in use. */
  #grow(): void {
    const n = 2 * this.#tags.length;
    const wider = <A extends Int32Array | Uint32Array>(to: A, from: A): A => {
      to.set(from);
      return to;
    };
    this.#tags = wider(new Uint32Array(n), this.#tags);
    this.#rows = wider(new Int32Array(n), this.#rows);
    this.#next = wider(new Int32Array(n), this.#next);
    this.#previous = wider(new Int32Array(n), this.#previous);
    this.#nextOfRow = wider(new Int32Array(n), this.#nextOfRow);
    this.#heads = new Int32Array(n).fill(NONE);
    for (let e = 0; e < this.#used; e++) this.#link(e, this.#bucket(this.#tags[e]!));
  }

  /** Gives back what many subscribers took. */
  #forgetAll(): void {
    this.#used = 0;
    this.#free = NONE;
    if (this.#tags.length === bucketsInitial) return;
    this.#heads = new Int32Array(bucketsInitial).fill(NONE);
    this.#tags = new Uint32Array(bucketsInitial);
    this.#rows = new Int32Array(bucketsInitial);
    this.#next = new Int32Array(bucketsInitial);
    this.#previous = new Int32Array(bucketsInitial);
    this.#nextOfRow = new Int32Array(bucketsInitial);
  }
}
