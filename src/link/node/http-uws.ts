import { STATUS_CODES } from 'node:http';
import { connect, isIPv4 } from 'node:net';
import { type Clock, systemClock, type Timer } from '../../clock/index.js';
import { lendBriefly, takeBack } from '../lent-chunk.js';
import { MessageInbox } from '../message-inbox.js';
import {
  plainAddress,
  type TransportHandlers,
  type TransportListener,
  transportHighWaterBytes,
  transportLingerMs,
} from '../transport.js';
import { wsMessageBytesMax, wsMessages, wsSendMessageBytesMax, wsUnreadBytesMax } from '../ws-client.js';
import { addressRanges, clientAddress } from './client-address.js';
import type {
  HttpHandler,
  HttpMethod,
  HttpResponse,
  HttpServer,
  HttpServerOptions,
  RouteOptions,
  UpgradeRequest,
  WebSocketRoute,
  WebSocketTransport,
} from './http-server.js';
import { isAnswer, isHttpMethod, plainAnswer, Router } from './router.js';

/** What a send answers when nothing of it waits. */
const sentAll = 1;

/** Whoever listens on a port of this machine accepts long before this. */
const probeMs = 1_000;

/*
 * The part of uWebSockets.js that is used. Declared here because its own types miss the four-argument listen,
 * which is the only one that takes both a host and options.
 */
type ListenSocket = object;

interface UwsResponse {
  writeStatus(status: string): UwsResponse;
  writeHeader(key: string, value: string): UwsResponse;
  end(body?: string | Uint8Array, closeConnection?: boolean): UwsResponse;
  endWithoutBody(reportedContentLength?: number, closeConnection?: boolean): UwsResponse;
  onAborted(fn: () => void): UwsResponse;
  onData(fn: (chunk: ArrayBuffer, isLast: boolean) => void): UwsResponse;
  cork(fn: () => void): UwsResponse;
  getRemoteAddress(): ArrayBuffer;
  upgrade(data: SocketData, key: string, protocol: string, extensions: string, context: object): void;
}

interface UwsRequest {
  getHeader(name: string): string;
  getUrl(): string;
  getCaseSensitiveMethod(): string;
  getQuery(): string;
  forEach(fn: (key: string, value: string) => void): void;
}

interface UwsSocket {
  send(message: Uint8Array | string, isBinary: boolean): number;
  getBufferedAmount(): number;
  end(code?: number, reason?: string): void;
  close(): void;
  getUserData(): SocketData;
}

interface UwsBehavior {
  maxPayloadLength: number;
  maxBackpressure: number;
  idleTimeout: number;
  maxLifetime: number;
  sendPingsAutomatically: boolean;
  compression: number;
  upgrade(res: UwsResponse, req: UwsRequest, context: object): void;
  open(ws: UwsSocket): void;
  message(ws: UwsSocket, message: ArrayBuffer, isBinary: boolean): void;
  drain(ws: UwsSocket): void;
  close(ws: UwsSocket, code: number): void;
}

interface UwsApp {
  any(pattern: string, fn: (res: UwsResponse, req: UwsRequest) => void): UwsApp;
  ws(pattern: string, behavior: UwsBehavior): UwsApp;
  listen(host: string, port: number, options: number, fn: (socket: ListenSocket | false) => void): UwsApp;
  close(): UwsApp;
}

/** The named exports of uWebSockets.js that are used. */
export interface UwsModule {
  App(): UwsApp;
  SSLApp(options: { cert_file_name: string; key_file_name: string }): UwsApp;
  readonly DISABLED: number;
  us_listen_socket_close(socket: ListenSocket): void;
  us_socket_local_port(socket: ListenSocket): number;
}

interface SocketData {
  /** Null from the moment its connection was handed over: an open one does not carry its headers along. */
  request: UpgradeRequest | null;
  transport: UwsTransport | null;
}

