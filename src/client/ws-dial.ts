import { type Clock, sleep, systemClock } from '../clock/index.js';
import {
  parseEndpoint,
  parseRelayInfo,
  type RelayInfo,
  relayInfoUrl,
  type Transport,
  tunnelUrl,
} from '../link/index.js';
import type { Dial, Dialled, DialTarget } from './types.js';

/** How long the public document of a relay may take; it only helps to check who answers. */
const infoTimeoutMs = 4_000;
/** A relay that has not opened its own WebSocket by then is tried through a tunnel as well; the first to open wins. */
const directLeadMs = 800;
/** Relays remembered as offering a tunnel; the ones used last are asked first. */
const tunnelsMax = 8;
/** Tunnels tried for one dial, one after the other. */
const tunnelTriesMax = 3;
/** Endpoints remembered as having no WebSocket of their own, and for how long. */
const tcpOnlyMax = 512;
const tcpOnlyMs = 600_000;

export interface WsDialOptions {
  /** Opens a WebSocket; rejects when it cannot. */
  readonly open: (url: string) => Promise<Transport>;
  /** Reads `/v1/info`; rejects when it cannot. Default: fetch. */
  readonly readInfo?: (url: string) => Promise<string>;
  /** URL of a relay that is known by its TCP endpoint only; default `ws://ip:(port + 1)/ixian`. */
  readonly urlOf?: (endpoint: string) => string | null;
  /** Whether relays without a WebSocket are reached through the tunnels of others (docs/websocket.md §8). Default true. */
  readonly tunnels?: boolean;
  readonly clock?: Clock;
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

/** Relays that were reached by WebSocket, newest first: they may offer a tunnel. Not those whose document says no. */
class Tunnels {
  readonly #urls: string[] = [];
  readonly #without = new Set<string>();

  reached(url: string): void {
    if (this.#without.has(url)) return;
    const at = this.#urls.indexOf(url);
    if (at >= 0) this.#urls.splice(at, 1);
    this.#urls.unshift(url);
    this.#urls.length = Math.min(this.#urls.length, tunnelsMax);
  }

  said(url: string, info: RelayInfo): void {
    if (info.tunnel !== false) return;
    if (this.#without.size < tunnelsMax) this.#without.add(url);
    const at = this.#urls.indexOf(url);
    if (at >= 0) this.#urls.splice(at, 1);
  }

  get urls(): readonly string[] {
    return this.#urls.slice(0, tunnelTriesMax);
  }
}

/** Opens WebSockets to relays, their own or a tunnel, and remembers which relays need one. */
class WsDialler {
  readonly #tunnels = new Tunnels();
  /** Endpoints that were reached through a tunnel only, and when. */
  readonly #tcpOnly = new Map<string, number>();
  readonly #clock: Clock;

  constructor(private readonly o: WsDialOptions) {
    this.#clock = o.clock ?? systemClock;
  }

  async dial(target: DialTarget): Promise<Dialled> {
    const place = target.endpoint ?? target.host;
    const url = target.wsUrl ?? (place === undefined ? null : (this.o.urlOf ?? wsTargetOf)(place));
    if (target.endpoint !== undefined) {
      const transport = await this.#reach(url, target.endpoint);
      return { transport, expectedEndpoints: [target.endpoint] };
    }
    const named = target.host !== undefined && parseEndpoint(target.host) !== null ? [target.host] : [];
    if (url === null)
      return { transport: await this.#reach(url, named[0] ?? null), expectedEndpoints: named };
    const [transport, document] = await Promise.all([this.#reach(url, named[0] ?? null), this.#info(url)]);
    const expectedEndpoints = document === null ? named : [document.endpoint, ...named];
    // Only over TLS does the document bind the wallet to the name that was dialled.
    return url.startsWith('wss:') && document !== null
      ? { transport, expectedEndpoints, wallet: document.address }
      : { transport, expectedEndpoints };
  }

  async #info(url: string): Promise<RelayInfo | null> {
    try {
      const info = parseRelayInfo(await (this.o.readInfo ?? fetchInfo)(relayInfoUrl(url)));
      this.#tunnels.said(url, info);
      return info;
    } catch {
      return null; // the URL's own address still may verify
    }
  }

  /** The relay's own WebSocket, or a tunnel when that fails or takes too long. */
  async #reach(url: string | null, endpoint: string | null): Promise<Transport> {
    const viaTunnel =
      endpoint !== null && parseEndpoint(endpoint) !== null && this.o.tunnels !== false ? endpoint : null;
    if (viaTunnel !== null && this.#tunnels.urls.length > 0 && this.#isTcpOnly(viaTunnel)) {
      try {
        return await this.#tunnel(viaTunnel, url);
      } catch {
        this.#tcpOnly.delete(viaTunnel); // it may have a WebSocket by now
      }
    }
    if (url === null) {
      if (viaTunnel === null) throw new Error(`no WebSocket known for ${endpoint ?? 'this relay'}`);
      return await this.#tunnel(viaTunnel, url);
    }
    const direct = this.o.open(url).then((transport) => {
      this.#tunnels.reached(url);
      return transport;
    });
    if (viaTunnel === null) return await direct;
    return await this.#first(direct, viaTunnel, url);
  }

  /** The direct connection, or once that failed or is late a tunnel; whichever opens second is closed. */
  async #first(direct: Promise<Transport>, endpoint: string, url: string): Promise<Transport> {
    const late = Promise.race([
      direct.then(
        () => true,
        () => false,
      ),
      sleep(this.#clock, directLeadMs).then(() => false),
    ]);
    if (await late) return await direct;
    const tunnel = this.#tunnel(endpoint, url);
    let won: Transport;
    try {
      won = await Promise.any([direct, tunnel]);
    } catch {
      return await direct; // both failed: the relay's own reason says more
    }
    for (const p of [direct, tunnel])
      p.then(
        (t) => t !== won && t.destroy(),
        () => undefined,
      );
    return won;
  }

  /** A tunnel through a relay that was reached before. Which of them has one shows by asking. */
  async #tunnel(endpoint: string, own: string | null): Promise<Transport> {
    let why: unknown = new Error(`no relay to reach ${endpoint} through`);
    for (const url of this.#tunnels.urls) {
      if (url === own) continue; // a relay is no way to itself
      try {
        const transport = await this.o.open(tunnelUrl(url, endpoint));
        this.#tcpOnly.delete(endpoint);
        this.#tcpOnly.set(endpoint, this.#clock.nowMs());
        if (this.#tcpOnly.size > tcpOnlyMax) this.#tcpOnly.delete(this.#tcpOnly.keys().next().value!);
        return transport;
      } catch (error) {
        why = error;
      }
    }
    throw why;
  }

  #isTcpOnly(endpoint: string): boolean {
    const since = this.#tcpOnly.get(endpoint);
    return since !== undefined && this.#clock.nowMs() - since < tcpOnlyMs;
  }
}

/**
 * Dials relays over WebSocket. Where the relay's endpoint is not known from its presence, `/v1/info` tells what
 * its helloData may be signed over (docs/websocket.md §3). A relay that has no WebSocket is reached through the tunnel
 * of one that was reached before (docs/websocket.md §8); the hello is between us and it all the same.
 */
export function wsDialler(options: WsDialOptions): Dial {
  const dialler = new WsDialler(options);
  return (target) => dialler.dial(target);
}
