import type { Counter, Counters, Histogram } from '../counters/index.js';
import { type Envelope, encodeRelayError, envelopeOf, StreamMessageType } from '../messages/index.js';
import { bytesEqual, bytesKey, Code, DecodeError, encodeFrame } from '../wire/index.js';
import type { RelayLimits } from './limits.js';
import type { RelayPeer } from './peer.js';
import type { SessionTable } from './sessions.js';

/** Label values of message types; a peer may name any byte. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  [StreamMessageType.error]: 'error',
  [StreamMessageType.info]: 'info',
  [StreamMessageType.data]: 'data',
};

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
  /** By type of message and what became of it; looked up once instead of per message (11 §12.2). */
  readonly #results = new Map<string, { readonly messages: Counter; readonly bytes: Counter }>();
  readonly #duration: Histogram;

  constructor(private readonly options: StreamRouterOptions) {
    this.#duration = options.counters.histogram(
      'ixian_relay_forward_duration_seconds',
      'From a whole stream message to its place in the receivers’ queues',
    );
  }

  #result(type: number, result: 'forwarded' | 'recipient_offline' | 'refused', bytes: number, n = 1): void {
    const key = `${type} ${result}`;
    let c = this.#results.get(key);
    if (c === undefined) {
      const labels = { type: TYPE_NAMES[type] ?? 'other', result };
      const { counters } = this.options;
      c = {
        messages: counters.counter(
          'ixian_relay_messages_total',
          'Stream messages by type and result',
          labels,
        ),
        bytes: counters.counter('ixian_relay_bytes_total', 'Payload bytes of those', labels),
      };
      this.#results.set(key, c);
    }
    c.messages.add(n);
    c.bytes.add(n * bytes);
  }

  #drop(reason: string): void {
    this.options.counters
      .counter('ixian_messages_dropped_total', 'Stream messages not handed on, by reason', { reason })
      .add();
  }

  /** Handles one s2data payload. The view is not kept. */
  route(from: RelayPeer, payload: Uint8Array): void {
    const started = performance.now();
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
    const { type } = envelope;
    if (type === StreamMessageType.error) {
      this.#drop('error_type');
      this.#result(type, 'refused', payload.length);
      return;
    }
    if (!from.messages.take(this.options.nowMs())) {
      // Told, so that the sender neither waits nor believes it delivered.
      this.#drop('rate_limit');
      this.#result(type, 'refused', payload.length);
      this.#undeliverable(from, envelope);
      return;
    }
    const recipient = envelope.recipient;
    if (recipient === null || bytesEqual(recipient, ownWallet)) {
      this.#drop('no_recipient');
      this.#result(type, 'refused', payload.length);
      this.#undeliverable(from, envelope);
      return;
    }
    const receivers = sessions.receivers(bytesKey(recipient));
    if (receivers.length === 0) {
      this.#drop('not_connected');
      this.#result(type, 'recipient_offline', payload.length);
      this.#undeliverable(from, envelope);
      return;
    }
    // One frame for all receivers; it must own its bytes because send queues keep it.
    const frame = encodeFrame(Code.s2data, payload);
    let taken = 0;
    for (const r of receivers) if (r.link.sendFrame(Code.s2data, frame, 'high')) taken++;
    if (taken === 0) {
      this.#drop('receiver_queue_full');
      this.#result(type, 'refused', payload.length);
      this.#undeliverable(from, envelope);
      return;
    }
    this.#result(type, 'forwarded', payload.length, taken);
    this.#duration.observe((performance.now() - started) / 1000);
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
