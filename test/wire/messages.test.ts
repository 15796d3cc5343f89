import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as wire from '../../src/wire/index.js';
import { DecodeError, fromHex, toHex } from '../../src/wire/index.js';
import { fuzzSeed, generator, mutated, randomBytesOf } from './support.js';

const bytes = (maxLength: number, minLength = 1) => fc.uint8Array({ minLength, maxLength });
const block = fc.nat(Number.MAX_SAFE_INTEGER);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const orNull = <T>(a: fc.Arbitrary<T>) => fc.option(a, { nil: null });
const address = bytes(48, 33);

interface Pair<T> {
  readonly name: string;
  readonly of: fc.Arbitrary<T>;
  encode(m: T): Uint8Array;
  decode(payload: Uint8Array): T;
}

const pair = <T>(
  name: string,
  of: fc.Arbitrary<T>,
  encode: (m: T) => Uint8Array,
  decode: (p: Uint8Array) => T,
): Pair<unknown> => ({ name, of, encode: (m) => encode(m as T), decode });

const question = fc.record({ from: block, count: block, filter: orNull(bytes(100)) });

const pairs: readonly Pair<unknown>[] = [
  pair(
    'bye',
    fc.record({ code: int32, text: fc.string({ maxLength: 50 }), data: fc.string({ maxLength: 50 }) }),
    wire.encodeBye,
    wire.decodeBye,
  ),
  pair(
    'rejected',
    fc.record({ reason: fc.integer({ min: 0, max: 255 }), transactionId: orNull(bytes(126)) }),
    wire.encodeRejected,
    wire.decodeRejected,
  ),
  pair(
    'getKeepAlives',
    fc.array(fc.record({ address, device: bytes(32, 0) }), { minLength: 1, maxLength: 20 }),
    wire.encodeGetKeepAlives,
    wire.decodeGetKeepAlives,
  ),
  pair(
    'keepAlivesChunk',
    fc.array(bytes(300, 0), { maxLength: 20 }),
    wire.encodeKeepAlivesChunk,
    wire.decodeKeepAlivesChunk,
  ),
  pair(
    'getSectorNodes',
    fc.record({ prefix: bytes(10, 10), max: fc.nat() }),
    wire.encodeGetSectorNodes,
    wire.decodeGetSectorNodes,
  ),
  pair(
    'sectorNodes',
    fc.record({ prefix: bytes(10, 10), presences: fc.array(bytes(300), { maxLength: 20 }) }),
    wire.encodeSectorNodes,
    wire.decodeSectorNodes,
  ),
  pair('getPIT2', fc.record({ block, filter: bytes(200, 0) }), wire.encodeGetPIT2, wire.decodeGetPIT2),
  pair('pitData2 for a client', fc.record({ block, pit: bytes(300, 0) }), wire.encodePitData2, (p) =>
    wire.decodePitData2(p, 'client'),
  ),
  pair(
    'pitData2 for a relay',
    fc.record({ relayIndex: bytes(100, 0), block, pit: bytes(300, 0) }),
    wire.encodePitData2,
    (p) => wire.decodePitData2(p, 'relay') as { relayIndex: Uint8Array; block: number; pit: Uint8Array },
  ),
  pair('getBalance2', address, wire.encodeGetBalance2, wire.decodeGetBalance2),
  pair(
    'balance2',
    fc.record({ address, balance: fc.bigInt(), height: block, blockChecksum: orNull(bytes(64)) }),
    wire.encodeBalance2,
    wire.decodeBalance2,
  ),
  pair('getPresence2', address, wire.encodeGetPresence2, wire.decodeGetPresence2),
  pair(
    'getRandomPresences',
    fc.constantFrom('M', 'H', 'R', 'C'),
    wire.encodeGetRandomPresences,
    wire.decodeGetRandomPresences,
  ),
  pair(
    'attachEvent',
    fc.record({ type: int32, filter: bytes(200, 0) }),
    wire.encodeAttachEvent,
    wire.decodeAttachEvent,
  ),
  pair(
    'detachEvent',
    fc.record({ type: fc.nat(), item: orNull(bytes(48)) }),
    wire.encodeDetachEvent,
    wire.decodeDetachEvent,
  ),
  pair(
    'getNameRecord',
    fc.record({ name: bytes(64), record: orNull(bytes(64)) }),
    wire.encodeGetNameRecord,
    wire.decodeGetNameRecord,
  ),
  pair(
    'nameRecord',
    fc.record({ name: bytes(64), records: fc.array(bytes(100, 0), { maxLength: 10 }) }),
    wire.encodeNameRecord,
    wire.decodeNameRecord,
  ),
  pair(
    'getBlockHeaders3',
    fc.record({ from: block, count: block }),
    wire.encodeGetBlockHeaders3,
    wire.decodeGetBlockHeaders3,
  ),
  pair(
    'blockHeaders3',
    fc.array(bytes(300), { maxLength: 20 }),
    wire.encodeBlockHeaders3,
    wire.decodeBlockHeaders3,
  ),
  pair('getBlockHeaders4 of 0.9.7', question, wire.encodeGetBlockHeaders4, wire.decodeGetBlockHeaders4),
  pair(
    'getBlockHeaders4',
    fc.record({ from: block, count: block, filter: orNull(bytes(100)), mode: fc.nat() }),
    wire.encodeGetBlockHeaders4,
    (p) => wire.decodeGetBlockHeaders4(p) as wire.HeadersQuestion & { mode: number },
  ),
  pair(
    'blockHeaders4',
    fc.record({
      from: block,
      count: block,
      filter: orNull(bytes(100)),
      headers: fc.array(bytes(300), { maxLength: 10 }),
    }),
    wire.encodeBlockHeaders4,
    (p) => wire.decodeBlockHeaders4(p) as wire.HeadersQuestion & { headers: Uint8Array[] },
  ),
  pair(
    'getTransaction3',
    fc.record({ transactionId: bytes(64), block }),
    wire.encodeGetTransaction3,
    wire.decodeGetTransaction3,
  ),
  pair(
    'getTransactions2',
    fc.record({ id: fc.maxSafeInteger(), transactionIds: fc.array(bytes(64), { maxLength: 20 }) }),
    wire.encodeGetTransactions2,
    (p) => wire.decodeGetTransactions2(p) as { id: number; transactionIds: Uint8Array[] },
  ),
  pair(
    'transactionsChunk3',
    fc.record({ id: fc.maxSafeInteger(), transactions: fc.array(bytes(200, 0), { maxLength: 20 }) }),
    wire.encodeTransactionsChunk3,
    (p) => wire.decodeTransactionsChunk3(p, 'client') as { id: number; transactions: Uint8Array[] },
  ),
  pair(
    'transactionsChunk3 for a relay',
    fc.record({
      relayIndex: bytes(100, 0),
      id: fc.maxSafeInteger(),
      transactions: fc.array(bytes(200, 0), { maxLength: 20 }),
    }),
    wire.encodeTransactionsChunk3,
    (p) =>
      wire.decodeTransactionsChunk3(p, 'relay') as {
        relayIndex: Uint8Array;
        id: number;
        transactions: Uint8Array[];
      },
  ),
];

