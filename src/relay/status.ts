import type { LeaderState } from './cluster-ledger.js';
import type { RelayContext } from './context.js';
import type { LedgerSide } from './ledger-side.js';
import type { NetworkTime } from './network-time.js';
import type { OutboundSides } from './outbound-sides.js';

/** What a relay reports of itself. */
export interface RelayStatus {
  readonly address: Uint8Array;
  readonly endpoint: string;
  readonly connections: number;
  readonly sessions: number;
  readonly ledgerPeers: number;
  readonly sectorPeers: number;
  readonly presences: number;
  readonly relaysKnown: number;
  readonly height: number;
  /** Height of the network by the ledger nodes' word, the own one with fewer than three of them (09 §12). */
  readonly networkHeight: number;
  /** Unix seconds of the last header, 0 without one; its block version, 0 without one. */
  readonly headerSeconds: number;
  readonly blockVersion: number;
  /** Network second of the own keep-alive that was sent last, 0 before the first. */
  readonly announcedSeconds: number;
  /** Seconds by which the machine's clock is ahead of the network's, as applied (03 §5.3). */
  readonly timeDifferenceSeconds: number;
  /** The same before it is clamped, for the operator. */
  readonly unclampedTimeDifferenceSeconds: number;
}

/**
 * What a relay reports now. `ledger` and `outbound` are null where another process of it holds them: then it tells what
 * that one said last.
 */
export function statusOf(
  ctx: RelayContext,
  ledger: LedgerSide | null,
  outbound: OutboundSides | null,
  time: NetworkTime,
  announcedSeconds: number,
): RelayStatus {
  const { peers, sessions, store, tree, endpoint, ownWallet, cluster } = ctx;
  const followed = ledger === null ? cluster?.ledger.state : null;
  return {
    address: ownWallet,
    endpoint: endpoint.text,
    connections: peers.size,
    // Those of this process: the table also holds the other processes' ones.
    sessions: sessions.sessions - sessions.remoteSessions,
    ledgerPeers: outbound?.ledgerLinks.length ?? followed?.ledgerPeers ?? 0,
    sectorPeers: outbound?.sectorLinks.length ?? followed?.sectorPeers ?? 0,
    presences: store.addresses,
    relaysKnown: tree.size,
    height: ledger?.chain.height ?? followed?.height ?? 0,
    networkHeight: ledger?.networkHeight() ?? followed?.networkHeight ?? 0,
    headerSeconds: ledger?.chain.tip?.timestamp ?? followed?.headerSeconds ?? 0,
    blockVersion: ledger?.chain.tip?.version ?? followed?.blockVersion ?? 0,
    announcedSeconds,
    timeDifferenceSeconds: time.differenceSeconds,
    unclampedTimeDifferenceSeconds: time.unclampedSeconds,
  };
}

/** What the leading process tells the others, but for the checksums of its last blocks. */
export function leaderStateOf(
  ctx: RelayContext,
  ledger: LedgerSide,
  outbound: OutboundSides | null,
  time: NetworkTime,
): Omit<LeaderState, 'blocks'> {
  const { chain } = ledger;
  return {
    height: chain.height,
    checksum: Buffer.from(chain.tip?.checksum ?? new Uint8Array(0)).toString('hex'),
    blockVersion: chain.tip?.version ?? 0,
    headerSeconds: chain.tip?.timestamp ?? 0,
    networkHeight: ledger.networkHeight(),
    timeDifferenceSeconds: time.differenceSeconds,
    unclampedSeconds: time.unclampedSeconds,
    endpointIp: ctx.endpoint.ip,
    ledgerPeers: outbound?.ledgerLinks.length ?? 0,
    sectorPeers: outbound?.sectorLinks.length ?? 0,
  };
}
