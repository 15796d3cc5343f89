import * as nodeCrypto from 'node:crypto';
import { createHash, randomBytes } from 'node:crypto';
import { availableParallelism, cpus } from 'node:os';
import { loadCoreSync } from '../../core/index.js';
import {
  createVerifyEngine,
  EngineUnavailable,
  measureItems,
  sha3_512,
  type VerifyEngine,
  type VerifyEngineName,
} from '../../identity/index.js';
import { createVerifyPool, defaultVerifyThreads, threadEngineOf } from '../../identity/node/index.js';

/** Values of the setting `verifyEngine` that name an engine. */
export const TUNED_ENGINES = [
  'wasm-relaxed',
  'wasm-simd',
  'wasm-scalar',
  'native',
  'webcrypto',
  'forge',
] as const satisfies readonly VerifyEngineName[];
export type TunedEngine = (typeof TUNED_ENGINES)[number];

export const RSA_BITS = [2048, 4096] as const;
export const BATCH_SIZES = [1, 8, 32] as const;
/** One block of SHA3-512 is 72 bytes, of which one is padding: both sides of the first two limits are measured. */
export const HASH_BYTES = [1, 45, 71, 72, 143, 144, 600, 2048, 8192, 65_536] as const;
export const HASHERS = ['createHash', 'crypto.hash', 'core', 'auto'] as const;
export type Hasher = (typeof HASHERS)[number];

/** Measured this often; the least disturbed counts. */
const rounds = 3;
/** Items of one call of the pool while threads are compared: many batches for each. */
const poolItems = 256;
/** Lone items whose waits are measured. */
const loneItems = 40;
/** Another thread that adds less than this to the rate is not worth its memory. */
const threadGainMin = 1.1;

/** Microseconds of CPU time per verification, keys not seen before. */
export interface RsaCell {
  readonly bits: number;
  readonly batch: number;
  readonly microseconds: number;
}

export interface EngineRow {
  readonly engine: TunedEngine;
  /** Why it cannot be used here, else null. */
  readonly absent: 'missing' | 'self-test' | null;
  readonly cells: readonly RsaCell[];
}

export interface ThreadRow {
  readonly threads: number;
  /** RSA-4096 verifications per second of wall time. */
  readonly perSecond: number;
  /** Milliseconds from asking about a lone signature to its verdict. */
  readonly loneMsP50: number;
  readonly loneMsP99: number;
}

export interface HashRow {
  readonly bytes: number;
  /** Nanoseconds of CPU time per digest; null where the runtime has none. */
  readonly nanoseconds: Readonly<Record<Hasher, number | null>>;
}

export interface TuneReport {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly node: string;
    readonly platform: string;
  };
  readonly seconds: number;
  readonly engines: readonly EngineRow[];
  readonly threads: readonly ThreadRow[];
  /** Why no threads were measured, else null. */
  readonly threadsAbsent: string | null;
  readonly hashes: readonly HashRow[];
  /** What suits a relay on this machine. */
  readonly choice: { readonly verifyEngine: TunedEngine; readonly verifyThreads: number };
}

export interface TuneOptions {
  /** Time for everything, in seconds; each figure gets its share. */
  readonly seconds: number;
  /** Threads tried, up to this many. */
  readonly threadsMax?: number;
  readonly progress?: (text: string) => void;
  /** The compiled verify-worker.js where it does not lie in its place. */
  readonly workerUrl?: URL;
}

const cpuMicroseconds = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** CPU microseconds per operation: `work` is repeated for the time and says how many operations it did, preparing apart. */
async function cost(
  ms: number,
  prepare: () => unknown,
  work: (prepared: unknown) => Promise<number> | number,
): Promise<number> {
  const until = performance.now() + ms;
  let used = 0;
  let operations = 0;
  do {
    const prepared = prepare();
    const start = cpuMicroseconds();
    operations += await work(prepared);
    used += cpuMicroseconds() - start;
  } while (performance.now() < until);
  return used / operations;
}

