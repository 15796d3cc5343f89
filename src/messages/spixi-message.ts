import { ByteReader, ByteWriter } from '../wire/index.js';

/** The two protocol lines a peer may speak; 0.9.7 has no group fields (docs/protocol/07 §4.1). */
export type Line = '0.9.7' | '0.9.8';

/** Type numbers of a SpixiMessage (07 §4.2). */
export const Spixi = {
  chat: 0,
  getNick: 1,
  nick: 2,
  requestAdd: 3,
  acceptAdd: 4,
  sentFunds: 5,
  requestFunds: 6,
  keys: 7,
  msgRead: 8,
  msgReceived: 9,
  fileData: 10,
  requestFileData: 11,
  fileHeader: 12,
  acceptFile: 13,
  requestCall: 14,
  acceptCall: 15,
  rejectCall: 16,
  callData: 17,
  requestFundsResponse: 18,
  acceptAddBot: 19,
  botGetMessages: 20,
  appData: 21,
  appRequest: 22,
  fileFullyReceived: 23,
  avatar: 24,
  getAvatar: 25,
  getPubKey: 26,
  pubKey: 27,
  appRequestAccept: 28,
  appRequestReject: 29,
  appRequestError: 30,
  appEndSession: 31,
  botAction: 32,
  msgDelete: 33,
  msgReaction: 34,
  msgTyping: 35,
  msgError: 36,
  leave: 37,
  leaveConfirmed: 38,
  msgReport: 39,
  requestAdd2: 40,
  acceptAdd2: 41,
  keys2: 42,
  getAppProtocols: 43,
  appProtocols: 44,
  appProtocolData: 45,
  transactionSendRequest: 46,
  transactionSendResponse: 47,
  transactionSend: 48,
  transactionRequest: 49,
  openSecureConnection: 50,
  closeSecureConnection: 51,
  createGroup: 52,
} as const;

const names = new Map<number, string>(Object.entries(Spixi).map(([name, code]) => [code, name]));

/** Name of a type, or its number as text where it has none. */
export function spixiTypeName(type: number): string {
  return names.get(type) ?? String(type);
}

/** The plaintext of a StreamMessage's `data` (07 §4.1). */
export interface SpixiMessage {
  /** One of {@link Spixi}, or any other number. */
  readonly type: number;
  /** Null where the field is empty. */
  readonly data: Uint8Array | null;
  /** 0 by default; 0.9.7 receipts carry −1. */
  readonly channel: number;
  /** Raw address of a group, never authenticated. */
  readonly groupAddress: Uint8Array | null;
  readonly groupSenderAddress: Uint8Array | null;
}

/** A message without group fields. */
export function spixi(type: number, data: Uint8Array | null = null, channel = 0): SpixiMessage {
  return { type, data, channel, groupAddress: null, groupSenderAddress: null };
}

/** Bytes of the message as that line writes it: 0.9.8 always has the two group fields. */
export function encodeSpixiMessage(m: SpixiMessage, line: Line = '0.9.8'): Uint8Array {
  const w = new ByteWriter(16 + (m.data?.length ?? 0) + 96);
  w.i32(m.type).i32Bytes(m.data).i32(m.channel);
  if (line === '0.9.8') w.vb(m.groupAddress).vb(m.groupSenderAddress);
  return w.bytes();
}

/**
 * Strict decoder (07 §4.1): where the reference makes a chat without data of what it cannot read, this one
 * refuses. Channel and group fields may be absent as a whole; 0.9.7 ignores whatever follows the channel.
 * Byte fields are views into the input.
 *
 * @throws DecodeError
 */
export function decodeSpixiMessage(bytes: Uint8Array, line: Line = '0.9.8'): SpixiMessage {
  const r = new ByteReader(bytes);
  const type = r.i32('type');
  const length = r.i32('data');
  if (length < 0) r.fail('RANGE', 'data', 'negative length');
  const data = length === 0 ? null : r.raw(length, 'data');
  const channel = r.remaining === 0 ? 0 : r.i32('channel');
  if (line === '0.9.7' || r.remaining === 0) return spixi(type, data, channel);
  const groupAddress = r.ixiBytes('groupAddress');
  const groupSenderAddress = r.ixiBytes('groupSenderAddress');
  return { type, data, channel, groupAddress, groupSenderAddress };
}
