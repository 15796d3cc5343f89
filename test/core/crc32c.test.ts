import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../src/core/index.js';
import { cores } from './support/cores.js';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bit by bit from the definition in docs/protocol/01 §6. */
function dumbCrc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const withFunctionOnTop = [...cores, ['top level', { crc32c, crc32cBatch: null }] as const];

describe.each(withFunctionOnTop)('CRC-32C, %s', (_engine, core) => {
  it.each([
    ['the check string', ascii('123456789'), 0xe3069283],
    ['no bytes', new Uint8Array(0), 0],
    ['one zero byte', new Uint8Array(1), 0x527d5351],
    ['"Ixian"', ascii('Ixian'), 0x0947a753],
    ['32 zero bytes', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes ff', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['data and its CRC', Uint8Array.of(...ascii('123456789'), 0x83, 0x92, 0x06, 0xe3), 0x48674bc7],
  ])('check value of docs/protocol/01 §6: %s', (_name, data, want) => {
    expect(core.crc32c(data)).toBe(want);
  });

  it('continues a previous CRC, wherever the data is cut', () => {
    expect(core.crc32c(ascii('56789'), core.crc32c(ascii('1234')))).toBe(0xe3069283);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (data, at) => {
        const cut = Math.min(at, data.length);
        expect(core.crc32c(data.subarray(cut), core.crc32c(data.subarray(0, cut)))).toBe(core.crc32c(data));
      }),
    );
  });

  it('agrees with the definition at every length around those that go in lanes, also continued', () => {
    const big = new Uint8Array(1_700).map((_, i) => (i * 2654435761) >>> 11);
    for (const lanes of [1, 2, 3])
      for (let length = 512 * lanes - 9; length < 512 * lanes + 150; length += 1) {
        const data = big.subarray(3, 3 + length);
        expect(core.crc32c(data)).toBe(dumbCrc32c(data));
        const cut = length % 37;
        expect(core.crc32c(data.subarray(cut), core.crc32c(data.subarray(0, cut)))).toBe(dumbCrc32c(data));
      }
  });

  it('agrees with the definition, at any alignment and across the staging size', () => {
    const big = new Uint8Array(130_000).map((_, i) => (i * 2654435761) >>> 13);
    for (const [from, to] of [
      [0, 64512],
      [1, 64514],
      [3, 130_000],
    ] as const) {
      expect(core.crc32c(big.subarray(from, to))).toBe(dumbCrc32c(big.subarray(from, to)));
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9), (data, skip) => {
        expect(core.crc32c(data.subarray(skip))).toBe(dumbCrc32c(data.subarray(skip)));
      }),
    );
  });
});

describe.each(cores)('CRC-32C batch, %s', (_engine, core) => {
  it('gives one CRC per message', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 9 }), (messages) => {
        expect([...core.crc32cBatch(messages)]).toEqual(messages.map(dumbCrc32c));
      }),
    );
  });

  it('refuses what is not bytes', () => {
    expect(() => core.crc32cBatch(['x' as unknown as Uint8Array])).toThrow(TypeError);
    expect(() => core.crc32c(7 as unknown as Uint8Array)).toThrow(TypeError);
  });
});
