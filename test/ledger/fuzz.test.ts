import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHeader, decodePitProof, decodeTransaction } from '../../src/ledger/index.js';
import { DecodeError, fromHex } from '../../src/wire/index.js';
import { vectorContext } from '../support/vectors.js';

const ctx = vectorContext();

/** Golden inputs of a kind, as starting points for damage. */
function seeds(file: string, name: string, member: string): Uint8Array[] {
  return ctx
    .cases(file)
    .filter((c) => c.name.startsWith(name) && typeof c.in[member] === 'string')
    .map((c) => fromHex(c.in[member] as string))
    .filter((b) => b.length > 0);
}

/** A golden input with some bytes changed, perhaps cut, perhaps with bytes behind it. */
function damaged(inputs: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  return fc
    .tuple(
      fc.constantFrom(...inputs),
      fc.array(change, { maxLength: 6 }),
      fc.nat(),
      fc.uint8Array({ maxLength: 4 }),
    )
    .map(([seed, changes, cut, tail]) => {
      const bytes = seed.slice();
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      const kept = cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;
      return Uint8Array.from([...kept, ...tail]);
    });
}

/** Decodes, or fails with the one error that decoders throw. */
function holds(decode: (b: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    decode(bytes);
  } catch (e) {
    expect(e).toBeInstanceOf(DecodeError);
  }
}

const runs = { numRuns: 400 };
const decoders: readonly [string, readonly Uint8Array[], (b: Uint8Array) => unknown][] = [
  ['headers', seeds('09-dlt-coordination.json', 'header parse', 'bytes'), (b) => decodeHeader(b, 'any')],
  [
    'headers with bits',
    seeds('09-dlt-coordination.json', 'header parse', 'bytes'),
    (b) => decodeHeader(b, 'bits'),
  ],
  ['proofs', seeds('09-dlt-coordination.json', 'pit proof decode', 'proof'), decodePitProof],
  ['transactions', seeds('10-transactions-fees.json', 'decode', 'bytes'), decodeTransaction],
];

describe.each(decoders)('decoder of %s', (_, inputs, decode) => {
  it('answers damaged golden inputs with a typed error or a value', () => {
    expect(inputs.length).toBeGreaterThan(5);
    fc.assert(
      fc.property(damaged(inputs), (bytes) => holds(decode, bytes)),
      runs,
    );
  });

  it('answers random bytes with a typed error or a value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => holds(decode, bytes)),
      runs,
    );
  });
});
