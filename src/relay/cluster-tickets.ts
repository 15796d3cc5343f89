import type { Bus } from '../cluster/index.js';
import { decodeTicketKeys, encodeTicketKeys, type TicketKeys } from './ticket-keys.js';

const topic = 'ticket-keys';
/** The leader makes the next key; the others make one when theirs is so much overdue. */
export const keyPatienceSeconds = 60;

/**
 * The same ticket keys in every process, so that a client comes back without a signature to whichever it is sent. They
 * travel over the pipes between the processes alone, in a folder that nobody else may enter.
 */
export class ClusterTickets {
  #keys: TicketKeys | null = null;

  constructor(private readonly bus: Bus) {
    bus.on(topic, (_from, payload) => this.#keys?.learn(decodeTicketKeys(payload.slice())));
  }

  /** From now on keys made here are told, and those of others are taken over. */
  share(keys: TicketKeys): void {
    this.#keys = keys;
    keys.onMade = () => void this.bus.publish(topic, encodeTicketKeys(keys.all), 'control');
  }

  /** Tells one process of all keys. */
  tellAll(node: string): void {
    const all = this.#keys?.all ?? [];
    if (all.length > 0) this.bus.send(node, topic, encodeTicketKeys(all), 'control');
  }
}
