import type { Timer } from '../clock/index.js';
import { parseEndpoint, type Transport } from '../link/index.js';
import {
  addressRanges,
  dialTcp,
  type HttpResponse,
  plainAnswer,
  type UpgradeRequest,
} from '../link/node/index.js';
import { isPublicIpv4, parseIpv4 } from '../presence/index.js';
import type { Blacklist } from './blacklist.js';
import type { RelayContext } from './context.js';
import { RelayEndpoints } from './relay-endpoints.js';
import { Tunnel } from './tunnel.js';
import type { TunnelLimits } from './tunnel-limits.js';

/** Why a tunnel was not begun: the label of `ixian_tunnels_refused_total`. */
type Refusal = 'malformed' | 'unknown' | 'own' | 'banned' | 'source_tunnels' | 'source_rate' | 'tunnels';

const ANSWERS: Readonly<Record<Refusal, readonly [status: number, text: string]>> = {
  malformed: [400, 'to must be ip:port'],
  // One answer whatever else is there: who asks learns nothing about what this relay could reach.
  unknown: [403, 'no relay with a verified presence is at that endpoint'],
  own: [508, 'that is this relay: use /ixian'],
  banned: [403, 'refused by the operator'],
  source_tunnels: [429, 'too many tunnels from your address'],
  source_rate: [429, 'too many tunnels asked for from your address'],
  tunnels: [503, 'no room for more tunnels'],
};

const minuteMs = 60_000;
/** A client that was refused for want of room comes back then. */
const retrySeconds = 10;

/**
 * The tunnels of a relay: browsers speak WebSocket only, so this one connects them to relays that speak TCP only
 * (docs/websocket.md §8). Only to endpoints that a relay's verified presence names, never to this relay itself.
 */
export class Tunnels {
  readonly #endpoints: RelayEndpoints;
  readonly #open = new Map<Tunnel, UpgradeRequest>();
  /** Open tunnels by source address. */
  readonly #bySource = new Map<string, number>();
  /** Tunnels asked for in the current minute by source address. */
  readonly #asked = new Map<string, number>();
  #minute = 0;
  #heldBytes = 0;
  readonly #sweep: Timer;

  constructor(
    private readonly ctx: RelayContext,
    readonly limits: TunnelLimits,
    private readonly blacklist: Blacklist,
    /** Nobody new while draining. */
    private readonly draining: () => boolean,
  ) {
    this.#endpoints = new RelayEndpoints(ctx.store, ctx.clock);
    this.#sweep = ctx.clock.every(limits.tunnelSweepMs, () => {
      const now = ctx.clock.nowMs();
      for (const [t, request] of [...this.#open]) {
        if (this.#isBanned(request)) t.end('banned');
        else t.sweep(now);
      }
    });
  }

  /** Tunnels open now. */
  get size(): number {
    return this.#open.size;
  }

  /** What forbids a tunnel, as an HTTP answer; null lets it through. Cheapest checks first. */
  refuse(request: UpgradeRequest): HttpResponse | null {
    const why = this.#problem(request);
    if (why === null) return null;
    this.ctx.counters
      .counter('ixian_tunnels_refused_total', 'Tunnels refused, by reason', { reason: why })
      .add();
    const [status, text] = ANSWERS[why];
    const answer = plainAnswer(status, text);
    return status === 429 || status === 503
      ? { ...answer, headers: { ...answer.headers, 'retry-after': String(retrySeconds) } }
      : answer;
  }

