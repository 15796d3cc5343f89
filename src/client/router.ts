import { type Clock, sleep } from '../clock/index.js';
import type { Conversation } from './conversation.js';
import type { Lookup } from './lookup.js';
import type { PresenceBook } from './presence-book.js';
import { type RelayConnection, RelayUnreachable } from './relay-connection.js';
import type { RelayPool } from './relay-pool.js';

/** Relays of one contact that a message goes to: one per device in practice (docs/protocol/07 §8). */
const relaysPerContactMax = 3;
/** With one relay connected, how long the others are waited for. */
const othersMs = 500;
/** A relay that took longer to say hello is passed over; a frozen one would hold everything up for 10 s. */
const connectMs = 3_000;
/** Least time between look-ups of one contact: when something calls for one, and otherwise (07 §8.2). */
const locateForcedMs = 3_000;
const locateMs = 30_000;
/** Look-ups in a row that may find nothing before the slow interval begins. */
const missesMax = 10;

export interface RouterOptions {
  readonly pool: RelayPool;
  readonly book: PresenceBook;
  readonly lookup: Lookup;
  readonly clock: Clock;
  /** A contact may be reachable again: try its queue. */
  wake(c: Conversation): void;
}

/** Finds the connections that lead to a contact, and looks it up when none do (07 §8, §8.1). */
export class Router {
  readonly #o: RouterOptions;
  readonly #locating = new Map<string, Promise<void>>();
  readonly #waiting = new Set<string>();

  constructor(options: RouterOptions) {
    this.#o = options;
  }

  /** Connections to send on, empty while there is no way; then a look-up is under way. */
  async connections(c: Conversation): Promise<RelayConnection[]> {
    const { book } = this.#o;
    if (book.hostnames(c.wallet).length === 0) {
      await this.locate(c, c.missed < missesMax);
      if (book.hostnames(c.wallet).length === 0) return [];
    }
    const found = await this.#connectAll(c, book.hostnames(c.wallet).slice(0, relaysPerContactMax));
    if (found.length === 0) void this.locate(c, true);
    return found;
  }

  async #connectAll(c: Conversation, hostnames: readonly string[]): Promise<RelayConnection[]> {
    const { pool, book, clock } = this.#o;
    const open: RelayConnection[] = [];
    const dials = hostnames.map(async (endpoint) => {
      try {
        open.push(await pool.connect({ endpoint }));
      } catch (error) {
        book.fail(c.wallet, endpoint);
        throw error;
      }
    });
    try {
      const late = sleep(clock, connectMs).then(() => {
        throw new RelayUnreachable(hostnames.join(', '), 'no hello in time');
      });
      await Promise.race([Promise.any(dials), late]);
      await Promise.race([Promise.allSettled(dials), sleep(clock, othersMs)]);
    } catch {
      for (const h of hostnames) if (pool.get(h) === null) book.fail(c.wallet, h);
      return [];
    }
    return open.filter((x) => x.isOpen);
  }

  /** Looks a contact up unless that was done a moment ago; then it is done, and `wake` called, later. */
  locate(c: Conversation, forced: boolean): Promise<void> {
    const { clock } = this.#o;
    const under = this.#locating.get(c.wallet);
    if (under !== undefined) return under;
    const wait = c.locatedMs + (forced ? locateForcedMs : locateMs) - clock.nowMs();
    if (wait > 0) {
      this.#wakeLater(c, wait);
      return Promise.resolve();
    }
    c.locatedMs = clock.nowMs();
    const run = this.#find(c).finally(() => this.#locating.delete(c.wallet));
    this.#locating.set(c.wallet, run);
    return run;
  }

  async #find(c: Conversation): Promise<void> {
    const { lookup, book } = this.#o;
    try {
      await lookup.find(c.address);
    } catch {
      // Nobody to ask at the moment: the next attempt comes by itself.
    }
    if (book.hostnames(c.wallet).length > 0) c.missed = 0;
    else c.missed++;
  }

  #wakeLater(c: Conversation, ms: number): void {
    if (this.#waiting.has(c.wallet)) return;
    this.#waiting.add(c.wallet);
    this.#o.clock.after(ms, () => {
      this.#waiting.delete(c.wallet);
      this.#o.wake(c);
    });
  }
}
