import { addressFromKey, type Signer, type VerifyEngine } from '../identity/index.js';
import { bytesEqual, DecodeError } from '../wire/index.js';
import { type ContactState, sessionKeysOf } from './contact.js';
import {
  Encryption,
  messageAad,
  rsa2Decrypt,
  rsaDecrypt,
  spixi1Decrypt,
  spixi2Decrypt,
} from './encryption.js';
import { messageIdBytesMax } from './envelope.js';
import { decodeAcceptAdd2, decodeRequestAdd2 } from './payloads/contact.js';
import { decodeTransactionRequest, decodeTransactionSend } from './payloads/transaction.js';
import { decodeSpixiMessage, type Line, Spixi, type SpixiMessage } from './spixi-message.js';
import { type StreamMessage, StreamMessageType, signatureItem } from './stream-message.js';

/** Who receives: own addresses, the key to open messages, the road to signature checks. */
export interface ReceivingParty {
  /** Raw addresses that are ours; anything for another recipient is dropped (docs/protocol/07 §6.4). */
  readonly addresses: readonly Uint8Array[];
  readonly signer: Pick<Signer, 'decryptOaep'>;
  readonly engine: Pick<VerifyEngine, 'verify'>;
  readonly line: Line;
}

/** Why a message went no further. Never told to the sender (07 §5.2). */
export type DropReason =
  | 'recipient'
  | 'sender'
  | 'no-data'
  | 'id'
  | 'error-type'
  | 'encryption-type'
  | 'undecryptable'
  | 'malformed'
  | 'needs-encryption'
  | 'needs-session'
  | 'needs-contact'
  | 'no-key'
  | 'key-mismatch'
  | 'signature';

/** A message whose content may be believed as far as `proof` says. */
export interface OpenedMessage {
  readonly spixi: SpixiMessage;
  /**
   * `session`: under the contact's session keys. `signature`: signed by the sender's key, which hashes to
   * the sender address or is stored for it. `none`: unproven, admitted only where 07 §6.3 allows it.
   */
  readonly proof: 'session' | 'signature' | 'none';
  /** The key that verified, for the types that carry it. */
  readonly key: Uint8Array | null;
}

export type OpenResult = { readonly opened: OpenedMessage } | { readonly dropped: DropReason };

const drop = (dropped: DropReason): OpenResult => ({ dropped });

/**
 * What a completed version 1 contact may still send outside the session keys (07 §3.7); a signed getNick too,
 * because 0.9.8 repeats the one of the set-up until it is confirmed (transcript interop-A97-B98).
 */
const afterCompletion: ReadonlySet<number> = new Set([
  Spixi.requestAdd2,
  Spixi.acceptAdd2,
  Spixi.keys2,
  Spixi.getNick,
]);
/** Version 0 contacts are acknowledged with rsa2 even when complete (07 §6.5). */
const afterCompletionV0: ReadonlySet<number> = new Set([
  Spixi.requestAdd,
  Spixi.acceptAdd,
  Spixi.keys,
  Spixi.requestAdd2,
  Spixi.acceptAdd2,
  Spixi.keys2,
  Spixi.msgReceived,
  Spixi.getNick,
]);
/** What a contact may send outside the session keys while the set-up runs (07 §3.7, §6.3). */
const beforeCompletion: ReadonlySet<number> = new Set([
  ...afterCompletionV0,
  Spixi.nick,
  Spixi.transactionSend,
  Spixi.transactionRequest,
]);
/** What a stranger may send: everything in it carries its own key. */
const fromStrangers: ReadonlySet<number> = new Set([
  Spixi.requestAdd,
  Spixi.requestAdd2,
  Spixi.openSecureConnection,
  Spixi.transactionSend,
  Spixi.transactionRequest,
]);
/** Types that may travel unencrypted at all. */
const unencrypted: ReadonlySet<number> = new Set([Spixi.requestAdd, Spixi.requestAdd2, Spixi.msgReceived]);
/** The two directions of a temporary channel (07 §12). */
const overSocketIn: ReadonlySet<number> = new Set([
  Spixi.keys2,
  Spixi.transactionSendRequest,
  Spixi.transactionSend,
  Spixi.transactionRequest,
  Spixi.openSecureConnection,
  Spixi.closeSecureConnection,
]);
const overSocketOut: ReadonlySet<number> = new Set([
  Spixi.acceptAdd2,
  Spixi.msgReceived,
  Spixi.transactionSendResponse,
  Spixi.closeSecureConnection,
]);
/** Temporary channels open with these; the rest of their traffic is under the session keys. */
const socketSetUp: ReadonlySet<number> = new Set([Spixi.openSecureConnection, Spixi.acceptAdd2, Spixi.keys2]);

/**
 * Decrypts and authenticates one message from `contact` (null: a stranger), strictly: whatever cannot be
 * decrypted or is not proven is dropped without a trace (07 §3.7, §5.2). Cheap refusals come before the RSA
 * operations. Relay errors are not messages: see `relayErrorOf`.
 */
