import { readdirSync, readFileSync, statSync } from 'node:fs';
import {
  constants,
  type IntervalHistogram,
  monitorEventLoopDelay,
  PerformanceObserver,
} from 'node:perf_hooks';
import type { Counters } from '../../counters/index.js';
import type { Sampled } from './render.js';

/** Event-loop delays are judged over this long: an old stall must not keep a node unhealthy. */
const windowMs = 15_000;
/**
 * How often the loop's delay is looked at: no stall of that length is missed, and of shorter ones a part of them is seen.
 * Every look wakes a process that would sleep: 50 a second were more than half of what a relay without clients takes.
 */
const resolutionMs = 100;

const GC_KINDS: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
]);

/** What the process itself costs: event loop, garbage collection, memory, descriptors. */
export class RuntimeMonitor {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });
  readonly #observer: PerformanceObserver;
  readonly #timer: NodeJS.Timeout;
  /** Quantiles of the last whole window in seconds. */
  #last = { p50: 0, p99: 0, max: 0 };

  constructor(counters: Counters) {
    this.#delay.enable();
    this.#timer = setInterval(() => this.#turn(), windowMs);
    this.#timer.unref();
    this.#observer = new PerformanceObserver((list) => {
      for (const e of list.getEntries()) {
        const { kind } = ('detail' in e ? e.detail : {}) as { readonly kind?: number };
        const name = GC_KINDS.get(kind ?? -1) ?? 'other';
        counters
          .histogram('nodejs_gc_duration_seconds', '', undefined, { kind: name })
          .observe(e.duration / 1000);
      }
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  #now(): { p50: number; p99: number; max: number } {
    // The histogram measures whole intervals: what is above the resolution is the delay.
    const seconds = (ns: number): number => Math.max(0, ns / 1e9 - resolutionMs / 1000);
    if (this.#delay.count === 0) return { p50: 0, p99: 0, max: 0 };
    return {
      p50: seconds(this.#delay.percentile(50)),
      p99: seconds(this.#delay.percentile(99)),
      max: seconds(this.#delay.max),
    };
  }

  #turn(): void {
    this.#last = this.#now();
    this.#delay.reset();
  }

  /** 99th percentile of the event-loop delay in seconds, of this or the last window, whichever is worse. */
  get eventLoopDelaySeconds(): number {
    return Math.max(this.#last.p99, this.#now().p99);
  }

  sample(): Sampled[] {
    const memory = process.memoryUsage();
    const cpu = process.cpuUsage();
    const now = this.#now();
    const quantile = (q: string, value: number): Sampled => ({
      name: 'nodejs_eventloop_delay_seconds',
      labels: { quantile: q },
      value,
    });
    const out: Sampled[] = [
      { name: 'process_cpu_seconds_total', value: (cpu.user + cpu.system) / 1e6 },
      { name: 'process_start_time_seconds', value: Math.round(performance.timeOrigin) / 1000 },
      { name: 'process_resident_memory_bytes', value: memory.rss },
      { name: 'nodejs_heap_size_used_bytes', value: memory.heapUsed },
      { name: 'nodejs_heap_size_total_bytes', value: memory.heapTotal },
      { name: 'nodejs_external_memory_bytes', value: memory.external },
      quantile('0.5', Math.max(now.p50, this.#last.p50)),
      quantile('0.99', Math.max(now.p99, this.#last.p99)),
      quantile('1', Math.max(now.max, this.#last.max)),
    ];
    const fds = descriptors();
    if (fds !== null)
      out.push({ name: 'process_open_fds', value: fds.open }, { name: 'process_max_fds', value: fds.max });
    return out;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#delay.disable();
    this.#observer.disconnect();
  }
}

/** Open and allowed file descriptors, null where the system does not say. */
export function descriptors(): { open: number; max: number } | null {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    // Linux tells the number as the folder's size since 6.2; before, reading 10,000 names takes 10 ms.
    const open = statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length;
    return { open, max: limit === null ? 0 : Number(limit[1]) };
  } catch {
    return null;
  }
}
