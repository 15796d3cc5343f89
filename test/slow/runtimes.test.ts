import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { verifyEngineNames } from '../../src/identity/index.js';
import { type Engines, engines } from '../runtimes/engines.js';
import {
  bundled,
  CHROMIUM,
  fetchFromWorkerd,
  inPage,
  inProcess,
  inWorkerd,
  type PackageName,
  type Report,
  writePrograms,
} from '../runtimes/programs.js';
import { makeVectors } from '../runtimes/vectors.js';
import { npm, type RuntimeName, runtimeNames, runtimeProgram } from '../support/runtimes.js';

// The packed packages in an empty project, the same suite in every runtime that installs here. What does not is named.
const ROOT = resolve(import.meta.dirname, '../..');
const work = mkdtempSync(join(tmpdir(), 'starling-runtimes-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Programs by name; null where the runtime does not install, with the reason said once. */
const programs = new Map<RuntimeName, string | null>();
for (const name of runtimeNames) {
  const found = await runtimeProgram(name).catch((e: unknown) => {
    console.log(`left out: ${name}: ${String(e).split('\n')[0]}`);
    return null;
  });
  programs.set(name, found);
}
const hasChromium = existsSync(CHROMIUM);
if (!hasChromium) console.log('left out: chromium: no program at its place');

const tarballs = join(work, 'tarballs');
execFileSync(process.execPath, [join(ROOT, 'scripts/pack.mjs'), tarballs], { cwd: ROOT, stdio: 'ignore' });
const tarball = (name: string): string =>
  join(tarballs, readdirSync(tarballs).find((f) => new RegExp(`^${name}-\\d`).test(f))!);

/** An empty project with `starling-core` and `starling-client` installed, whose dependencies the files of `starling-relay` find. */
const project = join(work, 'project');
mkdirSync(project);
writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}');
await npm(
  [
    'install',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    tarball('starling-core'),
    tarball('starling-client'),
  ],
  project,
);
execFileSync('tar', ['xzf', tarball('starling-relay')], { cwd: work });
cpSync(join(work, 'package'), join(project, 'node_modules/starling-relay'), { recursive: true });

const vectors = makeVectors();
const packages: readonly PackageName[] = ['starling-core', 'starling-relay/core'];
const folders = new Map<PackageName, string>();
for (const name of packages) {
  const folder = join(project, name.replace('/', '-'));
  mkdirSync(folder);
  await writePrograms(folder, vectors, name);
  folders.set(name, folder);
}

function judge(report: Report, wanted: Engines): void {
  const { kernels, kernelsSync, core, coreSync, simd, cases, verify } = report;
  const { on, off, ...ofCore } = wanted;
  expect({ kernels, kernelsSync, core, coreSync, simd }).toEqual(ofCore);
  expect(cases.filter((c) => c.error !== null)).toEqual([]);
  expect(cases.length).toBe(12 + kernels.length);
  // Both lists together are every engine: a new one, or one that is on or off unexpectedly, fails here.
  const states = Object.fromEntries([
    ...on.map((name) => [name, 'on']),
    ...Object.keys(off).map((name) => [name, 'missing']),
  ]);
  expect(verify.engines).toEqual(states);
  expect(Object.keys(verify.engines).sort()).toEqual([...verifyEngineNames].sort());
  expect(verify.auto).toBe(on[0]);
  expect(verify.cases).toEqual(on.map((name) => ({ name: `verify engine ${name}`, error: null })));
}

const [major] = process.versions.node.split('.').map(Number);
const here = `node ${major}`;

/** What page.mjs leaves behind when it is done. */
const REPORT = 'globalThis.report ?? null';

describe.each(packages)('import of %s', (name) => {
  const folder = folders.get(name)!;
  const run = (program: string, args: readonly string[] = [], file?: string): Promise<Report> =>
    inProcess(folder, program, args, file);

  if (major === 20) {
    it('node 20', async () => judge(await run(process.execPath), engines['node 20']));
    it('node 20 with its flag', async () =>
      judge(
        await run(process.execPath, ['--experimental-wasm-relaxed-simd']),
        engines['node 20 with its flag'],
      ));
  }
  it(`${here} without WebAssembly`, async () =>
    judge(await run(process.execPath, [], 'without.mjs'), engines['node without WebAssembly']));

  for (const node of ['node 22', 'node 24'] as const) {
    const program = programs.get(node)!;
    it.runIf(program !== null)(node, async () => judge(await run(program), engines[node]));
  }

  const deno = programs.get('deno')!;
  it.runIf(deno !== null)('deno', async () =>
    judge(await run(deno, ['run', '--quiet', '--cached-only', '--no-lock']), engines.deno),
  );

  const bun = programs.get('bun')!;
  it.runIf(bun !== null)('bun', async () => judge(await run(bun, ['run']), engines.bun));

  const workerd = programs.get('workerd')!;
  it.runIf(workerd !== null)('workerd', async () =>
    judge(await inWorkerd(folder, workerd, ['workerd', 'worker', 'browser']), engines.workerd),
  );
  it.runIf(workerd !== null)('workerd without the condition', async () =>
    judge(await inWorkerd(folder, workerd, ['browser']), engines['workerd without the condition']),
  );

  describe.runIf(hasChromium)('chromium', () => {
    const page = (script: string): string =>
      `<!doctype html><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;

    it('bundled', async () => {
      const [script] = await bundled(folder, 'page.mjs', []);
      const html = page(`/${script!.slice(folder.length + 1)}`);
      judge(await inPage(folder, REPORT, { html }), engines['chromium, bundled']);
    });

    it('unbundled: the files of the package as they are', async () => {
      const entry =
        name === 'starling-core' ? 'starling-core/dist/core/index.js' : 'starling-relay/dist/core/index.js';
      const map = JSON.stringify({ imports: { [name]: `/node_modules/${entry}` } });
      await bundled(folder, 'verify.mjs', []);
      const html = page(`/${folder.slice(project.length + 1)}/unbundled.mjs`).replace(
        '<script',
        `<script type="importmap">${map}</script><script`,
      );
      judge(await inPage(project, REPORT, { html }), engines['chromium, unbundled']);
    });

    it('with WebAssembly forbidden by policy', async () => {
      const [script] = await bundled(folder, 'page.mjs', []);
      const html = page(`/${script!.slice(folder.length + 1)}`);
      const policy = "default-src 'self'; script-src 'self'; img-src data:";
      const report = await inPage<Report>(folder, REPORT, { html, policy });
      judge(report, engines['chromium, WebAssembly forbidden by policy']);
    });

    it('a bundle of the core that reaches for nothing of Node', async () => {
      const [script] = await bundled(folder, 'core.mjs', []);
      const text = readFileSync(script!, 'utf8');
      expect(text).not.toMatch(/\b(?:from|import|require)\s*\(?\s*["'`]/);
    });
  });
});

