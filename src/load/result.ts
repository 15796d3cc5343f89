import { HdrHistogram, type HistogramData, type HistogramSummary } from './histogram.js';
import type { SecondSample } from './plan.js';
import type { Scenario } from './scenario.js';

/** What became of the messages of a whole test; every message written is in exactly one of the last four. */
export interface MessageFigures {
  /** Fell due (open loop), or were made ready (`max`). */
  readonly intended: number;
  /** Reached the kernel. */
  readonly written: number;
  readonly delivered: number;
  /** The relay told the sender that it could not deliver. */
  readonly refused: number;
  /** Neither delivered nor refused, on connections that stood. */
  readonly lost: number;
  /** Neither delivered nor refused, under way when a connection of theirs had ended. */
  readonly inDoubt: number;
  /** Fell due while the sender was not connected. */
  readonly unsent: number;
  /** Fell due and were still held back by back-pressure at the end. */
  readonly unready: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
  readonly misdelivered: number;
}

/** One second of the test, all processes together. */
export interface SecondFigures {
  /** Seconds since the first connection was begun. */
  readonly second: number;
  readonly open: number;
  /** What the counters grew by. */
  readonly counts: Readonly<Record<string, number>>;
  /** Microseconds. */
  readonly latencies: Readonly<Record<string, HistogramSummary>>;
  /** Of each generator process: processor time over time. */
  readonly cpuShares: readonly number[];
  readonly targetCpuShare: number | null;
  readonly targetRssBytes: number | null;
  readonly targetOpenFiles: number | null;
}

/** What a generator process cost over the steady window. */
export interface ProcessFigures {
  readonly pid: number;
  /** Processor time over time; 1 is a whole core. */
  readonly cpuShare: number;
  /** With `spin`: share of the time with something to do. Null with `timer`, where `cpuShare` says it. */
  readonly busyShare: number | null;
  readonly rssBytes: number;
}

/** The target's process, where its id was given: over the steady window. */
export interface TargetFigures {
  readonly pid: number;
  /** Processor time of all its threads, seconds. */
  readonly cpuSeconds: number;
  readonly cpuShare: number;
  readonly rssBytesAtStart: number;
  readonly rssBytesAtEnd: number;
  readonly openFilesAtStart: number | null;
  readonly openFilesAtEnd: number | null;
}

export interface MachineFacts {
  readonly cpuModel: string;
  readonly cpus: number;
  readonly node: string;
  readonly kernel: string;
  /** One-minute load average before the test began. */
  readonly loadBefore: number;
}

/** Everything a load test found out. Rates and latencies are those of the steady window, message fates those of the whole test. */
export interface LoadResult {
  readonly scenario: Scenario;
  readonly target: string;
  readonly startedAt: string;
  readonly seed: string;
  readonly pacing: 'timer' | 'spin';
  readonly machine: MachineFacts;
  /** Ended before its time. */
  readonly interrupted: boolean;
  /** Seconds from the first connection to the last, and clients that were connected when the load began. */
  readonly rampSeconds: number;
  readonly connected: number;
  readonly windowSeconds: number;
  /** Growth of every counter during the steady window, a second. */
  readonly perSecond: Readonly<Record<string, number>>;
  /** Growth of every counter during the steady window. */
  readonly window: Readonly<Record<string, number>>;
  /** Every counter over the whole test. */
  readonly total: Readonly<Record<string, number>>;
  /** By name, of what fell due in the steady window, in microseconds. */
  readonly latencies: Readonly<Record<string, HistogramSummary>>;
  /** The same with every bucket, for merging and charts. */
  readonly histograms: Readonly<Record<string, HistogramData>>;
  readonly messages: MessageFigures;
  readonly generator: readonly ProcessFigures[];
  readonly targetProcess: TargetFigures | null;
  readonly seconds: readonly SecondFigures[];
  /** The same load against a bare sink, when asked for. */
  readonly calibration: LoadResult | null;
  /** Whether what was measured is the target and not the generator, and why that is believed or not. */
  readonly verdict: Verdict;
}

/** Is the generator the limit? */
export interface Verdict {
  readonly generatorIsLimit: boolean;
  readonly reasons: readonly string[];
}

/** Adds up the counters of several processes. */
export function addCounts(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const out: Record<string, number> = {};
  for (const part of parts) for (const [name, n] of Object.entries(part)) out[name] = (out[name] ?? 0) + n;
  return out;
}

