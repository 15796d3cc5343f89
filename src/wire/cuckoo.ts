import { sha3_512 } from '../core/index.js';
import { u32At } from './bytes.js';
import { DecodeError } from './errors.js';
import { ByteReader } from './reader.js';
import { ByteWriter } from './writer.js';

/** Bytes of a tag (docs/protocol/04 §2.1). */
const TAG_BYTES = 4;
/** Slots per bucket. */
const SLOTS = 4;
/** Evictions before a tag becomes the victim. */
const kicksMax = 500;
/** Above this share of used slots the constructor doubles the buckets once. */
const UTILIZATION_MAX = 0.96;
/** Largest expected count the size rule is asked for: beyond it no filter fits a message. */
const expectedItemsMax = 1 << 20;
/** Rebuilds of {@link CuckooFilter.build}; every one doubles the room, so even hostile items fit by then. */
const rebuildsMax = 24;

/** An item as the filter sees it: hash once, look up in many filters (04 §1.4). */
export interface CuckooTag {
  /** The 4 tag bytes as little-endian u32, never 0. */
  readonly tag: number;
  /** First 4 bytes of SHA3-512(tag bytes), little-endian u32: index 2 = (index 1 XOR this), masked. */
  readonly alternate: number;
}

/** Picks a slot to evict: 0…3. */
export type SlotChoice = () => number;

const randomSlot: SlotChoice = () => Math.floor(Math.random() * SLOTS);

function alternateOf(tag: number): number {
  const bytes = Uint8Array.of(tag & 0xff, (tag >>> 8) & 0xff, (tag >>> 16) & 0xff, tag >>> 24);
  return u32At(sha3_512(bytes), 0);
}

/** Tag of an item: the last 4 bytes of its SHA3-512, with the zero rule (04 §2.2). */
export function cuckooTag(item: Uint8Array): CuckooTag {
  const digest = sha3_512(item);
  const last = u32At(digest, digest.length - TAG_BYTES);
  const tag = last === 0 ? 0x0100_0000 : last;
  return { tag, alternate: alternateOf(tag) };
}

/** Bucket count for an expected number of items (04 §2.1). Throws RangeError for a negative or huge count. */
export function cuckooBuckets(expected: number): number {
  if (!Number.isInteger(expected) || expected < 0 || expected > expectedItemsMax)
    throw new RangeError(`cannot size a filter for ${expected} items`);
  let buckets = 1;
  while (buckets < Math.max(1, Math.floor(expected / SLOTS))) buckets *= 2;
  return expected / buckets / SLOTS > UTILIZATION_MAX ? buckets * 2 : buckets;
}

/** First and second bucket of a tag in a filter of `buckets` buckets, a power of two (04 §2.2). */
export function cuckooIndexes(t: CuckooTag, buckets: number): readonly [first: number, second: number] {
  const first = (t.tag & (buckets - 1)) >>> 0;
  return [first, ((first ^ t.alternate) & (buckets - 1)) >>> 0];
}

/**
 * The Cuckoo filter of events and requests (04 §2), 4-byte tags in buckets of 4. Membership of what was added
 * is certain; a false positive needs equality of 32 hash bits.
 */
export class CuckooFilter {
  /** One u32 per slot, 0 = empty. */
  readonly #slots: Uint32Array;
  readonly #mask: number;
  readonly #choose: SlotChoice;
  #victim = 0;
  #count = 0;
  /** Set by a delete: its hole is closed when the filter is written. */
  #holes = false;

  private constructor(buckets: number, choose: SlotChoice) {
    this.#slots = new Uint32Array(buckets * SLOTS);
    this.#mask = buckets - 1;
    this.#choose = choose;
  }

  /** An empty filter sized for `expected` items (04 §2.1). `choose` replaces the random slot in tests. */
  static empty(expected: number, choose: SlotChoice = randomSlot): CuckooFilter {
    return new CuckooFilter(cuckooBuckets(expected), choose);
  }

