import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** Which bytes carry the frames: the stream itself, or WebSocket messages (docs/websocket.md). */
export type TransportKind = 'tcp' | 'ws';

/** Who gets what happens on a socket. */
export interface SocketHandlers {
  /** Connected, for WebSocket also upgraded. */
  onOpen(): void;
  /** Bytes of the protocol's stream; valid during the call only. */
  onBytes(bytes: Uint8Array): void;
  /** Everything written has reached the kernel, after a `write` that answered false. */
  onFlushed(): void;
  /** Once, whatever the end was: `fin`, an error code of the system, or what was given to `destroy`. */
  onClose(reason: string): void;
}

export interface SocketOptions {
  readonly host: string;
  readonly port: number;
  readonly kind: TransportKind;
  /** Source address, where connections are spread over several. */
  readonly localAddress?: string | undefined;
}

/**
 * All sockets of a process read into this one buffer: what is read is looked at before the next read. Not a Buffer,
 * whose `slice` would be a view of it.
 */
const readBuffer = new Uint8Array(64 * 1024);
/** A peer that was told the end gets this long to end its half. */
const finishMs = 1_000;
/** Longest HTTP answer to an upgrade that is looked at. */
const upgradeBytesMax = 8 * 1024;
const WS_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const WS_BINARY = 0x82;
const WS_MASKED = 0x80;
const WS_CLOSE = 8;
const WS_PING = 9;

/**
 * What stands before a frame of `length` bytes: nothing on TCP, on WebSocket the header of a binary message whose
 * masking key is zero, which leaves the bytes as they are (RFC 6455 §5.3).
 */
export function messagePrefix(kind: TransportKind, length: number): Uint8Array {
  if (kind === 'tcp') return new Uint8Array(0);
  if (length < 126) return Uint8Array.of(WS_BINARY, WS_MASKED | length, 0, 0, 0, 0);
  if (length < 65_536)
    return Uint8Array.of(WS_BINARY, WS_MASKED | 126, length >> 8, length & 255, 0, 0, 0, 0);
  const out = new Uint8Array(14);
  out[0] = WS_BINARY;
  out[1] = WS_MASKED | 127;
  new DataView(out.buffer).setUint32(6, length);
  return out;
}

/** The same bytes with {@link messagePrefix} before them. */
export function withPrefix(kind: TransportKind, frame: Uint8Array): Uint8Array {
  if (kind === 'tcp') return frame;
  const prefix = messagePrefix(kind, frame.length);
  const out = new Uint8Array(prefix.length + frame.length);
  out.set(prefix);
  out.set(frame, prefix.length);
  return out;
}

/** One outbound connection, TCP or WebSocket, with nothing around it that costs. */
export class LoadSocket {
  readonly #socket: Socket;
  readonly #ws: WsReader | null;
  #closed = false;
  #blocked = false;
  #reading = true;
  #reason = 'fin';

