import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const execute = promisify(execFile);

let work: string;
let tarballs: string;
beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'starling-packages-'));
  tarballs = join(work, 'tarballs');
  await execute(process.execPath, [join(ROOT, 'scripts/pack.mjs'), tarballs], { cwd: ROOT });
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const tarball = (name: string): string =>
  join(
    tarballs,
    readdirSync(tarballs).find((f) => f.startsWith(`${name}-`) && /-\d/.test(f.slice(name.length)))!,
  );

/** An empty project with one of the packages installed from its tarball. */
async function install(name: string, ...flags: string[]): Promise<string> {
  const project = mkdtempSync(join(work, 'project-'));
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'empty', version: '1.0.0', private: true, type: 'module' }),
  );
  await execute('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...flags, tarball(name)], {
    cwd: project,
  });
  return project;
}

/** Runs a program in the project; its standard output. */
async function program(project: string, text: string): Promise<string> {
  const file = join(project, 'program.mjs');
  writeFileSync(file, text);
  return (await execute(process.execPath, [file], { cwd: project })).stdout.trim();
}

function bytesUnder(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, e) => {
    const path = join(folder, e.name);
    return sum + (e.isDirectory() ? bytesUnder(path) : statSync(path).size);
  }, 0);
}

interface Manifest {
  readonly exports: Record<string, { readonly types: string; readonly default: string } | string>;
  readonly dependencies?: Record<string, string>;
  readonly version: string;
}
const manifestOf = (project: string, name: string): Manifest =>
  JSON.parse(readFileSync(join(project, 'node_modules', name, 'package.json'), 'utf8')) as Manifest;

/** Imports every export of an installed package and says how many names each gives. */
async function importEverything(project: string, name: string): Promise<Record<string, number>> {
  const entries = Object.entries(manifestOf(project, name).exports).filter(([, e]) => typeof e !== 'string');
  for (const [, e] of entries)
    if (typeof e !== 'string') expect(existsSync(join(project, 'node_modules', name, e.types))).toBe(true);
  const specifiers = entries.map(([path]) => name + path.slice(1));
  const text = await program(
    project,
    `const out = {};
for (const s of ${JSON.stringify(specifiers)}) out[s] = Object.keys(await import(s)).length;
console.log(JSON.stringify(out));
process.exit(0);`,
  );
  return JSON.parse(text) as Record<string, number>;
}

/** Ways in which a user's compiler finds the types of a package. */
const RESOLUTIONS = {
  nodenext: ['--module', 'nodenext', '--types', 'node'],
  bundler: ['--module', 'esnext', '--moduleResolution', 'bundler', '--types', ''],
} as const;

/** Type-checks a program against the installed types, as a user's compiler would; what it complains about. */
async function typeCheck(
  project: string,
  text: string,
  resolution: keyof typeof RESOLUTIONS = 'nodenext',
): Promise<string> {
  writeFileSync(join(project, 'check.ts'), text);
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const flags = ['--noEmit', '--strict', '--target', 'es2023', ...RESOLUTIONS[resolution]];
  const roots = ['--typeRoots', join(ROOT, 'node_modules/@types')];
  try {
    return (await execute(process.execPath, [tsc, ...flags, ...roots, 'check.ts'], { cwd: project })).stdout;
  } catch (e) {
    return (e as { stdout: string }).stdout;
  }
}

