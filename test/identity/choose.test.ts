import { afterEach, expect, it } from 'vitest';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import {
  chooseVerifyEngine,
  createVerifyEngine,
  decodePublicKey,
  EngineUnavailable,
  type MeasureClock,
  measureBudgetMs,
  measureEngines,
  measureItems,
  threadEngineNames,
  type VerifyEngine,
  type VerifyEngineName,
  verifyEngineNames,
} from '../../src/identity/index.js';
import { restrictRuntime } from '../../src/identity/runtime.js';

enableRelaxedSimd();

afterEach(() => restrictRuntime());

/** Real engines under a clock that moves by what the table says they take per item, and by nothing else. */
function scripted(microseconds: Partial<Record<VerifyEngineName, number>>): {
  readonly clock: MeasureClock;
  readonly make: (name: VerifyEngineName) => Promise<VerifyEngine>;
  readonly asked: Map<VerifyEngineName, number>;
  readonly open: Set<VerifyEngineName>;
} {
  let now = 0;
  const asked = new Map<VerifyEngineName, number>();
  const open = new Set<VerifyEngineName>();
  return {
    clock: { nowMs: () => now },
    asked,
    open,
    make: async (name) => {
      const engine = await createVerifyEngine(name);
      open.add(name);
      return {
        name,
        get operations() {
          return engine.operations;
        },
        verify: async (items) => {
          const verdicts = await engine.verify(items);
          asked.set(name, (asked.get(name) ?? 0) + items.length);
          now += ((microseconds[name] ?? 0) * items.length) / 1000;
          return verdicts;
        },
        close: async () => {
          open.delete(name);
          await engine.close();
        },
      };
    },
  };
}

it('takes the engine that took least, whatever the ranking says, and closes all of them', async () => {
  const s = scripted({ 'wasm-relaxed': 90, 'native-sync': 70, 'wasm-simd': 100, 'wasm-scalar': 300 });
  const choice = await chooseVerifyEngine(s);
  expect(choice).toMatchObject({ engine: 'native-sync', why: 'measured', problem: null });
  expect(choice.costs.map((c) => [c.engine, Math.round(c.microseconds!)])).toEqual([
    ['wasm-relaxed', 90],
    ['native-sync', 70],
    ['wasm-simd', 100],
    ['wasm-scalar', 300],
  ]);
  expect(s.open.size).toBe(0);
  expect(
    (
      await chooseVerifyEngine(
        scripted({ ...s, 'wasm-simd': 1, 'native-sync': 2, 'wasm-relaxed': 3, 'wasm-scalar': 4 }),
      )
    ).engine,
  ).toBe('wasm-simd');
});

it('keeps to its budget, and asks a hopeless engine only once', async () => {
  const s = scripted({ 'wasm-relaxed': 100, forge: 5000 });
  const { costs } = await chooseVerifyEngine({ ...s, names: ['wasm-relaxed', 'forge'], budgetMs: 60 });
  expect(s.clock.nowMs()).toBeLessThan(60 + 5);
  expect(s.asked.get('forge')).toBe(4);
  expect(s.asked.get('wasm-relaxed')).toBeGreaterThan(60);
  expect(costs.map((c) => Math.round(c.microseconds!))).toEqual([100, 5000]);
});

it('takes the ranking where the clock stands still, goes back, or there is no time', async () => {
  // As in an edge runtime: the clock does not move while something is computed.
  const frozen = await chooseVerifyEngine({ clock: { nowMs: () => 1000 } });
  expect(frozen).toMatchObject({ engine: threadEngineNames[0], why: 'ranked', problem: 'clock' });
  let back = 1000;
  const backwards = await chooseVerifyEngine({ clock: { nowMs: () => back-- } });
  expect(backwards).toMatchObject({ engine: threadEngineNames[0], why: 'ranked', problem: 'clock' });
  // One engine for which the clock moves and one for which it does not: no comparison.
  const s = scripted({ 'native-sync': 70 });
  expect(await chooseVerifyEngine({ ...s, names: ['native-sync', 'wasm-scalar'] })).toMatchObject({
    engine: 'native-sync',
    why: 'ranked',
    problem: 'clock',
  });
  expect(s.open.size).toBe(0);
  expect(await chooseVerifyEngine({ budgetMs: 0 })).toMatchObject({
    engine: threadEngineNames[0],
    why: 'ranked',
    problem: 'time',
    costs: [],
  });
  const slow = scripted({ 'wasm-relaxed': 50_000, 'native-sync': 50_000, 'wasm-simd': 1, 'wasm-scalar': 1 });
  expect(await chooseVerifyEngine({ ...slow, budgetMs: 100 })).toMatchObject({
    why: 'ranked',
    problem: 'time',
  });
});

it('leaves out what this runtime has not, with the reason', async () => {
  restrictRuntime({ node: true });
  const { engine, costs } = await chooseVerifyEngine({ budgetMs: 250 });
  expect(engine).not.toBe('native-sync');
  expect(costs.find((c) => c.engine === 'native-sync')).toEqual({
    engine: 'native-sync',
    microseconds: null,
    absent: 'missing',
  });
  const broken = async (name: VerifyEngineName): Promise<VerifyEngine> => {
    throw new EngineUnavailable(name, 'self-test');
  };
  await expect(chooseVerifyEngine({ make: broken })).rejects.toBeInstanceOf(EngineUnavailable);
  await expect(chooseVerifyEngine({ make: broken, budgetMs: 0 })).rejects.toBeInstanceOf(EngineUnavailable);
  const { costs: none } = await measureEngines({ names: ['forge'], make: broken });
  expect(none).toEqual([{ engine: 'forge', microseconds: null, absent: 'self-test' }]);
});

it('measures real engines with the real clock once per process, and remembers', async () => {
  const first = chooseVerifyEngine();
  expect(chooseVerifyEngine()).toBe(first);
  const choice = await first;
  expect(threadEngineNames).toContain(choice.engine);
  expect(measureBudgetMs).toBeLessThanOrEqual(300);
  if (choice.why === 'measured') {
    const least = Math.min(...choice.costs.map((c) => c.microseconds ?? Number.POSITIVE_INFINITY));
    expect(choice.costs.find((c) => c.engine === choice.engine)?.microseconds).toBe(least);
  }
});

it('asks about keys that no engine can have prepared, and that cost an operation each', async () => {
  for (const bits of [2048, 4096]) {
    const items = measureItems(6, bits);
    expect(new Set(items.map((i) => decodePublicKey(i.key).n.join())).size).toBe(6);
    expect(items.every((i) => decodePublicKey(i.key).bits === bits)).toBe(true);
    for (const name of verifyEngineNames) {
      const engine = await createVerifyEngine(name);
      expect(await engine.verify(items)).toEqual(new Array(6).fill(false));
      expect([name, engine.operations]).toEqual([name, 6]);
      await engine.close();
    }
  }
});
