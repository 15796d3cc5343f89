import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildPitProof, decodePitProof, pitRoot, verifyPitProof } from '../../src/ledger/index.js';
import { DecodeError, fromHex, toHex } from '../../src/wire/index.js';

const run = (from: number, kind: number): Uint8Array =>
  Uint8Array.from([kind, 5, ...Array.from({ length: 44 }, (_, i) => from + i)]);
const t1 = run(0x00, 1);
const t2 = run(0x64, 1);
const t3 = run(0x32, 0);

/** `id` with one byte changed. */
function touched(id: Uint8Array, at: number): Uint8Array {
  const out = id.slice();
  out[at % out.length]! ^= 0x41;
  return out;
}

describe('prefix inclusion tree', () => {
  it('gives the roots and proofs of 09 §8', () => {
    expect(toHex(pitRoot([]))).toBe(
      '826df068457df5dd195b437ab7e7739ff75d2672183f02bb8e1089fabcf97bd9dc80110cf42dbc7cff41c78e',
    );
    expect(toHex(buildPitProof([], []))).toBe('03032cfe0000');
    expect(toHex(pitRoot([t1]))).toBe(
      'cc23ea9c84f050621761eed4dc14fcfb458c051dd07ce332cb181b6dc88310f99912360b70332f1dcbb74a86',
    );
    expect(toHex(buildPitProof([t1], [t1]))).toBe(`03032cfe000101fe000105ff010000002e000000${toHex(t1)}`);
    expect(toHex(buildPitProof([t1], []))).toBe(
      '03032cfe0101eebdd1ef27caaecbaf2bf5416887da18deb5859bb40660d5a0c956f8fe244aed08f3f39020a3d83f2fe421dc00',
    );
    expect(toHex(pitRoot([t1, t2, t3]))).toBe(
      'bac8b3b73e70abb3634615e3d45c18f8324b4736684bfb87a6aaf784e5b9274b2e1c87909b695370eda93453',
    );
  });

  it('does not depend on the order of ids, nor on repetition', () => {
    expect(toHex(pitRoot([t3, t2, t1, t2]))).toBe(toHex(pitRoot([t1, t2, t3])));
  });

  it('proves what is there and denies what is not, for any set of ids', () => {
    const id = fc
      .tuple(
        fc.integer({ min: 0, max: 1 }),
        fc.integer({ min: 0, max: 3 }),
        fc.uint8Array({ minLength: 4, maxLength: 8 }),
      )
      .map(([a, b, rest]) => Uint8Array.from([a, b, ...rest]));
    fc.assert(
      fc.property(
        fc.uniqueArray(id, { selector: toHex, maxLength: 12 }),
        id,
        fc.nat(),
        (ids, foreign, pick) => {
          const root = pitRoot(ids);
          const wanted = ids.filter((_, i) => ((pick >> i) & 1) === 1);
          const proof = buildPitProof(ids, wanted);
          expect(verifyPitProof(proof, root, wanted)!.map(toHex)).toEqual(wanted.map(toHex));
          const known = ids.some((x) => toHex(x) === toHex(foreign));
          expect(verifyPitProof(buildPitProof(ids, [foreign]), root, [foreign])).toEqual(
            known ? [foreign] : [],
          );
          if (ids.length > 0) expect(verifyPitProof(proof, pitRoot(ids.slice(1)), wanted)).toBeNull();
        },
      ),
      { numRuns: 150 },
    );
  });

  it('survives every truncation and every changed byte without a false proof', () => {
    const root = pitRoot([t1, t2, t3]);
    const proof = buildPitProof([t1, t2, t3], [t1]);
    for (let n = 0; n < proof.length; n++)
      expect(() => decodePitProof(proof.subarray(0, n))).toThrow(DecodeError);
    for (let i = 0; i < proof.length; i++) {
      const bad = proof.slice();
      bad[i]! ^= 0x41;
      let shown: Uint8Array[] | null = null;
      try {
        shown = verifyPitProof(bad, root, [t1, touched(t1, i)]);
      } catch (e) {
        expect(e).toBeInstanceOf(DecodeError);
      }
      // The key of a pruned branch is not hashed, so changing it keeps the proof good for what it shows.
      expect((shown ?? []).every((id) => toHex(id) === toHex(t1))).toBe(true);
    }
  });

  it('refuses an id that lies in the wrong branch', () => {
    const proof = buildPitProof([t1], [t1]);
    expect(proof[5]).toBe(1);
    proof[6] = 2;
    expect(() => decodePitProof(proof)).toThrow('pit.level2.id');
  });

  it('refuses counts that cannot be true and leaves in the wrong place', () => {
    expect(() => decodePitProof(fromHex('03032cff00000000'))).toThrow('pit.level0.kind');
    expect(() => decodePitProof(fromHex('03032cfe000101fe000105ffffffff7f'))).toThrow('pit.level2.count');
    expect(() => decodePitProof(fromHex('03032cfe000101fe000105ff01000000ffffff7f'))).toThrow('TOOLONG');
    expect(() => decodePitProof(fromHex('03032cfe000201fe000001fe0000'))).toThrow('twice the same branch');
  });
});