describe.each(pairs)('$name', ({ of, encode, decode }) => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(of, (m) => {
        expect(decode(encode(m))).toEqual(m);
      }),
      { numRuns: 60 },
    );
  });

  it('throws nothing but DecodeError on damaged or random payloads', () => {
    const seed = fuzzSeed();
    const random = generator(seed);
    const samples = fc.sample(of, { numRuns: 20, seed }).map(encode);
    for (let i = 0; i < 600; i++) {
      const payload =
        i % 3 === 0
          ? randomBytesOf(random, Math.floor(random() * 60))
          : mutated(random, samples[i % samples.length]!);
      try {
        decode(payload);
      } catch (e) {
        expect(e, `seed ${seed}: ${toHex(payload)}`).toBeInstanceOf(DecodeError);
      }
    }
  });
});

describe('counts that are upper bounds', () => {
  it('let a getKeepAlives announce more pairs than it holds', () => {
    const one = `21${'00'.repeat(33)}0101`;
    expect(wire.decodeGetKeepAlives(fromHex(`fdffffff7f${one}`))).toHaveLength(1);
    // docs/protocol/04 §6.2 Weakness: five bytes must not cost more than five bytes.
    expect(wire.decodeGetKeepAlives(fromHex('fdffffff7f'))).toEqual([]);
    expect(wire.decodeGetKeepAlives(fromHex(`fcf501${one.repeat(501)}`))).toHaveLength(500);
    expect(() => wire.decodeGetKeepAlives(fromHex(`02${one}2100`))).toThrow(DecodeError);
  });

  it('let a keepAlivesChunk end early', () => {
    expect(wire.decodeKeepAlivesChunk(fromHex('fcf40102aabb'))).toEqual([fromHex('aabb')]);
    expect(wire.decodeKeepAlivesChunk(fromHex('0102aabb01cc'))).toEqual([fromHex('aabb')]);
  });

  it('let a transactionsChunk3 end early', () => {
    expect(wire.decodeTransactionsChunk3(fromHex('05fcf40102aabb'), 'client')).toEqual({
      id: 5,
      transactions: [fromHex('aabb')],
    });
  });
});