describe('starling-relay in an empty project', () => {
  let project: string;
  beforeAll(async () => {
    project = await install('starling-relay');
  });

  it('gives every export', async () => {
    const names = await importEverything(project, 'starling-relay');
    expect(Object.keys(names).sort()).toEqual([
      'starling-relay/client',
      'starling-relay/client/node',
      'starling-relay/client/web',
      'starling-relay/core',
      'starling-relay/core/node',
      'starling-relay/identity',
      'starling-relay/identity/node',
      'starling-relay/presence',
      'starling-relay/relay',
      'starling-relay/sectors',
      'starling-relay/wire',
    ]);
    for (const [name, count] of Object.entries(names)) expect(count, name).toBeGreaterThan(0);
  });

  it('computes with them: a hash and an address', async () => {
    const text = await program(
      project,
      `import { sha3_512 } from 'starling-relay/core';
import { addressFromText, addressText } from 'starling-relay/identity';
import { encodeFrame } from 'starling-relay/wire';
const address = '4NvkzqMBrauhJkjt1cBcc6VucrpTaHM212a6pikUjmw6pZKh3u95WaT5teFjrVVhi';
console.log(
  Buffer.from(sha3_512(new TextEncoder().encode('abc'))).toString('hex').slice(0, 16),
  addressText(addressFromText(address)) === address,
  encodeFrame(2, new Uint8Array(3)).length,
);
process.exit(0);`,
    );
    expect(text).toBe('b751850b1a57168a true 15');
  });

  it('carries types that check without the sources', async () => {
    const complaints = await typeCheck(
      project,
      `import { sha3_512 } from 'starling-relay/core';
import { type Wallet } from 'starling-relay/identity';
const digest: Uint8Array = sha3_512(new Uint8Array(0));
export type W = Wallet;
export { digest };
`,
    );
    expect(complaints).toBe('');
  });

  it('puts the command on the path', async () => {
    const bin = join(project, 'node_modules/.bin/starling');
    const { stdout } = await execute(bin, ['--version'], { cwd: project });
    expect(stdout).toContain(`starling ${manifestOf(project, 'starling-relay').version}`);
  });

  it('gives the relay where the native server cannot be loaded, too', async () => {
    const native = join(project, 'node_modules/uWebSockets.js');
    expect(existsSync(native)).toBe(true);
    rmSync(native, { recursive: true });
    const names = await importEverything(project, 'starling-relay');
    expect(names['starling-relay/relay']).toBeGreaterThan(0);
  });

  it('refuses what is not exported', async () => {
    const text = await program(
      project,
      `await import('starling-relay/dist/cli/main.js').catch((e) => console.log(e.code));`,
    );
    expect(text).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});

describe('starling-core in an empty project', () => {
  let project: string;
  beforeAll(async () => {
    project = await install('starling-core');
  });

  it('brings no dependency and less than 300 kB', () => {
    expect(readdirSync(join(project, 'node_modules')).filter((n) => !n.startsWith('.'))).toEqual([
      'starling-core',
    ]);
    expect(manifestOf(project, 'starling-core').dependencies).toBeUndefined();
    expect(bytesUnder(join(project, 'node_modules/starling-core'))).toBeLessThan(300_000);
  });

  it('hashes and compiles its module, synchronously and not', async () => {
    const text = await program(
      project,
      `import { crc32c, loadCore, loadCoreSync, sha512 } from 'starling-core';
const abc = new TextEncoder().encode('abc');
console.log(crc32c(abc).toString(16), Buffer.from(sha512(abc)).toString('hex').slice(0, 16));
console.log((await loadCore()).engine === loadCoreSync().engine);`,
    );
    expect(text).toBe('364b3fb7 ddaf35a193617aba\ntrue');
  });
});

describe.each(Object.keys(RESOLUTIONS) as (keyof typeof RESOLUTIONS)[])(
  'types of starling-core under %s',
  (resolution) => {
    let project: string;
    beforeAll(async () => {
      project = await install('starling-core');
    });

    it('check, without the library of Node and without skipping the package', async () => {
      const complaints = await typeCheck(
        project,
        `import { type Core, type HashForm, loadCore, loadRsaCore, type RsaItem, RsaVerdict } from 'starling-core';
import { enableRelaxedSimd } from 'starling-core/node';
enableRelaxedSimd();
const core: Core = await loadCore();
const form: HashForm = { rounds: 2, keepBytes: 44 };
const digests: Uint8Array = core.sha3_512Batch([new Uint8Array(1)], form);
const items: RsaItem[] = [];
const verdicts: Uint8Array | undefined = (await loadRsaCore('wasm-simd'))?.verifyBatch(items);
export const valid: 1 = RsaVerdict.valid;
export { digests, verdicts };
`,
        resolution,
      );
      expect(complaints).toBe('');
    });

    it('refuse what is wrong', async () => {
      const complaints = await typeCheck(
        project,
        `import { loadRsaCore } from 'starling-core';
await loadRsaCore('native');
`,
        resolution,
      );
      expect(complaints).toContain('TS2345');
    });
  },
);

describe('starling-client in an empty project', () => {
  it('gives every export and no native server', async () => {
    const project = await install('starling-client');
    const installed = readdirSync(join(project, 'node_modules'));
    expect(installed.filter((n) => /uws|uWebSockets|pino|msgpackr/i.test(n))).toEqual([]);
    const names = await importEverything(project, 'starling-client');
    for (const [name, count] of Object.entries(names)) expect(count, name).toBeGreaterThan(0);
    expect(Object.keys(names)).toContain('starling-client/web');
    // The native server alone weighs 133 MB.
    expect(bytesUnder(join(project, 'node_modules'))).toBeLessThan(20_000_000);
  });
});
