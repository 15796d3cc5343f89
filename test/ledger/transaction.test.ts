import { describe, expect, it } from 'vitest';
import {
  decodeTransaction,
  encodeTransaction,
  estimateFee,
  minimumFee,
  precheckTransaction,
  type Transaction,
  transactionBytesMax,
  transactionChecksum,
  transactionChecksumInput,
  transactionFee,
  transactionId,
  transactionIdText,
} from '../../src/ledger/index.js';
import { DecodeError, fromHex, NETWORKS, RejectedReason, toHex } from '../../src/wire/index.js';

const address = (version: number, from: number): Uint8Array =>
  Uint8Array.from([version, ...Array.from({ length: 44 }, (_, i) => (from + i) & 0xff)]);

/** The vector of 10 §2.3. */
const example: Transaction = {
  version: 7,
  type: 0,
  blockHeight: 5,
  inputs: [{ key: Uint8Array.of(0), amount: 102_000_000n }],
  outputs: [
    { address: address(1, 0x65), amount: 100_000_000n, data: null, dataChecksum: null },
    { address: address(1, 0xc9), amount: 1_000_000n, data: null, dataChecksum: null },
  ],
  nonce: 12_345,
  sender: address(2, 0x01),
  signature: null,
  applied: 0,
  timestamp: 0,
};
const lock = NETWORKS.reg.lock;

const fails = (t: Transaction): string => {
  try {
    decodeTransaction(encodeTransaction(t));
  } catch (e) {
    if (e instanceof DecodeError) return `${e.code} ${e.field}`;
    throw e;
  }
  return 'accepted';
};

describe('transaction', () => {
  it('gives checksum, id and length of 10 §2.3', () => {
    expect(toHex(transactionChecksum(example, lock))).toBe(
      'd2a899fc653c9ee76366a626fc7d80c4215d073544211e8568914347f6d06b5bf7332971848a6646e84dea4d',
    );
    expect(toHex(transactionId(example, lock)).slice(0, 8)).toBe('0105d2a8');
    expect(encodeTransaction(example).length).toBe(170);
    expect(transactionFee(example)).toBe(1_000_000n);
    expect(toHex(transactionChecksumInput(example, lock)).slice(0, 44)).toBe(
      '497869 526567 07 00 05 01 01 00 04 80651406 00 02 2d 01 65'.replaceAll(' ', ''),
    );
  });

  it('leaves output data out of the id: a v7 memo is not authenticated', () => {
    const [first, second] = example.outputs;
    const tagged = {
      ...example,
      outputs: [{ ...first!, data: new TextEncoder().encode('hello') }, second!],
    };
    expect(toHex(transactionId(tagged, lock))).toBe(toHex(transactionId(example, lock)));
    const hashed = {
      ...example,
      outputs: [{ ...first!, dataChecksum: new Uint8Array(32).fill(7) }, second!],
    };
    expect(toHex(transactionId(hashed, lock))).not.toBe(toHex(transactionId(example, lock)));
  });

  it('round-trips, applied height included', () => {
    const t = decodeTransaction(encodeTransaction(example, 77));
    expect(t.applied).toBe(77);
    expect(toHex(encodeTransaction(t, 0))).toBe(toHex(encodeTransaction(example)));
  });

  it('refuses each strict rule of 10 §2.1', () => {
    const [out] = example.outputs;
    const input = example.inputs[0]!;
    expect(fails({ ...example, outputs: [{ ...out!, amount: -1n }] })).toBe(
      'RANGE transaction.output.amount',
    );
    expect(fails({ ...example, inputs: [{ ...input, amount: -1n }] })).toBe('RANGE transaction.input.amount');
    expect(fails({ ...example, inputs: [{ ...input, key: Uint8Array.of(1, 2) }] })).toBe(
      'RANGE transaction.input.key',
    );
    expect(fails({ ...example, inputs: [{ ...input, key: new Uint8Array(17) }] })).toBe(
      'TOOLONG transaction.input.key',
    );
    expect(fails({ ...example, inputs: [input, input] })).toBe('FORMAT transaction.inputs');
    expect(fails({ ...example, outputs: [out!, out!] })).toBe('FORMAT transaction.outputs');
    expect(fails({ ...example, outputs: [{ ...out!, address: new Uint8Array(40) }] })).toBe(
      'RANGE transaction.output.address',
    );
    expect(fails({ ...example, version: 8 })).toBe('RANGE transaction.version');
    expect(fails({ ...example, inputs: [{ ...input, amount: 1n << 256n }] })).toBe(
      'TOOLONG transaction.input.amount',
    );
  });

  it('refuses what is cut, what has more behind it, and what is too large', () => {
    const bytes = encodeTransaction(example);
    for (let n = 0; n < bytes.length; n++)
      expect(() => decodeTransaction(bytes.subarray(0, n))).toThrow(DecodeError);
    expect(() => decodeTransaction(Uint8Array.from([...bytes, 0]))).toThrow('TRAILING');
    expect(() => decodeTransaction(new Uint8Array(transactionBytesMax + 1))).toThrow('TOOLONG');
  });

  it('does not believe a count beyond the bytes that are there', () => {
    expect(() => decodeTransaction(Uint8Array.of(7, 0, 5, 0xfd, 0xff, 0xff, 0xff, 0x7f))).toThrow(
      'transaction.inputs',
    );
  });

  it('writes staking rewards in their own text form', () => {
    expect(transactionIdText(Uint8Array.from([0, 20, 1]))).toBe('stk-15-20-2');
    expect(transactionIdText(Uint8Array.from([1, 20, 1]))).toBe('20-2');
    expect(() => transactionIdText(Uint8Array.of(2, 20, 1))).toThrow(DecodeError);
  });
});

