import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { enableRelaxedSimd } from '../../core/node/index.js';
import {
  chooseVerifyEngine,
  createVerifyEngine,
  type EngineChoice,
  type EngineCost,
  EngineUnavailable,
  measureBudgetMs,
  type VerifyEngine,
  type VerifyEngineName,
  type VerifyItem,
} from '../index.js';
import { BaseEngine } from '../verify/base.js';
import type { MeasureWorkerData } from './verify-measure-worker.js';
import { measurePlaces, type PlaceCosts, threadsWin } from './verify-place.js';
import {
  createVerifyPool,
  defaultVerifyThreads,
  threadEngineOf,
  type VerifyPool,
  type VerifyPoolStats,
} from './verify-pool.js';

/** A service that starts has other things to do first than to measure and to start threads. */
const settleAfterMs = 1000;
/** A measuring thread that has not answered by then is given up. */
const measureMsMax = 10_000;

/** Where signatures are verified: on threads of the pool, or where they come in (OpenSSL then uses threads of its own). */
export type VerifierPlace = 'threads' | 'in-place';

/** What verifies now, and why. */
export interface VerifierChoice {
  readonly engine: VerifyEngineName;
  readonly place: VerifierPlace;
  /** Threads of the pool, 0 in place. */
  readonly threads: number;
  /**
   * `starting`: nothing has been measured yet. `set`: the configuration says so. `measured`, `ranked`: see
   * `chooseVerifyEngine`. `fallback`: what was asked for does not work here.
   */
  readonly why: 'starting' | 'set' | 'measured' | 'ranked' | 'fallback';
  /** The same in words, for a person. */
  readonly reason: string;
  /** Engines measured on a thread, where any were. */
  readonly costs: readonly EngineCost[];
  /** Threads against in place, where that was measured. */
  readonly places: PlaceCosts | null;
}

export interface VerifierOptions {
  /** `auto` (default): the fastest on this machine. */
  readonly engine?: VerifyEngineName | 'auto';
  /** Threads of the pool; 0 = none; `auto` (default) by the number of cores. */
  readonly threads?: number | 'auto';
  /** Milliseconds until measuring begins and threads start; default 1000. */
  readonly settleAfterMs?: number;
  /** Milliseconds for measuring engines; 0 = take the ranking. */
  readonly budgetMs?: number;
  /** Told when another engine or place has been taken. */
  readonly onChoice?: (choice: VerifierChoice) => void;
  /** The compiled workers where they do not lie beside this file. */
  readonly workerUrl?: URL;
  readonly measureUrl?: URL;
}

/** A verify engine that finds out by itself what suits the machine. */
export interface Verifier extends VerifyEngine {
  readonly choice: VerifierChoice;
  /** Of the pool; null in place. */
  readonly stats: VerifyPoolStats | null;
  /** Resolves when nothing will change any more. */
  readonly settled: Promise<VerifierChoice>;
}

