import { addressFromKey } from '../identity/index.js';
import { bytesEqual, DecodeError } from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import {
  deviceBytesMax,
  halfIntervalSeconds,
  hostnameChangeStepSeconds,
  isPresenceType,
  nodeVersionUnitsMax,
  publicKeyBytesMax,
  publicKeyBytesMin,
} from './constants.js';
import { keepAliveOf } from './keep-alive.js';
import type { Presence } from './presence.js';
import { type ClaimContext, type ClaimVerdict, judgeClaim } from './rules-claim.js';
import { type TimeProblem, timeProblem } from './rules-time.js';

/** Why a whole presence is refused (docs/protocol/05 §7.4). */
export type PresenceProblem = 'key-length' | 'foreign-key' | 'no-address';

/**
 * Rule 1 of 05 §7.4 and the strict rule before it: a key of 32 to 2500 bytes whose address is the wallet.
 * Nothing else of the packet is looked at when this fails.
 */
export function keyProblem(p: Presence): PresenceProblem | null {
  const size = p.publicKey.length;
  if (size < publicKeyBytesMin || size > publicKeyBytesMax) return 'key-length';
  try {
    return bytesEqual(addressFromKey(p.publicKey), p.wallet) ? null : 'foreign-key';
  } catch (e) {
    // A key that cannot become an address belongs to no wallet.
    if (e instanceof DecodeError) return 'foreign-key';
    throw e;
  }
}

/** Why one endpoint is dropped from a presence before its signature is looked at. */
export type AddressProblem = 'device-length' | 'node-version' | TimeProblem | ClaimVerdict['problem'];

/** Rule 2 of 05 §7.4 in its order, except for the RSA operation. */
export function judgeAddress(
  wallet: Uint8Array,
  a: PresenceAddress,
  now: number,
  ctx: ClaimContext,
): { readonly problem: AddressProblem; readonly powVerified: boolean } {
  if (a.device.length > deviceBytesMax) return { problem: 'device-length', powVerified: false };
  if (a.nodeVersion.length > nodeVersionUnitsMax) return { problem: 'node-version', powVerified: false };
  const time = timeProblem(a.lastSeen, now);
  if (time !== null) return { problem: time, powVerified: false };
  return judgeClaim(keepAliveOf(wallet, a), ctx);
}

/** Why an endpoint does not reach the store (05 §8.2 A rule 1). */
export type EntryProblem = 'unsigned' | 'type' | TimeProblem;

/** Rule A1 of 05 §8.2: signed, of a stored type, inside the time window. */
export function entryProblem(a: PresenceAddress, now: number): EntryProblem | null {
  if (a.signature === null) return 'unsigned';
  if (!isPresenceType(a.type)) return 'type';
  return timeProblem(a.lastSeen, now);
}

/** What of a stored endpoint decides whether gossip moves it. */
export type StoredClaim = Pick<PresenceAddress, 'lastSeen' | 'hostname' | 'signature'>;

/**
 * Rule A3 of 05 §8.2: an endpoint from updatePresence replaces the stored one of its device when that has no
 * signature, when it is more than half an interval newer, or when the hostname differs and it is at least
 * 2 s newer. The interval is the one of the incoming type.
 */
export function replacesStored(stored: StoredClaim, incoming: PresenceAddress): boolean {
  if (stored.signature === null) return true;
  if (!isPresenceType(incoming.type)) return false;
  if (stored.lastSeen + halfIntervalSeconds(incoming.type) < incoming.lastSeen) return true;
  return (
    incoming.hostname !== stored.hostname && stored.lastSeen + hostnameChangeStepSeconds <= incoming.lastSeen
  );
}
