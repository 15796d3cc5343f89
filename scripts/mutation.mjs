// Mutation testing with Stryker, on request and not a dependency: it is fetched for the run.
//
//   npm run mutation                          the rules of presence and handshake
//   npm run mutation -- src/presence/rules-time.ts [FILE[:FROM-TO] …]
//
// It mutates the last commit, in a copy outside this tree, so that work in progress neither counts nor is
// disturbed. The report lands in reports/mutation/. What survived, and why, belongs into docs/mutation.md.

import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '9.0.1';
/** Stryker uses the compiler's old interface, which our own no longer has. */
const TYPESCRIPT = '5.9.3';
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * What is mutated, and by which tests it is to be noticed: the ones named after its rules. Others notice some
 * mutants too, but a mutant costs a second for each file of tests, and a rule should be held by its own.
 */
const SETS = [
  rules('claim', 'rules-claim'),
  rules('hostname', 'rules-hostname'),
  rules('pow', 'pow'),
  rules('presence', 'rules-presence'),
  rules('request', 'gate'),
  rules('time', 'rules-claim'),
  { name: 'service', files: ['src/presence/service.ts'], tests: ['test/presence/service-*.test.ts'] },
  {
    name: 'store',
    files: ['memory-store', 'sector-index', 'wheel'].map((f) => `src/presence/${f}.ts`),
    tests: ['test/presence/store.test.ts'],
  },
  { name: 'handshake', files: ['src/link/handshake.ts'], tests: ['test/link/handshake{,-verdict}.test.ts'] },
];

function rules(name, test) {
  return { name, files: [`src/presence/rules-${name}.ts`], tests: [`test/presence/${test}.test.ts`] };
}

const asked = process.argv.slice(2);
/** Set → what to mutate of it. */
const chosen = new Map();
if (asked.length === 0) for (const set of SETS) chosen.set(set, set.files);
for (const file of asked) {
  const set = SETS.find((s) => s.files.includes(file.replace(/:\d.*$/, '')));
  if (set === undefined) {
    console.error(`no tests are named for ${file}; known: ${SETS.flatMap((s) => s.files).join(' ')}`);
    process.exit(2);
  }
  chosen.set(set, [...(chosen.get(set) ?? []), file]);
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

async function must(command, args, options) {
  const code = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}`);
}

/** Stryker's core must find its runner and vitest beside it, so all go to a folder of their own. */
async function installStryker() {
  const folder = join(tmpdir(), `starling-stryker-${VERSION}`);
  const done = join(folder, '.complete');
  if (!existsSync(done)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"private": true, "type": "module"}\n');
    const packages = [
      `@stryker-mutator/core@${VERSION}`,
      `@stryker-mutator/vitest-runner@${VERSION}`,
      `typescript@${TYPESCRIPT}`,
    ];
    const options = ['--no-audit', '--no-fund', '--no-save', '--legacy-peer-deps', '--loglevel=error'];
    await must('npm', ['install', ...options, ...packages], { cwd: folder });
    writeFileSync(done, '');
  }
  // The runner must drive the very vitest that the tests import.
  const vitest = join(folder, 'node_modules', 'vitest');
  const ours = join(root, 'node_modules', 'vitest');
  if (!existsSync(vitest) || realpathSync(vitest) !== realpathSync(ours)) {
    rmSync(vitest, { recursive: true, force: true });
    symlinkSync(ours, vitest);
  }
  return folder;
}

/** The last commit, built as far as tests need it. */
async function copyOfHead(folder) {
  await must('git', ['clone', '--quiet', '--shared', root, folder]);
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  await must(process.execPath, [join(folder, 'scripts', 'build-wasm.mjs')], { cwd: folder });
}

/** Runs Stryker over one set; its exit status. */
async function mutateSet(stryker, folder, set, mutate) {
  const vitest = `vitest.${set.name}.mutation.ts`;
  const config = {
    testRunner: 'vitest',
    plugins: [join(stryker, 'node_modules/@stryker-mutator/vitest-runner/dist/src/index.js')],
    vitest: { configFile: vitest },
    mutate,
    coverageAnalysis: 'perTest',
    // A mutant that changes a delay or a queue needs the machine for itself to be told from a slow one.
    concurrency: 1,
    timeoutMS: 20_000,
    reporters: ['clear-text', 'json', 'html', 'progress-append-only'],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    jsonReporter: { fileName: `reports/mutation/${set.name}.json` },
    htmlReporter: { fileName: `reports/mutation/${set.name}.html` },
    // The folder is a copy already.
    inPlace: true,
    // vitest does not look at types, and assembly/ is no TypeScript that a parser would know.
    disableTypeChecks: false,
    ignorePatterns: ['dist', 'docs', 'bench', 'assembly'],
  };
  const configFile = join(folder, `stryker.${set.name}.json`);
  writeFileSync(configFile, `${JSON.stringify(config, null, 2)}\n`);
  writeFileSync(
    join(folder, vitest),
    `import { defineConfig } from 'vitest/config';
export default defineConfig({
  test: { include: ${JSON.stringify(set.tests)}, testTimeout: 20_000, maxWorkers: 1 },
});
`,
  );
  const bin = join(stryker, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const code = await run(process.execPath, [bin, 'run', configFile], { cwd: folder });
  const reports = join(folder, 'reports');
  if (existsSync(reports)) cpSync(reports, join(root, 'reports'), { recursive: true });
  return code;
}

const head = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
  cwd: root,
  encoding: 'utf8',
}).stdout.trim();
const temporary = mkdtempSync(join(tmpdir(), 'starling-mutation-'));
let worst = 0;
try {
  const stryker = await installStryker();
  const folder = join(temporary, 'copy');
  await copyOfHead(folder);
  for (const [set, mutate] of chosen) {
    console.log(`mutating ${mutate.join(', ')} of ${head}`);
    worst ||= await mutateSet(stryker, folder, set, mutate);
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
process.exit(worst);
