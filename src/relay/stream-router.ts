import type { Clock } from '../clock/index.js';
import type { Counter, Counters, Histogram } from '../counters/index.js';
import { chunkTime, receivedFrame } from '../link/index.js';
import { EnvelopeScan, encodeRelayError, StreamMessageType } from '../messages/index.js';
import { bytesEqualAt, Code, DecodeError, encodeFrame } from '../wire/index.js';
import type { ClusterMessages } from './cluster-messages.js';
import type { RelayLimits } from './limits.js';
import type { RelayPeer } from './peer.js';
import { RemoteSession } from './remote-session.js';
import { SenderBrake } from './sender-brake.js';
import type { SessionTable } from './sessions.js';

/** Label values of message types; a peer may name any byte. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  [StreamMessageType.error]: 'error',
  [StreamMessageType.info]: 'info',
  [StreamMessageType.data]: 'data',
};
/** Types without a name share this place. */
const otherType = 3;

/** One message in so many is timed: reading the clock twice for each would be a tenth of a relay's own work. */
const timedEvery = 64;

type Result = 'forwarded' | 'recipient_offline' | 'refused';

export interface StreamRouterOptions {
  readonly counters: Counters;
  readonly sessions: SessionTable<RelayPeer | RemoteSession>;
  /** Other processes of this relay; null when it is one alone. */
  remote?(): ClusterMessages | null;
  readonly limits: RelayLimits;
  /** This relay's own wallet: messages to it are undeliverable (07 §9.1 rule 6). */
  readonly ownWallet: Uint8Array;
  readonly clock: Clock;
  /** After so long a receiver that is too slow is dropped. */
  slowReceiverMs(): number;
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
  readonly #results: { readonly [R in Result]: { messages: Counter; bytes: Counter }[] } = {
    forwarded: [],
    recipient_offline: [],
    refused: [],
  };
  readonly #dropped = new Map<string, Counter>();
  readonly #received: Counter;
  readonly #duration: Histogram;
  readonly #envelope = new EnvelopeScan();
  /** Holds senders that are faster than their receivers. */
  readonly #brake: SenderBrake;
  #untilTimed = 0;

  constructor(private readonly options: StreamRouterOptions) {
    const { clock, counters } = options;
    this.#brake = new SenderBrake({
      clock,
      held: counters.counter(
        'ixian_relay_senders_held_total',
        'Times a sender was not read for a slower receiver',
      ),
      slowReceiverMs: () => options.slowReceiverMs(),
    });
    this.#received = counters.counter('ixian_messages_received_total', 'Stream messages received');
    this.#duration = counters.histogram(
      'ixian_relay_forward_duration_seconds',
      'From a whole stream message to its place in the receivers’ queues, of one message in 64',
    );
  }

  #result(type: number, result: Result, bytes: number, n = 1): void {
    const known = type >= 0 && type < otherType ? type : otherType;
    let c = this.#results[result][known];
    if (c === undefined) {
      const labels = { type: TYPE_NAMES[known] ?? 'other', result };
      const { counters } = this.options;
      c = {
        messages: counters.counter(
          'ixian_relay_messages_total',
          'Stream messages by type and result',
          labels,
        ),
        bytes: counters.counter('ixian_relay_bytes_total', 'Payload bytes of those', labels),
      };
      this.#results[result][known] = c;
    }
    c.messages.add(n);
    c.bytes.add(n * bytes);
  }

  #drop(reason: string): void {
    let c = this.#dropped.get(reason);
    if (c === undefined) {
      c = this.options.counters.counter(
        'ixian_messages_dropped_total',
        'Stream messages not handed on, by reason',
        { reason },
      );
      this.#dropped.set(reason, c);
    }
    c.add();
  }

  /** Handles one s2data payload. The view is not kept. */
  route(from: RelayPeer, payload: Uint8Array): void {
    if (this.#untilTimed-- > 0) {
      this.#route(from, payload);
      return;
    }
    this.#untilTimed = timedEvery - 1;
    const started = performance.now();
    if (this.#route(from, payload)) this.#duration.observe((performance.now() - started) / 1000);
  }

  /** True when somebody took it. */
  #route(from: RelayPeer, payload: Uint8Array): boolean {
    const { limits, sessions, ownWallet } = this.options;
    this.#received.add();
    if (payload.length > limits.messageBytesMax) {
      this.#drop('too_large');
      return false;
    }
    const envelope = this.#envelope;
    try {
      envelope.of(payload);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
      this.#drop('malformed');
      return false;
    }
    const { type } = envelope;
    if (type === StreamMessageType.error) {
      this.#drop('error_type');
      this.#result(type, 'refused', payload.length);
      return false;
    }
    if (!from.may('messages', 1, chunkTime(this.options.clock))) {
      // Told, so that the sender neither waits nor believes it delivered.
      this.#undelivered(from, type, payload, 'rate_limit');
      return false;
    }
    const { bytes, at, length } = envelope.recipientSpan;
    if (length === 0 || bytesEqualAt(bytes, at, length, ownWallet)) {
      this.#undelivered(from, type, payload, 'no_recipient');
      return false;
    }
    const receivers = sessions.receivers(bytes, at, length);
    if (receivers.length === 0) {
      this.#undelivered(from, type, payload, 'not_connected', 'recipient_offline');
      return false;
    }
    // The same bytes for all receivers; nothing is framed or summed again.
    const frame = receivedFrame(from.link.transport, Code.s2data, payload);
    let taken = 0;
    let remote = 0;
    for (const r of receivers)
      if (r instanceof RemoteSession) remote++;
      else if (r.link.sendFrame(Code.s2data, frame, 'high')) {
        taken++;
        if (r.link.isCrowded) this.#brake.hold(from, r);
      }
    // What becomes of it there is counted there.
    if (remote > 0 && this.#pass(from, receivers, payload, taken > 0) && taken === 0) return true;
    if (taken === 0) {
      this.#undelivered(from, type, payload, 'receiver_queue_full');
      return false;
    }
    this.#result(type, 'forwarded', payload.length, taken);
    return true;
  }

  #pass(
    from: RelayPeer,
    receivers: readonly (RelayPeer | RemoteSession)[],
    payload: Uint8Array,
    silent: boolean,
  ): boolean {
    const there = receivers.filter((r) => r instanceof RemoteSession);
    return (this.options.remote?.()?.pass(from, there, payload, silent) ?? 0) > 0;
  }

  /** Hands a message that came to another process to sessions of this one; how many took it. */
  deliver(receivers: readonly RelayPeer[], payload: Uint8Array): number {
    const frame = encodeFrame(Code.s2data, payload);
    let taken = 0;
    for (const r of receivers) if (r.link.sendFrame(Code.s2data, frame, 'high')) taken++;
    const { type } = this.#envelope.of(payload);
    if (taken > 0) this.#result(type, 'forwarded', payload.length, taken);
    else if (receivers.length === 0) {
      this.#drop('not_connected');
      this.#result(type, 'recipient_offline', payload.length);
    } else {
      this.#drop('receiver_queue_full');
      this.#result(type, 'refused', payload.length);
    }
    return taken;
  }

  /** Reads everybody again: nobody is held from now on. */
  stop(): void {
    this.#brake.stop();
  }

  /** Counts a message that nobody took, and tells its sender. `#envelope` still describes it. */
  #undelivered(
    from: RelayPeer,
    type: number,
    payload: Uint8Array,
    reason: string,
    result: Result = 'refused',
  ): void {
    this.#drop(reason);
    this.#result(type, result, payload.length);
    if (!from.isOpen) {
      // It is being moved to another process: what it sent last must not be lost on the way.
      if (reason !== 'rate_limit' && reason !== 'no_recipient')
        this.options.remote?.()?.park(payload, from.id);
      return;
    }
    const { id, sender, recipient } = this.#envelope;
    from.send(
      Code.s2data,
      encodeRelayError({
        failedId: id,
        failedSender: sender,
        failedRecipient: recipient,
        timestamp: this.options.networkSeconds(),
      }),
      'high',
    );
  }
}
