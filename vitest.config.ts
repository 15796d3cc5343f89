import { defineConfig } from 'vitest/config';

// One worker per core of the smallest supported machine; every suite is bounded, so a hang is a failure.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/slow/**', 'test/faults/**', 'node_modules/**'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
    maxWorkers: 2,
    // Of tests that go side by side in one file: each has to keep its own times.
    maxConcurrency: 3,
  },
});