/** Puts the distributions of several processes together. */
export function addHistograms(
  parts: readonly Readonly<Record<string, HistogramData>>[],
): Record<string, HistogramData> {
  const merged = new Map<string, HdrHistogram>();
  for (const part of parts)
    for (const [name, data] of Object.entries(part)) {
      const h = merged.get(name) ?? new HdrHistogram();
      h.add(data);
      merged.set(name, h);
    }
  return Object.fromEntries([...merged].map(([name, h]) => [name, h.data()]));
}

export function summaries(
  data: Readonly<Record<string, HistogramData>>,
): Readonly<Record<string, HistogramSummary>> {
  return Object.fromEntries(
    Object.entries(data).map(([name, d]) => {
      const h = new HdrHistogram();
      h.add(d);
      return [name, h.summary()];
    }),
  );
}

export function messageFigures(total: Readonly<Record<string, number>>): MessageFigures {
  const of = (name: string): number => total[`messages.${name}`] ?? 0;
  return {
    intended: of('intended'),
    written: of('written'),
    delivered: of('delivered'),
    refused: of('refused'),
    lost: of('lost'),
    inDoubt: of('inDoubt'),
    unsent: of('unsent'),
    unready: of('unready'),
    duplicated: of('duplicated'),
    reordered: of('reordered'),
    corrupted: of('corrupted'),
    misdelivered: of('misdelivered'),
  };
}

/** What one second of all processes looks like, from their samples and the counters of the second before. */
export function mergeSecond(
  second: number,
  samples: readonly SecondSample[],
  before: Readonly<Record<string, number>>,
  target: {
    readonly cpuShare: number | null;
    readonly rssBytes: number | null;
    readonly openFiles: number | null;
  },
): { readonly figures: SecondFigures; readonly counts: Record<string, number> } {
  const counts = addCounts(samples.map((s) => s.counts));
  const grown: Record<string, number> = {};
  for (const [name, n] of Object.entries(counts)) {
    const d = n - (before[name] ?? 0);
    if (d !== 0) grown[name] = d;
  }
  return {
    counts,
    figures: {
      second,
      open: samples.reduce((n, s) => n + s.open, 0),
      counts: grown,
      latencies: summaries(addHistograms(samples.map((s) => s.latencies))),
      cpuShares: samples.map((s) => s.cpuShare),
      targetCpuShare: target.cpuShare,
      targetRssBytes: target.rssBytes,
      targetOpenFiles: target.openFiles,
    },
  };
}

/** From this share of a core on, a generator process may be what limits the figures. */
export const generatorBusyMax = 0.85;
/** Messages must leave this close to their intended time (99 of 100), or the generator is late itself. */
export const sendLagUsMax = 5_000;
/** The same load must reach a bare sink at this share of what was asked for. */
const calibrationRateMin = 0.99;

/** Judges whether the figures are the target's or the generator's. */
export function judge(
  processes: readonly ProcessFigures[],
  latencies: Readonly<Record<string, HistogramSummary>>,
  calibration: LoadResult | null,
  perSecond: Readonly<Record<string, number>>,
  saturating: boolean,
): Verdict {
  const limits: string[] = [];
  const reasons: string[] = [];
  const busiest = Math.max(0, ...processes.map((p) => p.busyShare ?? p.cpuShare));
  (busiest > generatorBusyMax ? limits : reasons).push(
    `the busiest generator process was busy ${(busiest * 100).toFixed(0)} % of the time`,
  );
  const lag = latencies.sendLag;
  if (lag !== undefined && lag.count > 0 && !saturating)
    (lag.p99 > sendLagUsMax ? limits : reasons).push(
      `99 of 100 messages left within ${(lag.p99 / 1000).toFixed(1)} ms of their intended time`,
    );
  if (calibration !== null) {
    const [here, there] = [
      perSecond['messages.delivered'] ?? 0,
      calibration.perSecond['messages.delivered'] ?? 0,
    ];
    if (here > 0) {
      const enough = saturating
        ? there > here
        : there >= calibrationRateMin * (calibration.perSecond['messages.intended'] ?? 0);
      (enough ? reasons : limits).push(
        `the same load reached a bare sink at ${Math.round(there)} messages a second, the target at ${Math.round(here)}`,
      );
    }
  }
  return { generatorIsLimit: limits.length > 0, reasons: [...limits, ...reasons] };
}
