import { bytesEqual, fromHex, toHex } from '../wire/index.js';
import type { SessionKeys } from './encryption.js';
import type { PendingAgreement } from './key-agreement.js';
import { capabilitiesDefault } from './payloads/contact.js';

/** How far the contact set-up has come (docs/protocol/07 §6.1). */
export type HandshakeStatus = 0 | 1 | 2 | 3;

/**
 * `normal`: a contact of the user's list. `socketIn` and `socketOut`: the two ends of a temporary secure
 * channel (07 §12), in memory only: someone opened it to us, or we under a one-time key to someone.
 */
export type ContactKind = 'normal' | 'socketIn' | 'socketOut';

/** Everything the messages room knows about one contact. Plain data; {@link contactToJson} persists it. */
export interface ContactState {
  /** Raw address. */
  readonly address: Uint8Array;
  readonly kind: ContactKind;
  /** The user asked for, or agreed to, this contact. */
  readonly approved: boolean;
  readonly handshakeStatus: HandshakeStatus;
  /** 0 until the peer's version is known. */
  readonly protocolVersion: number;
  /** The peer's capability bits (07 §6.2). */
  readonly capabilities: number;
  /** RSA key of the peer; once set it is never replaced (07 §6.3). */
  readonly publicKey: Uint8Array | null;
  /** Null: show the address. */
  readonly nick: string | null;
  readonly aesKey: Uint8Array | null;
  readonly chachaKey: Uint8Array | null;
  /** Ephemeral private keys of an acceptAdd2 that keys2 has not answered yet; erased by it. */
  readonly pending: PendingAgreement | null;
  /** Network time of the own request that no acceptAdd2 has answered yet. */
  readonly requestedAt: number | null;
  /** Both sides asked: network time from which the own acceptAdd2 may go out (07 §6.3 "glare"). */
  readonly acceptAfter: number | null;
  /** Newest handshake timestamps in both directions, network seconds. */
  readonly lastReceivedHandshake: number;
  readonly lastSentHandshake: number;
  /** Ids (hex) of the last messages taken from this contact, oldest first. */
  readonly seen: readonly string[];
}

/** Message ids remembered per contact: more than any queue of unconfirmed messages holds. */
export const seenIdsMax = 512;

/** A contact nothing has been exchanged with. */
export function newContact(address: Uint8Array, fields: Partial<ContactState> = {}): ContactState {
  return {
    kind: 'normal',
    approved: false,
    handshakeStatus: 0,
    protocolVersion: 0,
    capabilities: capabilitiesDefault,
    publicKey: null,
    nick: null,
    aesKey: null,
    chachaKey: null,
    pending: null,
    requestedAt: null,
    acceptAfter: null,
    lastReceivedHandshake: 0,
    lastSentHandshake: 0,
    seen: [],
    ...fields,
    address,
  };
}

/** The session keys once both are known. */
export function sessionKeysOf(c: ContactState): SessionKeys | null {
  return c.aesKey === null || c.chachaKey === null ? null : { aesKey: c.aesKey, chachaKey: c.chachaKey };
}

/** True when messages under the session keys may be sent: the peer is known to have them. */
export function isEstablished(c: ContactState): boolean {
  return c.handshakeStatus === 3 && sessionKeysOf(c) !== null;
}

/** True when this message id was already taken from the contact. */
export function hasSeen(c: ContactState, id: Uint8Array): boolean {
  return c.seen.includes(toHex(id));
}

/** The remembered ids with one more, the oldest dropped above {@link seenIdsMax}. */
export function withSeen(c: ContactState, id: Uint8Array): readonly string[] {
  return [...c.seen.slice(Math.max(0, c.seen.length + 1 - seenIdsMax)), toHex(id)];
}

/** True when both states hold the same session keys. */
export function sameKeys(a: ContactState, b: ContactState): boolean {
  const ka = sessionKeysOf(a);
  const kb = sessionKeysOf(b);
  if (ka === null || kb === null) return false;
  return bytesEqual(ka.aesKey, kb.aesKey) && bytesEqual(ka.chachaKey, kb.chachaKey);
}

/** {@link ContactState} with every byte field as lower-case hex. */
export interface ContactJson {
  readonly address: string;
  readonly kind: ContactKind;
  readonly approved: boolean;
  readonly handshakeStatus: HandshakeStatus;
  readonly protocolVersion: number;
  readonly capabilities: number;
  readonly publicKey: string | null;
  readonly nick: string | null;
  readonly aesKey: string | null;
  readonly chachaKey: string | null;
  readonly pending: Readonly<Record<keyof PendingAgreement, string>> | null;
  readonly requestedAt: number | null;
  readonly acceptAfter: number | null;
  readonly lastReceivedHandshake: number;
  readonly lastSentHandshake: number;
  readonly seen: readonly string[];
}

const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));
const bytesOrNull = (s: string | null): Uint8Array | null => (s === null ? null : fromHex(s));

/** For storage. Holds secrets: keep it where the wallet is kept. */
export function contactToJson(c: ContactState): ContactJson {
  return {
    ...c,
    address: toHex(c.address),
    publicKey: hexOrNull(c.publicKey),
    aesKey: hexOrNull(c.aesKey),
    chachaKey: hexOrNull(c.chachaKey),
    pending:
      c.pending === null
        ? null
        : {
            ecdhPrivateKey: toHex(c.pending.ecdhPrivateKey),
            mlKemPrivateKey: toHex(c.pending.mlKemPrivateKey),
            aesSalt: toHex(c.pending.aesSalt),
          },
  };
}

/** Inverse of {@link contactToJson}. @throws DecodeError for text that is not hex. */
export function contactFromJson(j: ContactJson): ContactState {
  return {
    ...j,
    address: fromHex(j.address),
    publicKey: bytesOrNull(j.publicKey),
    aesKey: bytesOrNull(j.aesKey),
    chachaKey: bytesOrNull(j.chachaKey),
    pending:
      j.pending === null
        ? null
        : {
            ecdhPrivateKey: fromHex(j.pending.ecdhPrivateKey),
            mlKemPrivateKey: fromHex(j.pending.mlKemPrivateKey),
            aesSalt: fromHex(j.pending.aesSalt),
          },
  };
}
