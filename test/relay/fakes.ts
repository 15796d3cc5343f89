import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import {
  type Link,
  type LinkClose,
  type LinkCloseWhy,
  LinkMemory,
  type PeerInfo,
  sharedLinkLimits,
  type Verified,
} from '../../src/link/index.js';
import { MemoryPresenceStore, PresenceService } from '../../src/presence/index.js';
import type { RelayContext } from '../../src/relay/context.js';
import { Fairness } from '../../src/relay/fairness.js';
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from '../../src/relay/limits.js';
import { type PeerRole, PeerSet, RelayPeer } from '../../src/relay/peer.js';
import { PublicEndpoint } from '../../src/relay/public-endpoint.js';
import { SessionTable } from '../../src/relay/sessions.js';
import { followPresences, RelayTree } from '../../src/sectors/index.js';
import { FRAME_HEADER_BYTES, NETWORKS } from '../../src/wire/index.js';
import { engine } from '../link/support.js';

/** Network time at which these tests begin, in seconds. */
export const START = 1_770_000_000;

export interface Sent {
  readonly code: number;
  readonly payload: Uint8Array;
}

/** A connection that only notes what it was given. */
export class FakePeer {
  static #next = 1_000_000;
  readonly id = FakePeer.#next++;
  isOpen = true;
  /** False: its queue is full. */
  takes = true;
  readonly sent: Sent[] = [];

  send(code: number, payload: Uint8Array): boolean {
    if (!this.isOpen || !this.takes) return false;
    this.sent.push({ code, payload: payload.slice() });
    return true;
  }

  sendFrame(code: number, frame: Uint8Array): boolean {
    return this.send(code, frame.subarray(FRAME_HEADER_BYTES));
  }

  codes(): number[] {
    return this.sent.map((s) => s.code);
  }
}

/** The parts of a link that a relay uses, over nothing. */
export class FakeLink extends FakePeer {
  peer: PeerInfo | null;
  readonly items: unknown[] = [];
  readonly byes: number[] = [];

  constructor(info: PeerInfo | null = null) {
    super();
    this.peer = info;
  }

  get isClosed(): boolean {
    return !this.isOpen;
  }

  announce(item: unknown): boolean {
    this.items.push(item);
    return true;
  }

  announceKeepAlive(ka: unknown): boolean {
    this.items.push(ka);
    return true;
  }

  setProven(): void {
    if (this.peer !== null) this.peer = { ...this.peer, verified: 'proven' };
  }

  bye(code: number): void {
    this.byes.push(code);
  }

  /** A Link has private parts that no stand-in can have. */
  asLink(): Link {
    return this as unknown as Link;
  }
}

export const closeOf = (why: LinkCloseWhy, byeCode: number | null = null): LinkClose => ({
  why,
  byeCode,
  data: '',
  text: '',
  opened: true,
});

export interface Stage {
  readonly clock: ManualClock;
  readonly ctx: RelayContext;
  readonly counters: Counters;
  /** A connected peer that is in the set of peers. */
  join(
    type: string,
    role: PeerRole,
    wallet: Uint8Array,
    over?: { verified?: Verified; height?: number },
  ): { peer: RelayPeer; link: FakeLink };
}

/** What the parts of a relay share, without sockets. */
export async function relayStage(
  ownWallet: Uint8Array = new Uint8Array(33).fill(0xee),
  limits: Partial<RelayLimits> = {},
): Promise<Stage> {
  const clock = new ManualClock(START * 1000);
  const counters = new Counters();
  const network = NETWORKS.reg;
  const all = { ...DEFAULT_RELAY_LIMITS, ...limits };
  const fairness = new Fairness(all, clock, counters);
  const networkSeconds = (): number => Math.floor(clock.nowMs() / 1000);
  const store = new MemoryPresenceStore();
  const tree = new RelayTree();
  followPresences(tree, store);
  const ctx: RelayContext = {
    clock,
    counters,
    limits: all,
    linkLimits: sharedLinkLimits(),
    linkMemory: new LinkMemory(),
    fairness,
    network,
    log: () => undefined,
    ownWallet,
    store,
    presences: new PresenceService({
      store,
      network,
      ownType: 'R',
      ownWallet,
      engine: await engine(),
      now: networkSeconds,
      counters,
    }),
    tree,
    peers: new PeerSet(),
    cluster: null,
    sessions: new SessionTable<RelayPeer>(),
    endpoint: new PublicEndpoint('127.0.0.1', '', 1),
    networkSeconds,
  };
  return {
    clock,
    ctx,
    counters,
    join(type, role, wallet, over = {}) {
      const link = new FakeLink({
        address: wallet,
        publicKey: new Uint8Array(0),
        nodeType: type,
        productVersion: 'fake-1.0',
        deviceId: Uint8Array.of(1),
        port: 1,
        timestamp: START,
        observedIp: '127.0.0.1',
        hostname: '127.0.0.1:1',
        verified: over.verified ?? 'signature',
        signedEndpoint: null,
        line: '0.9.8',
        lastBlock: { number: over.height ?? 0, checksum: new Uint8Array(0), version: 12 },
        reportedEndpoint: null,
        timeDifferenceSeconds: 0,
      });
      const peer = new RelayPeer(link.asLink(), role, fairness, clock.nowMs());
      ctx.peers.add(peer);
      return { peer, link };
    },
  };
}

/** 33 bytes that tell wallets apart. */
export const walletOf = (n: number): Uint8Array => new Uint8Array(33).fill(n, 1);
