import { base58Decode, hasAddressChecksum } from '../identity/index.js';
import { DecodeError, type Network } from '../wire/index.js';
import { hostnameUnitsMax } from './constants.js';

/** Longest base58 text of 48 bytes; longer texts are refused without decoding them. */
const addressCharsMax = 66;

/** `[network, prefix bits]` of every range that is not public (docs/protocol/05 §7.2). */
const NOT_PUBLIC: readonly (readonly [number, number])[] = [
  [ip(0, 0, 0, 0), 8], // "this network": the reference takes it, no honest node uses it
  [ip(10, 0, 0, 0), 8],
  [ip(100, 64, 0, 0), 10],
  [ip(127, 0, 0, 0), 8],
  [ip(169, 254, 0, 0), 16],
  [ip(172, 16, 0, 0), 12],
  [ip(192, 0, 0, 0), 24], // covers the four single addresses of the list
  [ip(192, 0, 2, 0), 24],
  [ip(192, 31, 196, 0), 24],
  [ip(192, 52, 193, 0), 24],
  [ip(192, 88, 99, 0), 24],
  [ip(192, 168, 0, 0), 16],
  [ip(192, 175, 48, 0), 24],
  [ip(198, 18, 0, 0), 15],
  [ip(198, 51, 100, 0), 24],
  [ip(203, 0, 113, 0), 24],
  [ip(224, 0, 0, 0), 4], // multicast: as the first row
  [ip(240, 0, 0, 0), 4], // covers broadcast
];

function ip(a: number, b: number, c: number, d: number): number {
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** True when an IPv4 address, given as one unsigned number, can be reached from everywhere (05 §7.2). */
export function isPublicIpv4(address: number): boolean {
  return !NOT_PUBLIC.some(([network, bits]) => (address ^ network) >>> (32 - bits) === 0);
}

/** Four decimal parts without leading zeros, as one unsigned number; null for anything else (05 §7.1 Strict). */
export function parseIpv4(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return null;
    const n = Number(part);
    if (n > 255) return null;
    value = value * 256 + n;
  }
  return value;
}

/** Decimal port 1…65535 without leading zeros; null for anything else. */
export function parsePort(text: string): number | null {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return null;
  const n = Number(text);
  return n <= 65_535 ? n : null;
}

/** 05 §7.1 rule 1: base58 of 36…48 bytes that end in their checksum; the version byte is not looked at. */
function isAddressText(text: string): boolean {
  if (text.length > addressCharsMax) return false;
  try {
    return hasAddressChecksum(base58Decode(text));
  } catch (e) {
    if (e instanceof DecodeError) return false;
    throw e;
  }
}

/** 05 §7.1 rule 2 in its strict form: one colon, a public address before it, a port behind it. */
function isPublicEndpoint(text: string): boolean {
  const colon = text.indexOf(':');
  if (colon < 0) return false;
  const address = parseIpv4(text.slice(0, colon));
  return address !== null && isPublicIpv4(address) && parsePort(text.slice(colon + 1)) !== null;
}

/**
 * The hostname rule (05 §7.1). More than 21 UTF-16 units must be an Ixian address, on every network; up to 21
 * must be a public `ip:port` on the main and test networks and may be anything on the regression network.
 */
export function isAcceptableHostname(hostname: string, network: Network): boolean {
  if (hostname.length > hostnameUnitsMax) return isAddressText(hostname);
  return network.name === 'reg' || isPublicEndpoint(hostname);
}
