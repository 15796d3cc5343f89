/** Parts of the table, chosen by the first bits of the hash: each grows alone, so no growth copies much. */
const partBits = 12;
const partCount = 1 << partBits;
/** Slots of a part that holds its first entry. */
const partSlotsMin = 8;
/** Fill at which a part grows, by how much, and the fill below which it shrinks. */
const fillMax = 3 / 4;
const growth = 2;
const fillMin = 1 / 5;
/** Of many records few parts get more than so many times an even share. */
const shareMax = 1.2;
/**
 * A slot holds the record's number plus one and some bits of its hash, so that other records are hardly ever
 * looked at. 2^26 records of the least size a wallet can have are more than the slab reaches.
 */
const recordBits = 26;
const recordMask = (1 << recordBits) - 1;
/** Most records an index takes. */
export const indexRecordsMax = recordMask - 1;

/** The records an {@link AddressIndex} finds; the index itself holds nothing but their numbers. */
export interface Addressed {
  /** True when the record's wallet is this one. */
  isWallet(record: number, wallet: Uint8Array): boolean;
  /** {@link addressHash} of the record's wallet. */
  hashOf(record: number): number;
}

/**
 * 32 bits of an address. Its bytes behind the version are a hash already; two words are mixed, so that nobody
 * fills a part of the table by making addresses that begin alike, short of matching 64 bits.
 */
export function addressHash(address: Uint8Array): number {
  const a = (address[1]! << 24) | (address[2]! << 16) | (address[3]! << 8) | address[4]!;
  const b = (address[5]! << 24) | (address[6]! << 16) | (address[7]! << 8) | address[8]!;
  let x = a ^ Math.imul(b, 0x9e37_79b1);
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x ^= x >>> 13;
  return x >>> 0;
}

/**
 * Record numbers by wallet: open addressing with linear probing and no tombstones, 4 bytes a slot, in 4096
 * parts that grow one by one.
 */
export class AddressIndex {
  readonly #parts: (Uint32Array | undefined)[] = new Array<Uint32Array | undefined>(partCount);
  readonly #counts = new Uint32Array(partCount);
  #firstSlots = partSlotsMin;

  constructor(private readonly records: Addressed) {}

  /** Parts that begin from now on have room for their share of so many records. */
  expect(records: number): void {
    let slots = partSlotsMin;
    while ((records / partCount) * shareMax > slots * fillMax) slots *= growth;
    this.#firstSlots = slots;
  }

  /** The record's number, or -1. */
  find(wallet: Uint8Array): number {
    const hash = addressHash(wallet);
    const part = this.#parts[hash >>> (32 - partBits)];
    if (part === undefined) return -1;
    for (let i = home(hash, part.length); ; i = i + 1 === part.length ? 0 : i + 1) {
      const held = part[i]!;
      if (held === 0) return -1;
      const record = (held & recordMask) - 1;
      if (held === slotOf(hash, record) && this.records.isWallet(record, wallet)) return record;
    }
  }

  /**
   * Adds a record that is not there.
   *
   * @throws RangeError beyond {@link indexRecordsMax}
   */
  add(record: number): void {
    if (record >= indexRecordsMax) throw new RangeError(`record ${record}`);
    const hash = this.records.hashOf(record);
    const p = hash >>> (32 - partBits);
    const count = this.#counts[p]! + 1;
    let part = this.#parts[p];
    if (part === undefined || count > part.length * fillMax)
      part = this.#resize(p, part === undefined ? this.#firstSlots : Math.ceil(part.length * growth));
    put(part, hash, slotOf(hash, record));
    this.#counts[p] = count;
  }

  /** Removes a record, while its wallet can still be read. */
  remove(record: number): void {
    const hash = this.records.hashOf(record);
    const p = hash >>> (32 - partBits);
    const part = this.#parts[p];
    if (part === undefined) return;
    let hole = home(hash, part.length);
    const held = slotOf(hash, record);
    while (part[hole] !== held) {
      if (part[hole] === 0) return;
      hole = hole + 1 === part.length ? 0 : hole + 1;
    }
    this.#close(part, hole);
    const count = this.#counts[p]! - 1;
    this.#counts[p] = count;
    if (count === 0) this.#parts[p] = undefined;
    else if (part.length > partSlotsMin && count < part.length * fillMin)
      this.#resize(p, Math.max(partSlotsMin, Math.ceil(count * growth)));
  }

  /** Entries behind a hole move up to it when that brings them no further before their home. */
  #close(part: Uint32Array, from: number): void {
    const n = part.length;
    let hole = from;
    for (let i = hole + 1 === n ? 0 : hole + 1; part[i] !== 0; i = i + 1 === n ? 0 : i + 1) {
      const at = home(this.records.hashOf((part[i]! & recordMask) - 1), n);
      const fromHome = (i - at + n) % n;
      const fromHole = (i - hole + n) % n;
      if (fromHome < fromHole) continue;
      part[hole] = part[i]!;
      hole = i;
    }
    part[hole] = 0;
  }

  #resize(p: number, slots: number): Uint32Array {
    const part = new Uint32Array(slots);
    for (const held of this.#parts[p] ?? [])
      if (held !== 0) put(part, this.records.hashOf((held & recordMask) - 1), held);
    this.#parts[p] = part;
    return part;
  }

  clear(): void {
    this.#parts.fill(undefined);
    this.#counts.fill(0);
    this.#firstSlots = partSlotsMin;
  }
}

/** A record with the last bits of its hash in front. */
const slotOf = (hash: number, record: number): number => ((hash << recordBits) | (record + 1)) >>> 0;

/** The bits behind those that chose the part, spread over its slots. */
const home = (hash: number, slots: number): number =>
  Math.floor((((hash << partBits) >>> 0) / 0x1_0000_0000) * slots);

function put(part: Uint32Array, hash: number, value: number): void {
  let i = home(hash, part.length);
  while (part[i] !== 0) i = i + 1 === part.length ? 0 : i + 1;
  part[i] = value;
}
