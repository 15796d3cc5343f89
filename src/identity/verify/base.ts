import {
  type Candidate,
  candidate,
  EngineClosed,
  type VerifyEngine,
  type VerifyEngineName,
  type VerifyItem,
} from './engine.js';

/** What all engines share: the count of operations and an orderly close. */
export abstract class BaseEngine implements VerifyEngine {
  abstract readonly name: VerifyEngineName;
  /** Raised by subclasses, once for every RSA operation they start. */
  protected operationsDone = 0;
  #closed = false;
  #active = 0;
  readonly #onIdle: (() => void)[] = [];

  get operations(): number {
    return this.operationsDone;
  }

  /** Verdicts on the items, in order. */
  protected abstract run(items: readonly VerifyItem[]): Promise<boolean[]>;
  /** Lets go of keys and memory; called once, when nothing runs any more. */
  protected abstract release(): void;

  async verify(items: readonly VerifyItem[]): Promise<boolean[]> {
    if (this.#closed) throw new EngineClosed();
    this.#active++;
    try {
      return await this.run(items);
    } finally {
      this.#active--;
      if (this.#active === 0) for (const f of this.#onIdle.splice(0)) f();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#active > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    this.release();
  }
}

/**
 * Engines that check one item after the other on the calling thread. The event loop turns every
 * `chunkItemsMax` candidates, so that sockets and timers are served in between.
 */
export abstract class InPlaceEngine extends BaseEngine {
  protected abstract readonly chunkItemsMax: number;

  /** Verdict on one candidate; null when its key turned out unusable before any RSA operation. */
  protected abstract check(c: Candidate): boolean | null;

  protected override async run(items: readonly VerifyItem[]): Promise<boolean[]> {
    const out: boolean[] = [];
    let sinceTurn = 0;
    for (const item of items) {
      const c = candidate(item);
      if (c !== null && ++sinceTurn > this.chunkItemsMax) {
        await turn();
        sinceTurn = 1;
      }
      const verdict = c === null ? null : this.check(c);
      if (verdict !== null) this.operationsDone++;
      out.push(verdict === true);
    }
    return out;
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
