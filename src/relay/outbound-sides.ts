import type { Link } from '../link/index.js';
import { bytesKey } from '../wire/index.js';
import type { Blacklist } from './blacklist.js';
import type { Connections } from './connections.js';
import type { RelayContext } from './context.js';
import { localAddresses } from './local-addresses.js';
import { OutboundManager } from './outbound.js';
import type { PeerStorage } from './peer-storage.js';
import type { SectorPeers } from './sector-peers.js';

export interface OutboundSidesOptions {
  readonly connections: Connections;
  readonly blacklist: Blacklist;
  readonly peerStorage: PeerStorage;
  readonly sectorPeers: SectorPeers;
  /** The port listened on: what must not be dialled, because it is ourselves. */
  readonly port: number;
  /** Connections wanted to ledger nodes, and to relays of the own and the clients' sectors (03 §5.1). */
  readonly ledgerConnections: number;
  readonly sectorConnections: number;
}

/** The two sets of connections a relay keeps open by itself: to ledger nodes, and to relays of its sectors. */
export class OutboundSides {
  readonly #ledger: OutboundManager;
  readonly #sector: OutboundManager;
  readonly #ownHosts: ReadonlySet<string>;

  constructor(
    private readonly ctx: RelayContext,
    private readonly options: OutboundSidesOptions,
  ) {
    this.#ownHosts = new Set(localAddresses().map((ip) => `${ip}:${options.port}`));
    const { connections, peerStorage } = options;
    const { clock, store } = ctx;
    const excluded = (host: string): boolean => this.#excluded(host);
    this.#ledger = new OutboundManager({
      clock,
      target: options.ledgerConnections,
      next: (skip) => {
        // A node known by name is met again by its wallet.
        const e = peerStorage.pick(
          Math.floor(clock.nowMs() / 1000),
          (x) => skip(x.host) || this.#dialled(x.wallet),
        );
        return e === null ? null : { host: e.host, wallet: e.wallet };
      },
      excluded,
      dial: (c, events) => connections.dial(c, 'ledger', events),
      onGivenUp: (host) => peerStorage.failed(host),
    });
    this.#sector = new OutboundManager({
      clock,
      target: options.sectorConnections,
      next: (skip) => options.sectorPeers.next(skip),
      excluded,
      dial: (c, events) => connections.dial(c, 'sector', events),
      keeps: (link) => this.#keepsSector(link),
    });
    // Ledger nodes met in presences become candidates (03 §5.6).
    store.subscribe({
      storedTypes: ['M', 'H'],
      stored: (wallet, a) => {
        if ((a.type === 'M' || a.type === 'H') && a.hostname !== '')
          peerStorage.add(a.hostname, wallet, a.lastSeen);
      },
    });
  }

  get ledgerLinks(): readonly Link[] {
    return this.#ledger.links;
  }

  /** Endpoints of ledger nodes connected or being dialled. */
  get ledgerHosts(): readonly string[] {
    return this.#ledger.hosts;
  }

  get sectorLinks(): readonly Link[] {
    return this.#sector.links;
  }

  start(): void {
    this.#ledger.start();
    this.#sector.start();
  }

  /** Stops dialling and says bye to everybody; `start` begins anew. */
  stop(): void {
    this.#ledger.stop();
    this.#sector.stop();
  }

  /** Ourselves, refused ones, and whom we dialled already, for either manager (03 §5.1). */
  #excluded(host: string): boolean {
    return (
      host === this.ctx.endpoint.text ||
      this.#ownHosts.has(host) ||
      this.options.blacklist.endpoint(host) ||
      // The managers' own few, not the thousands that dialled us: this is asked for every candidate.
      [this.#ledger, this.#sector].some(
        (m) => m.hosts.includes(host) || m.links.some((l) => l.peer?.hostname === host),
      )
    );
  }

  #dialled(wallet: Uint8Array | null): boolean {
    if (wallet === null) return false;
    return (
      this.options.blacklist.wallet(wallet) ||
      this.ctx.peers.byWallet(bytesKey(wallet)).some((p) => !p.isInbound)
    );
  }

  /** Neighbours of yesterday stay until their place is needed for one of today (03 §5.1 rule 3). */
  #keepsSector(link: Link): boolean {
    const full = this.#sector.hosts.length >= this.options.sectorConnections;
    return link.peer === null || !full || this.options.sectorPeers.wants(link.peer.address);
  }
}
