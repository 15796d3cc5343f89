import { expect, it } from 'vitest';
import { crc32c } from '../../src/core/index.js';
import { concatBytes, crcJoin, crcShift } from '../../src/wire/index.js';
import { random } from '../fuzz/engine.js';

it('joins the sums of two parts to that of both, whatever their lengths', () => {
  const rnd = random(11);
  const part = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => rnd() & 255);
  for (const [a, b] of [
    [0, 0],
    [0, 9],
    [9, 0],
    [1, 1],
    [11, 8_365],
    [65_536, 3],
    ...Array.from({ length: 40 }, () => [rnd() % 300, rnd() % 3_000] as const),
  ] as const) {
    const [first, second] = [part(a), part(b)];
    const whole = crc32c(concatBytes(first, second));
    expect([a, b, crcJoin(crc32c(first), crc32c(second), crcShift(b))]).toEqual([a, b, whole]);
  }
});
