import { topicBytesMax } from './limits.js';

/**
 * What goes between two members (little endian): length u32 of what follows | kind u8 | body.
 *
 * hello    version u8 | name
 * message  topic length u8 | topic | payload
 * request  id u32 | topic length u8 | topic | payload
 * answer   id u32 | payload
 * refusal  id u32 | text
 * handled  f64: messages of the other side handled so far, requests included
 */
export const FrameKind = { hello: 0, message: 1, request: 2, answer: 3, refusal: 4, handled: 5 } as const;

/** Members of different versions do not understand each other. */
export const busVersion = 1;

const headBytes = 5;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The other side does not speak this. */
export class BusFrameError extends Error {
  override readonly name = 'BusFrameError';
}

function frame(kind: number, bodyBytes: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(headBytes + bodyBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1 + bodyBytes, true);
  bytes[4] = kind;
  return { bytes, view };
}

const topics = new Map<string, Uint8Array>();

/** @throws RangeError for a topic that is empty or too long */
function topicBytes(topic: string): Uint8Array {
  let t = topics.get(topic);
  if (t === undefined) {
    t = encoder.encode(topic);
    if (t.length === 0 || t.length > topicBytesMax) throw new RangeError(`topic of ${t.length} bytes`);
    if (topics.size < 1_000) topics.set(topic, t);
  }
  return t;
}

export function encodeHello(name: string): Uint8Array {
  const text = encoder.encode(name);
  const { bytes } = frame(FrameKind.hello, 1 + text.length);
  bytes[headBytes] = busVersion;
  bytes.set(text, headBytes + 1);
  return bytes;
}

/** A message, or a request where `id` is not null. */
export function encodeMessage(topic: string, payload: Uint8Array, id: number | null): Uint8Array {
  const t = topicBytes(topic);
  const at = headBytes + (id === null ? 0 : 4);
  const kind = id === null ? FrameKind.message : FrameKind.request;
  const { bytes, view } = frame(kind, at - headBytes + 1 + t.length + payload.length);
  if (id !== null) view.setUint32(headBytes, id, true);
  bytes[at] = t.length;
  bytes.set(t, at + 1);
  bytes.set(payload, at + 1 + t.length);
  return bytes;
}

export function encodeAnswer(id: number, payload: Uint8Array): Uint8Array {
  const { bytes, view } = frame(FrameKind.answer, 4 + payload.length);
  view.setUint32(headBytes, id, true);
  bytes.set(payload, headBytes + 4);
  return bytes;
}

export function encodeRefusal(id: number, text: string): Uint8Array {
  const t = encoder.encode(text.slice(0, 1_000));
  const { bytes, view } = frame(FrameKind.refusal, 4 + t.length);
  view.setUint32(headBytes, id, true);
  bytes.set(t, headBytes + 4);
  return bytes;
}

export function encodeHandled(count: number): Uint8Array {
  const { bytes, view } = frame(FrameKind.handled, 8);
  view.setFloat64(headBytes, count, true);
  return bytes;
}

/** Topic and payload of an own encoded message, for telling what was lost. */
export function decodeMessage(bytes: Uint8Array): { readonly topic: string; readonly payload: Uint8Array } {
  const at = headBytes + (bytes[4] === FrameKind.request ? 4 : 0);
  const end = at + 1 + bytes[at]!;
  return { topic: decoder.decode(bytes.subarray(at + 1, end)), payload: bytes.subarray(end) };
}

/** What a {@link FrameReader} hands out; views end with the call. */
export interface FrameSink {
  hello(version: number, name: string): void;
  message(topic: string, payload: Uint8Array): void;
  request(id: number, topic: string, payload: Uint8Array): void;
  answer(id: number, payload: Uint8Array): void;
  refusal(id: number, text: string): void;
  handled(count: number): void;
}

/** Cuts a byte stream into frames; whole ones within a chunk are not copied. */
export class FrameReader {
  #rest: Uint8Array | null = null;
  #have = 0;
  readonly #topics = new Map<number, { readonly bytes: Uint8Array; readonly text: string }>();

  constructor(private readonly bytesMax: number) {}

  /** @throws BusFrameError for bytes that are no frames; nothing of them may be used then */
  push(chunk: Uint8Array, sink: FrameSink): void {
    let at = 0;
    while (at < chunk.length || this.#whole()) {
      if (this.#rest === null) {
        const left = chunk.length - at;
        const need = left < 4 ? 4 : this.#total(chunk, at);
        if (left >= need && left >= 4) {
          this.#frame(chunk.subarray(at + 4, at + need), sink);
          at += need;
          continue;
        }
        this.#rest = new Uint8Array(Math.max(need, 4));
        this.#have = 0;
      }
      const take = Math.min(this.#rest.length - this.#have, chunk.length - at);
      this.#rest.set(chunk.subarray(at, at + take), this.#have);
      this.#have += take;
      at += take;
      if (this.#have < this.#rest.length) return;
      const total = this.#total(this.#rest, 0);
      if (total > this.#rest.length) {
        const grown = new Uint8Array(total);
        grown.set(this.#rest);
        this.#rest = grown;
        continue;
      }
      const done = this.#rest;
      this.#rest = null;
      this.#frame(done.subarray(4), sink);
    }
  }

  #whole(): boolean {
    return this.#rest !== null && this.#have === this.#rest.length;
  }

  #total(bytes: Uint8Array, at: number): number {
    const length =
      bytes[at]! + bytes[at + 1]! * 0x100 + bytes[at + 2]! * 0x10000 + bytes[at + 3]! * 0x1000000;
    if (length < 1 || length > this.bytesMax + topicBytesMax + 16)
      throw new BusFrameError(`frame of ${length} bytes`);
    return 4 + length;
  }

  #frame(body: Uint8Array, sink: FrameSink): void {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const need = (n: number): void => {
      if (body.length < n) throw new BusFrameError(`kind ${body[0]} with ${body.length} bytes`);
    };
    const kind = body[0];
    if (kind === FrameKind.message) {
      const end = this.#topicEnd(body, 1);
      sink.message(this.#topic(body.subarray(2, end)), body.subarray(end));
    } else if (kind === FrameKind.handled) {
      need(9);
      sink.handled(view.getFloat64(1, true));
    } else if (kind === FrameKind.request) {
      need(6);
      const end = this.#topicEnd(body, 5);
      sink.request(view.getUint32(1, true), this.#topic(body.subarray(6, end)), body.subarray(end));
    } else if (kind === FrameKind.answer) {
      need(5);
      sink.answer(view.getUint32(1, true), body.subarray(5));
    } else if (kind === FrameKind.refusal) {
      need(5);
      sink.refusal(view.getUint32(1, true), decoder.decode(body.subarray(5)));
    } else if (kind === FrameKind.hello) {
      need(3);
      sink.hello(body[1]!, decoder.decode(body.subarray(2)));
    } else throw new BusFrameError(`kind ${kind}`);
  }

  #topicEnd(body: Uint8Array, at: number): number {
    const end = at + 1 + (body[at] ?? 0);
    if (end === at + 1 || end > body.length) throw new BusFrameError('topic');
    return end;
  }

  /** The few topics there are, without decoding text for each message. */
  #topic(bytes: Uint8Array): string {
    const key = bytes.length * 0x10000 + bytes[0]! * 0x100 + bytes[bytes.length - 1]!;
    const known = this.#topics.get(key);
    if (known?.bytes.every((b, i) => b === bytes[i]) === true) return known.text;
    const text = decoder.decode(bytes);
    this.#topics.set(key, { bytes: bytes.slice(), text });
    return text;
  }
}