export async function openMessage(
  m: StreamMessage,
  contact: ContactState | null,
  self: ReceivingParty,
): Promise<OpenResult> {
  if (m.type === StreamMessageType.error) return drop('error-type');
  if (m.data === null) return drop('no-data');
  if (m.id.length === 0 || m.id.length > messageIdBytesMax) return drop('id');
  if (m.sender === null || (contact !== null && !bytesEqual(m.sender, contact.address)))
    return drop('sender');
  const { recipient } = m;
  if (recipient === null || !self.addresses.some((a) => bytesEqual(a, recipient))) return drop('recipient');
  const early = earlyRefusal(m, contact);
  if (early !== null) return drop(early);

  const plaintext = await decrypt(m, m.data, contact, self);
  if (plaintext === null) return drop('undecryptable');
  let spixi: SpixiMessage;
  try {
    spixi = decodeSpixiMessage(plaintext, self.line);
  } catch (e) {
    if (e instanceof DecodeError) return drop('malformed');
    throw e;
  }
  const session = m.encryptionType === Encryption.spixi1 || m.encryptionType === Encryption.spixi2;
  const refusal = admission(spixi.type, m.encryptionType, session, contact);
  if (refusal !== null) return drop(refusal);
  if (session) return { opened: { spixi, proof: 'session', key: null } };
  return await proveBySignature(m, plaintext, spixi, contact, self);
}

/** Refusals that need neither a key nor the plaintext. */
function earlyRefusal(m: StreamMessage, contact: ContactState | null): DropReason | null {
  switch (m.encryptionType) {
    case Encryption.none:
    case Encryption.rsa:
    case Encryption.rsa2:
      return null;
    case Encryption.spixi1:
      // A version 1 contact does not go back to the weaker form (07 §3.7).
      return contact !== null && contact.protocolVersion >= 1 ? 'needs-session' : null;
    case Encryption.spixi2:
      return null;
    default:
      return 'encryption-type';
  }
}

async function decrypt(
  m: StreamMessage,
  data: Uint8Array,
  contact: ContactState | null,
  self: ReceivingParty,
): Promise<Uint8Array | null> {
  switch (m.encryptionType) {
    case Encryption.none:
      return data;
    case Encryption.rsa:
      return await rsaDecrypt(data, self.signer);
    case Encryption.rsa2:
      return await rsa2Decrypt(data, self.signer, messageAad(m.id, m.type, m.timestamp));
    default: {
      const keys = contact === null ? null : sessionKeysOf(contact);
      if (keys === null) return null;
      return m.encryptionType === Encryption.spixi1
        ? spixi1Decrypt(data, keys)
        : spixi2Decrypt(data, keys, messageAad(m.id, m.type, m.timestamp));
    }
  }
}

function admission(
  type: number,
  encryptionType: number,
  session: boolean,
  contact: ContactState | null,
): DropReason | null {
  if (encryptionType === Encryption.none && !unencrypted.has(type)) return 'needs-encryption';
  if (contact === null) return fromStrangers.has(type) ? null : 'needs-contact';
  if (contact.kind !== 'normal') {
    const allowed = contact.kind === 'socketIn' ? overSocketIn : overSocketOut;
    if (!allowed.has(type)) return 'needs-contact';
    return session || socketSetUp.has(type) ? null : 'needs-session';
  }
  if (session) return null;
  if (contact.handshakeStatus < 3) return beforeCompletion.has(type) ? null : 'needs-session';
  const rest = contact.protocolVersion >= 1 ? afterCompletion : afterCompletionV0;
  return rest.has(type) ? null : 'needs-session';
}

async function proveBySignature(
  m: StreamMessage,
  plaintext: Uint8Array,
  spixi: SpixiMessage,
  contact: ContactState | null,
  self: ReceivingParty,
): Promise<OpenResult> {
  let carried: Uint8Array | null;
  try {
    carried = carriedKey(spixi);
    // A key in the payload speaks for the sender only if it is the sender's (07 §3.7).
    if (carried !== null && (m.sender === null || !bytesEqual(addressFromKey(carried), m.sender)))
      return drop('key-mismatch');
  } catch (e) {
    if (e instanceof DecodeError) return drop('malformed');
    throw e;
  }
  const key = carried ?? contact?.publicKey ?? null;
  const unproven: OpenResult = { opened: { spixi, proof: 'none', key: null } };
  if (key === null) return mayBeUnproven(m, spixi, contact) ? unproven : drop('no-key');
  const item = signatureItem(m, key, plaintext);
  if (item === null) {
    const receipt = m.encryptionType === Encryption.none && spixi.type === Spixi.msgReceived;
    return receipt && mayBeUnproven(m, spixi, contact) ? unproven : drop('signature');
  }
  const [valid] = await self.engine.verify([item]);
  return valid === true ? { opened: { spixi, proof: 'signature', key } } : drop('signature');
}

/** The key a payload brings along, null for types without one. @throws DecodeError */
function carriedKey(s: SpixiMessage): Uint8Array | null {
  const data = s.data ?? new Uint8Array(0);
  switch (s.type) {
    case Spixi.requestAdd:
      return data;
    case Spixi.requestAdd2:
    case Spixi.openSecureConnection:
      return decodeRequestAdd2(data).publicKey;
    case Spixi.acceptAdd2:
      return decodeAcceptAdd2(data).rsaPublicKey;
    case Spixi.transactionSend:
      return decodeTransactionSend(data).publicKey;
    case Spixi.transactionRequest:
      return decodeTransactionRequest(data).publicKey;
    default:
      return null;
  }
}

/**
 * What is taken without proof while the set-up runs: receipts for the reserved ids except 02, which 0.9.7
 * sends unencrypted (07 §6.3), and, before the peer's key is known, its getNick.
 */
function mayBeUnproven(m: StreamMessage, s: SpixiMessage, contact: ContactState | null): boolean {
  if (contact === null || contact.handshakeStatus >= 3) return false;
  if (s.type === Spixi.getNick) return contact.publicKey === null && m.encryptionType !== Encryption.none;
  if (s.type !== Spixi.msgReceived || s.data === null || s.data.length !== 1) return false;
  const id = s.data[0]!;
  return id <= 6 && id !== 2;
}
