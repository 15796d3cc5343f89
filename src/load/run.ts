import { randomBytes } from 'node:crypto';
import { cpus, loadavg, release } from 'node:os';
import { LoadError } from './errors.js';
import { GeneratorChild } from './generator-child.js';
import { type FromGenerator, type GeneratorResult, partOf, type SecondSample } from './plan.js';
import {
  addCounts,
  addHistograms,
  judge,
  type LoadResult,
  mergeSecond,
  messageFigures,
  type SecondFigures,
  summaries,
  type TargetFigures,
} from './result.js';
import type { Scenario } from './scenario.js';
import type { Target } from './target.js';
import { openFilesMax, type ProcessReading, readProcess } from './target-process.js';

/** Descriptors a process needs besides its connections. */
const spareDescriptors = 256;
/** Between "everybody is connected" and the beginning of the load, so that all processes have heard of it. */
const goInMs = 200;
/** Generator processes at most. */
export const processesMax = 64;

/** Where a load test is. */
export type Phase = 'connect' | 'warmUp' | 'window' | 'drain' | 'done';

export interface RunOptions {
  /** Generator processes; default one. */
  readonly processes?: number;
  /** Processor cores for the generators, one after the other (`taskset`); default wherever the system puts them. */
  readonly cpus?: readonly string[];
  /** `spin` takes a whole core per process and sends within microseconds; default `timer`. */
  readonly pacing?: 'timer' | 'spin';
  /** Decides all keys; default "1", so that a relay's cache meets the same wallets again. */
  readonly seed?: string;
  /** The target's process id, where it runs on this machine: its processor time and memory go into the result. */
  readonly targetPid?: number | null;
  /** Check the signature of the target's first answer; default true. */
  readonly verifyServer?: boolean;
  /** Ends the test early, with a report. */
  readonly signal?: AbortSignal;
  /** Every second. */
  readonly onSecond?: (second: SecondFigures, phase: Phase) => void;
  /** When a phase begins; the steady window begins with `window` and ends with `drain`. */
  readonly onPhase?: (phase: Phase) => void;
}

/**
 * Runs a load test and resolves with what it found out.
 *
 * @throws LoadError when it cannot be run: too few file descriptors, nobody could connect, not a relay.
 */
export async function runLoad(
  scenario: Scenario,
  target: Target,
  options: RunOptions = {},
): Promise<LoadResult> {
  const processes = options.processes ?? 1;
  if (!Number.isInteger(processes) || processes < 1 || processes > processesMax)
    throw new LoadError('limits', `${processes} processes: 1 to ${processesMax} can be used`);
  checkDescriptors(scenario, processes);
  const run = new Run(scenario, target, { ...options, processes });
  return run.result();
}

function checkDescriptors(scenario: Scenario, processes: number): void {
  const clients = scenario.groups.reduce((n, g) => n + g.clients, 0);
  const max = openFilesMax();
  const parts = Array.from({ length: processes }, (_, processIndex) =>
    scenario.groups.reduce((n, g, i) => {
      const { from, to } = partOf(g, i, { scenario, processIndex, processes });
      return n + to - from;
    }, 0),
  );
  const each = Math.max(...parts) + spareDescriptors;
  if (max === null || each <= max) return;
  const needed = Math.ceil(clients / Math.max(1, max - spareDescriptors));
  throw new LoadError(
    'limits',
    `${clients} clients in ${processes} process(es) need ${each} open files in one and the limit is ${max}: ` +
      `use ${needed} processes or raise it (ulimit -n)`,
  );
}

class Run {
  readonly #children: GeneratorChild[] = [];
  readonly #samples: (SecondSample | null)[];
  readonly #seconds: SecondFigures[] = [];
  readonly #results: (GeneratorResult | null)[];
  readonly #load = loadavg()[0] ?? 0;
  readonly #startedMs = Date.now();
  readonly #run = randomBytes(4).readUInt32LE();
  #counts: Record<string, number> = {};
  #phase: Phase = 'connect';
  #greeted = 0;
  #connected = 0;
  #open = 0;
  #rampSeconds = 0;
  readonly #failures: Record<string, number>[] = [];
  #windowFrom: { readonly reading: ProcessReading | null; readonly atMs: number } | null = null;
  #targetFigures: TargetFigures | null = null;
  #lastReading: { readonly reading: ProcessReading; readonly atMs: number } | null = null;
  #interrupted = false;
  #settle: { resolve(): void; reject(e: Error): void } | null = null;

  constructor(
    private readonly scenario: Scenario,
    private readonly target: Target,
    private readonly options: RunOptions & { readonly processes: number },
  ) {
    this.#samples = new Array<SecondSample | null>(options.processes).fill(null);
    this.#results = new Array<GeneratorResult | null>(options.processes).fill(null);
  }

