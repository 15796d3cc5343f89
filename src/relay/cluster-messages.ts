import type { Bus } from '../cluster/index.js';
import { EnvelopeScan, encodeRelayError } from '../messages/index.js';
import { bytesEqual, bytesKey, Code, DecodeError } from '../wire/index.js';
import type { RelayContext } from './context.js';
import type { Departed } from './departed.js';
import { type Parked, ParkedMessages } from './parked.js';
import { RelayPeer } from './peer.js';
import { generationOf, RemoteSession } from './remote-session.js';

const topic = 's2data';
const failedTopic = 's2failed';
const parkedTopic = 's2parked';
/** Head of a parked message that is handed over (little endian): milliseconds left u32 | sender's connection f64. */
const parkedHeadBytes = 12;
/** What is handed over has at least this long: its receiver may be on its way just then. */
const handedOverMsMin = 5_000;
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
  /** This process ends and keeps nothing any more. */
  #leaving = false;
  /** Of clients that cannot be told any more, because they are being moved on. */
  readonly parked: ParkedMessages;

  constructor(
    private readonly ctx: RelayContext,
    private readonly bus: Bus,
    private readonly deliver: DeliverHere,
    private readonly departed: Departed,
  ) {
    this.parked = new ParkedMessages(ctx.clock, ctx.counters, {
      receiverOf: (payload) => {
        const { bytes, at, length } = this.#envelope.of(payload).recipientSpan;
        return bytesKey(bytes.subarray(at, at + length));
      },
      deliver: (p) => this.#retry(p),
      tell: (p) => this.#tellElsewhere(p),
    });
    bus.on(topic, (_from, bytes) => this.#arrived(bytes));
    bus.on(failedTopic, (_from, bytes) => this.#failed(bytes));
    bus.on(parkedTopic, (_from, bytes) => this.#takeParked(bytes));
    bus.onLost(parkedTopic, (_to, bytes) => this.#takeParked(bytes));
    // Its sender's process ended before it heard of it: the sender comes back to another one.
    bus.onLost(failedTopic, (_to, bytes) => this.#failed(bytes));
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
    const back = encodeHead({ ...head, hops: 0 }, payload);
    if (head.origin === this.bus.self || !this.bus.send(head.origin, failedTopic, back, 'control'))
      // Here, or the process it came to has been replaced meanwhile, and its sender with it.
      this.#failed(back);
  }

  /** Keeps a message of a connection that has ended; see {@link ParkedMessages}. */
  park(payload: Uint8Array, senderId: number): void {
    if (this.#leaving && this.#handOver({ payload, senderId, untilMs: 0 })) return;
    this.parked.add(payload, senderId);
  }

  /** A session came: what waits for its wallet goes there, once the table is complete. */
  came(session: RelayPeer | RemoteSession): void {
    if (this.parked.size === 0) return;
    const receiver = bytesKey(session.info.address);
    queueMicrotask(() => this.parked.came(receiver));
  }

  /** This process ends: what is parked here, and what will be, waits in another one. */
  leave(): void {
    this.#leaving = true;
    this.parked.handOver((p) => this.#handOver(p));
  }

  #handOver(p: Parked): boolean {
    // The newest process is the last to be replaced.
    const to = [...this.bus.members].sort((a, b) => generationOf(b) - generationOf(a))[0];
    if (to === undefined) return false;
    const out = new Uint8Array(parkedHeadBytes + p.payload.length);
    const view = new DataView(out.buffer);
    view.setUint32(0, Math.max(handedOverMsMin, p.untilMs - this.ctx.clock.nowMs()), true);
    view.setFloat64(4, p.senderId, true);
    out.set(p.payload, parkedHeadBytes);
    return this.bus.send(to, parkedTopic, out, 'control');
  }

  #takeParked(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const payload = bytes.slice(parkedHeadBytes);
    const p = { payload, senderId: view.getFloat64(4, true), untilMs: 0 };
    if (!this.#retry(p)) this.parked.add(payload, p.senderId, view.getUint32(0, true));
  }

  /** A parked message once more; true when somebody took it. */
  #retry({ payload, senderId }: Parked): boolean {
    const { bytes, at, length } = this.#envelope.of(payload).recipientSpan;
    const receivers = this.ctx.sessions.receivers(bytes, at, length);
    const here = receivers.filter((r) => r instanceof RelayPeer);
    if (here.length > 0) return this.deliver(here, payload) > 0;
    const there = receivers.find((r) => r instanceof RemoteSession);
    if (there === undefined) return false;
    const head: Head = { hops: 0, silent: false, spread: 0, senderId, origin: this.bus.self };
    return this.bus.send(there.node, topic, encodeHead(head, payload));
  }

  /** Tells who sent it that nobody took it, on another connection of the same device; true when there is one. */
  #tellElsewhere({ payload, senderId }: Parked): boolean {
    const client = this.departed.get(senderId);
    if (client === null) return false;
    const session = this.ctx.sessions
      .receivers(client.address)
      .find((r) => bytesEqual(r.info.deviceId, client.deviceId));
    if (session instanceof RelayPeer) return this.#tell(session, payload);
    if (session === undefined) return false;
    const head: Head = { hops: 0, silent: false, spread: 0, senderId: session.id, origin: session.node };
    return this.bus.send(session.node, failedTopic, encodeHead(head, payload), 'control');
  }

  /** Here, where the sender is connected: tells it, unless another process may still have delivered. */
  #failed(bytes: Uint8Array): void {
    const { head, payload } = decodeHead(bytes);
    this.#fail(head, payload);
  }

  #fail(head: Head, payload: Uint8Array): void {
    if (head.spread !== 0) {
      // The process that counted has ended; another one has most likely delivered.
      if (head.origin !== this.bus.self) return;
      const s = this.#spreads.get(head.spread);
      if (s === undefined || --s.left > 0) return;
      this.#spreads.delete(head.spread);
    }
    const sender = this.ctx.peers.get(head.senderId);
    if (sender === null || !this.#tell(sender, payload)) this.park(payload, head.senderId);
  }

  #tell(sender: RelayPeer, payload: Uint8Array): boolean {
    if (!sender.isOpen) return false;
    const { id, sender: claimed, recipient } = this.#envelope.of(payload);
    return sender.send(
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