class SettlingVerifier extends BaseEngine implements Verifier {
  readonly settled: Promise<VerifierChoice>;
  #choice: VerifierChoice;
  #current: VerifyEngine;
  #pool: VerifyPool | null = null;
  #before = 0;
  #stopping = false;
  #stop: (nothing: null) => void = () => undefined;
  readonly #stopped = new Promise<null>((resolve) => {
    this.#stop = resolve;
  });
  readonly #o: VerifierOptions;

  constructor(inPlace: VerifyEngine, choice: VerifierChoice, threads: number, o: VerifierOptions) {
    super();
    this.#current = inPlace;
    this.#choice = choice;
    this.#o = o;
    this.settled =
      threads === 0
        ? Promise.resolve(choice)
        : this.#settle(threads).catch((error: unknown) =>
            this.#stay('fallback', `no threads: ${error instanceof Error ? error.message : String(error)}`),
          );
  }

  override get name(): VerifyEngineName {
    return this.#current.name;
  }

  override get operations(): number {
    return this.#before + this.#current.operations;
  }

  get choice(): VerifierChoice {
    return { ...this.#choice, threads: this.#pool?.stats.threads ?? 0 };
  }

  get stats(): VerifyPoolStats | null {
    return this.#pool?.stats ?? null;
  }

  protected override run(items: readonly VerifyItem[]): Promise<boolean[]> {
    return this.#current.verify(items);
  }

  override async close(): Promise<void> {
    this.#stopping = true;
    this.#stop(null);
    await super.close();
    await this.settled;
    await this.#current.close();
  }

  protected override release(): void {
    // The current engine is closed in close(), once nothing can replace it any more.
  }

  async #settle(threads: number): Promise<VerifierChoice> {
    await this.#pause(this.#o.settleAfterMs ?? settleAfterMs);
    if (this.#stopping) return this.#choice;
    const url = this.#o.workerUrl ?? new URL('./verify-worker.js', import.meta.url);
    if (globalThis.SharedArrayBuffer === undefined) return this.#stay('fallback', 'no shared memory here');
    if (url.protocol === 'file:' && !existsSync(url))
      return this.#stay('fallback', 'the code of the threads is not there');
    const wanted = this.#o.engine ?? 'auto';
    const found = wanted === 'auto' ? await Promise.race([this.#measure(), this.#stopped]) : null;
    if (this.#stopping) return this.#choice;
    const engine = found?.engine ?? threadEngineOf(wanted as VerifyEngineName);
    const pool = await createVerifyPool({ engine, workers: threads, workerUrl: url });
    if (this.#stopping || !(await pool.ready)) {
      await pool.close();
      return this.#stopping ? this.#choice : this.#stay('fallback', 'no thread could be started');
    }
    const places = found === null ? null : await measurePlaces(pool, this.#current);
    if (this.#stopping || (places !== null && !threadsWin(places))) {
      await pool.close();
      if (this.#stopping) return this.#choice;
      return this.#stay('measured', `in place is cheaper: ${placesText(places!)}`, found, places);
    }
    return this.#take(pool, found, places);
  }

  /** Waits, without keeping the process alive, and no longer than until the verifier is closed. */
  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms).unref();
    });
    await Promise.race([over, this.#stopped]);
    clearTimeout(timer);
  }

  #measure(): Promise<EngineChoice> {
    const budgetMs = this.#o.budgetMs ?? measureBudgetMs;
    return budgetMs <= 0 ? chooseVerifyEngine({ budgetMs }) : measuredOnThread(this.#o, budgetMs);
  }

  #take(pool: VerifyPool, found: EngineChoice | null, places: PlaceCosts | null): VerifierChoice {
    const before = this.#current;
    this.#before += before.operations;
    this.#current = pool;
    this.#pool = pool;
    // What it still has in hand is finished first.
    void before.close();
    const why = found === null ? 'set' : found.why;
    this.#choice = {
      engine: pool.name,
      place: 'threads',
      threads: pool.stats.threads,
      why,
      reason: found === null ? 'set in the configuration' : reasonOf(found, places),
      costs: found?.costs ?? [],
      places,
    };
    this.#o.onChoice?.(this.choice);
    return this.choice;
  }

  #stay(
    why: VerifierChoice['why'],
    reason: string,
    found: EngineChoice | null = null,
    places: PlaceCosts | null = null,
  ): VerifierChoice {
    this.#choice = { ...this.#choice, why, reason, costs: found?.costs ?? [], places };
    if (!this.#stopping) this.#o.onChoice?.(this.choice);
    return this.choice;
  }
}

/** Asked of the first thread that measures; every verifier of the process gets the same answer. */
let measured: Promise<EngineChoice> | null = null;

function measuredOnThread(o: VerifierOptions, budgetMs: number): Promise<EngineChoice> {
  const url = o.measureUrl ?? new URL('./verify-measure-worker.js', import.meta.url);
  if (o.measureUrl !== undefined || o.budgetMs !== undefined) return measureOnThread(url, budgetMs);
  measured ??= measureOnThread(url, budgetMs);
  return measured;
}

/** The choice of a thread that lives only for it; the ranking when it dies or does not answer. */
function measureOnThread(url: URL, budgetMs: number): Promise<EngineChoice> {
  const workerData: MeasureWorkerData = { budgetMs };
  return new Promise<EngineChoice>((resolve, reject) => {
    const worker = new Worker(url, { workerData });
    worker.unref();
    const timer = setTimeout(() => void worker.terminate(), measureMsMax).unref();
    worker.once('message', (choice: EngineChoice) => {
      resolve(choice);
    });
    worker.once('error', () => undefined);
    worker.once('exit', () => {
      clearTimeout(timer);
      reject(new EngineUnavailable('auto', 'missing'));
    });
  }).catch(() => chooseVerifyEngine({ budgetMs: 0 }));
}

const micros = (n: number | null): string => (n === null ? '?' : `${n.toFixed(0)} µs`);

function placesText(p: PlaceCosts): string {
  return `${micros(p.inPlace)} against ${micros(p.threads)} on threads`;
}

/** One line for log and status. */
function reasonOf(found: EngineChoice, places: PlaceCosts | null): string {
  if (found.why === 'ranked')
    return found.problem === 'clock'
      ? 'the clock stands still, ranking taken'
      : 'not measured, ranking taken';
  const others = found.costs
    .filter((c) => c.microseconds !== null)
    .sort((a, b) => a.microseconds! - b.microseconds!)
    .map((c) => `${c.engine} ${micros(c.microseconds)}`);
  const where = places?.threads == null ? '' : `; in place ${placesText(places)}`;
  return `measured per RSA-4096 signature: ${others.join(', ')}${where}`;
}

/** The engine in place until the threads are there: as asked for, or what holds up the calling thread least. */
async function startingEngine(wanted: VerifyEngineName | 'auto'): Promise<[VerifyEngine, boolean]> {
  try {
    return [await createVerifyEngine(wanted), false];
  } catch (error) {
    if (!(error instanceof EngineUnavailable)) throw error;
    return [await createVerifyEngine('auto'), true];
  }
}

/**
 * A verify engine for a service. It works at once, in place; a second later, when the service has started, engines are
 * measured on a thread of their own and the pool takes over with the fastest, or the place stays where that is cheaper.
 * An engine that does not work here is replaced by OpenSSL, which `choice` and `onChoice` tell. With fixed engine and
 * threads nothing is measured.
 */
export async function openVerifier(options: VerifierOptions = {}): Promise<Verifier> {
  enableRelaxedSimd();
  const wanted = options.engine ?? 'auto';
  const threads = options.threads ?? 'auto';
  const [inPlace, isFallback] = await startingEngine(wanted);
  const choice: VerifierChoice = {
    engine: inPlace.name,
    place: 'in-place',
    threads: 0,
    why: isFallback ? 'fallback' : threads === 0 ? 'set' : 'starting',
    reason: isFallback
      ? `${wanted} does not work here`
      : threads === 0
        ? 'no threads are wanted'
        : 'just started',
    costs: [],
    places: null,
  };
  if (isFallback) options.onChoice?.(choice);
  const count = isFallback ? 0 : threads === 'auto' ? defaultVerifyThreads() : threads;
  return new SettlingVerifier(inPlace, choice, count, options);
}
