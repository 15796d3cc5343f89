import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EngineClosed, type VerifyEngine, type VerifyEngineName } from '../../src/identity/index.js';
import { openVerifier, type Verifier, type VerifierChoice } from '../../src/identity/node/index.js';
import { measurePlaces, threadsWin } from '../../src/identity/node/verify-place.js';
import { selfTestItems } from '../../src/identity/verify/self-test.js';
import { compiledWorker } from '../support/compiled.js';

let folder = '';
let workerUrl: URL;
let measureUrl: URL;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verifier-'));
  workerUrl = await compiledWorker(folder, 'verify-worker');
  measureUrl = await compiledWorker(folder, 'verify-measure-worker');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const script = (name: string, text: string): URL => {
  writeFileSync(join(folder, name), text);
  return pathToFileURL(join(folder, name));
};

const items = selfTestItems();
const verdicts = items.map((t) => t.valid);

async function use(verifier: Promise<Verifier>, f: (v: Verifier) => Promise<void>): Promise<void> {
  const made = await verifier;
  // Idle threads keep no process alive, so the test does.
  const alive = setInterval(() => undefined, 1000);
  try {
    await f(made);
  } finally {
    clearInterval(alive);
    await made.close();
  }
}

it('works at once in place, measures, and moves to threads without anybody noticing', async () => {
  const told: VerifierChoice[] = [];
  const onChoice = (c: VerifierChoice): void => void told.push(c);
  await use(openVerifier({ settleAfterMs: 0, workerUrl, measureUrl, threads: 2, onChoice }), async (v) => {
    expect(v.choice).toMatchObject({ engine: 'native', place: 'in-place', threads: 0, why: 'starting' });
    let settled = false;
    void v.settled.then(() => {
      settled = true;
    });
    let asked = 0;
    // Under way while the place changes: every verdict arrives.
    while (!settled) {
      expect(await v.verify(items)).toEqual(verdicts);
      asked += items.length;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const choice = await v.settled;
    expect(choice.why).toBe('measured');
    expect(choice.reason).toContain('µs');
    expect(choice.places?.threads).toBeGreaterThan(0);
    expect(told).toEqual([choice]);
    expect(await v.verify(items)).toEqual(verdicts);
    if (choice.place === 'threads') {
      expect(choice.threads).toBe(2);
      expect(v.stats?.items).toBeGreaterThan(items.length);
      expect(v.name).toBe(choice.engine);
    }
    // What the measuring of places spent is in it.
    expect(v.operations).toBeGreaterThanOrEqual(asked + items.length);
  });
});

it('takes what it is told without measuring', () =>
  use(openVerifier({ engine: 'native', threads: 1, settleAfterMs: 0, workerUrl }), async (v) => {
    expect(await v.settled).toMatchObject({
      engine: 'native-sync',
      place: 'threads',
      threads: 1,
      why: 'set',
      costs: [],
      places: null,
    });
    expect(await v.verify(items)).toEqual(verdicts);
    expect(v.stats).toMatchObject({ items: items.length });
  }));

it('no threads at all is a setting too', () =>
  use(openVerifier({ engine: 'wasm-scalar', threads: 0, settleAfterMs: 0, workerUrl }), async (v) => {
    expect(await v.settled).toMatchObject({
      engine: 'wasm-scalar',
      place: 'in-place',
      threads: 0,
      why: 'set',
    });
    expect(await v.verify(items)).toEqual(verdicts);
    expect(v.stats).toBeNull();
  }));

it('stays with OpenSSL where threads cannot be had, and says why', async () => {
  const missing = pathToFileURL(join(folder, 'nothing.mjs'));
  await use(openVerifier({ settleAfterMs: 0, workerUrl: missing, measureUrl }), async (v) => {
    expect(await v.settled).toMatchObject({ engine: 'native', place: 'in-place', why: 'fallback' });
    expect(v.choice.reason).toMatch(/not there/);
    expect(await v.verify(items)).toEqual(verdicts);
  });
  const dies = script('dies.mjs', `process.exit(3);`);
  await use(openVerifier({ settleAfterMs: 0, workerUrl: dies, measureUrl, budgetMs: 0 }), async (v) => {
    expect(await v.settled).toMatchObject({ engine: 'native', place: 'in-place', why: 'fallback' });
    expect(v.choice.reason).toMatch(/no thread/);
    expect(await v.verify(items)).toEqual(verdicts);
  });
});

it('takes the ranking when the measuring thread dies', () =>
  use(
    openVerifier({ settleAfterMs: 0, workerUrl, measureUrl: script('mute.mjs', `process.exit(1);`) }),
    async (v) => {
      expect(await v.settled).toMatchObject({ why: expect.stringMatching(/ranked|measured/) });
      expect(v.choice.costs).toEqual([]);
      expect(await v.verify(items)).toEqual(verdicts);
    },
  ));

it('closes in every state: before, during and after the change', async () => {
  for (const wait of [0, 1, 60, 250, 600]) {
    const v = await openVerifier({ settleAfterMs: 0, workerUrl, measureUrl, budgetMs: 100 });
    const pending = v.verify(items);
    await new Promise((resolve) => setTimeout(resolve, wait));
    await v.close();
    expect(await pending).toEqual(verdicts);
    await expect(v.verify(items)).rejects.toBeInstanceOf(EngineClosed);
    await v.close();
  }
});

it('compares places by processor time; without figures threads are taken', async () => {
  let now = 0;
  const costing = (name: VerifyEngineName, microseconds: number): VerifyEngine => ({
    name,
    operations: 0,
    verify: async (list) => {
      now += microseconds * list.length;
      return list.map(() => false);
    },
    close: async () => undefined,
  });
  const compare = (threads: number, inPlace: number) =>
    measurePlaces(costing('wasm-relaxed', threads), costing('native', inPlace), () => now);
  const cheaper = await compare(100, 150);
  expect(cheaper).toEqual({ threads: 100, inPlace: 150 });
  expect(threadsWin(cheaper)).toBe(true);
  expect(threadsWin(await compare(108, 100))).toBe(true);
  expect(threadsWin(await compare(120, 100))).toBe(false);
  expect(await compare(0, 0)).toEqual({ threads: null, inPlace: null });
  expect(threadsWin({ threads: null, inPlace: null })).toBe(true);
});
