import type { Bus } from '../cluster/index.js';
import { EnvelopeScan, encodeRelayError } from '../messages/index.js';
import { Code, DecodeError } from '../wire/index.js';
import type { RelayContext } from './context.js';
import { ParkedMessages } from './parked.js';
import { RelayPeer } from './peer.js';
import { RemoteSession } from './remote-session.js';

const topic = 's2data';
const failedTopic = 's2failed';
/** Messages on their way to several processes at once that are remembered until all have failed. */
export const spreadsMax = 4_096;
/** A message is passed on from a process that its receiver has just left at most this often. */
const hopsMax = 2;

/**
 * Head of a message between processes (little endian): hops u8 | silent u8 | spread u32 | sender's connection f64 |
 * name length u8 | name of the process it came to. Then the message as it was received.
 */
interface Head {
  readonly hops: number;
  /** Somebody has it already: nobody needs to be told when others do not. */
  readonly silent: boolean;
  /** Number of a message that went to several processes, 0 for one. */
  readonly spread: number;
  readonly senderId: number;
  readonly origin: string;
}

const headBytes = 15;

function encodeHead(h: Head, payload: Uint8Array): Uint8Array {
  const name = Buffer.from(h.origin);
  const out = new Uint8Array(headBytes + name.length + payload.length);
  const view = new DataView(out.buffer);
  out[0] = h.hops;
  out[1] = h.silent ? 1 : 0;
  view.setUint32(2, h.spread, true);
  view.setFloat64(6, h.senderId, true);
  out[14] = name.length;
  out.set(name, headBytes);
  out.set(payload, headBytes + name.length);
  return out;
}

function decodeHead(bytes: Uint8Array): { head: Head; payload: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = headBytes + bytes[14]!;
  return {
    head: {
      hops: bytes[0]!,
      silent: bytes[1] === 1,
      spread: view.getUint32(2, true),
      senderId: view.getFloat64(6, true),
      origin: Buffer.from(bytes.subarray(headBytes, end)).toString(),
    },
    payload: bytes.subarray(end),
  };
}

/** Hands a message to the sessions of this process; how many took it. */
export type DeliverHere = (receivers: readonly RelayPeer[], payload: Uint8Array) => number;

/**
 * Stream messages whose receiver is connected to another process. One copy goes to each process that has sessions
 * of the wallet; what reaches nobody there, because the receiver has gone or reads too slowly, comes back as the
 * protocol's error on the connection of the sender, and so does what was on its way to a process that died.
 */
export class ClusterMessages {
  readonly #envelope = new EnvelopeScan();
  /** Messages that went to several processes: how many of them may still take it. */
  readonly #spreads = new Map<number, { left: number }>();
  #nextSpread = 1;
  /** Of clients that cannot be told any more, because they are being moved on. */
  readonly parked: ParkedMessages;

