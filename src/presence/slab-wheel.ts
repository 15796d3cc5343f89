import { noRow } from './slab-rows.js';
import { wheelSlots } from './wheel.js';

/** The links and seconds of the entries in a {@link RowWheel}. */
export interface WheelRows {
  secondOf(entry: number): number;
  prevOf(entry: number): number;
  nextOf(entry: number): number;
  setPrev(entry: number, other: number): void;
  setNext(entry: number, other: number): void;
}

const slotOf = (second: number): number => ((second % wheelSlots) + wheelSlots) % wheelSlots;

/** The ring of wheel.ts over numbered rows instead of objects; same order, same costs. */
export class RowWheel {
  readonly #heads = new Uint32Array(wheelSlots).fill(noRow);
  /** Every entry at or before this second has been handed out. */
  #cursor = Number.NEGATIVE_INFINITY;
  #size = 0;

  constructor(private readonly rows: WheelRows) {}

  get size(): number {
    return this.#size;
  }

  /** Puts the entry in front of its second. */
  insert(entry: number): void {
    const { rows } = this;
    const second = rows.secondOf(entry);
    const slot = slotOf(second);
    const head = this.#heads[slot]!;
    rows.setPrev(entry, noRow);
    rows.setNext(entry, head);
    if (head !== noRow) rows.setPrev(head, entry);
    this.#heads[slot] = entry;
    this.#size++;
    if (second <= this.#cursor) this.#cursor = second - 1;
  }

  /** Takes the entry out; its second must be the one it was put in at. */
  remove(entry: number): void {
    const { rows } = this;
    const prev = rows.prevOf(entry);
    const next = rows.nextOf(entry);
    if (prev === noRow) this.#heads[slotOf(rows.secondOf(entry))] = next;
    else rows.setNext(prev, next);
    if (next !== noRow) rows.setPrev(next, prev);
    this.#size--;
  }

  /** Entries at or before `second`, which the caller is to remove. Costs the seconds passed, at most one turn. */
  due(second: number): number[] {
    if (second <= this.#cursor) return [];
    const out: number[] = [];
    const from = Math.max(this.#cursor + 1, second - wheelSlots + 1);
    for (let s = from; s <= second; s++)
      for (let e = this.#heads[slotOf(s)]!; e !== noRow; e = this.rows.nextOf(e))
        if (this.rows.secondOf(e) <= second) out.push(e);
    this.#cursor = second;
    return out;
  }

  /** Entries from second `from` down to second `to`, newest first; within a second the latest put in. */
  *newestFirst(from: number, to: number): Generator<number> {
    const last = Math.max(to, from - wheelSlots + 1);
    for (let s = from; s >= last; s--)
      for (let e = this.#heads[slotOf(s)]!; e !== noRow; e = this.rows.nextOf(e))
        if (this.rows.secondOf(e) === s) yield e;
  }

  /** All entries, those nearest to being due first. */
  *oldestFirst(): Generator<number> {
    const start = this.#cursor === Number.NEGATIVE_INFINITY ? this.#oldestSecond() : this.#cursor + 1;
    for (let i = 0; i < wheelSlots; i++)
      for (let e = this.#heads[slotOf(start + i)]!; e !== noRow; e = this.rows.nextOf(e)) yield e;
  }

  #oldestSecond(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const head of this.#heads) if (head !== noRow) oldest = Math.min(oldest, this.rows.secondOf(head));
    return oldest === Number.POSITIVE_INFINITY ? 0 : oldest;
  }

  clear(): void {
    this.#heads.fill(noRow);
    this.#cursor = Number.NEGATIVE_INFINITY;
    this.#size = 0;
  }
}