/** A uWebSockets.js socket as a transport. The native object is let go the moment it is closed. */
class UwsTransport implements WebSocketTransport {
  readonly #inbox: MessageInbox;
  #socket: UwsSocket | null;
  #ending = false;
  #blocked = false;
  #violation: string | null = null;
  #linger: Timer | null = null;

  constructor(
    socket: UwsSocket,
    readonly remoteAddress: string,
    readonly clock: Clock,
    unreadBytesMax: number,
  ) {
    this.#socket = socket;
    // This library cannot pause a WebSocket, so an unread rest is kept and bounded.
    this.#inbox = new MessageInbox(unreadBytesMax, this);
  }

  // Of the class, not of every connection.
  get kind(): 'ws' {
    return 'ws';
  }

  get chunksStay(): boolean {
    return false;
  }

  get remotePort(): number {
    return 0;
  }

  get localAddress(): string {
    return '';
  }

  get bufferedBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0;
  }

  overflowed(): void {
    this.#violate(1009, 'too much unread');
  }

  start(handlers: TransportHandlers): void {
    this.#inbox.start(handlers);
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (socket === null || this.#ending) return false;
    // All that goes in one message, which is nearly everything: the library has copied it when it returns.
    if (bytes.length <= wsSendMessageBytesMax)
      return socket.send(bytes, true) === sentAll || this.#hasRoom(socket);
    for (const part of wsMessages(bytes)) socket.send(part, true);
    return this.#hasRoom(socket);
  }

  writeText(text: string): boolean {
    const socket = this.#socket;
    if (socket === null || this.#ending) return false;
    socket.send(text, false);
    return this.#hasRoom(socket);
  }

  #hasRoom(socket: UwsSocket): boolean {
    if (this.#socket === null) return false;
    if (socket.getBufferedAmount() < transportHighWaterBytes) return true;
    this.#blocked = true;
    return false;
  }

  pause(): void {
    this.#inbox.pause();
  }

  resume(): void {
    this.#inbox.resume();
  }

  end(): void {
    if (this.#ending || this.#socket === null) return;
    this.#ending = true;
    // `end` of this library reports the close at once although bytes may wait: give them their time.
    if (this.#socket.getBufferedAmount() === 0) this.#socket.end(1000);
    else this.#linger = this.clock.after(transportLingerMs, () => this.#socket?.close());
  }

  destroy(): void {
    this.#ending = true;
    this.#socket?.close();
  }

  message(bytes: Uint8Array, isBinary: boolean): void {
    if (!isBinary) this.#violate(1003, 'binary messages only');
    else if (!this.#ending) {
      lendBriefly(bytes.buffer);
      try {
        this.#inbox.take(bytes, true);
      } finally {
        takeBack();
      }
    }
  }

  drained(): void {
    if (this.#socket === null) return;
    if (this.#ending) {
      if (this.#socket.getBufferedAmount() === 0) this.#socket.end(1000);
      return;
    }
    if (!this.#blocked || this.#socket.getBufferedAmount() >= transportHighWaterBytes) return;
    this.#blocked = false;
    this.#inbox.drain();
  }

  closed(code: number): void {
    this.#socket = null;
    this.#linger?.cancel();
    if (this.#violation !== null) this.#inbox.over('violation', this.#violation);
    else if (this.#ending) this.#inbox.over('local', '');
    // 1006 is both a reset and a message above the cap; which of them is not told.
    else this.#inbox.over(code === 1006 ? 'error' : 'remote', String(code));
  }

  #violate(code: number, detail: string): void {
    this.#violation = detail;
    this.#socket?.end(code, detail);
  }
}

function addressText(binary: ArrayBuffer): string {
  const b = new Uint8Array(binary);
  if (b.length === 4) return b.join('.');
  const groups: string[] = [];
  for (let i = 0; i + 1 < b.length; i += 2) groups.push(((b[i]! << 8) | b[i + 1]!).toString(16));
  return plainAddress(groups.join(':'));
}

/** The server interface over uWebSockets.js. Construct through {@link createHttpServer}. */
export class UwsHttpServer implements HttpServer {
  readonly engine = 'uws';
  readonly #uws: UwsModule;
  readonly #options: HttpServerOptions;
  readonly #router: Router;
  readonly #app: UwsApp;
  readonly #trusted: (address: string) => boolean;
  #listening: ListenSocket | null = null;
  #closed = false;

  constructor(uws: UwsModule, options: HttpServerOptions = {}) {
    this.#uws = uws;
    this.#options = options;
    this.#router = new Router((error, request) => options.onError?.(error, request));
    this.#trusted = addressRanges(options.trustedProxies ?? []);
    const tls = options.tls ?? null;
    this.#app =
      tls === null ? uws.App() : uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
    this.#app.any('/*', (res, req) => this.#request(res, req));
  }

  route(method: HttpMethod, path: string, handler: HttpHandler, options: RouteOptions = {}): void {
    this.#router.add(method, path, handler, options);
  }

  websocket(path: string, route: WebSocketRoute): void {
    const clock = this.#options.clock ?? systemClock;
    this.#app.ws(path, {
      maxPayloadLength: route.messageBytesMax ?? wsMessageBytesMax,
      maxBackpressure: 0, // it would drop messages; the link bounds what it writes
      idleTimeout: 0, // the link has the protocol's own liveness rule
      maxLifetime: 0,
      sendPingsAutomatically: false,
      compression: this.#uws.DISABLED,
      upgrade: (res, req, context) => {
        const request = this.#upgradeRequest(res, req);
        const refusal = route.refuse?.(request) ?? null;
        if (refusal !== null) {
          answer(res, 'GET', refusal, true);
          return;
        }
        res.upgrade(
          { request, transport: null },
          req.getHeader('sec-websocket-key'),
          req.getHeader('sec-websocket-protocol'),
          req.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      open: (ws) => {
        const data = ws.getUserData();
        const request = data.request!;
        data.request = null;
        data.transport = new UwsTransport(
          ws,
          request.remoteAddress,
          clock,
          route.unreadBytesMax ?? wsUnreadBytesMax,
        );
        route.onConnection(data.transport, request);
      },
      message: (ws, message, isBinary) =>
        ws.getUserData().transport?.message(new Uint8Array(message), isBinary),
      drain: (ws) => ws.getUserData().transport?.drained(),
      close: (ws, code) => ws.getUserData().transport?.closed(code),
    });
  }

  async listen(options: { host: string; port: number }): Promise<TransportListener> {
    const { host, port } = options;
    // The library's exclusive flag leaves SO_REUSEADDR out too, and then a port stays taken for a minute by the
    // connections that a restarted relay had closed. Without the flag a second listener would share the port unnoticed,
    // so it is looked for first.
    if (port !== 0 && (await isListening(host, port))) throw inUse(host, port);
    return await new Promise((resolve, reject) => {
      this.#app.listen(host, port, 0, (socket) => {
        if (socket === false) {
          // The library tells no reason; by far the most likely one has this code everywhere else.
          reject(inUse(host, port));
          return;
        }
        this.#listening = socket;
        resolve({
          port: this.#uws.us_socket_local_port(socket),
          address: host,
          close: () => {
            this.#stopListening();
            return Promise.resolve();
          },
        });
      });
    });
  }

  #stopListening(): void {
    if (this.#listening !== null) this.#uws.us_listen_socket_close(this.#listening);
    this.#listening = null;
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#stopListening();
      this.#app.close();
    }
    return Promise.resolve();
  }

  #remote(res: UwsResponse, header: (name: string) => string): string {
    const kind = this.#options.forwardedHeader ?? 'x-forwarded-for';
    const socket = addressText(res.getRemoteAddress());
    return clientAddress(isIPv4(socket) ? socket : plainAddress(socket), header(kind), kind, this.#trusted);
  }

  #upgradeRequest(res: UwsResponse, req: UwsRequest): UpgradeRequest {
    const header = headersOf(req);
    return {
      path: req.getUrl(),
      query: new URLSearchParams(req.getQuery()),
      header,
      remoteAddress: this.#remote(res, header),
    };
  }

  #request(res: UwsResponse, req: UwsRequest): void {
    const method = req.getCaseSensitiveMethod();
    const path = req.getUrl();
    const found = this.#router.match(method, path);
    let aborted = false;
    res.onAborted(() => {
      aborted = true;
    });
    if (isAnswer(found) || !isHttpMethod(method)) {
      answer(res, method, isAnswer(found) ? found : plainAnswer(405, 'method not allowed'), true);
      return;
    }
    // The request object is gone after this call, so everything is read now.
    const header = headersOf(req);
    const query = new URLSearchParams(req.getQuery());
    const remoteAddress = this.#remote(res, header);
    const run = (body: Uint8Array): void => {
      void found.run({ method, path, query, header, remoteAddress, body }).then((response) => {
        if (!aborted) res.cork(() => answer(res, method, response, false));
      });
    };
    if (method !== 'POST' && method !== 'PUT' && header('content-length') === '') {
      run(new Uint8Array(0));
      return;
    }
    collectBody(res, Number(header('content-length') || '0'), found.bodyBytesMax, (body) => {
      if (aborted) return;
      if (body === null) {
        aborted = true; // nothing may be written after this answer
        res.cork(() => answer(res, method, plainAnswer(413, 'body too large'), true));
      } else run(body);
    });
  }
}

function inUse(host: string, port: number): Error {
  return Object.assign(new Error(`listen EADDRINUSE: ${host}:${port}`), { code: 'EADDRINUSE' });
}

/** Whether somebody accepts connections there already. */
function isListening(host: string, port: number): Promise<boolean> {
  const target = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new Promise((resolve) => {
    const socket = connect({ host: target, port, timeout: probeMs });
    const done = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', done(true));
    socket.once('error', done(false));
    socket.once('timeout', done(false));
  });
}

function headersOf(req: UwsRequest): (name: string) => string {
  const all = new Map<string, string>();
  req.forEach((key, value) => {
    const before = all.get(key);
    all.set(key, before === undefined ? value : `${before}, ${value}`);
  });
  return (name) => all.get(name) ?? '';
}

/** Calls `done` once: with the body, or null as soon as it is larger than `max`. */
function collectBody(
  res: UwsResponse,
  declared: number,
  max: number,
  done: (body: Uint8Array | null) => void,
): void {
  let parts: Uint8Array[] | null = [];
  let size = 0;
  if (declared > max) {
    done(null); // the response object must not be touched after its answer
    return;
  }
  res.onData((chunk, isLast) => {
    if (parts === null) return;
    size += chunk.byteLength;
    if (size > max) {
      parts = null;
      done(null);
      return;
    }
    parts.push(new Uint8Array(chunk.slice(0)));
    if (!isLast) return;
    const body = new Uint8Array(size);
    let at = 0;
    for (const p of parts) {
      body.set(p, at);
      at += p.length;
    }
    parts = null;
    done(body);
  });
}

function answer(res: UwsResponse, method: string, response: HttpResponse, closing: boolean): void {
  res.writeStatus(`${response.status} ${STATUS_CODES[response.status] ?? ''}`);
  for (const [key, value] of Object.entries(response.headers ?? {})) res.writeHeader(key, value);
  if (closing) res.writeHeader('connection', 'close');
  const body = response.body ?? '';
  if (method === 'HEAD') {
    const length = typeof body === 'string' ? new TextEncoder().encode(body).length : body.length;
    res.endWithoutBody(length, closing);
  } else if (response.status === 204) res.endWithoutBody(undefined, closing);
  else res.end(body, closing);
}
