import { bytesEqual, DecodeError } from '../wire/index.js';
import { type ContactState, hasSeen, newContact, withSeen } from './contact.js';
import { handleAcceptAdd, handleKeys, handleRequestAdd, sendAcceptAdd } from './handshake-legacy.js';
import { type DropReason, type OpenedMessage, openMessage, type ReceivingParty } from './incoming.js';
import { answerAgreement, completeAgreement } from './key-agreement.js';
import { decodeReaction } from './payloads/application.js';
import {
  contactVersionMax,
  decodeAcceptAdd2,
  decodeKeys2,
  decodeRequestAdd2,
  encodeKeys2,
  encodeRequestAdd2,
} from './payloads/contact.js';
import { handleOpenSecureConnection } from './secure-connection.js';
import { Spixi, spixi, spixiTypeName } from './spixi-message.js';
import { type StreamMessage, StreamMessageType } from './stream-message.js';
import { type HandshakeContext, type HandshakeOutcome, ReservedId, Turn } from './turn.js';

/** Longest nick that is stored, in UTF-8 bytes; the reference has no limit. */
export const nickBytesMax = 256;

const utf8 = new TextDecoder();

/** {@link HandshakeOutcome}, and for a refused message why. */
export interface ReceiveOutcome extends HandshakeOutcome {
  readonly dropped: DropReason | 'refused' | null;
}

/**
 * One incoming message (docs/protocol/07 §6, §7): decrypts and authenticates it, then steps the contact's
 * state machine. `contact` is the state held for `m.sender`, null for a stranger. Does nothing itself: the
 * caller stores the state and carries out the effects in order. A dropped message leaves the state as it was
 * and has no effects, so nothing tells the sender (07 §5.2).
 */
export async function receiveMessage(
  m: StreamMessage,
  contact: ContactState | null,
  ctx: HandshakeContext,
  self: ReceivingParty,
): Promise<ReceiveOutcome> {
  const result = await openMessage(m, contact, self);
  if ('dropped' in result) return nothing(contact, result.dropped);
  try {
    const outcome = step(m, result.opened, contact, ctx);
    return outcome === null ? nothing(contact, 'refused') : { ...outcome, dropped: null };
  } catch (e) {
    // A payload that does not decode, a point off the curve, a key of the wrong length: as if never received.
    if (e instanceof DecodeError) return nothing(contact, 'malformed');
    throw e;
  }
}

function nothing(contact: ContactState | null, dropped: ReceiveOutcome['dropped']): ReceiveOutcome {
  return { contact, effects: [], handled: null, dropped };
}

/**
 * The user adds a contact: signed requestAdd2 (07 §6.3 step 1). A known contact starts over from status 0,
 * because a request sent at status 3 would be lost (07 §5.4 quirk); its old keys go on opening what is under
 * way until acceptAdd2 replaces them. `publicKey` from the peer's presence, null while unknown.
 */
export function requestContact(
  address: Uint8Array,
  known: ContactState | null,
  publicKey: Uint8Array | null,
  ctx: HandshakeContext,
): HandshakeOutcome {
  const t = new Turn(known ?? newContact(address), ctx);
  t.c.approved = true;
  t.c.handshakeStatus = 0;
  t.c.pending = null;
  t.c.acceptAfter = null;
  t.c.publicKey ??= publicKey;
  t.c.requestedAt = ctx.now;
  const body = encodeRequestAdd2({ maxVersion: contactVersionMax, publicKey: ctx.self.publicKey });
  t.effect({ kind: 'cancel', id: ReservedId.acceptAdd });
  t.effect({ kind: 'cancel', id: ReservedId.keys });
  t.send({
    id: ReservedId.requestAdd,
    spixi: spixi(Spixi.requestAdd2, body),
    type: StreamMessageType.info,
    mode: 'plain',
    timestamp: t.handshakeTime(),
  });
  return t.done(null);
}

/** The user agrees to a stranger's request (07 §6.3 step 3). Null when there is nothing to answer. */
export function acceptContact(contact: ContactState, ctx: HandshakeContext): HandshakeOutcome | null {
  if (contact.handshakeStatus > 1) return null;
  const t = new Turn(contact, ctx);
  t.c.approved = true;
  if (contact.handshakeStatus === 1) {
    if (contact.protocolVersion >= 1) t.acceptOrWait();
    else sendAcceptAdd(t, true);
  }
  return t.done(null);
}

