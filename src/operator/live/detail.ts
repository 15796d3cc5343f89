import { addressText, sectorPrefix } from '../../identity/index.js';
import type { PeerSnapshot } from '../../relay/index.js';
import type { ApiBackend } from '../api/backend.js';
import type { LiveDetail, LivePeer, LiveRelay } from './messages.js';

/** Relays drawn on the ring: more cannot be told apart. */
export const liveRingMax = 360;
/** Ledger nodes and relays listed, and clients listed as busiest. */
export const livePeersMax = 100;
export const liveBusiestMax = 20;

/** Place of a wallet on the ring of sectors, 0 … 1: the first 48 bits of its prefix. */
export function ringPosition(wallet: Uint8Array): number {
  const prefix = sectorPrefix(wallet);
  let value = 0;
  for (let i = 0; i < 6; i++) value = value * 256 + prefix[i]!;
  return value / 2 ** 48;
}

function livePeer(p: PeerSnapshot): LivePeer {
  return {
    id: p.id,
    role: p.role,
    type: p.type,
    address: p.address,
    remote: p.remote,
    version: p.version,
    transport: p.transport,
    sinceMs: p.sinceMs,
    bytes: p.bytesIn + p.bytesOut,
    messages: p.messagesIn + p.messagesOut,
    queuedBytes: p.queuedBytes,
    height: p.height,
  };
}

/** Evenly chosen, the own relay always among them. */
function ringOf(b: ApiBackend): LiveRelay[] {
  const { control } = b.relay;
  const all = control.relays();
  const step = Math.max(1, all.length / liveRingMax);
  const chosen = new Set<Uint8Array>();
  for (let i = 0; i < all.length; i += step) chosen.add(all[Math.floor(i)]!);
  const own = all.find((w) => control.isOwn(w)) ?? b.relay.address;
  chosen.add(own);
  const connected = control.connectedWallets();
  return [...chosen].map((w) => {
    const address = addressText(w);
    return {
      address,
      endpoint: control.presence(w)?.addresses.find((a) => a.type === 'R')?.hostname ?? '',
      position: ringPosition(w),
      own: control.isOwn(w),
      connected: connected.has(address),
    };
  });
}

/** Connections of the other processes of this relay. */
export interface OtherPeers {
  readonly busiest: readonly PeerSnapshot[];
  readonly servers: readonly PeerSnapshot[];
}

/** The lists of the dashboard, as they are now. */
export function detailOf(b: ApiBackend, others: OtherPeers | null = null): LiveDetail {
  const { control } = b.relay;
  const { busiest = [], servers = [] } = others ?? {};
  const bytes = (p: PeerSnapshot): number => p.bytesIn + p.bytesOut;
  return {
    kind: 'detail',
    ring: ringOf(b),
    ringTotal: control.relays().length,
    peers: [...control.servers(livePeersMax), ...servers].slice(0, livePeersMax).map(livePeer),
    busiest: (others === null
      ? control.busiest(liveBusiestMax)
      : // Of each process the most moved of late, then by all they moved.
        [...control.busiest(liveBusiestMax), ...busiest].sort((x, y) => bytes(y) - bytes(x))
    )
      .slice(0, liveBusiestMax)
      .map(livePeer),
    bans: b.bans.list().map(({ target, reason, expires }) => ({ target, reason, expires })),
    log: b.log.recent,
  };
}
