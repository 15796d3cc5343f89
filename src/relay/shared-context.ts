import { type Clock, systemClock } from '../clock/index.js';
import { Counters } from '../counters/index.js';
import type { VerifyEngine } from '../identity/index.js';
import { LinkMemory, sharedLinkLimits } from '../link/index.js';
import { type PowKnowledge, PresenceService, SlabPresenceStore } from '../presence/index.js';
import { followPresences, RelayTree } from '../sectors/index.js';
import { bytesEqual } from '../wire/index.js';
import type { RelayContext } from './context.js';
import { Fairness } from './fairness.js';
import { DEFAULT_RELAY_LIMITS } from './limits.js';
import { guessPublicIp } from './local-addresses.js';
import { NetworkTime } from './network-time.js';
import type { RelayOptions } from './options.js';
import { PeerSet, type RelayPeer } from './peer.js';
import { PublicEndpoint } from './public-endpoint.js';
import type { RemoteSession } from './remote-session.js';
import { SessionTable } from './sessions.js';

export interface ContextHooks {
  /** What is known now for judging a keep-alive's proof of work. */
  pow(): PowKnowledge;
  /** The own `ip:port`, as others see it, has changed. */
  endpointChanged(text: string): void;
}

/** What the parts of one relay share, made of its options; `port` is the one that it announces. */
export function contextOf(
  options: RelayOptions,
  port: number,
  engine: VerifyEngine,
  hooks: ContextHooks,
): { readonly ctx: RelayContext; readonly store: SlabPresenceStore; readonly time: NetworkTime } {
  const clock: Clock = options.clock ?? systemClock;
  const counters = options.counters ?? new Counters();
  const { network, signer } = options;
  const limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
  const time = new NetworkTime(clock);
  const networkSeconds = (): number => time.nowSeconds();
  const store = new SlabPresenceStore({
    addressesMax: limits.presencesMax,
    bytesMax: limits.presenceBytesMax,
    evicted: (type, reason) =>
      counters
        .counter('ixian_presence_evictions_total', 'Presences given up for want of room', { type, reason })
        .add(),
    isPinned: (w) => bytesEqual(w, signer.address),
  });
  const tree = new RelayTree();
  followPresences(tree, store);
  const ctx: RelayContext = {
    clock,
    counters,
    limits,
    linkLimits: sharedLinkLimits(options.linkLimits),
    linkMemory: new LinkMemory(limits.queueBytesTotalMax, limits.receiveBytesTotalMax),
    fairness: new Fairness(limits, clock, counters),
    network,
    log: options.log ?? (() => undefined),
    ownWallet: signer.address,
    store,
    presences: new PresenceService({
      store,
      network,
      ownType: 'R',
      ownWallet: signer.address,
      engine,
      now: networkSeconds,
      counters,
      pow: hooks.pow,
    }),
    tree,
    peers: new PeerSet(),
    sessions: new SessionTable<RelayPeer | RemoteSession>(),
    cluster: null,
    endpoint: new PublicEndpoint(options.externalIp ?? null, guessPublicIp(), port, hooks.endpointChanged),
    networkSeconds,
  };
  return { ctx, store, time };
}
