import { DecodeError } from '../errors.js';
import { blockHeadersMax, cuckooFilterBytesMax, ledgerAnswerBytesMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';

/** What a getBlockHeaders4 wants besides the headers (docs/protocol/03 §6, code 49). */
export const HeaderMode = { minimal: 0, pocw: 1, signatures: 2, transactions: 3 } as const;

/** A block number written as a signed VarInt: never negative, exact as a number. */
export function readBlockNumber(r: ByteReader, field: string): number {
  return r.varInt(field, Number.MAX_SAFE_INTEGER);
}

/** getBlockHeaders3, code 46 (03 §6). */
export interface GetBlockHeaders3 {
  readonly from: number;
  readonly count: number;
}

export function encodeGetBlockHeaders3(m: GetBlockHeaders3): Uint8Array {
  return new ByteWriter(20).var(m.from).var(m.count).bytes();
}

/** Throws DecodeError. */
export function decodeGetBlockHeaders3(payload: Uint8Array): GetBlockHeaders3 {
  const r = new ByteReader(payload);
  return { from: r.uvarSafe('getBlockHeaders3.from'), count: r.uvarSafe('getBlockHeaders3.count') };
}

function writeHeaders(w: ByteWriter, headers: readonly Uint8Array[]): Uint8Array {
  for (const h of headers) w.vb(h);
  return w.bytes();
}

function readHeaders(r: ByteReader, name: string): Uint8Array[] {
  const out: Uint8Array[] = [];
  while (r.remaining > 0) {
    const start = r.offset;
    if (out.length === blockHeadersMax) throw new DecodeError('RANGE', `${name}.headers`, start, 'too many');
    const h = r.vb(`${name}.header`, ledgerAnswerBytesMax);
    if (h.length === 0) throw new DecodeError('EMPTY', `${name}.header`, start);
    out.push(h);
  }
  return out;
}

const sizeOf = (headers: readonly Uint8Array[]): number => headers.reduce((n, h) => n + h.length + 5, 16);

/** blockHeaders3, code 47 (03 §6): headers without count. */
export function encodeBlockHeaders3(headers: readonly Uint8Array[]): Uint8Array {
  return writeHeaders(new ByteWriter(sizeOf(headers)), headers);
}

/** Serialised headers, at most 1,000, views into the payload. Throws DecodeError. */
export function decodeBlockHeaders3(payload: Uint8Array): Uint8Array[] {
  return readHeaders(new ByteReader(payload), 'blockHeaders3');
}

/** The part that a getBlockHeaders4 and its answer have in common (03 §6.2 d). */
export interface HeadersQuestion {
  readonly from: number;
  readonly count: number;
  /** Serialised Cuckoo filter over addresses, null for none. */
  readonly filter: Uint8Array | null;
}

/** getBlockHeaders4, code 49 (03 §6). */
export interface GetBlockHeaders4 extends HeadersQuestion {
  /** One of {@link HeaderMode}; absent in the form of the 0.9.7 line. */
  readonly mode?: number;
}

/** blockHeaders4, code 50 (03 §6). */
export interface BlockHeaders4 extends HeadersQuestion {
  readonly headers: readonly Uint8Array[];
}

function writeQuestion(w: ByteWriter, q: HeadersQuestion): ByteWriter {
  return w.var(q.from).var(q.count).vb(q.filter);
}

function readQuestion(r: ByteReader, name: string): HeadersQuestion {
  return {
    from: r.uvarSafe(`${name}.from`),
    count: r.uvarSafe(`${name}.count`),
    filter: r.ixiBytes(`${name}.filter`, cuckooFilterBytesMax),
  };
}

/** from · count · filter: also the relayIndex of answers to such a request (03 §6.2 e). */
export function encodeHeadersQuestion(q: HeadersQuestion): Uint8Array {
  return writeQuestion(new ByteWriter(32 + (q.filter?.length ?? 0)), q).bytes();
}

/**
 * The bytes of a getBlockHeaders4 or blockHeaders4 payload that pair request and answer: up to and including
 * the filter, as they were sent (03 §6.2 d). A view. Throws DecodeError.
 */
export function headersQuestionKey(payload: Uint8Array): Uint8Array {
  const r = new ByteReader(payload);
  readQuestion(r, 'blockHeaders4');
  return payload.subarray(0, r.offset);
}

/** With `mode` the form of 0.9.8, without it the one of 0.9.7. */
export function encodeGetBlockHeaders4(m: GetBlockHeaders4): Uint8Array {
  const w = writeQuestion(new ByteWriter(32 + (m.filter?.length ?? 0)), m);
  return (m.mode === undefined ? w : w.var(m.mode)).bytes();
}

/** The filter is a view into the payload. Throws DecodeError. */
export function decodeGetBlockHeaders4(payload: Uint8Array): GetBlockHeaders4 {
  const r = new ByteReader(payload);
  const q = readQuestion(r, 'getBlockHeaders4');
  return r.remaining === 0 ? q : { ...q, mode: r.varInt('getBlockHeaders4.mode') };
}

export function encodeBlockHeaders4(m: BlockHeaders4): Uint8Array {
  const w = new ByteWriter(sizeOf(m.headers) + 32 + (m.filter?.length ?? 0));
  return writeHeaders(writeQuestion(w, m), m.headers);
}

/** Views into the payload. Throws DecodeError. */
export function decodeBlockHeaders4(payload: Uint8Array): BlockHeaders4 {
  const r = new ByteReader(payload);
  return { ...readQuestion(r, 'blockHeaders4'), headers: readHeaders(r, 'blockHeaders4') };
}