describe('fees', () => {
  it('cost 0.005 per started thousand bytes', () => {
    expect([1, 1000, 1001, 2000, 2001].map((n) => minimumFee(n))).toEqual([
      500_000n,
      500_000n,
      1_000_000n,
      1_000_000n,
      1_500_000n,
    ]);
    expect(estimateFee(400, { signature: false, checksum: false })).toBe(500_000n);
    expect(estimateFee(450, { signature: false, checksum: false })).toBe(1_000_000n);
    expect(estimateFee(450, { signature: false, checksum: true })).toBe(500_000n);
    expect(estimateFee(1000, { signature: true, checksum: true })).toBe(500_000n);
  });

  it('judges what needs no ledger, in the order of 10 §3', () => {
    const good = { ...example, blockHeight: 100, signature: new Uint8Array(512) };
    const at = (t: Transaction): number | null => precheckTransaction(t, { tip: 105 });
    const [out] = example.outputs;
    expect(at(good)).toBeNull();
    expect(at({ ...good, type: 3 })).toBe(RejectedReason.transactionInvalid);
    expect(at({ ...good, type: 997 })).toBe(RejectedReason.transactionInvalid);
    expect(at({ ...good, version: 6 })).toBe(RejectedReason.transactionInvalid);
    expect(at({ ...good, blockHeight: 0 })).toBe(RejectedReason.transactionInvalid);
    expect(at({ ...good, blockHeight: 116 })).toBe(RejectedReason.transactionInvalid);
    expect(at({ ...good, blockHeight: 115 })).toBeNull();
    expect(precheckTransaction({ ...good, blockHeight: 99 }, { tip: 10_100 })).toBe(
      RejectedReason.transactionInvalid,
    );
    expect(precheckTransaction({ ...good, blockHeight: 99 }, { tip: 0 })).toBeNull();
    expect(at({ ...good, inputs: [{ key: Uint8Array.of(0), amount: 1n }] })).toBe(
      RejectedReason.transactionInvalid,
    );
    expect(at({ ...good, signature: null })).toBe(RejectedReason.transactionInvalid);
    expect(at({ ...good, outputs: [{ ...out!, amount: 999_999n }] })).toBe(RejectedReason.transactionDust);
    expect(at({ ...good, inputs: [{ key: Uint8Array.of(0), amount: 101_499_999n }] })).toBe(
      RejectedReason.transactionInsufficientFee,
    );
    expect(at({ ...good, type: 4, outputs: [{ ...out!, amount: 0n }] })).toBeNull();
  });
});

it('a transaction that parses but has no id is refused by name (10 §2.3)', () => {
  const old = decodeTransaction(fromHex('01020000000000002000'));
  expect(old.version).toBe(1);
  expect(() => transactionId(old, NETWORKS.reg.lock)).toThrow(
    expect.objectContaining({ name: 'DecodeError', code: 'RANGE', field: 'transaction.version' }),
  );
  expect(() => transactionId({ ...old, version: 6, sender: null }, NETWORKS.reg.lock)).toThrow(
    expect.objectContaining({ name: 'DecodeError', code: 'EMPTY', field: 'transaction.sender' }),
  );
});
