import { describe, expect, it } from 'vitest';
import {
  decodePresence,
  keepAliveChunks,
  keepAlivePairsMax,
  MemoryPresenceStore,
  type PresenceAddress,
  presenceAnswer,
  randomPresences,
  readKeepAlivePairs,
} from '../../src/presence/index.js';
import { ByteWriter, DecodeError, decodeKeepAlivesChunk } from '../../src/wire/index.js';
import { HOST, T0 } from './support.js';

const wallet = (n: number): Uint8Array => new Uint8Array(33).fill(n, 1);
const addr = (fields: Partial<PresenceAddress> = {}): PresenceAddress => ({
  version: 2,
  device: Uint8Array.of(1),
  hostname: HOST,
  type: 'C',
  nodeVersion: 'v',
  lastSeen: T0,
  signature: Uint8Array.of(9),
  pow: null,
  ...fields,
});
const put = (store: MemoryPresenceStore, n: number, a: PresenceAddress, powVerified = false): void => {
  store.upsert({ wallet: wallet(n), publicKey: Uint8Array.of(n), version: 1 }, a, { powVerified });
};
const request = (count: number, pairs: readonly number[]): Uint8Array => {
  const w = new ByteWriter().var(count);
  for (const n of pairs) w.vb(wallet(n)).vb(Uint8Array.of(1));
  return w.bytes();
};

describe('05 §10.3 getKeepAlives', () => {
  it('05 §10.3: known pairs are answered, unknown ones counted and left out', () => {
    const store = new MemoryPresenceStore();
    put(store, 1, addr());
    const [chunk, ...more] = keepAliveChunks(store, readKeepAlivePairs(request(3, [2, 1, 3])));
    expect(more).toEqual([]);
    expect(chunk![0]).toBe(3);
    expect(decodeKeepAlivesChunk(chunk!)).toHaveLength(1);
  });

  it('05 §10.3: no message without a keep-alive', () => {
    const store = new MemoryPresenceStore();
    expect(keepAliveChunks(store, readKeepAlivePairs(request(2, [2, 3])))).toEqual([]);
    expect(keepAliveChunks(store, [])).toEqual([]);
  });

  it('05 §10.3: the announced count is bounded by the pairs present', () => {
    expect(readKeepAlivePairs(request(2 ** 31 - 1, []))).toEqual([]);
    expect(readKeepAlivePairs(request(2 ** 31 - 1, [1, 2]))).toHaveLength(2);
    expect(readKeepAlivePairs(request(1, [1, 2]))).toHaveLength(1);
    expect(() => readKeepAlivePairs(request(1, [1]).subarray(0, 20))).toThrow(DecodeError);
  });

  it('05 §10.3: 500 keep-alives per message, and a bound on the whole answer', () => {
    const store = new MemoryPresenceStore();
    put(store, 1, addr());
    const many = (n: number): number[] => new Array<number>(n).fill(1);
    const sizes = (n: number) =>
      keepAliveChunks(store, readKeepAlivePairs(request(n, many(n)))).map(
        (c) => decodeKeepAlivesChunk(c).length,
      );
    expect(sizes(500)).toEqual([500]);
    expect(sizes(501)).toEqual([500, 1]);
    expect(readKeepAlivePairs(request(5000, many(5000)))).toHaveLength(keepAlivePairsMax);
  });
});

describe('05 §10.3 getPresence2', () => {
  it('05 §10.3: all chunks of a known wallet, nothing for an unknown one', () => {
    const store = new MemoryPresenceStore({ devicesMax: { C: 20 } });
    for (let i = 0; i < 12; i++) put(store, 1, addr({ device: Uint8Array.of(i) }));
    const chunks = presenceAnswer(store, wallet(1));
    expect(chunks.map((c) => decodePresence(c).addresses.length)).toEqual([10, 2]);
    expect(presenceAnswer(store, wallet(2))).toEqual([]);
  });
});

describe('05 §10.3 getRandomPresences', () => {
  const relays = (count: number): MemoryPresenceStore => {
    const store = new MemoryPresenceStore();
    for (let i = 1; i <= count; i++) put(store, i, addr({ type: 'R', lastSeen: T0 - i }));
    return store;
  };
  const chosen = (store: MemoryPresenceStore, type: string, random: number): number[] =>
    randomPresences(store, type, T0, () => random).map((p) => p.wallet[1]!);

  it('05 §10.3 strict: clients are listed to nobody, nor is any other letter', () => {
    const store = relays(3);
    put(store, 9, addr());
    for (const type of ['C', 'W', 'X', '']) expect(chosen(store, type, 0)).toEqual([]);
  });

  it('05 §10.3: up to ten are given as they are, newest first', () => {
    expect(chosen(relays(10), 'R', 0.99)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('05 §10.3: of more than ten a window of ten that starts below count − 10', () => {
    expect(chosen(relays(11), 'R', 0.99)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(chosen(relays(20), 'R', 0)[0]).toBe(1);
    expect(chosen(relays(20), 'R', 0.999)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    expect(chosen(relays(40), 'R', 0.999)[0]).toBe(10);
  });

  it('05 §6.7: whose work was checked comes before the others', () => {
    const store = new MemoryPresenceStore();
    put(store, 1, addr({ type: 'M', lastSeen: T0 }));
    put(store, 2, addr({ type: 'M', lastSeen: T0 - 1 }), true);
    put(store, 3, addr({ type: 'M', lastSeen: T0 - 2 }));
    expect(chosen(store, 'M', 0)).toEqual([2, 1, 3]);
  });
});
