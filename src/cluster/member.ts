import type { Counters } from '../counters/index.js';
import { type BusAnswer, BusError, type BusHandler, type BusKind } from './bus.js';
import {
  BusFrameError,
  busVersion,
  decodeMessage,
  encodeAnswer,
  encodeHandled,
  encodeHello,
  encodeMessage,
  encodeRefusal,
  FrameKind,
  FrameReader,
  type FrameSink,
} from './frames.js';
import type { BusLimits } from './limits.js';

/** A byte pipe to another member. */
export interface BusPipe {
  /** Takes the bytes always; they are not changed afterwards. */
  write(bytes: Uint8Array): void;
  /** Called once, before anything else. */
  start(handlers: { data(chunk: Uint8Array): void; close(): void }): void;
  /** Sends what is written, then ends. */
  end(): void;
  destroy(): void;
}

/** What the members of one bus share. */
export interface MemberShared {
  readonly self: string;
  readonly limits: BusLimits;
  readonly counters: Counters;
  readonly handlers: ReadonlyMap<string, BusHandler>;
  readonly answers: ReadonlyMap<string, BusAnswer>;
  /** The other side said its name; false refuses it. */
  greeted(member: BusMember, name: string): boolean;
  /** The connection ended. `undelivered`: messages of which is not known that they were handled. */
  ended(member: BusMember, undelivered: readonly { topic: string; payload: Uint8Array }[]): void;
  /** A handler threw. */
  failed(topic: string, error: unknown): void;
}

interface Waiting {
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (error: BusError) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * The connection to one other member. What is sent is kept until the other side says that it handled it: that
 * bounds how far one may be behind, and tells what is lost when one dies.
 */
export class BusMember {
  /** Its name, `''` until it said so. */
  name = '';
  readonly #reader: FrameReader;
  /** Sent and not yet handled, oldest first; `#head` is the first one. */
  #unhandled: Uint8Array[] = [];
  #head = 0;
  #unhandledBytes = 0;
  /** Messages of ours handled there, as far as we were told. */
  #confirmed = 0;
  /** Messages of theirs handled here, and of those how many we told. */
  #handled = 0;
  #told = 0;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #closed = false;
  readonly #greeting: NodeJS.Timeout;

  constructor(
    private readonly pipe: BusPipe,
    private readonly shared: MemberShared,
  ) {
    this.#reader = new FrameReader(shared.limits.messageBytesMax);
    this.#greeting = setTimeout(() => this.#cut('greeting'), shared.limits.greetingMs);
    this.#greeting.unref();
    pipe.start({ data: (chunk) => this.#data(chunk), close: () => this.#over() });
    pipe.write(encodeHello(shared.self));
  }

  /** Bytes sent there and not yet handled. */
  get waitingBytes(): number {
    return this.#unhandledBytes;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  #count(kind: string, result: string): void {
    this.shared.counters
      .counter('ixian_bus_messages_total', 'Messages between relay processes by kind and result', {
        kind,
        result,
      })
      .add();
  }

  /** True when it was taken. */
  send(topic: string, payload: Uint8Array, kind: BusKind): boolean {
    if (this.#closed) {
      this.#count(kind, 'gone');
      return false;
    }
    const { limits } = this.shared;
    if (payload.length > limits.messageBytesMax) throw new RangeError(`message of ${payload.length} bytes`);
    if (kind === 'data' && this.#unhandledBytes + payload.length > limits.dataBytesMax) {
      this.#count(kind, 'full');
      return false;
    }
    this.#write(encodeMessage(topic, payload, null));
    this.#count(kind, 'sent');
    // Told everything anew when it is back, it is better off than with a state that lacks something.
    if (this.#unhandledBytes > limits.controlBytesMax) this.#cut('too_far_behind');
    return true;
  }

  request(topic: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { limits } = this.shared;
    if (this.#closed) return Promise.reject(new BusError('gone', this.name));
    if (this.#waiting.size >= limits.requestsMax || this.#unhandledBytes > limits.dataBytesMax) {
      this.#count('request', 'full');
      return Promise.reject(new BusError('full', this.name));
    }
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff_fffe) + 1;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        this.#count('request', 'timeout');
        reject(new BusError('timeout', `${topic} of ${this.name}`));
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#write(encodeMessage(topic, payload, id));
      this.#count('request', 'sent');
    });
  }

  #write(frame: Uint8Array): void {
    this.#unhandled.push(frame);
    this.#unhandledBytes += frame.length;
    this.pipe.write(frame);
  }

