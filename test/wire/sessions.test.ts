import { describe, expect, it } from 'vitest';
import {
  Code,
  CuckooFilter,
  concatBytes,
  decodeAttachEvent,
  decodeBalance2,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodeBye,
  decodeDetachEvent,
  decodeGetBalance2,
  decodeGetBlockHeaders3,
  decodeGetBlockHeaders4,
  decodeGetPIT2,
  decodeGetPresence2,
  decodeGetRandomPresences,
  decodeGetSectorNodes,
  decodeGetTransaction3,
  decodeHello,
  decodeHelloData,
  decodeInventory2,
  decodePitData2,
  decodeRejected,
  decodeSectorNodes,
  decodeTransactionsChunk3,
  encodeAttachEvent,
  encodeBalance2,
  encodeBlockHeaders3,
  encodeBlockHeaders4,
  encodeBye,
  encodeDetachEvent,
  encodeFrame,
  encodeGetBalance2,
  encodeGetBlockHeaders3,
  encodeGetBlockHeaders4,
  encodeGetPIT2,
  encodeGetPresence2,
  encodeGetRandomPresences,
  encodeGetSectorNodes,
  encodeGetTransaction3,
  encodeHello,
  encodeHelloData,
  encodeInventory2,
  encodeInventoryItem,
  encodePitData2,
  encodeRejected,
  encodeSectorNodes,
  encodeTimeRecord,
  encodeTransactionsChunk3,
  fromHex,
  headersQuestionKey,
  payloadBytesMaxOf,
  StreamParser,
  splitRelayAnswer,
  toHex,
} from '../../src/wire/index.js';
import { vectorContext } from '../support/vectors.js';

interface RecordOf {
  readonly from: string;
  readonly kind: 'time' | 'frame' | 'byte';
  readonly code?: number;
  readonly hex: string;
}

interface Connection {
  readonly dialer: string;
  readonly listener: string;
  readonly records: readonly RecordOf[];
}

const FILES = ['session-m-s2.json', 'session-c98-s2.json'];
const connections = FILES.flatMap((file) =>
  (vectorContext().file(file).connections as unknown as readonly Connection[]).map((c, i) => ({
    name: `${file} connection ${i}`,
    ...c,
  })),
);

/** Decoded and encoded again; transactionsChunk3 counts are upper bounds and checked apart. */
const again: { readonly [code: number]: (p: Uint8Array) => Uint8Array } = {
  [Code.hello]: (p) => encodeHello(decodeHello(p)),
  [Code.helloData]: (p) => encodeHelloData(decodeHelloData(p)),
  [Code.bye]: (p) => encodeBye(decodeBye(p)),
  [Code.rejected]: (p) => encodeRejected(decodeRejected(p)),
  [Code.getSectorNodes]: (p) => encodeGetSectorNodes(decodeGetSectorNodes(p)),
  [Code.sectorNodes]: (p) => encodeSectorNodes(decodeSectorNodes(p)),
  [Code.getPIT2]: (p) => encodeGetPIT2(decodeGetPIT2(p)),
  [Code.pitData2]: (p) => encodePitData2(decodePitData2(p, 'relay')),
  [Code.getBalance2]: (p) => encodeGetBalance2(decodeGetBalance2(p)),
  [Code.balance2]: (p) => encodeBalance2(decodeBalance2(p)),
  [Code.getPresence2]: (p) => encodeGetPresence2(decodeGetPresence2(p)),
  [Code.attachEvent]: (p) => {
    const { type, filter } = decodeAttachEvent(p);
    return encodeAttachEvent({ type, filter: CuckooFilter.decode(filter).encode() });
  },
  [Code.detachEvent]: (p) => encodeDetachEvent(decodeDetachEvent(p)),
  [Code.getBlockHeaders3]: (p) => encodeGetBlockHeaders3(decodeGetBlockHeaders3(p)),
  [Code.blockHeaders3]: (p) => encodeBlockHeaders3(decodeBlockHeaders3(p)),
  [Code.getRandomPresences]: (p) => encodeGetRandomPresences(decodeGetRandomPresences(p)),
  [Code.getBlockHeaders4]: (p) => encodeGetBlockHeaders4(decodeGetBlockHeaders4(p)),
  [Code.blockHeaders4]: (p) => encodeBlockHeaders4(decodeBlockHeaders4(p)),
  [Code.getTransaction3]: (p) => encodeGetTransaction3(decodeGetTransaction3(p)),
  [Code.inventory2]: (p) => {
    const { items, unknown, malformed } = decodeInventory2(p);
    expect([unknown, malformed]).toEqual([0, 0]);
    return encodeInventory2(items.map((i) => encodeInventoryItem(i)));
  },
};

describe.each(connections)('$name', ({ records, dialer, listener }) => {
  it.each(['dialer', 'listener'])('gives back the records of the %s', (from) => {
    const sent = records.filter((r) => r.from === from);
    const got: string[] = [];
    const parser = new StreamParser({ payloadMax: payloadBytesMaxOf });
    parser.push(concatBytes(...sent.map((r) => fromHex(r.hex))), {
      frame: (code, payload, crcValid) => {
        expect(crcValid).toBe(true);
        got.push(toHex(encodeFrame(code, payload)));
      },
      time: (ms) => got.push(toHex(encodeTimeRecord(ms))),
      byte: (b) => got.push(toHex(Uint8Array.of(b))),
    });
    expect(parser.pendingBytes).toBe(0);
    expect(got).toEqual(sent.map((r) => r.hex));
  });

  it('holds payloads that decode and encode to the same bytes', () => {
    for (const r of records) {
      const code = r.code;
      if (code === undefined || r.kind !== 'frame') continue;
      const payload = fromHex(r.hex).subarray(12);
      const encode = again[code];
      if (encode !== undefined)
        expect(toHex(encode(payload)), `${dialer}/${listener} ${code}`).toBe(toHex(payload));
    }
  });
});

describe('answers of a master to a relay', () => {
  const frames = (code: number): Uint8Array[] =>
    connections[0]!.records.filter((r) => r.code === code).map((r) => fromHex(r.hex).subarray(12));

  it('name the request they belong to', () => {
    const asked = new Set([
      ...frames(Code.getBlockHeaders4).map((p) => toHex(headersQuestionKey(p))),
      ...frames(Code.getPIT2).map((p) => toHex(decodeGetPIT2(p).filter)),
    ]);
    expect(asked.size).toBeGreaterThan(1);
    for (const p of frames(Code.blockHeaders4)) expect(asked).toContain(toHex(headersQuestionKey(p)));
    for (const p of frames(Code.pitData2)) expect(asked).toContain(toHex(splitRelayAnswer(p).relayIndex));
  });

  it('carry transactions up to the end of the payload, whatever they announce', () => {
    const chunks = frames(Code.transactionsChunk3);
    expect(chunks.length).toBeGreaterThan(0);
    for (const p of chunks) {
      const m = decodeTransactionsChunk3(p, 'relay');
      expect(m.transactions.length).toBeGreaterThan(0);
      // The client form of the same, by dropping the prefix.
      const { forClient } = splitRelayAnswer(p);
      expect(decodeTransactionsChunk3(forClient, 'client').transactions).toEqual(m.transactions);
      expect(encodeTransactionsChunk3(m).length).toBeLessThanOrEqual(p.length);
    }
  });
});
