import { availableParallelism } from 'node:os';
import { enableRelaxedSimd } from '../../core/node/index.js';
import {
  createVerifyEngine,
  threadEngineNames,
  VerifyBusy,
  type VerifyEngine,
  type VerifyEngineName,
  VerifyFailed,
  type VerifyItem,
} from '../index.js';
import { BaseEngine } from '../verify/base.js';
import { batchItemsMax, slotBytesOf, slotCount, slotDataBytes } from './verify-slots.js';
import { type Batch, type Call, fail, type Job, PoolThread, settle } from './verify-thread.js';

/** Items taken and not yet answered. About half a second of one thread with 4096-bit keys; what comes beyond is refused. */
export const poolQueueItemsMax = 8192;
/** Threads that die so often in a row without finishing a batch are not replaced at once any more. */
const fruitlessStartsMax = 3;
/** Then one is tried again after this long. */
const restartAfterMs = 60_000;
/** A batch takes milliseconds: a thread that sits on one for so long hangs, and is replaced. */
const batchMsMax = 10_000;
/** How long a thread may take to end when told to. */
const closeGraceMs = 1000;
/** More threads verify more than one relay's main thread can take off the wire. */
const defaultThreadsMax = 4;

/** Threads that suit this machine: one core is left to whoever feeds them, where there is more than one. */
export function defaultVerifyThreads(cores: number = availableParallelism()): number {
  return Math.min(defaultThreadsMax, Math.max(1, cores - 1));
}

export interface VerifyPoolOptions {
  /** What each thread verifies with; `auto` (default) takes the first of `threadEngineNames` that works. */
  readonly engine?: VerifyEngineName | 'auto';
  /** Threads, default {@link defaultVerifyThreads}; 0 = none, the same interface on the calling thread. */
  readonly workers?: number;
  /** Items taken at once, default {@link poolQueueItemsMax}. */
  readonly queueItemsMax?: number;
  /** The compiled verify-worker.js where it does not lie beside this file, as in a bundle. */
  readonly workerUrl?: URL;
}

/** What a pool has done and holds, for whoever watches it. */
export interface VerifyPoolStats {
  readonly threads: number;
  /** Items that wait for a thread. */
  readonly queued: number;
  /** Items taken and not answered: those that wait, and those that are being verified. */
  readonly pending: number;
  /** Batches given to threads, and items in them. */
  readonly batches: number;
  readonly items: number;
  readonly largestBatch: number;
  /** Batches given to a second thread because the first died with them. */
  readonly retried: number;
  /** Threads started in place of dead ones. */
  readonly replaced: number;
  /** Items not taken because the queue was full. */
  readonly refused: number;
  /** Items whose threads died twice. */
  readonly failed: number;
  /** Items judged without a thread: too large for a slot, or no thread there. */
  readonly inPlace: number;
}

/**
 * Verification on threads, as a {@link VerifyEngine}; {@link VerifyEngine.name} is what the threads use. Beside
 * `EngineClosed`, `verify` rejects with `VerifyBusy` when the queue is full (the items are taken as a whole or not at
 * all) and with `VerifyFailed` when threads died twice with one of its items.
 */
export interface VerifyPool extends VerifyEngine {
  readonly stats: VerifyPoolStats;
  /** True once a thread is ready to work; false when none could be started. */
  readonly ready: Promise<boolean>;
}

/**
 * Threads fed in batches through shared memory. A lone item goes out at once; while threads are busy items gather, so
 * batches grow with the load by themselves. A thread that dies is replaced. The batch it was at is tried once more, by
 * itself, so that it takes nothing else along should it be the cause; the batches behind it go on as they were.
 */
