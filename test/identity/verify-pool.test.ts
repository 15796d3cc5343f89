import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  EngineClosed,
  EngineUnavailable,
  type VerifyEngine,
  type VerifyItem,
} from '../../src/identity/index.js';
import { createVerifyPool, poolEngineNames } from '../../src/identity/node/index.js';
import { selfTestItems } from '../../src/identity/verify/self-test.js';
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
  // Threads run compiled code: the worker of these very sources.
  const outfile = join(folder, 'verify-worker.mjs');
  await build({
    entryPoints: [new URL('../../src/identity/node/verify-worker.ts', import.meta.url).pathname],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    // A CommonJS package asks for Node's own modules.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  workerUrl = pathToFileURL(outfile);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const items = selfTestItems();
const verdicts = items.map((t) => t.valid);
const repeated = (times: number): VerifyItem[] => Array.from({ length: times }, () => items).flat();

async function use(pool: Promise<VerifyEngine>, f: (pool: VerifyEngine) => Promise<void>): Promise<void> {
  const made = await pool;
  try {
    await f(made);
  } finally {
    await made.close();
  }
}

describe('verify pool', () => {
  it.each(poolEngineNames)('gives the right verdict on every edge, %s', (engine) =>
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

  it('judges what a thread died with once more on another', async () => {
    const flag = join(folder, 'died');
    const url = script(
      'dies-once.mjs',
      `import { existsSync, writeFileSync } from 'node:fs';
       import { parentPort, workerData } from 'node:worker_threads';
       if (existsSync(${JSON.stringify(flag)})) await import('./verify-worker.mjs');
       else {
         writeFileSync(${JSON.stringify(flag)}, '');
         parentPort.postMessage('ready');
         const control = new Int32Array(workerData.memory);
         while (Atomics.load(control, 0) === 0) Atomics.wait(control, 0, 0, 5);
         process.exit(3);
       }`,
    );
    await use(createVerifyPool({ workers: 1, workerUrl: url }), async (pool) => {
      expect(await pool.verify(repeated(20))).toEqual(Array.from({ length: 20 }, () => verdicts).flat());
      expect(pool.operations).toBe(80);
    });
  });

  it('goes on by itself when threads die every time, or cannot start', async () => {
    const dying = script(
      'dies.mjs',
      `import { parentPort, workerData } from 'node:worker_threads';
       parentPort.postMessage('ready');
       const control = new Int32Array(workerData.memory);
         while (Atomics.load(control, 0) === 0) Atomics.wait(control, 0, 0, 5);
       throw new Error('as asked');`,
    );
    const missing = pathToFileURL(join(folder, 'nothing-here.mjs'));
    for (const url of [dying, missing])
      await use(createVerifyPool({ workers: 2, workerUrl: url }), async (pool) => {
        expect(await pool.verify(repeated(3))).toEqual(Array.from({ length: 3 }, () => verdicts).flat());
        expect(await pool.verify(items)).toEqual(verdicts);
      });
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

  it('refuses numbers of threads that make no sense', async () => {
    for (const workers of [0, -1, 1.5, 1000])
      await expect(createVerifyPool({ workers })).rejects.toBeInstanceOf(RangeError);
    expect(new EngineUnavailable('auto', 'missing').engine).toBe('auto');
  });
});
