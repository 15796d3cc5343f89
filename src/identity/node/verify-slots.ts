import type { VerifyItem } from '../index.js';

/** Batches one worker may hold: one being verified, the others so that it need not wait for a busy calling thread. */
export const slotCount = 4;
/** Items of a batch: sixteen pairs, about 1.4 ms of the fastest kernel; larger ones gain nothing more. */
export const batchItemsMax = 32;
/** Inputs of a batch: thirty-two of the largest key, signature and a message of some kilobytes. */
export const slotDataBytes = 256 * 1024;

/** Counts of batches wrap at 2^32, of which the number of slots is a divisor. */
const CONTROL_BYTES = 64;
/** Word 0: batches submitted. */
const SUBMITTED = 0;
/** Word 1: batches done. */
const DONE = 1;
/** Word 2: 1 asks the worker to end. */
const CLOSING = 2;
/** Word 3: changes with every reason to wake up, so that none between a look and the sleep is missed. */
const WAKE = 3;

/** Items; RSA operations spent; then three lengths per item. */
const HEADER_BYTES = 8 + 12 * batchItemsMax;
const VERDICTS_AT = HEADER_BYTES;
const DATA_AT = HEADER_BYTES + batchItemsMax;
const SLOT_BYTES = DATA_AT + slotDataBytes;

export const slotsBytes = CONTROL_BYTES + slotCount * SLOT_BYTES;

const padded = (bytes: number): number => (bytes + 7) & ~7;

/** Bytes an item takes in a slot. */
export function slotBytesOf(item: VerifyItem): number {
  return padded(item.key.length) + padded(item.signature.length) + padded(item.message.length);
}

/**
 * A ring of batches in shared memory, written by one thread and worked off by another. Batch n lies in slot
 * n mod {@link slotCount}; the writer keeps at most that many under way. Both sides look at the same memory, and the
 * counters are what orders their accesses.
 */
export class VerifySlots {
  readonly #control: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;

  constructor(readonly memory: SharedArrayBuffer) {
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
  }

  get submitted(): number {
    return Atomics.load(this.#control, SUBMITTED) >>> 0;
  }

  get done(): number {
    return Atomics.load(this.#control, DONE) >>> 0;
  }

  #slotAt(batch: number): number {
    return CONTROL_BYTES + (batch % slotCount) * SLOT_BYTES;
  }

  /** Writer: copies the items into the next slot and hands it over. They must fit, and the slot must be free. */
  submit(items: readonly VerifyItem[]): void {
    const batch = this.submitted;
    const slot = this.#slotAt(batch);
    let word = slot >>> 2;
    this.#words[word] = items.length;
    word += 2;
    let at = slot + DATA_AT;
    for (const item of items)
      for (const part of [item.key, item.signature, item.message]) {
        this.#words[word++] = part.length;
        this.#bytes.set(part, at);
        at += padded(part.length);
      }
    Atomics.store(this.#control, SUBMITTED, batch + 1);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE);
  }

  /** Writer: what came of a batch that is done. */
  result(batch: number): { verdicts: boolean[]; operations: number } {
    const slot = this.#slotAt(batch);
    const count = this.#words[slot >>> 2]!;
    const at = slot + VERDICTS_AT;
    const verdicts = Array.from(this.#bytes.subarray(at, at + count), (v) => v === 1);
    return { verdicts, operations: this.#words[(slot >>> 2) + 1]! };
  }

  /** Writer: the worker ends when it has nothing left to do. */
  closeSoon(): void {
    Atomics.store(this.#control, CLOSING, 1);
    this.#wake();
  }

  /** Worker: sleeps until there is a batch; false when it shall end. */
  waitForBatch(): boolean {
    for (;;) {
      const seen = Atomics.load(this.#control, WAKE);
      if (this.submitted !== this.done) return true;
      if (Atomics.load(this.#control, CLOSING) === 1) return false;
      Atomics.wait(this.#control, WAKE, seen);
    }
  }

  /** Worker: the items of the batch to do, as views that are good until {@link finish}. */
  items(): VerifyItem[] {
    const slot = this.#slotAt(this.done);
    let word = slot >>> 2;
    const count = this.#words[word]!;
    word += 2;
    let at = slot + DATA_AT;
    const part = (): Uint8Array => {
      const length = this.#words[word++]!;
      const view = this.#bytes.subarray(at, at + length);
      at += padded(length);
      return view;
    };
    return Array.from({ length: count }, () => {
      const key = part();
      const signature = part();
      return { key, signature, message: part() };
    });
  }

  /** Worker: hands the verdicts back. */
  finish(verdicts: readonly boolean[], operations: number): void {
    const batch = this.done;
    const slot = this.#slotAt(batch);
    this.#words[(slot >>> 2) + 1] = operations;
    verdicts.forEach((v, i) => {
      this.#bytes[slot + VERDICTS_AT + i] = v ? 1 : 0;
    });
    Atomics.store(this.#control, DONE, batch + 1);
  }
}
