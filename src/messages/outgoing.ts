import { randomBytes, type Signer } from '../identity/index.js';
import { fromHex, toHex } from '../wire/index.js';
import { type ContactState, isEstablished, sessionKeysOf } from './contact.js';
import {
  Encryption,
  messageAad,
  type RandomSource,
  rsa2Encrypt,
  rsaEncrypt,
  spixi1Encrypt,
  spixi2Encrypt,
} from './encryption.js';
import { encodeSpixiMessage, type Line, type SpixiMessage } from './spixi-message.js';
import {
  messageIdBytes,
  type StreamMessage,
  StreamMessageType,
  signStreamMessage,
  streamMessage,
} from './stream-message.js';

/**
 * How a message is protected when it goes out (docs/protocol/07 §5.4). `session` is spixi1 or spixi2 by the
 * contact's version and waits for a completed set-up. `plainOrSession` is the 0.9.7 receipt: unencrypted and
 * unsigned until the session keys work.
 */
export type SendMode = 'plain' | 'rsa' | 'rsa2' | 'session' | 'plainOrSession';

/** What the outgoing queue keeps: everything but the encryption, which is made fresh for each transmission. */
export interface OutgoingMessage {
  readonly id: Uint8Array;
  /** Type of the SpixiMessage inside, for whoever looks at the queue. */
  readonly spixiType: number;
  /** The encoded SpixiMessage. */
  readonly plaintext: Uint8Array;
  /** StreamMessage version; with mode `session` the contact's version at transmission counts instead. */
  readonly version: number;
  /** {@link StreamMessageType} info or data. */
  readonly type: number;
  readonly mode: SendMode;
  /** Network seconds, kept across retransmissions. */
  readonly timestamp: number;
  /** Ask for msgReceived. */
  readonly confirm: boolean;
  /** Keep it queued until it is confirmed (07 §8 addToPending). */
  readonly queue: boolean;
  /** Offline push allowed, and with an alert. */
  readonly push: boolean;
  readonly alert: boolean;
  /** Forget it once it was handed to a connection. */
  readonly once: boolean;
  /** Answer on the connection the message in hand arrived on; queued only if that fails. */
  readonly direct: boolean;
  /** Goes before everything queued: keys2 must precede the first message under the session keys (07 §6.3). */
  readonly first: boolean;
}

/** Send flags of 07 §8 by kind of message. */
export type SendKind = 'content' | 'profile' | 'receipt' | 'transient' | 'query';

const FLAGS: Readonly<Record<SendKind, Pick<OutgoingMessage, 'queue' | 'push' | 'alert' | 'once'>>> = {
  content: { queue: true, push: true, alert: true, once: false },
  profile: { queue: true, push: true, alert: false, once: false },
  receipt: { queue: true, push: true, alert: false, once: true },
  transient: { queue: false, push: false, alert: false, once: true },
  query: { queue: true, push: false, alert: false, once: false },
};

/** What {@link outgoing} needs to know; the rest has a default. */
export interface OutgoingFields {
  readonly spixi: SpixiMessage;
  /** Network seconds. */
  readonly timestamp: number;
  readonly id?: Uint8Array;
  readonly kind?: SendKind;
  readonly version?: number;
  readonly type?: number;
  readonly mode?: SendMode;
  readonly confirm?: boolean;
  readonly direct?: boolean;
  readonly first?: boolean;
  readonly line?: Line;
}

/** A message to send: by default content of type data under the session keys, to be confirmed. */
export function outgoing(f: OutgoingFields, random: RandomSource = randomBytes): OutgoingMessage {
  return {
    id: f.id ?? random(messageIdBytes),
    spixiType: f.spixi.type,
    plaintext: encodeSpixiMessage(f.spixi, f.line ?? '0.9.8'),
    version: f.version ?? 1,
    type: f.type ?? StreamMessageType.data,
    mode: f.mode ?? 'session',
    timestamp: f.timestamp,
    confirm: f.confirm ?? true,
    ...FLAGS[f.kind ?? 'content'],
    direct: f.direct ?? false,
    first: f.first ?? false,
  };
}

