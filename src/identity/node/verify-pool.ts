import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { enableRelaxedSimd } from '../../core/node/index.js';
import { createVerifyEngine, type VerifyEngine, type VerifyEngineName, type VerifyItem } from '../index.js';
import { BaseEngine } from '../verify/base.js';
import {
  batchItemsMax,
  slotBytesOf,
  slotCount,
  slotDataBytes,
  slotsBytes,
  VerifySlots,
} from './verify-slots.js';
import type { VerifyWorkerData } from './verify-worker.js';

/** Items that wait for a thread; more wait with their caller. Two seconds of one thread with 4096-bit keys. */
export const poolQueueItemsMax = 32_768;
/** A thread that dies so often without finishing a batch is not replaced any more. */
const fruitlessStartsMax = 3;
/** How long a thread may take to end when told to. */
const closeGraceMs = 1000;

/**
 * Engines for a thread whose whole work is verifying, best first, by measurement: relaxed SIMD where its multiply-add is
 * fused, then OpenSSL on the thread itself, then what is left.
 */
export const poolEngineNames: readonly VerifyEngineName[] = [
  'wasm-relaxed',
  'native-sync',
  'wasm-simd',
  'wasm-scalar',
];

export interface VerifyPoolOptions {
  /** What each thread verifies with; `auto` (default) takes the first of {@link poolEngineNames} that works. */
  readonly engine?: VerifyEngineName | 'auto';
  /** Threads: default one less than the machine runs at once, at least 1. */
  readonly workers?: number;
  /** The compiled verify-worker.js where it does not lie beside this file, as in a bundle. */
  readonly workerUrl?: URL;
}

interface Job {
  readonly item: VerifyItem;
  readonly settle: (verdict: boolean) => void;
  /** Threads that died with it. */
  deaths: number;
}

/** One thread with its ring. */
class PoolThread {
  readonly slots: VerifySlots;
  readonly batches: Job[][] = [];
  /** Batches whose result has been read. */
  read = 0;
  ready = false;
  readonly exited: Promise<void>;

  constructor(
    readonly worker: Worker,
    memory: SharedArrayBuffer,
    onExit: (thread: PoolThread) => void,
  ) {
    this.slots = new VerifySlots(memory);
    this.exited = new Promise((resolve) => {
      worker.once('exit', () => {
        resolve();
        onExit(this);
      });
    });
    // An exit follows, which is what is acted on.
    worker.on('error', () => undefined);
  }
}

/**
 * Verification on threads of its own, fed in batches through shared memory. A lone item goes out at once; while threads
 * are busy items gather, so batches grow with the load by themselves. When the queue is full, callers wait. A thread that
 * dies is replaced and its batches are tried once more; items that were there twice are judged on the calling thread.
 */
class VerifyPool extends BaseEngine {
  override readonly name: VerifyEngineName;
  readonly #url: URL;
  readonly #inPlace: VerifyEngine;
  #threads: PoolThread[] = [];
  readonly #queue: Job[] = [];
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;
  #callers = 0;
  #closing = false;
  #fruitlessStarts = 0;

  constructor(name: VerifyEngineName, inPlace: VerifyEngine, workers: number, url: URL) {
    super();
    this.name = name;
    this.#inPlace = inPlace;
    this.#url = url;
    for (let i = 0; i < workers; i++) this.#start();
  }

