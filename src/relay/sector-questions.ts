import type { Clock, Timer } from '../clock/index.js';
import { bytesKey } from '../wire/index.js';
import type { ProxyPeer } from './ledger-proxy.js';
import {
  sectorAnswerMs,
  sectorAsksBurst,
  sectorAsksPerSecond,
  sectorCacheMs,
  sectorPrefixesMax,
} from './limits.js';
import { TokenBucket } from './token-bucket.js';

interface Waiting {
  readonly askers: Map<number, { peer: ProxyPeer; max: number }>;
  readonly timer: Timer;
}

export interface SectorQuestionsOptions {
  readonly clock: Clock;
  /** Sends getSectorNodes to ledger nodes; returns how many were asked. */
  askLedger(prefix: Uint8Array, max: number): number;
  /** Answers one peer from the own tree. */
  answer(peer: ProxyPeer, prefix: Uint8Array, max: number): void;
}

/**
 * getSectorNodes as a relay answers it (docs/protocol/06 §6.2, strict answer rule): at once from the own tree
 * when the prefix was refreshed lately or the tree is trusted, otherwise after one question to the ledger, and
 * after three seconds in any case. Always an answer, always with the asker's own maximum.
 */
export class SectorQuestions {
  /** Prefix → when a ledger node last answered it. Insertion order is age: the oldest is dropped. */
  readonly #refreshed = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  /** Prefixes asked of the ledger and not answered yet, with the time of asking. */
  readonly #asked = new Map<string, number>();

  /** Clients choose prefixes freely: the ledger is spared, the own tree answers. */
  readonly #budget: TokenBucket;

  constructor(private readonly options: SectorQuestionsOptions) {
    this.#budget = new TokenBucket(sectorAsksPerSecond, sectorAsksBurst, options.clock.nowMs());
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** A peer asks for the relays of a prefix. `trusted`: the own tree is complete enough to answer at once. */
  ask(peer: ProxyPeer, prefix: Uint8Array, max: number, trusted: boolean): void {
    const { clock, answer } = this.options;
    const key = bytesKey(prefix);
    const at = this.#refreshed.get(key);
    const fresh = at !== undefined && clock.nowMs() - at < sectorCacheMs;
    if (fresh) {
      answer(peer, prefix, max);
      return;
    }
    const copy = prefix.slice();
    if (trusted) {
      answer(peer, prefix, max);
      this.refresh(copy, max);
      return;
    }
    const w = this.#waiting.get(key);
    if (w !== undefined) {
      w.askers.set(peer.id, { peer, max });
      return;
    }
    if (this.#waiting.size >= sectorPrefixesMax || this.refresh(copy, max) === 0) {
      answer(peer, prefix, max);
      return;
    }
    this.#waiting.set(key, {
      askers: new Map([[peer.id, { peer, max }]]),
      timer: clock.after(sectorAnswerMs, () => this.#release(key, copy)),
    });
  }

  /** Asks the ledger for a prefix unless a question is open; returns how many nodes are being asked. */
  refresh(prefix: Uint8Array, max: number): number {
    const { clock } = this.options;
    const key = bytesKey(prefix);
    const open = this.#asked.get(key);
    if (open !== undefined && clock.nowMs() - open < sectorAnswerMs) return 1;
    if (!this.#budget.take(clock.nowMs())) return 0;
    const n = this.options.askLedger(prefix, Math.max(max, 8));
    if (n > 0) {
      this.#asked.delete(key);
      this.#asked.set(key, clock.nowMs());
      if (this.#asked.size > sectorPrefixesMax) this.#asked.delete(this.#asked.keys().next().value!);
    }
    return n;
  }

  /** Whether sectorNodes for this prefix was asked for within the last 30 s: everything else is ignored. */
  expects(prefix: Uint8Array): boolean {
    const at = this.#asked.get(bytesKey(prefix));
    return at !== undefined && this.options.clock.nowMs() - at < sectorCacheMs;
  }

  /** The presences of an expected answer are in the store: answer everyone who waits. */
  answered(prefix: Uint8Array): void {
    const key = bytesKey(prefix);
    this.#refreshed.delete(key);
    this.#refreshed.set(key, this.options.clock.nowMs());
    if (this.#refreshed.size > sectorPrefixesMax)
      this.#refreshed.delete(this.#refreshed.keys().next().value!);
    this.#release(key, prefix);
  }

  #release(key: string, prefix: Uint8Array): void {
    const w = this.#waiting.get(key);
    if (w === undefined) return;
    this.#waiting.delete(key);
    w.timer.cancel();
    for (const { peer, max } of w.askers.values()) if (peer.isOpen) this.options.answer(peer, prefix, max);
  }

  close(): void {
    for (const w of this.#waiting.values()) w.timer.cancel();
    this.#waiting.clear();
  }
}
