// Makes a fresh clone runnable with nothing but Node and npm: installs when the lock file changed, builds when
// sources changed. Plain Node without dependencies, because it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '..');

const hash = (parts) => {
  const h = createHash('sha256');
  for (const p of parts) h.update(p);
  return h.digest('hex');
};

const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** Runs a command in the repository and ends this process when it fails. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (done.error) throw done.error;
  if (done.status !== 0) process.exit(done.status ?? 1);
}

/** Installs the locked packages unless they are already there. */
export function install() {
  const stamp = join(root, 'node_modules', '.starling-lock');
  const want = hash([readFileSync(join(root, 'package-lock.json')), process.versions.modules]);
  if (read(stamp) === want) return;
  process.stderr.write('installing packages (only after the lock file changed) …\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  run(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { shell: process.platform === 'win32' });
  writeFileSync(stamp, want);
}

function* files(dir) {
  for (const e of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, e.name);
    if (e.isDirectory()) {
      // What the build itself writes must not count as a change.
      if (e.name !== 'generated') yield* files(path);
    } else if (e.isFile()) yield path;
  }
}

/** Compiles kernels and TypeScript unless nothing changed since the last time. */
export function build() {
  const sources = ['assembly', 'src']
    .flatMap((d) => [...files(join(root, d))])
    .concat(
      ['asconfig.json', 'tsconfig.json', 'package-lock.json', 'scripts/build-wasm.mjs'].map((f) =>
        join(root, f),
      ),
    );
  const facts = sources
    .sort()
    .map((f) => `${f.slice(root.length)}:${statSync(f).size}:${hash([readFileSync(f)])}\n`);
  const want = hash(facts);
  const stamp = join(root, 'build', '.starling-sources');
  const built =
    existsSync(join(root, 'dist', 'cli', 'main.js')) && existsSync(join(root, 'src/core/generated'));
  if (built && read(stamp) === want) return;
  process.stderr.write('building …\n');
  run(process.execPath, ['scripts/build-wasm.mjs']);
  run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']);
  mkdirSync(join(root, 'build'), { recursive: true });
  writeFileSync(stamp, want);
}
