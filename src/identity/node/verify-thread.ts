import { Worker } from 'node:worker_threads';
import type { VerifyEngineName, VerifyItem } from '../index.js';
import { SlotPacker, slotsBytes, VerifySlots } from './verify-slots.js';
import type { VerifyWorkerData } from './verify-worker.js';

/** One call of the pool: its verdicts arrive in any order, from several threads. */
export interface Call {
  readonly items: readonly VerifyItem[];
  readonly verdicts: boolean[];
  /** Verdicts still to come. */
  left: number;
  /** Answered already, because one of its batches failed: what is left of it is not worth a thread's time. */
  over: boolean;
  readonly resolve: (verdicts: boolean[]) => void;
  readonly reject: (error: Error) => void;
}

/** Neighbouring items of a call: from `from` up to `to`, which is not among them. */
export interface Stretch {
  readonly call: Call;
  from: number;
  readonly to: number;
}

/** What goes to a thread together. */
export interface Batch {
  readonly stretches: readonly Stretch[];
  readonly items: number;
  /** It holds the end of a stretch, so a caller may wait for it. */
  readonly awaited: boolean;
  /** Threads that died with it. */
  deaths: number;
}

/** Puts the verdicts on a stretch in their place, and answers the call with the last of them. */
function settle({ call, from, to }: Stretch, isValid: (i: number) => boolean): void {
  for (let at = from; at < to; at++) call.verdicts[at] = isValid(at - from);
  call.left -= to - from;
  if (call.left === 0 && !call.over) call.resolve(call.verdicts);
}

/** {@link settle} for all stretches of a batch, whose verdicts are numbered through. */
export function settleAll(stretches: readonly Stretch[], isValid: (i: number) => boolean): void {
  let first = 0;
  for (const stretch of stretches) {
    const begin = first;
    settle(stretch, (i) => isValid(begin + i));
    first += stretch.to - stretch.from;
  }
}

/** Ends a call without verdicts, once. */
export function fail({ call }: Stretch, error: Error): void {
  if (call.over) return;
  call.over = true;
  call.reject(error);
}

/** What a thread tells its pool. */
export interface ThreadEvents {
  /** Something may have been finished; the first time: it is ready. */
  readonly message: () => void;
  readonly exit: (thread: PoolThread) => void;
}

/** One thread with its ring and the batches in it, in order. */
export class PoolThread {
  readonly batches: Batch[] = [];
  ready = false;
  /** When the batch at the head of the ring began to be waited for, by `performance.now()`. */
  headSinceMs = 0;
  readonly exited: Promise<void>;
  readonly #slots: VerifySlots;
  readonly #worker: Worker;
  /** Batches whose result has been read. */
  #read = 0;

  constructor(url: URL, engine: VerifyEngineName, events: ThreadEvents) {
    const memory = new SharedArrayBuffer(slotsBytes);
    this.#slots = new VerifySlots(memory);
    const workerData: VerifyWorkerData = { engine, memory };
    this.#worker = new Worker(url, { workerData });
    this.exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        resolve();
        events.exit(this);
      });
    });
    // An exit follows, which is what is acted on.
    this.#worker.on('error', () => undefined);
    this.#worker.on('message', () => {
      this.ready = true;
      events.message();
    });
  }

  /** Copies the items of a batch into the next slot and hands it over; the slot must be free. */
  submit(batch: Batch): void {
    if (this.batches.length === 0) this.headSinceMs = performance.now();
    this.batches.push(batch);
    const packer = new SlotPacker(this.#slots.slot(this.#slots.submitted));
    for (const { call, from, to } of batch.stretches)
      for (let at = from; at < to; at++) packer.add(call.items[at]!);
    packer.end(batch.awaited);
    this.#slots.submit();
  }

  /** Settles what has been finished; how many RSA operations that took, or null when there was nothing. */
  collect(): number | null {
    const { done } = this.#slots;
    if (this.#read === done) return null;
    let operations = 0;
    for (; this.#read !== done; this.#read = (this.#read + 1) >>> 0) {
      const slot = this.#slots.slot(this.#read);
      operations += slot.operations;
      settleAll(this.batches.shift()!.stretches, (i) => slot.verdicts[i] === 1);
    }
    this.headSinceMs = performance.now();
    return operations;
  }

  /** Whether it keeps the process alive. */
  hold(alive: boolean): void {
    if (alive) this.#worker.ref();
    else this.#worker.unref();
  }

  /** Asks it to end when it has nothing left to do. */
  closeSoon(): void {
    this.#slots.closeSoon();
  }

  /** Ends it whatever it does. */
  kill(): void {
    void this.#worker.terminate();
  }
}
