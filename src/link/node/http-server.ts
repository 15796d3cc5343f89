import type { Socket } from 'node:net';
import type { Clock } from '../../clock/index.js';
import type { Transport, TransportListener } from '../transport.js';
import type { ForwardedHeader } from './client-address.js';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS';

/** One request, body read completely. */
export interface HttpRequest {
  readonly method: HttpMethod;
  /** Path without query, percent-encoding as sent. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Value of a header by lower-case name, `''` when absent. */
  header(name: string): string;
  /** The client, behind trusted proxies resolved (see {@link HttpServerOptions.trustedProxies}). */
  readonly remoteAddress: string;
  /** Empty for methods without one. */
  readonly body: Uint8Array;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export type HttpHandler = (request: HttpRequest) => HttpResponse | Promise<HttpResponse>;

export interface RouteOptions {
  /** `open`: `Access-Control-Allow-Origin: *` on every answer, and preflights are answered. */
  readonly cors?: 'open' | 'none';
  /** Larger bodies get 413. */
  readonly bodyBytesMax?: number;
}

/** A WebSocket as a transport of bytes, which may also say something in text messages. */
export interface WebSocketTransport extends Transport {
  /** Sends one text message; false as of {@link Transport.write}. */
  writeText(text: string): boolean;
}

export interface WebSocketRoute {
  /** Every upgraded connection. Its {@link Transport.start} must be called in the same turn or later. */
  onConnection(transport: WebSocketTransport, request: UpgradeRequest): void;
  /** Refuses the upgrade with this answer; null lets it through. */
  refuse?(request: UpgradeRequest): HttpResponse | null;
  /** Larger messages end the connection. */
  readonly messageBytesMax?: number;
  /** Bytes kept for a reader that has paused; more end the connection. Default 8 MiB, `wsUnreadBytesMax`. */
  readonly unreadBytesMax?: number;
}

export interface UpgradeRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  header(name: string): string;
  readonly remoteAddress: string;
}

export interface TlsOptions {
  /** PEM file with the certificate chain. */
  readonly certFile: string;
  /** PEM file with its private key. */
  readonly keyFile: string;
}

export interface HttpServerOptions {
  readonly tls?: TlsOptions | null;
  /** CIDR list of reverse proxies that name the real client; from anyone else the header is ignored. */
  readonly trustedProxies?: readonly string[];
  /**
   * The one header those proxies write. Only one is read: a proxy passes the other through as the client sent
   * it. Default `x-forwarded-for`.
   */
  readonly forwardedHeader?: ForwardedHeader;
  /** A handler threw; the client got 500. */
  onError?(error: unknown, request: HttpRequest): void;
  readonly clock?: Clock;
}

/** HTTP and WebSocket server: one interface, two implementations. Routes are set before `listen`. */
export interface HttpServer {
  readonly engine: 'uws' | 'node';
  /** `path` is exact, or a prefix when it ends in `/*`. The longest match wins. */
  route(method: HttpMethod, path: string, handler: HttpHandler, options?: RouteOptions): void;
  websocket(path: string, route: WebSocketRoute): void;
  /** Serves a connection that was accepted elsewhere; only where the engine can. */
  adopt?(socket: Socket): void;
  /** Binds exclusively: a port in use is an error, never shared. */
  listen(options: { host: string; port: number }): Promise<TransportListener>;
  /** Stops accepting and ends every connection. */
  close(): Promise<void>;
}
