import { ByteReader, ByteWriter, DecodeError, EMPTY_BYTES, guidText, parseGuid } from '../wire/index.js';
import { presenceAddressBytesMax } from './constants.js';
import { decodePow } from './pow.js';

/** One reachable endpoint of a wallet on one device (docs/protocol/05 §3). */
export interface PresenceAddress {
  /** 2, or 1 for the legacy layout. */
  readonly version: number;
  /** Opaque id of the device, at most 64 bytes where verified; 16 in version 1. */
  readonly device: Uint8Array;
  /** `ip:port`, or an Ixian address in base58. */
  readonly hostname: string;
  /** One ASCII character; only C, R, M and H are stored. */
  readonly type: string;
  /** Product and version; no signature covers it. */
  readonly nodeVersion: string;
  /** Network seconds of the signed claim. */
  readonly lastSeen: number;
  /** Signature of the keep-alive this endpoint stands for (05 §5), 512 bytes for RSA-4096. */
  readonly signature: Uint8Array | null;
  /** Encoded proof of work (05 §6), part of the signed claim. */
  readonly pow: Uint8Array | null;
}

const absent = (b: Uint8Array): Uint8Array | null => (b.length === 0 ? null : b);

/**
 * Decodes one endpoint, version 1 or 2; byte fields are views into `bytes`. Strict: the version is exactly
 * `02` or `01000000`, no field runs past its end. What follows the last field is ignored, because the
 * reference pads with zeros (05 §3.1). Throws DecodeError.
 */
export function decodePresenceAddress(bytes: Uint8Array): PresenceAddress {
  if (bytes.length > presenceAddressBytesMax)
    throw new DecodeError('TOOLONG', 'presenceAddress', 0, `${bytes.length} bytes`);
  const r = new ByteReader(bytes);
  const first = r.peek('presenceAddress.version');
  if (first === 1) return decodeV1(r);
  if (first !== 2) r.fail('RANGE', 'presenceAddress.version', `lead byte ${first}`);
  r.u8('presenceAddress.version');
  const device = r.vb('presenceAddress.device');
  const hostname = r.netstr('presenceAddress.hostname');
  const type = r.char('presenceAddress.type');
  const nodeVersion = r.netstr('presenceAddress.nodeVersion');
  const lastSeen = r.varSafe('presenceAddress.lastSeen');
  const signature = absent(r.vb('presenceAddress.signature'));
  const pow = absent(r.remaining > 0 ? r.vb('presenceAddress.pow') : EMPTY_BYTES);
  if (pow !== null) decodePow(pow, 'presenceAddress.pow');
  return { version: 2, device, hostname, type, nodeVersion, lastSeen, signature, pow };
}

function decodeV1(r: ByteReader): PresenceAddress {
  const start = r.offset;
  if (r.i32('presenceAddress.version') !== 1)
    throw new DecodeError('RANGE', 'presenceAddress.version', start, 'not exactly 1');
  const device = parseGuid(r.netstr('presenceAddress.device'), 'presenceAddress.device');
  const hostname = r.netstr('presenceAddress.hostname');
  const type = r.char('presenceAddress.type');
  const nodeVersion = r.netstr('presenceAddress.nodeVersion');
  const seenAt = r.offset;
  const seen = r.i64('presenceAddress.lastSeen');
  const lastSeen = Number(seen);
  if (!Number.isSafeInteger(lastSeen)) throw new DecodeError('RANGE', 'presenceAddress.lastSeen', seenAt);
  const signature = r.i32Bytes('presenceAddress.signature');
  return { version: 1, device, hostname, type, nodeVersion, lastSeen, signature, pow: null };
}

/**
 * Bytes of one endpoint in the layout of its version. Version 2 writes the four zero bytes of the reference
 * where a signature or a proof of work is absent (05 §3.1): only so the type-3 inventory hash agrees.
 */
export function encodePresenceAddress(a: PresenceAddress): Uint8Array {
  const w = new ByteWriter(1024);
  if (a.version === 1) {
    return w
      .i32(1)
      .netstr(guidText(a.device))
      .netstr(a.hostname)
      .char(a.type)
      .netstr(a.nodeVersion)
      .i64(a.lastSeen)
      .i32Bytes(a.signature)
      .bytes();
  }
  w.var(a.version).vb(a.device).netstr(a.hostname).char(a.type).netstr(a.nodeVersion).var(a.lastSeen);
  if (a.signature === null) w.i32(0);
  else w.vb(a.signature);
  if (a.pow === null) w.i32(0);
  else w.vb(a.pow);
  return w.bytes();
}
