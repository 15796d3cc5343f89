import { equalSecrets, randomBytes, rsaOaepEncrypt } from '../identity/index.js';
import {
  askNonceBytes,
  asksForTicket,
  bytesEqual,
  concatBytes,
  DecodeError,
  decodeChallenge,
  decodeOffer,
  decodeProof,
  decodeRenew,
  decodeRenewed,
  decodeResume,
  encodeAsk,
  encodeChallenge,
  encodeOffer,
  encodeProof,
  encodeRenew,
  encodeRenewed,
  encodeResume,
  resumeNonceBytes,
  splitMac,
} from '../wire/index.js';
import {
  clientMac,
  offerCommitment,
  relayMac,
  renewMac,
  sealable,
  transcriptOf,
  unsealed,
  wrapSecret,
} from './resumption-keys.js';
import type { PeerInfo, SelfInfo } from './types.js';

/** A ticket as its owner keeps it: in memory alone, used once. */
export interface HeldTicket {
  readonly ticket: Uint8Array;
  readonly secret: Uint8Array;
  readonly lifetimeSeconds: number;
  /** When it came, by the clock of the link. */
  readonly obtainedMs: number;
  /** Who issued it, as the full handshake found it. */
  readonly relay: PeerInfo;
}

/** Where a dialling link keeps its tickets for this one relay. */
export interface TicketStore {
  /** The ticket to come back with, which is taken out: one use. Null: none, a full hello it is. */
  take(): HeldTicket | null;
  put(ticket: HeldTicket): void;
  /** Opens what the relay sealed under the own wallet's key; null when it does not open. */
  open(sealed: Uint8Array): Promise<Uint8Array | null>;
}

/** A ticket just issued. */
export interface IssuedTicket {
  readonly ticket: Uint8Array;
  readonly secret: Uint8Array;
  readonly lifetimeSeconds: number;
}

/** A ticket that was presented and found good. */
export interface RedeemedTicket {
  readonly peer: Omit<PeerInfo, 'timestamp' | 'observedIp' | 'timeDifferenceSeconds'>;
  readonly secret: Uint8Array;
  /** Marks it as used, in the one step that also looks: false when it has been used meanwhile. */
  spend(): boolean;
  /** The next one, with the same claims. */
  next(): IssuedTicket;
}

/** Why a ticket is not taken; also the byte in the refusal. */
export const TicketRefusal = { unknown: 1, expired: 2, used: 3, source: 4 } as const;
export type TicketRefusal = (typeof TicketRefusal)[keyof typeof TicketRefusal];

/** What an accepting link needs to let clients come back. */
export interface TicketIssuer {
  /** Null: this peer gets none. */
  issue(peer: PeerInfo): IssuedTicket | null;
  redeem(ticket: Uint8Array, observedIp: string): RedeemedTicket | TicketRefusal;
  /** Counts what became of an attempt: `resumed`, `renewed`, `bad_proof`, … */
  count(result: string): void;
}

// --- relay ---------------------------------------------------------------------------------------------------

/** A helloData that carries an offer: what replaces its device id, and what goes behind its last field. */
export interface OfferParts {
  readonly commitment: Uint8Array;
  readonly trailing: Uint8Array;
}

/**
 * The offer for a client whose hello asked for one; null when it did not or gets none. Costs one RSA operation
 * with the client's public key: only the holder of the wallet's key can read the secret, so a recorded hello
 * played again by somebody else brings nothing that could be resumed.
 */
export async function makeOffer(
  issuer: TicketIssuer,
  peer: PeerInfo,
  hello: Uint8Array,
  trailing: Uint8Array | undefined,
  deviceId: Uint8Array,
): Promise<OfferParts | null> {
  if (trailing === undefined || !asksForTicket(trailing)) return null;
  const issued = issuer.issue(peer);
  if (issued === null) return null;
  const sealed = await rsaOaepEncrypt(peer.publicKey, sealable(issued.secret));
  const { ticket, lifetimeSeconds } = issued;
  const offer = encodeOffer({ deviceId, lifetimeSeconds, ticket, sealed });
  issuer.count('offered');
  return { commitment: offerCommitment(hello, offer), trailing: offer };
}

