import { availableParallelism } from 'node:os';
import type { Clock } from '../clock/index.js';
import type { Counter, Counters } from '../counters/index.js';
import type { Signer } from '../identity/index.js';
import { poolThreads } from '../identity/node/index.js';
import type { SignHook, SignRequest } from '../link/index.js';
import { ServiceTime } from './service-time.js';

/** Requests that may wait; 10 s of work at 400 signatures a second. Beyond it nobody would be served in time. */
export const signQueueMax = 4_096;
/** What a signature is taken to cost before one was made: the slowest machine this was measured on. */
export const signatureMsAtFirst = 5;
/** helloData has to be written, travel and be verified before the peer's own 10 s are over. */
export const answerMarginMs = 500;
/** Signatures get slower while they are waited for, because newcomers are worked on too. */
export const admissionFactor = 1.1;
/** The queue is looked through for peers that left or cannot be served any more this often while it works. */
export const sweepMs = 250;
/** Who is refused is told to come back within this time (the client's own longest wait). */
export const retryAfterMsMax = 60_000;
export const retryAfterMsMin = 500;
/** Newcomers are called back for when the queue has come down to this: never empty, never full. */
const calledBackAtMs = 3_000;
/** Faster than they can be served: clients come up to a tenth later than told. */
const calledBackTimes = 1.25;
/**
 * With fewer than these waiting, more hellos are verified. Above it they gather, because sixteen verified together cost
 * less than half of sixteen verified alone: two share a lane, and all of them one message to the thread and back.
 */
export const signaturesWaitingMin = 16;

/** Hellos that will ask for a signature once their own has been verified. */
export interface SignSource {
  /** How many there are: admission counts them as waiting. */
  readonly pending: number;
  /** Lets go of those whose peers have left. */
  sweep(nowMs: number): void;
  /** Signatures run short: verify more. */
  feed(): void;
}

const NO_SOURCE: SignSource = { pending: 0, sweep: () => undefined, feed: () => undefined };

/**
 * Signatures in progress at once by default: one per core, at most half of libuv's threads, so that files and
 * name look-ups never wait behind signatures alone. More threads than cores measured slower (Node 20, one core:
 * 251/s with one, 189 with two, 180 with four), and a pool of worker threads no faster than libuv's.
 */
export function signaturesAtOnceDefault(): number {
  return Math.max(1, Math.min(availableParallelism(), poolThreads() >> 1));
}

interface Job {
  readonly request: SignRequest;
  readonly resolve: (signature: Uint8Array | null) => void;
}

/** Why a request got no signature, or `signed`. */
type SignResult = 'signed' | 'refused' | 'abandoned' | 'late' | 'failed';

/**
 * Signs helloData off the main thread, a few at a time (docs/protocol/03 §4.1).
 *
 * In order of arrival, with admission: a request is taken only when it will be ready in time by the measured
 * duration of the last ones, so every signature made is of use, and who is refused learns it at once, with the
 * time to come back. Newest first, as the reference does it, wastes as little, but most peers learn nothing until
 * they give up after ten seconds, instead of trying another relay. Refusing alone is not enough: clients that
 * double their waits leave the relay idle at the end. Simulated (bench/relay/storm-order.mjs), 10,000 clients at
 * once at 200 signatures a second are all back after 51.9 s newest first, 83.8 s oldest first with refusals,
 * 50.0 s with the time to come back as well, which is the least.
 */
export class SignQueue {
  #jobs: Job[] = [];
  #running = 0;
  readonly #cost: ServiceTime;
  #sweptMs = Number.NEGATIVE_INFINITY;
  /** When the next one that is refused should come back. */
  #nextCallMs = 0;
  #source: SignSource = NO_SOURCE;
  readonly #signed: Counter;
  readonly #atOnce: number;

  constructor(
    private readonly signer: Pick<Signer, 'sign'>,
    private readonly clock: Clock,
    private readonly counters: Counters,
    atOnce: number = signaturesAtOnceDefault(),
  ) {
    this.#atOnce = atOnce;
    this.#cost = new ServiceTime(signatureMsAtFirst);
    this.#signed = this.#counter('signed');
  }

  /** Where those come from that ask for signatures. */
  feedFrom(source: SignSource): void {
    this.#source = source;
  }

  get waiting(): number {
    return this.#jobs.length;
  }

  /** Milliseconds one signature takes at present. */
  get costMs(): number {
    return this.#cost.ms;
  }

  /** Whether so many wait that hellos may gather before they are verified. */
  get isSupplied(): boolean {
    return this.#jobs.length >= signaturesWaitingMin;
  }