  protected override async run(items: readonly VerifyItem[]): Promise<boolean[]> {
    // Threads keep the process alive exactly while somebody waits for a verdict.
    if (this.#callers++ === 0) for (const t of this.#threads) t.worker.ref();
    try {
      return await this.#verdicts(items);
    } finally {
      if (--this.#callers === 0) for (const t of this.#threads) t.worker.unref();
    }
  }

  async #verdicts(items: readonly VerifyItem[]): Promise<boolean[]> {
    const verdicts: Promise<boolean>[] = [];
    for (const item of items) {
      while (this.#queue.length >= poolQueueItemsMax)
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (slotBytesOf(item) > slotDataBytes || this.#threads.length === 0) verdicts.push(this.#here(item));
      else {
        verdicts.push(new Promise((settle) => this.#queue.push({ item, settle, deaths: 0 })));
        this.#schedule();
      }
    }
    return await Promise.all(verdicts);
  }

  override async close(): Promise<void> {
    await super.close();
    const threads = [...this.#threads];
    // Nothing is under way any more, so whoever does not end when told is ended.
    const timer = setTimeout(() => {
      for (const t of threads) void t.worker.terminate();
    }, closeGraceMs);
    await Promise.all(threads.map((t) => t.exited));
    clearTimeout(timer);
  }

  protected override release(): void {
    this.#closing = true;
    for (const thread of this.#threads) {
      // An exiting process need not wait for threads, but a caller of close does.
      thread.worker.ref();
      thread.slots.closeSoon();
    }
    void this.#inPlace.close();
  }

  #start(): void {
    const memory = new SharedArrayBuffer(slotsBytes);
    const workerData: VerifyWorkerData = { engine: this.name, memory };
    const worker = new Worker(this.#url, { workerData });
    const thread = new PoolThread(worker, memory, (t) => this.#onExit(t));
    worker.on('message', () => this.#onMessage(thread));
    if (this.#callers === 0) worker.unref();
    this.#threads.push(thread);
  }

  #onMessage(thread: PoolThread): void {
    thread.ready = true;
    this.#collect(thread);
    this.#dispatch();
  }

  /** Settles what the thread has finished. */
  #collect(thread: PoolThread): void {
    for (const { done } = thread.slots; thread.read !== done; thread.read = (thread.read + 1) >>> 0) {
      const { verdicts, operations } = thread.slots.result(thread.read);
      this.operationsDone += operations;
      this.#fruitlessStarts = 0;
      thread.batches.shift()!.forEach((job, i) => {
        job.settle(verdicts[i]!);
      });
    }
  }

  #onExit(thread: PoolThread): void {
    this.#threads = this.#threads.filter((t) => t !== thread);
    if (this.#closing) return;
    this.#collect(thread);
    // What it had not finished: once more at the head of the queue, or here when it is the second time.
    for (const job of thread.batches.flat().reverse()) {
      job.deaths++;
      if (job.deaths < 2) this.#queue.unshift(job);
      else void this.#here(job.item).then(job.settle);
    }
    this.#fruitlessStarts++;
    if (this.#fruitlessStarts <= fruitlessStartsMax) this.#start();
    if (this.#threads.length === 0)
      for (const job of this.#queue.splice(0)) void this.#here(job.item).then(job.settle);
    this.#dispatch();
  }

  async #here(item: VerifyItem): Promise<boolean> {
    const before = this.#inPlace.operations;
    const [verdict] = await this.#inPlace.verify([item]);
    this.operationsDone += this.#inPlace.operations - before;
    return verdict === true;
  }

  /** Once per turn, so that what is asked in the same turn goes out together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    // First those that have nothing to do, then further batches for each, so that none waits for us between two.
    for (let load = 0; load < slotCount; load++) {
      const free = this.#threads.filter((t) => t.ready && t.batches.length === load);
      free.forEach((thread, i) => {
        if (this.#queue.length === 0) return;
        // Shared evenly among the idle; behind a running batch only what makes a full one.
        const share = load === 0 ? Math.ceil(this.#queue.length / (free.length - i)) : batchItemsMax;
        if (load === 0 || this.#queue.length >= batchItemsMax) this.#submit(thread, share);
      });
    }
    while (this.#waiting.length > 0 && this.#queue.length < poolQueueItemsMax) this.#waiting.shift()!();
  }

  #submit(thread: PoolThread, share: number): void {
    // Even, because the kernels take two at a time.
    const most = Math.min(batchItemsMax, share + (share % 2));
    let bytes = 0;
    let count = 0;
    while (count < most && count < this.#queue.length) {
      bytes += slotBytesOf(this.#queue[count]!.item);
      if (bytes > slotDataBytes) break;
      count++;
    }
    const batch = this.#queue.splice(0, count);
    thread.batches.push(batch);
    thread.slots.submit(batch.map((job) => job.item));
  }
}

async function firstUsable(names: readonly VerifyEngineName[]): Promise<VerifyEngine> {
  for (const name of names) {
    try {
      return await createVerifyEngine(name);
    } catch {
      // Not here, or not trustworthy here: the next one.
    }
  }
  return await createVerifyEngine('auto');
}

/**
 * A verify engine on threads. Verdicts are those of every engine; {@link VerifyEngine.name} is what the threads use.
 * Where shared memory is missing the same interface works on the calling thread. Rejects with `EngineUnavailable` for an
 * engine that this machine cannot run.
 */
export async function createVerifyPool(options: VerifyPoolOptions = {}): Promise<VerifyEngine> {
  enableRelaxedSimd();
  const wanted = options.engine ?? 'auto';
  const inPlace = wanted === 'auto' ? await firstUsable(poolEngineNames) : await createVerifyEngine(wanted);
  if (globalThis.SharedArrayBuffer === undefined) return inPlace;
  const workers = options.workers ?? Math.max(1, availableParallelism() - 1);
  if (!Number.isInteger(workers) || workers < 1 || workers > 256)
    throw new RangeError(`workers must be a whole number from 1 to 256, not ${workers}`);
  const url = options.workerUrl ?? new URL('./verify-worker.js', import.meta.url);
  return new VerifyPool(inPlace.name, inPlace, workers, url);
}
