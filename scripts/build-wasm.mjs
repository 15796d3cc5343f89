// Compiles assembly/ to WebAssembly: build/<name>.wasm, and src/core/generated/<name>.ts with the same bytes in base64.
//
//   node scripts/build-wasm.mjs            builds what changed
//   node scripts/build-wasm.mjs --check    builds everything twice and compares the bytes
//
// A module is a target of asconfig.json whose entry file is assembly/<target>.ts.

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const generatedDir = join(root, 'src', 'core', 'generated');
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
    `export const ${target}Wasm =`,
    `  '${Buffer.from(bytes).toString('base64')}';`,
    '',
  ].join('\n');
}

const config = JSON.parse(await readFile(join(root, 'asconfig.json'), 'utf8'));
const targets = Object.keys(config.targets);
const stampFile = join(generatedDir, '.inputs');
const stamp = await inputHash();

if (check) {
  for (const target of targets) {
    const first = await compile(target);
    const second = await compile(target);
    if (Buffer.compare(first, second) !== 0) throw new Error(`${target}: two builds differ`);
    console.log(`${target}.wasm  ${createHash('sha256').update(first).digest('hex')}  two builds equal`);
  }
} else if ((await readFile(stampFile, 'utf8').catch(() => '')) === stamp) {
  console.log('WebAssembly modules are up to date');
} else {
  for (const target of targets) {
    const bytes = await compile(target);
    await put(join(buildDir, `${target}.wasm`), bytes);
    await put(join(generatedDir, `${target}.ts`), generatedSource(target, bytes));
    console.log(`${target}.wasm  ${bytes.length} bytes, ${gzipSync(bytes).length} gzipped`);
  }
  await put(stampFile, stamp);
}
