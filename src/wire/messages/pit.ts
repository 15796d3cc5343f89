import { cuckooFilterBytesMax, ledgerAnswerBytesMax } from '../limits.js';
import { ByteReader } from '../reader.js';
import { ByteWriter } from '../writer.js';
import { readBlockNumber } from './headers.js';

/** Longest relayIndex: from, count and filter of a request (docs/protocol/03 §6.2 e). */
export const relayIndexBytesMax = cuckooFilterBytesMax + 32;

/** Who a master wrote for: it prefixes some answers with a relayIndex when the asker said it is an R (03 §6.2 g). */
export type AnswerLayout = 'relay' | 'client';

/** getPIT2, code 21 (03 §6). */
export interface GetPIT2 {
  readonly block: number;
  /** Serialised Cuckoo filter over transaction ids. */
  readonly filter: Uint8Array;
}

/** pitData2, code 22 (03 §6). */
export interface PitData2 {
  /** Present in the relay layout only: the filter, or from·count·filter of a getBlockHeaders4 (03 §6.2 e). */
  readonly relayIndex?: Uint8Array;
  readonly block: number;
  /** Serialised proof (09 §8). */
  readonly pit: Uint8Array;
}

export function encodeGetPIT2(m: GetPIT2): Uint8Array {
  return new ByteWriter(32 + m.filter.length).var(m.block).vb(m.filter).bytes();
}

/** The filter is a view into the payload. Throws DecodeError. */
export function decodeGetPIT2(payload: Uint8Array): GetPIT2 {
  const r = new ByteReader(payload);
  return { block: readBlockNumber(r, 'getPIT2.block'), filter: r.vb('getPIT2.filter', cuckooFilterBytesMax) };
}

/** With `relayIndex` the relay layout, without it the client layout. */
export function encodePitData2(m: PitData2): Uint8Array {
  const w = new ByteWriter(64 + m.pit.length + (m.relayIndex?.length ?? 0));
  if (m.relayIndex !== undefined) w.vb(m.relayIndex);
  return w.var(m.block).vb(m.pit).bytes();
}

/** Views into the payload. Throws DecodeError. */
export function decodePitData2(payload: Uint8Array, layout: AnswerLayout): PitData2 {
  const r = new ByteReader(payload);
  const index = layout === 'relay' ? { relayIndex: r.vb('pitData2.relayIndex', relayIndexBytesMax) } : {};
  return {
    ...index,
    block: readBlockNumber(r, 'pitData2.block'),
    pit: r.vb('pitData2.pit', ledgerAnswerBytesMax),
  };
}

/** A relay-layout answer taken apart: the key of the request, and the bytes a client gets (03 §6.2 e). */
export interface RelayAnswer {
  readonly relayIndex: Uint8Array;
  /** Everything behind the relayIndex: a payload in client layout. */
  readonly forClient: Uint8Array;
}

/** Strips the relayIndex of a pitData2 or transactionsChunk3 without looking further. Throws DecodeError. */
export function splitRelayAnswer(payload: Uint8Array): RelayAnswer {
  const r = new ByteReader(payload);
  return { relayIndex: r.vb('relayIndex', relayIndexBytesMax), forClient: r.rest() };
}
