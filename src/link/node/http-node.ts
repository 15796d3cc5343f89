import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Clock, systemClock, type Timer } from '../../clock/index.js';
import { keepLent } from '../lent-chunk.js';
import { MessageInbox } from '../message-inbox.js';
import {
  plainAddress,
  type TransportCloseReason,
  type TransportHandlers,
  type TransportListener,
  transportHighWaterBytes,
  transportLingerMs,
} from '../transport.js';
import { wsMessageBytesMax, wsMessages, wsUnreadBytesMax } from '../ws-client.js';
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

/** A whole request must be there by then: slow senders hold a socket no longer. */
const requestTimeoutMs = 10_000;

/** Node's `ws` seen as a transport: the server's end. */
class WsTransport implements WebSocketTransport {
  readonly kind = 'ws';
  readonly chunksStay = true;
  readonly #inbox: MessageInbox;
  #ending = false;
  #blocked = false;
  #linger: Timer | null = null;

  constructor(
    readonly socket: WebSocket,
    raw: Duplex,
    readonly remoteAddress: string,
    readonly remotePort: number,
    readonly localAddress: string,
    readonly clock: Clock,
    unreadBytesMax: number,
  ) {
    this.#inbox = new MessageInbox(unreadBytesMax, this);
    socket.on('message', (data: Uint8Array, isBinary: boolean) => {
      if (!isBinary) this.#violate(1003, 'binary messages only');
      // Also behind our own end: what the peer sent before it saw that end is taken, as over TCP.
      else this.#inbox.take(data, false);
    });
    socket.on('error', (e: NodeJS.ErrnoException) =>
      this.#over(e.code?.startsWith('WS_ERR') === true ? 'violation' : 'error', e.code ?? e.message),
    );
    socket.on('close', (code: number) => this.#over(code === 1006 ? 'error' : 'remote', String(code)));
    // `ws` has no event for room in its buffer, the socket under it does.
    raw.on('drain', () => this.#drained());
  }

  get bufferedBytes(): number {
    return this.#inbox.ended ? 0 : this.socket.bufferedAmount;
  }

  overflowed(): void {
    this.#violate(1009, 'too much unread');
  }

  start(handlers: TransportHandlers): void {
    this.#inbox.start(handlers);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#inbox.ended || this.#ending) return false;
    const own = keepLent(bytes);
    for (const part of wsMessages(own)) this.socket.send(part, { binary: true });
    return this.#hasRoom();
  }

  writeText(text: string): boolean {
    if (this.#inbox.ended || this.#ending) return false;
    this.socket.send(text);
    return this.#hasRoom();
  }

  #hasRoom(): boolean {
    if (this.socket.bufferedAmount < transportHighWaterBytes) return true;
    this.#blocked = true;
    return false;
  }

  #drained(): void {
    if (!this.#blocked || this.#inbox.ended || this.socket.bufferedAmount >= transportHighWaterBytes) return;
    this.#blocked = false;
    this.#inbox.drain();
  }

  pause(): void {
    this.#inbox.pause();
    this.socket.pause();
  }

  resume(): void {
    this.#inbox.resume();
    this.socket.resume();
  }

  end(): void {
    if (this.#ending || this.#inbox.ended) return;
    this.#ending = true;
    this.socket.close(1000);
    this.socket.resume();
    this.#linger = this.clock.after(transportLingerMs, () => this.socket.terminate());
  }

  destroy(): void {
    this.#ending = true;
    this.socket.terminate();
  }

  #violate(code: number, detail: string): void {
    this.socket.close(code, detail);
    this.#linger ??= this.clock.after(transportLingerMs, () => this.socket.terminate());
    this.#inbox.over('violation', detail);
  }

  #over(reason: TransportCloseReason, detail: string): void {
    this.#linger?.cancel();
    this.#inbox.over(this.#ending ? 'local' : reason, detail);
  }
}

function headerOf(request: IncomingMessage): (name: string) => string {
  return (name) => {
    const v = request.headers[name];
    return v === undefined ? '' : Array.isArray(v) ? v.join(', ') : v;
  };
}

/** The server interface over node:http and `ws`: runs wherever Node does. */
export class NodeHttpServer implements HttpServer {
  readonly engine = 'node';
  readonly #options: HttpServerOptions;
  readonly #router: Router;
  readonly #sockets = new Map<string, { route: WebSocketRoute; server: WebSocketServer }>();
  readonly #server: Server;
  readonly #trusted: (address: string) => boolean;

