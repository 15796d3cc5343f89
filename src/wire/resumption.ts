import { DecodeError } from './errors.js';
import { hashBytesMax, publicKeyBytesMax } from './limits.js';
import { ByteReader } from './reader.js';
import { ByteWriter } from './writer.js';

/**
 * Messages of the resumption extension (docs/resumption.md). The codes are far above those of the protocol; a peer
 * that does not know them drops them, before the hello as well as after (docs/protocol/03 §2.7, §6).
 */
export const ResumeCode = {
  /** Client: a ticket instead of a hello. */
  resume: 0x5301,
  /** Relay: proves that it knows the ticket's secret, and answers like a helloData. */
  challenge: 0x5302,
  /** Client: proves the same; the session is there. */
  proof: 0x5303,
  /** Relay: not with this ticket; a hello is welcome on the same connection. */
  refused: 0x5304,
  /** Client, in a session: a fresh ticket, please. */
  renew: 0x5305,
  /** Relay: here it is. */
  renewed: 0x5306,
} as const;

/** Version of the extension's messages. */
const VERSION = 1;
export const resumeNonceBytes = 32;
export const resumeMacBytes = 32;
export const resumeSecretBytes = 32;
/** Nonce of a hello that asks for a ticket. */
export const askNonceBytes = 16;
/** Longest ticket: a public key, a device, two short texts and what protects them need about 750. */
export const ticketBytesMax = 1_536;
/** A secret under a 4096-bit key; shorter keys have shorter ciphertexts. */
const sealedBytesMax = 512;
const endpointCharsMax = 64;

/** `SRX1`, behind the last field of a hello or helloData. */
const MARK = Uint8Array.of(0x53, 0x52, 0x58, 0x31);

function takeMark(r: ByteReader): boolean {
  if (r.remaining < MARK.length) return false;
  return r.raw(MARK.length, 'extension.mark').every((b, i) => b === MARK[i]);
}

function fixed(r: ByteReader, n: number, field: string): Uint8Array {
  return r.raw(n, field).slice();
}

function start(payload: Uint8Array, name: string): ByteReader {
  const r = new ByteReader(payload);
  if (r.u8(`${name}.version`) !== VERSION) throw new DecodeError('RANGE', `${name}.version`, 0);
  return r;
}

function present(r: ByteReader, field: string, max: number): Uint8Array {
  const at = r.offset;
  const b = r.vb(field, max);
  if (b.length === 0) throw new DecodeError('EMPTY', field, at);
  return b.slice();
}

/** Behind a hello: "a ticket, please". */
export function encodeAsk(nonce: Uint8Array): Uint8Array {
  return new ByteWriter(32).raw(MARK).raw(nonce).bytes();
}

/** True when the bytes behind a hello ask for a ticket; anything else there is nobody's business. */
export function asksForTicket(trailing: Uint8Array): boolean {
  const r = new ByteReader(trailing);
  return takeMark(r) && r.remaining >= askNonceBytes;
}

/** Behind a helloData: the ticket, and its secret under the client's key. */
export interface TicketOffer {
  /** The relay's device id; its field in helloData carries the commitment instead. */
  readonly deviceId: Uint8Array;
  readonly lifetimeSeconds: number;
  readonly ticket: Uint8Array;
  readonly sealed: Uint8Array;
}

export function encodeOffer(o: TicketOffer): Uint8Array {
  return new ByteWriter(1_536)
    .raw(MARK)
    .vb(o.deviceId)
    .var(o.lifetimeSeconds)
    .vb(o.ticket)
    .vb(o.sealed)
    .bytes();
}

/** Null when there is none. Throws DecodeError when there is one that is broken. */
export function decodeOffer(trailing: Uint8Array): TicketOffer | null {
  const r = new ByteReader(trailing);
  if (!takeMark(r)) return null;
  return {
    deviceId: r.vb('offer.deviceId', 32).slice(),
    lifetimeSeconds: r.uvarInt('offer.lifetime'),
    ticket: present(r, 'offer.ticket', ticketBytesMax),
    sealed: present(r, 'offer.sealed', sealedBytesMax),
  };
}

export interface Resume {
  readonly nonce: Uint8Array;
  /** Unix seconds, as field 9 of a hello. */
  readonly timestamp: number;
  readonly ticket: Uint8Array;
}

export function encodeResume(m: Resume): Uint8Array {
  return new ByteWriter(1_024).u8(VERSION).raw(m.nonce).var(m.timestamp).vb(m.ticket).bytes();
}

export function decodeResume(payload: Uint8Array): Resume {
  const r = start(payload, 'resume');
  return {
    nonce: fixed(r, resumeNonceBytes, 'resume.nonce'),
    timestamp: r.varSafe('resume.timestamp'),
    ticket: present(r, 'resume.ticket', ticketBytesMax),
  };
}

export interface ResumeChallenge {
  readonly nonce: Uint8Array;
  /** What the relay's helloData would be signed over: its public `ip:port`. */
  readonly endpoint: string;
  readonly lastBlock: number;
  readonly lastBlockChecksum: Uint8Array | null;
  readonly lastBlockVersion: number;
  /** The client's `ip:port` as the relay sees it. */
  readonly yourAddress: string;
  readonly lifetimeSeconds: number;
  readonly ticket: Uint8Array;
  /** Secret of the new ticket, masked by the old one's. */
  readonly wrapped: Uint8Array;
}

