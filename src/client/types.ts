import type { Clock } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { Signer, VerifyEngine } from '../identity/index.js';
import type { LinkLimits, Transport } from '../link/index.js';
import type { PresenceAddress } from '../presence/index.js';
import type { Network } from '../wire/index.js';
import type { ClientStorage } from './storage.js';

/** A relay to begin with; one of `host` and `wsUrl` is enough. */
export interface RelaySeed {
  /** `host:port` of its TCP endpoint. */
  readonly host?: string;
  /** Raw address of its wallet, when known: another wallet there is then refused (bye 604). */
  readonly wallet?: Uint8Array;
  /** Full URL of its WebSocket; without it `ws://host:(port + 1)/ixian` is tried. */
  readonly wsUrl?: string;
}

/** Whom a {@link Dial} is to reach. */
export interface DialTarget extends RelaySeed {
  /** `ip:port` from the relay's own signed presence; its helloData is signed over it. */
  readonly endpoint?: string;
}

/** An open connection, and what is known about whoever should answer on it. */
export interface Dialled {
  readonly transport: Transport;
  /**
   * `ip:port` texts the answering relay may sign over, where its address cannot be observed (03 §3.5,
   * docs/websocket.md §3).
   */
  readonly expectedEndpoints?: readonly string[];
  /** The wallet that must answer, e.g. from `/v1/info` over https. */
  readonly wallet?: Uint8Array;
}

/** Opens a connection to a relay. Rejects when it cannot be reached. */
export type Dial = (target: DialTarget) => Promise<Dialled>;

/** Every number of a client that an application may change. Units last. */
export interface ClientLimits {
  /** Own-sector relays held open: the primary and its warm standbys (docs/protocol/08 §2). */
  readonly sectorConnections: number;
  /** Connections to contacts' relays beyond those; the least recently used goes first. */
  readonly peerConnectionsMax: number;
  /** A contact's relay stays connected this long after the last message: replies may come through it (08 §4). */
  readonly peerIdleMs: number;
  /** How long two relays asked for a presence may be silent before the next two are asked. */
  readonly presenceAnswerMs: number;
  /** How long relays may take to name a sector's relays. */
  readonly sectorAnswerMs: number;
  /** Own sector asked anew (08 §3.1). */
  readonly sectorRefreshMs: number;
  /** Requests of strangers that wait for the user; more are dropped. */
  readonly contactRequestsMax: number;
  /** Longest message text, UTF-8 bytes: relays pass 2 MiB, and the queue holds many of them. */
  readonly textBytesMax: number;
}

export const defaultClientLimits: ClientLimits = {
  sectorConnections: 3,
  peerConnectionsMax: 24,
  peerIdleMs: 60_000,
  presenceAnswerMs: 1_500,
  sectorAnswerMs: 4_000,
  sectorRefreshMs: 300_000,
  contactRequestsMax: 100,
  textBytesMax: 100_000,
};

/** Everything a client is opened with. */
export interface ClientOptions {
  /** A signer, or the serialized private key (docs/protocol/02 §2.1) of the wallet. */
  readonly wallet: Signer | Uint8Array;
  readonly network: Network;
  /** Relays to begin with; those of the own sector are found and remembered from then on. */
  readonly relays: readonly RelaySeed[];
  readonly storage: ClientStorage;
  readonly dial: Dial;
  /** Accept every request of a stranger without asking. Default false. */
  readonly autoAccept?: boolean;
  /** Tell strangers that they may ask at all. Default true. */
  readonly allowRequests?: boolean;
  /** Tell senders when a message was shown, see {@link StarlingClient.markRead}. Default true. */
  readonly readReceipts?: boolean;
  /** Name that contacts see. */
  readonly nick?: string;
  /** At most 20 characters. */
  readonly productVersion?: string;
  /**
   * Come back to a relay that was left a short while ago without signing anew, where it offers that
   * (docs/resumption.md). Default true.
   */
  readonly resumeSessions?: boolean;
  readonly limits?: Partial<ClientLimits>;
  readonly linkLimits?: Partial<LinkLimits>;
  readonly clock?: Clock;
  readonly engine?: VerifyEngine;
  readonly counters?: Counters;
}

/** Machine-readable reasons of {@link ClientError}. */
export type ClientErrorCode =
  | 'not-connected'
  | 'unknown-contact'
  | 'own-address'
  | 'nothing-to-accept'
  | 'text-too-long'
  | 'storage'
  | 'stopped';

/** A call that could not be carried out; `code` is for programs, the message for people. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  constructor(
    readonly code: ClientErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** One way to a wallet that passed every check. */
export interface FoundEndpoint {
  /** Relay (`ip:port`) that delivers to this device. */
  readonly hostname: string;
  readonly device: Uint8Array;
  /** Network seconds of the signed claim. */
  readonly lastSeen: number;
  readonly nodeVersion: string;
}

/** An endpoint that did not survive the checks, and why. */
export interface DroppedEndpoint {
  /** Its hostname, null when it did not even decode. */
  readonly endpoint: string | null;
  readonly reason: string;
}

/** What a look-up brought (docs/protocol/08 §4 steps 1–4). */
export interface FindResult {
  /** Address as text. */
  readonly address: string;
  /** Null when nobody knew the wallet. */
  readonly publicKey: Uint8Array | null;
  /** Newest first; empty: offline as far as all asked relays know. */
  readonly endpoints: readonly FoundEndpoint[];
  readonly dropped: readonly DroppedEndpoint[];
  /** Endpoints of the relays that were asked for the presence. */
  readonly relaysAsked: readonly string[];
  /** Relays of the wallet's sector. */
  readonly sectorRelays: readonly string[];
  readonly timings: {
    readonly sectorMs: number;
    readonly presenceMs: number;
    readonly totalMs: number;
    /** Request–answer exchanges that had to wait for each other, dialling not counted. */
    readonly roundTrips: number;
  };
}

/** A verified presence as the client keeps it. */
export interface VerifiedEndpoints {
  readonly publicKey: Uint8Array;
  readonly addresses: readonly PresenceAddress[];
  readonly dropped: readonly DroppedEndpoint[];
}
