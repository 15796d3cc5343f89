import type { Socket } from 'node:net';
import { createHttpServer, type HttpServer } from '../link/node/index.js';
import { addHealthRoutes, addMetricsRoute } from './health.js';
import type { RelayNode } from './node.js';

/** Where a server listens. */
export interface Bind {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `host:port` or `[v6]:port`.
 *
 * @throws RangeError for anything else
 */
export function parseBind(text: string): Bind {
  const m = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(m?.[3]);
  if (m === null || port > 65_535) throw new RangeError(`not host:port: ${text}`);
  return { host: m[1] ?? m[2]!, port };
}

/** Connections that another process accepts for a server of this one. */
export interface Accepted {
  readonly port: number;
  /** Called once with what takes them. */
  to(take: (socket: Socket) => void): void;
}

/** Listens, or takes what another process accepts. Rejects when the address cannot be bound. */
export async function listenOrTake(
  server: HttpServer,
  bind: Bind,
  accepted: Accepted | undefined,
): Promise<number> {
  if (accepted === undefined) return (await server.listen(bind)).port;
  accepted.to((socket) => server.adopt?.(socket));
  return accepted.port;
}

export interface OpsServerOptions {
  readonly bind: Bind;
  readonly httpEngine?: 'auto' | 'uws' | 'node';
  /** Its connections are accepted by another process, on this port; `server` takes them. */
  readonly accepted?: Accepted;
  /** A handler threw; the asker got 500. */
  onError?(error: unknown): void;
}

/** Health probes and metrics on an address of their own, without authentication: bind it where only you come. */
export class OpsServer {
  private constructor(
    private readonly server: HttpServer,
    readonly port: number,
  ) {}

  /** Rejects when the address cannot be bound. */
  static async start(node: RelayNode, options: OpsServerOptions): Promise<OpsServer> {
    const server = await createHttpServer({
      prefer: options.accepted === undefined ? (options.httpEngine ?? 'auto') : 'node',
      onError: (error) => options.onError?.(error),
    });
    addHealthRoutes(server, node);
    addMetricsRoute(server, node);
    return new OpsServer(server, await listenOrTake(server, options.bind, options.accepted));
  }

  async stop(): Promise<void> {
    await this.server.close();
  }
}
