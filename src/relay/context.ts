import type { Clock } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { LinkMemory, SharedLinkLimits } from '../link/index.js';
import type { PresenceService, PresenceStore } from '../presence/index.js';
import type { RelayTree } from '../sectors/index.js';
import type { Network } from '../wire/index.js';
import type { ClusterSide } from './cluster-side.js';
import type { Fairness } from './fairness.js';
import type { RelayLimits } from './limits.js';
import type { PeerSet, RelayPeer } from './peer.js';
import type { PublicEndpoint } from './public-endpoint.js';
import type { RemoteSession } from './remote-session.js';
import type { SessionTable } from './sessions.js';

/** One thing that happened, for the operator's log. Fields hold no secrets. */
export type RelayLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  event: string,
  fields: Readonly<Record<string, string | number | boolean | null>>,
) => void;

/** What all parts of one relay share. The main thread owns all of it: no locks. */
export interface RelayContext {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly limits: RelayLimits;
  /** Bounds of every link, shared by all of them. */
  readonly linkLimits: SharedLinkLimits;
  /** What all links hold together. */
  readonly linkMemory: LinkMemory;
  /** Who may cost how much. */
  readonly fairness: Fairness;
  readonly network: Network;
  readonly log: RelayLog;
  readonly ownWallet: Uint8Array;
  readonly store: PresenceStore;
  readonly presences: PresenceService;
  readonly tree: RelayTree;
  readonly peers: PeerSet;
  readonly sessions: SessionTable<RelayPeer | RemoteSession>;
  /** The other processes of this relay; null when it is one alone. */
  cluster: ClusterSide | null;
  readonly endpoint: PublicEndpoint;
  /** Network time in whole Unix seconds (docs/protocol/03 §5.3). */
  networkSeconds(): number;
}
