import type { VerifyEngine } from '../identity/index.js';
import {
  type BlockTip,
  type HandshakePolicy,
  isIpv4,
  Link,
  type LinkHandlers,
  type LinkOptions,
  notReadyText,
  refuseTransport,
  retryData,
  type SelfInfo,
  type TicketIssuer,
  type Transport,
  type VerifyHook,
} from '../link/index.js';
import { Prober } from '../link/node/index.js';
import { Bye } from '../wire/index.js';
import type { AllowList } from './allow-list.js';
import type { Blacklist } from './blacklist.js';
import { type ConnectionHost, DialledConnection, InboundConnection, type PeerEvents } from './connection.js';
import type { RelayContext } from './context.js';
import type { SourceRefusal } from './fairness.js';
import type { Candidate, DialEvents } from './outbound.js';

/** Told to come back at once: each holds a descriptor until it has ended, three seconds at most. */
export const comingBackMax = 1_000;

export interface ConnectionsOptions {
  readonly engine: VerifyEngine;
  /** The signatures of accepted hellos go here instead of straight to the engine. */
  readonly verifyHello: VerifyHook;
  /** Lets clients come back without signatures. */
  readonly issuer: TicketIssuer;
  readonly self: SelfInfo;
  readonly unverifiedClients: 'accept' | 'refuse';
  readonly probePeers: boolean;
  /** Own challenge of dialled links, for replays. */
  readonly challenge: number | null;
  readonly dial: (host: string, port: number, localAddress: string | null) => Promise<Transport>;
  /** Refused wallets, endpoints and source addresses (operator's bans). */
  readonly blacklist: Blacklist;
  /** Source addresses that may connect at all. */
  readonly allowList: AllowList;
}

/**
 * Makes links of transports: counts what is half open, refuses what is too much, judges hellos with the node's
 * policy, and hands complete ones to the node as peers.
 */
export class Connections {
  /** Accepted and not yet past their hello, by source address. */
  readonly #greeting = new Map<string, number>();
  #greetingTotal = 0;
  #inbound = 0;
  readonly #links = new Set<Link>();
  /** Limits probes by target; made anew when the address to bind changes. */
  #prober: { readonly ip: string; readonly prober: Prober } | null = null;
  #draining = false;
  /** Shared by all inbound links. */
  #inboundOptions: Omit<LinkOptions, 'handlers'> | null = null;
  readonly #host: ConnectionHost;
  /** Connections that are being told to come back. */
  #comingBack = 0;

