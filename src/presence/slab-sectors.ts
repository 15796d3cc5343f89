import { compareBytes } from '../wire/index.js';

/** Buckets by the first 12 bits: prefixes are hashes, so a million wallets put about 250 into each. */
const bucketBits = 12;
const bucketCount = 1 << bucketBits;
const bucketOf = (lead: number): number => lead >>> (32 - bucketBits);
/** Room a full bucket gets. */
const bucketGrowth = 1.2;
const bucketSlotsMin = 4;
/** Of many records half of the buckets get no more than so many times an even share, nearly all no more than a growth later. */
const shareMax = 1.05;
/** More places than a bucket has: with 32 bits of a lead they make an exact number. */
const bucketPlaces = 2 ** 20;

/** Where the records of a {@link SectorOrder} stand on the line (docs/protocol/06 §1). */
export interface Positioned {
  /** First 32 bits of the sector prefix, big endian. */
  leadOf(record: number): number;
  /** The whole prefix, 10 bytes; asked for only where the first bits do not decide. */
  prefixOf(record: number): Uint8Array;
  walletOf(record: number): Uint8Array;
}

/** First 32 bits of a sector prefix. */
export function prefixLead(prefix: Uint8Array): number {
  return ((prefix[0]! << 24) | (prefix[1]! << 16) | (prefix[2]! << 8) | prefix[3]!) >>> 0;
}

/** Record numbers in the order of sector prefix and wallet, 4 bytes each. */
export class SectorOrder {
  readonly #buckets: (Uint32Array | undefined)[] = new Array<Uint32Array | undefined>(bucketCount);
  readonly #counts = new Uint32Array(bucketCount);
  #isOrdered = true;
  #firstSlots = bucketSlotsMin;

  constructor(private readonly records: Positioned) {}

  /** Buckets that begin from now on have room for their share of so many records. */
  expect(records: number): void {
    this.#firstSlots = Math.max(bucketSlotsMin, Math.ceil((records / bucketCount) * shareMax));
  }

  /** Negative when record `a` stands before record `b`. */
  #order(a: number, b: number): number {
    const r = this.records;
    return (
      r.leadOf(a) - r.leadOf(b) ||
      compareBytes(r.prefixOf(a), r.prefixOf(b)) ||
      compareBytes(r.walletOf(a), r.walletOf(b))
    );
  }

  /** Place of the record in its bucket, or where it would stand. */
  #find(bucket: Uint32Array, count: number, record: number): number {
    let l = 0;
    let h = count;
    while (l < h) {
      const mid = (l + h) >>> 1;
      const other = bucket[mid]!;
      if (other === record) return mid;
      if (this.#order(other, record) < 0) l = mid + 1;
      else h = mid;
    }
    return l;
  }

  /** Bucket `b` with room for one more. */
  #roomIn(b: number): Uint32Array {
    const count = this.#counts[b]!;
    const bucket = this.#buckets[b];
    if (bucket !== undefined && count < bucket.length) return bucket;
    const wider = new Uint32Array(Math.max(this.#firstSlots, Math.ceil(count * bucketGrowth)));
    if (bucket !== undefined) wider.set(bucket);
    this.#buckets[b] = wider;
    return wider;
  }

  /** Adds one of many: they are put in order together, before anything else is asked. */
  addLater(record: number): void {
    const b = bucketOf(this.records.leadOf(record));
    this.#roomIn(b)[this.#counts[b]!] = record;
    this.#counts[b] = this.#counts[b]! + 1;
    this.#isOrdered = false;
  }

  #orderAll(): void {
    if (this.#isOrdered) return;
    this.#isOrdered = true;
    for (const [b, bucket] of this.#buckets.entries()) {
      if (bucket === undefined) continue;
      const part = bucket.subarray(0, this.#counts[b]!);
      // Lead and place in one exact number: the native sort of numbers needs no calls back.
      const keys = Float64Array.from(part, (r, i) => this.records.leadOf(r) * bucketPlaces + i).sort();
      const ordered = Uint32Array.from(keys, (k) => part[k % bucketPlaces]!);
      const isTied = ordered.some(
        (r, i) => i > 0 && this.records.leadOf(r) === this.records.leadOf(ordered[i - 1]!),
      );
      part.set(isTied ? ordered.sort((x, y) => this.#order(x, y)) : ordered);
    }
  }

  add(record: number): void {
    this.#orderAll();
    const b = bucketOf(this.records.leadOf(record));
    const count = this.#counts[b]!;
    const bucket = this.#roomIn(b);
    const at = this.#find(bucket, count, record);
    bucket.copyWithin(at + 1, at, count);
    bucket[at] = record;
    this.#counts[b] = count + 1;
  }

  /** Removes a record, while its place can still be read. */
  remove(record: number): void {
    this.#orderAll();
    const b = bucketOf(this.records.leadOf(record));
    const bucket = this.#buckets[b];
    const count = this.#counts[b]!;
    if (bucket === undefined) return;
    const at = this.#find(bucket, count, record);
    if (at >= count || bucket[at] !== record) return;
    bucket.copyWithin(at, at + 1, count);
    this.#counts[b] = count - 1;
    if (count === 1) this.#buckets[b] = undefined;
    else if (bucket.length > bucketSlotsMin && count - 1 < bucket.length / 2)
      this.#buckets[b] = bucket.slice(0, Math.max(bucketSlotsMin, count - 1));
  }

  /** Records with `from <= prefix <= to` in order, at most `max`; both ends are 10-byte prefixes. */
  range(from: Uint8Array, to: Uint8Array, max: number): number[] {
    this.#orderAll();
    const out: number[] = [];
    const first = prefixLead(from);
    const last = prefixLead(to);
    for (let b = bucketOf(first); b <= bucketOf(last) && out.length < max; b++) {
      const count = this.#counts[b]!;
      const bucket = this.#buckets[b];
      if (bucket === undefined) continue;
      for (let i = this.#firstFrom(bucket, count, first); i < count; i++) {
        const record = bucket[i]!;
        const lead = this.records.leadOf(record);
        if (lead === first && compareBytes(this.records.prefixOf(record), from) < 0) continue;
        if (lead > last || out.length >= max) return out;
        if (lead === last && compareBytes(this.records.prefixOf(record), to) > 0) return out;
        out.push(record);
      }
    }
    return out;
  }

  /** First place whose lead is at least `lead`. */
  #firstFrom(bucket: Uint32Array, count: number, lead: number): number {
    let l = 0;
    let h = count;
    while (l < h) {
      const mid = (l + h) >>> 1;
      if (this.records.leadOf(bucket[mid]!) < lead) l = mid + 1;
      else h = mid;
    }
    return l;
  }

  clear(): void {
    this.#buckets.fill(undefined);
    this.#counts.fill(0);
    this.#isOrdered = true;
    this.#firstSlots = bucketSlotsMin;
  }
}