async function openEngines(): Promise<Map<TunedEngine, VerifyEngine | EngineUnavailable>> {
  const out = new Map<TunedEngine, VerifyEngine | EngineUnavailable>();
  for (const name of TUNED_ENGINES)
    try {
      // OpenSSL on the calling thread, as on a thread of the pool; the detour over libuv is no other arithmetic.
      out.set(name, await createVerifyEngine(threadEngineOf(name)));
    } catch (error) {
      if (!(error instanceof EngineUnavailable)) throw error;
      out.set(name, error);
    }
  return out;
}

async function measureRsa(ms: number, progress: (text: string) => void): Promise<EngineRow[]> {
  const engines = await openEngines();
  const cells = new Map<TunedEngine, RsaCell[]>(TUNED_ENGINES.map((n) => [n, []]));
  const here = [...engines].filter(
    (e): e is [TunedEngine, VerifyEngine] => !(e[1] instanceof EngineUnavailable),
  );
  const slice = ms / (RSA_BITS.length * BATCH_SIZES.length * here.length * (rounds + 1));
  for (const bits of RSA_BITS)
    for (const batch of BATCH_SIZES) {
      const least = new Map<TunedEngine, number>();
      const slow = new Set<TunedEngine>();
      // Beside each other, so that what the machine does meanwhile falls on all; the first round warms up.
      for (let round = 0; round <= rounds; round++)
        for (const [name, engine] of here) {
          if (slow.has(name)) continue;
          progress(`RSA-${bits}, batches of ${batch}: ${name}`);
          const start = performance.now();
          const us = await cost(
            slice,
            () => measureItems(batch, bits),
            async (items) => (await engine.verify(items as ReturnType<typeof measureItems>)).length,
          );
          // One call took all rounds' time: it is long enough to be exact, and the others want theirs.
          if (performance.now() - start > rounds * slice) slow.add(name);
          if (round > 0 || slow.has(name))
            least.set(name, Math.min(us, least.get(name) ?? Number.POSITIVE_INFINITY));
        }
      for (const [name, microseconds] of least) cells.get(name)!.push({ bits, batch, microseconds });
    }
  for (const [, engine] of here) await engine.close();
  return TUNED_ENGINES.map((engine) => {
    const made = engines.get(engine);
    return {
      engine,
      absent: made instanceof EngineUnavailable ? made.reason : null,
      cells: cells.get(engine)!,
    };
  });
}

/** The least microseconds with full batches of the size the protocol uses. */
export function fastestEngine(rows: readonly EngineRow[], bits = 4096, batch = 32): TunedEngine {
  let best: { engine: TunedEngine; microseconds: number } | null = null;
  for (const { engine, cells } of rows) {
    const cell = cells.find((c) => c.bits === bits && c.batch === batch);
    if (cell !== undefined && (best === null || cell.microseconds < best.microseconds))
      best = { engine, microseconds: cell.microseconds };
  }
  if (best === null) throw new EngineUnavailable('auto', 'missing');
  return best.engine;
}

const quantile = (values: number[], p: number): number =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(p * values.length))]!;