  /**
   * A filter holding all items, sized for `expected` (their number by default); when they do not fit it is
   * rebuilt for twice as many, as the reference does (04 §2.3).
   */
  static build(
    items: readonly Uint8Array[],
    expected = items.length,
    choose: SlotChoice = randomSlot,
  ): CuckooFilter {
    const tags = items.map(cuckooTag);
    let size = expected;
    for (let i = 0; i < rebuildsMax; i++) {
      const f = CuckooFilter.empty(size, choose);
      if (tags.every((t) => f.#insert(t))) return f;
      size = Math.max(2 * f.count, 2 * size, 1);
    }
    throw new RangeError(`${items.length} items do not fit a filter`);
  }

  /** Buckets, a power of two. */
  get buckets(): number {
    return this.#mask + 1;
  }

  /** Items in the filter, the victim included. */
  get count(): number {
    return this.#count;
  }

  /** True when a tag found no slot: the next add fails. */
  get full(): boolean {
    return this.#victim !== 0;
  }

  /** Adds an item; false = not enough space, nothing changed (04 §2.3). */
  add(item: Uint8Array): boolean {
    return this.#insert(cuckooTag(item));
  }

  #insert(t: CuckooTag): boolean {
    if (this.#victim !== 0) return false;
    const [first, second] = cuckooIndexes(t, this.buckets);
    if (this.#find(first, t.tag) >= 0 || this.#find(second, t.tag) >= 0) return true;
    this.#count++;
    if (this.#store(first, t.tag) || this.#store(second, t.tag)) return true;
    let { tag, alternate } = t;
    let bucket = first;
    for (let i = 0; i < kicksMax; i++) {
      if (this.#store(bucket, tag)) return true;
      const at = bucket * SLOTS + this.#choose();
      const evicted = this.#slots[at]!;
      this.#slots[at] = tag;
      tag = evicted;
      alternate = alternateOf(tag);
      bucket = ((bucket ^ alternate) & this.#mask) >>> 0;
    }
    this.#victim = tag;
    return true;
  }

  /** Slot of a tag in a bucket, −1 when it is not there. */
  #find(bucket: number, tag: number): number {
    const at = bucket * SLOTS;
    for (let i = at; i < at + SLOTS; i++) if (this.#slots[i] === tag) return i;
    return -1;
  }

  #store(bucket: number, tag: number): boolean {
    const free = this.#find(bucket, 0);
    if (free < 0) return false;
    this.#slots[free] = tag;
    return true;
  }

  /** True when the item was added, with a false positive in about count / 2³². */
  has(item: Uint8Array): boolean {
    return this.hasTag(cuckooTag(item));
  }

  /** {@link has} for an item hashed before. */
  hasTag(t: CuckooTag): boolean {
    if (this.#victim === t.tag) return true;
    const [first, second] = cuckooIndexes(t, this.buckets);
    return this.#find(first, t.tag) >= 0 || this.#find(second, t.tag) >= 0;
  }

  /**
   * Removes an item that was added (04 §2.5). True when a tag went away. Deleting what was never added may
   * remove another item with the same tag.
   */
  delete(item: Uint8Array): boolean {
    const t = cuckooTag(item);
    const wasVictim = this.#victim === t.tag;
    // The reference leaves the count alone here; the victim stays counted until the filter is parsed again.
    if (wasVictim) this.#victim = 0;
    const [first, second] = cuckooIndexes(t, this.buckets);
    const inFirst = this.#find(first, t.tag);
    const at = inFirst >= 0 ? inFirst : this.#find(second, t.tag);
    if (at < 0) return wasVictim;
    this.#slots[at] = 0;
    this.#count--;
    this.#holes = true;
    return true;
  }

  /** Every tag in the filter, the victim last: for an index from tag to connections. */
  *tags(): IterableIterator<number> {
    for (const t of this.#slots) if (t !== 0) yield t;
    if (this.#victim !== 0) yield this.#victim;
  }

  /**
   * Serialised form (04 §2.4). Slots emptied by a delete are closed up, so that no tag behind them is lost; of
   * a filter as it was parsed the leading used slots are written, which gives back the bytes it came from.
   *
   * @param keepHoles true writes as the reference does also after a delete, losing what is behind a hole: only
   * to compare with it.
   */
  encode(keepHoles = false): Uint8Array {
    const compact = this.#holes && !keepHoles;
    const w = new ByteWriter(18 + this.buckets + TAG_BYTES * this.#count)
      .u8(TAG_BYTES)
      .u8(SLOTS)
      .i32(this.buckets)
      .i32(this.#victim === 0 ? 0 : TAG_BYTES);
    if (this.#victim !== 0) w.u32(this.#victim);
    w.i32(this.#count);
    for (let at = 0; at < this.#slots.length; at += SLOTS) {
      const used: number[] = [];
      for (let i = at; i < at + SLOTS; i++) {
        const tag = this.#slots[i]!;
        if (tag !== 0) used.push(tag);
        else if (!compact) break;
      }
      w.u8(used.length);
      for (const tag of used) w.u32(tag);
    }
    return w.bytes();
  }

  /**
   * Strict parser (04 §2.6): 4-byte tags, buckets of 4, a power of two of them, each with its count byte
   * present. The declared item count must not be negative and is otherwise replaced by what is there; bytes
   * after the last bucket are ignored.
   *
   * @throws DecodeError. Memory taken is at most 16 bytes per byte of input.
   */
  static decode(bytes: Uint8Array, field = 'filter', choose: SlotChoice = randomSlot): CuckooFilter {
    const r = new ByteReader(bytes);
    if (r.u8(`${field}.itemSize`) !== TAG_BYTES) throw new DecodeError('RANGE', `${field}.itemSize`, 0);
    if (r.u8(`${field}.associativity`) !== SLOTS) throw new DecodeError('RANGE', `${field}.associativity`, 1);
    const buckets = r.i32(`${field}.buckets`);
    if (buckets < 1 || (buckets & (buckets - 1)) !== 0) throw new DecodeError('RANGE', `${field}.buckets`, 2);
    const victimLength = r.i32(`${field}.victim`);
    if (victimLength !== 0 && victimLength !== TAG_BYTES)
      throw new DecodeError('RANGE', `${field}.victim`, 6);
    const victim = victimLength === 0 ? 0 : r.u32(`${field}.victim`);
    const countAt = r.offset;
    if (r.i32(`${field}.count`) < 0) throw new DecodeError('RANGE', `${field}.count`, countAt);
    // Checked before the table is allocated: every bucket has at least its count byte.
    if (buckets > r.remaining) throw new DecodeError('EOF', `${field}.buckets`, 2, `${buckets} buckets`);
    const f = new CuckooFilter(buckets, choose);
    f.#victim = victim;
    f.#count = victim === 0 ? 0 : 1;
    for (let b = 0; b < buckets; b++) {
      const at = r.offset;
      const used = r.u8(`${field}.bucket`);
      if (used > SLOTS) throw new DecodeError('RANGE', `${field}.bucket`, at, `${used} slots`);
      for (let i = 0; i < used; i++) f.#slots[b * SLOTS + i] = r.u32(`${field}.tag`);
      f.#count += used;
    }
    return f;
  }
}
