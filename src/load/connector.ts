import type { LoadClient } from './client.js';
import type { Metrics } from './metrics.js';
import type { Pacer } from './pacer.js';

export interface ConnectorOptions {
  /** Connections begun a second. */
  readonly perSecond: number;
  /** Connections that may be on their way at once. */
  readonly atOnce: number;
  /** Milliseconds from connect to helloData. */
  readonly attemptMs: number;
  readonly metrics: Metrics;
  readonly pacer: Pacer;
}

/** First pause after a failed attempt; doubles with each further one, up to the largest, and varies by half. */
const retryMs = 250;
const retryMsMax = 8_000;
/** A handshake takes longer than it is late by this. */
const lookEveryMs = 5;

/**
 * Brings clients to the relay: so many a second, so many at once, each attempt bounded, failed ones again after a
 * pause that grows. Handshakes are timed from the moment the attempt was begun.
 */
export class Connector {
  /** Clients to begin, in order; those that failed come back with the time from which they may. */
  readonly #queue: LoadClient[] = [];
  #queueAt = 0;
  readonly #later: { readonly client: LoadClient; readonly fromMs: number }[] = [];
  readonly #underway = new Set<LoadClient>();
  readonly #failures = new Map<LoadClient, number>();
  #nextMs = 0;
  /** Whether it was started and not stopped, and whether the pacer looks: not while nobody waits. */
  #started = false;
  #looking = false;
  #random: () => number;

  constructor(
    private readonly options: ConnectorOptions,
    random: () => number,
  ) {
    this.#random = random;
  }

  /** Clients not connected yet that will be. */
  get waiting(): number {
    return this.#queue.length - this.#queueAt + this.#later.length + this.#underway.size;
  }

  start(nowMs: number): void {
    this.#nextMs = nowMs;
    this.#started = true;
    this.#look(this.waiting > 0);
  }

  #look(looking: boolean): void {
    if (looking === this.#looking) return;
    this.#looking = looking;
    const { pacer } = this.options;
    if (looking) pacer.add(this.#tick, lookEveryMs);
    else pacer.remove(this.#tick);
  }

  stop(): void {
    this.#started = false;
    this.#look(false);
    this.#queue.length = 0;
    this.#queueAt = 0;
    this.#later.length = 0;
  }

  /** Begins this client's connection when its turn comes. */
  add(client: LoadClient): void {
    this.#queue.push(client);
    this.#look(this.#started);
  }

  readonly #tick = (nowMs: number): boolean => {
    const { perSecond, atOnce, attemptMs, metrics } = this.options;
    let worked = false;
    for (const client of this.#underway) {
      // In order of their beginning, so the first one in time ends the search.
      if (nowMs - client.connectMs < attemptMs) break;
      client.giveUp('attempt-timeout');
    }
    while (this.#later.length > 0 && this.#later[0]!.fromMs <= nowMs)
      this.#queue.push(this.#later.shift()!.client);
    // A machine that slept must not begin a hundred connections at once for it.
    if (this.#nextMs < nowMs - 100) this.#nextMs = nowMs - 100;
    while (this.#queueAt < this.#queue.length && this.#nextMs <= nowMs && this.#underway.size < atOnce) {
      const client = this.#queue[this.#queueAt++]!;
      if (this.#queueAt > 4096) {
        this.#queue.splice(0, this.#queueAt);
        this.#queueAt = 0;
      }
      this.#nextMs += 1000 / perSecond;
      if (client.state !== 'closed') continue;
      metrics.add('connections.begun');
      this.#underway.add(client);
      client.connect(nowMs);
      worked = true;
    }
    if (this.waiting === 0) this.#look(false);
    return worked;
  };

  /** A client's handshake is complete. */
  opened(client: LoadClient, nowMs: number): void {
    this.#underway.delete(client);
    this.#failures.delete(client);
    this.options.metrics.add('connections.opened');
    this.options.metrics.latency('handshake', true).record(client.connectMs, nowMs);
  }

  /** A client's attempt has failed; it is tried again after a pause. */
  failed(client: LoadClient, reason: string, nowMs: number): void {
    this.#underway.delete(client);
    this.options.metrics.add(`connections.failed.${reason}`);
    const failures = (this.#failures.get(client) ?? 0) + 1;
    this.#failures.set(client, failures);
    const pause = Math.min(retryMs * 2 ** (failures - 1), retryMsMax) * (0.5 + this.#random());
    const entry = { client, fromMs: nowMs + pause };
    let at = this.#later.length;
    while (at > 0 && this.#later[at - 1]!.fromMs > entry.fromMs) at--;
    this.#later.splice(at, 0, entry);
    this.#look(this.#started);
  }
}