  constructor(
    private readonly ctx: RelayContext,
    private readonly options: ConnectionsOptions,
    events: PeerEvents,
  ) {
    this.#host = {
      ctx,
      events,
      gone: (link) => void this.#links.delete(link),
      greeted: (source) => this.#greeted(source),
      left: (place) => {
        this.#inbound--;
        ctx.fairness.left(place);
      },
    };
  }

  /** Inbound connections in any state. */
  get inbound(): number {
    return this.#inbound;
  }

  /** Inbound connections that have not completed their hello. */
  get greeting(): number {
    return this.#greetingTotal;
  }

  #refuse(reason: string): void {
    this.ctx.counters
      .counter('ixian_connections_refused_total', 'Connections ended before their hello, by reason', {
        reason,
      })
      .add();
  }

  /**
   * Whether a connection from there is not worth being looked at: asked before a transport is made of it, and counted
   * when it is so.
   */
  shuns(source: string): boolean {
    if (!this.ctx.fairness.shuns(source)) return false;
    this.#refuse('source_offences');
    return true;
  }

  /** A transport was accepted. */
  accept(transport: Transport): void {
    const { limits } = this.ctx;
    const source = transport.remoteAddress;
    // Of TCP connections asked before; those of WebSocket come here first.
    if (transport.kind !== 'tcp' && this.shuns(source)) {
      transport.destroy();
      return;
    }
    if (this.options.blacklist.source(source)) {
      this.#refuse('blacklisted');
      refuseTransport(transport, Bye.rejected, 'Blacklisted');
      return;
    }
    if (!this.options.allowList.admits(source)) {
      this.#refuse('not_allowed');
      refuseTransport(transport, Bye.rejected, 'Not on the list of who may connect');
      return;
    }
    const fromSource = this.#greeting.get(source) ?? 0;
    if (this.#greetingTotal >= limits.preHelloConnectionsMax || fromSource >= limits.preHelloPerSourceMax) {
      const oneSource = fromSource >= limits.preHelloPerSourceMax;
      this.#refuse(oneSource ? 'pre_hello_source' : 'pre_hello');
      // No bye to one source: writing to a flood is work for its benefit.
      if (oneSource) transport.destroy();
      else this.#comeBack(transport);
      return;
    }
    // Before the time records and without a link: no hello of theirs is worth a signature now (03 §4.1).
    if (this.#draining) {
      this.#refuse('draining');
      refuseTransport(transport, Bye.notReady, 'The relay is shutting down');
      return;
    }
    if (this.#inbound >= limits.connectionsMax) {
      this.#refuse('connections');
      refuseTransport(transport, Bye.rejected, 'Too many connections');
      return;
    }
    const place = this.ctx.fairness.enter(source);
    if (typeof place === 'string') {
      this.#refuseSource(transport, place);
      return;
    }
    this.#inbound++;
    this.#greetingTotal++;
    this.#greeting.set(source, fromSource + 1);
    this.#inboundOptions ??= this.#linkOptions('in', this.#inboundPolicy());
    this.#link(transport, this.#inboundOptions, new InboundConnection(this.#host, place));
  }

  /** An inbound connection has said who it is, or has gone before. */
  #greeted(source: string): void {
    this.#greetingTotal--;
    const left = (this.#greeting.get(source) ?? 1) - 1;
    if (left <= 0) this.#greeting.delete(source);
    else this.#greeting.set(source, left);
  }

  /** From many sources at once it may be a storm: each is told when its turn comes, so many at a time. */
  #comeBack(transport: Transport): void {
    if (this.#comingBack >= comingBackMax) {
      transport.destroy();
      return;
    }
    this.#comingBack++;
    const { clock, linkLimits } = this.ctx;
    const retryAfterMs = this.options.self.busy?.(clock.nowMs() + linkLimits.helloTimeoutMs) ?? null;
    refuseTransport(transport, Bye.notReady, notReadyText, retryData(retryAfterMs), () => this.#comingBack--);
  }

  #refuseSource(transport: Transport, why: SourceRefusal): void {
    this.#refuse(why);
    if (why === 'prefix_connects') transport.destroy();
    else
      refuseTransport(
        transport,
        Bye.rejected,
        `Too many connections from your ${why === 'source_share' ? 'address' : 'network'}`,
      );
  }

  #inboundPolicy(): HandshakePolicy {
    const { limits, peers } = this.ctx;
    const { unverifiedClients, probePeers } = this.options;
    return {
      limits: {
        mastersMax: limits.ledgerInboundMax,
        clientsMax: limits.clientsMax,
        masters: () => peers.filter((p) => p.isInbound && p.isLedger).length,
        clients: () => this.#inbound - this.#greetingTotal + 1,
      },
      blacklisted: (address, at) => this.#blacklisted(address, at),
      unverifiedClients,
      relayEndpoints: (port) => this.#relayEndpoints(port),
      ...(probePeers ? { probe: (at: string) => this.#probe(at) } : {}),
    };
  }

  #blacklisted(address: Uint8Array, endpoint: string): boolean {
    return this.options.blacklist.wallet(address) || this.options.blacklist.endpoint(endpoint);
  }

  /** Connectivity probe without blocking anybody, so many at a time and per target (03 §3.6). */
  #probe(endpoint: string): Promise<boolean> {
    const { clock } = this.ctx;
    const ip = this.ctx.endpoint.ip;
    if (this.#prober?.ip !== ip) {
      const bind = ip.startsWith('127.') ? { localAddress: ip } : {};
      this.#prober = { ip, prober: new Prober({ clock, ...bind }) };
    }
    return this.#prober.prober.probe(endpoint);
  }

  /** Endpoints a client may have signed its hello over: those of relays known here with that port (03 §3.5). */
  #relayEndpoints(port: number): string[] {
    const out = [this.ctx.endpoint.text].filter((e) => e.endsWith(`:${port}`));
    for (const w of this.ctx.tree.wallets)
      for (const a of this.ctx.store.get(w)?.addresses ?? [])
        if (a.type === 'R' && a.hostname.endsWith(`:${port}`)) out.push(a.hostname);
    return out;
  }

  /** Dials a candidate and starts the handshake. Rejects when no connection came about. */
  async dial(candidate: Candidate, role: 'ledger' | 'sector', events: DialEvents): Promise<Link> {
    const colon = candidate.host.lastIndexOf(':');
    const host = candidate.host.slice(0, colon);
    const port = Number(candidate.host.slice(colon + 1));
    const own = this.ctx.endpoint.ip;
    // On loopback peers compare the source address with the one we announce: leave from that one (09 §14.1).
    const bind = own.startsWith('127.') && host.startsWith('127.') ? own : null;
    const transport = await this.options.dial(host, port, bind);
    const accepts = role === 'sector' ? (t: string) => t === 'R' : (t: string) => 'MHR'.includes(t);
    const policy: HandshakePolicy = {
      expectedWallet: candidate.wallet,
      acceptsServerType: accepts,
      blacklisted: (address, at) => this.#blacklisted(address, at),
      ...(transport.remoteAddress === '' && isIpv4(host) ? { expectedEndpoints: [candidate.host] } : {}),
    };
    const connection = new DialledConnection(this.#host, role, candidate.host, events);
    return this.#link(transport, this.#linkOptions('out', policy), connection);
  }

  #link(transport: Transport, options: Omit<LinkOptions, 'handlers'>, handlers: LinkHandlers): Link {
    const link = new Link(transport, options, handlers);
    this.#links.add(link);
    return link;
  }

  #linkOptions(direction: 'in' | 'out', policy: HandshakePolicy): Omit<LinkOptions, 'handlers'> {
    const { self, engine, verifyHello, issuer, challenge } = this.options;
    const { clock, counters, linkLimits, linkMemory } = this.ctx;
    return {
      direction,
      self,
      clock,
      engine,
      counters,
      policy,
      limits: linkLimits,
      memory: linkMemory,
      ...(direction === 'in' ? { verifyHello, issuer } : {}),
      ...(challenge === null || direction === 'in' ? {} : { challenge }),
    };
  }

  /** Newcomers get bye 700 from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** Newcomers are welcome again. */
  resume(): void {
    this.#draining = false;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Says bye to everybody. */
  closeAll(text: string): void {
    for (const l of [...this.#links]) l.bye(Bye.bye, text);
  }

  /** Ends at once whoever is still there. */
  destroyAll(): void {
    for (const l of [...this.#links]) l.destroy();
  }
}

/** Tip for helloData while no header is known (docs/protocol/09 §14). */
export function emptyTip(version: number): BlockTip {
  return { number: 0, checksum: new Uint8Array(0), version };
}
