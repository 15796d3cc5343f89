/** Slots of one second each: more than the 331 seconds a valid claim can lie in, a power of two. */
export const wheelSlots = 512;

/** What a wheel needs of its entries; the links belong to the wheel. */
export interface WheelEntry<T> {
  /** Second the entry stands at; change it only while it is out of the wheel. */
  second: number;
  prev: T | null;
  next: T | null;
}

const slotOf = (second: number): number => ((second % wheelSlots) + wheelSlots) % wheelSlots;

/**
 * Entries by second in a ring of linked lists: insert and remove cost O(1), what is due is found without
 * looking at the rest, and the newest come first without copying anything. Entries a whole turn apart share
 * a slot and are told apart by their second, so a clock that jumps loses nothing.
 */
export class SecondWheel<T extends WheelEntry<T>> {
  readonly #heads: (T | null)[] = new Array<T | null>(wheelSlots).fill(null);
  /** Every entry at or before this second has been handed out. */
  #cursor = Number.NEGATIVE_INFINITY;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Puts the entry in front of its second. */
  insert(entry: T): void {
    const slot = slotOf(entry.second);
    const head = this.#heads[slot] ?? null;
    entry.prev = null;
    entry.next = head;
    if (head !== null) head.prev = entry;
    this.#heads[slot] = entry;
    this.#size++;
    if (entry.second <= this.#cursor) this.#cursor = entry.second - 1;
  }

  remove(entry: T): void {
    if (entry.prev === null) this.#heads[slotOf(entry.second)] = entry.next;
    else entry.prev.next = entry.next;
    if (entry.next !== null) entry.next.prev = entry.prev;
    entry.prev = null;
    entry.next = null;
    this.#size--;
  }

  /** Entries at or before `second`, which the caller is to remove. Costs the seconds passed, at most one turn. */
  due(second: number): T[] {
    if (second <= this.#cursor) return [];
    const out: T[] = [];
    const from = Math.max(this.#cursor + 1, second - wheelSlots + 1);
    for (let s = from; s <= second; s++)
      for (let e = this.#heads[slotOf(s)] ?? null; e !== null; e = e.next)
        if (e.second <= second) out.push(e);
    this.#cursor = second;
    return out;
  }

  /** Entries from second `from` down to second `to`, newest first; within a second the latest put in. */
  *newestFirst(from: number, to: number): Generator<T> {
    const last = Math.max(to, from - wheelSlots + 1);
    for (let s = from; s >= last; s--)
      for (let e = this.#heads[slotOf(s)] ?? null; e !== null; e = e.next) if (e.second === s) yield e;
  }

  /** All entries, those nearest to being due first. */
  *oldestFirst(): Generator<T> {
    const start = this.#cursor === Number.NEGATIVE_INFINITY ? this.#oldestSecond() : this.#cursor + 1;
    for (let i = 0; i < wheelSlots; i++)
      for (let e = this.#heads[slotOf(start + i)] ?? null; e !== null; e = e.next) yield e;
  }

  #oldestSecond(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const head of this.#heads) if (head !== null && head.second < oldest) oldest = head.second;
    return oldest === Number.POSITIVE_INFINITY ? 0 : oldest;
  }
}