  constructor(options: HttpServerOptions = {}) {
    this.#options = options;
    this.#router = new Router((error, request) => options.onError?.(error, request));
    this.#trusted = addressRanges(options.trustedProxies ?? []);
    const timeouts = { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs };
    const tls = options.tls ?? null;
    const onRequest = (req: IncomingMessage, res: ServerResponse): void => {
      this.#request(req, res).catch((error: unknown) => {
        res.destroy(error instanceof Error ? error : undefined);
      });
    };
    this.#server =
      tls === null
        ? createServer(timeouts, onRequest)
        : createTlsServer(
            { ...timeouts, cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) },
            onRequest,
          );
    this.#server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
  }

  route(method: HttpMethod, path: string, handler: HttpHandler, options: RouteOptions = {}): void {
    this.#router.add(method, path, handler, options);
  }

  websocket(path: string, route: WebSocketRoute): void {
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: true,
      perMessageDeflate: false,
      maxPayload: route.messageBytesMax ?? wsMessageBytesMax,
    });
    this.#sockets.set(path, { route, server });
  }

  async listen(options: { host: string; port: number }): Promise<TransportListener> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: options.host, port: options.port, exclusive: true }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', () => undefined);
        resolve();
      });
    });
    const at = this.#server.address();
    if (at === null || typeof at === 'string') throw new TypeError('not a TCP address');
    return {
      port: at.port,
      address: at.address,
      close: () => {
        this.#server.close();
        return Promise.resolve();
      },
    };
  }

  adopt(socket: Socket): void {
    this.#server.emit('connection', socket);
    socket.resume();
  }

  async close(): Promise<void> {
    for (const { server } of this.#sockets.values()) for (const socket of server.clients) socket.terminate();
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => this.#server.close(() => resolve()))
      : Promise.resolve();
    this.#server.closeAllConnections();
    await closed;
  }

  #remote(req: IncomingMessage): string {
    const kind = this.#options.forwardedHeader ?? 'x-forwarded-for';
    return clientAddress(req.socket.remoteAddress ?? '', headerOf(req)(kind), kind, this.#trusted);
  }

  async #request(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const [path = '/', query = ''] = splitUrl(req.url ?? '/');
    const method = req.method ?? 'GET';
    const found = this.#router.match(method, path);
    if (isAnswer(found)) {
      answer(res, method, found, true);
      return;
    }
    const body = await readBody(req, found.bodyBytesMax);
    if (body === null) {
      answer(res, method, plainAnswer(413, 'body too large'), true);
      return;
    }
    if (!isHttpMethod(method)) throw new TypeError('a matched method is a known one');
    const response = await found.run({
      method,
      path,
      query: new URLSearchParams(query),
      header: headerOf(req),
      remoteAddress: this.#remote(req),
      body,
    });
    answer(res, method, response, false);
  }

  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined);
    const [path = '/', query = ''] = splitUrl(req.url ?? '/');
    const found = this.#sockets.get(path);
    const request: UpgradeRequest = {
      path,
      query: new URLSearchParams(query),
      header: headerOf(req),
      remoteAddress: this.#remote(req),
    };
    const refusal =
      found === undefined ? plainAnswer(404, 'not found') : (found.route.refuse?.(request) ?? null);
    if (found === undefined || refusal !== null) {
      refuseUpgrade(socket, refusal!);
      return;
    }
    found.server.handleUpgrade(req, socket, head, (ws) => {
      const transport = new WsTransport(
        ws,
        socket,
        request.remoteAddress,
        req.socket.remotePort ?? 0,
        plainAddress(req.socket.localAddress ?? ''),
        this.#options.clock ?? systemClock,
        found.route.unreadBytesMax ?? wsUnreadBytesMax,
      );
      found.route.onConnection(transport, request);
    });
  }
}

/** Path and query of a request target. */
export function splitUrl(url: string): [path: string, query: string] {
  const q = url.indexOf('?');
  return q < 0 ? [url, ''] : [url.slice(0, q), url.slice(q + 1)];
}

async function readBody(req: IncomingMessage, max: number): Promise<Uint8Array | null> {
  if (Number(req.headers['content-length'] ?? 0) > max) return null;
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > max) return null;
    parts.push(chunk);
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

function answer(res: ServerResponse, method: string, response: HttpResponse, closing: boolean): void {
  const body =
    typeof response.body === 'string' ? new TextEncoder().encode(response.body) : (response.body ?? null);
  const headers: Record<string, string> = { ...response.headers };
  if (response.status !== 204) headers['content-length'] = String(body?.length ?? 0);
  if (closing) headers.connection = 'close';
  res.writeHead(response.status, headers);
  if (body === null || method === 'HEAD') res.end();
  else res.end(body);
}

function refuseUpgrade(socket: Duplex, response: HttpResponse): void {
  const body =
    typeof response.body === 'string' ? response.body : new TextDecoder().decode(response.body ?? undefined);
  const lines = [
    `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ''}`,
    'connection: close',
    ...Object.entries(response.headers ?? {}).map(([k, v]) => `${k}: ${v}`),
    `content-length: ${new TextEncoder().encode(body).length}`,
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
