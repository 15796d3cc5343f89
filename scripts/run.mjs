// What `npm start`, `npm test` and the other scripts run: installs when the lock file changed, builds when the
// sources changed, then does the task. Plain Node, so that it works on a fresh clone before anything is installed.
//
//   node scripts/run.mjs TASK [ARGUMENTS]

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);

/** Everything the built files depend on. */
const SOURCES = [
  'src',
  'assembly',
  'asconfig.json',
  'tsconfig.json',
  'scripts/build-wasm.mjs',
  'scripts/build-workerd.mjs',
  'scripts/build-cli.mjs',
  'scripts/build-pages.mjs',
  'package.json',
];
const GENERATED = ['src/core/generated/', 'src/load/generated/'];

const say = (text) => process.stderr.write(`${text}\n`);

function filesUnder(path) {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** Runs a command to its end with the given streams; its exit code, or 1 for a signal. */
function run(command, args, env = {}, stdio = 'inherit') {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio, env: { ...process.env, ...env } });
    // Ctrl-C reaches the child by itself; a TERM for us alone is passed on.
    const ignore = () => undefined;
    const pass = () => child.kill('SIGTERM');
    process.on('SIGINT', ignore);
    process.on('SIGTERM', pass);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', ignore);
      process.off('SIGTERM', pass);
      resolve(signal === null ? (code ?? 1) : 1);
    });
  });
}

/** A step before the task: what it says goes to standard error, which belongs to no script's output. */
async function must(command, args) {
  const code = await run(command, args, {}, ['ignore', 2, 2]);
  if (code !== 0) process.exit(code);
}

const node = (args, env) => run(process.execPath, args, env);
const mustNode = (args) => must(process.execPath, args);

/** A tool of ours from node_modules, run with this very Node. */
function tool(name, bin = name) {
  const manifest = JSON.parse(readFileSync(at('node_modules', name, 'package.json'), 'utf8'));
  const path = typeof manifest.bin === 'string' ? manifest.bin : manifest.bin[bin];
  return at('node_modules', name, path);
}