  #data(chunk: Uint8Array): void {
    if (this.#closed) return;
    try {
      this.#reader.push(chunk, this.#sink);
    } catch (e) {
      if (!(e instanceof BusFrameError)) throw e;
      this.shared.failed('frame', e);
      this.#cut('malformed');
      return;
    }
    if (this.#closed || this.#handled === this.#told) return;
    this.#told = this.#handled;
    this.pipe.write(encodeHandled(this.#handled));
  }

  readonly #sink: FrameSink = {
    hello: (version, name) => {
      clearTimeout(this.#greeting);
      if (version !== busVersion) {
        this.shared.failed('hello', new BusFrameError(`${name} speaks version ${version}`));
        this.#cut('version');
      } else if (this.name !== '' || !this.shared.greeted(this, name)) this.#cut('name');
    },
    message: (topic, payload) => {
      this.#handled++;
      if (this.name === '') return;
      const handler = this.shared.handlers.get(topic);
      if (handler === undefined) {
        this.#count('received', 'no_handler');
        return;
      }
      try {
        handler(this.name, payload);
      } catch (e) {
        this.shared.failed(topic, e);
      }
    },
    request: (id, topic, payload) => {
      this.#handled++;
      void this.#answer(id, topic, payload);
    },
    answer: (id, payload) => this.#take(id)?.resolve(payload.slice()),
    refusal: (id, text) => this.#take(id)?.reject(new BusError('refused', text)),
    handled: (count) => this.#confirm(count),
  };

  #take(id: number): Waiting | undefined {
    const w = this.#waiting.get(id);
    if (w !== undefined) clearTimeout(w.timer);
    this.#waiting.delete(id);
    return w;
  }

  async #answer(id: number, topic: string, payload: Uint8Array): Promise<void> {
    const handler = this.shared.answers.get(topic);
    let frame: Uint8Array;
    if (handler === undefined) frame = encodeRefusal(id, `nobody answers ${topic}`);
    else
      try {
        frame = encodeAnswer(id, await handler(this.name, payload));
      } catch (e) {
        frame = encodeRefusal(id, e instanceof Error ? e.message : String(e));
      }
    if (!this.#closed) this.pipe.write(frame);
  }

  #confirm(count: number): void {
    while (this.#confirmed < count && this.#head < this.#unhandled.length) {
      this.#unhandledBytes -= this.#unhandled[this.#head]!.length;
      this.#head++;
      this.#confirmed++;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#unhandled.length) {
      this.#unhandled = this.#unhandled.slice(this.#head);
      this.#head = 0;
    }
  }

  #cut(reason: string): void {
    this.shared.counters
      .counter('ixian_bus_cuts_total', 'Connections between relay processes that were cut, by reason', {
        reason,
      })
      .add();
    this.pipe.destroy();
    this.#over();
  }

  #over(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#greeting);
    for (const w of this.#waiting.values()) {
      clearTimeout(w.timer);
      w.reject(new BusError('gone', this.name));
    }
    this.#waiting.clear();
    const lost = this.#unhandled
      .slice(this.#head)
      .filter((f) => f[4] === FrameKind.message)
      .map(decodeMessage);
    this.#unhandled = [];
    this.shared.ended(this, lost);
  }

  /** Ends it; what was written is still delivered. */
  end(): void {
    this.pipe.end();
  }

  destroy(): void {
    this.pipe.destroy();
    this.#over();
  }
}
