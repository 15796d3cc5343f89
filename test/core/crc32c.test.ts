import { describe, expect, it } from 'vitest';
import { crc32cJs } from '../../src/core/js/crc32c.js';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('CRC-32C check values of docs/protocol/01 §6', () => {
  it.each([
    ['the check string', ascii('123456789'), 0xe3069283],
    ['no bytes', new Uint8Array(0), 0],
    ['one zero byte', new Uint8Array(1), 0x527d5351],
    ['"Ixian"', ascii('Ixian'), 0x0947a753],
    ['32 zero bytes', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes ff', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ])('%s', (_name, data, want) => {
    expect(crc32cJs(data)).toBe(want);
  });
});