  #counter(result: SignResult): Counter {
    const help = 'Signatures asked for by handshakes, by result';
    return this.counters.counter('ixian_hello_signatures_total', help, { result });
  }

  #count(result: SignResult): void {
    this.#counter(result).add();
  }

  /** Milliseconds until a request would be ready that has this many waiting before it. */
  #readyMs(before: number, costMs: number): number {
    return Math.ceil((before + this.#running + 1) / this.#atOnce) * costMs;
  }

  #inTime(before: number, deadlineMs: number, now: number): boolean {
    const readyMs = admissionFactor * this.#readyMs(before, this.#cost.ms);
    return before < signQueueMax && now + readyMs + answerMarginMs <= deadlineMs;
  }

  /**
   * Null: a signature asked for now will be ready by then. Else the milliseconds after which to try again,
   * counted as refused; asked before a hello is verified, so that a refusal costs no RSA operation at all.
   */
  readonly busy = (deadlineMs: number): number | null => {
    const now = this.clock.nowMs();
    if (this.#inTime(this.#waitingInAll, deadlineMs, now)) return null;
    // At most this often: in a storm thousands are refused in a row.
    if (now - this.#sweptMs >= sweepMs) {
      this.#sweep(now);
      this.#source.sweep(now);
      if (this.#inTime(this.#waitingInAll, deadlineMs, now)) return null;
    }
    this.#count('refused');
    return this.callBackMs();
  };

  get #waitingInAll(): number {
    return this.#jobs.length + this.#source.pending;
  }

  /**
   * Calls back one after the other, once the queue has mostly been worked off. By what a signature takes in calmer times:
   * measured while everybody dials at once it looks two or three times as slow, and who is early is told again for little,
   * while an idle relay makes everybody wait.
   */
  callBackMs(): number {
    const now = this.clock.nowMs();
    const costMs = this.#cost.calmMs;
    const free = now + Math.max(0, this.#readyMs(this.#waitingInAll, costMs) - calledBackAtMs);
    const at = Math.max(free, this.#nextCallMs, now + retryAfterMsMin);
    if (at - now >= retryAfterMsMax) return retryAfterMsMax;
    this.#nextCallMs = at + costMs / this.#atOnce / calledBackTimes;
    return Math.ceil(at - now);
  }

  /** The hook a link calls. Null: not in time, the peer is told to come back later. */
  readonly sign: SignHook = (request) => {
    const now = this.clock.nowMs();
    if (!this.#inTime(this.#jobs.length, request.deadlineMs, now)) {
      this.#count('refused');
      return Promise.resolve(null);
    }
    return new Promise((resolve) => {
      this.#jobs.push({ request, resolve });
      this.#next();
    });
  };

  #next(): void {
    if (this.#jobs.length > this.#atOnce && this.clock.nowMs() - this.#sweptMs >= sweepMs)
      this.#sweep(this.clock.nowMs());
    while (this.#running < this.#atOnce) {
      const job = this.#jobs.shift();
      if (job === undefined) break;
      const now = this.clock.nowMs();
      if (job.request.abandoned()) this.#drop(job, 'abandoned');
      else if (now + this.#cost.ms > job.request.deadlineMs) this.#drop(job, 'late');
      else void this.#run(job, now);
    }
    if (!this.isSupplied) this.#source.feed();
  }

  #drop(job: Job, result: SignResult): void {
    this.#count(result);
    job.resolve(null);
  }

  /**
   * Lets go of peers that left, and of those that became hopeless because signatures got slower meanwhile: beyond doubt,
   * because for whoever is late after all nothing is signed when it is his turn.
   */
  #sweep(now: number): void {
    this.#sweptMs = now;
    const kept: Job[] = [];
    for (const job of this.#jobs) {
      if (job.request.abandoned()) this.#drop(job, 'abandoned');
      else if (now + this.#readyMs(kept.length, this.#cost.leastMs) > job.request.deadlineMs)
        this.#drop(job, 'late');
      else kept.push(job);
    }
    this.#jobs = kept;
  }

  async #run(job: Job, startedMs: number): Promise<void> {
    this.#running++;
    try {
      const signature = await this.signer.sign(job.request.message);
      const now = this.clock.nowMs();
      this.#cost.observe(now - startedMs, now, this.#waitingInAll === 0);
      this.#signed.add();
      job.resolve(signature);
    } catch {
      this.#drop(job, 'failed');
    } finally {
      this.#running--;
      this.#next();
    }
  }
}
