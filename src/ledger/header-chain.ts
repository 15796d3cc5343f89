import { bytesEqual, fromHex, type Network } from '../wire/index.js';
import { type BlockHeader, decodeHeader, encodeHeader, type HeaderForm } from './header.js';
import type { HeaderStorage } from './header-storage.js';

/** How far below the highest header ever held a chain goes back (docs/protocol/09 §7.5). */
export const rollbackBlocksMax = 100;
/** Most headers one request gets (09 §7.1). */
export const headersPerAnswerMax = 1000;
/** Headers asked for at once. */
export const HEADERS_PER_REQUEST = 250;
/** Newest headers kept decoded in memory; older ones are read back from storage when somebody asks. */
const recentHeadersMax = 2100;

/** A header that is trusted without its predecessors. */
export interface ChainStart {
  readonly number: number;
  /** Checksum that header must have; null for a chain that begins at block 1. */
  readonly checksum: Uint8Array | null;
}

/** Baked superblock of the main network ([0.9.8], 09 §7.5). */
const MAIN_START: ChainStart = {
  number: 5_875_000,
  checksum: fromHex(
    'fffd4be0b5e32a0b2b229e91345f47e8b8221853c789fcfdeb1227d0438edf93' +
      'a3f5fdd39f530c206824234148ffe14e2aafe959a42bea70158dea9eefceac8a',
  ),
};
/** Test and regression chains are followed from their first block. */
const FIRST_BLOCK: ChainStart = { number: 1, checksum: null };

/** Where a chain of that network begins. */
export function chainStart(network: Network['name']): ChainStart {
  return network === 'main' ? MAIN_START : FIRST_BLOCK;
}

/** The last header, as helloData and balance2 name it. */
export interface ChainTip {
  readonly number: number;
  readonly checksum: Uint8Array;
  readonly version: number;
  /** Unix seconds. */
  readonly timestamp: number;
}

/** What became of a header handed to the chain. */
export type AppendResult =
  | { readonly kind: 'appended' }
  /** At or below the tip, and the same as ours. */
  | { readonly kind: 'known' }
  /** Beyond tip + 1: the ones between must come first. */
  | { readonly kind: 'gap'; readonly wanted: number }
  /** Another branch: differs from ours at `number`, or does not follow our header `number − 1`. */
  | { readonly kind: 'fork'; readonly number: number }
  | { readonly kind: 'refused'; readonly reason: 'start' | 'version' | 'timestamp' };

/** Outcome of offering another branch. */
export type BranchResult =
  | { readonly kind: 'adopted'; readonly removed: number; readonly added: number }
  | {
      readonly kind: 'refused';
      readonly reason: 'empty' | 'unconnected' | 'broken' | 'too-deep' | 'not-longer';
    };

interface Entry {
  readonly checksum: Uint8Array;
  readonly pitRoot: Uint8Array | null;
  readonly version: number;
  readonly timestamp: number;
}

/** Form in which headers are kept: signatures as they came, a tail that can be read back, ids as they came. */
const STORED_FORM: HeaderForm = { signatures: 'full', tail: 'difficulty', transactions: true };

/** Blocks that answer a request `from`, `count`. */
export interface HeaderWindow {
  readonly from: number;
  readonly count: number;
}

/**
 * Which headers a responder with last block `last` serves (09 §7.1): the reference ends at `last − 1`; a
 * responder that `servesTip` at `last`. Null = silence.
 */
export function headerWindow(
  from: number,
  count: number,
  last: number,
  opts: { servesTip: boolean; max?: number } = { servesTip: false },
): HeaderWindow | null {
  const end = opts.servesTip ? last + 1 : last;
  if (count < 1 || from < 1 || from >= end) return null;
  return { from, count: Math.min(count, end - from, opts.max ?? headersPerAnswerMax) };
}

/**
 * A chain of headers: each follows the one before by number and checksum. It never changes branch by itself;
 * whoever asked two independent responders hands the longer branch to {@link HeaderChain.adopt}.
 */
export class HeaderChain {
  readonly start: ChainStart;
  readonly #storage: HeaderStorage;
  #entries: Entry[] = [];
  #recent = new Map<number, BlockHeader>();
  #highest = 0;
  #writes: Promise<void> = Promise.resolve();
  #writeError: Error | null = null;

