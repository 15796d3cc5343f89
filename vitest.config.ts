import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * What takes longest, the longest first: begun last, as their small files would have it on a fresh clone, they
 * would keep one worker while the other has nothing left to do.
 */
const LONG = [
  'client/suite',
  'relay/network',
  'load/run',
  'messages/vectors-08',
  'relay/tunnel',
  'operator/doctor',
  'cli/tune',
  'relay/hostile',
  'presence/store-budget',
];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = (file: TestSpecification): number => {
      const i = LONG.findIndex((name) => file.moduleId.endsWith(`/test/${name}.test.ts`));
      return i < 0 ? LONG.length : i;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

// One worker per core of the smallest supported machine; every suite is bounded, so a hang is a failure.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/slow/**', 'test/faults/**', 'node_modules/**'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
    maxWorkers: 2,
    // Of tests that may go side by side: they wait for each other's timers, and for none too long.
    maxConcurrency: 3,
    sequence: { sequencer: LongFirst },
  },
});
