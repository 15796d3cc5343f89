import type { Clock } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { Signer } from '../identity/index.js';
import type { SignHook, SignRequest } from '../link/index.js';

/** Signatures in progress at once: as many as the platform's crypto pool has threads by default. */
export const signaturesAtOnceMax = 4;
/** Requests that may wait; beyond it nobody would be served in time anyway. */
export const signQueueMax = 4_096;

interface Job {
  readonly request: SignRequest;
  readonly resolve: (signature: Uint8Array | null) => void;
}

/**
 * Signs helloData in order of arrival, off the main thread, a few at a time. What cannot be finished before
 * its deadline is refused at once instead of being signed too late, and nothing is signed for a peer that has
 * gone: under a stream of newcomers the signatures made are all of use (docs/protocol/03 §4.1).
 */
export class SignQueue {
  readonly #jobs: Job[] = [];
  #running = 0;
  /** Moving average of one signature's duration in milliseconds. */
  #costMs = 5;

  constructor(
    private readonly signer: Signer,
    private readonly clock: Clock,
    private readonly counters: Counters,
  ) {}

  get waiting(): number {
    return this.#jobs.length;
  }

  #count(result: string): void {
    this.counters
      .counter('ixian_hello_signatures_total', 'Signatures asked for by handshakes, by result', { result })
      .add();
  }

  /** The hook a link calls. Null: not in time, the peer is told to come back later. */
  readonly sign: SignHook = (request) => {
    const waitMs = (this.#jobs.length * this.#costMs) / signaturesAtOnceMax;
    if (this.#jobs.length >= signQueueMax || this.clock.nowMs() + waitMs > request.deadlineMs) {
      this.#count('refused');
      return Promise.resolve(null);
    }
    return new Promise((resolve) => {
      this.#jobs.push({ request, resolve });
      this.#next();
    });
  };

  #next(): void {
    while (this.#running < signaturesAtOnceMax) {
      const job = this.#jobs.shift();
      if (job === undefined) return;
      if (job.request.abandoned()) {
        this.#count('abandoned');
        job.resolve(null);
      } else if (this.clock.nowMs() > job.request.deadlineMs) {
        this.#count('late');
        job.resolve(null);
      } else void this.#run(job);
    }
  }

  async #run(job: Job): Promise<void> {
    this.#running++;
    const started = this.clock.nowMs();
    try {
      const signature = await this.signer.sign(job.request.message);
      this.#costMs = 0.9 * this.#costMs + 0.1 * (this.clock.nowMs() - started);
      this.#count('signed');
      job.resolve(signature);
    } catch {
      this.#count('failed');
      job.resolve(null);
    } finally {
      this.#running--;
      this.#next();
    }
  }
}