  private constructor(start: ChainStart, storage: HeaderStorage) {
    this.start = start;
    this.#storage = storage;
  }

  /**
   * Opens a chain on its storage. Stored headers are decoded and chained again; from the first that does not
   * fit, the rest is cut off.
   */
  static async open(start: ChainStart, storage: HeaderStorage): Promise<HeaderChain> {
    const chain = new HeaderChain(start, storage);
    const records = await storage.load();
    for (const record of records) {
      const header = tryDecode(record);
      if (header === null || chain.#judge(header).kind !== 'appended') break;
      chain.#push(header);
    }
    if (chain.length < records.length) await storage.truncate(chain.length);
    return chain;
  }

  /** Headers held. */
  get length(): number {
    return this.#entries.length;
  }

  /** Number of the first header held or wanted. */
  get first(): number {
    return this.start.number;
  }

  /** Number of the last header; 0 while there is none. */
  get height(): number {
    return this.length === 0 ? 0 : this.start.number + this.length - 1;
  }

  /** Number of the header that is wanted next. */
  get wanted(): number {
    return this.start.number + this.length;
  }

  /** Highest number ever reached in this run; bounds the depth of a rollback. */
  get highest(): number {
    return this.#highest;
  }

  /** The last header's facts, or null without any. */
  get tip(): ChainTip | null {
    const e = this.#entries[this.length - 1];
    return e === undefined
      ? null
      : { number: this.height, checksum: e.checksum, version: e.version, timestamp: e.timestamp };
  }

  #entry(number: number): Entry | null {
    return this.#entries[number - this.start.number] ?? null;
  }

  /** Checksum of a held block, else null. */
  checksumOf(number: number): Uint8Array | null {
    return this.#entry(number)?.checksum ?? null;
  }

  /** Root of the inclusion tree of a held block, else null. */
  pitRootOf(number: number): Uint8Array | null {
    return this.#entry(number)?.pitRoot ?? null;
  }

  /** Timestamp of a held block in Unix seconds, else null. */
  timestampOf(number: number): number | null {
    return this.#entry(number)?.timestamp ?? null;
  }

