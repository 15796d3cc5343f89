import { sha3_512, truncate } from '../../identity/index.js';
import { ByteReader, ByteWriter, DecodeError } from '../../wire/index.js';

/** Body of msgReaction (docs/protocol/07 §4.3). */
export interface Reaction {
  /** Id of the message reacted to. */
  readonly messageId: Uint8Array;
  /** A kind and its text, e.g. `like:` or `tip:`. */
  readonly reaction: string;
}

/** Longest reaction text (07 §3.8), in UTF-16 units as the reference counts. */
export const reactionCharsMax = 32;

export function encodeReaction(p: Reaction): Uint8Array {
  return new ByteWriter(p.messageId.length + 48).i32Bytes(p.messageId).netstr(p.reaction).bytes();
}

/** @throws DecodeError, also for a text above {@link reactionCharsMax}. */
export function decodeReaction(bytes: Uint8Array): Reaction {
  const r = new ByteReader(bytes);
  const messageId = r.i32Bytes('reaction.messageId');
  if (messageId === null) throw new DecodeError('EMPTY', 'reaction.messageId', 0);
  const at = r.offset;
  const reaction = r.netstr('reaction.text');
  if (reaction.length > reactionCharsMax) throw new DecodeError('TOOLONG', 'reaction.text', at);
  return { messageId, reaction };
}

/** Body of appData, appRequest and their kin. */
export interface AppData {
  /** Null is written as the reference does, with four zero bytes: always supply one. */
  readonly sessionId: Uint8Array | null;
  readonly data: Uint8Array | null;
  readonly appId: string | null;
}

/** The session id has a one-byte length. */
const sessionIdBytesMax = 255;

/** @throws RangeError for a session id above 255 bytes. */
export function encodeAppData(p: AppData): Uint8Array {
  const w = new ByteWriter(64 + (p.sessionId?.length ?? 0) + (p.data?.length ?? 0));
  if (p.sessionId === null) w.i32(0);
  else if (p.sessionId.length > sessionIdBytesMax) throw new RangeError('session id above 255 bytes');
  else w.u8(p.sessionId.length).raw(p.sessionId);
  w.i32Bytes(p.data);
  if (p.appId !== null) w.netstr(p.appId);
  return w.bytes();
}

/** @throws DecodeError on truncation. */
export function decodeAppData(bytes: Uint8Array): AppData {
  const r = new ByteReader(bytes);
  const sessionLength = r.u8('appData.sessionId');
  const sessionId = sessionLength === 0 ? null : r.raw(sessionLength, 'appData.sessionId');
  const data = r.i32Bytes('appData.data');
  // The reference peeks one character before it reads the id and takes a two-byte length for the end of
  // input, so ids of 128 bytes and more do not exist for it.
  const absent = r.remaining === 0 || r.peek('appData.appId') >= 0x80;
  return { sessionId, data, appId: absent ? null : r.netstr('appData.appId') };
}

/** Protocol ids one appProtocols message may list; the reference has no limit. */
export const appProtocolsMax = 1000;

/** Bytes of a protocol id (07 §4.3). */
export const protocolIdBytes = 44;

/** Id of an application protocol: the first 44 bytes of SHA3-512 of its UTF-8 name. */
export function appProtocolId(name: string): Uint8Array {
  return truncate(sha3_512(new TextEncoder().encode(name)), protocolIdBytes);
}

export function encodeAppProtocols(ids: readonly Uint8Array[]): Uint8Array {
  const w = new ByteWriter(8 + ids.length * (protocolIdBytes + 1)).var(ids.length);
  for (const id of ids) w.vb(id);
  return w.bytes();
}

/** @throws DecodeError, also above {@link appProtocolsMax}. */
export function decodeAppProtocols(bytes: Uint8Array): Uint8Array[] {
  const r = new ByteReader(bytes);
  const count = r.uvarInt('appProtocols.count', appProtocolsMax);
  const ids: Uint8Array[] = [];
  for (let i = 0; i < count; i++) ids.push(r.vb('appProtocols.id'));
  return ids;
}
