import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { CliError } from '../../src/cli/exit.js';
import type { Output } from '../../src/cli/terminal.js';
import {
  BATCH_SIZES,
  HASH_BYTES,
  RSA_BITS,
  suitableThreads,
  TUNED_ENGINES,
  type TuneReport,
} from '../../src/cli/tune/measure.js';
import { run } from '../../src/cli/tune.js';
import { restrictRuntime } from '../../src/identity/runtime.js';
import { type ConfigChange, resolveConfig } from '../../src/operator/index.js';
import { compiledWorker } from '../support/compiled.js';

let folder: string;
let workerUrl: URL;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'starling-tune-'));
  workerUrl = await compiledWorker(folder, 'verify-worker');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => restrictRuntime());

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
async function tune(args: readonly string[], screen: Partial<Output> = {}): Promise<Said> {
  let out = '';
  let err = '';
  const o: Output = { out: (t) => (out += t), err: (t) => (err += t), colour: false, live: false, ...screen };
  const code = await run(['--seconds', '0.3', ...args], o, { workerUrl });
  return { code, out, err };
}
const json = async (...args: string[]): Promise<TuneReport & { changes?: ConfigChange[] }> =>
  JSON.parse((await tune(['--json', ...args])).out);

it('measures every engine at every size and batch, threads and hashes, and chooses the fastest', async () => {
  const r = await json('--threads', '2');
  expect(r.engines.map((e) => e.engine)).toEqual([...TUNED_ENGINES]);
  for (const e of r.engines) {
    const cells = RSA_BITS.flatMap((bits) => BATCH_SIZES.map((batch) => [bits, batch]));
    expect([e.engine, e.cells.map((c) => [c.bits, c.batch])]).toEqual([
      e.engine,
      e.absent === null ? cells : [],
    ]);
    for (const c of e.cells) expect(c.microseconds).toBeGreaterThan(0);
  }
  const full = r.engines.flatMap((e) =>
    e.cells.filter((c) => c.bits === 4096 && c.batch === 32).map((c) => ({ ...c, engine: e.engine })),
  );
  const least = Math.min(...full.map((c) => c.microseconds));
  expect(full.find((c) => c.microseconds === least)?.engine).toBe(r.choice.verifyEngine);
  expect(r.threads.map((t) => t.threads)).toEqual([1, 2]);
  for (const t of r.threads) expect(t.perSecond).toBeGreaterThan(0);
  expect(r.hashes.map((h) => h.bytes)).toEqual([...HASH_BYTES]);
  for (const h of r.hashes) expect(h.nanoseconds.core).toBeGreaterThan(0);
  expect(r.machine.node).toBe(process.versions.node);
  expect(r.choice.verifyThreads).toBeGreaterThanOrEqual(1);
});

it('prints tables for a person, with the winner marked, and progress only where somebody watches', async () => {
  const { code, out, err } = await tune(['--threads', '1']);
  expect(code).toBe(0);
  expect(err).toBe('');
  const lines = out.split('\n');
  const columns = lines.find((l) => l.startsWith('engine'));
  expect(columns).toMatch(/2048 by 1 .* 4096 by 32 +to native$/);
  for (const engine of TUNED_ENGINES) expect(out).toMatch(new RegExp(`^${engine}`, 'm'));
  // At least one winner per column of engines and per length.
  expect(out.match(/ \*/g)?.length).toBeGreaterThanOrEqual(6 + HASH_BYTES.length);
  expect(out).toMatch(/^1 +[\d,]+ +1\.00 × +[\d.]+ ms/m);
  expect(out).toMatch(/^verifyEngine = [a-z-]+$/m);
  expect(out).toMatch(/^verifyThreads = \d+$/m);
  const watched = await tune(['--threads', '1'], { live: true, colour: true });
  expect(watched.err).toContain('\rRSA-4096, batches of 32: native');
  expect(watched.out).toContain('\u001b[32m');
});

it('names what is absent and why, and measures the rest', async () => {
  restrictRuntime({ node: true, subtle: true });
  const { out } = await tune(['--threads', '1']);
  expect(out).toMatch(/^native: not in this runtime$/m);
  expect(out).toMatch(/^webcrypto: not in this runtime$/m);
  expect(out).toMatch(/^wasm-scalar .* –$/m);
});

it('writes the choice into a configuration, leaves the rest, and says what it did', async () => {
  const file = join(folder, 'ixian.cfg');
  writeFileSync(file, '# mine\ns2Port = 1234\nverifyEngine = forge # slow\napiPort=7\n');
  const { out } = await tune(['--threads', '1', '--write', file]);
  const text = readFileSync(file, 'utf8');
  const config = resolveConfig({ flags: new Map(), environment: {}, file: { path: file, text } });
  const engine = config.text('verifyEngine')!;
  expect(TUNED_ENGINES).toContain(engine);
  expect(text).toBe(
    `# mine\ns2Port = 1234\nverifyEngine = ${engine} # slow\napiPort=7\nverifyThreads = ${config.text('verifyThreads')}\n`,
  );
  expect(out).toContain(`${file}:3: verifyEngine = ${engine} (was forge)`);
  expect(out).toContain(`${file}:5: verifyThreads = 1 (was not set)`);
  const missing = join(folder, 'new.cfg');
  const { changes } = await json('--threads', '1', '--write', missing);
  expect(changes).toHaveLength(2);
  expect(readFileSync(missing, 'utf8')).toMatch(/^verifyEngine = [a-z-]+\nverifyThreads = 1\n$/);
});

it('refuses wrong use before it measures anything, and leaves a file that it cannot use as it is', async () => {
  const refused = async (args: readonly string[]): Promise<CliError> => {
    const e = await tune(args).catch((x: unknown) => x);
    expect(e).toBeInstanceOf(CliError);
    return e as CliError;
  };
  const bad = join(folder, 'bad.cfg');
  writeFileSync(bad, 's2Port = many\n');
  for (const args of [
    ['--seconds', '0'],
    ['extra'],
    ['--threads', '0'],
    ['--write', bad],
    ['--wirte', bad],
    ['--write', folder],
  ])
    expect((await refused(args)).exitCode).toBe(2);
  expect(readFileSync(bad, 'utf8')).toBe('s2Port = many\n');
  const nowhere = join(folder, 'nowhere', 'x.cfg');
  expect(await refused(['--threads', '1', '--write', nowhere])).toMatchObject({ exitCode: 1 });
  expect(existsSync(nowhere)).toBe(false);
  const { code, out } = await tune(['--help']);
  expect(code).toBe(0);
  expect(out).toContain('Usage: starling tune');
});

it('takes as many threads as add something, and leaves a core to the relay', () => {
  const rows = [1, 2, 3, 4].map((threads) => ({
    threads,
    perSecond: [10, 19, 20, 40][threads - 1]!,
    loneMsP50: 0,
    loneMsP99: 0,
  }));
  expect(suitableThreads(rows, 1)).toBe(1);
  expect(suitableThreads(rows, 3)).toBe(2);
  expect(suitableThreads(rows, 4)).toBe(4);
  expect(suitableThreads([], 4)).toBe(1);
});