  #judge(h: BlockHeader): AppendResult {
    if (h.number < this.wanted) {
      const ours = this.checksumOf(h.number);
      if (ours === null) return { kind: 'refused', reason: 'start' };
      return bytesEqual(ours, h.checksum) ? { kind: 'known' } : { kind: 'fork', number: h.number };
    }
    if (h.number > this.wanted) return { kind: 'gap', wanted: this.wanted };
    const last = this.#entries[this.length - 1];
    if (last === undefined) {
      const fits =
        this.start.checksum === null
          ? h.previousChecksum === null
          : bytesEqual(h.checksum, this.start.checksum);
      return fits ? { kind: 'appended' } : { kind: 'refused', reason: 'start' };
    }
    return follows(last, h);
  }

  #push(h: BlockHeader): void {
    this.#entries.push({
      checksum: h.checksum,
      pitRoot: h.pitRoot,
      version: h.version,
      timestamp: h.timestamp,
    });
    this.#recent.set(h.number, h);
    this.#recent.delete(h.number - recentHeadersMax);
    this.#highest = Math.max(this.#highest, h.number);
  }

  #write(step: () => Promise<void>): void {
    // One after the other and never unhandled: settled() hands the first failure to whoever asks.
    this.#writes = this.#writes.then(step).catch((e: unknown) => {
      this.#writeError ??= e instanceof Error ? e : new Error(String(e));
    });
  }

  /** Resolves when everything so far is in storage; rejects with the first failure. */
  async settled(): Promise<void> {
    await this.#writes;
    if (this.#writeError !== null) throw this.#writeError;
  }

  /** Offers one header. It is taken only if it follows the tip. */
  append(header: BlockHeader): AppendResult {
    const verdict = this.#judge(header);
    if (verdict.kind !== 'appended') return verdict;
    this.#push(header);
    const record = encodeHeader(header, STORED_FORM);
    this.#write(() => this.#storage.append([record]));
    return verdict;
  }

  /**
   * Offers headers in order and stops at the first that is neither taken nor known. Returns how many were
   * taken and the verdict that stopped it, or null when all went through.
   */
  appendAll(headers: readonly BlockHeader[]): { taken: number; stopped: AppendResult | null } {
    const records: Uint8Array[] = [];
    let stopped: AppendResult | null = null;
    for (const h of headers) {
      const verdict = this.#judge(h);
      if (verdict.kind === 'known') continue;
      if (verdict.kind !== 'appended') {
        stopped = verdict;
        break;
      }
      this.#push(h);
      records.push(encodeHeader(h, STORED_FORM));
    }
    if (records.length > 0) this.#write(() => this.#storage.append(records));
    return { taken: records.length, stopped };
  }

  /**
   * Drops every header above `number`. Returns false, and changes nothing, when that lies more than
   * {@link rollbackBlocksMax} below the highest header ever held.
   */
  rollback(number: number): boolean {
    if (number < this.#highest - rollbackBlocksMax || number < this.start.number - 1) return false;
    const keep = Math.max(0, number - this.start.number + 1);
    if (keep >= this.length) return true;
    for (let n = this.height; n > number; n--) this.#recent.delete(n);
    this.#entries.length = keep;
    this.#write(() => this.#storage.truncate(keep));
    return true;
  }

  /**
   * Replaces the end of the chain by a longer branch. `branch` are consecutive headers, the first following a
   * header of ours. Refused when it is not longer than what we hold or would go back too far.
   */
  adopt(branch: readonly BlockHeader[]): BranchResult {
    const refused = (
      reason: 'empty' | 'unconnected' | 'broken' | 'too-deep' | 'not-longer',
    ): BranchResult => ({
      kind: 'refused',
      reason,
    });
    const first = branch[0];
    if (first === undefined) return refused('empty');
    const parent = this.#entry(first.number - 1);
    if (parent === null || follows(parent, first).kind !== 'appended') return refused('unconnected');
    for (let i = 1; i < branch.length; i++) {
      const [a, b] = [branch[i - 1]!, branch[i]!];
      if (b.number !== a.number + 1 || follows(a, b).kind !== 'appended') return refused('broken');
    }
    if (branch[branch.length - 1]!.number <= this.height) return refused('not-longer');
    const before = this.height;
    if (!this.rollback(first.number - 1)) return refused('too-deep');
    const { taken } = this.appendAll(branch);
    return { kind: 'adopted', removed: before - first.number + 1, added: taken };
  }

  /** A held header, from memory or storage; null when it is not held. */
  async header(number: number): Promise<BlockHeader | null> {
    return (await this.range({ from: number, count: 1 }))[0] ?? null;
  }

  /** Held headers of the window in order; ends early where the chain does. */
  async range(window: HeaderWindow): Promise<BlockHeader[]> {
    const end = Math.min(window.from + window.count, this.wanted);
    const out: BlockHeader[] = [];
    if (window.from < this.start.number) return out;
    let number = window.from;
    while (number < end && !this.#recent.has(number)) number++;
    if (number > window.from) {
      await this.#writes;
      const records = await this.#storage.read(window.from - this.start.number, number - window.from);
      for (const r of records) {
        const h = tryDecode(r);
        // Storage and memory may part when the chain is cut back while we read: never serve what is not ours.
        const ours = h === null ? null : this.checksumOf(h.number);
        if (h === null || ours === null || !bytesEqual(ours, h.checksum)) return out;
        out.push(h);
      }
    }
    for (; number < end; number++) {
      const h = this.#recent.get(number);
      if (h === undefined) break;
      out.push(h);
    }
    return out;
  }
}

function tryDecode(record: Uint8Array): BlockHeader | null {
  try {
    return decodeHeader(record, 'difficulty');
  } catch {
    return null;
  }
}

/** Does `h` follow `last`? Version never decreases; a v13 block may be at most 30 s older than its parent (09 §7.7). */
function follows(last: Entry, h: BlockHeader): AppendResult {
  if (h.previousChecksum === null || !bytesEqual(h.previousChecksum, last.checksum))
    return { kind: 'fork', number: h.number };
  if (h.version < last.version) return { kind: 'refused', reason: 'version' };
  if (h.version >= 13 && h.timestamp + 30 < last.timestamp) return { kind: 'refused', reason: 'timestamp' };
  return { kind: 'appended' };
}
