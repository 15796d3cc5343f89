import type { HistogramData } from './histogram.js';
import type { MetricsData } from './metrics.js';
import { type Group, type Scenario, unitOf } from './scenario.js';

/** What one generator process is told to do; plain data, for it travels over a pipe. */
export interface GeneratorPlan {
  readonly scenario: Scenario;
  readonly host: string;
  readonly port: number;
  readonly wsPort: number;
  readonly network: 'main' | 'test' | 'reg';
  readonly line: '0.9.7' | '0.9.8';
  /** Decides every key. */
  readonly seed: string;
  /** Marks this test's messages, 32 bits. */
  readonly run: number;
  readonly processIndex: number;
  readonly processes: number;
  readonly pacing: 'timer' | 'spin';
  /** Check the signature of the relay's first answer in each process; off against the bare sink, which has no key. */
  readonly verifyServer: boolean;
}

/** Clients `from`…`to` of a group are that process's. */
export function partOf(
  group: Group,
  index: number,
  { scenario, processIndex, processes }: Pick<GeneratorPlan, 'scenario' | 'processIndex' | 'processes'>,
): { readonly from: number; readonly to: number } {
  if (scenario.groupsApart) return { from: 0, to: index % processes === processIndex ? group.clients : 0 };
  const unit = unitOf(group);
  const units = group.clients / unit;
  return {
    from: Math.floor((units * processIndex) / processes) * unit,
    to: Math.floor((units * (processIndex + 1)) / processes) * unit,
  };
}

/** How far that process gives way: as the least of the groups that it runs. */
export function nicenessOf(plan: Pick<GeneratorPlan, 'scenario' | 'processIndex' | 'processes'>): number {
  const own = plan.scenario.groups.filter((g, i) => partOf(g, i, plan).to > 0);
  return own.length === 0 ? 0 : Math.min(...own.map((g) => g.niceness));
}

/** One second of one process. */
export interface SecondSample {
  readonly open: number;
  readonly waiting: number;
  /** All counters since the start. */
  readonly counts: Readonly<Record<string, number>>;
  /** Distributions of this second, µs. */
  readonly latencies: Readonly<Record<string, HistogramData>>;
  /** Processor time of this second over its length; 1 is a whole core. */
  readonly cpuShare: number;
  /** Of `spin`: share of the time in which there was something to do; null with `timer`. */
  readonly busyShare: number | null;
  readonly rssBytes: number;
}

/** What one process reports at its end. */
export interface GeneratorResult extends MetricsData {
  readonly pid: number;
  /** Over the steady window. */
  readonly cpuShare: number;
  readonly busyShare: number | null;
  readonly rssBytes: number;
}

/** From the parent to a generator process. */
export type ToGenerator =
  | { readonly type: 'plan'; readonly plan: GeneratorPlan }
  /** Everybody is connected: load begins at this wall-clock time. */
  | { readonly type: 'go'; readonly atMs: number }
  /** End now, with a report. */
  | { readonly type: 'stop' };

/** From a generator process to the parent. */
export type FromGenerator =
  /** Loaded, waiting for its plan. */
  | { readonly type: 'hello' }
  | { readonly type: 'connected'; readonly open: number; readonly failures: Readonly<Record<string, number>> }
  | { readonly type: 'second'; readonly sample: SecondSample }
  | { readonly type: 'phase'; readonly phase: 'window' | 'drain' }
  | { readonly type: 'done'; readonly result: GeneratorResult }
  | { readonly type: 'error'; readonly kind: string; readonly message: string };
