import { LoadError } from './errors.js';
import { startProcess } from './generator-child.js';
import { judge, type LoadResult } from './result.js';
import { type RunOptions, runLoad, saturates } from './run.js';
import type { Scenario } from './scenario.js';
import type { Target } from './target.js';

/** The sink must be there within this time. */
const startMs = 10_000;
/** Shorter than the test: it only has to show that the generator can. */
const windowSecondsMax = 10;

/** What the sink can play: everything over TCP but hostile connections, which need something that ends them. */
function forSink(scenario: Scenario): Scenario {
  return {
    ...scenario,
    windowSeconds: Math.min(scenario.windowSeconds, windowSecondsMax),
    groups: scenario.groups.map((g) => ({
      ...g,
      transport: 'tcp' as const,
      activities: g.activities.filter((a) => a.do !== 'garbage' && a.do !== 'keepAlives'),
    })),
  };
}

/**
 * Runs the same load against a bare sink in a process of its own on this machine: hands messages on, checks nothing,
 * signs nothing. What the generator reaches there it can reach anywhere; what it reaches there and not at the target is
 * the target's limit. `cpu` pins the sink to a processor core, best the one that the target had.
 */
export async function calibrate(
  scenario: Scenario,
  target: Target,
  options: RunOptions,
  cpu: string | null = null,
): Promise<LoadResult> {
  const sink = startProcess('sink-process', cpu);
  const gone = new Promise<void>((resolve) => sink.on('exit', () => resolve()));
  try {
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new LoadError('process', 'the sink did not start')), startMs);
      sink.on('message', (m) => {
        clearTimeout(timer);
        resolve((m as { port: number }).port);
      });
      sink.on('error', (e) =>
        reject(new LoadError('process', `the sink could not be started: ${e.message}`)),
      );
    });
    const place: Target = { ...target, host: '127.0.0.1', port, wsPort: port };
    return await runLoad(forSink(scenario), place, {
      ...options,
      verifyServer: false,
      targetPid: sink.pid ?? null,
    });
  } finally {
    if (sink.connected) sink.disconnect();
    await gone;
  }
}

/** The result with its calibration, and the verdict that follows from both. */
export function withCalibration(result: LoadResult, calibration: LoadResult): LoadResult {
  const { generator, latencies, perSecond, scenario } = result;
  return {
    ...result,
    calibration,
    verdict: judge(generator, latencies, calibration, perSecond, saturates(scenario)),
  };
}
