import {
  addressFromBytes,
  addressWithChecksum,
  randomBytes,
  type Signer,
  sha3_512,
  sha512,
  type VerifyItem,
} from '../identity/index.js';
import { ByteReader, ByteWriter, DecodeError } from '../wire/index.js';
import type { RandomSource } from './encryption.js';

/** `type` of a StreamMessage (docs/protocol/07 §3.1). */
export const StreamMessageType = { error: 0, info: 1, data: 2 } as const;

/** One end-to-end message: the whole payload of an `s2data` frame (07 §3). */
export interface StreamMessage {
  /** 0, or a version with the layout of 07 §3.4 (1; later ones keep their number). */
  readonly version: number;
  /** Opaque; normally 16 random bytes, one byte for handshake and profile messages (07 §3.6). */
  readonly id: Uint8Array;
  readonly type: number;
  readonly encryptionType: number;
  /** Raw address, null where the field is empty. */
  readonly sender: Uint8Array | null;
  readonly recipient: Uint8Array | null;
  /** SpixiMessage, in clear or encrypted; null where the field is empty. */
  readonly data: Uint8Array | null;
  /** Network time in whole seconds, set once and kept across retransmissions. */
  readonly timestamp: bigint;
  readonly signature: Uint8Array | null;
  /** The receiver answers msgReceived only when true. Not covered by any check in version 1. */
  readonly requireRcvConfirmation: boolean;
  /** Obsolete fields of version 0, kept so that re-encoding is faithful (07 §13). */
  readonly transaction: Uint8Array | null;
  readonly sigdata: Uint8Array | null;
  /** The sender's local note that `data` is encrypted: travels in version 0 and in the storage form only. */
  readonly encryptedHint: boolean;
}

/** The fields a caller has to name; the rest has an obvious default. */
export type StreamMessageFields = Pick<StreamMessage, 'sender' | 'recipient' | 'data' | 'timestamp'> &
  Partial<StreamMessage>;

/** Bytes of a normal message id (07 §3.6). */
export const messageIdBytes = 16;

/** A message from its fields: version 1, random id, type data, no encryption, unsigned, to be confirmed. */
export function streamMessage(
  fields: StreamMessageFields,
  random: RandomSource = randomBytes,
): StreamMessage {
  return {
    version: 1,
    type: StreamMessageType.data,
    encryptionType: 0,
    signature: null,
    requireRcvConfirmation: true,
    transaction: null,
    sigdata: null,
    encryptedHint: false,
    ...fields,
    id: fields.id ?? random(messageIdBytes),
  };
}

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;

/**
 * Decodes the payload of an `s2data` frame, strictly (07 §3.5): a length beyond the rest, a number above
 * 2^31−1 and a negative id length are refused. Trailing bytes are ignored, as in the reference. Byte fields
 * but the addresses are views into the input. Says nothing about signatures.
 *
 * @throws DecodeError
 */
export function decodeStreamMessage(bytes: Uint8Array): StreamMessage {
  const r = new ByteReader(bytes);
  return r.peek('version') === 0 ? decodeV0(r) : decodeV1(r, false);
}

/** As {@link decodeStreamMessage} for the storage form: one more bool behind the version 1 layout (07 §3.4). */
export function decodeStoredStreamMessage(bytes: Uint8Array): StreamMessage {
  const r = new ByteReader(bytes);
  return r.peek('version') === 0 ? decodeV0(r) : decodeV1(r, true);
}

function addressOf(bytes: Uint8Array | null, field: string): Uint8Array | null {
  // A public key may stand in place of an address (07 §2): accepted here, never emitted.
  return bytes === null || bytes.length === 0 ? null : addressFromBytes(bytes, field);
}

function decodeV0(r: ByteReader): StreamMessage {
  const version = r.i32('version');
  if (version !== 0) throw new DecodeError('RANGE', 'version', 0, 'first byte 0, value not 0');
  const idAt = r.offset;
  const idLength = r.i32('id');
  // The reference reads a negative length as "no id" and cannot re-encode the result.
  if (idLength < 0) throw new DecodeError('RANGE', 'id', idAt);
  const id = r.raw(idLength, 'id');
  const type = r.i32('type');
  const encryptionType = r.i32('encryptionType');
  const sender = addressOf(r.i32Bytes('sender'), 'sender');
  const recipient = addressOf(r.i32Bytes('recipient'), 'recipient');
  const data = r.i32Bytes('data');
  const transaction = r.i32Bytes('transaction');
  const sigdata = r.i32Bytes('sigdata');
  const encryptedHint = r.bool('encrypted');
  r.u8('reserved');
  const signature = r.i32Bytes('signature');
  const timestamp = r.i64('timestamp');
  const requireRcvConfirmation = r.remaining === 0 || r.bool('requireRcvConfirmation');
  return {
    version,
    id,
    type,
    encryptionType,
    sender,
    recipient,
    data,
    timestamp,
    signature,
    requireRcvConfirmation,
    transaction,
    sigdata,
    encryptedHint,
  };
}

