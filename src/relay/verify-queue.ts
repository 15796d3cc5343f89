import type { Clock } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { VerifyEngine } from '../identity/index.js';
import type { VerifyHook, VerifyRequest } from '../link/index.js';
import { answerMarginMs, type SignQueue, type SignSource } from './sign-queue.js';

/** Hellos that may wait for their signature to be looked at. */
export const helloVerifyQueueMax = 4_096;
/** Verified in one call of the engine: enough to fill a batch of its threads. */
export const helloVerifyBatchMax = 16;
/** Calls of the engine under way at once: one works while the next is gathered. */
export const helloVerifyCallsMax = 2;

interface Job {
  readonly request: VerifyRequest;
  readonly resolve: (verdict: boolean | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Verifies the signatures of hellos under the rules of {@link SignQueue}: in order of arrival, bounded, nothing
 * after its deadline, nothing for a peer that has gone. A flood of hellos waits here instead of in the engine,
 * so it does not stand in front of the keep-alives there. While signatures are what everybody waits for, hellos gather
 * until a batch is full or signatures run short, so that a verification costs a third of what it costs alone.
 */
export class HelloVerifyQueue implements SignSource {
  #jobs: Job[] = [];
  #calls = 0;
  /** In the calls under way. */
  #called = 0;

  constructor(
    private readonly engine: VerifyEngine,
    private readonly clock: Clock,
    private readonly counters: Counters,
    /** Where those go next that were verified. */
    private readonly signatures: Pick<SignQueue, 'isSupplied' | 'feedFrom'>,
  ) {
    signatures.feedFrom(this);
  }

  get waiting(): number {
    return this.#jobs.length;
  }

  get pending(): number {
    return this.#jobs.length + this.#called;
  }

  sweep(nowMs: number): void {
    this.#jobs = this.#jobs.filter((job) => !this.#dropped(job, nowMs));
  }

  feed(): void {
    this.#next();
  }

  /** Lets go of a job that is of no use any more. */
  #dropped(job: Job, now: number): boolean {
    if (job.request.abandoned()) this.#drop(job, 'abandoned');
    else if (now + answerMarginMs > job.request.deadlineMs) this.#drop(job, 'late');
    else return false;
    return true;
  }

  #drop(job: Pick<Job, 'resolve'>, result: 'refused' | 'abandoned' | 'late'): void {
    this.#count(result);
    job.resolve(null);
  }

  #count(result: string, n = 1): void {
    this.counters
      .counter('ixian_hello_verifications_total', 'Signatures of hellos to look at, by result', { result })
      .add(n);
  }

  /** The hook a link calls. */
  readonly verify: VerifyHook = (request) =>
    new Promise((resolve, reject) => {
      const job = { request, resolve, reject };
      if (this.#jobs.length >= helloVerifyQueueMax) {
        this.#drop(job, 'refused');
        return;
      }
      this.#jobs.push(job);
      this.#next();
    });

  #next(): void {
    while (this.#calls < helloVerifyCallsMax && this.#jobs.length > 0) {
      if (this.#jobs.length < helloVerifyBatchMax && this.signatures.isSupplied) return;
      const now = this.clock.nowMs();
      const batch: Job[] = [];
      let taken = 0;
      while (taken < this.#jobs.length && batch.length < helloVerifyBatchMax) {
        const job = this.#jobs[taken++]!;
        if (!this.#dropped(job, now)) batch.push(job);
      }
      // One move for all of them: in a storm thousands stand behind.
      this.#jobs.splice(0, taken);
      if (batch.length > 0) void this.#run(batch);
    }
  }

  async #run(batch: readonly Job[]): Promise<void> {
    this.#calls++;
    this.#called += batch.length;
    try {
      const verdicts = await this.engine.verify(batch.map((j) => j.request.item));
      this.#count('verified', batch.length);
      batch.forEach((j, i) => {
        j.resolve(verdicts[i] === true);
      });
    } catch (error) {
      this.#count('failed', batch.length);
      for (const j of batch) j.reject(error);
    } finally {
      this.#calls--;
      this.#called -= batch.length;
      this.#next();
    }
  }
}
