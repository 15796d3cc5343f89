import type { Timer } from '../clock/index.js';
import { VerifyBusy, VerifyFailed } from '../identity/index.js';
import {
  Bye,
  Code,
  DecodeError,
  decodeBye,
  encodeBye,
  encodeFrame,
  encodeTimeRecords,
  FRAME_HEADER_BYTES,
  FrameTooLarge,
  frameAround,
  type InventoryItem,
  PING_BYTE,
  PROBE_BYTE,
  ResumeCode,
  StreamParser,
  type StreamSink,
  timeDifferenceSeconds,
  timeSamplesMs,
} from '../wire/index.js';
import { judgeHello, judgeHelloData, type Verdict } from './handshake.js';
import { answerHello, buildHello, endpointText, randomChallenge, type SignTerms } from './hello-build.js';
import { type AnnouncedKeepAlive, InventoryBatch } from './inventory-batch.js';
import { type LinkLimits, linkLimitsOf } from './limits.js';
import { LinkCounters } from './link-counters.js';
import { alwaysHeldBytes, LinkMemory } from './link-memory.js';
import {
  AcceptingResumption,
  DiallingResumption,
  isResumeCode,
  type LinkResumption,
  type ResumeHost,
} from './link-resumption.js';
import { makeOffer } from './resumption.js';
import { type Lane, laneOf, priorityOf, SendQueue } from './send-queue.js';
import { tickerOf } from './ticker.js';
import { type Transport, type TransportCloseReason, withoutRest } from './transport.js';
import type { Direction, LinkClose, LinkCloseWhy, LinkOptions, PeerInfo, Priority } from './types.js';

