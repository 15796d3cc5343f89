import { describe, expect, it } from 'vitest';
import {
  decodeHeader,
  decodeHeaders,
  encodeHeader,
  groupHeaders,
  makeHeader,
  pitRoot,
} from '../../src/ledger/index.js';
import { DecodeError, fromHex, toHex } from '../../src/wire/index.js';
import { chained, emptyFields } from './support.js';

const code = (f: () => unknown): string => {
  try {
    f();
  } catch (e) {
    if (e instanceof DecodeError) return `${e.code} ${e.field}`;
    throw e;
  }
  return 'accepted';
};

describe('block header', () => {
  it('gives the bytes and checksums of 09 §14.2', () => {
    const [one, two] = chained(2);
    expect(one!.hashed.length).toBe(196);
    expect(toHex(one!.hashed)).toMatch(
      /^0c010000002c826df068.*fd00f1536500ffffffffffffff3940(22){64}40(33){64}0100$/,
    );
    expect(toHex(one!.checksum)).toBe(
      '5bdfdb872d59d0031d4671e92c3d4e9946cad4b19e1de942994ede39bfcf3340' +
        'ec9b9d2edc5fc36ac8c6dec3fd42ab2530752da48f2e62a07f4c05b4d880fb57',
    );
    expect(two!.hashed.length).toBe(252);
    expect(toHex(two!.checksum)).toBe(
      'b874863f9229feff8c8e6c5db7eb82271a066af126a4601c3aaacc16073ad235' +
        '5afa186e72aa9b2a24cdd7c0b026f20ae8641f05e3b94efa4cbd112db0c49761',
    );
  });

  it('writes the two safe constant tails of 09 §7.3', () => {
    const [h] = chained(1);
    const tail = (bytes: Uint8Array): string => toHex(bytes.subarray(h!.hashed.length));
    expect(tail(encodeHeader(h!, { signatures: 'none', tail: 'bits' }))).toBe('0001feffffffffffffff39');
    expect(tail(encodeHeader(h!, { signatures: 'none', tail: 'difficulty' }))).toBe('00010400e1f505');
  });

  it('reads each tail with its own reader and either with any', () => {
    const [h] = chained(1);
    for (const tail of ['bits', 'difficulty'] as const) {
      const bytes = encodeHeader(h!, { signatures: 'none', tail });
      for (const reader of [tail, 'any'] as const) {
        const got = decodeHeader(bytes, reader);
        expect(got.signerCount).toBe(1);
        expect(got.signerDifficulty).toBe(100_000_000n);
      }
    }
  });

  it('hashes what was received, not what would be re-encoded', () => {
    const [h] = chained(1);
    const long = new Uint8Array([0xfc, 12, 0, ...h!.hashed.subarray(1)]);
    const got = decodeHeader(long, 'difficulty');
    expect(got.version).toBe(12);
    expect(toHex(got.hashed)).toBe(toHex(long));
    expect(toHex(got.checksum)).not.toBe(toHex(h!.checksum));
  });

  it('refuses versions that are hashed differently or unknown', () => {
    expect(code(() => decodeHeader(Uint8Array.of(9, 1), 'bits'))).toBe('RANGE header.version');
    expect(code(() => decodeHeader(Uint8Array.of(14, 1), 'bits'))).toBe('RANGE header.version');
  });

  it('refuses empty state checksums', () => {
    const noWallets = makeHeader(
      emptyFields(2, new Uint8Array(64), { walletStateChecksum: new Uint8Array(0) }),
    );
    expect(code(() => decodeHeader(noWallets.hashed))).toBe('EMPTY header.walletState');
    const noNames = makeHeader(emptyFields(2, new Uint8Array(64), { nameStateChecksum: null }));
    expect(code(() => decodeHeader(noNames.hashed))).toBe('EMPTY header.nameState');
  });

  it('refuses ids that do not give the root, repeated ids and cut ids', () => {
    const ids = [1, 2].map((n) => new Uint8Array(46).fill(n));
    const h = makeHeader(emptyFields(2, new Uint8Array(64), { transactionCount: 2, pitRoot: pitRoot(ids) }), {
      transactions: ids,
    });
    const form = { signatures: 'none', tail: 'difficulty', transactions: true } as const;
    const good = encodeHeader(h, form);
    expect(decodeHeader(good, 'difficulty').transactions.map(toHex)).toEqual(ids.map(toHex));
    const other = encodeHeader({ ...h, transactions: [ids[0]!, new Uint8Array(46).fill(3)] }, form);
    expect(code(() => decodeHeader(other, 'difficulty'))).toBe('CHECKSUM header.transactions');
    const twice = encodeHeader({ ...h, transactions: [ids[0]!, ids[0]!] }, form);
    expect(code(() => decodeHeader(twice, 'difficulty'))).toBe('FORMAT header.transaction');
    expect(code(() => decodeHeader(good.subarray(0, good.length - 1), 'difficulty'))).toBe(
      'EOF header.transaction',
    );
  });

  it('never allocates for counts that cannot be true', () => {
    const fields = emptyFields(1000, new Uint8Array(64), {
      signerBits: 1n,
      superblock: { previousNumber: 1, previousChecksum: new Uint8Array(64), segments: [] },
    });
    const h = makeHeader(fields);
    // Behind the count: wallet state, name state, fees.
    const at = h.hashed.length - 65 - 65 - 2 - 1;
    expect(h.hashed[at]).toBe(0);
    const lie = new Uint8Array([...h.hashed.subarray(0, at), 0xfc, 0xe8, 0x03, ...h.hashed.subarray(at + 1)]);
    expect(code(() => decodeHeader(lie))).toBe('EOF header.segments');
    const signatures = new Uint8Array([...chained(1)[0]!.hashed, 0xfc, 0xd1, 0x07]);
    expect(code(() => decodeHeader(signatures, 'bits'))).toBe('RANGE header.signatures');
  });

  it('refuses bits that the reference cannot divide by', () => {
    const [h] = chained(1);
    const with0 = new Uint8Array([...h!.hashed, 0, 1, 0]);
    expect(code(() => decodeHeader(with0, 'bits'))).toBe('RANGE header.tailBits');
    const above = new Uint8Array([...h!.hashed, ...fromHex('0001fe000000000000003a')]);
    expect(code(() => decodeHeader(above, 'bits'))).toBe('RANGE header.tailBits');
  });
});

describe('header batches', () => {
  it('decode as a whole or not at all', () => {
    const bytes = chained(5).map((h) => encodeHeader(h, { signatures: 'none', tail: 'bits' }));
    expect(decodeHeaders(bytes, 'bits').map((h) => h.number)).toEqual([1, 2, 3, 4, 5]);
    expect(() => decodeHeaders([...bytes, Uint8Array.of(9)], 'bits')).toThrow(DecodeError);
  });

  it('are grouped by number and by size', () => {
    const one = new Uint8Array(10);
    const many = new Array<Uint8Array>(1001).fill(one);
    expect(groupHeaders(many).map((g) => g.length)).toEqual([1000, 1]);
    expect(groupHeaders([one, one, one], 31).map((g) => g.length)).toEqual([2, 1]);
    expect(groupHeaders([one], 5).map((g) => g.length)).toEqual([1]);
    expect(groupHeaders([])).toEqual([]);
  });
});
