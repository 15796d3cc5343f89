import { Worker } from 'node:worker_threads';
import type { VerifyEngineName, VerifyItem } from '../index.js';
import { slotsBytes, VerifySlots } from './verify-slots.js';
import type { VerifyWorkerData } from './verify-worker.js';

/** One call of the pool: its verdicts arrive in any order, from several threads. */
export interface Call {
  readonly verdicts: boolean[];
  /** Verdicts still to come. */
  left: number;
  /** Answered already, because one of its batches failed: what is left of it is not worth a thread's time. */
  over: boolean;
  readonly resolve: (verdicts: boolean[]) => void;
  readonly reject: (error: Error) => void;
}

/** One item of a call. */
export interface Job {
  readonly call: Call;
  readonly at: number;
  readonly item: VerifyItem;
}

/** Items that go to a thread together. */
export interface Batch {
  readonly jobs: readonly Job[];
  /** Threads that died with it. */
  deaths: number;
}

/** Puts one verdict in its place. */
export function settle({ call, at }: Job, verdict: boolean): void {
  call.verdicts[at] = verdict;
  if (--call.left === 0 && !call.over) call.resolve(call.verdicts);
}

/** Ends the call of a job without verdicts, once. */
export function fail({ call }: Job, error: Error): void {
  if (call.over) return;
  call.over = true;
  call.reject(error);
}

/** What a thread tells its pool. */
export interface ThreadEvents {
  /** Something may have been finished; the first time: it is ready. */
  readonly message: (thread: PoolThread) => void;
  readonly exit: (thread: PoolThread) => void;
}

/** One thread with its ring and the batches in it, in order. */
export class PoolThread {
  readonly slots: VerifySlots;
  readonly batches: Batch[] = [];
  /** Batches whose result has been read. */
  read = 0;
  ready = false;
  /** When the batch at the head of the ring began to be waited for, by `performance.now()`. */
  headSinceMs = 0;
  readonly exited: Promise<void>;
  readonly #worker: Worker;

  constructor(url: URL, engine: VerifyEngineName, events: ThreadEvents) {
    const memory = new SharedArrayBuffer(slotsBytes);
    this.slots = new VerifySlots(memory);
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
      events.message(this);
    });
  }

  submit(batch: Batch): void {
    if (this.batches.length === 0) this.headSinceMs = performance.now();
    this.batches.push(batch);
    this.slots.submit(batch.jobs.map((job) => job.item));
  }

  /** Whether it keeps the process alive. */
  hold(alive: boolean): void {
    if (alive) this.#worker.ref();
    else this.#worker.unref();
  }

  /** Ends it whatever it does. */
  kill(): void {
    void this.#worker.terminate();
  }
}