/** The peer's key became known from its presence. A stored key is never replaced (07 §6.3). */
export function learnPublicKey(contact: ContactState, publicKey: Uint8Array): ContactState {
  return contact.publicKey === null ? { ...contact, publicKey } : contact;
}

/**
 * To be called as time passes: sends the acceptAdd2 that waited for the peer's own (07 §6.3 "glare"). Null
 * when nothing is due.
 */
export function handshakeTick(contact: ContactState, ctx: HandshakeContext): HandshakeOutcome | null {
  if (contact.acceptAfter === null || ctx.now < contact.acceptAfter) return null;
  const t = new Turn(contact, ctx);
  t.c.acceptAfter = null;
  if (contact.approved && contact.handshakeStatus <= 1) t.acceptNow();
  return t.done(null);
}

/** Null: refused, without a trace. */
function step(
  m: StreamMessage,
  o: OpenedMessage,
  contact: ContactState | null,
  ctx: HandshakeContext,
): HandshakeOutcome | null {
  const { type } = o.spixi;
  const data = o.spixi.data ?? new Uint8Array(0);
  if (type === Spixi.requestAdd2) return handleRequestAdd2(m, o, data, contact, ctx);
  if (type === Spixi.requestAdd) return handleRequestAdd(m, o, contact, ctx);
  if (type === Spixi.openSecureConnection) return handleOpenSecureConnection(m, o, data, contact, ctx);
  if (contact === null) return handleFromStranger(m, o, ctx);
  const t = new Turn(contact, ctx);
  switch (type) {
    case Spixi.acceptAdd2:
      return handleAcceptAdd2(t, m, o, data);
    case Spixi.keys2:
      return handleKeys2(t, m, o, data);
    case Spixi.acceptAdd:
      return handleAcceptAdd(t, m, o, data);
    case Spixi.keys:
      return handleKeys(t, m, o, data);
    case Spixi.msgReceived:
      return handleReceipt(t, o, data);
    case Spixi.getNick:
      t.acknowledge(m, o.spixi.channel);
      t.sendNick();
      return t.done('getNick');
    case Spixi.nick:
      return handleNick(t, m, o, data);
    case Spixi.closeSecureConnection:
      if (contact.kind === 'normal') return null;
      return { contact: null, effects: [{ kind: 'closed' }], handled: spixiTypeName(type) };
    default:
      return handleContent(t, m, o);
  }
}

function handleRequestAdd2(
  m: StreamMessage,
  o: OpenedMessage,
  data: Uint8Array,
  contact: ContactState | null,
  ctx: HandshakeContext,
): HandshakeOutcome | null {
  const timestamp = Number(m.timestamp);
  const { maxVersion, publicKey } = decodeRequestAdd2(data);
  if (maxVersion < 1) return null;
  const version = Math.min(maxVersion, contactVersionMax);
  if (contact === null) {
    if (!ctx.allowRequests || m.sender === null) return null;
    const t = new Turn(
      newContact(m.sender, { handshakeStatus: 1, protocolVersion: version, publicKey }),
      ctx,
    );
    t.c.lastReceivedHandshake = timestamp;
    t.effect({ kind: 'request' });
    t.acknowledge(m, o.spixi.channel);
    t.askNick();
    return t.done('requestAdd2');
  }
  if (contact.kind !== 'normal') return null;
  const t = new Turn(contact, ctx);
  // Under the session keys its signature cannot be the request's own (07 §5.4 quirk): stop the repetition only.
  if (o.proof !== 'signature' || timestamp <= contact.lastReceivedHandshake) {
    t.acknowledge(m, o.spixi.channel);
    return t.done(null);
  }
  t.c.lastReceivedHandshake = timestamp;
  t.c.protocolVersion = Math.max(t.c.protocolVersion, version);
  t.c.publicKey ??= publicKey;
  t.c.handshakeStatus = 1;
  // After the reset, so that a re-installed peer can read it (07 §6.3 "Re-installation").
  t.acknowledge(m, o.spixi.channel);
  if (t.c.approved) return t.done(t.acceptOrWait() ? 'requestAdd2' : null);
  return t.done(ctx.self.line === '0.9.8' ? 'requestAdd2' : null);
}

