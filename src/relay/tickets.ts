import type { Counters } from '../counters/index.js';
import { addressFromKey, equalSecrets, hmacSha256, randomBytes } from '../identity/index.js';
import {
  type IssuedTicket,
  type PeerInfo,
  type RedeemedTicket,
  type TicketIssuer,
  TicketRefusal,
} from '../link/index.js';
import {
  bytesKey,
  concatBytes,
  DecodeError,
  decodeTicketClaims,
  encodeTicketClaims,
  type TicketClaims,
  ticketIdBytes,
} from '../wire/index.js';
import type { TicketKey, TicketKeys } from './ticket-keys.js';

/**
 * A ticket is good for this long after it was issued. Clients renew it at half of that, so whoever is cut has at
 * least ten minutes to come back.
 */
export const ticketLifetimeSeconds = 1_200;
/** After this long a client has to sign a hello again, however often it came back meanwhile. */
export const ticketOriginSecondsMax = 86_400;
/** A ticket from a second in the future is of a clock that was stepped: so far it is taken. */
const skewSeconds = 60;
/** Used tickets remembered, in two generations of one lifetime each: 100,000 clients, each twice. */
export const usedTicketsMax = 200_000;
const TAG_BYTES = 32;

const TAG = new TextEncoder().encode('starling ticket 1 tag\0');
const SECRET = new TextEncoder().encode('starling ticket 1 secret\0');

const REFUSALS: { readonly [R in TicketRefusal]: string } = {
  1: 'unknown',
  2: 'expired',
  3: 'used',
  4: 'other_source',
};

/** Remembers which tickets were used, for as long as they could be used again, within a bound. */
class UsedTickets {
  #young = new Set<string>();
  #old = new Set<string>();
  #turnedSeconds: number;

  constructor(now: number) {
    this.#turnedSeconds = now;
  }

  #turn(now: number): void {
    // A clock set back keeps what is there; one set forward lets it go sooner, as it does with the tickets.
    if (now - this.#turnedSeconds < ticketLifetimeSeconds + skewSeconds) return;
    this.#old = this.#young;
    this.#young = new Set();
    this.#turnedSeconds = now;
  }

  has(id: string): boolean {
    return this.#young.has(id) || this.#old.has(id);
  }

  /** False when there is no room: then it must not be used. */
  add(id: string, now: number): boolean {
    this.#turn(now);
    if (this.#young.size >= usedTicketsMax >> 1) return false;
    this.#young.add(id);
    return true;
  }
}

/**
 * Issues and redeems the tickets of sessions that resume (docs/resumption.md). Nothing is kept per ticket: what a
 * session was stands in the ticket, authenticated by a local key, and its secret is derived from both. Only the
 * ids of used ones are remembered.
 */
export class Tickets implements TicketIssuer {
  readonly #used: UsedTickets;

  constructor(
    private readonly keys: TicketKeys,
    private readonly counters: Counters,
    private readonly nowSeconds: () => number,
  ) {
    this.#used = new UsedTickets(nowSeconds());
  }

  count(result: string): void {
    this.counters
      .counter('ixian_resumptions_total', 'Tickets of resumable sessions, by what became of them', { result })
      .add();
  }

  /** Clients whose hello signature verified get one, nobody else: it will be worth as much as that signature. */
  issue(peer: PeerInfo): IssuedTicket | null {
    if (peer.nodeType !== 'C' || peer.verified === 'none' || peer.signedEndpoint === null) return null;
    const now = this.nowSeconds();
    return this.#make({
      origin: now,
      line: peer.line,
      nodeType: peer.nodeType,
      productVersion: peer.productVersion,
      deviceId: peer.deviceId,
      publicKey: peer.publicKey,
      port: peer.port,
      signedEndpoint: peer.signedEndpoint,
      // A hello signed over its own source is good from there alone; so is what comes of it.
      source: peer.signedEndpoint === `${peer.observedIp}:${peer.port}` ? peer.observedIp : '',
    });
  }

  #make(claims: Omit<TicketClaims, 'keyId' | 'id' | 'issued'>): IssuedTicket {
    const key = this.keys.current();
    const body = encodeTicketClaims({
      ...claims,
      keyId: key.id,
      id: randomBytes(ticketIdBytes),
      issued: this.nowSeconds(),
    });
    return {
      ticket: concatBytes(body, hmacSha256(key.bytes, TAG, body)),
      secret: secretOf(key, body),
      lifetimeSeconds: ticketLifetimeSeconds,
    };
  }

  #refuse(why: TicketRefusal): TicketRefusal {
    this.count(REFUSALS[why]);
    return why;
  }

  redeem(ticket: Uint8Array, observedIp: string): RedeemedTicket | TicketRefusal {
    const opened = this.#open(ticket);
    if (opened === null) return this.#refuse(TicketRefusal.unknown);
    const { claims, key, body } = opened;
    const now = this.nowSeconds();
    const age = now - claims.issued;
    if (age >= ticketLifetimeSeconds || age < -skewSeconds || now - claims.origin >= ticketOriginSecondsMax)
      return this.#refuse(TicketRefusal.expired);
    if (claims.source !== '' && claims.source !== observedIp) return this.#refuse(TicketRefusal.source);
    const id = bytesKey(claims.id);
    if (this.#used.has(id)) return this.#refuse(TicketRefusal.used);
    return {
      secret: secretOf(key, body),
      peer: {
        address: addressFromKey(claims.publicKey),
        publicKey: claims.publicKey,
        nodeType: claims.nodeType,
        productVersion: claims.productVersion,
        deviceId: claims.deviceId,
        port: claims.port,
        hostname: '',
        verified: 'signature',
        signedEndpoint: claims.signedEndpoint,
        line: claims.line,
        lastBlock: null,
        reportedEndpoint: null,
      },
      spend: () => !this.#used.has(id) && this.#used.add(id, this.nowSeconds()),
      next: () => this.#make(claims),
    };
  }

  /** Null for everything this relay did not write itself. */
  #open(ticket: Uint8Array): { claims: TicketClaims; key: TicketKey; body: Uint8Array } | null {
    const end = ticket.length - TAG_BYTES;
    if (end < 1) return null;
    const body = ticket.slice(0, end);
    try {
      const claims = decodeTicketClaims(body);
      const key = this.keys.byId(claims.keyId);
      if (key === null || !equalSecrets(ticket.slice(end), hmacSha256(key.bytes, TAG, body))) return null;
      return { claims, key, body };
    } catch (error) {
      if (error instanceof DecodeError) return null;
      throw error;
    }
  }
}

function secretOf(key: TicketKey, body: Uint8Array): Uint8Array {
  return hmacSha256(key.bytes, SECRET, body);
}