/**
 * True when everything needed to protect the message is there (07 §5.4 step 3). Session messages wait for
 * status 3 on the requesting side too: a 0.9.8 peer without the keys would acknowledge and lose them (07 §6.3).
 */
export function canSeal(m: OutgoingMessage, contact: ContactState): boolean {
  if (m.mode === 'session') return isEstablished(contact);
  if (m.mode === 'rsa' || m.mode === 'rsa2') return contact.publicKey !== null;
  return true;
}

/** Who sends. */
export interface SealingParty {
  readonly address: Uint8Array;
  readonly signer: Pick<Signer, 'sign'>;
}

/**
 * The StreamMessage for one transmission: encrypted with fresh randomness and signed where the rules want it
 * (07 §3.7: version 0 signs the plaintext, version 1 the ciphertext; session messages are unsigned). Null
 * while a key is missing: the message stays queued.
 */
export async function sealMessage(
  m: OutgoingMessage,
  contact: ContactState,
  self: SealingParty,
  random: RandomSource = randomBytes,
): Promise<StreamMessage | null> {
  if (!canSeal(m, contact)) return null;
  const session = m.mode === 'session' || (m.mode === 'plainOrSession' && isEstablished(contact));
  const version = session ? Math.min(contact.protocolVersion, 1) : m.version;
  const base = streamMessage(
    {
      version,
      id: m.id,
      type: m.type,
      sender: self.address,
      recipient: contact.address,
      data: m.plaintext,
      timestamp: BigInt(m.timestamp),
      requireRcvConfirmation: m.confirm,
    },
    random,
  );
  if (session) return sealSession(base, contact, random);
  if (m.mode === 'plainOrSession') return base;
  if (m.mode === 'plain') return await signStreamMessage(base, self.signer);
  const key = contact.publicKey;
  if (key === null) return null;
  const encryptionType = m.mode === 'rsa' ? Encryption.rsa : Encryption.rsa2;
  const typed = { ...base, encryptionType };
  const encrypt = async (): Promise<Uint8Array> =>
    m.mode === 'rsa'
      ? await rsaEncrypt(m.plaintext, key)
      : await rsa2Encrypt(m.plaintext, key, aadOf(typed), random);
  if (version === 0) {
    const signed = await signStreamMessage(typed, self.signer);
    return { ...signed, data: await encrypt() };
  }
  return await signStreamMessage({ ...typed, data: await encrypt() }, self.signer);
}

function aadOf(m: StreamMessage): Uint8Array {
  return messageAad(m.id, m.type, m.timestamp);
}

function sealSession(base: StreamMessage, contact: ContactState, random: RandomSource): StreamMessage | null {
  const keys = sessionKeysOf(contact);
  if (keys === null || base.data === null) return null;
  if (base.version === 0) {
    const typed = { ...base, encryptionType: Encryption.spixi1 };
    return { ...typed, data: spixi1Encrypt(base.data, keys, random) };
  }
  const typed = { ...base, encryptionType: Encryption.spixi2 };
  return { ...typed, data: spixi2Encrypt(base.data, keys, aadOf(typed), random(64)) };
}

/** {@link OutgoingMessage} with its byte fields as hex, for storage. */
export type OutgoingJson = Omit<OutgoingMessage, 'id' | 'plaintext'> & {
  readonly id: string;
  readonly plaintext: string;
};

export function outgoingToJson(m: OutgoingMessage): OutgoingJson {
  return { ...m, id: toHex(m.id), plaintext: toHex(m.plaintext) };
}

/** Inverse of {@link outgoingToJson}. @throws DecodeError for text that is not hex. */
export function outgoingFromJson(j: OutgoingJson): OutgoingMessage {
  return { ...j, id: fromHex(j.id), plaintext: fromHex(j.plaintext) };
}
