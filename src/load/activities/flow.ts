import type { LoadClient } from '../client.js';
import type { MessageWriter } from '../message.js';

/** Numbers remembered as missing, per flow: beyond this a loss is still counted, but a late arrival is not told from a repeated one. */
const missingMax = 50_000;

/** What the arrival of a number means. */
export type Arrival = 'next' | 'late' | 'repeated';

/**
 * One sender's numbered messages to one recipient: what was sent, what came, what a relay refused. At the end every
 * number is accounted for exactly once.
 */
export class Flow {
  /** The next number to send. */
  sent = 0;
  delivered = 0;
  refused = 0;
  /** The lowest number that neither came nor is known to be missing. */
  #expected = 0;
  readonly #missing = new Set<number>();
  readonly #refusedAhead = new Set<number>();
  /** Numbers below this that never came were under way when a connection ended. */
  #doubtBelow = 0;
  /** Intended times of messages that wait for a sender stopped by back-pressure. */
  readonly waiting: number[] = [];
  waitingAt = 0;

  constructor(
    readonly id: number,
    readonly sender: LoadClient,
    readonly recipient: LoadClient,
    readonly writer: MessageWriter,
  ) {}

  arrived(sequence: number): Arrival {
    if (sequence === this.#expected) {
      this.#expected++;
      this.delivered++;
      return 'next';
    }
    if (sequence > this.#expected) {
      for (let s = this.#expected; s < sequence && this.#missing.size < missingMax; s++)
        if (!this.#refusedAhead.delete(s)) this.#missing.add(s);
      this.#expected = sequence + 1;
      this.delivered++;
      return 'next';
    }
    if (!this.#missing.delete(sequence)) return 'repeated';
    this.delivered++;
    return 'late';
  }

  /** The relay said that it could not deliver this number. False: it had said so before, or it had come. */
  wasRefused(sequence: number): boolean {
    if (sequence >= this.sent) return false;
    if (sequence < this.#expected) {
      if (!this.#missing.delete(sequence)) return false;
    } else {
      if (this.#refusedAhead.has(sequence) || this.#refusedAhead.size >= missingMax) return false;
      this.#refusedAhead.add(sequence);
    }
    this.refused++;
    return true;
  }

  /** A connection of this flow has ended or come back: what is under way may be lost, and nobody is to blame. */
  disturbed(): void {
    this.#doubtBelow = this.sent;
  }

  /** What never came and was never refused: lost, or in doubt because a connection had ended. */
  unaccounted(): { readonly lost: number; readonly inDoubt: number } {
    const all = Math.max(0, this.sent - this.delivered - this.refused);
    let inDoubt = 0;
    for (const s of this.#missing) if (s < this.#doubtBelow) inDoubt++;
    for (let s = this.#expected; s < this.#doubtBelow; s++) if (!this.#refusedAhead.has(s)) inDoubt++;
    inDoubt = Math.min(inDoubt, all);
    return { lost: all - inDoubt, inDoubt };
  }
}
