/** Rows of one chunk: growth costs one chunk, never a copy of what is there. */
const chunkRows = 16_384;
const chunkShift = 14;
const chunkMask = chunkRows - 1;

/** No row. */
export const noRow = 0xffff_ffff;

/** Numbered rows of 32-bit fields in chunks; freed numbers are used again. */
export class Rows {
  readonly #chunks: Uint32Array[] = [];
  /** Rows ever used, and the first freed one; the next freed stands in field 0. */
  #end = 0;
  #free = noRow;
  #size = 0;

  /** `fields` of 32 bits each. */
  constructor(private readonly fields: number) {}

  /** Rows in use. */
  get size(): number {
    return this.#size;
  }

  /** All rows in use have numbers below this. */
  get end(): number {
    return this.#end;
  }

  /** A row with whatever its fields held before. */
  add(): number {
    this.#size++;
    if (this.#free !== noRow) {
      const row = this.#free;
      this.#free = this.get(row, 0);
      return row;
    }
    const row = this.#end++;
    if (row >>> chunkShift === this.#chunks.length)
      this.#chunks.push(new Uint32Array(chunkRows * this.fields));
    return row;
  }

  /** Gives a row back; field 0 is overwritten. */
  remove(row: number): void {
    this.#size--;
    this.set(row, 0, this.#free);
    this.#free = row;
  }

  get(row: number, field: number): number {
    return this.#chunks[row >>> chunkShift]![(row & chunkMask) * this.fields + field]!;
  }

  set(row: number, field: number, value: number): void {
    this.#chunks[row >>> chunkShift]![(row & chunkMask) * this.fields + field] = value;
  }

  /** Forgets everything. */
  clear(): void {
    this.#chunks.length = 0;
    this.#end = 0;
    this.#free = noRow;
    this.#size = 0;
  }
}