/** Without the MAC, which goes behind it. */
export function encodeChallenge(m: ResumeChallenge): Uint8Array {
  return new ByteWriter(1_024)
    .u8(VERSION)
    .raw(m.nonce)
    .netstr(m.endpoint)
    .var(m.lastBlock)
    .vb(m.lastBlockChecksum)
    .var(m.lastBlockVersion)
    .netstr(m.yourAddress)
    .var(m.lifetimeSeconds)
    .vb(m.ticket)
    .raw(m.wrapped)
    .bytes();
}

export function decodeChallenge(body: Uint8Array): ResumeChallenge {
  const r = start(body, 'challenge');
  return {
    nonce: fixed(r, resumeNonceBytes, 'challenge.nonce'),
    endpoint: r.netstr('challenge.endpoint', endpointCharsMax),
    lastBlock: r.uvarSafe('challenge.lastBlock'),
    lastBlockChecksum: r.ixiBytes('challenge.lastBlockChecksum', hashBytesMax)?.slice() ?? null,
    lastBlockVersion: r.varSafe('challenge.lastBlockVersion'),
    yourAddress: r.netstr('challenge.yourAddress', endpointCharsMax),
    lifetimeSeconds: r.uvarInt('challenge.lifetime'),
    ticket: present(r, 'challenge.ticket', ticketBytesMax),
    wrapped: fixed(r, resumeSecretBytes, 'challenge.wrapped'),
  };
}

export function encodeProof(mac: Uint8Array): Uint8Array {
  return new ByteWriter(40).u8(VERSION).raw(mac).bytes();
}

/** The MAC of a proof. */
export function decodeProof(payload: Uint8Array): Uint8Array {
  return fixed(start(payload, 'proof'), resumeMacBytes, 'proof.mac');
}

export interface Renew {
  readonly nonce: Uint8Array;
  readonly ticket: Uint8Array;
}

export function encodeRenew(m: Renew): Uint8Array {
  return new ByteWriter(1_024).u8(VERSION).raw(m.nonce).vb(m.ticket).bytes();
}

export function decodeRenew(payload: Uint8Array): Renew {
  const r = start(payload, 'renew');
  return {
    nonce: fixed(r, resumeNonceBytes, 'renew.nonce'),
    ticket: present(r, 'renew.ticket', ticketBytesMax),
  };
}

export interface Renewed {
  readonly lifetimeSeconds: number;
  readonly ticket: Uint8Array;
  readonly wrapped: Uint8Array;
}

/** Without the MAC, which goes behind it. */
export function encodeRenewed(m: Renewed): Uint8Array {
  return new ByteWriter(1_024).u8(VERSION).var(m.lifetimeSeconds).vb(m.ticket).raw(m.wrapped).bytes();
}

export function decodeRenewed(body: Uint8Array): Renewed {
  const r = start(body, 'renewed');
  return {
    lifetimeSeconds: r.uvarInt('renewed.lifetime'),
    ticket: present(r, 'renewed.ticket', ticketBytesMax),
    wrapped: fixed(r, resumeSecretBytes, 'renewed.wrapped'),
  };
}

/** A message and the MAC behind it. Throws DecodeError when it is too short to have one. */
export function splitMac(payload: Uint8Array): { readonly body: Uint8Array; readonly mac: Uint8Array } {
  const at = payload.length - resumeMacBytes;
  if (at < 1) throw new DecodeError('EOF', 'resume.mac', 0);
  return { body: payload.slice(0, at), mac: payload.slice(at) };
}

/** What a relay writes into its tickets and alone reads. */
export interface TicketClaims {
  readonly keyId: number;
  /** Makes the ticket one of a kind. */
  readonly id: Uint8Array;
  /** Unix seconds: when it was issued, and when the full handshake was that it goes back to. */
  readonly issued: number;
  readonly origin: number;
  readonly line: '0.9.7' | '0.9.8';
  readonly nodeType: string;
  readonly productVersion: string;
  readonly deviceId: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly port: number;
  readonly signedEndpoint: string;
  /** The only source address that may use it, '' for any. */
  readonly source: string;
}

export const ticketIdBytes = 16;

export function encodeTicketClaims(c: TicketClaims): Uint8Array {
  return new ByteWriter(1_024)
    .u8(VERSION)
    .u32(c.keyId)
    .raw(c.id)
    .var(c.issued)
    .var(c.origin)
    .u8(c.line === '0.9.7' ? 7 : 8)
    .char(c.nodeType)
    .netstr(c.productVersion)
    .vb(c.deviceId)
    .vb(c.publicKey)
    .var(c.port)
    .netstr(c.signedEndpoint)
    .netstr(c.source)
    .bytes();
}

export function decodeTicketClaims(body: Uint8Array): TicketClaims {
  const r = start(body, 'ticket');
  return {
    keyId: r.u32('ticket.keyId'),
    id: fixed(r, ticketIdBytes, 'ticket.id'),
    issued: r.varSafe('ticket.issued'),
    origin: r.varSafe('ticket.origin'),
    line: r.u8('ticket.line') === 7 ? '0.9.7' : '0.9.8',
    nodeType: r.char('ticket.nodeType'),
    productVersion: r.netstr('ticket.productVersion', 20),
    deviceId: r.vb('ticket.deviceId', 32).slice(),
    publicKey: present(r, 'ticket.publicKey', publicKeyBytesMax),
    port: r.varSafe('ticket.port'),
    signedEndpoint: r.netstr('ticket.signedEndpoint', endpointCharsMax),
    source: r.netstr('ticket.source', endpointCharsMax),
  };
}