/** A challenge that was sent and waits for its proof. */
export interface PendingResume {
  readonly peer: PeerInfo;
  readonly spend: () => boolean;
  /** Whether this is the one payload that proves knowledge of the secret. */
  proves(payload: Uint8Array): boolean;
}

/** Answers a resume message: the challenge to send and what to wait for, or why not. Throws DecodeError. */
export function challengeResume(
  issuer: TicketIssuer,
  self: SelfInfo,
  endpoint: string,
  observedIp: string,
  timeDifferenceSeconds: number,
  resume: Uint8Array,
): { readonly challenge: Uint8Array; readonly pending: PendingResume } | TicketRefusal {
  const { ticket, nonce, timestamp } = decodeResume(resume);
  const redeemed = issuer.redeem(ticket, observedIp);
  if (typeof redeemed === 'number') return redeemed;
  const tip = self.tip();
  if (tip === null) return TicketRefusal.unknown;
  const { secret } = redeemed;
  const next = redeemed.next();
  const own = randomBytes(resumeNonceBytes);
  const body = encodeChallenge({
    nonce: own,
    endpoint,
    lastBlock: tip.number,
    lastBlockChecksum: tip.checksum.length === 0 ? null : tip.checksum,
    lastBlockVersion: tip.version,
    yourAddress: `${observedIp}:${redeemed.peer.port}`,
    lifetimeSeconds: next.lifetimeSeconds,
    ticket: next.ticket,
    wrapped: wrapSecret(secret, concatBytes(nonce, own), next.ticket, next.secret),
  });
  const transcript = transcriptOf(self.network.lock, resume, body);
  const mac = relayMac(secret, transcript);
  const expected = clientMac(secret, transcript, mac);
  return {
    challenge: concatBytes(body, mac),
    pending: {
      peer: { ...redeemed.peer, timestamp, observedIp, timeDifferenceSeconds },
      spend: redeemed.spend,
      proves: (payload) => equalSecrets(decodeProof(payload), expected),
    },
  };
}

/** Answers a request for a fresh ticket; null when the ticket shown is not one of this peer. Throws DecodeError. */
export function answerRenew(issuer: TicketIssuer, peer: PeerInfo, payload: Uint8Array): Uint8Array | null {
  const { ticket, nonce } = decodeRenew(payload);
  const redeemed = issuer.redeem(ticket, peer.observedIp);
  if (typeof redeemed === 'number') return null;
  const same =
    bytesEqual(redeemed.peer.address, peer.address) && bytesEqual(redeemed.peer.deviceId, peer.deviceId);
  if (!same || !redeemed.spend()) return null;
  const next = redeemed.next();
  const body = encodeRenewed({
    lifetimeSeconds: next.lifetimeSeconds,
    ticket: next.ticket,
    wrapped: wrapSecret(redeemed.secret, nonce, next.ticket, next.secret),
  });
  issuer.count('renewed');
  return concatBytes(body, renewMac(redeemed.secret, nonce, body));
}

// --- client --------------------------------------------------------------------------------------------------

/** Bytes behind a hello that ask for a ticket. */
export function askForTicket(): Uint8Array {
  return encodeAsk(randomBytes(askNonceBytes));
}

