import {
  type BlockHeader,
  type ChainTip,
  HeaderChain,
  type HeaderStorage,
  type HeaderWindow,
} from '../ledger/index.js';
import { nextBlock } from './recipe.js';

/** Stored headers that are no chain of this network, or a file that cannot be written. */
export class DevChainError extends Error {
  override readonly name = 'DevChainError';
}

/**
 * The development chain: appended to, never rolled back. Nodes keep headers on disk and refuse a coordinator
 * that comes back with another chain (docs/protocol/09 §14.1 trap 8), so every block is in storage before
 * anybody hears of it.
 */
export class DevChain {
  readonly #chain: HeaderChain;
  /** The last block that is stored; blocks behind it are nobody's business yet. */
  #tip: ChainTip | null;

  private constructor(chain: HeaderChain) {
    this.#chain = chain;
    this.#tip = chain.tip;
  }

  /** Opens the chain of that storage; an empty storage gives an empty chain. */
  static async open(storage: HeaderStorage): Promise<DevChain> {
    const chain = await HeaderChain.open({ number: 1, checksum: null }, storage);
    return new DevChain(chain);
  }

  /** Number of the last block, 0 before the first. */
  get height(): number {
    return this.#tip?.number ?? 0;
  }

  /** The last block's facts, or null before the first. */
  get tip(): ChainTip | null {
    return this.#tip;
  }

  /** Checksum of a held block. Throws RangeError for another number. */
  checksum(number: number): Uint8Array {
    const c = this.#chain.checksumOf(number);
    if (c === null) throw new RangeError(`no block ${number}`);
    return c;
  }

  /** Blocks of a window, in order. */
  range(window: HeaderWindow): Promise<BlockHeader[]> {
    return this.#chain.range(window);
  }

  /** Makes the next block with this time in Unix seconds and returns it once it is stored. */
  async extend(timestamp: number): Promise<BlockHeader> {
    const [block] = await this.extendAll([timestamp]);
    return block!;
  }

  /** As {@link extend} for several blocks in one go. */
  async extendAll(timestamps: readonly number[]): Promise<BlockHeader[]> {
    const made: BlockHeader[] = [];
    for (const timestamp of timestamps) {
      const block = nextBlock({ height: this.#chain.height, checksum: (n) => this.checksum(n) }, timestamp);
      const verdict = this.#chain.append(block);
      if (verdict.kind !== 'appended')
        throw new DevChainError(`block ${block.number} does not follow: ${verdict.kind}`);
      made.push(block);
    }
    await this.settled();
    this.#tip = this.#chain.tip;
    return made;
  }

  /** Resolves when everything made so far is stored. Throws {@link DevChainError} when that failed. */
  async settled(): Promise<void> {
    try {
      await this.#chain.settled();
    } catch (e) {
      throw new DevChainError(`cannot store the chain: ${e instanceof Error ? e.message : String(e)}`);
    }
  }
}
