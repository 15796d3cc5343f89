import type { Clock } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { VerifyEngine, VerifyItem } from '../identity/index.js';
import type { Network, ProtocolLine } from '../wire/index.js';
import type { LinkLimits } from './limits.js';
import type { Link } from './link.js';
import type { LinkMemory } from './link-memory.js';
import type { TicketIssuer, TicketStore } from './resumption.js';
import type { TransportCloseReason } from './transport.js';

/** Who opened the connection: `in` = the peer dialled us, `out` = we dialled. */
export type Direction = 'in' | 'out';

/**
 * How much is known about the peer's claim to its wallet (07 §9.1, proof of key).
 * `none`: claimed only. `signature`: its hello verified. `proven`: {@link Link.setProven} was called, e.g. after
 * a newer keep-alive of that wallet.
 */
export type Verified = 'none' | 'signature' | 'proven';

/** A block as helloData names it (03 §3.3). */
export interface BlockTip {
  readonly number: number;
  /** Empty when unknown. */
  readonly checksum: Uint8Array;
  readonly version: number;
}

/** Host and port that others reach a node at. */
export interface Endpoint {
  /** Dotted IPv4, `''` when not known. */
  readonly ip: string;
  readonly port: number;
}

/** One request for a signature of our own key. */
export interface SignRequest {
  readonly message: Uint8Array;
  /** Unix milliseconds of the link's clock after which the answer is of no use. */
  readonly deadlineMs: number;
  /** True once the peer has gone: a queue must skip the request instead of signing for nobody. */
  abandoned(): boolean;
}

/** Signs, or returns null when it cannot before the deadline (the peer then gets bye 700). */
export type SignHook = (request: SignRequest) => Promise<Uint8Array | null>;

/** One question about a hello's signature, with the terms on which its answer is of use. */
export interface VerifyRequest {
  readonly item: VerifyItem;
  readonly deadlineMs: number;
  /** True once the peer has gone: nothing is verified for nobody. */
  abandoned(): boolean;
}

/** Verifies, or returns null when it cannot before the deadline or nobody waits (the peer then gets bye 700). */
export type VerifyHook = (request: VerifyRequest) => Promise<boolean | null>;

/** What we tell others about ourselves. Read anew for every hello, so it may change while links are open. */
export interface SelfInfo {
  readonly network: Network;
  /** One ASCII letter: M, H, R, C or W. */
  readonly nodeType: string;
  /** Raw address, 33 or 45 bytes. */
  readonly address: Uint8Array;
  /** Public key in Ixian encoding. */
  readonly publicKey: Uint8Array;
  /** At most 20 characters, e.g. `starling-0.1.0`. */
  readonly productVersion: string;
  readonly deviceId: Uint8Array;
  /** What our hellos are signed over; for C that of the primary relay, `{ ip: '', port: 0 }` before there is one. */
  publicEndpoint(): Endpoint;
  /** Network-adjusted Unix time in milliseconds (03 §5.3). */
  networkTimeMs(): number;
  /**
   * The tip for helloData. Null: not ready, the peer gets bye 700. A node that runs without a chain gives
   * height 0 with an empty checksum instead.
   */
  tip(): BlockTip | null;
  readonly sign: SignHook;
  /**
   * Accepting side, asked before a hello costs an RSA operation. Null or absent: helloData can be signed by that
   * time. Else the hello is refused with bye 700, whose data says after how many milliseconds to try again.
   */
  busy?(deadlineMs: number): number | null;
}

/** What a peer said of itself and what we found out. */
export interface PeerInfo {
  /** Raw address, 33 or 45 bytes, bound to `publicKey`. */
  readonly address: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly nodeType: string;
  readonly productVersion: string;
  readonly deviceId: Uint8Array;
  /** Advertised port, unchecked range. */
  readonly port: number;
  readonly timestamp: number;
  /** Source address of the connection, `''` when it cannot be known. */
  readonly observedIp: string;
  /** `observedIp:port` for types other than C, `''` for C (03 §3.5 step 8). */
  readonly hostname: string;
  readonly verified: Verified;
  /** The endpoint text its signature verified with, null when it did not. */
  readonly signedEndpoint: string | null;
  readonly line: ProtocolLine;
  /** From helloData (dialled links only). */
  readonly lastBlock: BlockTip | null;
  /** helloData field 14: our `ip:port` as the peer sees it; null when absent (dialled links only). */
  readonly reportedEndpoint: string | null;
  /** Seconds by which our clock is ahead of the peer's (03 §2.4), 0 without samples. */
  readonly timeDifferenceSeconds: number;
}

export type Priority = 'high' | 'normal' | 'low';

/** Why a link ended. */
export type LinkCloseWhy =
  | 'bye-sent'
  | 'bye-received'
  | 'hello-timeout'
  | 'silence'
  | 'write-stall'
  /** Its queue stayed full for too long although it reads: told with a bye. */
  | 'slow-receiver'
  | 'frame-too-large'
  /** Too much was said before the hello. */
  | 'pre-hello-bytes'
  /** What was said before the hello began nothing that a peer says. */
  | 'pre-hello-garbage'
  /** All links together hold too much of unfinished frames, and this one asked for more. */
  | 'receive-memory'
  | 'remote-end'
  | 'transport-error'
  | 'transport-violation'
  | 'destroyed';

