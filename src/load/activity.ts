import type { ClientTerms, LoadClient } from './client.js';
import type { Identities } from './keys/identities.js';
import type { Metrics } from './metrics.js';
import type { Pacer } from './pacer.js';

/** What an activity may use: everything of its group in this process. */
export interface ActivityContext {
  readonly clients: readonly LoadClient[];
  readonly metrics: Metrics;
  readonly pacer: Pacer;
  readonly identities: Identities;
  readonly terms: ClientTerms;
  /** Marks this test's messages. */
  readonly run: number;
  /** This process's part of the group's work, 0…1. */
  readonly share: number;
  readonly processIndex: number;
  readonly processes: number;
  /** Repeatable random numbers, 0 ≤ x < 1. */
  readonly random: () => number;
  /** Begins a client's connection again, within the group's connect limits. */
  reconnect(client: LoadClient): void;
}

/** Something that a group's clients do from the start of the load to its end. */
export interface RunningActivity {
  /** Before the load begins, while clients are connected: resolves when ready. */
  prepare?(): Promise<void>;
  /** The load begins; both times in ms of `performance.now()`. What falls due at the end or later is not done. */
  start(nowMs: number, endMs: number): void;
  /** No new work from here on; answers may still come. May come before the end, and a little after it. */
  stop(nowMs: number): void;
  /** After `stop`: false while answers are still under way. Left out: nothing ever is. */
  readonly settled?: boolean;
  /** Everything has had its time: count what is missing. */
  finish?(): void;
  /** True when it took the frame. */
  onFrame?(
    client: LoadClient,
    code: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    crc: number,
    nowMs: number,
  ): boolean;
  onOpen?(client: LoadClient, nowMs: number): void;
  onClose?(client: LoadClient, nowMs: number): void;
  onFlushed?(client: LoadClient, nowMs: number): void;
  /** True for a client whose end this activity has brought about itself and will mend itself. */
  owns?(client: LoadClient): boolean;
}
