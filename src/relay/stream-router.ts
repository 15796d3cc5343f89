import type { Counters } from '../counters/index.js';
import { type Envelope, encodeRelayError, envelopeOf, StreamMessageType } from '../messages/index.js';
import { bytesEqual, bytesKey, Code, DecodeError, encodeFrame } from '../wire/index.js';
import type { RelayLimits } from './limits.js';
import type { RelayPeer } from './peer.js';
import type { SessionTable } from './sessions.js';

export interface StreamRouterOptions {
  readonly counters: Counters;
  readonly sessions: SessionTable<RelayPeer>;
  readonly limits: RelayLimits;
  /** This relay's own wallet: messages to it are undeliverable (07 §9.1 rule 6). */
  readonly ownWallet: Uint8Array;
  nowMs(): number;
  /** Network time in whole seconds. */
  networkSeconds(): number;
}

/**
 * Forwards stream messages by the recipient's address to every session of that wallet, bytes unchanged
 * (docs/protocol/07 §9). A message that reaches nobody is answered with the protocol's error on the connection
 * it came from; so is one whose receivers are all too slow to take it.
 */
export class StreamRouter {
  readonly #forwarded;
  readonly #forwardedBytes;

  constructor(private readonly options: StreamRouterOptions) {
    const { counters } = options;
    this.#forwarded = counters.counter(
      'ixian_messages_forwarded_total',
      'Stream messages handed to a session',
    );
    this.#forwardedBytes = counters.counter('ixian_message_bytes_forwarded_total', 'Payload bytes of those');
  }

  #drop(reason: string): void {
    this.options.counters
      .counter('ixian_messages_dropped_total', 'Stream messages not handed on, by reason', { reason })
      .add();
  }

  /** Handles one s2data payload. The view is not kept. */
  route(from: RelayPeer, payload: Uint8Array): void {
    const { limits, sessions, ownWallet } = this.options;
    this.options.counters.counter('ixian_messages_received_total', 'Stream messages received').add();
    if (payload.length > limits.messageBytesMax) {
      this.#drop('too_large');
      return;
    }
    let envelope: Envelope;
    try {
      envelope = envelopeOf(payload);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
      this.#drop('malformed');
      return;
    }
    if (envelope.type === StreamMessageType.error) {
      this.#drop('error_type');
      return;
    }
    if (!from.messages.take(this.options.nowMs())) {
      // Told, so that the sender neither waits nor believes it delivered.
      this.#drop('rate_limit');
      this.#undeliverable(from, envelope);
      return;
    }
    const recipient = envelope.recipient;
    if (recipient === null || bytesEqual(recipient, ownWallet)) {
      this.#drop('no_recipient');
      this.#undeliverable(from, envelope);
      return;
    }
    const receivers = sessions.receivers(bytesKey(recipient));
    if (receivers.length === 0) {
      this.#drop('not_connected');
      this.#undeliverable(from, envelope);
      return;
    }
    // One frame for all receivers; it must own its bytes because send queues keep it.
    const frame = encodeFrame(Code.s2data, payload);
    let taken = 0;
    for (const r of receivers) if (r.link.sendFrame(Code.s2data, frame, 'high')) taken++;
    if (taken === 0) {
      this.#drop('receiver_queue_full');
      this.#undeliverable(from, envelope);
      return;
    }
    this.#forwarded.add(taken);
    this.#forwardedBytes.add(taken * payload.length);
  }

  #undeliverable(from: RelayPeer, envelope: Envelope): void {
    if (!from.isOpen) return;
    from.send(
      Code.s2data,
      encodeRelayError({
        failedId: envelope.id,
        failedSender: envelope.sender,
        failedRecipient: envelope.recipient,
        timestamp: this.options.networkSeconds(),
      }),
      'high',
    );
  }
}
