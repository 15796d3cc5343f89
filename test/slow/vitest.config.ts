import { defineConfig } from 'vitest/config';

// Minutes instead of seconds: installs from the registry, real processes, real time. Run by .ci/run.
export default defineConfig({
  test: {
    include: ['test/slow/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    // One after the other: they measure times and share the machine with nobody.
    maxWorkers: 1,
    fileParallelism: false,
  },
});