/** Why a link ends whose transport did. */
export const TRANSPORT_END: { readonly [R in TransportCloseReason]: LinkCloseWhy } = {
  remote: 'remote-end',
  local: 'destroyed',
  error: 'transport-error',
  violation: 'transport-violation',
};

export interface LinkClose {
  readonly why: LinkCloseWhy;
  /** Code of the bye sent or received, else null. */
  readonly byeCode: number | null;
  /** `data` member of that bye, e.g. the IP of bye 600. */
  readonly data: string;
  readonly text: string;
  /** True when the handshake had been completed. */
  readonly opened: boolean;
}

/** Traffic of one link so far. */
export interface LinkStats {
  readonly sinceMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What happens on a link. All called from the event loop, never inside a call of the link's own methods. */
export interface LinkHandlers {
  /** Handshake complete: `link.peer` is set. For accepted links helloData is already queued. */
  onOpen?(link: Link): void;
  /**
   * A message after the handshake (never codes 0, 1, 2), CRC verified, not empty. `payload` is a view valid
   * only during the call: copy what must outlive it.
   */
  onMessage?(link: Link, code: number, payload: Uint8Array): void;
  /** Bytes arrived after the handshake, of whatever kind; once per chunk, before what is in it is handed out. */
  onBytes?(link: Link, bytes: number): void;
  /** The end, exactly once. */
  onClose?(link: Link, close: LinkClose): void;
  /** Queues fell below half after a refused send: more may be sent. */
  onDrain?(link: Link): void;
  /**
   * A handler, the signer or the engine threw something other than a DecodeError (which is counted as a
   * malformed message). Absent: it is thrown on, into the event loop.
   */
  onError?(link: Link, error: unknown): void;
}

/** Connection limits of the accepting side (03 §3.5 steps 10 and 11). */
export interface AdmissionLimits {
  readonly mastersMax: number;
  readonly clientsMax: number;
  /** Connected M and H without this one. */
  masters(): number;
  /** Inbound connections that count towards `clientsMax`, this one included. */
  clients(): number;
}

/** Decisions that belong to the node, not to the protocol. Everything is optional; absent = not checked. */
export interface HandshakePolicy {
  readonly limits?: AdmissionLimits;
  /** 03 §3.5 step 7. `endpoint` is `observedIp:port`. */
  blacklisted?(address: Uint8Array, endpoint: string): boolean;
  /** Step 12: the balance as text when it is below the minimum for M and H, null when it suffices. */
  insufficientBalance?(address: Uint8Array): Promise<string | null>;
  /** Step 13: connectivity probe of `ip:port`; see node/probe.ts. Absent: M, H and R are not probed. */
  probe?(endpoint: string): Promise<boolean>;
  /** C hellos whose signature no candidate verifies: `accept` them unproven (default) or `refuse` with bye 600. */
  readonly unverifiedClients?: 'accept' | 'refuse';
  /** Endpoints of known relays with that port: further candidates for the signature of a C hello. */
  relayEndpoints?(port: number): readonly string[];
  /** Step 9, dialling side: the wallet that must answer. */
  readonly expectedWallet?: Uint8Array | null;
  /**
   * Dialling side where the peer's address cannot be observed (WebSocket): `ip:port` texts that helloData may
   * be signed over, from the presence that was dialled or the relay's `/v1/info`.
   */
  readonly expectedEndpoints?: readonly string[];
  /** Dialling side: false refuses this type of server with bye 400. */
  acceptsServerType?(nodeType: string): boolean;
  /** Dialling side: the highest known height when the server is too far behind it (bye 602), else null. */
  tooFarBehind?(lastBlock: BlockTip, nodeType: string): number | null;
}

export interface LinkOptions {
  readonly direction: Direction;
  readonly self: SelfInfo;
  readonly clock: Clock;
  readonly engine: VerifyEngine;
  /** Verifies hellos in place of `engine`, e.g. a queue with a limit. */
  readonly verifyHello?: VerifyHook;
  readonly counters: Counters;
  readonly handlers: LinkHandlers;
  readonly policy?: HandshakePolicy;
  /** Accepting side: lets clients that ask come back without signatures (docs/resumption.md). */
  readonly issuer?: TicketIssuer;
  /** Dialling side: asks for tickets, and comes back with one. */
  readonly tickets?: TicketStore;
  /** Overrides of {@link defaultLinkLimits}; see {@link sharedLinkLimits} for limits that change. */
  readonly limits?: Partial<LinkLimits>;
  /** What all links of the node hold together; a bound of its own when absent. */
  readonly memory?: LinkMemory;
  /** Own challenge of a dialled link, 0…2^31−2; random when absent. For replays of recorded sessions. */
  readonly challenge?: number;
}
