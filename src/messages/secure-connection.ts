import { type ContactState, newContact } from './contact.js';
import type { OpenedMessage } from './incoming.js';
import { contactVersionMax, decodeRequestAdd2, encodeRequestAdd2 } from './payloads/contact.js';
import { Spixi, spixi } from './spixi-message.js';
import { type StreamMessage, StreamMessageType } from './stream-message.js';
import { type HandshakeContext, type HandshakeOutcome, ReservedId, Turn } from './turn.js';

/**
 * The temporary request/response channel of docs/protocol/07 §12 ("IXISocket"): a contact set-up without
 * receipts and profiles, kept in memory. The table of channels, its limit of 100 and the idle expiry belong
 * to whoever holds the contacts.
 */

/** Seconds an openSecureConnection stays acceptable: it is replayable (07 §12). */
export const openingAgeSecondsMax = 60;

/** Opens a channel to `address`; `ctx.self` is the one-time identity, `publicKey` the target's. */
export function openSecureConnection(
  address: Uint8Array,
  publicKey: Uint8Array,
  ctx: HandshakeContext,
): HandshakeOutcome {
  const contact = newContact(address, {
    kind: 'socketOut',
    approved: true,
    publicKey,
    requestedAt: ctx.now,
  });
  const t = new Turn(contact, ctx);
  const body = encodeRequestAdd2({ maxVersion: contactVersionMax, publicKey: ctx.self.publicKey });
  t.send({
    id: ReservedId.requestAdd,
    spixi: spixi(Spixi.openSecureConnection, body),
    kind: 'transient',
    type: StreamMessageType.info,
    mode: 'rsa2',
    timestamp: t.handshakeTime(),
    direct: true,
  });
  return t.done(null);
}

/** Ends a channel from this side; the state is to be forgotten. */
export function closeSecureConnection(contact: ContactState, ctx: HandshakeContext): HandshakeOutcome {
  const t = new Turn(contact, ctx);
  t.send({
    spixi: spixi(Spixi.closeSecureConnection),
    kind: 'transient',
    type: StreamMessageType.info,
    confirm: false,
    direct: true,
  });
  return { contact: null, effects: [...t.effects, { kind: 'closed' }], handled: null };
}

export function handleOpenSecureConnection(
  m: StreamMessage,
  o: OpenedMessage,
  data: Uint8Array,
  contact: ContactState | null,
  ctx: HandshakeContext,
): HandshakeOutcome | null {
  if (o.proof !== 'signature' || m.sender === null) return null;
  const timestamp = Number(m.timestamp);
  if (Math.abs(ctx.now - timestamp) > openingAgeSecondsMax) return null;
  const { maxVersion, publicKey } = decodeRequestAdd2(data);
  if (maxVersion < 1) return null;
  const protocolVersion = Math.min(maxVersion, contactVersionMax);
  if (contact !== null) {
    // A contact of the list has its own keys; a pending channel gets no second answer under the same key.
    if (contact.kind !== 'socketIn' || contact.pending !== null) return null;
    if (timestamp <= contact.lastReceivedHandshake) return null;
  }
  const t = new Turn(contact ?? newContact(m.sender, { kind: 'socketIn', publicKey }), ctx);
  t.c.handshakeStatus = contact === null ? 0 : 1;
  t.c.approved = true;
  t.c.protocolVersion = protocolVersion;
  t.c.lastReceivedHandshake = timestamp;
  t.acceptNow();
  return t.done('openSecureConnection');
}
