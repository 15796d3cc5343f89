import { ixianPath, type RelayInfo, relayInfoJson, relayInfoPath } from '../relay-info.js';
import type { Transport } from '../transport.js';
import { wsMessageBytesMax } from '../ws-client.js';
import type { HttpResponse, HttpServer, UpgradeRequest } from './http-server.js';

/** What a relay serves to everybody on its public port. */
export interface IxianRoutes {
  /** The document of `/v1/info`, asked per request; null answers 503. */
  info(): RelayInfo | null;
  /** Further members of the document, e.g. limits and a policy URL. */
  more?(): Readonly<Record<string, unknown>>;
  onConnection(transport: Transport, request: UpgradeRequest): void;
  /** Refuses an upgrade, e.g. 503 while draining. */
  refuse?(request: UpgradeRequest): HttpResponse | null;
}

/** Adds `/ixian` and `/v1/info` (docs/websocket.md) to a server. */
export function addIxianRoutes(server: HttpServer, routes: IxianRoutes): void {
  server.route(
    'GET',
    relayInfoPath,
    () => {
      const info = routes.info();
      if (info === null) return { status: 503, headers: { 'retry-after': '5' } };
      return {
        status: 200,
        headers: { 'content-type': 'application/json', 'cache-control': 'max-age=60' },
        body: JSON.stringify({ ...routes.more?.(), ...relayInfoJson(info) }),
      };
    },
    { cors: 'open' },
  );
  server.websocket(ixianPath, {
    messageBytesMax: wsMessageBytesMax,
    onConnection: (transport, request) => routes.onConnection(transport, request),
    refuse: (request) => routes.refuse?.(request) ?? null,
  });
}