/** Traffic of one link so far. */
export interface LinkStats {
  readonly sinceMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

const PING: Uint8Array = Uint8Array.of(PING_BYTE);

/** Messages kept while the server's helloData is still being verified: its first ones follow right behind. */
const heldMessagesMax = 1_000;

const TRANSPORT_END: { readonly [R in TransportCloseReason]: LinkCloseWhy } = {
  remote: 'remote-end',
  local: 'destroyed',
  error: 'transport-error',
  violation: 'transport-violation',
};

let nextId = 1;
/** Ids of one process among several: its number stands above this many bits. */
const idBits = 32;

/** Makes ids unique among the processes of one relay, each of which has a number of its own. */
export function numberLinksFor(process: number): void {
  nextId = process * 2 ** idBits + 1;
}

/**
 * One protocol connection over one transport (docs/protocol/03): handshake, liveness, priorities, bounded
 * queues, inventory batching, bye. Works from its construction on: an accepted link sends its five time
 * records, a dialled one its hello. Everything it learns comes out of {@link LinkOptions.handlers}.
 */
export class Link {
  /** Unique within this process, never reused. */
  readonly id: number = nextId++;
  readonly direction: Direction;
  readonly transport: Transport;
  readonly #o: LinkOptions;
  readonly #limits: LinkLimits;
  readonly #counters: LinkCounters;
  readonly #parser: StreamParser;
  readonly #sink: StreamSink;
  readonly #memory: LinkMemory;
  readonly #queue: SendQueue;
  readonly #inventory: InventoryBatch;
  readonly #challenge: number;
  #state: 'hello' | 'judging' | 'open' | 'closed' = 'hello';
  #peer: PeerInfo | null = null;
  /** Null where sessions do not resume. */
  #resumption: LinkResumption | null = null;
  /** The full hello we sent or received; for the offer that answers it. */
  #hello: Uint8Array | null = null;
  #times: { at: number; sent: number }[] = [];
  #held: { code: number; payload: Uint8Array }[] = [];
  #blocked = false;
  #refusedSends = false;
  /** Set from {@link Link.leave} on. */
  #leaving: { readonly code: number; readonly text: string; said: boolean; saidMs: number } | null = null;
  /** When a send was first refused since the queues were last below half. */
  #slowSinceMs = 0;
  /** Own parts of what {@link LinkMemory} adds up: in a full transport, and of an unfinished frame. */
  #transportBytes = 0;
  #receivingBytes = 0;
  #paused = false;
  /** Bytes before the hello that begin nothing. */
  #garbageBytes = 0;
  /** Runs while nothing is read because the peer sent more than it may. */
  #throttle: Timer | null = null;
  #inventoryTimer: Timer | null = null;
  #inventoryFlushedMs = Number.NEGATIVE_INFINITY;
  #startedMs: number;
  #receivedMs: number;
  #sentMs: number;
  /** Bytes the transport had passed on when it last made progress, and when that was. */
  #drainedBytes = 0;
  #progressMs: number;
  #messagesIn = 0;
  #messagesOut = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(transport: Transport, options: LinkOptions) {
    this.transport = transport;
    this.direction = options.direction;
    this.#o = options;
    this.#limits = linkLimitsOf(options.limits);
    this.#memory = options.memory ?? new LinkMemory();
    this.#counters = LinkCounters.of(options.counters);
    this.#challenge = options.challenge ?? randomChallenge();
    this.#queue = new SendQueue(this.#limits, this.#memory);
    this.#inventory = new InventoryBatch(this.#limits.inventoryItemsMax);
    this.#parser = new StreamParser({ payloadMax: (code) => this.#payloadMax(code) });
    this.#sink = {
      frame: (code, payload, crcValid) => this.#frame(code, payload, crcValid),
      time: (ms) => {
        this.#times.push({ at: this.#o.clock.nowMs(), sent: Number(ms) });
      },
      // Ping, probe byte or garbage: it has refreshed the timer already (03 §2).
      byte: (b) => this.#byte(b),
    };
    const now = options.clock.nowMs();
    this.#startedMs = now;
    this.#receivedMs = now;
    this.#sentMs = now;
    this.#progressMs = now;
    this.#counters.started(this.direction);
    this.#resumption = this.#makeResumption();
    tickerOf(options.clock, this.#limits.tickMs).add(this);
    transport.start({
      data: (chunk) => this.#data(chunk),
      drain: () => this.#drain(),
      close: (reason, detail) => {
        const l = this.#leaving;
        if (l?.said === true) this.#finish('bye-sent', l.code, '', l.text);
        else this.#finish(TRANSPORT_END[reason], null, '', detail);
      },
    });
    if (this.direction === 'in') this.#write(encodeTimeRecords(Math.round(options.self.networkTimeMs())));
    else if (this.#resumption?.begin() !== true) void this.#sayHello();
  }

  #makeResumption(): LinkResumption | null {
    const { self, clock, policy = {}, issuer, tickets } = this.#o;
    const host: ResumeHost = {
      self,
      policy,
      observedIp: this.transport.remoteAddress,
      nowMs: () => clock.nowMs(),
      timeDifferenceSeconds: () => timeDifferenceSeconds(timeSamplesMs(this.#times)),
      write: (code, payload) => this.#writeFrame(encodeFrame(code, payload)),
      open: (peer) => this.#open(peer),
      sayFullHello: () => void this.#sayHello(),
      bye: (code, text, data) => {
        this.#counters.refused(this.direction, code);
        this.bye(code, text, data);
      },
      unexpected: () => this.#counters.error('before_hello'),
    };
    if (this.direction === 'out') return tickets === undefined ? null : new DiallingResumption(host, tickets);
    if (issuer === undefined) return null;
    return new AcceptingResumption(host, issuer, () => endpointText(self.publicEndpoint()));
  }

  /** Who is there; set from `onOpen` on and kept after the end. */
  get peer(): PeerInfo | null {
    return this.#peer;
  }

  /** Handshake complete and not ended. */
  get isOpen(): boolean {
    return this.#state === 'open' && this.#leaving?.said !== true;
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Frames that wait for the peer to read. */
  get queuedFrames(): number {
    return this.#queue.frames;
  }

  /** Bytes that wait, those in the transport included. */
  get queuedBytes(): number {
    return this.#queue.bytes + this.transport.bufferedBytes;
  }

  get stats(): LinkStats {
    return {
      sinceMs: this.#startedMs,
      messagesIn: this.#messagesIn,
      messagesOut: this.#messagesOut,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    };
  }

  /**
   * Sends a message, or queues it while the peer does not read. False when it was refused and counted: the link
   * is not open, or the queue is full.
   *
   * @throws RangeError for an empty payload, which no receiver delivers (03 §2.3).
   */
  send(code: number, payload: Uint8Array, priority: Priority = priorityOf(code)): boolean {
    // Looked at before the frame is built: a full queue must not cost a CRC per refused message.
    const lane = laneOf(code, priority, payload.length + FRAME_HEADER_BYTES);
    if (!this.#admits(payload.length + FRAME_HEADER_BYTES, lane)) return false;
    return this.#enqueue(encodeFrame(code, payload), lane);
  }

  /** As {@link send} with a whole frame, so that one frame serves many links. It is not copied. */
  sendFrame(code: number, frame: Uint8Array, priority: Priority = priorityOf(code)): boolean {
    const lane = laneOf(code, priority, frame.length);
    return this.#admits(frame.length, lane) && this.#enqueue(frame, lane);
  }

  /**
   * The frame around the payload that a handler was given, as it came, to be sent on with {@link Link.sendFrame} of
   * any link: a view where the transport leaves its chunks alone, else a copy.
   */
  receivedFrame(code: number, payload: Uint8Array): Uint8Array {
    const frame = frameAround(code, payload);
    return this.transport.chunksStay ? frame : frame.slice();
  }

  /** Adds an item to the next inventory2 (04 §3.2). False when the batch is full or the link is not open. */
  announce(item: InventoryItem): boolean {
    return this.#offer(() => this.#inventory.add(item));
  }

  /** As {@link announce} for a keep-alive; the peer's line decides its form. `message`: the payload of code 34. */
  announceKeepAlive(keepAlive: AnnouncedKeepAlive, message: Uint8Array): boolean {
    return this.#offer(() => this.#inventory.addKeepAlive(keepAlive, message));
  }

  /** Says why and ends (03 §5.2). What waits in the queues is dropped. */
  bye(code: number, text = '', data = ''): void {
    if (this.#state === 'closed') return;
    // Once is enough.
    if (this.#leaving?.said !== true) this.#write(encodeFrame(Code.bye, encodeBye({ code, text, data })));
    // First ours: some transports report their end inside this call.
    this.#finish('bye-sent', code, data, text);
    this.transport.end();
  }

  /**
   * Moves the peer on to another connection: says bye as soon as everything queued has left, and takes what it still
   * sends until it ends the connection, so that nothing of either side is lost. It is the peer that ends, because not
   * every transport hears anything more after an end of ours; one that does not is ended after a while.
   */
  leave(code: number, text = ''): void {
    if (this.#state !== 'open' || this.#leaving !== null) return;
    this.#leaving = { code, text, said: false, saidMs: 0 };
    this.#leaveIfFlushed();
  }

  #leaveIfFlushed(): void {
    const l = this.#leaving;
    if (l === null || l.said || this.#blocked || this.#queue.frames > 0) return;
    this.#write(encodeFrame(Code.bye, encodeBye({ code: l.code, text: l.text, data: '' })));
    l.said = true;
    l.saidMs = this.#o.clock.nowMs();
  }

  /** Ends at once, without a word. */
  destroy(): void {
    this.#abort('destroyed');
  }

  /** The peer has proven its wallet, e.g. by a newer keep-alive (07 §9.1 c). */
  setProven(): void {
    if (this.#peer !== null) this.#peer = { ...this.#peer, verified: 'proven' };
  }

  /** Stops reading, so that the peer is slowed by its own full window. */
  pause(): void {
    this.#paused = true;
    this.transport.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#receivedMs = this.#o.clock.nowMs();
    if (this.#state !== 'judging' && this.#throttle === null) this.transport.resume();
  }

  /** Reads nothing for so long; what the peer sends meanwhile fills its own window. */
  throttle(ms: number): void {
    if (this.#state !== 'open' || this.#throttle !== null) return;
    this.transport.pause();
    this.#throttle = this.#o.clock.after(ms, () => {
      this.#throttle = null;
      this.#receivedMs = this.#o.clock.nowMs();
      if (this.#state === 'open' && !this.#paused) this.transport.resume();
    });
  }

  // --- sending ---------------------------------------------------------------------------------------------

  #admits(bytes: number, lane: Lane): boolean {
    if (!this.isOpen) {
      this.#counters.dropped(lane, 'not_open');
      return false;
    }
    if (!this.#blocked) return true;
    const refusal = this.#queue.refusal(lane, bytes);
    if (refusal === null) return true;
    if (!this.#refusedSends) this.#slowSinceMs = this.#o.clock.nowMs();
    this.#refusedSends = true;
    this.#counters.dropped(lane, refusal);
    return false;
  }

  #enqueue(frame: Uint8Array, lane: Lane): boolean {
    if (this.#blocked) return this.#queue.push(withoutRest(frame), lane) === null;
    this.#queue.passed();
    this.#writeFrame(frame);
    return true;
  }

  #writeFrame(frame: Uint8Array): void {
    this.#messagesOut++;
    this.#counters.message('out', frame[1]! | (frame[2]! << 8), frame.length - FRAME_HEADER_BYTES);
    this.#write(frame);
  }

  #write(bytes: Uint8Array): void {
    this.#bytesOut += bytes.length;
    this.#sentMs = this.#o.clock.nowMs();
    if (this.transport.write(bytes)) return;
    this.#blocked = true;
    this.#holdTransport(this.transport.bufferedBytes);
  }

  #holdTransport(bytes: number): void {
    this.#memory.queuedBytes += bytes - this.#transportBytes;
    this.#transportBytes = bytes;
  }

  #drain(): void {
    if (this.#state === 'closed') return;
    this.#blocked = false;
    this.#holdTransport(0);
    // A batch that became due meanwhile goes ahead of everything queued (04 §3.2).
    if (this.#inventory.size > 0 && this.#inventoryTimer === null) this.#flushInventory();
    while (!this.#blocked) {
      const frame = this.#queue.shift();
      if (frame === null) break;
      this.#writeFrame(frame);
    }
    this.#leaveIfFlushed();
    if (!this.#refusedSends || this.#queue.bytes > this.#limits.sendQueueBytesMax / 2) return;
    if (this.#queue.frames > this.#limits.sendQueueFramesMax / 2) return;
    this.#refusedSends = false;
    this.#guard(() => this.#o.handlers.onDrain?.(this));
  }

  #offer(add: () => boolean): boolean {
    if (this.#state !== 'open') {
      this.#counters.dropped('inventory', 'not_open');
      return false;
    }
    if (!add()) {
      this.#counters.dropped('inventory', 'frames');
      return false;
    }
    if (this.#inventoryTimer === null) {
      const sinceLast = this.#o.clock.nowMs() - this.#inventoryFlushedMs;
      const wait = Math.max(this.#limits.inventoryDelayMs, this.#limits.inventoryIntervalMs - sinceLast);
      this.#inventoryTimer = this.#o.clock.after(wait, () => {
        this.#inventoryTimer = null;
        if (!this.#blocked) this.#flushInventory();
      });
    }
    return true;
  }

  #flushInventory(): void {
    const peer = this.#peer;
    if (this.#state !== 'open' || peer === null) return;
    this.#inventoryFlushedMs = this.#o.clock.nowMs();
    for (const payload of this.#inventory.take(peer.line, peer.nodeType))
      this.#writeFrame(encodeFrame(Code.inventory2, payload));
  }

  // --- receiving -------------------------------------------------------------------------------------------

  #payloadMax(code: number): number {
    const trusted = this.#state === 'open' || (this.#state === 'judging' && this.direction === 'out');
    return trusted
      ? this.#limits.payloadBytesMax(code, this.#peer?.nodeType)
      : this.#limits.helloPayloadBytesMax;
  }

  #data(chunk: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#receivedMs = this.#o.clock.nowMs();
    this.#bytesIn += chunk.length;
    if (this.#state === 'open') this.#o.handlers.onBytes?.(this, chunk.length);
    else if (this.direction === 'in' && this.#bytesIn > this.#limits.preHelloBytesMax) {
      this.#abort('pre-hello-bytes');
      return;
    }
    try {
      this.#parser.push(chunk, this.#sink);
      if (this.#parser.heldBytes !== this.#receivingBytes) this.#holdReceived();
    } catch (error) {
      if (!(error instanceof FrameTooLarge)) throw error;
      this.#counters.error('frame_too_large');
      this.#abort('frame-too-large', error.message);
    }
  }

  /** Tells what is held of an unfinished frame, and ends the link that asks for more than there is for all. */
  #holdReceived(): void {
    if (this.isClosed) return;
    const held = this.#parser.heldBytes;
    const more = held > this.#receivingBytes;
    this.#memory.receivingBytes += held - this.#receivingBytes;
    this.#receivingBytes = held;
    const { receivingBytes, receivingBytesMax } = this.#memory;
    if (more && held > alwaysHeldBytes && receivingBytes > receivingBytesMax) this.#abort('receive-memory');
  }

  /** Whoever says nothing of the protocol before its hello is cut with the rest of its chunk unread. */
  #byte(b: number): void {
    if (this.#state === 'open' || this.direction === 'out' || b === PING_BYTE || b === PROBE_BYTE) return;
    if (++this.#garbageBytes > this.#limits.preHelloGarbageBytesMax) this.#abort('pre-hello-garbage');
  }

  #frame(code: number, payload: Uint8Array, crcValid: boolean): void {
    if (!crcValid) {
      this.#counters.error('crc');
      return;
    }
    this.#messagesIn++;
    this.#counters.message('in', code, payload.length);
    if (code === Code.bye) this.#onBye(payload);
    else if (this.#resumption !== null && isResumeCode(code)) this.#resume(this.#resumption, code, payload);
    else if (this.#state === 'open') {
      // Exactly one hello per connection: a second one changes nothing (03 §3.5 step 0).
      if (code === Code.hello || code === Code.helloData) this.#counters.error('hello_again');
      else this.#deliver(code, payload);
    } else if (code === Code.hello || code === Code.helloData) this.#onHello(code, payload);
    else if (this.#state === 'judging' && this.direction === 'out' && this.#held.length < heldMessagesMax)
      this.#held.push({ code, payload: payload.slice() });
    else this.#counters.error('before_hello');
  }

  /** A message of the extension. While a hello is judged there is nothing to resume any more. */
  #resume(resumption: LinkResumption, code: number, payload: Uint8Array): void {
    if (this.#state === 'judging') this.#counters.error('before_hello');
    else
      this.#guard(() => {
        if (code === ResumeCode.renew && this.isOpen && resumption instanceof AcceptingResumption)
          resumption.renew(this.#peer!, payload);
        else resumption.message(code, payload, this.isOpen);
      });
  }

  #deliver(code: number, payload: Uint8Array): void {
    try {
      this.#o.handlers.onMessage?.(this, code, payload);
    } catch (error) {
      this.#caught(error);
    }
  }

  /** What a handler throws ends neither the link nor the rest of the chunk (03 §6: parse errors do not close). */
  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#caught(error);
    }
  }

  #caught(error: unknown): void {
    if (error instanceof DecodeError) {
      this.#counters.error('malformed');
      return;
    }
    this.#counters.error('handler');
    if (this.#o.handlers.onError === undefined) throw error;
    this.#o.handlers.onError(this, error);
  }

  #onBye(payload: Uint8Array): void {
    let bye = { code: 0, text: '', data: '' };
    try {
      bye = { ...decodeBye(payload) };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#counters.error('malformed'); // it still is the end
    }
    this.#finish('bye-received', bye.code, bye.data, bye.text);
    this.transport.end();
  }

  // --- handshake -------------------------------------------------------------------------------------------

  get #terms(): SignTerms {
    return {
      deadlineMs: this.#startedMs + this.#limits.helloTimeoutMs,
      abandoned: () => this.#state === 'closed',
    };
  }

  async #sayHello(): Promise<void> {
    try {
      const ask = this.#resumption instanceof DiallingResumption ? this.#resumption.ask() : undefined;
      const payload = await buildHello(this.#o.self, this.#challenge, this.#terms, ask);
      if (this.isClosed) return;
      this.#hello = ask === undefined ? null : payload;
      if (payload === null) this.#abort('hello-timeout', 'not signed in time');
      else this.#writeFrame(encodeFrame(Code.hello, payload));
    } catch (error) {
      this.#broken(error);
    }
  }

  #onHello(code: number, payload: Uint8Array): void {
    if (this.#state === 'judging') {
      this.#counters.error('hello_again');
      return;
    }
    // The reference takes either on either side; we hold to the direction (03 §3.5 Quirk).
    const expected = this.direction === 'in' ? Code.hello : Code.helloData;
    if (code !== expected) {
      this.#counters.error('wrong_direction');
      this.#counters.refused(this.direction, Bye.deprecated);
      this.bye(Bye.deprecated, 'Wrong direction of hello');
      return;
    }
    this.#state = 'judging';
    this.#resumption?.drop();
    if (this.direction === 'in' && this.#resumption !== null) this.#hello = payload.slice();
    // What follows helloData must wait for the verdict, so it may as well wait in the socket.
    if (this.direction === 'out') this.transport.pause();
    const base = {
      network: this.#o.self.network,
      observedIp: this.transport.remoteAddress,
      engine: this.#o.engine,
      candidatesMax: this.#limits.helloCandidatesMax,
      timeDifferenceSeconds: timeDifferenceSeconds(timeSamplesMs(this.#times)),
      terms: this.#terms,
      ...(this.#o.verifyHello === undefined ? {} : { verify: this.#o.verifyHello }),
      ...(this.#o.policy === undefined ? {} : { policy: this.#o.policy }),
    };
    const verdict =
      this.direction === 'in'
        ? judgeHello(payload, {
            ...base,
            ownEndpoint: endpointText(this.#o.self.publicEndpoint()),
            busy: (deadlineMs) => this.#o.self.busy?.(deadlineMs) ?? null,
          })
        : judgeHelloData(payload, { ...base, challenge: this.#challenge });
    verdict.then((v) => this.#judged(v)).catch((error: unknown) => this.#broken(error));
  }

  async #judged(verdict: Verdict): Promise<void> {
    if (this.#state !== 'judging' || verdict.kind === 'ignore') return;
    if (verdict.kind === 'refuse') {
      this.#counters.refused(this.direction, verdict.bye);
      this.bye(verdict.bye, verdict.text, verdict.data);
      return;
    }
    if (this.direction === 'in') {
      const answer = await answerHello(this.#o.self, verdict.peer, verdict.challenge, this.#terms, () =>
        this.#offerTicket(verdict.peer, verdict.trailing),
      );
      if (this.isClosed) return; // gone while we signed
      if (answer.code === Code.bye) {
        this.#counters.refused('in', Bye.notReady);
        const { code, text, data } = decodeBye(answer.payload);
        this.bye(code, text, data);
        return;
      }
      this.#writeFrame(encodeFrame(answer.code, answer.payload));
    }
    const { peer, trailing } = verdict;
    const resumption = this.#resumption;
    const mayKeep = resumption instanceof DiallingResumption && this.#hello !== null;
    this.#open(mayKeep ? resumption.accepted(this.#hello!, trailing, peer) : peer);
  }

  async #offerTicket(peer: PeerInfo, trailing: Uint8Array | undefined): ReturnType<typeof makeOffer> {
    const { issuer, self } = this.#o;
    if (issuer === undefined || this.#hello === null) return null;
    return makeOffer(issuer, peer, this.#hello, trailing, self.deviceId);
  }

  #open(peer: PeerInfo): void {
    this.#peer = peer;
    this.#hello = null;
    this.#state = 'open';
    this.#counters.opened(this.direction, peer.nodeType);
    this.#counters.handshake(this.direction, 'ok', (this.#o.clock.nowMs() - this.#startedMs) / 1000);
    this.#guard(() => this.#o.handlers.onOpen?.(this));
    for (const { code, payload } of this.#held.splice(0)) if (this.isOpen) this.#deliver(code, payload);
    if (!this.isClosed && !this.#paused && this.#throttle === null) this.transport.resume();
  }

  /** A failing signer or engine is our trouble, not the peer's: it may come back later. */
  #broken(error: unknown): void {
    if (this.#state === 'closed') return;
    if (error instanceof VerifyBusy || error instanceof VerifyFailed) {
      // Nothing is known of the signature, and nothing is wrong with the code: another time.
      this.#counters.refused(this.direction, Bye.notReady);
      this.bye(Bye.notReady, 'Not ready yet, please try again later');
      return;
    }
    this.#counters.error('handler');
    this.bye(Bye.notReady, 'Not ready yet, please try again later');
    if (this.#o.handlers.onError === undefined) throw error;
    this.#o.handlers.onError(this, error);
  }

  // --- time and end ----------------------------------------------------------------------------------------

  /** Timers of 03 §2.5, apart from whatever the sender is doing. Called by the ticker. */
  tick(now: number): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'open' && now - this.#startedMs > this.#limits.helloTimeoutMs) {
      this.#abort('hello-timeout');
      return;
    }
    const l = this.#leaving;
    if (l?.said === true && now - l.saidMs > this.#limits.leaveMs) {
      this.transport.end();
      return;
    }
    this.#resumption?.tick(now, this.isOpen);
    if (!this.#paused && this.#throttle === null && now - this.#receivedMs > this.#limits.silenceMs) {
      this.#abort('silence');
      return;
    }
    const buffered = this.transport.bufferedBytes;
    const drained = this.#bytesOut - buffered;
    if (buffered === 0 || drained > this.#drainedBytes) {
      this.#drainedBytes = drained;
      this.#progressMs = now;
    } else if (now - this.#progressMs > this.#limits.writeStallMs) {
      this.#abort('write-stall');
      return;
    }
    if (this.#refusedSends && now - this.#slowSinceMs > this.#limits.slowReceiverMs) {
      this.#tooSlow();
      return;
    }
    if (!this.#blocked && now - this.#sentMs >= this.#limits.pingIdleMs) this.#write(PING);
  }

  /** See {@link Ticked.shift}. */
  shift(ms: number): void {
    this.#startedMs += ms;
    this.#receivedMs += ms;
    this.#sentMs += ms;
    this.#progressMs += ms;
    this.#slowSinceMs += ms;
    if (this.#leaving !== null) this.#leaving.saidMs += ms;
  }

  /** Told, so that the peer knows that messages were lost and why, and then dropped. */
  #tooSlow(): void {
    this.#write(
      encodeFrame(Code.bye, encodeBye({ code: Bye.rejected, text: 'Reading too slowly', data: '' })),
    );
    this.#finish('slow-receiver', Bye.rejected, '', 'Reading too slowly');
    this.transport.end();
  }

  /** What still waited is lost and counted; nothing of it burdens the others any longer. */
  #release(): void {
    for (const [lane, frames] of this.#queue.clear()) this.#counters.dropped(lane, 'closed', frames);
    this.#holdTransport(0);
    this.#memory.receivingBytes -= this.#receivingBytes;
    this.#receivingBytes = 0;
  }

  #abort(why: LinkCloseWhy, text = ''): void {
    if (this.#state === 'closed') return;
    this.#finish(why, null, '', text);
    this.transport.destroy();
  }

  #finish(why: LinkCloseWhy, byeCode: number | null, data: string, text: string): void {
    if (this.#state === 'closed') return;
    const opened = this.#state === 'open';
    this.#state = 'closed';
    this.#parser.stop();
    this.#held = [];
    this.#release();
    this.#inventoryTimer?.cancel();
    this.#throttle?.cancel();
    const { clock, handlers } = this.#o;
    tickerOf(clock, this.#limits.tickMs).remove(this);
    const close: LinkClose = { why, byeCode, data, text, opened };
    this.#counters.closed(this.direction, opened ? this.#peer!.nodeType : null, close);
    if (!opened) this.#counters.handshake(this.direction, 'failed', (clock.nowMs() - this.#startedMs) / 1000);
    // Later, so that nobody is told inside a call of his own.
    queueMicrotask(() => this.#guard(() => handlers.onClose?.(this, close)));
  }
}