function handleAcceptAdd2(
  t: Turn,
  m: StreamMessage,
  o: OpenedMessage,
  data: Uint8Array,
): HandshakeOutcome | null {
  const { c, ctx } = t;
  const timestamp = Number(m.timestamp);
  // Only a side that asked, or agreed, may be accepted: otherwise a stranger could approve itself.
  if (o.proof !== 'signature' || !c.approved) return null;
  const socket = c.kind !== 'normal';
  if (timestamp <= c.lastReceivedHandshake || c.handshakeStatus > 1) {
    if (!socket) t.acknowledge(m, o.spixi.channel);
    return t.done(null);
  }
  const accept = decodeAcceptAdd2(data);
  if (accept.version < Math.max(c.protocolVersion, 1) || accept.version > contactVersionMax) return null;
  if (c.pending !== null && t.ownAddressIsLower()) {
    // Both sides accepted: the lower address's acceptAdd2 counts, so this one is only taken off the peer's queue.
    c.lastReceivedHandshake = timestamp;
    t.acknowledge(m, o.spixi.channel);
    return t.done(null);
  }
  const answer = answerAgreement(accept, ctx.source);
  c.lastReceivedHandshake = timestamp;
  c.publicKey ??= accept.rsaPublicKey;
  c.aesKey = answer.keys.aesKey;
  c.chachaKey = answer.keys.chachaKey;
  c.protocolVersion = accept.version;
  c.capabilities = accept.capabilities;
  c.handshakeStatus = 2;
  c.requestedAt = null;
  c.acceptAfter = null;
  // c.pending stays: a peer without the rule above answers the acceptAdd2 that crossed with this one.
  t.effect({ kind: 'cancel', id: ReservedId.requestAdd });
  t.effect({ kind: 'cancel', id: ReservedId.acceptAdd });
  const body = encodeKeys2({
    ecdhPublicKey: answer.ecdhPublicKey,
    mlKemCiphertext: answer.mlKemCiphertext,
    chachaSalt: answer.chachaSalt,
    capabilities: ctx.self.capabilities,
  });
  t.send({
    id: ReservedId.keys,
    spixi: spixi(Spixi.keys2, body),
    type: StreamMessageType.info,
    mode: 'rsa2',
    timestamp: t.handshakeTime(),
    kind: socket ? 'transient' : 'content',
    first: true,
    direct: socket,
  });
  if (!socket) {
    t.acknowledge(m, o.spixi.channel);
    t.sendProfile();
  }
  return t.done('acceptAdd2');
}

function handleKeys2(t: Turn, m: StreamMessage, o: OpenedMessage, data: Uint8Array): HandshakeOutcome | null {
  const { c } = t;
  const timestamp = Number(m.timestamp);
  if (o.proof !== 'signature') return null;
  if (c.handshakeStatus >= 3) {
    t.acknowledgeKeys(m);
    return t.done(null);
  }
  // A recorded keys2 of an earlier set-up must not spend the new key pair.
  if (c.pending === null || timestamp < c.lastReceivedHandshake) return null;
  const answer = decodeKeys2(data);
  const keys = completeAgreement(c.pending, answer);
  c.lastReceivedHandshake = timestamp;
  c.aesKey = keys.aesKey;
  c.chachaKey = keys.chachaKey;
  c.capabilities = answer.capabilities;
  // Sent when acceptAdd2 messages crossed; the keys just derived replace those it announced.
  t.effect({ kind: 'cancel', id: ReservedId.keys });
  t.complete();
  t.acknowledgeKeys(m);
  if (c.kind === 'normal') t.sendProfile();
  return t.done('keys2');
}

