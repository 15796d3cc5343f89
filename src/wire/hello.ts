import { EMPTY_BYTES } from './bytes.js';
import { DecodeError } from './errors.js';
import {
  deviceIdBytesMax,
  hashBytesMax,
  helloAddressBytesMax,
  productVersionCharsMax,
  publicKeyBytesMax,
  signatureBytesMax,
} from './limits.js';
import { ByteReader, INT32_MAX } from './reader.js';
import { ByteWriter } from './writer.js';

/** What hello announces; lower versions are refused with bye 501 (docs/protocol/03 §3.1). */
export const PROTOCOL_VERSION = 6;

/** Fields 1–10 of hello and helloData (03 §3.1). */
export interface HelloCommon {
  readonly version: number;
  /** Address bytes as sent: 33/45, or 36/48 with checksum from Core before 0.9.7i. Not judged here. */
  readonly address: Uint8Array;
  /** True on the test and the regression network. */
  readonly testFlag: boolean;
  /** One ASCII letter; unknown ones are possible (03 §3.1). */
  readonly nodeType: string;
  readonly productVersion: string;
  readonly deviceId: Uint8Array;
  /** RSA key blob (02 §2); not judged here. */
  readonly publicKey: Uint8Array;
  /** Advertised port as sent; a client may send anything (03 §3.1). */
  readonly port: number;
  /** Unix seconds. */
  readonly timestamp: number;
  /** Over {@link helloPreimage}; may be empty from a client. */
  readonly signature: Uint8Array;
}

/** hello, code 0 (03 §3.2). */
export interface Hello extends HelloCommon {
  /** 0 … 2^31−1, chosen by the client. */
  readonly challenge: number;
  /** Bytes behind the last field, which belong to extensions (docs/resumption.md); absent when there are none. */
  readonly trailing?: Uint8Array;
}

/** helloData, code 1 (03 §3.3). */
export interface HelloData extends HelloCommon {
  readonly lastBlock: number;
  readonly lastBlockChecksum: Uint8Array | null;
  readonly lastBlockVersion: number;
  /** The client's `ip:port` as the server sees it; null when absent or unreadable. */
  readonly yourAddress: string | null;
  /** As in {@link Hello}. */
  readonly trailing?: Uint8Array;
}

/** Longest `ip:port` text looked at, in characters: an IPv6 literal with port has 47. */
const endpointCharsMax = 64;

function writeCommon(w: ByteWriter, h: HelloCommon): ByteWriter {
  return w
    .var(h.version)
    .vb(h.address)
    .bool(h.testFlag)
    .char(h.nodeType)
    .netstr(h.productVersion)
    .vb(h.deviceId)
    .vb(h.publicKey)
    .var(h.port)
    .var(h.timestamp)
    .vb(h.signature);
}

/** hello payload (03 §3.1, §3.2). */
export function encodeHello(h: Hello): Uint8Array {
  return writeCommon(new ByteWriter(1536), h)
    .var(h.challenge)
    .raw(h.trailing ?? EMPTY_BYTES)
    .bytes();
}

/** helloData payload (03 §3.1, §3.3). An absent `yourAddress` is written as the empty string. */
export function encodeHelloData(h: HelloData): Uint8Array {
  return writeCommon(new ByteWriter(1536), h)
    .var(h.lastBlock)
    .vb(h.lastBlockChecksum)
    .var(h.lastBlockVersion)
    .netstr(h.yourAddress ?? '')
    .raw(h.trailing ?? EMPTY_BYTES)
    .bytes();
}

/**
 * A message while it is read. It grows field by field: where an object is spread into a new one that gets further fields,
 * V8 looks each of them up anew (profiled: 3 % of the main thread's time for the spreads of one handshake).
 */
type Growing<T> = { -readonly [K in keyof T]: T[K] };

/** An int32 read as a signed IxiVarInt: ports as sent, versions (01 §2.6). */
function int32(r: ByteReader, field: string): number {
  const start = r.offset;
  const v = r.varSafe(field);
  if (v > INT32_MAX || v < -INT32_MAX - 1) throw new DecodeError('RANGE', field, start);
  return v;
}

