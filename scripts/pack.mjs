// Packs the three published packages into tarballs:
//
//   node scripts/pack.mjs [FOLDER]      (default: build/packages)
//
// starling-relay   everything, from package.json
// starling-core    the core room alone: no dependency
// starling-client  the SDK and what it reaches: no native server
//
// The manifests of the last two are packages/*.json; files are found by following imports from their exports.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const out = resolve(process.argv[2] ?? join(root, 'build', 'packages'));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Modules a built file or its types name. */
function importsOf(path) {
  const text = readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return [
    ...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+|\bnew URL\(\s*)(['"])([\w@./:#-]+)\1/g),
  ].map((m) => m[2]);
}

/** Every built file that the entries reach, and the packages they name. */
function reach(entries) {
  const files = new Set();
  const packages = new Set();
  const todo = entries.map((e) => join(root, e));
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    if (files.has(path)) continue;
    files.add(path);
    if (path.endsWith('.wasm')) continue;
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith('node:')) continue;
      if (!specifier.startsWith('.')) {
        const parts = specifier.split('/');
        packages.add(specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]);
        continue;
      }
      const js = join(dirname(path), specifier);
      todo.push(path.endsWith('.d.ts') ? js.replace(/\.js$/, '.d.ts') : js);
    }
  }
  return { files: [...files].sort(), packages };
}

function npmPack(folder) {
  const npm = process.env.npm_execpath;
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', out];
  const text = npm?.endsWith('.js')
    ? execFileSync(process.execPath, [npm, ...args], { cwd: folder, encoding: 'utf8' })
    : execFileSync('npm', args, { cwd: folder, encoding: 'utf8' });
  return text.trim().split('\n').at(-1);
}

/** Copies what a small package needs into a folder of its own, with its manifest. */
function stage(name) {
  const own = JSON.parse(readFileSync(join(root, 'packages', `${name}.json`), 'utf8'));
  const entries = Object.values(own.exports).flatMap((e) => (typeof e === 'string' ? [] : Object.values(e)));
  const { files, packages } = reach(entries);
  const dependencies = {};
  for (const p of [...packages].sort()) {
    const version = manifest.dependencies[p];
    if (version === undefined) throw new Error(`${name} reaches ${p}, which is no dependency`);
    dependencies[p] = version;
  }
  const wanted = own.starlingDependencies;
  if (JSON.stringify(wanted) !== JSON.stringify(Object.keys(dependencies)))
    throw new Error(
      `${name} reaches ${Object.keys(dependencies).join(', ') || 'nothing'}, packages/${name}.json allows ${wanted.join(', ') || 'nothing'}`,
    );
  const { starlingDependencies: _allowed, ...published } = own;
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const full = {
    ...published,
    version: manifest.version,
    license: manifest.license,
    type: manifest.type,
    engines: manifest.engines,
    sideEffects: false,
    files: ['dist'],
    ...(wanted.length === 0 ? {} : { dependencies }),
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(full, null, 2)}\n`);
  for (const f of files) cpSync(f, join(folder, 'dist', relative(dist, f)));
  for (const f of ['LICENSE', `packages/${name}.md`])
    cpSync(join(root, f), join(folder, f === 'LICENSE' ? 'LICENSE' : 'README.md'));
  return folder;
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
console.log(npmPack(root));
for (const name of ['starling-core', 'starling-client']) {
  const folder = stage(name);
  try {
    console.log(npmPack(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
