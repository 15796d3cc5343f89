import { DecodeError } from '../errors.js';
import {
  framePayloadBytesMax,
  hashBytesMax,
  transactionIdsPerMessageMax,
  transactionsPerChunkMax,
} from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';
import { type AnswerLayout, relayIndexBytesMax } from './pit.js';

/** getTransaction3, code 58 (docs/protocol/03 §6). */
export interface GetTransaction3 {
  readonly transactionId: Uint8Array;
  /** 0 when unknown. */
  readonly block: number;
}

/** getTransactions2, code 56 (03 §6). */
export interface GetTransactions2 {
  /** Block number, or a negative number the asker recognises its answer by. */
  readonly id: number;
  /** At most 500. */
  readonly transactionIds: readonly Uint8Array[];
}

/** transactionsChunk3, code 60 (03 §6). */
export interface TransactionsChunk3 {
  /** Present in the relay layout of answers to code 49 only (03 §6.2 e). */
  readonly relayIndex?: Uint8Array;
  /** The id of the request, or a block number. */
  readonly id: number;
  readonly transactions: readonly Uint8Array[];
}

function readTransactionId(r: ByteReader, field: string): Uint8Array {
  const start = r.offset;
  const id = r.vb(field, hashBytesMax);
  if (id.length === 0) throw new DecodeError('EMPTY', field, start);
  return id;
}

export function encodeGetTransaction3(m: GetTransaction3): Uint8Array {
  return new ByteWriter(80).vb(m.transactionId).var(m.block).bytes();
}

/** The id is a view into the payload. Throws DecodeError. */
export function decodeGetTransaction3(payload: Uint8Array): GetTransaction3 {
  const r = new ByteReader(payload);
  return {
    transactionId: readTransactionId(r, 'getTransaction3.transactionId'),
    block: r.uvarSafe('getTransaction3.block'),
  };
}

/** Throws RangeError for more than 500 ids: ask in several messages. */
export function encodeGetTransactions2(m: GetTransactions2): Uint8Array {
  if (m.transactionIds.length > transactionIdsPerMessageMax)
    throw new RangeError(`${m.transactionIds.length} ids, at most ${transactionIdsPerMessageMax}`);
  const w = new ByteWriter(32 + m.transactionIds.length * 48).var(m.id).var(m.transactionIds.length);
  for (const id of m.transactionIds) w.vb(id);
  return w.bytes();
}

/** Ids are views into the payload. Throws DecodeError, `RANGE` for more than 500. */
export function decodeGetTransactions2(payload: Uint8Array): GetTransactions2 {
  const r = new ByteReader(payload);
  const id = r.varSafe('getTransactions2.id');
  const n = r.uvarInt('getTransactions2.count', transactionIdsPerMessageMax);
  const transactionIds: Uint8Array[] = [];
  for (let i = 0; i < n; i++) transactionIds.push(readTransactionId(r, 'getTransactions2.transactionId'));
  return { id, transactionIds };
}

/** With `relayIndex` the relay layout, without it the plain one. The count is exact. */
export function encodeTransactionsChunk3(m: TransactionsChunk3): Uint8Array {
  const w = new ByteWriter(
    m.transactions.reduce((n, t) => n + t.length + 5, 32 + (m.relayIndex?.length ?? 0)),
  );
  if (m.relayIndex !== undefined) w.vb(m.relayIndex);
  w.var(m.id).var(m.transactions.length);
  for (const t of m.transactions) w.vb(t);
  return w.bytes();
}

/**
 * Views into the payload. The declared number of transactions is an upper bound (03 §6.2 f). Nothing in the
 * payload tells the layouts apart: a relay first tests whether {@link splitRelayAnswer} gives the key of a
 * pending request.
 *
 * @throws DecodeError
 */
export function decodeTransactionsChunk3(payload: Uint8Array, layout: AnswerLayout): TransactionsChunk3 {
  const r = new ByteReader(payload);
  const index =
    layout === 'relay' ? { relayIndex: r.vb('transactionsChunk3.relayIndex', relayIndexBytesMax) } : {};
  const id = r.varSafe('transactionsChunk3.id');
  const n = Math.min(r.uvarInt('transactionsChunk3.count'), transactionsPerChunkMax);
  const transactions: Uint8Array[] = [];
  while (transactions.length < n && r.remaining > 0)
    transactions.push(r.vb('transactionsChunk3.transaction', framePayloadBytesMax));
  return { ...index, id, transactions };
}
