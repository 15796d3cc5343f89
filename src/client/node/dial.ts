import { dialNodeWs, dialTcp } from '../../link/node/index.js';
import type { Dial } from '../types.js';
import { type WsDialOptions, wsDialler } from '../ws-dial.js';

/** TCP connect (docs/protocol/08 §5). */
const connectTimeoutMs = 5_000;

export interface DialNodeOptions {
  /** Source address, e.g. to test several clients on one machine. */
  readonly localAddress?: string;
  readonly timeoutMs?: number;
}

/** Dials relays over TCP, the protocol's own transport. */
export function dialTcpRelay(options: DialNodeOptions = {}): Dial {
  return async (target) => {
    const place = target.endpoint ?? target.host ?? '';
    const colon = place.lastIndexOf(':');
    const port = Number(place.slice(colon + 1));
    if (colon <= 0 || !Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Error(`${place || target.wsUrl || 'relay'}: no host:port to dial`);
    const transport = await dialTcp({
      host: place.slice(0, colon),
      port,
      timeoutMs: options.timeoutMs ?? connectTimeoutMs,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    return { transport };
  };
}

/** Dials relays over WebSocket. */
export function dialWsRelay(options: Omit<WsDialOptions, 'open'> = {}): Dial {
  return wsDialler({ ...options, open: (url) => dialNodeWs(url) });
}