  async result(): Promise<LoadResult> {
    const { signal, processes, cpus: cores = [] } = this.options;
    const stop = (): void => this.#stop();
    signal?.addEventListener('abort', stop);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#settle = { resolve, reject };
        this.#enter('connect');
        for (let i = 0; i < processes; i++)
          this.#children.push(
            new GeneratorChild(
              cores.length === 0 ? null : cores[i % cores.length]!,
              (m) => this.#message(i, m),
              reject,
            ),
          );
        if (signal?.aborted === true) this.#stop();
      });
    } finally {
      signal?.removeEventListener('abort', stop);
      await Promise.all(this.#children.map((c) => c.end()));
    }
    this.#enter('done');
    return this.#merge();
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.options.onPhase?.(phase);
  }

  #stop(): void {
    this.#interrupted = true;
    if (this.#greeted < this.options.processes)
      this.#settle?.reject(new LoadError('process', 'stopped before it began'));
    for (const c of this.#children) c.stop();
  }

  #message(i: number, m: FromGenerator): void {
    switch (m.type) {
      case 'hello': {
        this.#greeted++;
        const { host, port, wsPort, network, line } = this.target;
        this.#children[i]!.plan({
          scenario: this.scenario,
          host,
          port,
          wsPort,
          network: network.name,
          line,
          seed: this.options.seed ?? '1',
          run: this.#run,
          processIndex: i,
          processes: this.options.processes,
          pacing: this.options.pacing ?? 'timer',
          verifyServer: this.options.verifyServer ?? true,
        });
        return;
      }
      case 'connected':
        this.#connected++;
        this.#open += m.open;
        this.#failures.push(m.failures);
        if (this.#connected === this.options.processes) this.#everybodyIsThere();
        return;
      case 'second':
        this.#samples[i] = m.sample;
        // The slowest process decides when a second is over.
        if (this.#samples.every((s) => s !== null)) this.#secondIsOver();
        return;
      case 'phase':
        if (m.phase === 'window' && this.#phase === 'warmUp') {
          this.#windowFrom = { reading: this.#readTarget(), atMs: Date.now() };
          this.#enter('window');
        } else if (m.phase === 'drain' && this.#phase === 'window') this.#windowIsOver();
        return;
      case 'done':
        this.#results[i] = m.result;
        if (this.#results.every((r) => r !== null)) this.#settle?.resolve();
    }
  }

  #everybodyIsThere(): void {
    this.#rampSeconds = (Date.now() - this.#startedMs) / 1000;
    if (this.#open === 0 && this.scenario.groups.some((g) => g.clients > 0)) {
      const reasons = Object.entries(addCounts(this.#failures)).map(([why, n]) => `${n} × ${why}`);
      this.#settle?.reject(
        new LoadError(
          'connect',
          `nobody could connect to ${this.target.host}:${this.target.port}: ${reasons.join(', ') || 'no answer'}`,
        ),
      );
      return;
    }
    if (this.#interrupted) return;
    this.#enter('warmUp');
    const atMs = Date.now() + goInMs;
    for (const c of this.#children) c.go(atMs);
  }

  #readTarget(): ProcessReading | null {
    const pid = this.options.targetPid ?? null;
    return pid === null ? null : readProcess(pid);
  }

  #windowIsOver(): void {
    const from = this.#windowFrom;
    const now = this.#readTarget();
    if (from !== null && from.reading !== null && now !== null) {
      const seconds = (Date.now() - from.atMs) / 1000;
      const cpuSeconds = now.cpuSeconds - from.reading.cpuSeconds;
      this.#targetFigures = {
        pid: this.options.targetPid!,
        cpuSeconds,
        cpuShare: cpuSeconds / seconds,
        rssBytesAtStart: from.reading.rssBytes,
        rssBytesAtEnd: now.rssBytes,
        openFilesAtStart: from.reading.openFiles,
        openFilesAtEnd: now.openFiles,
      };
    }
    this.#enter('drain');
  }

  #secondIsOver(): void {
    const reading = this.#readTarget();
    const atMs = Date.now();
    const last = this.#lastReading;
    const cpuShare =
      reading === null || last === null
        ? null
        : (reading.cpuSeconds - last.reading.cpuSeconds) / Math.max(0.001, (atMs - last.atMs) / 1000);
    if (reading !== null) this.#lastReading = { reading, atMs };
    const samples = this.#samples.map((s) => s!);
    this.#samples.fill(null);
    const second = Math.round((atMs - this.#startedMs) / 100) / 10;
    const { figures, counts } = mergeSecond(second, samples, this.#counts, {
      cpuShare,
      rssBytes: reading?.rssBytes ?? null,
      openFiles: reading?.openFiles ?? null,
    });
    this.#counts = counts;
    this.#seconds.push(figures);
    this.options.onSecond?.(figures, this.#phase);
  }

  #merge(): LoadResult {
    const results = this.#results.map((r) => r!);
    const { windowSeconds } = this.scenario;
    const window = addCounts(results.map((r) => r.window));
    const total = addCounts(results.map((r) => r.total));
    const histograms = addHistograms(results.map((r) => r.histograms));
    const latencies = summaries(histograms);
    const perSecond = Object.fromEntries(
      Object.entries(window).map(([name, n]) => [name, n / windowSeconds]),
    );
    const generator = results.map(({ pid, cpuShare, busyShare, rssBytes }) => ({
      pid,
      cpuShare,
      busyShare,
      rssBytes,
    }));
    return {
      scenario: this.scenario,
      target: `${this.target.host}:${this.target.port}`,
      startedAt: new Date(this.#startedMs).toISOString(),
      seed: this.options.seed ?? '1',
      pacing: this.options.pacing ?? 'timer',
      machine: {
        cpuModel: cpus()[0]?.model ?? 'unknown',
        cpus: cpus().length,
        node: process.version,
        kernel: release(),
        loadBefore: this.#load,
      },
      interrupted: this.#interrupted,
      rampSeconds: this.#rampSeconds,
      connected: this.#open,
      windowSeconds,
      perSecond,
      window,
      total,
      latencies,
      histograms,
      messages: messageFigures(total),
      generator,
      targetProcess: this.#targetFigures,
      seconds: this.#seconds,
      calibration: null,
      verdict: judge(generator, latencies, null, perSecond, saturates(this.scenario)),
    };
  }
}

/** True when senders are stopped by back-pressure alone, so that lateness is no fault of the generator. */
export function saturates(scenario: Scenario): boolean {
  return scenario.groups.some((g) => g.activities.some((a) => a.do === 'messages' && a.perSecond === 'max'));
}
