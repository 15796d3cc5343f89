import { defineConfig } from 'vitest/config';

// Faults: processes killed, disks full, clocks moved. One after the other, since they measure memory. Run by .ci/run.
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    execArgv: ['--expose-gc'],
  },
});
