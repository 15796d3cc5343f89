import {
  parseEndpoint,
  parseRelayInfo,
  type RelayInfo,
  relayInfoUrl,
  type Transport,
} from '../link/index.js';
import type { Dial, DialTarget } from './types.js';

/** How long the public document of a relay may take; it only helps to check who answers. */
const infoTimeoutMs = 4_000;

export interface WsDialOptions {
  /** Opens a WebSocket; rejects when it cannot. */
  readonly open: (url: string) => Promise<Transport>;
  /** Reads `/v1/info`; rejects when it cannot. Default: fetch. */
  readonly readInfo?: (url: string) => Promise<string>;
  /** URL of a relay that is known by its TCP endpoint only; default `ws://ip:(port + 1)/ixian`. */
  readonly urlOf?: (endpoint: string) => string | null;
}

/** Where a relay's WebSocket is, if it is not told: one port above TCP (docs/websocket.md §1). Null for nonsense. */
export function wsTargetOf(host: string): string | null {
  const m = /^([^:/\s]+):(\d{1,5})$/.exec(host);
  const port = Number(m?.[2]);
  return m === null || !(port > 0 && port < 65_535) ? null : `ws://${m[1]}:${port + 1}/ixian`;
}

async function fetchInfo(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(infoTimeoutMs) });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return await answer.text();
}

/**
 * Dials relays over WebSocket. Where the relay's endpoint is not known from its presence, `/v1/info` tells what
 * its helloData may be signed over (docs/websocket.md §3).
 */
export function wsDialler(options: WsDialOptions): Dial {
  const { open, readInfo = fetchInfo, urlOf = wsTargetOf } = options;
  const info = async (url: string): Promise<RelayInfo | null> => {
    try {
      return parseRelayInfo(await readInfo(relayInfoUrl(url)));
    } catch {
      return null; // the URL's own address still may verify
    }
  };
  return async (target: DialTarget) => {
    const place = target.endpoint ?? target.host;
    const url = target.wsUrl ?? (place === undefined ? null : urlOf(place));
    if (url === null || url === undefined) throw new Error(`no WebSocket known for ${place ?? 'this relay'}`);
    if (target.endpoint !== undefined)
      return { transport: await open(url), expectedEndpoints: [target.endpoint] };
    const named = target.host !== undefined && parseEndpoint(target.host) !== null ? [target.host] : [];
    const [transport, document] = await Promise.all([open(url), info(url)]);
    const expectedEndpoints = document === null ? named : [document.endpoint, ...named];
    // Only over TLS does the document bind the wallet to the name that was dialled.
    return url.startsWith('wss:') && document !== null
      ? { transport, expectedEndpoints, wallet: document.address }
      : { transport, expectedEndpoints };
  };
}
