import type { Bus } from '../cluster/index.js';
import type { Presence, SlabPresenceStore } from '../presence/index.js';
import { ClusterLedger, type ClusterLedgerOptions } from './cluster-ledger.js';
import { ClusterMessages, type DeliverHere } from './cluster-messages.js';
import { ClusterPresences, type PresenceShareOptions } from './cluster-presences.js';
import { ClusterSessions } from './cluster-sessions.js';
import { ClusterTickets } from './cluster-tickets.js';
import type { RelayContext } from './context.js';
import { generationOf } from './remote-session.js';

const joinTopic = 'join?';

/** What a relay that is one of several processes is started with. */
export interface ClusterOptions {
  readonly bus: Bus;
  /** Who leads at the start. */
  readonly leader: string | null;
  /** Ports the parent listens on; what is announced and signed over. */
  readonly port: number;
  readonly wsPort: number | null;
}

/** What the relay does for the cluster's parts. */
export interface ClusterHooks extends PresenceShareOptions {
  readonly deliver: DeliverHere;
  readonly ask: ClusterLedgerOptions['ask'];
  readonly state: ClusterLedgerOptions['state'];
  readonly transaction: ClusterLedgerOptions['transaction'];
  /** A client of another process went: nothing of it is waited for any more. */
  gone(id: number): void;
  /** A process came: the leader tells it what it knows. */
  joined(node: string): void;
}

/**
 * The part of a relay that makes several processes one: sessions and presences known everywhere, messages passed to
 * the process of their receiver, the ledger asked through the one that leads (docs/cluster.md).
 */
export class ClusterSide {
  readonly bus: Bus;
  readonly sessions: ClusterSessions;
  readonly messages: ClusterMessages;
  readonly presences: ClusterPresences;
  readonly ledger: ClusterLedger;
  readonly tickets: ClusterTickets;
  leader: string | null;

  constructor(ctx: RelayContext, options: ClusterOptions, store: SlabPresenceStore, hooks: ClusterHooks) {
    const { bus } = options;
    this.bus = bus;
    this.leader = options.leader;
    this.ledger = new ClusterLedger(ctx, bus, {
      leader: () => this.leader,
      ask: hooks.ask,
      state: hooks.state,
      transaction: hooks.transaction,
    });
    this.sessions = new ClusterSessions(ctx, bus, {
      gone: (id) => {
        if (this.ledger.gone(id)) hooks.gone(id);
      },
      came: (session) => this.messages.came(session),
    });
    this.messages = new ClusterMessages(ctx, bus, hooks.deliver, this.sessions.departed);
    this.tickets = new ClusterTickets(bus);
    this.presences = new ClusterPresences(ctx, bus, hooks, store);
    bus.onMember({
      joined: (node) => {
        this.tickets.tellAll(node);
        hooks.joined(node);
      },
    });
    bus.answer(joinTopic, (from) => {
      this.sessions.tellAll(from);
      this.tickets.tellAll(from);
      hooks.joined(from);
      return new Uint8Array(0);
    });
  }

  /**
   * Asks everybody who was there before for all they know; their answers come behind it on the same pipe, so that
   * afterwards it is known here.
   */
  async join(): Promise<void> {
    const all = this.bus.members.map((node) => this.bus.request(node, joinTopic, new Uint8Array(0)));
    // One that ends meanwhile, or that is only starting itself, has nothing to tell.
    await Promise.allSettled(all);
  }

  /** Number of this process among all that ever were. */
  get generation(): number {
    return generationOf(this.bus.self);
  }

  get leads(): boolean {
    return this.leader === this.bus.self;
  }

  /** Takes over the presences of whoever is there longest; how many, or null when nobody is. */
  async takeOver(): Promise<{ node: string; addresses: number } | null> {
    for (const node of this.bus.members)
      try {
        return { node, ...(await this.presences.takeOver(node)) };
      } catch {
        // It ended meanwhile: the next one knows the same.
      }
    return null;
  }

  tellOwn(presence: Presence, to?: string): void {
    if (to === undefined) this.presences.tellOwn(presence);
    else this.presences.tellOwnTo(to, presence);
  }
}
