import { chunkTime, type Link, type LinkClose, type LinkCloseWhy, type LinkHandlers } from '../link/index.js';
import { Bye } from '../wire/index.js';
import type { RelayContext } from './context.js';
import type { Place } from './fairness.js';
import type { DialEvents } from './outbound.js';
import { type PeerRole, RelayPeer } from './peer.js';

/** What the node does when a connection becomes a peer and stops being one. */
export interface PeerEvents {
  opened(peer: RelayPeer): void;
  message(peer: RelayPeer, code: number, payload: Uint8Array): void;
  closed(peer: RelayPeer, close: LinkClose): void;
  /** A peer refused our address (bye 600) and told the one it sees. */
  endpointReported(reporter: string, ip: string): void;
}

/** What every connection needs of those who hold them all. */
export interface ConnectionHost {
  readonly ctx: RelayContext;
  readonly events: PeerEvents;
  /** The link has ended. */
  gone(link: Link): void;
  /** An inbound connection has said who it is, or has gone before. */
  greeted(source: string): void;
  /** An inbound connection gave its place back. */
  left(place: Place): void;
}

/**
 * What the relay does with one link: makes a peer of it when its handshake is complete, meters what comes, and hands
 * messages on. One object per connection and no closures, for there may be a hundred thousand.
 */
abstract class Connection implements LinkHandlers {
  #peer: RelayPeer | null = null;

  constructor(protected readonly host: ConnectionHost) {}

  protected abstract makePeer(link: Link): RelayPeer;
  protected abstract opened(link: Link): void;
  protected abstract closed(link: Link, close: LinkClose): void;

  onOpen(link: Link): void {
    const peer = this.makePeer(link);
    this.#peer = peer;
    this.opened(link);
    this.host.events.opened(peer);
  }

  onBytes(link: Link, bytes: number): void {
    if (this.#peer === null) return;
    const { fairness, clock } = this.host.ctx;
    const waitMs = fairness.received(this.#peer, bytes, chunkTime(clock));
    if (waitMs > 0) link.throttle(waitMs);
  }

  onMessage(_link: Link, code: number, payload: Uint8Array): void {
    if (this.#peer !== null) this.host.events.message(this.#peer, code, payload);
  }

  /** A bug of ours ends neither the process nor, unseen, the matter (03 §6). */
  onError(link: Link, error: unknown): void {
    this.host.ctx.log('error', 'link_handler_error', {
      peer: link.transport.remoteAddress,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }

  onClose(link: Link, close: LinkClose): void {
    const { host } = this;
    host.gone(link);
    this.closed(link, close);
    const peer = this.#peer;
    if (peer === null) return;
    host.ctx.fairness.close(peer);
    host.events.closed(peer, close);
  }
}

/** Ends of a connection before its hello that no peer brings about by mistake. */
const OFFENCES: ReadonlySet<LinkCloseWhy> = new Set<LinkCloseWhy>([
  'pre-hello-garbage',
  'pre-hello-bytes',
  'frame-too-large',
]);

/** A connection that somebody opened to this relay. */
export class InboundConnection extends Connection {
  #greeting = true;

  constructor(
    host: ConnectionHost,
    private readonly place: Place,
  ) {
    super(host);
  }

  #greeted(): void {
    if (this.#greeting) this.host.greeted(this.place.address);
    this.#greeting = false;
  }

  protected override makePeer(link: Link): RelayPeer {
    const { fairness, clock } = this.host.ctx;
    return new RelayPeer(link, 'inbound', fairness, clock.nowMs(), null, this.place);
  }

  protected override opened(): void {
    this.#greeted();
  }

  protected override closed(_link: Link, close: LinkClose): void {
    this.#greeted();
    if (!close.opened && OFFENCES.has(close.why)) this.host.ctx.fairness.offended(this.place.address);
    this.host.left(this.place);
  }
}

/** A connection that this relay opened. */
export class DialledConnection extends Connection {
  constructor(
    host: ConnectionHost,
    private readonly role: PeerRole,
    private readonly dialled: string,
    private readonly dialEvents: DialEvents,
  ) {
    super(host);
  }

  protected override makePeer(link: Link): RelayPeer {
    const { fairness, clock } = this.host.ctx;
    return new RelayPeer(link, this.role, fairness, clock.nowMs(), this.dialled);
  }

  protected override opened(link: Link): void {
    this.dialEvents.onOpen(link);
  }

  protected override closed(link: Link, close: LinkClose): void {
    if (close.byeCode === Bye.incorrectIp && close.why === 'bye-received')
      this.host.events.endpointReported(link.transport.remoteAddress, close.data);
    this.dialEvents.onClose(link, close);
  }
}
