// Mutation testing with Stryker, on request and not a dependency: it is fetched for the run.
//
//   npm run mutation                          the rules of presence and handshake
//   npm run mutation -- src/presence/rules-time.ts [FILE …]
//
// The report lands in reports/mutation/. What survived, and why, belongs into docs/mutation.md.

import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '9.0.1';
/** Stryker uses the compiler's old interface, which our own no longer has. */
const TYPESCRIPT = '5.9.3';
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Which tests can notice a mutant of a room: running all of them for each mutant would take days. */
const TESTS = {
  presence: 'test/presence/**/*.test.ts',
  link: 'test/link/**/*.test.ts',
};

const rulesOf = (dir, pattern) =>
  readdirSync(join(root, dir))
    .filter((f) => pattern.test(f))
    .map((f) => `${dir}/${f}`);

const asked = process.argv.slice(2);
const files =
  asked.length > 0
    ? asked
    : [...rulesOf('src/presence', /^rules-.*\.ts$/), ...rulesOf('src/link', /^handshake.*\.ts$/)];

/** One run per room, so that each mutant meets only the tests of its room. */
const rooms = new Map();
for (const f of files) {
  const room = f.split('/')[1];
  if (TESTS[room] === undefined) {
    console.error(`no tests are named for ${f}; known rooms: ${Object.keys(TESTS).join(', ')}`);
    process.exit(2);
  }
  rooms.set(room, [...(rooms.get(room) ?? []), f]);
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** Stryker's core must find its runner and vitest beside it, so both go to a folder of their own. */
async function installStryker() {
  const folder = join(tmpdir(), `starling-stryker-${VERSION}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private": true, "type": "module"}\n');
  const packages = [
    `@stryker-mutator/core@${VERSION}`,
    `@stryker-mutator/vitest-runner@${VERSION}`,
    `typescript@${TYPESCRIPT}`,
  ];
  const code = await run(
    'npm',
    [
      'install',
      '--no-audit',
      '--no-fund',
      '--no-save',
      '--legacy-peer-deps',
      '--loglevel=error',
      ...packages,
    ],
    { cwd: folder },
  );
  if (code !== 0) process.exit(code);
  // The runner must drive the very vitest that the tests import.
  const vitest = join(folder, 'node_modules', 'vitest');
  rmSync(vitest, { recursive: true, force: true });
  symlinkSync(join(root, 'node_modules', 'vitest'), vitest);
  return folder;
}

const stryker = await installStryker();
let worst = 0;
for (const [room, mutate] of rooms) {
  const config = join(root, `stryker.${room}.tmp.json`);
  const vitest = join(root, `vitest.${room}.tmp.config.ts`);
  const text = {
    testRunner: 'vitest',
    plugins: [join(stryker, 'node_modules/@stryker-mutator/vitest-runner/dist/src/index.js')],
    vitest: { configFile: `vitest.${room}.tmp.config.ts` },
    mutate,
    // Log messages and error texts are for people: a mutant there says nothing about a rule.
    mutator: { excludedMutations: ['StringLiteral'] },
    coverageAnalysis: 'perTest',
    concurrency: 2,
    timeoutMS: 20_000,
    reporters: ['clear-text', 'json', 'html', 'progress'],
    jsonReporter: { fileName: `reports/mutation/${room}.json` },
    htmlReporter: { fileName: `reports/mutation/${room}.html` },
    tempDirName: '.stryker-tmp',
    cleanTempDir: 'always',
    // vitest does not look at types, and assembly/ is no TypeScript that a parser would know.
    disableTypeChecks: false,
    ignorePatterns: ['dist', 'reports', 'docs', 'bench'],
  };
  writeFileSync(config, `${JSON.stringify(text, null, 2)}\n`);
  writeFileSync(
    vitest,
    `import { defineConfig } from 'vitest/config';
export default defineConfig({
  test: { include: ['${TESTS[room]}'], testTimeout: 20_000, pool: 'forks', maxWorkers: 1 },
});
`,
  );
  try {
    const bin = join(stryker, 'node_modules/@stryker-mutator/core/bin/stryker.js');
    worst ||= await run(process.execPath, [bin, 'run', config], { cwd: root });
  } finally {
    rmSync(config, { force: true });
    rmSync(vitest, { force: true });
  }
}
process.exit(worst);