/** True when node_modules holds what the lock file asks for, however it came there. */
function installMatches(lockText) {
  const hidden = at('node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const wanted = JSON.parse(lockText).packages;
  const present = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  return Object.entries(wanted).every(([path, p]) => {
    if (path === '') return true;
    const found = present[path];
    // Packages for other systems are left out by npm itself.
    if (found === undefined) return p.optional === true || p.peer === true;
    return found.version === p.version;
  });
}

async function install() {
  const lockText = readFileSync(at('package-lock.json'), 'utf8');
  const stamp = at('node_modules', '.starling-lock');
  const wanted = sha256(lockText);
  linkCommand();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (!installMatches(lockText)) {
    say('Installing (the lock file changed) …');
    const npm = process.env.npm_execpath;
    const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
    if (npm?.endsWith('.js')) await mustNode([npm, ...args]);
    else await must(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
  }
  writeFileSync(stamp, wanted);
  linkCommand();
}

/** Makes `npx starling` find this clone at once; without the link npx copies the package into its cache first. */
function linkCommand() {
  const bin = at('node_modules', '.bin');
  if (process.platform === 'win32' || !existsSync(bin) || existsSync(join(bin, 'starling'))) return;
  symlinkSync('../../scripts/starling.mjs', join(bin, 'starling'));
}

function sourceHash() {
  const hash = createHash('sha256');
  for (const source of SOURCES)
    for (const file of filesUnder(at(source))) {
      const name = relative(root, file).replaceAll('\\', '/');
      if (GENERATED.some((folder) => name.startsWith(folder))) continue;
      const bytes = readFileSync(file);
      hash.update(`${name} ${bytes.length}\n`).update(bytes);
    }
  return hash.digest('hex');
}

/** Built files whose source is gone would be published, and imported by mistake. */
function dropStale() {
  for (const file of filesUnder(at('dist'))) {
    const name = relative(at('dist'), file);
    const source = name.replace(/(\.d\.ts|\.js)$/, '.ts');
    // Made anew as a whole.
    if (['workerd', 'pages', 'bin'].includes(dirname(name).split(/[\\/]/)[0])) continue;
    if (source !== name && !existsSync(at('src', source))) rmSync(file);
  }
}

async function build() {
  const stamp = at('dist', '.sources');
  const wanted = sourceHash();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('Building …');
  await mustNode([at('scripts', 'build-wasm.mjs')]);
  await mustNode([tool('typescript', 'tsc'), '-p', 'tsconfig.json']);
  await mustNode([at('scripts', 'build-pages.mjs')]);
  await mustNode([at('scripts', 'build-cli.mjs')]);
  dropStale();
  await mustNode([at('scripts', 'build-workerd.mjs')]);
  writeFileSync(stamp, wanted);
}

const starling = (args) => node([at('dist', 'bin', 'main.js'), ...args]);
const vitest = (args, env) => node([tool('vitest'), 'run', ...args], env);

/** First non-zero exit code of steps that all run. */
async function all(...steps) {
  let worst = 0;
  for (const step of steps) worst ||= await step();
  return worst;
}

const LEFT_TO_CI = [
  'packages installed into empty projects, the core in every runtime (npm run test:slow)',
  'browser tests in Chromium (npm run test:e2e)',
  'relays killed, disks full, clocks moved (npm run test:faults)',
  'minutes of fuzzing (npm run test:fuzz)',
];

/** Each task: whether it needs the build, what it does, for `npm run`. */
const TASKS = {
  build: { build: true, run: async () => 0 },
  start: { build: true, run: (args) => starling(['devnet', ...args]) },
  starling: { build: true, run: starling },
  vectors: {
    build: true,
    run: (args) => starling(['vectors', ...(args.length > 0 ? args : ['test/vectors'])]),
  },
  test: {
    build: true,
    async run(args) {
      const code = await vitest(args);
      if (args.length === 0) say(`\nLeft to .ci/run: ${LEFT_TO_CI.join('; ')}.`);
      return code;
    },
  },
  slow: { build: true, run: (args) => vitest(['--config', 'test/slow/vitest.config.ts', ...args]) },
  e2e: { build: true, run: (args) => vitest(['--config', 'test/e2e/vitest.config.ts', ...args]) },
  faults: { build: true, run: (args) => vitest(['--config', 'test/faults/vitest.config.ts', ...args]) },
  fuzz: {
    build: true,
    run: (args) => vitest(['test/fuzz', ...args], { FUZZ_SECONDS: process.env.FUZZ_SECONDS ?? '60' }),
  },
  lint: {
    build: false,
    run: () => node([tool('@biomejs/biome', 'biome'), 'check', '--error-on-warnings', '.']),
  },
  check: {
    build: true,
    run: () =>
      all(
        () => node([tool('typescript', 'tsc'), '-p', 'tsconfig.check.json']),
        () => node([tool('@biomejs/biome', 'biome'), 'check', '--error-on-warnings', '.']),
        () => node([at('scripts', 'check-rooms.mjs')]),
      ),
  },
  pack: { build: true, run: (args) => node([at('scripts', 'pack.mjs'), ...args]) },
  mutation: { build: true, run: (args) => node([at('scripts', 'mutation.mjs'), ...args]) },
};

const [major] = process.versions.node.split('.').map(Number);
if (major < 20) {
  say(`Starling needs Node 20 or newer, this is ${process.versions.node}.`);
  process.exit(1);
}
const [name, ...args] = process.argv.slice(2);
const task = Object.hasOwn(TASKS, name ?? '') ? TASKS[name] : undefined;
if (task === undefined) {
  say(`Usage: node scripts/run.mjs ${Object.keys(TASKS).join('|')} [ARGUMENTS]`);
  process.exit(2);
}
await install();
if (task.build) await build();
process.exit(await task.run(args));
