/**
 * The load generator: many identities cheaply, scenarios, an open loop with latency from the intended send time, and
 * proof that the generator is not the limit. `starling load` shows it on a terminal, `bench/` builds on it.
 */
export { calibrate, withCalibration } from './calibrate.js';
export { LoadError, type LoadErrorKind } from './errors.js';
export { HdrHistogram, type HistogramData, type HistogramSummary } from './histogram.js';
export { htmlReport } from './html/report.js';
export { Identities, type Identity } from './keys/identities.js';
export { messageBytesMax, messageBytesMin } from './message.js';
export type {
  LoadResult,
  MachineFacts,
  MessageFigures,
  ProcessFigures,
  SecondFigures,
  TargetFigures,
  Verdict,
} from './result.js';
export { type Phase, processesMax, type RunOptions, runLoad } from './run.js';
export { type Activity, type Group, parseScenario, type Scenario } from './scenario.js';
export { builtInScenarios, loadScenario, withSetting } from './scenario-files.js';
export { isLoopback, parseTarget, type Target, type TargetOptions } from './target.js';
