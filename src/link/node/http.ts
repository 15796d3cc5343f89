import { NodeHttpServer } from './http-node.js';
import type { HttpServer, HttpServerOptions } from './http-server.js';
import { UwsHttpServer, type UwsModule } from './http-uws.js';

export interface CreateHttpServerOptions extends HttpServerOptions {
  /** `auto` (default): uWebSockets.js where its binary fits this Node, else node:http and `ws`. */
  readonly prefer?: 'auto' | 'uws' | 'node';
  /** Gets the one warning when uWebSockets.js does not fit. Default: stderr. */
  warn?(text: string): void;
}

let warned = false;
let loading: Promise<UwsModule | Error> | null = null;

/** Imports uWebSockets.js once; it throws at import where it has no binary (Node 24, musl, odd platforms). */
async function loadUws(): Promise<UwsModule | Error> {
  // A variable, so that bundlers and the type checker leave the native package alone.
  const name: string = 'uWebSockets.js';
  try {
    return (await import(name)) as UwsModule;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * The HTTP and WebSocket server of this machine.
 *
 * @throws Error with `prefer: 'uws'` where uWebSockets.js cannot be loaded; RangeError for a bad
 * `trustedProxies` entry.
 */
export async function createHttpServer(options: CreateHttpServerOptions = {}): Promise<HttpServer> {
  const prefer = options.prefer ?? 'auto';
  if (prefer === 'node') return new NodeHttpServer(options);
  loading ??= loadUws();
  const uws = await loading;
  if (!(uws instanceof Error)) return new UwsHttpServer(uws, options);
  if (prefer === 'uws') throw uws;
  if (!warned) {
    warned = true;
    const warn = options.warn ?? ((text: string) => process.emitWarning(text));
    warn(
      `uWebSockets.js has no binary for Node ${process.versions.node} on ${process.platform}-${process.arch}: ` +
        'serving HTTP and WebSocket with node:http and ws, which carries fewer connections per core',
    );
  }
  return new NodeHttpServer(options);
}
