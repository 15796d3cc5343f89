import type { Counters } from '../counters/index.js';
import type { VerifyEngine } from '../identity/index.js';

/** The same engine, with its verdicts, durations and what waits in it counted. */
export function measuredEngine(engine: VerifyEngine, counters: Counters): VerifyEngine {
  const duration = counters.histogram('ixian_verify_duration_seconds');
  const pending = counters.gauge('ixian_verify_pending');
  const good = counters.counter('ixian_verify_results_total', '', { result: 'valid' });
  const bad = counters.counter('ixian_verify_results_total', '', { result: 'invalid' });
  return {
    name: engine.name,
    get operations(): number {
      return engine.operations;
    },
    async verify(items) {
      const started = performance.now();
      pending.add(items.length);
      try {
        const verdicts = await engine.verify(items);
        for (const v of verdicts) (v ? good : bad).add();
        return verdicts;
      } finally {
        pending.add(-items.length);
        duration.observe((performance.now() - started) / 1000);
      }
    },
    close: () => engine.close(),
  };
}