function decodeV1(r: ByteReader, stored: boolean): StreamMessage {
  const version = r.uvarInt('version');
  const id = r.vb('id');
  const type = r.uvarInt('type');
  const encryptionType = r.uvarInt('encryptionType');
  const sender = addressOf(r.vb('sender'), 'sender');
  const recipient = addressOf(r.vb('recipient'), 'recipient');
  const data = r.ixiBytes('data');
  const timestampAt = r.offset;
  const timestamp = r.uvar('timestamp');
  if (timestamp > INT64_MAX) throw new DecodeError('RANGE', 'timestamp', timestampAt);
  const signature = r.ixiBytes('signature');
  const requireRcvConfirmation = r.bool('requireRcvConfirmation');
  const encryptedHint = stored && r.bool('encrypted');
  return {
    version,
    id,
    type,
    encryptionType,
    sender,
    recipient,
    data,
    timestamp,
    signature,
    requireRcvConfirmation,
    transaction: null,
    sigdata: null,
    encryptedHint,
  };
}

const bytesOf = (b: Uint8Array | null): number => b?.length ?? 0;

function capacity(m: StreamMessage): number {
  return (
    192 + m.id.length + bytesOf(m.data) + bytesOf(m.signature) + bytesOf(m.transaction) + bytesOf(m.sigdata)
  );
}

/** The wire form (07 §3.3, §3.4); one `s2data` frame carries exactly these bytes. */
export function encodeStreamMessage(m: StreamMessage): Uint8Array {
  return m.version === 0 ? writeV0(m, false) : writeV1(m).bytes();
}

/** The local storage form: the wire form, in version 1 with the `encrypted` hint behind it. Never sent. */
export function encodeStoredStreamMessage(m: StreamMessage): Uint8Array {
  return m.version === 0 ? writeV0(m, false) : writeV1(m).bool(m.encryptedHint).bytes();
}

function writeV0(m: StreamMessage, forChecksum: boolean): Uint8Array {
  const w = new ByteWriter(capacity(m));
  w.i32(0).i32Bytes(m.id).i32(m.type).i32(m.encryptionType);
  w.i32Bytes(m.sender === null ? null : addressWithChecksum(m.sender));
  w.i32Bytes(m.recipient === null ? null : addressWithChecksum(m.recipient));
  w.i32Bytes(m.data).i32Bytes(m.transaction).i32Bytes(m.sigdata);
  if (!forChecksum) w.bool(m.encryptedHint).bool(false);
  w.i32Bytes(forChecksum ? null : m.signature);
  return w.i64(m.timestamp).bool(m.requireRcvConfirmation).bytes();
}

function writeV1Signed(m: StreamMessage): ByteWriter {
  const w = new ByteWriter(capacity(m));
  w.var(m.version).vb(m.id).var(m.type).var(m.encryptionType);
  return w.vb(m.sender).vb(m.recipient).vb(m.data).var(m.timestamp);
}

function writeV1(m: StreamMessage): ByteWriter {
  return writeV1Signed(m).vb(m.signature).bool(m.requireRcvConfirmation);
}

/** The bytes under the checksum: version 0 covers the confirmation flag, version 1 does not. */
export function checksumInput(m: StreamMessage): Uint8Array {
  return m.version === 0 ? writeV0(m, true) : writeV1Signed(m).bytes();
}

/** Checksum of the message as it stands, 64 bytes: SHA-512 in version 0, else SHA3-512. */
export function streamMessageChecksum(m: StreamMessage): Uint8Array {
  return m.version === 0 ? sha512(checksumInput(m)) : sha3_512(checksumInput(m));
}

/**
 * What is signed (07 §3.7). Version 0 signs the plaintext, so a received message needs `plaintext` in place
 * of its `data`; version 1 signs the ciphertext and ignores it.
 */
export function signedChecksum(m: StreamMessage, plaintext: Uint8Array | null): Uint8Array {
  return streamMessageChecksum(m.version === 0 && plaintext !== null ? { ...m, data: plaintext } : m);
}

/**
 * The message with its signature over the checksum as it stands: in version 0 call it before `data` is
 * encrypted, in version 1 after (07 §3.7).
 */
export async function signStreamMessage(
  m: StreamMessage,
  signer: Pick<Signer, 'sign'>,
): Promise<StreamMessage> {
  return { ...m, signature: await signer.sign(streamMessageChecksum(m)) };
}

/** The question for a verify engine, or null when the message carries no signature. */
export function signatureItem(
  m: StreamMessage,
  key: Uint8Array,
  plaintext: Uint8Array | null = null,
): VerifyItem | null {
  if (m.signature === null) return null;
  return { key, message: signedChecksum(m, plaintext), signature: m.signature };
}
