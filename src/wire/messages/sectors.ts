import { DecodeError } from '../errors.js';
import { roomyPayload } from '../frame.js';
import { lengthBytes, putLength } from '../lengths.js';
import { presenceBytesMax, sectorNodesMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** Bytes of a sector prefix: the first ten of SHA3-512 of an address (docs/protocol/06 §1). */
export const SECTOR_PREFIX_LENGTH = 10;

/** getSectorNodes, code 18 (03 §6). */
export interface GetSectorNodes {
  readonly prefix: Uint8Array;
  /** How many relays are wanted, as sent: the handler clamps it (06 §6). */
  readonly max: number;
}

/** sectorNodes, code 19 (03 §6). */
export interface SectorNodes {
  readonly prefix: Uint8Array;
  /** Each the payload of an updatePresence. */
  readonly presences: readonly Uint8Array[];
}

export function encodeGetSectorNodes(m: GetSectorNodes): Uint8Array {
  return new ByteWriter(16).vb(m.prefix).var(m.max).bytes();
}

/** The prefix is a view into the payload. Throws DecodeError unless it has ten bytes. */
export function decodeGetSectorNodes(payload: Uint8Array): GetSectorNodes {
  const r = new ByteReader(payload);
  return { prefix: readPrefix(r, 'getSectorNodes.prefix'), max: r.uvarInt('getSectorNodes.max') };
}

function readPrefix(r: ByteReader, field: string): Uint8Array {
  const start = r.offset;
  const prefix = r.vb(field);
  if (prefix.length !== SECTOR_PREFIX_LENGTH)
    throw new DecodeError('BADARG', field, start, `${prefix.length} bytes`);
  return prefix;
}

/** sectorNodes payload (03 §6), with room for the frame's header in front ({@link sealFrame}). */
export function encodeSectorNodes(m: SectorNodes): Uint8Array {
  let size = lengthBytes(m.prefix.length) + m.prefix.length + lengthBytes(m.presences.length);
  for (const p of m.presences) size += lengthBytes(p.length) + p.length;
  const out = roomyPayload(size);
  let at = writeBytes(out, 0, m.prefix);
  at = putLength(out, at, m.presences.length);
  for (const p of m.presences) at = writeBytes(out, at, p);
  return out;
}

function writeBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  const from = putLength(out, at, bytes.length);
  out.set(bytes, from);
  return from + bytes.length;
}

/** Presences are views into the payload; beyond {@link sectorNodesMax} they are not read. Throws DecodeError. */
export function decodeSectorNodes(payload: Uint8Array): SectorNodes {
  const r = new ByteReader(payload);
  const prefix = readPrefix(r, 'sectorNodes.prefix');
  const n = Math.min(r.uvarInt('sectorNodes.count'), sectorNodesMax);
  const presences: Uint8Array[] = [];
  for (let i = 0; i < n; i++) presences.push(r.vb('sectorNodes.presence', presenceBytesMax));
  return { prefix, presences };
}
