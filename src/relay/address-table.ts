import { randomBytes } from '../identity/index.js';
import { i32At } from '../wire/index.js';

/** Bytes of the longest raw address, 45, rounded up to whole words. */
const rowBytes = 48;
const rowWords = rowBytes / 4;
/** Shortest key: the hash reads eight bytes behind the version byte. */
const keyBytesMin = 9;
const slotsInitial = 64;

/** As {@link i32At}; what lies at `end` or behind it counts as zero. */
function wordOf(b: Uint8Array, at: number, end: number): number {
  let word = 0;
  for (let i = Math.min(3, end - 1 - at); i >= 0; i--) word = (word << 8) | b[at + i]!;
  return word;
}

/**
 * Values by raw address, open-addressed over the address bytes themselves: a lookup makes neither a string nor an
 * object. An address is a hash, so its own first bytes serve as one; they are mixed with a secret of this process
 * because whoever generates keys chooses them. At most half of the slots are taken.
 */
export class AddressTable<V> {
  /** Row number + 1 per slot; 0 = free. */
  #slots = new Int32Array(slotsInitial);
  #mask = slotsInitial - 1;
  /** Addresses in words, {@link rowWords} per row, the last one filled up with zeros: fewer loads and comparisons. */
  #words = new Int32Array((slotsInitial / 2) * rowWords);
  #lengths = new Uint8Array(slotsInitial / 2);
  #values: (V | undefined)[] = [];
  /** Rows that were given back. */
  readonly #free: number[] = [];
  #size = 0;
  readonly #seed: Int32Array;

  constructor() {
    const seed = randomBytes(8);
    this.#seed = new Int32Array(seed.buffer.slice(seed.byteOffset, seed.byteOffset + 8));
  }

  get size(): number {
    return this.#size;
  }

  /** The value of the address that lies at `bytes[at…at + length]`. */
  get(bytes: Uint8Array, at = 0, length = bytes.length): V | undefined {
    if (length < keyBytesMin || length > rowBytes) return undefined;
    const slot = this.#find(bytes, at, length);
    return slot < 0 ? undefined : this.#values[this.#slots[slot]! - 1];
  }

  /**
   * Sets the value of an address, which is copied.
   *
   * @throws RangeError for less than 9 or more than 48 bytes.
   */
  set(address: Uint8Array, value: V): void {
    const n = address.length;
    if (n < keyBytesMin || n > rowBytes) throw new RangeError(`no address has ${n} bytes`);
    const slot = this.#find(address, 0, n);
    if (slot >= 0) {
      this.#values[this.#slots[slot]! - 1] = value;
      return;
    }
    if (2 * (this.#size + 1) > this.#slots.length) this.#grow();
    const row = this.#free.pop() ?? this.#size;
    const from = row * rowWords;
    for (let i = 0; i < rowWords; i++) this.#words[from + i] = 4 * i < n ? wordOf(address, 4 * i, n) : 0;
    this.#lengths[row] = n;
    this.#values[row] = value;
    this.#size++;
    this.#place(row);
  }

  /** Removes an address; false when it was not there. */
  delete(address: Uint8Array): boolean {
    const n = address.length;
    if (n < keyBytesMin || n > rowBytes) return false;
    let hole = this.#find(address, 0, n);
    if (hole < 0) return false;
    const row = this.#slots[hole]! - 1;
    this.#values[row] = undefined;
    this.#free.push(row);
    this.#size--;
    // What lies behind and may lie here moves up: no tombstones, so lookups stay as short as the table is full.
    for (let i = (hole + 1) & this.#mask; this.#slots[i] !== 0; i = (i + 1) & this.#mask) {
      const home = this.#hashOfRow(this.#slots[i]! - 1) & this.#mask;
      if (((i - home) & this.#mask) < ((i - hole) & this.#mask)) continue;
      this.#slots[hole] = this.#slots[i]!;
      hole = i;
    }
    this.#slots[hole] = 0;
    return true;
  }

  /** Slot of an address, negative when it is not there. */
  #find(bytes: Uint8Array, at: number, length: number): number {
    let slot = this.#hash(bytes, at) & this.#mask;
    for (;;) {
      const row = this.#slots[slot]! - 1;
      if (row < 0) return -1;
      if (this.#isRow(row, bytes, at, length)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #isRow(row: number, bytes: Uint8Array, at: number, length: number): boolean {
    if (this.#lengths[row] !== length) return false;
    const own = this.#words;
    const end = at + length;
    let word = row * rowWords;
    for (; at + 4 <= end; at += 4) if (own[word++] !== i32At(bytes, at)) return false;
    return at === end || own[word] === wordOf(bytes, at, end);
  }

  #hash(bytes: Uint8Array, at: number): number {
    return this.#mixed(i32At(bytes, at + 1), i32At(bytes, at + 5));
  }

  #hashOfRow(row: number): number {
    const words = this.#words;
    const from = row * rowWords;
    const middle = words[from + 1]!;
    // The same eight bytes, behind the version byte.
    return this.#mixed((words[from]! >>> 8) | (middle << 24), (middle >>> 8) | (words[from + 2]! << 24));
  }

  #mixed(low: number, high: number): number {
    let h = Math.imul(low ^ this.#seed[0]!, 0x9e3779b1);
    h ^= h >>> 15;
    h = Math.imul(h ^ high ^ this.#seed[1]!, 0x85ebca77);
    return h ^ (h >>> 13);
  }

  #place(row: number): void {
    let slot = this.#hashOfRow(row) & this.#mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = row + 1;
  }

  #grow(): void {
    const slots = 2 * this.#slots.length;
    const rows = slots / 2;
    const words = new Int32Array(rows * rowWords);
    words.set(this.#words);
    this.#words = words;
    const lengths = new Uint8Array(rows);
    lengths.set(this.#lengths);
    this.#lengths = lengths;
    const used = this.#slots.filter((s) => s !== 0);
    this.#slots = new Int32Array(slots);
    this.#mask = slots - 1;
    for (const s of used) this.#place(s - 1);
  }
}
