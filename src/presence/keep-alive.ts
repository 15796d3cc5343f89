import { addressWithChecksum, parseAddress, type Signer, sha3sqTrunc } from '../identity/index.js';
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  DecodeError,
  guidText,
  type Network,
  parseGuid,
} from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import { keepAliveBytesMax } from './constants.js';
import { decodePow } from './pow.js';

/** The signed claim of one device to be reachable somewhere (docs/protocol/05 §5). */
export interface KeepAlive {
  /** 2, or 1 for the legacy form. */
  readonly version: 1 | 2;
  /** Raw address. */
  readonly wallet: Uint8Array;
  /** Opaque device id; 16 bytes in version 1. */
  readonly device: Uint8Array;
  /** Network seconds. */
  readonly timestamp: number;
  readonly hostname: string;
  /** One ASCII character. */
  readonly type: string;
  /** Encoded proof of work; always null in version 1. */
  readonly pow: Uint8Array | null;
  readonly signature: Uint8Array | null;
}

/** What is signed, before the lock and the hash (05 §5.1), or the raw record of version 1 (05 §5.2). */
export function keepAlivePreimage(ka: KeepAlive): Uint8Array {
  return writePreimage(new ByteWriter(ka.version === 1 ? 160 : 480), ka).bytes();
}

function writePreimage(w: ByteWriter, ka: KeepAlive): ByteWriter {
  if (ka.version === 1)
    return w
      .i32(1)
      .i32Bytes(addressWithChecksum(ka.wallet))
      .netstr(guidText(ka.device))
      .i64(ka.timestamp)
      .netstr(ka.hostname)
      .char(ka.type);
  return w.var(2).vb(ka.wallet).vb(ka.device).var(ka.timestamp).netstr(ka.hostname).char(ka.type).vb(ka.pow);
}

/**
 * The message that is signed: 44 bytes of the doubled SHA3-512 over lock and fields; in version 1 the record
 * itself, which no network lock protects (05 §5.2 Weakness).
 */
export function keepAliveChecksum(ka: KeepAlive, lock: Uint8Array): Uint8Array {
  return new ChecksumMaker().of(ka, lock);
}

/** {@link keepAliveChecksum} for many, put together in one buffer: arrays of their own were most of what it cost. */
export class ChecksumMaker {
  readonly #writer = new ByteWriter(640);

  of(ka: KeepAlive, lock: Uint8Array): Uint8Array {
    const w = this.#writer.clear();
    if (ka.version === 1) return writePreimage(w, ka).bytes();
    return sha3sqTrunc(writePreimage(w.raw(lock), ka).view());
  }
}

/** Bytes of a keep-alive in the layout of its version. */
export function encodeKeepAlive(ka: KeepAlive): Uint8Array {
  const preimage = keepAlivePreimage(ka);
  const w = new ByteWriter(preimage.length + 520).raw(preimage);
  return (ka.version === 1 ? w.i32Bytes(ka.signature) : w.vb(ka.signature)).bytes();
}

/**
 * Decodes a keep-alive; byte fields are views into `bytes`. Strict (05 §5.1, §5.2): at most 1200 bytes,
 * version exactly `02` or `01000000`, and re-encoding must give back what was received, so that the signed
 * bytes are the ones every other node rebuilds. Version 1 may be followed by anything, as in the reference.
 * Throws DecodeError.
 */
export function decodeKeepAlive(bytes: Uint8Array): KeepAlive {
  if (bytes.length > keepAliveBytesMax)
    throw new DecodeError('TOOLONG', 'keepAlive', 0, `${bytes.length} bytes`);
  const r = new ByteReader(bytes);
  const first = r.peek('keepAlive.version');
  if (first === 1) return decodeV1(r);
  if (first !== 2) r.fail('RANGE', 'keepAlive.version', `lead byte ${first}`);
  r.u8('keepAlive.version');
  const wallet = parseAddress(r.vb('keepAlive.wallet'), 'keepAlive.wallet');
  const device = r.vb('keepAlive.device');
  const timestamp = r.uvarSafe('keepAlive.timestamp');
  const hostname = r.netstr('keepAlive.hostname');
  const type = r.char('keepAlive.type');
  const pow = r.ixiBytes('keepAlive.pow');
  const signature = r.ixiBytes('keepAlive.signature');
  r.done('keepAlive');
  if (pow !== null) decodePow(pow, 'keepAlive.pow');
  const ka: KeepAlive = { version: 2, wallet, device, timestamp, hostname, type, pow, signature };
  if (!bytesEqual(encodeKeepAlive(ka), bytes))
    throw new DecodeError('FORMAT', 'keepAlive', 0, 're-encoding differs');
  return ka;
}

function decodeV1(r: ByteReader): KeepAlive {
  if (r.i32('keepAlive.version') !== 1)
    throw new DecodeError('RANGE', 'keepAlive.version', 0, 'not exactly 1');
  const walletAt = r.offset;
  const checked = r.i32Bytes('keepAlive.wallet');
  if (checked === null) throw new DecodeError('EMPTY', 'keepAlive.wallet', walletAt);
  const wallet = parseAddress(checked, 'keepAlive.wallet');
  const device = parseGuid(r.netstr('keepAlive.device'), 'keepAlive.device');
  const timestampAt = r.offset;
  const timestamp = Number(r.i64('keepAlive.timestamp'));
  if (!Number.isSafeInteger(timestamp) || timestamp < 0)
    throw new DecodeError('RANGE', 'keepAlive.timestamp', timestampAt);
  const hostname = r.netstr('keepAlive.hostname');
  const type = r.char('keepAlive.type');
  const signed = r.bytes.subarray(0, r.offset);
  const signature = r.i32Bytes('keepAlive.signature');
  const ka: KeepAlive = { version: 1, wallet, device, timestamp, hostname, type, pow: null, signature };
  // Stored endpoints are verified against the record rebuilt from fields, so it must be the received one.
  if (!bytesEqual(keepAlivePreimage(ka), signed))
    throw new DecodeError('FORMAT', 'keepAlive', 0, 're-encoding differs');
  return ka;
}

/** The keep-alive an endpoint stands for: verifying the endpoint is verifying this (05 §5.3). */
export function keepAliveOf(wallet: Uint8Array, a: PresenceAddress): KeepAlive {
  return {
    version: a.version === 1 ? 1 : 2,
    wallet,
    device: a.device,
    timestamp: a.lastSeen,
    hostname: a.hostname,
    type: a.type,
    pow: a.pow,
    signature: a.signature,
  };
}

/** The endpoint a keep-alive stands for; the node version comes from elsewhere, for it is not signed. */
export function addressOf(ka: KeepAlive, nodeVersion: string): PresenceAddress {
  return {
    version: ka.version,
    device: ka.device,
    hostname: ka.hostname,
    type: ka.type,
    nodeVersion,
    lastSeen: ka.timestamp,
    signature: ka.signature,
    pow: ka.pow,
  };
}

/** Signs a current keep-alive with the wallet's key. */
export async function signKeepAlive(
  fields: Omit<KeepAlive, 'version' | 'wallet' | 'signature'>,
  signer: Signer,
  network: Network,
): Promise<KeepAlive> {
  const unsigned: KeepAlive = { ...fields, version: 2, wallet: signer.address, signature: null };
  return { ...unsigned, signature: await signer.sign(keepAliveChecksum(unsigned, network.lock)) };
}
