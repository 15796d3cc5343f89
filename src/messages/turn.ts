import { p521 } from '../identity/index.js';
import { compareBytes } from '../wire/index.js';
import { type ContactState, isEstablished } from './contact.js';
import { type AgreementSource, mlKemPublicKeyOf, offerAgreement } from './key-agreement.js';
import { type OutgoingFields, type OutgoingMessage, outgoing } from './outgoing.js';
import { contactVersionMax, encodeAcceptAdd2 } from './payloads/contact.js';
import { type Line, Spixi, type SpixiMessage, spixi } from './spixi-message.js';
import { type StreamMessage, StreamMessageType } from './stream-message.js';

/** Ids of handshake and profile messages (docs/protocol/07 §3.6): one per kind, so the newest replaces the older. */
export const ReservedId = {
  requestAdd: Uint8Array.of(0),
  acceptAdd: Uint8Array.of(1),
  keys: Uint8Array.of(2),
  getNick: Uint8Array.of(3),
  getAvatar: Uint8Array.of(4),
  nick: Uint8Array.of(5),
  avatar: Uint8Array.of(6),
} as const;

/** Seconds the own acceptAdd2 waits when both sides asked, by address order (07 §6.3 "glare"). */
export const glareWaitLowerSeconds = 15;
export const glareWaitHigherSeconds = 30;

/** What this side is towards its contacts. */
export interface LocalProfile {
  /** Raw address messages are sent from. */
  readonly address: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly capabilities: number;
  readonly nick: string;
  /** Image bytes, null without one. */
  readonly avatar: Uint8Array | null;
  /** Form of outgoing SpixiMessages and receipts; both forms are understood on receipt. */
  readonly line: Line;
}

/** Everything a step depends on besides the contact and the message. */
export interface HandshakeContext {
  readonly self: LocalProfile;
  /** Network time in whole seconds. */
  readonly now: number;
  readonly source: AgreementSource;
  /** Take requests from strangers. */
  readonly allowRequests: boolean;
  /** Whether the application holds the message a reaction or deletion is about. */
  hasMessage(contact: ContactState, id: Uint8Array): boolean;
}

/** What a step wants done, in this order. */
export type HandshakeEffect =
  /** Put it in the contact's outgoing queue, or send it, as its flags say. */
  | { readonly kind: 'send'; readonly message: OutgoingMessage }
  /** Take this id out of the outgoing queue. */
  | { readonly kind: 'cancel'; readonly id: Uint8Array }
  /**
   * The peer has the message with this id. Without `proven` the receipt may be forged: slow the message down
   * instead of forgetting it.
   */
  | { readonly kind: 'acked'; readonly id: Uint8Array; readonly proven: boolean }
  /** The peer's user has read the message with this id. */
  | { readonly kind: 'read'; readonly id: Uint8Array }
  /** Hand it to the application; send `receipt` once it is stored. */
  | {
      readonly kind: 'deliver';
      readonly spixi: SpixiMessage;
      readonly message: StreamMessage;
      readonly receipt: OutgoingMessage | null;
    }
  /** A stranger asks to become a contact: the user has to say. */
  | { readonly kind: 'request' }
  /** Both sides hold the session keys. */
  | { readonly kind: 'established' }
  /** The temporary channel is over. */
  | { readonly kind: 'closed' };

/** Result of a step: the new state (null: no contact, or none any more) and what to do. */
export interface HandshakeOutcome {
  readonly contact: ContactState | null;
  readonly effects: readonly HandshakeEffect[];
  /** Name of the message type that took effect; null when nothing but a receipt came of it. */
  readonly handled: string | null;
}

const utf8 = new TextEncoder();

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One step in the making: a copy of the contact's state and the effects collected so far. */
export class Turn {
  readonly c: Mutable<ContactState>;
  readonly effects: HandshakeEffect[] = [];

  constructor(
    contact: ContactState,
    readonly ctx: HandshakeContext,
  ) {
    this.c = { ...contact };
  }

  done(handled: string | null): HandshakeOutcome {
    return { contact: { ...this.c }, effects: this.effects, handled };
  }

  effect(e: HandshakeEffect): void {
    this.effects.push(e);
  }

  send(fields: Omit<OutgoingFields, 'timestamp' | 'line'> & { readonly timestamp?: number }): void {
    this.effect({ kind: 'send', message: this.message(fields) });
  }

  message(
    fields: Omit<OutgoingFields, 'timestamp' | 'line'> & { readonly timestamp?: number },
  ): OutgoingMessage {
    const { self, now, source } = this.ctx;
    return outgoing({ timestamp: now, line: self.line, ...fields }, source.bytes);
  }

  /** Handshake timestamps strictly increase per sender, at one-second resolution (07 §6.3). */
  handshakeTime(): number {
    this.c.lastSentHandshake = Math.max(this.ctx.now, this.c.lastSentHandshake + 1);
    return this.c.lastSentHandshake;
  }

