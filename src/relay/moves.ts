import { bytesKey } from '../wire/index.js';
import type { SessionPeer } from './sessions.js';

/** A client that is not back by then comes later or elsewhere: nobody waits for it. */
export const backMs = 5_000;

/** Device and wallet: one client, whichever its connection. */
function keyOf(p: SessionPeer): string {
  return `${bytesKey(p.info.address)}|${bytesKey(p.info.deviceId)}`;
}

/**
 * Clients that were told to come back to another process and have no session there yet. Their number is what paces
 * the next ones: who is away cannot be reached, and each return may cost a signature.
 */
export class Moves {
  /** When each was told, oldest first. */
  readonly #away = new Map<string, number>();

  told(p: SessionPeer, nowMs: number): void {
    this.#away.set(keyOf(p), nowMs);
  }

  /** A session opened in another process. */
  came(p: SessionPeer): void {
    if (this.#away.size > 0) this.#away.delete(keyOf(p));
  }

  /** How many are away. */
  away(nowMs: number): number {
    for (const [key, toldMs] of this.#away) {
      if (nowMs - toldMs < backMs) break;
      this.#away.delete(key);
    }
    return this.#away.size;
  }
}
