import { randomBytes } from '../identity/index.js';
import { bytesEqual } from '../wire/index.js';
import type { RandomSource } from './encryption.js';
import {
  encodeStreamMessage,
  messageIdBytes,
  type StreamMessage,
  StreamMessageType,
  streamMessage,
} from './stream-message.js';

/** What a relay answers when it cannot deliver (docs/protocol/07 §9.3). */
export interface RelayErrorFields {
  /** Id of the failed message; never empty, clients ignore an error that names nothing. */
  readonly failedId: Uint8Array;
  /** Recipient of the failed message: becomes the error's sender. */
  readonly failedRecipient: Uint8Array | null;
  /** Sender of the failed message: becomes the error's recipient. */
  readonly failedSender: Uint8Array | null;
  /** The relay's network time, seconds. */
  readonly timestamp: bigint | number;
}

/** The error message: version 0, unsigned, `data` naming the failed message. */
export function relayError(fields: RelayErrorFields, random: RandomSource = randomBytes): StreamMessage {
  if (fields.failedId.length === 0) throw new RangeError('a message without id cannot be named in an error');
  return streamMessage({
    version: 0,
    id: random(messageIdBytes),
    type: StreamMessageType.error,
    sender: fields.failedRecipient,
    recipient: fields.failedSender,
    data: fields.failedId,
    timestamp: BigInt(fields.timestamp),
  });
}

/** {@link relayError} as the payload of an `s2data` frame. */
export function encodeRelayError(fields: RelayErrorFields, random: RandomSource = randomBytes): Uint8Array {
  return encodeStreamMessage(relayError(fields, random));
}

/** An incoming relay error as a client judges it. */
export interface RelayErrorNotice {
  /** Whom the message could not be delivered to. */
  readonly contact: Uint8Array;
  readonly failedId: Uint8Array;
}

/**
 * Recognises a relay error meant for `self`, or null. Nothing in it is authenticated (07 §10): the caller
 * must still check that it came over a connection to the contact's present relay and that `failedId` was
 * sent there recently.
 */
export function relayErrorOf(m: StreamMessage, self: Uint8Array): RelayErrorNotice | null {
  if (m.type !== StreamMessageType.error || m.data === null || m.sender === null || m.recipient === null)
    return null;
  if (!bytesEqual(m.recipient, self)) return null;
  return { contact: m.sender, failedId: m.data };
}