describe('bounds', () => {
  const address = new Uint8Array(33);
  const device = Uint8Array.of(1);
  it('keep senders from messages that are not read to their end', () => {
    const many = Array.from({ length: 501 }, () => ({ address, device }));
    expect(() => wire.encodeGetKeepAlives(many)).toThrow(RangeError);
    expect(() => wire.encodeGetKeepAlives([])).toThrow(RangeError);
    expect(() => wire.encodeKeepAlivesChunk(many.map(() => device))).toThrow(RangeError);
    expect(() => wire.encodeGetTransactions2({ id: 0, transactionIds: many.map(() => device) })).toThrow(
      RangeError,
    );
    expect(() => wire.encodeRejected({ reason: 32, transactionId: new Uint8Array(127) })).toThrow(RangeError);
  });

  it('keep receivers from reading without end', () => {
    const refusal = (f: () => unknown) => {
      try {
        f();
      } catch (e) {
        if (e instanceof DecodeError) return `${e.code} ${e.field} ${e.offset}`;
      }
      return 'taken';
    };
    expect(refusal(() => wire.decodeGetTransactions2(fromHex('00fcf501')))).toBe(
      'RANGE getTransactions2.count 1',
    );
    expect(refusal(() => wire.decodeNameRecord(fromHex('01aafde8030100')))).toBe('RANGE nameRecord.count 2');
    expect(refusal(() => wire.decodeBlockHeaders3(fromHex('01aa'.repeat(1001))))).toBe(
      'RANGE blockHeaders3.headers 2000',
    );
    expect(refusal(() => wire.decodeBlockHeaders3(fromHex('00')))).toBe('EMPTY blockHeaders3.header 0');
    expect(
      refusal(() => wire.decodeGetSectorNodes(fromHex('09010203040506070809 05'.replace(' ', '')))),
    ).toBe('BADARG getSectorNodes.prefix 0');
    expect(refusal(() => wire.decodePitData2(fromHex('f8010000'), 'client'))).toBe('RANGE pitData2.block 0');
  });
});

describe('relay answers', () => {
  it('are paired by the bytes up to the filter, whatever follows', () => {
    const q = { from: 5_900_000, count: 500, filter: fromHex('0404') };
    const asked = wire.encodeGetBlockHeaders4({ ...q, mode: 1 });
    const answered = wire.encodeBlockHeaders4({ ...q, headers: [fromHex('aabb')] });
    expect(toHex(wire.headersQuestionKey(asked))).toBe('fde0065a00fcf401020404');
    expect(wire.headersQuestionKey(answered)).toEqual(wire.headersQuestionKey(asked));
    expect(wire.headersQuestionKey(asked)).toEqual(wire.encodeHeadersQuestion(q));
    // Not the canonical form of the number, and still the key of this very request.
    const odd = fromHex('fd0500000001000a');
    expect(toHex(wire.headersQuestionKey(odd))).toBe('fd050000000100');
  });

  it('lose their relayIndex on the way to a client', () => {
    const relayIndex = fromHex('0102');
    const plain = { block: 7, pit: fromHex('aa') };
    const split = wire.splitRelayAnswer(wire.encodePitData2({ relayIndex, ...plain }));
    expect(split).toEqual({ relayIndex, forClient: wire.encodePitData2(plain) });
  });
});

describe('detachEvent', () => {
  it('needs nothing behind type −1, but a length behind any other', () => {
    expect(wire.decodeDetachEvent(fromHex('ffffffff'))).toEqual({ type: -1, item: null });
    expect(() => wire.decodeDetachEvent(fromHex('00000000'))).toThrow(DecodeError);
    expect(() => wire.decodeDetachEvent(fromHex('00000000ffffffff'))).toThrow(DecodeError);
  });
});
