import { type ContactState, isEstablished, Spixi } from '../messages/index.js';
import type { Conversation } from './conversation.js';
import type { ContactView, DeliveryState } from './events.js';
import type { PresenceBook } from './presence-book.js';

/** A contact as the application sees it. */
export function viewOf(c: Conversation, book: PresenceBook): ContactView {
  const s = c.contact;
  return {
    address: c.text,
    nick: s?.nick ?? null,
    approved: s?.approved ?? false,
    requested: s !== null && !s.approved && s.handshakeStatus === 1,
    established: s !== null && isEstablished(s),
    online: book.isOnline(c.wallet),
    lastSeen: book.lastSeen(c.wallet),
    unconfirmed: c.queue.entries.filter((e) => e.message.spixiType === Spixi.chat).length,
  };
}

/** What of a contact's state an application would notice; equal texts need no event. */
export function visiblePart(s: ContactState | null): string {
  return s === null ? '' : `${s.nick} ${s.approved} ${s.handshakeStatus}`;
}

const progress: readonly DeliveryState[] = ['queued', 'sent', 'delivered', 'read'];

/** True when `to` is further than `from`: a sent text never goes back. */
export function advanced(from: DeliveryState, to: DeliveryState): boolean {
  return progress.indexOf(from) < progress.indexOf(to);
}
