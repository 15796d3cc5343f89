import { describe, expect, it } from 'vitest';
import { loadRsaCoreSync, type RsaKeyItem, RsaVerdict, rsaEngineNames } from '../../src/core/index.js';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import { encodePublicKey } from '../../src/identity/index.js';
import { selfTestItems } from '../../src/identity/verify/self-test.js';

enableRelaxedSimd();

/** Items behind each other, every part at a multiple of 8, in memory of either kind and at an odd place in it. */
function pack(items: readonly RsaKeyItem[], buffer: (bytes: number) => ArrayBufferLike) {
  const parts = items.flatMap(({ key, signature, message }) => [key, signature, message]);
  const bytes = parts.reduce((sum, part) => sum + ((part.length + 7) & ~7), 0);
  const packed = new Uint8Array(buffer(bytes + 3), 3, bytes);
  const lengths = new Uint32Array(buffer(4 * parts.length));
  let at = 0;
  for (const [i, part] of parts.entries()) {
    lengths[i] = part.length;
    packed.set(part, at);
    at += (part.length + 7) & ~7;
  }
  return { packed, lengths, verdicts: new Uint8Array(buffer(items.length)).fill(9) };
}

function changed(lengths: Uint32Array, at: number, length: number): Uint32Array {
  const copy = lengths.slice();
  copy[at] = length;
  return copy;
}

const good = selfTestItems();
const small = encodePublicKey({
  addressVersion: 1,
  n: new Uint8Array(128).fill(0xff),
  e: Uint8Array.of(1, 0, 1),
});
const items: RsaKeyItem[] = [
  ...good,
  { ...good[0]!, key: good[0]!.key.subarray(0, 100) },
  { ...good[0]!, signature: new Uint8Array(0) },
  { ...good[0]!, message: new Uint8Array(0) },
  { key: small, signature: new Uint8Array(128), message: new Uint8Array(3) },
  good[0]!,
];

describe.each(rsaEngineNames)('packed items, %s', (name) => {
  const kernel = loadRsaCoreSync(name)!;
  const buffers: [string, (bytes: number) => ArrayBufferLike][] = [
    ['memory of one thread', (bytes) => new ArrayBuffer(bytes)],
    ['shared memory', (bytes) => new SharedArrayBuffer(bytes)],
  ];

  it.each(buffers)('are judged as single ones are, from %s', (_, buffer) => {
    const { packed, lengths, verdicts } = pack(items, buffer);
    kernel.verifyPackedKeys(packed, lengths, items.length, verdicts);
    const one = [...kernel.verifyKeys(items)];
    expect([...verdicts]).toEqual(one);
    expect(new Set(one)).toEqual(new Set(Object.values(RsaVerdict)));
  });

  it('takes fewer than there are, and none, and leaves the other verdicts alone', () => {
    const { packed, lengths, verdicts } = pack(items, buffers[0]![1]);
    kernel.verifyPackedKeys(packed, lengths, 0, verdicts);
    expect(new Set(verdicts)).toEqual(new Set([9]));
    kernel.verifyPackedKeys(packed, lengths, 1, verdicts);
    expect([...verdicts.subarray(0, 3)]).toEqual([RsaVerdict.valid, 9, 9]);
  });

  it('refuses lengths and counts without room, and writes nothing', () => {
    const { packed, lengths, verdicts } = pack(items, buffers[0]![1]);
    const refuses = (
      f: () => void,
      what: new (text?: string) => Error = RangeError as new (
        text?: string,
      ) => Error,
    ) => {
      expect(f).toThrow(what);
      expect(new Set(verdicts)).toEqual(new Set([9]));
    };
    const count = items.length;
    refuses(() => kernel.verifyPackedKeys(packed.subarray(0, -1), lengths, count, verdicts));
    refuses(() => kernel.verifyPackedKeys(packed, lengths, count + 1, verdicts));
    refuses(() => kernel.verifyPackedKeys(packed, lengths, -1, verdicts));
    refuses(() => kernel.verifyPackedKeys(packed, lengths, 1.5, verdicts));
    refuses(() => kernel.verifyPackedKeys(packed, lengths, count, verdicts.subarray(1)));
    for (const huge of [packed.length + 1, 0x7fffffff, 0x80000000, 0xfffffff9, 0xffffffff])
      for (const at of [0, 1, 2, lengths.length - 1])
        refuses(() => kernel.verifyPackedKeys(packed, changed(lengths, at, huge), count, verdicts));
    refuses(
      () => kernel.verifyPackedKeys(packed, [...lengths] as unknown as Uint32Array, count, verdicts),
      TypeError,
    );
    expect(kernel.verifyKeys(items)[0]).toBe(RsaVerdict.valid);
  });
});