  #problem(request: UpgradeRequest): Refusal | null {
    const { limits } = this;
    const source = request.remoteAddress;
    if (this.blacklist.source(source)) return 'banned';
    if (this.draining() || this.#open.size >= limits.tunnelsMax) return 'tunnels';
    if ((this.#bySource.get(source) ?? 0) >= limits.tunnelsPerSourceMax) return 'source_tunnels';
    if (!this.#countAsked(source)) return 'source_rate';
    const to = request.query.getAll('to');
    const target = to[0] ?? '';
    if (to.length !== 1 || parseEndpoint(target) === null) return 'malformed';
    if (target === this.ctx.endpoint.text || this.#isOwn(target)) return 'own';
    if (!this.#endpoints.has(target) || !this.#mayReach(target)) return 'unknown';
    if (this.blacklist.endpoint(target)) return 'banned';
    return null;
  }

  #isBanned(request: UpgradeRequest): boolean {
    const target = request.query.get('to') ?? '';
    return this.blacklist.source(request.remoteAddress) || this.blacklist.endpoint(target);
  }

  #isOwn(target: string): boolean {
    const own = this.ctx.store.get(this.ctx.ownWallet);
    return own?.addresses.some((a) => a.hostname === target) ?? false;
  }

  /** The presence rules keep private addresses out already, except on the regression network, where loopback is usual. */
  #mayReach(target: string): boolean {
    const loopbackToo = this.ctx.network.name === 'reg' && isLoopback(target.slice(0, target.indexOf(':')));
    return loopbackToo || isPublic(target);
  }

  #countAsked(source: string): boolean {
    const minute = Math.floor(this.ctx.clock.nowMs() / minuteMs);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#asked.clear();
    }
    const asked = this.#asked.get(source) ?? 0;
    if (asked >= this.limits.tunnelsPerSourceMinuteMax) return false;
    if (asked === 0 && this.#asked.size >= this.limits.tunnelSourcesMax) return false;
    this.#asked.set(source, asked + 1);
    return true;
  }

  /** A WebSocket that {@link refuse} let through. */
  accept(transport: Transport, request: UpgradeRequest): void {
    const { ctx, limits } = this;
    const target = parseEndpoint(request.query.get('to') ?? '')!;
    const source = request.remoteAddress;
    let held = 0;
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1);
    ctx.counters.counter('ixian_tunnels_opened_total', 'Tunnels begun').add();
    const tunnel = new Tunnel(transport, ctx.clock, limits, {
      moved: (direction, bytes) =>
        ctx.counters
          .counter('ixian_tunnel_bytes_total', 'Bytes through tunnels, by direction', { direction })
          .add(bytes),
      holds: (bytes) => {
        this.#heldBytes += bytes - held;
        held = bytes;
        return this.#heldBytes <= limits.tunnelsBytesMax;
      },
      ended: (reason) => {
        this.#open.delete(tunnel);
        const left = (this.#bySource.get(source) ?? 1) - 1;
        if (left > 0) this.#bySource.set(source, left);
        else this.#bySource.delete(source);
        ctx.counters.counter('ixian_tunnels_closed_total', 'Tunnels ended, by reason', { reason }).add();
        this.#count();
      },
    });
    this.#open.set(tunnel, request);
    this.#count();
    void tunnel.open(() => this.#dial(target.ip, target.port));
  }

  #count(): void {
    this.ctx.counters.gauge('ixian_tunnels', 'Tunnels open now').set(this.#open.size);
  }

  #dial(host: string, port: number): Promise<Transport> {
    const own = this.ctx.endpoint.ip;
    return dialTcp({
      host,
      port,
      timeoutMs: this.limits.tunnelDialMs,
      // On loopback relays compare source addresses with endpoints: leave from the one we announce (09 §14.1).
      ...(own.startsWith('127.') && host.startsWith('127.') ? { localAddress: own } : {}),
    });
  }

  /** Ends all of them. */
  stop(): void {
    this.#sweep.cancel();
    for (const t of [...this.#open.keys()]) t.end('stopping');
  }
}

const isLoopback = addressRanges(['127.0.0.0/8']);

function isPublic(endpoint: string): boolean {
  const address = parseIpv4(endpoint.slice(0, endpoint.indexOf(':')));
  return address !== null && isPublicIpv4(address);
}
