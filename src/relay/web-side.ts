import type { Socket } from 'node:net';
import {
  ixianPath,
  type RelayInfo,
  type Transport,
  type TransportListener,
  tunnelPath,
  wsMessageBytesMax,
} from '../link/index.js';
import { addIxianRoutes, createHttpServer, type HttpServer } from '../link/node/index.js';
import type { RelayContext } from './context.js';
import { RELAY_PRODUCT_VERSION, type RelayOptions } from './options.js';
import type { Tunnels } from './tunnels.js';

/** The public HTTP and WebSocket port of a relay: `/ixian`, `/ixian/dial` and `/v1/info` (docs/websocket.md). */
export class WebSide {
  private constructor(
    /** Further routes are added by who runs the relay, before clients come. */
    readonly server: HttpServer,
    private readonly listener: Pick<TransportListener, 'port'>,
  ) {}

  get port(): number {
    return this.listener.port;
  }

  /** A connection that another process accepted. */
  adopt(socket: Socket): void {
    this.server.adopt?.(socket);
  }

  /** Starts it, or returns null when it is switched off. */
  static async start(
    ctx: RelayContext,
    options: RelayOptions,
    tcpPort: number,
    accept: (transport: Transport) => void,
    tunnels: Tunnels,
  ): Promise<WebSide | null> {
    if (options.wsPort === null) return null;
    const tls = options.wsTls ?? null;
    const server = await createHttpServer({
      // uWebSockets.js cannot take over a connection that another process accepted.
      prefer: options.cluster === undefined ? (options.httpEngine ?? 'auto') : 'node',
      tls,
      trustedProxies: options.trustedProxies ?? [],
      warn: (text) => ctx.log('warn', 'http_engine', { text }),
    });
    let port = options.wsPort ?? tcpPort + 1;
    const scheme = tls === null ? 'ws' : 'wss';
    // Null until the public address is known: a browser could not check whom it reached.
    const info = (): RelayInfo | null =>
      ctx.endpoint.text === ''
        ? null
        : {
            network: ctx.network.name,
            address: ctx.ownWallet,
            endpoint: ctx.endpoint.text,
            webSocket: options.wsUrl ?? `${scheme}://${ctx.endpoint.ip}:${port}${ixianPath}`,
            version: options.productVersion ?? RELAY_PRODUCT_VERSION,
            tunnel: true,
          };
    addIxianRoutes(server, { info, onConnection: (transport) => accept(transport) });
    server.websocket(tunnelPath, {
      messageBytesMax: wsMessageBytesMax,
      unreadBytesMax: tunnels.limits.tunnelUnreadBytesMax,
      refuse: (request) => tunnels.refuse(request),
      onConnection: (transport, request) => tunnels.accept(transport, request),
    });
    const listener =
      options.cluster === undefined
        ? await server.listen({ host: options.host ?? '0.0.0.0', port })
        : { port: options.cluster.wsPort ?? 0 };
    port = listener.port;
    return new WebSide(server, listener);
  }

  async stop(): Promise<void> {
    await this.server.close();
  }
}
