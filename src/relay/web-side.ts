import { addressText } from '../identity/index.js';
import type { Transport, TransportListener } from '../link/index.js';
import { createHttpServer } from '../link/node/http.js';
import type { HttpServer } from '../link/node/http-server.js';
import type { RelayContext } from './context.js';
import { RELAY_PRODUCT_VERSION, type RelayOptions } from './options.js';

/** Path of the WebSocket that carries the protocol's byte stream (docs/websocket.md). */
export const WEBSOCKET_PATH = '/ixian';
/** Path of the document that names this relay to browsers. */
export const INFO_PATH = '/v1/info';

/** The public document of a relay: what a browser needs before it can dial and check it. */
export interface RelayInfo {
  /** Address text of the relay's wallet. */
  readonly address: string;
  readonly network: 'main' | 'test' | 'reg';
  /** `ip:port` of the TCP endpoint, as in its presence; empty while unknown. */
  readonly tcp: string;
  /** URL of the WebSocket endpoint. */
  readonly ws: string;
  readonly version: string;
}

/** The public HTTP and WebSocket port of a relay. */
export class WebSide {
  private constructor(
    private readonly server: HttpServer,
    private readonly listener: TransportListener,
  ) {}

  get port(): number {
    return this.listener.port;
  }

  /** Starts it, or returns null when it is switched off. */
  static async start(
    ctx: RelayContext,
    options: RelayOptions,
    tcpPort: number,
    accept: (transport: Transport) => void,
  ): Promise<WebSide | null> {
    if (options.wsPort === null) return null;
    const tls = options.wsTls ?? null;
    const server = await createHttpServer({
      prefer: options.httpEngine ?? 'auto',
      tls,
      trustedProxies: options.trustedProxies ?? [],
      warn: (text) => ctx.log('warn', 'http_engine', { text }),
    });
    let port = options.wsPort ?? tcpPort + 1;
    const info = (host: string): RelayInfo => ({
      address: addressText(ctx.ownWallet),
      network: ctx.network.name,
      tcp: ctx.endpoint.text,
      ws:
        options.wsUrl ??
        `${tls === null ? 'ws' : 'wss'}://${ctx.endpoint.ip === '' ? host : ctx.endpoint.ip}:${port}${WEBSOCKET_PATH}`,
      version: options.productVersion ?? RELAY_PRODUCT_VERSION,
    });
    server.route(
      'GET',
      INFO_PATH,
      (request) => ({
        status: 200,
        headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
        body: JSON.stringify(info((request.header('host') || 'localhost').split(':')[0]!)),
      }),
      { cors: 'open' },
    );
    server.websocket(WEBSOCKET_PATH, { onConnection: (transport) => accept(transport) });
    const listener = await server.listen({ host: options.host ?? '0.0.0.0', port });
    port = listener.port;
    return new WebSide(server, listener);
  }

  async stop(): Promise<void> {
    await this.server.close();
  }
}
