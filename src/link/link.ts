import type { Timer } from '../clock/index.js';
import {
  Bye,
  Code,
  DecodeError,
  decodeBye,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FrameTooLarge,
  type InventoryItem,
  StreamParser,
  type StreamSink,
} from '../wire/index.js';
import { Announcements } from './announcements.js';
import { chunkBegins, chunkEnds, chunkTime } from './chunk-time.js';
import { Greeting, type GreetingHost, type HeldMessage } from './greeting.js';
import type { AnnouncedKeepAlive, InventoryBatch } from './inventory-batch.js';
import { KeptPeer } from './kept-peer.js';
import { type LinkLimits, linkLimitsOf } from './limits.js';
import { LinkCounters } from './link-counters.js';
import { takeLinkId } from './link-ids.js';
import { alwaysHeldBytes, LinkMemory } from './link-memory.js';
import { isRenewal, isResumeCode, type LinkResumption, renewedTicket } from './link-resumption.js';
import { isLonePing, LinkTimes, PING } from './link-times.js';
import { byeFrame } from './refuse.js';
import { type Lane, laneOf, priorityOf, type QueueRefusal, SendQueue } from './send-queue.js';
import { tickerOf } from './ticker.js';
import {
  type Transport,
  type TransportCloseReason,
  type TransportHandlers,
  withoutRest,
} from './transport.js';
import {
  type Direction,
  type LinkClose,
  type LinkCloseWhy,
  type LinkHandlers,
  type LinkOptions,
  type LinkStats,
  type PeerInfo,
  type Priority,
  TRANSPORT_END,
} from './types.js';

/**
 * One protocol connection over one transport (docs/protocol/03): handshake, liveness, priorities, bounded
 * queues, inventory batching, bye. Works from its construction on: an accepted link sends its five time
 * records, a dialled one its hello. Everything it learns comes out of {@link LinkOptions.handlers}.
 */