  constructor(
    private readonly ctx: RelayContext,
    private readonly bus: Bus,
    private readonly deliver: DeliverHere,
  ) {
    this.parked = new ParkedMessages(ctx.clock, ctx.counters, (payload) => this.#retry(payload));
    bus.on(topic, (_from, bytes) => this.#arrived(bytes));
    bus.on(failedTopic, (_from, bytes) => this.#failed(decodeHead(bytes)));
    bus.onLost(topic, (_to, bytes) => {
      this.#count('lost');
      ctx.counters.counter('ixian_messages_dropped_total', '', { reason: 'process_lost' }).add();
      const { head, payload } = decodeHead(bytes);
      if (!head.silent) this.#fail(head, payload);
    });
  }

  #count(result: string): void {
    this.ctx.counters
      .counter(
        'ixian_cluster_messages_total',
        'Stream messages between the processes of this relay, by what became of them',
        { result },
      )
      .add();
  }

  /**
   * Passes a message to the processes of `receivers`. `silent`: somebody here has it already. Returns how many
   * processes took it.
   */
  pass(from: RelayPeer, receivers: readonly RemoteSession[], payload: Uint8Array, silent: boolean): number {
    const nodes = [...new Set(receivers.map((r) => r.node))];
    const spread = silent || nodes.length === 1 ? 0 : this.#nextSpread++;
    const head: Head = { hops: 0, silent, spread, senderId: from.id, origin: this.bus.self };
    const bytes = encodeHead(head, payload);
    let taken = 0;
    for (const node of nodes) if (this.bus.send(node, topic, bytes)) taken++;
    this.#count(taken > 0 ? 'passed' : 'refused');
    if (spread === 0 || taken === 0) return taken;
    this.#spreads.set(spread, { left: taken });
    if (this.#spreads.size > spreadsMax) this.#spreads.delete(this.#spreads.keys().next().value!);
    return taken;
  }

  #arrived(bytes: Uint8Array): void {
    const { head, payload } = decodeHead(bytes);
    try {
      this.#envelope.of(payload);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
      return;
    }
    const span = this.#envelope.recipientSpan;
    const receivers = this.ctx.sessions.receivers(span.bytes, span.at, span.length);
    const here = receivers.filter((r) => r instanceof RelayPeer);
    if (here.length > 0) {
      if (this.deliver(here, payload) > 0) this.#count('delivered');
      else this.#undeliverable(head, payload, 'receiver_queue_full');
      return;
    }
    // Gone from here while the message was on its way; perhaps it is back in another process already.
    const there = receivers.find((r) => r instanceof RemoteSession);
    if (there !== undefined && head.hops + 1 < hopsMax) {
      this.#count('passed_on');
      if (this.bus.send(there.node, topic, encodeHead({ ...head, hops: head.hops + 1 }, payload))) return;
    }
    this.deliver([], payload);
    this.#undeliverable(head, payload, 'not_connected');
  }

  #undeliverable(head: Head, payload: Uint8Array, reason: string): void {
    this.#count(reason);
    if (head.silent) return;
    const back = { ...head, hops: 0 };
    if (head.origin === this.bus.self) this.#fail(back, payload);
    else if (!this.bus.send(head.origin, failedTopic, encodeHead(back, payload), 'control'))
      // The process it came to has been replaced meanwhile, and its sender with it.
      this.parked.add(payload);
  }

  /** A parked message once more; true when somebody took it. */
  #retry(payload: Uint8Array): boolean {
    const { bytes, at, length } = this.#envelope.of(payload).recipientSpan;
    const receivers = this.ctx.sessions.receivers(bytes, at, length);
    const here = receivers.filter((r) => r instanceof RelayPeer);
    if (here.length > 0) return this.deliver(here, payload) > 0;
    const there = receivers.find((r) => r instanceof RemoteSession);
    if (there === undefined) return false;
    const head: Head = { hops: 0, silent: false, spread: 0, senderId: 0, origin: this.bus.self };
    return this.bus.send(there.node, topic, encodeHead(head, payload));
  }

  #failed(m: { readonly head: Head; readonly payload: Uint8Array }): void {
    this.#fail(m.head, m.payload);
  }

  /** Here, where the sender is connected: tells it, unless another process may still have delivered. */
  #fail(head: Head, payload: Uint8Array): void {
    if (head.spread !== 0) {
      const s = this.#spreads.get(head.spread);
      if (s === undefined || --s.left > 0) return;
      this.#spreads.delete(head.spread);
    }
    const sender = this.ctx.peers.get(head.senderId);
    if (sender === null || !sender.isOpen) {
      this.parked.add(payload);
      return;
    }
    const { id, sender: claimed, recipient } = this.#envelope.of(payload);
    sender.send(
      Code.s2data,
      encodeRelayError({
        failedId: id,
        failedSender: claimed,
        failedRecipient: recipient,
        timestamp: this.ctx.networkSeconds(),
      }),
      'high',
    );
  }
}