describe('examples', () => {
  const examples = join(project, 'examples');
  cpSync(join(ROOT, 'examples'), examples, { recursive: true });
  cpSync(join(project, 'node_modules'), join(examples, 'node_modules'), { recursive: true });
  const outcome = (kernel: string): string => `${kernel}: 31 of 32 valid, forged: 7`;
  const output = (program: string, ...args: string[]): string =>
    execFileSync(program, args, { cwd: examples, encoding: 'utf8', timeout: 60_000 }).trim();

  it('depend on the package of this version', () => {
    const read = (path: string): { version: string; dependencies: Record<string, string> } =>
      JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
    expect(read('examples/package.json').dependencies).toEqual({
      'starling-core': read('package.json').version,
    });
  });

  it('this Node', () => {
    expect(output(process.execPath, 'node/verify.mjs')).toBe(outcome('wasm-relaxed'));
  });

  for (const name of ['node 22', 'node 24'] as const) {
    const program = programs.get(name)!;
    it.runIf(program !== null)(name, () =>
      expect(output(program, 'node/verify.mjs')).toBe(outcome('wasm-relaxed')),
    );
  }

  const deno = programs.get('deno')!;
  it.runIf(deno !== null)('deno', () =>
    expect(output(deno, 'run', '--quiet', '--no-lock', 'deno/verify.ts')).toBe(outcome('wasm-relaxed')),
  );

  const bun = programs.get('bun')!;
  it.runIf(bun !== null)('bun', () => expect(output(bun, 'run', 'bun/verify.ts')).toBe(outcome('wasm-simd')));

  const workerd = programs.get('workerd')!;
  it.runIf(workerd !== null)('workerd', async () => {
    execFileSync('npm', ['run', '--silent', 'workerd:build'], {
      cwd: examples,
      env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` },
    });
    expect(await fetchFromWorkerd(workerd, examples, 'workerd/config.capnp')).toBe(outcome('wasm-relaxed'));
  });

  it.runIf(hasChromium)('a page without a bundler', async () => {
    const done =
      "((text) => text.startsWith('verifying') ? null : text)(document.querySelector('#result').textContent)";
    const text = await inPage<string>(examples, done, { path: '/browser/index.html' });
    expect(text).toBe(outcome('wasm-relaxed'));
  });
});