/** Present bytes of at most `max`. */
function present(r: ByteReader, field: string, max: number): Uint8Array {
  const start = r.offset;
  const b = r.vb(field, max);
  if (b.length === 0) throw new DecodeError('EMPTY', field, start);
  return b;
}

function readCommon(r: ByteReader, name: string): HelloCommon {
  const start = r.offset;
  const version = r.uvarInt(`${name}.version`);
  // An older version may lay out the rest differently, so nothing behind it is read (03 §3.5 step 1).
  if (version < PROTOCOL_VERSION) throw new DecodeError('RANGE', `${name}.version`, start, `${version}`);
  return {
    version,
    address: present(r, `${name}.address`, helloAddressBytesMax),
    testFlag: r.bool(`${name}.testFlag`),
    nodeType: r.char(`${name}.nodeType`),
    productVersion: r.netstr(`${name}.productVersion`, productVersionCharsMax),
    deviceId: r.vb(`${name}.deviceId`, deviceIdBytesMax),
    publicKey: present(r, `${name}.publicKey`, publicKeyBytesMax),
    port: int32(r, `${name}.port`),
    timestamp: r.varSafe(`${name}.timestamp`),
    signature: r.vb(`${name}.signature`, signatureBytesMax),
  };
}

/**
 * Decodes a hello payload. The result owns its bytes. Bytes after the last field are ignored (03 §3.5).
 *
 * @throws DecodeError. What the receiver answers follows from it (03 §3.5): `RANGE` at `hello.version` is a
 * deprecated peer (501, data "6"); `TOOLONG` at `hello.address`, `hello.productVersion` or `hello.deviceId`
 * is 605; everything else 501.
 */
export function decodeHello(payload: Uint8Array): Hello {
  const r = new ByteReader(payload.slice());
  const hello = readCommon(r, 'hello') as Growing<Hello>;
  hello.challenge = r.uvarInt('hello.challenge');
  if (r.remaining > 0) hello.trailing = r.rest();
  return hello;
}

/** Decodes a helloData payload; errors as {@link decodeHello} with `helloData.` in the field name. */
export function decodeHelloData(payload: Uint8Array): HelloData {
  const r = new ByteReader(payload.slice());
  const data = readCommon(r, 'helloData') as Growing<HelloData>;
  data.lastBlock = r.uvarSafe('helloData.lastBlock');
  data.lastBlockChecksum = r.ixiBytes('helloData.lastBlockChecksum', hashBytesMax);
  data.lastBlockVersion = int32(r, 'helloData.lastBlockVersion');
  data.yourAddress = tolerantEndpoint(r);
  if (r.remaining > 0) data.trailing = r.rest();
  return data;
}

/** Field 14 is missing or broken in some servers' answers; the reference relay lives with that (03 §3.3). */
function tolerantEndpoint(r: ByteReader): string | null {
  try {
    return r.netstr('helloData.yourAddress', endpointCharsMax);
  } catch (e) {
    if (e instanceof DecodeError) return null;
    throw e;
  }
}

/** What goes into the signature of hello and helloData (03 §3.4). */
export interface HelloPreimageFields {
  /** Network lock bytes, e.g. `NETWORKS.main.lock`. */
  readonly lock: Uint8Array;
  readonly deviceId: Uint8Array;
  /** Unix seconds, field 9. */
  readonly timestamp: number;
  /** The signer's public `ip:port`, or "" when it has none. */
  readonly endpoint: string;
  /** The client's own challenge, for both messages. */
  readonly challenge: number;
}

/** The bytes a hello or helloData signature covers (03 §3.4). */
export function helloPreimage(f: HelloPreimageFields): Uint8Array {
  return new ByteWriter(96)
    .raw(f.lock)
    .raw(f.deviceId)
    .i64(f.timestamp)
    .netstr(f.endpoint)
    .i32(f.challenge)
    .bytes();
}
