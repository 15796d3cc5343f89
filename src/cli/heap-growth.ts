import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** What may lie around until V8 collects everything once more, about: a relay with little in it may use so much. */
export const heapSlackBytes = 256 * 1024 * 1024;
/** The factor of four at which V8's own rule ends. */
export const heapGrowthPercentMost = 300;
/** Below, V8 decides by itself as before. */
const heapGrowthPercentLeast = 100;
/** After the compiled code has been kept (boot.ts), which is good only under the flags it was compiled with. */
export const heapGrowthEveryMs = 15_000;

/**
 * By how many percent what is alive may grow before V8 collects everything; 0 leaves it to V8. Left alone, a relay that
 * forwards flat out is collected whole six times a second: its heap is small, and the received chunks that its messages
 * lie in count as growth. With 500 pairs that cost a quarter of the throughput. A relay with hundreds of MiB of presences
 * does not need it and must not grow by the same factor.
 */
export function heapGrowthPercent(liveBytes: number): number {
  const percent = Math.min(
    heapGrowthPercentMost,
    Math.floor((100 * heapSlackBytes) / Math.max(1, liveBytes)),
  );
  return percent < heapGrowthPercentLeast ? 0 : percent;
}

/** Keeps V8's rule in step with what is alive. */
export class HeapGrowth {
  #percent = 0;
  #timer: ReturnType<typeof setInterval> | null = null;

  /** What V8 was told last; 0: nothing. */
  get percent(): number {
    return this.#percent;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.adjust(), heapGrowthEveryMs).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#tell(0);
  }

  adjust(): void {
    // Not process.memoryUsage(), which opens a file: there may be no descriptor left.
    const { used_heap_size, external_memory } = getHeapStatistics();
    this.#tell(heapGrowthPercent(used_heap_size + external_memory));
  }

  #tell(percent: number): void {
    if (percent === this.#percent) return;
    this.#percent = percent;
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  }
}
