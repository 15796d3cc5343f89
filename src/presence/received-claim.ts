import { type Core, type KeepAliveTable, ScanStatus } from '../core/index.js';
import { DecodeError } from '../wire/index.js';
import type { HostnameMemo } from './hostname-memo.js';
import { decodeKeepAlive, type KeepAlive } from './keep-alive.js';

/**
 * Where the fields of a keep-alive of version 2 without proof of work lie in its message. A stored endpoint holds them in
 * the same form (docs/protocol/05 §3.1, §5.1), so they are copied over without being decoded.
 */
export interface ClaimBytes {
  readonly message: Uint8Array;
  /** The device with its length; the timestamp follows behind it. */
  readonly deviceFrom: number;
  readonly timestampFrom: number;
  /** The hostname with its length, and the type behind it. */
  readonly hostnameFrom: number;
  /** Behind the type. */
  readonly typeEnd: number;
  /** The signature with its length, to the end of the message. */
  readonly signatureFrom: number;
}

/** A received keep-alive that could be read. Byte fields are views into its message. */
export interface ReceivedClaim extends KeepAlive {
  /** Whether the hostname is one that may be announced (05 §7.1); null when that was not looked at. */
  readonly hostnameAcceptable: boolean | null;
  /** Null for version 1 and where there is a proof of work: those are rare and go the long way. */
  readonly bytes: ClaimBytes | null;
  /** Row in the table it was read from. */
  readonly row: number;
}

/** Bytes of a hostname's length: one below 128, and no hostname that is acceptable takes more than two. */
const oneByteLengthMax = 127;
/** Type letters as the table has them, by code. */
const LETTERS = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));

/**
 * Reads keep-alives in one pass of the core's scan: no object per field, no hash. Null stands for what is malformed. The
 * messages must stay as they are for as long as their claims are used.
 */
export function readClaims(
  core: Core,
  messages: readonly Uint8Array[],
  hostnames: HostnameMemo,
): { readonly table: KeepAliveTable; readonly claims: (ReceivedClaim | null)[] } {
  const table = core.scanKeepAlives(messages);
  const claims = messages.map((message, row) => readClaim(table, message, row, hostnames));
  return { table, claims };
}

function readClaim(
  table: KeepAliveTable,
  message: Uint8Array,
  row: number,
  hostnames: HostnameMemo,
): ReceivedClaim | null {
  if (table.status(row) !== ScanStatus.ok) return message[0] === 2 ? null : decoded(message, row);
  const signedBytes = table.signedBytes(row);
  const hostname = table.hostname(row, message);
  const hostnameAt = hostname.byteOffset - message.byteOffset;
  const hostnameEnd = hostnameAt + hostname.length;
  const timestamp = Number(table.timestamp(row));
  // One zero byte stands for no proof of work.
  if (
    signedBytes !== hostnameEnd + 2 ||
    hostname.length > oneByteLengthMax ||
    !Number.isSafeInteger(timestamp)
  )
    return decoded(message, row);
  const device = table.device(row, message);
  const deviceAt = device.byteOffset - message.byteOffset;
  const wallet = table.wallet(row, message);
  const signature = table.signature(row, message);
  const known = hostnames.read(message, hostnameAt, hostnameEnd);
  return {
    version: 2,
    wallet,
    device,
    timestamp,
    hostname: known.text,
    type: LETTERS[table.type(row)]!,
    pow: null,
    signature: signature.length === 0 ? null : signature,
    hostnameAcceptable: known.acceptable,
    bytes: {
      message,
      deviceFrom: wallet.byteOffset - message.byteOffset + wallet.length,
      timestampFrom: deviceAt + device.length,
      hostnameFrom: hostnameAt - 1,
      typeEnd: hostnameEnd + 1,
      signatureFrom: signedBytes,
    },
    row,
  };
}

/** The long way, which also decides what is malformed there. */
function decoded(message: Uint8Array, row: number): ReceivedClaim | null {
  try {
    return { ...decodeKeepAlive(message), hostnameAcceptable: null, bytes: null, row };
  } catch (e) {
    if (e instanceof DecodeError) return null;
    throw e;
  }
}