function handleReceipt(t: Turn, o: OpenedMessage, id: Uint8Array): HandshakeOutcome | null {
  const { c } = t;
  if (id.length === 0) return null;
  const proven = o.proof !== 'none';
  if (bytesEqual(id, ReservedId.keys)) {
    // Only a receipt under the session keys shows that the peer derived the same ones (07 §6.3).
    if (c.protocolVersion >= 1 ? o.proof !== 'session' : !proven) return null;
    t.effect({ kind: 'acked', id, proven });
    if (c.handshakeStatus !== 2) return t.done(null);
    t.complete();
    return t.done(spixiTypeName(Spixi.msgReceived));
  }
  t.effect({ kind: 'acked', id, proven });
  if (bytesEqual(id, ReservedId.requestAdd)) {
    if (c.handshakeStatus !== 0) return t.done(null);
    c.handshakeStatus = 1;
    return t.done(spixiTypeName(Spixi.msgReceived));
  }
  if (id.length === 1 && isQuietId(id[0]!)) return t.done(null);
  return t.done(spixiTypeName(Spixi.msgReceived));
}

/** One-byte ids whose receipt means nothing to the application: handshake, profile and bot messages. */
function isQuietId(id: number): boolean {
  return id <= 6 || (id >= 10 && id <= 14);
}

function handleNick(t: Turn, m: StreamMessage, o: OpenedMessage, data: Uint8Array): HandshakeOutcome | null {
  if (o.proof === 'none' || data.length > nickBytesMax) return null;
  t.c.nick = data.length === 0 ? null : utf8.decode(data);
  t.acknowledge(m, o.spixi.channel);
  t.effect({ kind: 'cancel', id: ReservedId.getNick });
  return t.done('nick');
}

/** Types that are never acknowledged (07 §7). */
const withoutReceipt: ReadonlySet<number> = new Set([Spixi.msgTyping]);
/** Temporary channels acknowledge nothing of their content but this (07 §12). */
const socketReceipts: ReadonlySet<number> = new Set([Spixi.transactionSend]);

/** Everything the application decides about. */
function handleContent(t: Turn, m: StreamMessage, o: OpenedMessage): HandshakeOutcome | null {
  const { c, ctx } = t;
  const { type, channel } = o.spixi;
  const due = c.kind === 'normal' ? !withoutReceipt.has(type) : socketReceipts.has(type);
  const receipt = due ? t.receipt(m, channel, type === Spixi.chat) : null;
  // One-byte ids name a kind of message, not a message: the newest nick or avatar comes under the same id.
  if (m.id.length > 1) {
    if (hasSeen(c, m.id)) {
      if (receipt !== null) t.effect({ kind: 'send', message: receipt });
      return t.done(null);
    }
    c.seen = withSeen(c, m.id);
  }
  if (type === Spixi.msgRead && o.spixi.data !== null) t.effect({ kind: 'read', id: o.spixi.data });
  if (type === Spixi.getAvatar && c.kind === 'normal') t.sendAvatar();
  const target = targetOf(type, o.spixi.data);
  if (target !== null && !ctx.hasMessage(c, target)) {
    // About a message that is not here: nothing to apply, but the sender must not repeat it.
    if (receipt !== null) t.effect({ kind: 'send', message: receipt });
    return t.done(null);
  }
  t.effect({ kind: 'deliver', spixi: o.spixi, message: m, receipt });
  return t.done(spixiTypeName(type));
}

/** The message a reaction or deletion is about. @throws DecodeError */
function targetOf(type: number, data: Uint8Array | null): Uint8Array | null {
  if (type === Spixi.msgDelete) return data ?? new Uint8Array(0);
  if (type === Spixi.msgReaction) return decodeReaction(data ?? new Uint8Array(0)).messageId;
  return null;
}

/** A payment message of somebody unknown: delivered, as it brings its own proven key (07 §3.7). */
function handleFromStranger(
  m: StreamMessage,
  o: OpenedMessage,
  ctx: HandshakeContext,
): HandshakeOutcome | null {
  if (o.proof !== 'signature' || m.sender === null) return null;
  const known = newContact(m.sender, { publicKey: o.key, protocolVersion: Math.min(m.version, 1) });
  const t = new Turn(known, ctx);
  const receipt = o.spixi.type === Spixi.transactionSend ? t.receipt(m, o.spixi.channel) : null;
  t.effect({ kind: 'deliver', spixi: o.spixi, message: m, receipt });
  return { contact: null, effects: t.effects, handled: spixiTypeName(o.spixi.type) };
}
