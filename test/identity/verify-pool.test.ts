import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  EngineClosed,
  EngineUnavailable,
  threadEngineNames,
  VerifyBusy,
  VerifyFailed,
  type VerifyItem,
} from '../../src/identity/index.js';
import {
  createVerifyPool,
  defaultVerifyThreads,
  poolQueueItemsMax,
  type VerifyPool,
} from '../../src/identity/node/index.js';
import { selfTestItems } from '../../src/identity/verify/self-test.js';
import { bundled, compiledWorker } from '../support/compiled.js';
import { edges } from './edges.js';

let folder = '';
let workerUrl: URL;

const script = (name: string, text: string): URL => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return pathToFileURL(path);
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verify-pool-'));
  workerUrl = await compiledWorker(folder, 'verify-worker');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const items = selfTestItems();
const verdicts = items.map((t) => t.valid);
const repeated = (times: number): VerifyItem[] => Array.from({ length: times }, () => items).flat();

async function use(pool: Promise<VerifyPool>, f: (pool: VerifyPool) => Promise<void>): Promise<void> {
  const made = await pool;
  try {
    await f(made);
  } finally {
    await made.close();
  }
}

describe('verify pool', () => {
  it.each(threadEngineNames)('gives the right verdict on every edge, %s', (engine) =>
    use(createVerifyPool({ engine, workers: 1, workerUrl }), async (pool) => {
      expect(pool.name).toBe(engine);
      const list = await edges();
      expect(await pool.verify(list)).toEqual(list.map((e) => e.valid));
      // An engine may find a key unusable that passed the cheap checks.
      const most = list.reduce((sum, e) => sum + e.cost, 0);
      expect(pool.operations).toBeGreaterThan(list.filter((e) => e.valid).length);
      expect(pool.operations).toBeLessThanOrEqual(most);
    }),
  );

  it('keeps the order over many batches, threads and callers', () =>
    use(createVerifyPool({ workers: 2, workerUrl }), async (pool) => {
      const calls = Array.from({ length: 20 }, (_, i) => pool.verify(repeated(1 + (i % 7) * 5)));
      const answers = await Promise.all(calls);
      answers.forEach((answer, i) => {
        const times = 1 + (i % 7) * 5;
        expect(answer).toEqual(Array.from({ length: times }, () => verdicts).flat());
      });
      expect(pool.operations).toBe(answers.flat().length);
    }));

  it('takes messages that no slot has room for, and empty batches', () =>
    use(createVerifyPool({ workers: 1, workerUrl }), async (pool) => {
      expect(await pool.verify([])).toEqual([]);
      const huge = { ...items[0]!, message: new Uint8Array(300_000) };
      const large = { ...items[0]!, message: new Uint8Array(200_000) };
      expect(await pool.verify([huge, items[0]!, large, large, items[0]!])).toEqual([
        false,
        true,
        false,
        false,
        true,
      ]);
    }));

  /** A thread that takes the first `times` batches it sees, over all threads of the test, to the grave. */
  const deadly = (name: string, times: number): URL => {
    const flag = (i: number): string => JSON.stringify(join(folder, `${name}-${i}`));
    return script(
      `${name}.mjs`,
      `import { existsSync, writeFileSync } from 'node:fs';
       import { parentPort, workerData } from 'node:worker_threads';
       const flag = [${Array.from({ length: times }, (_, i) => flag(i)).join()}].find((f) => !existsSync(f));
       if (flag === undefined) await import('./verify-worker.mjs');
       else {
         parentPort.postMessage('ready');
         const control = new Int32Array(workerData.memory);
         while (Atomics.load(control, 0) === 0) Atomics.wait(control, 0, 0, 5);
         // In the middle of the batch: it has been taken, no verdict is there.
         writeFileSync(flag, '');
         process.exit(3);
       }`,
    );
  };

  it('judges what a thread died with once more on another', () =>
    use(createVerifyPool({ workers: 1, workerUrl: deadly('once', 1) }), async (pool) => {
      expect(await pool.verify(repeated(20))).toEqual(Array.from({ length: 20 }, () => verdicts).flat());
      expect(pool.operations).toBe(80);
      expect(pool.stats).toMatchObject({
        threads: 1,
        retried: 1,
        replaced: 1,
        failed: 0,
        pending: 0,
        queued: 0,
      });
    }));

  it('a batch that two threads died with fails as such, and is no invalid signature; others go on', () =>
    use(createVerifyPool({ workers: 1, workerUrl: deadly('twice', 2) }), async (pool) => {
      const first = pool.verify(items);
      // Queued while the first batch is under way, so it is not part of it.
      await pool.ready;
      await new Promise((resolve) => setTimeout(resolve, 0));
      const second = pool.verify(repeated(3));
      await expect(first).rejects.toBeInstanceOf(VerifyFailed);
      expect(await second).toEqual(Array.from({ length: 3 }, () => verdicts).flat());
      expect(pool.stats).toMatchObject({
        threads: 1,
        retried: 1,
        replaced: 2,
        failed: items.length,
        pending: 0,
      });
      expect(await pool.verify(items)).toEqual(verdicts);
    }));

  it('survives threads that are killed from outside in the middle of a batch', async () => {
    const made: Worker[] = [];
    const collect = (worker: Worker): void => void made.push(worker);
    process.on('worker', collect);
    try {
      await use(createVerifyPool({ workers: 1, workerUrl }), async (pool) => {
        await pool.ready;
        for (const round of [1, 2]) {
          const answer = pool.verify(repeated(300));
          await new Promise((resolve) => setTimeout(resolve, 5));
          expect(pool.stats.pending).toBe(1200);
          await made.at(-1)!.terminate();
          expect(await answer).toEqual(Array.from({ length: 300 }, () => verdicts).flat());
          expect(pool.stats).toMatchObject({
            threads: 1,
            retried: round,
            replaced: round,
            failed: 0,
            pending: 0,
          });
        }
        expect(made).toHaveLength(3);
      });
    } finally {
      process.off('worker', collect);
    }
  });

  it('goes on by itself when threads die every time, or cannot start', async () => {
    const dying = deadly('always', 1000);
    const missing = pathToFileURL(join(folder, 'nothing-here.mjs'));
    await use(createVerifyPool({ workers: 2, workerUrl: missing }), async (pool) => {
      expect(await pool.ready).toBe(false);
      expect(await pool.verify(repeated(3))).toEqual(Array.from({ length: 3 }, () => verdicts).flat());
      expect(pool.stats).toMatchObject({ threads: 0, inPlace: 12, batches: 0 });
    });
    await use(createVerifyPool({ workers: 2, workerUrl: dying }), async (pool) => {
      await expect(pool.verify(items)).rejects.toBeInstanceOf(VerifyFailed);
      // Until no thread is tried any more, then in place.
      for (let i = 0; i < 5 && pool.stats.threads > 0; i++) await pool.verify(items).catch(() => undefined);
      expect(pool.stats.threads).toBe(0);
      expect(await pool.verify(items)).toEqual(verdicts);
      expect(pool.stats.replaced).toBe(3);
    });
  });

  it('takes no more than its queue holds, tells the caller, and goes on when there is room', () =>
    use(createVerifyPool({ workers: 1, workerUrl, queueItemsMax: 40 }), async (pool) => {
      const taken = pool.verify(repeated(10));
      const refused = pool.verify(items);
      await expect(refused).rejects.toBeInstanceOf(VerifyBusy);
      await expect(refused).rejects.toMatchObject({ itemsMax: 40 });
      // As a whole or not at all: not the part for which there would be room.
      await expect(pool.verify(repeated(11))).rejects.toBeInstanceOf(VerifyBusy);
      expect(await taken).toEqual(Array.from({ length: 10 }, () => verdicts).flat());
      expect(pool.stats).toMatchObject({ refused: 4 + 44, pending: 0 });
      expect(await pool.verify(repeated(10))).toHaveLength(40);
      expect(poolQueueItemsMax).toBe(8192);
    }));

  it('gathers what is asked while threads are busy, and sends a lone item at once', () =>
    use(createVerifyPool({ workers: 1, workerUrl }), async (pool) => {
      await pool.ready;
      await pool.verify(items.slice(0, 1));
      expect(pool.stats).toMatchObject({ batches: 1, items: 1, largestBatch: 1 });
      await Promise.all(Array.from({ length: 64 }, () => pool.verify(items.slice(0, 1))));
      const { batches, items: sent, largestBatch } = pool.stats;
      expect(sent).toBe(65);
      expect(largestBatch).toBe(32);
      expect(batches).toBe(3);
    }));

  it('works in place where there is no shared memory, or no thread is wanted', async () => {
    await use(createVerifyPool({ workers: 0, engine: 'wasm-scalar', queueItemsMax: 8 }), async (pool) => {
      expect(pool.name).toBe('wasm-scalar');
      expect(await pool.ready).toBe(false);
      const taken = pool.verify(repeated(2));
      await expect(pool.verify(items)).rejects.toBeInstanceOf(VerifyBusy);
      expect(await taken).toEqual([...verdicts, ...verdicts]);
      expect(pool.stats).toMatchObject({ threads: 0, inPlace: 8, refused: 4, pending: 0 });
      expect(pool.operations).toBe(8);
    });
    vi.stubGlobal('SharedArrayBuffer', undefined);
    try {
      await use(createVerifyPool({ workers: 2, workerUrl }), async (pool) => {
        expect(await pool.verify(items)).toEqual(verdicts);
        expect(pool.stats).toMatchObject({ threads: 0, inPlace: 4 });
      });
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('holds a process only while somebody waits for a verdict', async () => {
    const outfile = join(folder, 'idle.mjs');
    await build({
      stdin: {
        contents: `import { createVerifyPool } from './src/identity/node/index.ts';
          import { measureItems } from './src/identity/index.ts';
          const pool = await createVerifyPool({ workers: 2, workerUrl: new URL('./verify-worker.mjs', import.meta.url) });
          // Not awaited by anything else: the pool alone keeps the process until the verdicts are there.
          void pool.verify(measureItems(64)).then((v) => {
            process.stdout.write(String(v.length));
            const cpu = process.cpuUsage();
            setTimeout(() => {
              const { user, system } = process.cpuUsage(cpu);
              process.stdout.write(user + system < 50_000 ? ' idle' : ' busy');
            }, 300);
          });`,
        resolveDir: process.cwd(),
        loader: 'ts',
      },
      ...bundled,
      outfile,
    });
    const { stdout } = await promisify(execFile)(process.execPath, [outfile], { timeout: 15_000 });
    expect(stdout).toBe('64 idle');
  });

  it('finishes what it took before it closes, then refuses', async () => {
    const pool = await createVerifyPool({ workers: 2, workerUrl });
    const pending = pool.verify(repeated(30));
    await pool.close();
    expect(await pending).toEqual(Array.from({ length: 30 }, () => verdicts).flat());
    await expect(pool.verify(items)).rejects.toBeInstanceOf(EngineClosed);
    await pool.close();
  });

  it('leaves the calling thread free', () =>
    use(createVerifyPool({ workers: 1, workerUrl }), async (pool) => {
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      await pool.verify(repeated(100));
      clearInterval(timer);
      expect(turns).toBeGreaterThan(3);
    }));

  it.runIf(process.platform === 'linux')(
    'on Linux, its threads give way to the one that talks to peers',
    () =>
      use(createVerifyPool({ workers: 2, workerUrl }), async (pool) => {
        await pool.ready;
        const own = getPriority(process.pid);
        // The pool is ready with its first thread; the second may be on its way, threads of other tests on theirs out.
        await vi.waitFor(
          () => {
            const niceness = readdirSync('/proc/self/task').map((thread) => getPriority(Number(thread)));
            expect(niceness.filter((n) => n === own + 5).length).toBe(2);
            expect(niceness.filter((n) => n === own).length).toBe(niceness.length - 2);
          },
          { timeout: 10_000 },
        );
      }),
  );

  it('refuses numbers of threads that make no sense', async () => {
    for (const workers of [-1, 1.5, 1000])
      await expect(createVerifyPool({ workers })).rejects.toBeInstanceOf(RangeError);
    expect(new EngineUnavailable('auto', 'missing').engine).toBe('auto');
    expect([1, 2, 3, 5, 64].map((cores) => defaultVerifyThreads(cores))).toEqual([1, 1, 2, 4, 4]);
  });
});
