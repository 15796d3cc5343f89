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
import { type Batch, type Call, fail, PoolThread, type Stretch, settleAll } from './verify-thread.js';

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

/** Behind a running batch nothing smaller is sent: it would cost its thread more than it keeps it busy. */
const behindItemsMin = 4;

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
 * batches grow with the load by themselves; towards the end of what there is they become small again, so that several
 * threads end together. A thread that dies is replaced. The batch it was at is tried once more, by
 * itself, so that it takes nothing else along should it be the cause; the batches behind it go on as they were.
 */
class ThreadedPool extends BaseEngine implements VerifyPool {
  override readonly name: VerifyEngineName;
  readonly ready: Promise<boolean>;
  readonly #url: URL;
  readonly #inPlace: VerifyEngine;
  readonly #itemsMax: number;
  #threads: PoolThread[] = [];
  readonly #queue: Stretch[] = [];
  #queuedItems = 0;
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
    const queued = this.#again.reduce((sum, b) => sum + b.items, this.#queuedItems);
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
      const call: Call = { items, verdicts, left: items.length, over: false, resolve, reject };
      const here: Stretch[] = [];
      if (this.#threads.length === 0) here.push({ call, from: 0, to: items.length });
      else this.#enqueue(call, here);
      if (here.length > 0) void this.#here(here);
      this.#schedule();
    });
  }

  /** Queues the items of a call; those that no slot has room for go to `here`. */
  #enqueue(call: Call, here: Stretch[]): void {
    const { items } = call;
    let from = 0;
    for (let at = 0; at <= items.length; at++) {
      const isLarge = at < items.length && slotBytesOf(items[at]!) > slotDataBytes;
      if (at < items.length && !isLarge) continue;
      if (at > from) this.#queue.push({ call, from, to: at });
      this.#queuedItems += at - from;
      if (isLarge) here.push({ call, from: at, to: at + 1 });
      from = at + 1;
    }
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
      thread.closeSoon();
    }
    this.#isReady(false);
    void this.#inPlace.close();
  }

  // --- threads --------------------------------------------------------------------------------------------

  #start(): void {
    try {
      const thread = new PoolThread(this.#url, this.name, {
        message: () => this.#onMessage(),
        exit: (t) => this.#onExit(t),
      });
      if (this.#callers === 0) thread.hold(false);
      this.#threads.push(thread);
    } catch {
      // No memory or no thread to be had: those that run go on, and without any the work is done here.
    }
  }

  #onMessage(): void {
    this.#isReady(true);
    // Also of the others: what nobody waited for has not been told.
    for (const t of this.#threads) this.#collect(t);
    this.#dispatch();
  }

  /** Settles what the thread has finished. */
  #collect(thread: PoolThread): void {
    const operations = thread.collect();
    if (operations === null) return;
    this.operationsDone += operations;
    this.#fruitlessStarts = 0;
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
    this.#did.failed += batch.items;
    for (const stretch of batch.stretches)
      fail(stretch, new VerifyFailed('two threads died while they verified this'));
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
    const stretches = [...this.#again.splice(0).flatMap((b) => b.stretches), ...this.#queue.splice(0)];
    this.#queuedItems = 0;
    if (stretches.length > 0) void this.#here(stretches);
  }

  /** On the calling thread. */
  async #here(stretches: readonly Stretch[]): Promise<void> {
    const items = stretches.flatMap(({ call, from, to }) => call.items.slice(from, to));
    this.#did.inPlace += items.length;
    const before = this.#inPlace.operations;
    try {
      const verdicts = await this.#inPlace.verify(items);
      settleAll(stretches, (i) => verdicts[i] === true);
    } catch (error) {
      const why = error instanceof Error ? error : new VerifyFailed(String(error));
      for (const stretch of stretches) fail(stretch, why);
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
    let ready = 0;
    let idle = 0;
    for (const t of this.#threads)
      if (t.ready) {
        ready++;
        if (t.batches.length === 0) idle++;
      }
    // Beside a busy thread half of what is left; of a few items none is kept back for its sake.
    const leastShare = idle < ready ? behindItemsMin : 1;
    // First those that have nothing to do, then further batches for each, so that none waits for us between two.
    for (let load = 0; load < slotCount; load++) {
      let sharers = ready;
      for (const thread of this.#threads) {
        if (this.#queuedItems === 0 && this.#again.length === 0) return;
        if (!thread.ready || thread.batches.length !== load) continue;
        const again = this.#again.shift();
        if (again === undefined) {
          const share =
            load === 0 ? Math.max(leastShare, Math.ceil(this.#queuedItems / sharers)) : this.#behind(ready);
          if (share > 0) this.#submit(thread, this.#next(share));
        } else this.#submit(thread, again);
        if (load === 0) sharers--;
      }
    }
  }

  /** Items to send behind a running batch: so many that enough is left for the others to end at the same time. */
  #behind(threads: number): number {
    if (threads === 1) return this.#queuedItems >= batchItemsMax ? batchItemsMax : 0;
    const share = Math.floor(this.#queuedItems / (2 * threads));
    return share >= behindItemsMin ? share : 0;
  }

  /** The next items of the queue, as many as the share says and a slot holds. */
  #next(share: number): Batch {
    // Even, because the kernels take two at a time.
    const most = Math.min(batchItemsMax, share + (share % 2));
    const stretches: Stretch[] = [];
    let items = 0;
    let bytes = 0;
    let awaited = false;
    while (items < most && this.#queue.length > 0) {
      const head = this.#queue[0]!;
      const { call, from, to } = head;
      let at = call.over ? to : from;
      for (; at < to && items < most; at++) {
        bytes += slotBytesOf(call.items[at]!);
        if (bytes > slotDataBytes) break;
        items++;
      }
      this.#queuedItems -= at - from;
      if (!call.over && at > from) stretches.push({ call, from, to: at });
      if (at === to) {
        this.#queue.shift();
        awaited = true;
        continue;
      }
      head.from = at;
      break;
    }
    return { stretches, items, awaited, deaths: 0 };
  }

  #submit(thread: PoolThread, batch: Batch): void {
    if (batch.items === 0) return;
    this.#did.batches++;
    this.#did.items += batch.items;
    this.#did.largestBatch = Math.max(this.#did.largestBatch, batch.items);
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