/** A helloData's offer, when it has one and the signature over its device id covers it. */
export function takeOffer(
  hello: Uint8Array,
  trailing: Uint8Array | undefined,
  signedDeviceId: Uint8Array,
): {
  readonly deviceId: Uint8Array;
  readonly ticket: Uint8Array;
  readonly sealed: Uint8Array;
  readonly lifetimeSeconds: number;
} | null {
  if (trailing === undefined) return null;
  try {
    const offer = decodeOffer(trailing);
    if (offer === null || !bytesEqual(offerCommitment(hello, trailing), signedDeviceId)) return null;
    return offer;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}

/** Opens the secret of an offer and puts the ticket away. Whatever does not open is forgotten. */
export async function keepOffer(
  store: TicketStore,
  offer: { readonly ticket: Uint8Array; readonly sealed: Uint8Array; readonly lifetimeSeconds: number },
  relay: PeerInfo,
  nowMs: number,
): Promise<void> {
  const plain = await store.open(offer.sealed);
  const secret = plain === null ? null : unsealed(plain);
  if (secret === null) return;
  const { ticket, lifetimeSeconds } = offer;
  store.put({ ticket, secret, lifetimeSeconds, obtainedMs: nowMs, relay });
}

/** A resume message that was sent and waits for its challenge. */
export class ResumeAttempt {
  readonly payload: Uint8Array;
  readonly #nonce = randomBytes(resumeNonceBytes);

  constructor(
    readonly held: HeldTicket,
    private readonly lock: Uint8Array,
    timestamp: number,
  ) {
    this.payload = encodeResume({ nonce: this.#nonce, timestamp, ticket: held.ticket });
  }

  /**
   * The proof to send, who is there, and the next ticket; null when the challenge does not come from a relay that
   * knows the ticket's secret. `endpoints`: what the relay may say its public endpoint is. Throws DecodeError.
   */
  answer(
    challenge: Uint8Array,
    endpoints: (port: number) => readonly string[],
    nowMs: number,
    timeDifferenceSeconds: number,
    observedIp: string,
  ): { readonly proof: Uint8Array; readonly relay: PeerInfo; readonly next: HeldTicket } | null {
    const { body, mac } = splitMac(challenge);
    const { secret, relay: issuer } = this.held;
    const transcript = transcriptOf(this.lock, this.payload, body);
    if (!equalSecrets(mac, relayMac(secret, transcript))) return null;
    const c = decodeChallenge(body);
    const port = Number(c.endpoint.slice(c.endpoint.lastIndexOf(':') + 1));
    // As with a signature over another endpoint: somebody in between passes on what the relay says (03 §3.4).
    if (!endpoints(port).includes(c.endpoint)) return null;
    const relay: PeerInfo = {
      ...issuer,
      port,
      observedIp,
      hostname: `${observedIp}:${port}`,
      signedEndpoint: c.endpoint,
      lastBlock: {
        number: c.lastBlock,
        checksum: c.lastBlockChecksum ?? new Uint8Array(0),
        version: c.lastBlockVersion,
      },
      reportedEndpoint: c.yourAddress,
      timeDifferenceSeconds,
    };
    return {
      proof: encodeProof(clientMac(secret, transcript, mac)),
      relay,
      next: {
        ticket: c.ticket,
        secret: wrapSecret(secret, concatBytes(this.#nonce, c.nonce), c.ticket, c.wrapped),
        lifetimeSeconds: c.lifetimeSeconds,
        obtainedMs: nowMs,
        relay: issuer,
      },
    };
  }
}

/** A request for a fresh ticket that waits for its answer. */
export class RenewAttempt {
  readonly payload: Uint8Array;
  readonly #nonce = randomBytes(resumeNonceBytes);

  constructor(readonly held: HeldTicket) {
    this.payload = encodeRenew({ nonce: this.#nonce, ticket: held.ticket });
  }

  /** The fresh ticket; null when the answer is not from a relay that knows the secret. Throws DecodeError. */
  answer(payload: Uint8Array, nowMs: number): HeldTicket | null {
    const { body, mac } = splitMac(payload);
    const { secret, relay } = this.held;
    if (!equalSecrets(mac, renewMac(secret, this.#nonce, body))) return null;
    const r = decodeRenewed(body);
    const fresh = wrapSecret(secret, this.#nonce, r.ticket, r.wrapped);
    return { ticket: r.ticket, secret: fresh, lifetimeSeconds: r.lifetimeSeconds, obtainedMs: nowMs, relay };
  }
}
