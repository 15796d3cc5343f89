import { crc32c } from '../core/index.js';
import { addressWithChecksum } from '../identity/index.js';
import { randomChallenge } from '../link/index.js';
import {
  Bye,
  Code,
  DecodeError,
  decodeBye,
  encodeBye,
  encodeFrame,
  encodeHello,
  helloPreimage,
  type Network,
  PING_BYTE,
  PROTOCOL_VERSION,
  type ProtocolLine,
} from '../wire/index.js';
import { FrameReader } from './frame-reader.js';
import type { Identity } from './keys/identities.js';
import { LoadSocket, type TransportKind, withPrefix } from './socket.js';

/** In hello; at most 20 characters (docs/protocol/03 §3.1). */
export const LOAD_PRODUCT_VERSION = 'starling-load';
/** Nothing sent for this long: a ping is due. The protocol wants one after 2 to 3 s (03 §2.5). */
const pingAfterMs = 2_500;
/** Nothing received for this long: a client leaves (03 §2.5). */
const silentMs = 10_000;

/** What every client of a process is told. */
export interface ClientTerms {
  readonly host: string;
  readonly port: number;
  readonly wsPort: number;
  readonly network: Network;
  readonly line: ProtocolLine;
}

/** Who gets what happens to a client. */
export interface ClientHandlers {
  /** The relay answered with helloData; its payload is valid during the call only. */
  onOpen(client: LoadClient, helloData: Uint8Array): void;
  /** A frame after the handshake, valid during the call only; `crc` is announced, not checked. */
  onFrame(client: LoadClient, code: number, bytes: Uint8Array, at: number, length: number, crc: number): void;
  onFlushed(client: LoadClient): void;
  /** Once for each connection that was begun. `opened`: the handshake had been completed. */
  onClose(client: LoadClient, reason: string, opened: boolean): void;
}

const pings: Record<TransportKind, Uint8Array> = {
  tcp: Uint8Array.of(PING_BYTE),
  ws: withPrefix('ws', Uint8Array.of(PING_BYTE)),
};

export type ClientState = 'closed' | 'connecting' | 'greeting' | 'open';

/**
 * One client of a load test: an identity and, at most, one connection. Speaks the handshake, answers nothing, sends
 * what it is told. Deliberately not the SDK's client: a generator must cost less than the relay it measures.
 */
export class LoadClient {
  state: ClientState = 'closed';
  /** When the present connection was begun, ms of `performance.now()`. */
  connectMs = 0;
  #socket: LoadSocket | null = null;
  #sentMs = 0;
  #heardMs = 0;
  #challenge = 0;

  constructor(
    /** Number within the process. */
    readonly index: number,
    readonly identity: Identity,
    readonly kind: TransportKind,
    private readonly terms: ClientTerms,
    private readonly handlers: ClientHandlers,
    readonly localAddress: string | undefined,
  ) {}

  /** The challenge of the present connection's hello. */
  get challenge(): number {
    return this.#challenge;
  }

  /** Begins a connection. Does nothing while there is one. */
  connect(nowMs: number): void {
    if (this.state !== 'closed') return;
    this.state = 'connecting';
    this.connectMs = nowMs;
    this.#sentMs = nowMs;
    this.#heardMs = nowMs;
    const { host, port, wsPort } = this.terms;
    let opened = false;
    const reader = new FrameReader((code, bytes, at, length, crc) => {
      if (socket.closed) return;
      if (opened && code !== Code.bye) {
        this.handlers.onFrame(this, code, bytes, at, length, crc);
        return;
      }
      const payload = bytes.subarray(at, at + length);
      if (crc32c(payload) !== crc) socket.destroy('crc');
      else if (code === Code.bye) socket.destroy(byeReason(payload));
      else if (code === Code.helloData) {
        opened = true;
        this.state = 'open';
        this.handlers.onOpen(this, payload);
      }
    });
    const socket = new LoadSocket(
      { host, port: this.kind === 'ws' ? wsPort : port, kind: this.kind, localAddress: this.localAddress },
      {
        onOpen: () => {
          this.state = 'greeting';
          this.#hello(socket);
        },
        onBytes: (bytes) => {
          this.#heardMs = performance.now();
          if (!reader.push(bytes)) socket.destroy('oversize');
        },
        onFlushed: () => this.handlers.onFlushed(this),
        onClose: (reason) => {
          if (this.#socket === socket) {
            this.#socket = null;
            this.state = 'closed';
          }
          this.handlers.onClose(this, reason, opened);
        },
      },
    );
    this.#socket = socket;
  }

  #hello(socket: LoadSocket): void {
    const { network, line } = this.terms;
    const { identity } = this;
    const timestamp = Math.floor(Date.now() / 1000);
    const challenge = randomChallenge();
    this.#challenge = challenge;
    // A client that has no primary relay signs over the empty endpoint (docs/protocol/03 §3.4).
    const preimage = helloPreimage({
      lock: network.lock,
      deviceId: identity.deviceId,
      timestamp,
      endpoint: '',
      challenge,
    });
    const payload = encodeHello({
      version: PROTOCOL_VERSION,
      address: line === '0.9.7' ? addressWithChecksum(identity.address) : identity.address,
      testFlag: network.testFlag,
      nodeType: 'C',
      productVersion: LOAD_PRODUCT_VERSION,
      deviceId: identity.deviceId,
      publicKey: identity.publicKey,
      port: 0,
      timestamp,
      signature: identity.sign(preimage),
      challenge,
    });
    socket.write(withPrefix(this.kind, encodeFrame(Code.hello, payload)));
  }

  /** Of the open connection: true while something written waits for the kernel. */
  get blocked(): boolean {
    return this.#socket?.blocked ?? true;
  }

  /** Writes wire bytes as they are (with their WebSocket header). False: they are kept until `onFlushed`. */
  write(bytes: Uint8Array, nowMs: number): boolean {
    this.#sentMs = nowMs;
    return this.#socket?.write(bytes) ?? true;
  }

  /** Frames and writes one message. False as {@link write}. */
  send(code: number, payload: Uint8Array, nowMs: number): boolean {
    return this.write(withPrefix(this.kind, encodeFrame(code, payload)), nowMs);
  }

  /** Pings when one is due; leaves a relay that has been silent for too long. */
  live(nowMs: number): void {
    if (this.state !== 'open') return;
    if (nowMs - this.#heardMs > silentMs && !this.paused) {
      this.#socket?.destroy('silent');
      return;
    }
    if (nowMs - this.#sentMs >= pingAfterMs) this.write(pings[this.kind], nowMs);
  }

  /** True while this client does not read. */
  paused = false;

  pause(): void {
    this.paused = true;
    this.#socket?.pause();
  }

  resume(nowMs: number): void {
    this.paused = false;
    this.#heardMs = nowMs;
    this.#socket?.resume();
  }

  /** Cuts the connection without a word. */
  cut(reason: string): void {
    this.#socket?.reset(reason);
  }

  /** Ends an attempt that took too long. */
  giveUp(reason: string): void {
    this.#socket?.destroy(reason);
  }

  /** Says bye and ends. */
  leave(reason: string, nowMs: number): void {
    const socket = this.#socket;
    if (socket === null) return;
    if (this.state === 'open')
      this.send(Code.bye, encodeBye({ code: Bye.bye, text: 'Test over', data: '' }), nowMs);
    socket.finish(reason);
  }
}

function byeReason(payload: Uint8Array): string {
  try {
    return `bye-${decodeBye(payload).code}`;
  } catch (e) {
    if (e instanceof DecodeError) return 'bye-malformed';
    throw e;
  }
}