async function measureThreads(
  engine: TunedEngine,
  o: TuneOptions,
  ms: number,
  progress: (text: string) => void,
): Promise<{ rows: ThreadRow[]; absent: string | null }> {
  const rows: ThreadRow[] = [];
  const most = o.threadsMax ?? Math.min(4, availableParallelism());
  for (let threads = 1; threads <= most; threads++) {
    progress(`${threads} ${threads === 1 ? 'thread' : 'threads'}, ${engine}`);
    const url = o.workerUrl === undefined ? {} : { workerUrl: o.workerUrl };
    const pool = await createVerifyPool({ engine, workers: threads, ...url });
    try {
      if (!(await pool.ready)) return { rows, absent: 'no thread could be started' };
      await pool.verify(measureItems(poolItems));
      let perSecond = 0;
      for (const end = performance.now() + ms / most; performance.now() < end || perSecond === 0; ) {
        const items = measureItems(poolItems);
        const start = performance.now();
        await pool.verify(items);
        perSecond = Math.max(perSecond, (poolItems * 1000) / (performance.now() - start));
      }
      const waits: number[] = [];
      for (let i = 0; i < loneItems; i++) {
        const item = measureItems(1);
        const start = performance.now();
        await pool.verify(item);
        waits.push(performance.now() - start);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      rows.push({ threads, perSecond, loneMsP50: quantile(waits, 0.5), loneMsP99: quantile(waits, 0.99) });
    } finally {
      await pool.close();
    }
  }
  return { rows, absent: null };
}

/** As many threads as the machine gives a relay, fewer where the last ones add nothing. */
export function suitableThreads(rows: readonly ThreadRow[], most = defaultVerifyThreads()): number {
  let threads = 1;
  for (const row of rows) {
    if (row.threads > most) break;
    const before = rows.find((r) => r.threads === threads);
    if (before !== undefined && row.perSecond >= threadGainMin * before.perSecond) threads = row.threads;
  }
  return threads;
}

type Hash = (data: Uint8Array) => unknown;

function hashers(): Readonly<Record<Hasher, Hash | null>> {
  const core = loadCoreSync();
  const { hash } = nodeCrypto;
  return {
    createHash: (data) => createHash('sha3-512').update(data).digest(),
    // Since Node 20.12.
    'crypto.hash': typeof hash === 'function' ? (data) => hash('sha3-512', data, 'buffer') : null,
    core: (data) => core.sha3_512(data),
    auto: sha3_512,
  };
}

async function measureHashes(ms: number, progress: (text: string) => void): Promise<HashRow[]> {
  const all = hashers();
  const slice = ms / (HASH_BYTES.length * HASHERS.length * (rounds + 1));
  const out: HashRow[] = [];
  for (const bytes of HASH_BYTES) {
    progress(`SHA3-512 of ${bytes} bytes`);
    const data = randomBytes(bytes);
    const repeats = Math.max(1, Math.min(512, Math.floor(65_536 / bytes)));
    const nanoseconds: Record<Hasher, number | null> = {
      createHash: null,
      'crypto.hash': null,
      core: null,
      auto: null,
    };
    for (let round = 0; round <= rounds; round++)
      for (const name of HASHERS) {
        const hash = all[name];
        if (hash === null) continue;
        const us = await cost(
          slice,
          () => null,
          () => {
            for (let i = 0; i < repeats; i++) hash(data);
            return repeats;
          },
        );
        if (round > 0) nanoseconds[name] = Math.min(us * 1000, nanoseconds[name] ?? Number.POSITIVE_INFINITY);
      }
    out.push({ bytes, nanoseconds });
  }
  return out;
}

/** Measures everything that a choice depends on. */
export async function tune(o: TuneOptions): Promise<TuneReport> {
  // Threads that are only starting keep no process alive.
  const alive = setInterval(() => undefined, 1 << 30);
  try {
    return await measureAll(o);
  } finally {
    clearInterval(alive);
  }
}

async function measureAll(o: TuneOptions): Promise<TuneReport> {
  const progress = o.progress ?? (() => undefined);
  const ms = o.seconds * 1000;
  // Most figures by far are of engines.
  const engines = await measureRsa(0.6 * ms, progress);
  const verifyEngine = fastestEngine(engines);
  const { rows, absent } = await measureThreads(verifyEngine, o, 0.15 * ms, progress);
  const hashes = await measureHashes(0.25 * ms, progress);
  return {
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
    },
    seconds: o.seconds,
    engines,
    threads: rows,
    threadsAbsent: absent,
    hashes,
    choice: { verifyEngine, verifyThreads: absent === null ? suitableThreads(rows) : 0 },
  };
}
