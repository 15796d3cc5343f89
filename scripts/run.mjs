// `npm start` and `npm test` on a fresh clone: install and build what is missing, then do the job.
import { spawn } from 'node:child_process';
import { build, install, root, run } from './ensure.mjs';

const [job = 'help', ...args] = process.argv.slice(2);

const vitest = (...more) =>
  run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...more, ...args]);

/** A long-running command: signals reach it, its exit code is ours. */
function hand(argv) {
  const child = spawn(process.execPath, argv, { cwd: root, stdio: 'inherit' });
  // The terminal sends Ctrl-C to the whole group; waiting for the child lets it end in order.
  for (const s of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(s, () => (s === 'SIGINT' ? undefined : child.kill(s)));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)));
}

const LEFT_TO_CI =
  'Left to `bash .ci/run`: packages installed into empty projects (test/slow), the browser (test/e2e), longer fuzzing.';

const JOBS = {
  build: () => {
    install();
    build();
  },
  start: () => {
    JOBS.build();
    hand(['dist/cli/main.js', 'devnet', ...args]);
  },
  starling: () => {
    JOBS.build();
    hand(['dist/cli/main.js', ...args]);
  },
  test: () => {
    JOBS.build();
    process.on('exit', () => process.stderr.write(`\n${LEFT_TO_CI}\n`));
    vitest();
  },
  slow: () => {
    JOBS.build();
    vitest('--config', 'vitest.slow.config.ts');
  },
  e2e: () => {
    JOBS.build();
    vitest('--config', 'vitest.e2e.config.ts');
  },
  check: () => {
    JOBS.build();
    run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.check.json']);
    run(process.execPath, ['node_modules/@biomejs/biome/bin/biome', 'check']);
    run(process.execPath, ['scripts/check-rooms.mjs']);
  },
};

if (!(job in JOBS)) {
  process.stderr.write(`usage: node scripts/run.mjs ${Object.keys(JOBS).join(' | ')}\n`);
  process.exit(2);
}
JOBS[job]();