class ThreadedPool extends BaseEngine implements VerifyPool {
  override readonly name: VerifyEngineName;
  readonly ready: Promise<boolean>;
  readonly #url: URL;
  readonly #inPlace: VerifyEngine;
  readonly #itemsMax: number;
  #threads: PoolThread[] = [];
  readonly #queue: Job[] = [];
  /** Batches that go out as they are, before anything else. */
  readonly #again: Batch[] = [];
  #pending = 0;
  #scheduled = false;
  #callers = 0;
  #closing = false;
  #fruitlessStarts = 0;
  #restart: NodeJS.Timeout | null = null;
  #watchdog: NodeJS.Timeout | null = null;
  #isReady: (ready: boolean) => void = () => undefined;
  readonly #did = {
    batches: 0,
    items: 0,
    largestBatch: 0,
    retried: 0,
    replaced: 0,
    refused: 0,
    failed: 0,
    inPlace: 0,
  };

  constructor(
    name: VerifyEngineName,
    inPlace: VerifyEngine,
    workers: number,
    url: URL,
    o: VerifyPoolOptions,
  ) {
    super();
    this.name = name;
    this.#inPlace = inPlace;
    this.#url = url;
    this.#itemsMax = o.queueItemsMax ?? poolQueueItemsMax;
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    for (let i = 0; i < workers; i++) this.#start();
    if (this.#threads.length === 0) this.#isReady(false);
  }

  get stats(): VerifyPoolStats {
    const queued = this.#queue.length + this.#again.reduce((sum, b) => sum + b.jobs.length, 0);
    return { threads: this.#threads.length, queued, pending: this.#pending, ...this.#did };
  }

  protected override async run(items: readonly VerifyItem[]): Promise<boolean[]> {
    if (items.length === 0) return [];
    if (this.#pending + items.length > this.#itemsMax) {
      this.#did.refused += items.length;
      throw new VerifyBusy(this.#itemsMax);
    }
    this.#pending += items.length;
    // Threads keep the process alive exactly while somebody waits for a verdict.
    if (this.#callers++ === 0) for (const t of this.#threads) t.hold(true);
    try {
      return await this.#verdicts(items);
    } finally {
      this.#pending -= items.length;
      if (--this.#callers === 0) for (const t of this.#threads) t.hold(false);
    }
  }

  #verdicts(items: readonly VerifyItem[]): Promise<boolean[]> {
    return new Promise((resolve, reject) => {
      const verdicts = new Array<boolean>(items.length).fill(false);
      const call: Call = { verdicts, left: items.length, over: false, resolve, reject };
      const here: Job[] = [];
      items.forEach((item, at) => {
        const job = { call, at, item };
        if (this.#threads.length === 0 || slotBytesOf(item) > slotDataBytes) here.push(job);
        else this.#queue.push(job);
      });
      if (here.length > 0) void this.#here(here);
      this.#schedule();
    });
  }

  override async close(): Promise<void> {
    await super.close();
    const threads = [...this.#threads];
    // Nothing is under way any more, so whoever does not end when told is ended.
    const timer = setTimeout(() => {
      for (const t of threads) t.kill();
    }, closeGraceMs);
    await Promise.all(threads.map((t) => t.exited));
    clearTimeout(timer);
  }

  protected override release(): void {
    this.#closing = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#watchdog !== null) clearTimeout(this.#watchdog);
    for (const thread of this.#threads) {
      // An exiting process need not wait for threads, but a caller of close does.
      thread.hold(true);
      thread.slots.closeSoon();
    }
    this.#isReady(false);
    void this.#inPlace.close();
  }

  // --- threads --------------------------------------------------------------------------------------------

  #start(): void {
    try {
      const thread = new PoolThread(this.#url, this.name, {
        message: (t) => this.#onMessage(t),
        exit: (t) => this.#onExit(t),
      });
      if (this.#callers === 0) thread.hold(false);
      this.#threads.push(thread);
    } catch {
      // No memory or no thread to be had: those that run go on, and without any the work is done here.
    }
  }

  #onMessage(thread: PoolThread): void {
    this.#isReady(true);
    this.#collect(thread);
    this.#dispatch();
  }

  /** Settles what the thread has finished. */
  #collect(thread: PoolThread): void {
    for (const { done } = thread.slots; thread.read !== done; thread.read = (thread.read + 1) >>> 0) {
      const { verdicts, operations } = thread.slots.result(thread.read);
      this.operationsDone += operations;
      this.#fruitlessStarts = 0;
      thread.headSinceMs = performance.now();
      thread.batches.shift()!.jobs.forEach((job, i) => {
        settle(job, verdicts[i]!);
      });
    }
  }

  #onExit(thread: PoolThread): void {
    this.#threads = this.#threads.filter((t) => t !== thread);
    if (this.#closing) return;
    this.#collect(thread);
    // In order: the batch it died with, then those it had not begun.
    const [head, ...behind] = thread.batches;
    this.#again.unshift(...behind);
    if (head !== undefined) this.#diedWith(head);
    if (++this.#fruitlessStarts <= fruitlessStartsMax) {
      this.#start();
      this.#did.replaced++;
    } else this.#restartLater();
    if (this.#threads.length === 0) this.#allHere();
    this.#dispatch();
  }

  #diedWith(batch: Batch): void {
    batch.deaths++;
    if (batch.deaths < 2) {
      this.#did.retried++;
      this.#again.unshift(batch);
      return;
    }
    this.#did.failed += batch.jobs.length;
    for (const job of batch.jobs) fail(job, new VerifyFailed('two threads died while they verified this'));
  }

  /** Threads that keep dying may have had a passing reason: one is tried again later. */
  #restartLater(): void {
    if (this.#restart !== null || this.#threads.length > 0) return;
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.#did.replaced++;
      this.#start();
    }, restartAfterMs).unref();
  }

  #allHere(): void {
    this.#isReady(false);
    const jobs = [...this.#again.splice(0).flatMap((b) => b.jobs), ...this.#queue.splice(0)];
    if (jobs.length > 0) void this.#here(jobs);
  }

  /** On the calling thread. */
  async #here(jobs: readonly Job[]): Promise<void> {
    this.#did.inPlace += jobs.length;
    const before = this.#inPlace.operations;
    try {
      const verdicts = await this.#inPlace.verify(jobs.map((job) => job.item));
      jobs.forEach((job, i) => {
        settle(job, verdicts[i] === true);
      });
    } catch (error) {
      const why = error instanceof Error ? error : new VerifyFailed(String(error));
      for (const job of jobs) fail(job, why);
    } finally {
      this.operationsDone += this.#inPlace.operations - before;
    }
  }

  // --- batches --------------------------------------------------------------------------------------------

  /** Once per turn, so that what is asked in the same turn goes out together. */
  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0) return;
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
        const again = this.#again.shift();
        if (again !== undefined) {
          this.#submit(thread, again);
          return;
        }
        if (this.#queue.length === 0) return;
        // Shared evenly among the idle; behind a running batch only what makes a full one.
        const share = load === 0 ? Math.ceil(this.#queue.length / (free.length - i)) : batchItemsMax;
        if (load > 0 && this.#queue.length < batchItemsMax) return;
        const batch = this.#next(share);
        if (batch.jobs.length > 0) this.#submit(thread, batch);
      });
    }
  }

  /** The next items of the queue, as many as the share says and a slot holds. */
  #next(share: number): Batch {
    // Even, because the kernels take two at a time.
    const most = Math.min(batchItemsMax, share + (share % 2));
    const jobs: Job[] = [];
    let bytes = 0;
    let taken = 0;
    for (; jobs.length < most && taken < this.#queue.length; taken++) {
      const job = this.#queue[taken]!;
      if (job.call.over) continue;
      bytes += slotBytesOf(job.item);
      if (bytes > slotDataBytes) break;
      jobs.push(job);
    }
    this.#queue.splice(0, taken);
    return { jobs, deaths: 0 };
  }

  #submit(thread: PoolThread, batch: Batch): void {
    const items = batch.jobs.length;
    this.#did.batches++;
    this.#did.items += items;
    this.#did.largestBatch = Math.max(this.#did.largestBatch, items);
    thread.submit(batch);
    this.#watch();
  }

  /** While batches are under way somebody looks after threads that hang; an idle pool has no timer. */
  #watch(): void {
    if (this.#watchdog !== null) return;
    this.#watchdog = setTimeout(() => {
      this.#watchdog = null;
      const now = performance.now();
      for (const t of this.#threads) {
        this.#collect(t);
        if (t.batches.length > 0 && now - t.headSinceMs > batchMsMax) t.kill();
      }
      if (this.#threads.some((t) => t.batches.length > 0)) this.#watch();
    }, batchMsMax / 4).unref();
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

