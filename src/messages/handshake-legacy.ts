import { type ContactState, newContact } from './contact.js';
import type { OpenedMessage } from './incoming.js';
import { sessionKeyBytes } from './key-agreement.js';
import { decodeAcceptAdd0, decodeKeys0, encodeKeys0 } from './payloads/contact.js';
import { Spixi, spixi } from './spixi-message.js';
import { type StreamMessage, StreamMessageType } from './stream-message.js';
import { type HandshakeContext, type HandshakeOutcome, ReservedId, Turn } from './turn.js';

/**
 * The version 0 contact set-up (docs/protocol/07 §6.5): answered for clients older than 2025, refused as a
 * downgrade from any contact that ever spoke version 1.
 */

/** A version 0 request; only tests and replays start one, no client of either line does any more. */
export function requestContactLegacy(
  address: Uint8Array,
  publicKey: Uint8Array | null,
  ctx: HandshakeContext,
): HandshakeOutcome {
  const t = new Turn(newContact(address, { approved: true, publicKey, requestedAt: ctx.now }), ctx);
  t.send({
    id: ReservedId.requestAdd,
    spixi: spixi(Spixi.requestAdd, ctx.self.publicKey),
    version: 0,
    type: StreamMessageType.info,
    mode: 'plain',
    timestamp: t.handshakeTime(),
  });
  return t.done(null);
}

export function handleRequestAdd(
  m: StreamMessage,
  o: OpenedMessage,
  contact: ContactState | null,
  ctx: HandshakeContext,
): HandshakeOutcome | null {
  if (o.proof !== 'signature' || o.key === null || m.sender === null) return null;
  const timestamp = Number(m.timestamp);
  if (contact === null) {
    if (!ctx.allowRequests) return null;
    const t = new Turn(newContact(m.sender, { handshakeStatus: 1, publicKey: o.key }), ctx);
    t.c.lastReceivedHandshake = timestamp;
    t.effect({ kind: 'request' });
    t.acknowledge(m, o.spixi.channel);
    t.askNick();
    return t.done('requestAdd');
  }
  if (contact.kind !== 'normal' || contact.protocolVersion >= 1) return null;
  const t = new Turn(contact, ctx);
  if (timestamp <= contact.lastReceivedHandshake) {
    t.acknowledge(m, o.spixi.channel);
    return t.done(null);
  }
  // In the middle of a set-up the AES key already sent stays valid.
  const reset = contact.handshakeStatus === 0 || contact.handshakeStatus === 3;
  t.c.lastReceivedHandshake = timestamp;
  t.c.publicKey ??= o.key;
  t.c.handshakeStatus = 1;
  t.acknowledge(m, o.spixi.channel);
  if (!t.c.approved) return t.done(null);
  sendAcceptAdd(t, reset);
  return t.done('requestAdd');
}

/** acceptAdd: the AES key, under the peer's RSA key. */
export function sendAcceptAdd(t: Turn, reset: boolean): void {
  const { c } = t;
  if (reset || c.aesKey === null) {
    c.aesKey = t.ctx.source.bytes(sessionKeyBytes);
    c.chachaKey = null;
  }
  t.send({
    id: ReservedId.acceptAdd,
    spixi: spixi(Spixi.acceptAdd, c.aesKey),
    version: 0,
    type: StreamMessageType.info,
    mode: 'rsa',
    timestamp: t.handshakeTime(),
  });
}

export function handleAcceptAdd(
  t: Turn,
  m: StreamMessage,
  o: OpenedMessage,
  data: Uint8Array,
): HandshakeOutcome | null {
  const { c } = t;
  if (c.kind !== 'normal' || c.protocolVersion >= 1 || o.proof !== 'signature' || !c.approved) return null;
  const timestamp = Number(m.timestamp);
  if (timestamp <= c.lastReceivedHandshake || c.handshakeStatus > 1) {
    t.acknowledge(m, o.spixi.channel);
    return t.done(null);
  }
  c.aesKey = new Uint8Array(decodeAcceptAdd0(data));
  c.lastReceivedHandshake = timestamp;
  c.chachaKey = t.ctx.source.bytes(sessionKeyBytes);
  c.handshakeStatus = 2;
  c.requestedAt = null;
  t.effect({ kind: 'cancel', id: ReservedId.requestAdd });
  t.send({
    id: ReservedId.keys,
    spixi: spixi(Spixi.keys, encodeKeys0(c.chachaKey)),
    version: 0,
    type: StreamMessageType.info,
    mode: 'rsa',
    timestamp: t.handshakeTime(),
    first: true,
  });
  t.acknowledge(m, o.spixi.channel);
  t.sendProfile();
  return t.done('acceptAdd');
}

export function handleKeys(
  t: Turn,
  m: StreamMessage,
  o: OpenedMessage,
  data: Uint8Array,
): HandshakeOutcome | null {
  const { c } = t;
  if (c.kind !== 'normal' || c.protocolVersion >= 1 || o.proof !== 'signature') return null;
  const timestamp = Number(m.timestamp);
  if (c.handshakeStatus >= 3) {
    t.acknowledge(m, o.spixi.channel);
    return t.done(null);
  }
  if (c.aesKey === null || timestamp < c.lastReceivedHandshake) return null;
  c.chachaKey = new Uint8Array(decodeKeys0(data));
  c.lastReceivedHandshake = timestamp;
  t.complete();
  t.acknowledge(m, o.spixi.channel);
  t.sendProfile();
  return t.done('keys');
}
