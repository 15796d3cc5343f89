import type { Signer } from '../identity/index.js';
import { RsaDecryptError, wipe } from '../identity/index.js';
import type { HeldTicket, TicketStore } from '../link/index.js';

/** Relays whose ticket is kept: all that a client holds connections to, and some that it left. */
export const ticketRelaysMax = 64;

/**
 * Tickets to come back with, one per relay as it was dialled (docs/resumption.md). In memory alone: they are worth
 * a session for twenty minutes, which is no reason to write secrets to a disk.
 */
export class TicketBook {
  readonly #held = new Map<string, HeldTicket>();

  constructor(private readonly signer: Pick<Signer, 'decryptOaep'>) {}

  get size(): number {
    return this.#held.size;
  }

  /** What a link to that relay uses. */
  storeOf(relay: string): TicketStore {
    return {
      take: () => {
        const t = this.#held.get(relay) ?? null;
        this.#held.delete(relay);
        return t;
      },
      put: (ticket) => {
        this.#held.delete(relay);
        this.#held.set(relay, ticket);
        if (this.#held.size > ticketRelaysMax) this.#held.delete(this.#held.keys().next().value!);
      },
      open: async (sealed) => {
        try {
          return await this.signer.decryptOaep(sealed);
        } catch (error) {
          if (error instanceof RsaDecryptError) return null;
          throw error;
        }
      },
    };
  }

  /** Forgets everything, secrets first. */
  clear(): void {
    for (const t of this.#held.values()) wipe(t.secret);
    this.#held.clear();
  }
}