/** A thread has nothing else to do than to wait for its verdict, so OpenSSL runs on it and not on yet another one. */
export function threadEngineOf(name: VerifyEngineName): VerifyEngineName {
  return name === 'native' ? 'native-sync' : name;
}

/**
 * A verify engine on threads. Verdicts are those of every engine. Where shared memory or threads are missing the same
 * interface works on the calling thread. Rejects with `EngineUnavailable` for an engine that this machine cannot run,
 * and with RangeError for a number of threads that makes no sense.
 */
export async function createVerifyPool(options: VerifyPoolOptions = {}): Promise<VerifyPool> {
  enableRelaxedSimd();
  const workers = options.workers ?? defaultVerifyThreads();
  if (!Number.isInteger(workers) || workers < 0 || workers > 256)
    throw new RangeError(`workers must be a whole number from 0 to 256, not ${workers}`);
  const wanted = options.engine ?? 'auto';
  const found = await (wanted === 'auto'
    ? firstUsable(threadEngineNames)
    : createVerifyEngine(threadEngineOf(wanted)));
  const threads = globalThis.SharedArrayBuffer === undefined ? 0 : workers;
  const url = options.workerUrl ?? new URL('./verify-worker.js', import.meta.url);
  return new ThreadedPool(found.name, await inPlaceOf(found, threads), threads, url, options);
}

/** What does the work that threads cannot: the engine that holds up the calling thread least. Without threads, the one asked for. */
async function inPlaceOf(found: VerifyEngine, threads: number): Promise<VerifyEngine> {
  if (threads === 0) return found;
  await found.close();
  return await createVerifyEngine('auto');
}
