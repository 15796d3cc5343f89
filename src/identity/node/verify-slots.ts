import type { VerifyItem } from '../index.js';

/** Batches one worker may hold: one being verified, the others so that it need not wait for a busy calling thread. */
export const slotCount = 4;
/** Items of a batch: sixteen pairs, about 1.8 ms of the fastest kernel; larger ones gain nothing more. */
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

/** Words at the head of a slot: items; RSA operations spent; whether its end is waited for; then three lengths per item. */
const COUNT = 0;
const OPERATIONS = 1;
const AWAITED = 2;
const LENGTHS = 4;
const VERDICTS_AT = 4 * LENGTHS + 12 * batchItemsMax;
const DATA_AT = VERDICTS_AT + batchItemsMax;
const SLOT_BYTES = DATA_AT + slotDataBytes;

export const slotsBytes = CONTROL_BYTES + slotCount * SLOT_BYTES;

const padded = (bytes: number): number => (bytes + 7) & ~7;

/** Bytes an item takes in a slot. */
export function slotBytesOf(item: VerifyItem): number {
  return padded(item.key.length) + padded(item.signature.length) + padded(item.message.length);
}

/** One slot, seen from either side. What an item consists of lies packed as `RsaCore.verifyPackedKeys` takes it. */
export class VerifySlot {
  readonly #head: Uint32Array;
  /** Bytes of key, signature and message, item by item. */
  readonly lengths: Uint32Array;
  /** One byte per item: an `RsaVerdict`, of which 1 is valid. */
  readonly verdicts: Uint8Array;
  readonly data: Uint8Array;

  constructor(memory: SharedArrayBuffer, at: number) {
    this.#head = new Uint32Array(memory, at, LENGTHS);
    this.lengths = new Uint32Array(memory, at + 4 * LENGTHS, 3 * batchItemsMax);
    this.verdicts = new Uint8Array(memory, at + VERDICTS_AT, batchItemsMax);
    this.data = new Uint8Array(memory, at + DATA_AT, slotDataBytes);
  }

  get count(): number {
    return this.#head[COUNT]!;
  }

  set count(items: number) {
    this.#head[COUNT] = items;
  }

  get operations(): number {
    return this.#head[OPERATIONS]!;
  }

  set operations(spent: number) {
    this.#head[OPERATIONS] = spent;
  }

  /** Whether somebody waits for this very batch; what else is done may be told with a later one. */
  get awaited(): boolean {
    return this.#head[AWAITED] === 1;
  }

  set awaited(is: boolean) {
    this.#head[AWAITED] = is ? 1 : 0;
  }

  /** The items as views into the slot, good until the batch is finished. */
  items(): VerifyItem[] {
    let at = 0;
    let word = 0;
    const part = (): Uint8Array => {
      const length = this.lengths[word++]!;
      const view = this.data.subarray(at, at + length);
      at += padded(length);
      return view;
    };
    return Array.from({ length: this.count }, () => {
      const key = part();
      const signature = part();
      return { key, signature, message: part() };
    });
  }
}

/**
 * A ring of batches in shared memory, written by one thread and worked off by another. Batch n lies in slot
 * n mod {@link slotCount}; the writer keeps at most that many under way. Both sides look at the same memory, and the
 * counters are what orders their accesses.
 */
export class VerifySlots {
  readonly #control: Int32Array;
  readonly #slots: readonly VerifySlot[];

  constructor(readonly memory: SharedArrayBuffer) {
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#slots = Array.from(
      { length: slotCount },
      (_, i) => new VerifySlot(memory, CONTROL_BYTES + i * SLOT_BYTES),
    );
  }

  get submitted(): number {
    return Atomics.load(this.#control, SUBMITTED) >>> 0;
  }

  get done(): number {
    return Atomics.load(this.#control, DONE) >>> 0;
  }

  /** The slot of a batch. */
  slot(batch: number): VerifySlot {
    return this.#slots[batch % slotCount]!;
  }

  /** Writer: hands over what it put into the slot of the batch numbered {@link submitted}. */
  submit(): void {
    Atomics.add(this.#control, SUBMITTED, 1);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE);
  }

  /** Writer: the worker ends when it has nothing left to do. */
  closeSoon(): void {
    Atomics.store(this.#control, CLOSING, 1);
    this.#wake();
  }

  /** Worker: sleeps until there is a batch, the one numbered {@link done}; false when it shall end. */
  waitForBatch(): boolean {
    for (;;) {
      const seen = Atomics.load(this.#control, WAKE);
      if (this.submitted !== this.done) return true;
      if (Atomics.load(this.#control, CLOSING) === 1) return false;
      Atomics.wait(this.#control, WAKE, seen);
    }
  }

  /**
   * Worker: the batch is done. True when the writer must be told: somebody waits for it, or the last batch that is
   * there is about to begin. What is left untold is so at most until then.
   */
  finish(): boolean {
    const awaited = this.slot(this.done).awaited;
    const done = (Atomics.add(this.#control, DONE, 1) + 1) >>> 0;
    return awaited || (this.submitted - done) >>> 0 <= 1;
  }
}

/** Puts batches together beside shared memory, into which bytes at any offset would be copied one by one. */
const stage = { bytes: new Uint8Array(0) };

/** Writer: packs items into a slot, one after the other; they must fit. */
export class SlotPacker {
  #items = 0;
  #at = 0;

  constructor(readonly slot: VerifySlot) {
    if (stage.bytes.length === 0) stage.bytes = new Uint8Array(slotDataBytes);
  }

  add({ key, signature, message }: VerifyItem): void {
    const word = 3 * this.#items++;
    this.#put(key, word);
    this.#put(signature, word + 1);
    this.#put(message, word + 2);
  }

  #put(part: Uint8Array, word: number): void {
    this.slot.lengths[word] = part.length;
    stage.bytes.set(part, this.#at);
    this.#at += padded(part.length);
  }

  /** Ends the packing; only now the slot holds the bytes. */
  end(awaited: boolean): void {
    this.slot.data.set(stage.bytes.subarray(0, this.#at));
    this.slot.count = this.#items;
    this.slot.awaited = awaited;
  }
}