  constructor(
    readonly options: SocketOptions,
    private readonly handlers: SocketHandlers,
  ) {
    const { host, port, kind, localAddress } = options;
    this.#ws = kind === 'ws' ? new WsReader(`${host}:${port}`) : null;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      onread: { buffer: readBuffer, callback: this.#onRead },
    });
    this.#socket.on('connect', () => {
      if (this.#ws === null) handlers.onOpen();
      else this.#socket.write(this.#ws.request());
    });
    this.#socket.on('end', () => this.#end());
    this.#socket.on('error', (e: NodeJS.ErrnoException) => {
      if (this.#reason === 'fin') this.#reason = e.code ?? 'error';
    });
    this.#socket.on('close', () => this.#end());
  }

  readonly #onRead = (n: number): boolean => {
    const bytes = readBuffer.subarray(0, n);
    if (this.#ws === null) this.handlers.onBytes(bytes);
    else {
      const trouble = this.#ws.push(bytes, this.handlers, (answer) => void this.#socket.write(answer));
      if (trouble !== null) this.destroy(trouble);
    }
    return this.#reading;
  };

  readonly #onWritten = (error?: Error | null): void => {
    // A write that failed ends the socket. Writing again from here would go round and round in Node's error path.
    if (error !== undefined && error !== null) return;
    if (!this.#blocked || this.#socket.writableLength > 0) return;
    this.#blocked = false;
    if (!this.#closed) this.handlers.onFlushed();
  };

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.handlers.onClose(this.#reason);
  }

  /** True while something written has not reached the kernel. */
  get blocked(): boolean {
    return this.#blocked;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Writes bytes as they are, so with their {@link messagePrefix}. True: the kernel has them, their memory may be
   * used again. False: the socket keeps them until `onFlushed`.
   */
  write(bytes: Uint8Array): boolean {
    if (this.#closed) return true;
    this.#socket.write(bytes, this.#onWritten);
    if (this.#socket.writableLength === 0) return true;
    this.#blocked = true;
    return false;
  }

  /** Stops reading, so that the peer's data stays in the kernel. */
  pause(): void {
    this.#reading = false;
    this.#socket.pause();
  }

  resume(): void {
    this.#reading = true;
    this.#socket.resume();
  }

  /** Ends at once, with a reset where the system offers it: what a client that died looks like. */
  reset(reason: string): void {
    this.#reason = reason;
    this.#socket.resetAndDestroy();
    this.#end();
  }

  /** Ends at once. */
  destroy(reason: string): void {
    this.#reason = reason;
    this.#end();
  }

  /** Ends after what was written, when the peer does, or a second later without it. */
  finish(reason: string): void {
    this.#reason = reason;
    this.#socket.end();
    setTimeout(() => this.#end(), finishMs).unref();
  }
}

/** The client's half of RFC 6455 that a relay's answers need: upgrade, binary messages, ping, close. */
class WsReader {
  readonly #key = randomBytes(16).toString('base64');
  #upgraded = false;
  #rest: Buffer | null = null;
  /** Payload bytes of the message in progress that have not come yet. */
  #left = 0;

  constructor(private readonly host: string) {}

  request(): string {
    return [
      'GET /ixian HTTP/1.1',
      `Host: ${this.host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${this.#key}`,
      'Sec-WebSocket-Version: 13',
      '\r\n',
    ].join('\r\n');
  }

  /** Null, or why the connection must end. */
  push(chunk: Uint8Array, handlers: SocketHandlers, answer: (bytes: Uint8Array) => void): string | null {
    let bytes =
      this.#rest === null
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([this.#rest, chunk]);
    this.#rest = null;
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        if (bytes.length > upgradeBytesMax) return 'ws-upgrade';
        this.#rest = Buffer.from(bytes);
        return null;
      }
      const head = bytes.toString('latin1', 0, end);
      const accept = createHash('sha1').update(`${this.#key}${WS_GUID}`).digest('base64');
      if (!head.startsWith('HTTP/1.1 101') || !head.includes(accept)) return 'ws-upgrade';
      this.#upgraded = true;
      handlers.onOpen();
      bytes = bytes.subarray(end + 4);
    }
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const n = Math.min(this.#left, bytes.length - at);
        this.#left -= n;
        handlers.onBytes(new Uint8Array(bytes.buffer, bytes.byteOffset + at, n));
        at += n;
        continue;
      }
      const have = bytes.length - at;
      const short = have < 2 ? 0 : bytes[at + 1]! & 127;
      const header = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (have < header) break;
      const opcode = bytes[at]! & 15;
      const length =
        short === 126
          ? bytes.readUInt16BE(at + 2)
          : short === 127
            ? bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6)
            : short;
      if (opcode >= 8) {
        if (have < header + length) break;
        if (opcode === WS_CLOSE) return 'ws-close';
        if (opcode === WS_PING) answer(pong(bytes.subarray(at + header, at + header + length)));
        at += header + length;
      } else {
        at += header;
        this.#left = length;
      }
    }
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at));
    return null;
  }
}

/** A masked pong with the ping's bytes. */
function pong(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(6 + bytes.length);
  out[0] = 0x8a;
  out[1] = WS_MASKED | bytes.length;
  out.set(bytes, 6);
  return out;
}
