// Compiles assembly/ to WebAssembly: build/<name>.wasm, and <name>.ts with the same bytes in base64 in the `generated`
// folder of the room that uses it.
//
//   node scripts/build-wasm.mjs            builds what changed, and keeps the table of sizes
//   node scripts/build-wasm.mjs --check    builds everything twice more, in copies of the sources elsewhere, and compares
//                                          the bytes with each other, with build/ and with the table of sizes
//
// A module is a target of asconfig.json whose entry file is assembly/<target>.ts.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const generatedDir = join(root, 'src', 'core', 'generated');
/** Modules that are none of the core's. */
const ROOMS = { 'small-prime-signer': 'load' };
const buildDir = join(root, 'build');
const check = process.argv.includes('--check');

/** Everything the bytes depend on, so that an unchanged tree is not compiled again. */
async function inputHash() {
  const hash = createHash('sha256').update(`asc ${asc.version}\n`);
  const names = (await readdir(join(root, 'assembly'), { recursive: true })).filter((n) => n.endsWith('.ts'));
  for (const name of [
    'asconfig.json',
    'scripts/build-wasm.mjs',
    ...names.sort().map((n) => `assembly/${n}`),
  ]) {
    const text = await readFile(join(root, name));
    hash.update(`${name.replaceAll('\\', '/')} ${text.length}\n`).update(text);
  }
  return hash.digest('hex');
}

/** The bytes of one module. */
async function compile(target) {
  let bytes = null;
  const result = await asc.main(
    [`assembly/${target}.ts`, '--config', 'asconfig.json', '--target', target, '--outFile', 'out.wasm'],
    {
      readFile: (name, base) => readFile(join(base === '.' ? root : base, name), 'utf8').catch(() => null),
      writeFile: (name, data) => {
        if (name.endsWith('out.wasm')) bytes = data;
      },
      listFiles: (name, base) => readdir(join(base === '.' ? root : base, name)).catch(() => null),
      baseDir: root,
    },
  );
  const errors = result.stderr.toString();
  if (result.error !== null || bytes === null) throw new Error(`${target} does not compile\n${errors}`);
  if (errors !== '') process.stderr.write(errors);
  return bytes;
}

/** Written beside and renamed, so that a reader never sees half a file. */
async function put(path, data) {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, data);
  await rename(temporary, path);
}

function generatedSource(target, bytes) {
  return [
    `// Made by scripts/build-wasm.mjs from assembly/${target}.ts. Not kept in the repository.`,
    '',
    `/** The compiled module, ${bytes.length} bytes, in base64. */`,
    `export const ${target.replace(/-(.)/g, (_, letter) => letter.toUpperCase())}Wasm =`,
    `  '${Buffer.from(bytes).toString('base64')}';`,
    '',
  ].join('\n');
}

const config = JSON.parse(await readFile(join(root, 'asconfig.json'), 'utf8'));
const targets = Object.keys(config.targets);
const stampFile = join(generatedDir, '.inputs');
const stamp = await inputHash();

/** Committed, so that a change of size is seen in review. */
const sizesFile = join(root, 'bench', 'results', 'module-sizes.md');

/** Bytes by module, as the table has them. */
async function committedSizes() {
  const text = await readFile(sizesFile, 'utf8').catch(() => '');
  return Object.fromEntries(
    [...text.matchAll(/^\| `([\w-]+)\.wasm` \| (\d+) \|/gm)].map((m) => [m[1], Number(m[2])]),
  );
}

/** Rewrites the table when a size changed; not for gzip's, which differs a little between versions of zlib. */
async function keepSizes(modules) {
  const before = await committedSizes();
  if (modules.every(({ target, bytes }) => before[target] === bytes.length)) return;
  const rows = modules.map(
    ({ target, bytes }) =>
      `| \`${target}.wasm\` | ${bytes.length} | ${gzipSync(bytes, { level: 9 }).length} |`,
  );
  const text = [
    '# Sizes of the WebAssembly modules',
    '',
    'Written by `npm run build` when a size changes, compared by `node scripts/build-wasm.mjs --check`.',
    '',
    '| Module | Bytes | gzipped |',
    '|---|---:|---:|',
    ...rows,
    '',
  ].join('\n');
  await put(sizesFile, text);
}

/** Builds in a copy of the sources with a path of its own, in a process of its own; the bytes by module. */
async function buildElsewhere(prefix) {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  try {
    for (const name of ['assembly', 'asconfig.json', 'package.json', 'scripts/build-wasm.mjs'])
      await cp(join(root, name), join(folder, name), { recursive: true });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
    execFileSync(process.execPath, [join(folder, 'scripts', 'build-wasm.mjs')], { cwd: folder });
    const read = async (target) => [target, await readFile(join(folder, 'build', `${target}.wasm`))];
    return Object.fromEntries(await Promise.all(targets.map(read)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (check) {
  const first = await buildElsewhere('starling-wasm-');
  const second = await buildElsewhere('starling-wasm-once-more-');
  const sizes = await committedSizes();
  for (const target of targets) {
    const built = await readFile(join(buildDir, `${target}.wasm`));
    if (!first[target].equals(second[target])) throw new Error(`${target}: two builds differ`);
    if (!first[target].equals(built)) throw new Error(`${target}: build/ holds other bytes`);
    if (sizes[target] !== built.length)
      throw new Error(
        `${target}: ${built.length} bytes, bench/results/module-sizes.md says ${sizes[target]}`,
      );
    const hash = createHash('sha256').update(built).digest('hex');
    console.log(`${target}.wasm  ${built.length} bytes  ${hash}  two builds and build/ equal`);
  }
} else if ((await readFile(stampFile, 'utf8').catch(() => '')) === stamp) {
  console.log('WebAssembly modules are up to date');
} else {
  const modules = [];
  for (const target of targets) {
    const bytes = await compile(target);
    modules.push({ target, bytes });
    await put(join(buildDir, `${target}.wasm`), bytes);
    const room = ROOMS[target] ?? 'core';
    await put(join(root, 'src', room, 'generated', `${target}.ts`), generatedSource(target, bytes));
    console.log(`${target}.wasm  ${bytes.length} bytes, ${gzipSync(bytes).length} gzipped`);
  }
  await keepSizes(modules);
  await put(stampFile, stamp);
}