export class Link extends LinkTimes {
  /** Unique within this process, never reused. */
  readonly id: number = takeLinkId();
  readonly direction: Direction;
  readonly transport: Transport;
  readonly #o: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #limits: LinkLimits;
  readonly #counters: LinkCounters;
  readonly #parser = new StreamParser();
  readonly #inside: InstanceType<typeof Link.Inside>;
  readonly #memory: LinkMemory;
  /** Null until something waits; before, only how much was sent past it counts. */
  #queue: SendQueue | null = null;
  #unqueued = 0;
  /** Null until something was announced here. */
  #announcements: Announcements | null = null;
  #state: 'greeting' | 'open' | 'closed' = 'greeting';
  /** Null from the end of the handshake on. */
  #greeting: Greeting | null;
  #peer: PeerInfo | null = null;
  /** Renews tickets of a dialled link; null where sessions do not resume. */
  #resumption: LinkResumption | null = null;
  #blocked = false;
  #refusedSends = false;
  /** Set from {@link Link.leave} on. */
  #leaving: { readonly code: number; readonly text: string; said: boolean; saidMs: number } | null = null;
  /** Own parts of what {@link LinkMemory} adds up: in a full transport, and of an unfinished frame. */
  #transportBytes = 0;
  #receivingBytes = 0;
  #paused = false;
  /** Runs while nothing is read because the peer sent more than it may. */
  #throttle: Timer | null = null;
  #messagesIn = 0;
  #messagesOut = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  /** `options` may serve many links; `handlers` are those of this one where it has its own. */
  constructor(transport: Transport, options: Omit<LinkOptions, 'handlers'>, handlers: LinkHandlers);
  constructor(transport: Transport, options: LinkOptions);
  constructor(transport: Transport, options: LinkOptions, handlers: LinkHandlers = options.handlers) {
    super(options.clock.nowMs());
    this.transport = transport;
    this.direction = options.direction;
    this.#o = options;
    this.#handlers = handlers;
    this.#limits = linkLimitsOf(options.limits);
    this.#memory = options.memory ?? new LinkMemory();
    this.#counters = LinkCounters.of(options.counters);
    this.#counters.started(this.direction);
    this.#inside = new Link.Inside(this);
    this.#greeting = new Greeting(this.#inside, transport, options, this.#limits, this.#counters);
    tickerOf(options.clock, this.#limits.tickMs).add(this);
    transport.start(this.#inside);
    this.#greeting?.begin();
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

  /** Whether nothing waits to be sent: what a transport that is not full holds is on its way. */
  get isFlushed(): boolean {
    return !this.#blocked && this.queuedFrames === 0;
  }

  /** Frames that wait for the peer to read. */
  get queuedFrames(): number {
    return this.#queue?.frames ?? 0;
  }

  /** Bytes that wait, those in the transport included. */
  get queuedBytes(): number {
    return (this.#queue?.bytes ?? 0) + this.transport.bufferedBytes;
  }

  /** So much waits, with nothing refused yet, that whoever sends to the peer should wait; until half of it has gone. */
  get isCrowded(): boolean {
    return this.#queue?.isCrowded === true && !this.#refusedSends;
  }

  /** Calls `fn` once: when the queues are crowded no more, or the link has ended. */
  onceRelieved(fn: () => void): void {
    this.#queue?.onceRelieved(fn);
  }

  get stats(): LinkStats {
    return {
      sinceMs: this.startedMs,
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

  /** Adds an item to the next inventory2 (04 §3.2). False when the batch is full or the link is not open. */
  announce(item: InventoryItem): boolean {
    return this.#offer((batch) => batch.add(item));
  }

  /** As {@link announce} for a keep-alive; the peer's line decides its form. `message`: the payload of code 34. */
  announceKeepAlive(keepAlive: AnnouncedKeepAlive, message: Uint8Array): boolean {
    return this.#offer((batch) => batch.addKeepAlive(keepAlive, message));
  }

  /** Says why and ends (03 §5.2). What waits in the queues is dropped. */
  bye(code: number, text = '', data = ''): void {
    if (this.#state === 'closed') return;
    // Once is enough.
    if (this.#leaving?.said !== true) this.#write(byeFrame(code, text, data));
    // First ours: some transports report their end inside this call.
    this.#finish('bye-sent', code, data, text);
    this.transport.end();
  }

  /**
   * Moves the peer on to another connection: says bye as soon as everything queued has left, and takes what it still
   * sends until it ends the connection: not every transport hears anything after an end of ours. One that does not end
   * is ended after a while.
   */
  leave(code: number, text = ''): void {
    if (this.#state !== 'open' || this.#leaving !== null) return;
    this.#leaving = { code, text, said: false, saidMs: 0 };
    this.#leaveIfFlushed();
  }

  #leaveIfFlushed(): void {
    const l = this.#leaving;
    if (l === null || l.said || !this.isFlushed) return;
    this.#write(byeFrame(l.code, l.text));
    l.said = true;
    l.saidMs = this.#o.clock.nowMs();
  }

  /** Ends at once, without a word. */
  destroy(): void {
    this.#abort('destroyed');
  }

  /** The peer has proven its wallet, e.g. by a newer keep-alive (07 §9.1 c). */
  setProven(): void {
    const p = this.#peer;
    if (p !== null) this.#peer = p instanceof KeptPeer ? p.proven() : { ...p, verified: 'proven' };
  }

  /** Stops reading, so that the peer is slowed by its own full window. */
  pause(): void {
    this.#paused = true;
    this.transport.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.receivedMs = this.#o.clock.nowMs();
    if (this.#greeting?.judging !== true && this.#throttle === null) this.transport.resume();
  }

  /** Reads nothing for so long; what the peer sends meanwhile fills its own window. */
  throttle(ms: number): void {
    if (this.#state !== 'open' || this.#throttle !== null) return;
    this.transport.pause();
    this.#throttle = this.#o.clock.after(ms, () => {
      this.#throttle = null;
      this.receivedMs = this.#o.clock.nowMs();
      if (this.#state === 'open' && !this.#paused) this.transport.resume();
    });
  }

  // --- sending ---------------------------------------------------------------------------------------------

  #admits(bytes: number, lane: Lane): boolean {
    if (!this.isOpen) return this.#dropped(lane, 'not_open');
    if (!this.#blocked) return true;
    this.#queue ??= new SendQueue(this.#limits, this.#memory, this.#unqueued);
    const refusal = this.#queue.refusal(lane, bytes);
    if (refusal === null) return true;
    if (!this.#refusedSends) this.slowSinceMs = this.#o.clock.nowMs();
    this.#refusedSends = true;
    return this.#dropped(lane, refusal);
  }

  #dropped(lane: Lane | 'inventory', why: QueueRefusal | 'not_open'): false {
    this.#counters.dropped(lane, why);
    return false;
  }

  #enqueue(frame: Uint8Array, lane: Lane): boolean {
    if (this.#blocked && this.#queue !== null) return this.#queue.push(withoutRest(frame), lane) === null;
    if (this.#queue === null) this.#unqueued++;
    else this.#queue.passed();
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
    this.sentMs = chunkTime(this.#o.clock);
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
    if (this.#announcements?.isDue === true) this.#flushInventory();
    while (!this.#blocked) {
      const frame = this.#queue?.shift() ?? null;
      if (frame === null) break;
      this.#writeFrame(frame);
    }
    this.#leaveIfFlushed();
    if (!this.#refusedSends || (this.#queue?.bytes ?? 0) > this.#limits.sendQueueBytesMax / 2) return;
    if (this.queuedFrames > this.#limits.sendQueueFramesMax / 2) return;
    this.#refusedSends = false;
    this.#guard(() => this.#handlers.onDrain?.(this));
  }

  #offer(add: (batch: InventoryBatch) => boolean): boolean {
    if (this.#state !== 'open') return this.#dropped('inventory', 'not_open');
    this.#announcements ??= new Announcements(this.#o.clock, this.#limits, () => this.#flushInventory());
    return this.#announcements.offer(add) || this.#dropped('inventory', 'frames');
  }

  /** Due; while the transport is full it waits, and goes ahead of everything queued then (04 §3.2). */
  #flushInventory(): void {
    const peer = this.#peer;
    if (this.#blocked || this.#state !== 'open' || peer === null) return;
    for (const payload of this.#announcements?.take(peer) ?? [])
      this.#writeFrame(encodeFrame(Code.inventory2, payload));
  }

  // --- receiving -------------------------------------------------------------------------------------------

  #payloadMax(code: number): number {
    const g = this.#greeting;
    const trusted = g === null || (g.judging && this.direction === 'out');
    return trusted
      ? this.#limits.payloadBytesMax(code, this.#peer?.nodeType)
      : this.#limits.helloPayloadBytesMax;
  }

  #data(chunk: Uint8Array): void {
    if (this.#state === 'closed') return;
    const now = this.#o.clock.nowMs();
    const apartMs = now - this.receivedMs;
    this.receivedMs = now;
    this.#bytesIn += chunk.length;
    if (isLonePing(chunk, apartMs) && this.#isIdle) {
      // Ours leaves with the acknowledgement of theirs: one packet less than a tick later.
      if (this.mayAnswer(now, this.#limits)) this.#write(PING);
      return;
    }
    if (this.#state !== 'open' && this.direction === 'in' && this.#bytesIn > this.#limits.preHelloBytesMax) {
      this.#abort('pre-hello-bytes');
      return;
    }
    chunkBegins(this.#o.clock, now);
    try {
      if (this.#state === 'open') this.#handlers.onBytes?.(this, chunk.length);
      this.#parser.push(chunk, this.#inside);
      if (this.#parser.heldBytes !== this.#receivingBytes) this.#holdReceived();
    } catch (error) {
      if (!(error instanceof FrameTooLarge)) throw error;
      this.#counters.error('frame_too_large');
      this.#abort('frame-too-large', error.message);
    } finally {
      chunkEnds();
    }
  }

  /** Open, with nothing under way in either direction. */
  get #isIdle(): boolean {
    return this.isOpen && !this.#blocked && this.#parser.pendingBytes === 0;
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

  #frame(code: number, payload: Uint8Array, crcValid: boolean): void {
    if (!crcValid) {
      this.#counters.error('crc');
      return;
    }
    this.#messagesIn++;
    this.#counters.message('in', code, payload.length);
    if (code === Code.bye) this.#onBye(payload);
    else if (isResumeCode(code) && (this.#o.issuer ?? this.#o.tickets) !== undefined)
      this.#resume(code, payload);
    else if (this.#greeting !== null) this.#greeting.message(code, payload);
    // Exactly one hello per connection: a second one changes nothing (03 §3.5 step 0).
    else if (code === Code.hello || code === Code.helloData) this.#counters.error('hello_again');
    else this.#deliver(code, payload);
  }

  /** A message of the extension. */
  #resume(code: number, payload: Uint8Array): void {
    const { issuer } = this.#o;
    if (this.#greeting !== null) this.#greeting.resume(code, payload);
    else if (this.#resumption !== null) {
      const resumption = this.#resumption;
      this.#guard(() => resumption.message(code, payload, true));
    } else if (isRenewal(code) && issuer !== undefined && this.isOpen)
      this.#guard(() => {
        const answer = renewedTicket(issuer, this.#peer!, payload);
        if (answer !== null) this.#writeFrame(answer);
      });
    else this.#counters.error('before_hello');
  }

  #deliver(code: number, payload: Uint8Array): void {
    try {
      this.#handlers.onMessage?.(this, code, payload);
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
    if (this.#handlers.onError === undefined) throw error;
    this.#handlers.onError(this, error);
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

  #opened(peer: PeerInfo, held: readonly HeldMessage[], renews: boolean): void {
    this.#peer = this.direction === 'in' ? KeptPeer.of(peer, renews) : peer;
    this.#resumption = this.#greeting?.resumption ?? null;
    this.#greeting = null;
    this.#state = 'open';
    this.#counters.opened(this.direction, peer.nodeType);
    this.#counters.handshake(this.direction, 'ok', (this.#o.clock.nowMs() - this.startedMs) / 1000);
    this.#guard(() => this.#handlers.onOpen?.(this));
    for (const { code, payload } of held) if (this.isOpen) this.#deliver(code, payload);
    if (!this.isClosed && !this.#paused && this.#throttle === null) this.transport.resume();
  }

  // --- time and end ----------------------------------------------------------------------------------------

  /** Timers of 03 §2.5, apart from whatever the sender is doing. Called by the ticker. */
  tick(now: number): number | null {
    if (this.#state === 'closed') return null;
    const l = this.#leaving;
    if (l?.said === true && now - l.saidMs > this.#limits.leaveMs) {
      this.transport.end();
      return 0;
    }
    if (this.#greeting !== null) {
      if (now - this.startedMs > this.#limits.helloTimeoutMs) return this.#abort('hello-timeout');
      this.#greeting.tick(now);
    } else this.#resumption?.tick(now, this.isOpen);
    if (!this.#paused && this.#throttle === null && now - this.receivedMs > this.#limits.silenceMs)
      return this.#abort('silence');
    const buffered = this.transport.bufferedBytes;
    if (this.hasStalled(now, this.#bytesOut, buffered, this.#limits)) return this.#abort('write-stall');
    if (this.#refusedSends && now - this.slowSinceMs > this.#limits.slowReceiverMs) {
      this.#tooSlow();
      return null;
    }
    if (!this.#blocked && now - this.sentMs >= this.#limits.pingIdleMs) this.#write(PING);
    const busy = buffered > 0 || l !== null || this.#refusedSends || this.#resumption !== null;
    return busy || !this.#isIdle ? 0 : this.calmMs(now, this.#limits);
  }

  override shift(ms: number): void {
    super.shift(ms);
    if (this.#leaving !== null) this.#leaving.saidMs += ms;
  }

  /** Told, so that the peer knows that messages were lost and why, and then dropped. */
  #tooSlow(): void {
    this.#write(byeFrame(Bye.rejected, 'Reading too slowly'));
    this.#finish('slow-receiver', Bye.rejected, '', 'Reading too slowly');
    this.transport.end();
  }

  /** What still waited is lost and counted; nothing of it burdens the others any longer. */
  #release(): void {
    for (const [lane, frames] of this.#queue?.clear() ?? []) this.#counters.dropped(lane, 'closed', frames);
    this.#holdTransport(0);
    this.#memory.receivingBytes -= this.#receivingBytes;
    this.#receivingBytes = 0;
  }

  /** Null, as what has ended answers a tick. */
  #abort(why: LinkCloseWhy, text = ''): null {
    if (this.#state === 'closed') return null;
    this.#finish(why, null, '', text);
    this.transport.destroy();
    return null;
  }

  #finish(why: LinkCloseWhy, byeCode: number | null, data: string, text: string): void {
    if (this.#state === 'closed') return;
    const opened = this.#state === 'open';
    this.#state = 'closed';
    this.#parser.stop();
    this.#greeting = null;
    this.#release();
    this.#announcements?.stop();
    this.#throttle?.cancel();
    const { clock } = this.#o;
    const handlers = this.#handlers;
    tickerOf(clock, this.#limits.tickMs).remove();
    const close: LinkClose = { why, byeCode, data, text, opened };
    this.#counters.closed(this.direction, opened ? this.#peer!.nodeType : null, close);
    if (!opened) this.#counters.handshake(this.direction, 'failed', (clock.nowMs() - this.startedMs) / 1000);
    // Later, so that nobody is told inside a call of his own.
    queueMicrotask(() => this.#guard(() => handlers.onClose?.(this, close)));
  }

  /** What transport, parser and greeting call: one object per link, and none of it for anybody else. */
  private static readonly Inside = class implements StreamSink, TransportHandlers, GreetingHost {
    constructor(private readonly link: Link) {}

    data(chunk: Uint8Array): void {
      this.link.#data(chunk);
    }
    drain(): void {
      this.link.#drain();
    }
    close(reason: TransportCloseReason, detail: string): void {
      const l = this.link.#leaving;
      if (l?.said === true) this.link.#finish('bye-sent', l.code, '', l.text);
      else this.link.#finish(TRANSPORT_END[reason], null, '', detail);
    }

    payloadMax(code: number): number {
      return this.link.#payloadMax(code);
    }
    frame(code: number, payload: Uint8Array, crcValid: boolean): void {
      this.link.#frame(code, payload, crcValid);
    }
    time(ms: bigint): void {
      this.link.#greeting?.time(Number(ms));
    }
    /** Ping, probe byte or garbage: it has refreshed the timer already (03 §2). */
    byte(b: number): void {
      this.link.#greeting?.byte(b);
    }

    get isClosed(): boolean {
      return this.link.isClosed;
    }
    get startedMs(): number {
      return this.link.startedMs;
    }
    write(bytes: Uint8Array): void {
      this.link.#write(bytes);
    }
    writeFrame(frame: Uint8Array): void {
      this.link.#writeFrame(frame);
    }
    opened(peer: PeerInfo, held: readonly HeldMessage[], renews: boolean): void {
      this.link.#opened(peer, held, renews);
    }
    bye(code: number, text: string, data?: string): void {
      this.link.bye(code, text, data);
    }
    abort(why: LinkCloseWhy, text?: string): void {
      this.link.#abort(why, text);
    }
    guard(call: () => void): void {
      this.link.#guard(call);
    }
    failed(error: unknown): void {
      const { onError } = this.link.#handlers;
      if (onError === undefined) throw error;
      onError.call(this.link.#handlers, this.link, error);
    }
  };
}
