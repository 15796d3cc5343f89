import type { Clock } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { Signer, VerifyEngine } from '../identity/index.js';
import type { HeaderStorage } from '../ledger/index.js';
import type { LinkLimits, Transport } from '../link/index.js';
import type { Network } from '../wire/index.js';
import type { ClusterOptions } from './cluster-side.js';
import type { RelayLog } from './context.js';
import type { RelayLimits } from './limits.js';
import type { Candidate } from './outbound.js';
import type { TunnelLimits } from './tunnel-limits.js';

/** TLS of the WebSocket port, PEM files. */
export interface RelayTls {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Everything a relay is started with. Only network and signer have no default. */
export interface RelayOptions {
  readonly network: Network;
  readonly signer: Signer;
  /**
   * Set in a process that is one of several: it listens nowhere, its connections come through
   * `Relay.adopt` and `Relay.adoptWeb`.
   */
  readonly cluster?: ClusterOptions;
  /** Address to listen on; default every IPv4 address. */
  readonly host?: string;
  /** TCP port; default of the network, 0 lets the system choose. */
  readonly port?: number;
  /** Port that is announced, where it differs from the one listened on (port mapping); default `port`. */
  readonly publicPort?: number;
  /** Port of HTTP and WebSocket; default TCP port + 1, null for none. */
  readonly wsPort?: number | null;
  readonly wsTls?: RelayTls | null;
  /** URL that `/v1/info` names for the WebSocket, when a proxy stands in front. */
  readonly wsUrl?: string | null;
  /** CIDR list of proxies whose forwarding headers are believed. */
  readonly trustedProxies?: readonly string[];
  /** `auto`: uWebSockets.js where it fits, else node:http. */
  readonly httpEngine?: 'auto' | 'uws' | 'node';
  /** Public IPv4, when known; else guessed from the interfaces and corrected by the peers' votes. */
  readonly externalIp?: string | null;
  /** Ledger nodes to begin with. */
  readonly seeds?: readonly Candidate[];
  /** Outbound ledger connections (docs/protocol/03 §5.1). */
  readonly ledgerConnections?: number;
  /** Connections to relays of the own sector and of clients' sectors. */
  readonly sectorConnections?: number;
  /** No ledger at all: the relay is its own sector, height 0, and dials nobody. */
  readonly standalone?: boolean;
  /** Folder for peers and headers; null keeps both in memory. */
  readonly dataDir?: string | null;
  /** Where headers are kept; overrides `dataDir` for them. */
  readonly headerStorage?: HeaderStorage;
  readonly productVersion?: string;
  /** Device id in hello and presence; a relay's is the single byte 1 (05 §3.1). */
  readonly deviceId?: Uint8Array;
  /** What happens to type C hellos whose signature no candidate verifies. */
  readonly unverifiedClients?: 'accept' | 'refuse';
  /** Probe M, H and R that dial us (03 §3.6). */
  readonly probePeers?: boolean;
  /** Who is refused: wallet addresses, `host:port`, IP addresses, CIDR ranges. */
  readonly blacklist?: readonly string[];
  /** Source addresses and CIDR ranges that alone may connect; everybody when empty. */
  readonly allowList?: readonly string[];
  readonly limits?: Partial<RelayLimits>;
  readonly linkLimits?: Partial<LinkLimits>;
  readonly tunnelLimits?: Partial<TunnelLimits>;
  readonly clock?: Clock;
  readonly counters?: Counters;
  /** What verifies hellos and keep-alives; default a verifier that finds out what suits the machine (`openVerifier`). */
  readonly engine?: VerifyEngine;
  readonly log?: RelayLog;
  /** Opens a connection; replaced in tests and replays. */
  readonly dial?: (host: string, port: number, localAddress: string | null) => Promise<Transport>;
  /** Own challenge in dialled hellos; random when absent. For replays of recorded sessions. */
  readonly challenge?: number;
}

/** Name and version in hello and presences: at most 20 characters (03 §3.1). */
export const RELAY_PRODUCT_VERSION = 'starling-0.1.0';
/** S2 uses this device id, and so do relays that replace it. */
export const RELAY_DEVICE_ID: Uint8Array = Uint8Array.of(1);
/** Block version named while no header is known (05 §6.5). */
export const UNKNOWN_BLOCK_VERSION = 12;
