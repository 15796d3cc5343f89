const PAGE_BYTES = 65536;
/** Before anything is staged: the module's tables and scratch (19 kB) and the first stage. */
const INITIAL_PAGES = 4;
/** 256 MiB: five times the largest frame. A batch that needs more is the caller's mistake. */
export const ARENA_BYTES_MAX = 256 * 1024 * 1024;

/**
 * The memory of one core. From the module's `arenaBase()` up it is a stack: {@link alloc} moves the top up,
 * {@link release} moves it back to a {@link mark}. Memory only ever grows; after a large batch it stays with the arena
 * for the next.
 *
 * Growing detaches every view, so {@link bytes} and {@link words} must be asked for again after each `alloc`.
 */
export class Arena {
  readonly memory: WebAssembly.Memory;
  #base = 0;
  #top = 0;
  #bytes: Uint8Array;
  #words: Uint32Array;

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: ARENA_BYTES_MAX / PAGE_BYTES });
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Uint32Array(this.memory.buffer);
  }

  /** Gives everything below `address` to the module for good. */
  reserveBelow(address: number): void {
    this.#base = address;
    this.#top = address;
  }

  /** All bytes, addressed absolutely. Valid until the next {@link alloc}. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** All 32-bit words: index = address / 4. Valid until the next {@link alloc}. */
  get words(): Uint32Array {
    return this.#words;
  }

  /** The current top, for {@link release}. */
  mark(): number {
    return this.#top;
  }

  /** Frees everything allocated since `mark`. The bytes stay as they are until overwritten. */
  release(mark: number): void {
    this.#top = mark;
  }

  /** Frees everything. */
  reset(): void {
    this.#top = this.#base;
  }

  /**
   * The address of `size` bytes, aligned to 8, with any content.
   * Throws RangeError above {@link ARENA_BYTES_MAX}, or when the machine has no more memory.
   */
  alloc(size: number): number {
    const address = (this.#top + 7) & ~7;
    const end = address + size;
    if (end > ARENA_BYTES_MAX) throw new RangeError(`arena: ${size} bytes do not fit ${ARENA_BYTES_MAX}`);
    if (end > this.#bytes.length) {
      // By half at least, so that a growing batch does not copy its memory each time.
      const pages = Math.ceil(Math.max(end, this.#bytes.length * 1.5) / PAGE_BYTES);
      const have = this.#bytes.length / PAGE_BYTES;
      this.memory.grow(Math.min(pages, ARENA_BYTES_MAX / PAGE_BYTES) - have);
      this.#bytes = new Uint8Array(this.memory.buffer);
      this.#words = new Uint32Array(this.memory.buffer);
    }
    this.#top = end;
    return address;
  }
}