  /**
   * The receipt for `m` (07 §7), or null where none is due. It takes the version of the message it answers:
   * the stored version of a contact whose acceptAdd2 is still out would be 0.
   */
  receipt(m: StreamMessage, channel: number, chat = false): OutgoingMessage | null {
    if (!m.requireRcvConfirmation) return null;
    const { c } = this;
    const version = m.version >= 1 ? 1 : Math.min(c.protocolVersion, 1);
    if (this.ctx.self.line === '0.9.7') {
      return this.message({
        spixi: spixi(Spixi.msgReceived, m.id, chat ? channel : -1),
        kind: 'receipt',
        version,
        type: StreamMessageType.info,
        mode: 'plainOrSession',
        confirm: false,
      });
    }
    return this.message({
      spixi: spixi(Spixi.msgReceived, m.id, channel),
      kind: 'receipt',
      version,
      mode: isEstablished(c) && c.protocolVersion > 0 ? 'session' : 'rsa2',
    });
  }

  /** Sends the receipt for `m`, if one is due. */
  acknowledge(m: StreamMessage, channel = 0): void {
    const message = this.receipt(m, channel);
    if (message !== null) this.effect({ kind: 'send', message });
  }

  /** The receipt for keys2: goes back where keys2 came from, and proves the keys (07 §7). */
  acknowledgeKeys(m: StreamMessage): void {
    if (this.ctx.self.line === '0.9.7') {
      this.acknowledge(m);
      return;
    }
    this.send({
      spixi: spixi(Spixi.msgReceived, m.id),
      kind: 'receipt',
      type: StreamMessageType.info,
      mode: 'session',
      confirm: false,
      direct: true,
    });
  }

  /** Asks a stranger for the name to show (07 §6.3 step 1). */
  askNick(): void {
    this.send({
      id: ReservedId.getNick,
      spixi: spixi(Spixi.getNick, Uint8Array.of(0)),
      kind: 'profile',
      version: this.c.protocolVersion,
      type: StreamMessageType.info,
      mode: this.c.protocolVersion >= 1 ? 'rsa2' : 'rsa',
    });
  }

  /** The own nick waits in the queue until the session keys work. */
  sendNick(): void {
    this.send({
      id: ReservedId.nick,
      spixi: spixi(Spixi.nick, utf8.encode(this.ctx.self.nick)),
      kind: 'profile',
      type: StreamMessageType.info,
    });
  }

  sendAvatar(): void {
    this.send({
      id: ReservedId.avatar,
      spixi: spixi(Spixi.avatar, this.ctx.self.avatar),
      kind: 'profile',
      type: StreamMessageType.info,
    });
  }

  sendProfile(): void {
    this.sendNick();
    if (this.ctx.self.avatar !== null) this.sendAvatar();
  }

  /** True when this side's address sorts before the contact's. */
  ownAddressIsLower(): boolean {
    return compareBytes(this.ctx.self.address, this.c.address) < 0;
  }

  /**
   * acceptAdd2 (07 §6.3 step 3), or the wait for the peer's own when both sides asked. False when it had been
   * sent before: then the same key pair goes out again, because a re-installed peer no longer has it.
   */
  acceptOrWait(): boolean {
    if (this.c.requestedAt !== null && this.c.pending === null) {
      const wait = this.ownAddressIsLower() ? glareWaitLowerSeconds : glareWaitHigherSeconds;
      this.c.acceptAfter ??= this.ctx.now + wait;
      return true;
    }
    return this.acceptNow();
  }

  acceptNow(): boolean {
    const { c, ctx } = this;
    const again = c.pending;
    if (c.requestedAt !== null) {
      c.requestedAt = null;
      this.effect({ kind: 'cancel', id: ReservedId.requestAdd });
    }
    c.acceptAfter = null;
    c.approved = true;
    c.aesKey = null;
    c.chachaKey = null;
    const offer =
      again === null
        ? offerAgreement(ctx.source)
        : {
            ecdhPublicKey: p521.publicKey(again.ecdhPrivateKey),
            mlKemPublicKey: mlKemPublicKeyOf(again.mlKemPrivateKey),
            pending: again,
          };
    c.pending = offer.pending;
    const body = encodeAcceptAdd2({
      version: Math.min(Math.max(c.protocolVersion, 1), contactVersionMax),
      rsaPublicKey: ctx.self.publicKey,
      ecdhPublicKey: offer.ecdhPublicKey,
      mlKemPublicKey: offer.mlKemPublicKey,
      aesSalt: offer.pending.aesSalt,
      capabilities: ctx.self.capabilities,
    });
    this.send({
      id: ReservedId.acceptAdd,
      spixi: spixi(Spixi.acceptAdd2, body),
      type: StreamMessageType.info,
      mode: 'rsa2',
      timestamp: this.handshakeTime(),
      kind: c.kind === 'normal' ? 'content' : 'transient',
      direct: c.kind !== 'normal',
    });
    return again === null;
  }

  /** The session keys work on both sides. */
  complete(): void {
    const { c } = this;
    c.handshakeStatus = 3;
    c.pending = null;
    c.requestedAt = null;
    c.acceptAfter = null;
    for (const id of [ReservedId.requestAdd, ReservedId.acceptAdd]) this.effect({ kind: 'cancel', id });
    this.effect({ kind: 'established' });
  }
}
