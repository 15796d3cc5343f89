import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Core, loadCoreSync, sha3_512 } from '../../src/core/index.js';
import { cores } from './support/cores.js';

const native = (data: Uint8Array): Uint8Array => new Uint8Array(createHash('sha3-512').update(data).digest());

/** `bytes` bytes that no other message of a batch shares. */
const message = (bytes: number, salt: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + salt * 17 + (i >> 8)) & 0xff);

function digestsOf(core: Core, messages: readonly Uint8Array[]): Uint8Array[] {
  const all = core.sha3_512Batch(messages);
  return messages.map((_, i) => all.slice(64 * i, 64 * i + 64));
}

describe.each(cores)('SHA3-512 in batches, %s', (_name, core) => {
  it('pairs of every length up to four blocks, and one behind', () => {
    for (let bytes = 0; bytes <= 290; bytes++) {
      const messages = [message(bytes, 1), message(bytes, 2), message(bytes, 3)];
      expect(digestsOf(core, messages), `${bytes} bytes`).toEqual(messages.map(native));
    }
  });

  it('partners of other lengths with as many blocks', () => {
    for (const [a, b] of [
      [0, 71],
      [71, 0],
      [72, 143],
      [143, 144],
      [71, 72],
      [575, 504],
    ] as const) {
      const messages = [message(a, 4), message(b, 5)];
      expect(digestsOf(core, messages), `${a} and ${b}`).toEqual(messages.map(native));
    }
  });

  it('lengths that share a place in the waiting table: 64 blocks apart', () => {
    const blocks = (n: number): number => n * 72 + 5;
    const lengths = [1, 65, 1, 129, 65, 65, 1, 1, 129, 65].map(blocks);
    const messages = lengths.map((bytes, i) => message(bytes, i));
    expect(digestsOf(core, messages)).toEqual(messages.map(native));
  });

  it('any mixture, in the order of the messages', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 40 }), (messages) => {
        expect(digestsOf(core, messages)).toEqual(messages.map(native));
      }),
      { numRuns: 40 },
    );
  });

  it('hashed twice and cut', () => {
    const messages = [45, 45, 33, 600, 45].map((bytes, i) => message(bytes, i));
    const all = core.sha3_512Batch(messages, { rounds: 2, keepBytes: 44 });
    const want = messages.map((m) => native(native(m)).slice(0, 44));
    expect(messages.map((_, i) => all.slice(44 * i, 44 * i + 44))).toEqual(want);
  });

  it('sector prefixes, one and many', () => {
    const addresses = [45, 45, 33, 45].map((bytes, i) => message(bytes, i));
    const want = addresses.map((a) => native(a).slice(0, 10));
    expect(addresses.map((a) => core.sectorPrefix(a))).toEqual(want);
    const all = core.sectorPrefixBatch(addresses);
    expect(all.length).toBe(40);
    expect(addresses.map((_, i) => all.slice(10 * i, 10 * i + 10))).toEqual(want);
    expect(core.sectorPrefixBatch([])).toEqual(new Uint8Array(0));
  });
});

describe('the choice by length', () => {
  it('gives the same digest on both sides of the crossover, as bytes of its own', () => {
    for (const bytes of [0, 72, 2047, 2048, 2049, 70_000]) {
      const data = message(bytes, 9);
      const digest = sha3_512(data);
      expect(digest).toEqual(native(data));
      expect(Object.getPrototypeOf(digest)).toBe(Uint8Array.prototype);
      expect(digest.buffer.byteLength).toBe(64);
    }
  });

  it('refuses what is not bytes, however long', () => {
    const text = 'x'.repeat(5000) as unknown as Uint8Array;
    expect(() => sha3_512(text)).toThrow(TypeError);
  });

  it('takes two messages at a time where the runtime has SIMD', () => {
    expect(loadCoreSync().simd).toBe(true);
  });
});
