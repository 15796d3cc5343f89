import { describe, expect, it } from 'vitest';
import { encodePublicKey } from '../../src/identity/index.js';
import {
  bitsToDifficulty,
  bitsToHash,
  compactPow,
  DIFFICULTY_UNIT,
  DifficultyError,
  decodePow,
  difficultyFromText,
  difficultyText,
  difficultyToBits,
  difficultyToHash,
  encodePow,
  hashToBits,
  hashToDifficulty,
  ledgerPowProblem,
  MAX_TARGET,
  MIN_POW_DIFFICULTY,
  minDifficulty,
  NO_POW_KNOWLEDGE,
  type PowKnowledge,
  powDifficulty,
  powFormProblem,
  powHash,
  powValidityBlocks,
  powVerdict,
  relayPowVerdict,
  type SignerPowSolution,
} from '../../src/presence/index.js';
import { DecodeError, fromHex, NETWORKS, toHex } from '../../src/wire/index.js';
import { somePow } from './support.js';

const range = (n: number, f: (i: number) => number = (i) => i): Uint8Array =>
  Uint8Array.from({ length: n }, (_, i) => f(i) & 255);

/** The worked example of 05 §11. */
const wallet = Uint8Array.of(2, ...range(44));
const checksum = range(64);
const example = (solution: string): SignerPowSolution => ({
  block: 5_875_000n,
  solution: fromHex(solution),
  signingPublicKey: range(272, (i) => 7 * i),
});
const hard = example('000000000000b39a');

describe('05 §6.1 bytes', () => {
  it('05 §6.1: encodes and decodes, compacted form included', () => {
    const bytes = encodePow(hard);
    expect(bytes).toHaveLength(289);
    expect(toHex(bytes).startsWith('fd38a5590008000000000000b39afc1001')).toBe(true);
    expect(decodePow(bytes)).toEqual(hard);
    const compact = compactPow(hard);
    expect(encodePow(compact)).toHaveLength(79);
    expect(toHex(compact.signingPublicKey).startsWith('4eccb2ee575a3dd5')).toBe(true);
    expect(compactPow(compact)).toEqual(compact);
    expect(powHash(compact, wallet, checksum)).toEqual(powHash(hard, wallet, checksum));
  });

  it('05 §6.1: a solution of 64 and a key of 300 bytes decode, one more does not', () => {
    const at = (solution: number, key: number) =>
      encodePow({ block: 1n, solution: range(solution), signingPublicKey: range(key) });
    expect(decodePow(at(64, 300)).solution).toHaveLength(64);
    expect(() => decodePow(at(65, 300))).toThrow(DecodeError);
    expect(() => decodePow(at(64, 301))).toThrow(DecodeError);
  });

  it('05 §6.7: trailing bytes, long integers and cut fields are refused', () => {
    for (const hex of ['0501090107aa', 'fc050001090107', '05fc0100090107', '0501090207', '05', '', '0501'])
      expect(() => decodePow(fromHex(hex)), hex).toThrow(DecodeError);
    expect(decodePow(fromHex('0501090107')).block).toBe(5n);
    expect(decodePow(fromHex('feffffffffffffffff01090107')).block).toBe(2n ** 64n - 1n);
  });

  it('05 §6.1: a key of 64 bytes is not compacted, one of 65 is', () => {
    const of = (n: number) => ({ ...hard, signingPublicKey: range(n) });
    expect(compactPow(of(64))).toEqual(of(64));
    expect(compactPow(of(65)).signingPublicKey).toHaveLength(64);
  });
});

describe('05 §6.2 and §6.3 hash and difficulty', () => {
  it('05 §11: the worked example', () => {
    const easy = example('0000000000000000');
    expect(toHex(powHash(easy, wallet, checksum)!).startsWith('37c69f6d96ab525f')).toBe(true);
    expect(powDifficulty(easy, wallet, checksum)).toBe(0n);
    const hash = powHash(hard, wallet, checksum)!;
    expect(difficultyText(hashToDifficulty(hash))).toBe('85874.01515150');
    expect(hashToBits(hash)).toBe(0x37c35ebfb12a896an);
  });

  it('05 §6.2: a solution of 1 to 64 bytes has a hash, others none', () => {
    for (const [n, has] of [
      [0, false],
      [1, true],
      [64, true],
      [65, false],
    ] as const)
      expect(powHash({ ...hard, solution: range(n) }, wallet, checksum) !== null).toBe(has);
    expect(powDifficulty({ ...hard, solution: range(0) }, wallet, checksum)).toBe(null);
  });

  it.each([
    ['39FFFFFFFFFFFFFF', '1.00000000'],
    ['38FFFFFFFFFFFFFF', '256.00000000'],
    ['37FFFFFFFFFFFFFF', '65536.00000000'],
    ['36FFFFFFFFFF0126', '16777216.00001519'],
    ['34CDAB9078563412', '1368574608302.67057280'],
  ])('05 §6.3: bits %s are difficulty %s', (bits, text) => {
    expect(difficultyText(bitsToDifficulty(BigInt(`0x${bits}`)))).toBe(text);
  });

  it.each([
    [10_000_000n, 0x3701ad7f29abcaf4n, '10000000.00000001'],
    [1_000_000_000_000n, 0x350119799812dea1n, '1000000000000.00020818'],
  ])('05 §6.3: difficulty %s and back', (whole, bits, back) => {
    const got = difficultyToBits(whole * DIFFICULTY_UNIT);
    expect(got).toBe(bits);
    expect(difficultyText(bitsToDifficulty(got))).toBe(back);
  });

  it('05 §6.3: a set top bit is difficulty 0, more than the easiest target and zero are errors', () => {
    expect(hashToDifficulty(fromHex('0080'))).toBe(0n);
    expect(hashToDifficulty(fromHex('007f'))).toBeGreaterThan(0n);
    expect(hashToDifficulty(difficultyToHash(DIFFICULTY_UNIT))).toBe(DIFFICULTY_UNIT);
    expect(() => hashToDifficulty(new Uint8Array(64))).toThrow(DifficultyError);
    expect(() => hashToDifficulty(new Uint8Array(0))).toThrow(DifficultyError);
    const over = new Uint8Array(66);
    over[64] = 1;
    expect(() => hashToDifficulty(over)).toThrow(DifficultyError);
    expect(MAX_TARGET).toBe(2n ** 512n - 2n ** 456n);
  });

  it('05 §6.3: targets are minimal signed bytes; a negative difficulty is an error', () => {
    expect(() => difficultyToHash(-1n)).toThrow(DifficultyError);
    expect(difficultyToHash(0n)).toEqual(difficultyToHash(1n));
    // A huge difficulty has target zero, one byte long; a top bit gets a zero above it.
    expect(toHex(difficultyToHash(MAX_TARGET * DIFFICULTY_UNIT + 1n))).toBe('00');
    expect(toHex(difficultyToHash(MAX_TARGET * DIFFICULTY_UNIT))).toBe('01');
    expect(toHex(difficultyToHash((MAX_TARGET * DIFFICULTY_UNIT) / 128n))).toBe('8000');
    expect(toHex(difficultyToHash((MAX_TARGET * DIFFICULTY_UNIT) / 127n))).toBe('7f');
  });

  it('05 §6.3: bits reach up to 39ffffffffffffff', () => {
    expect(bitsToHash(0x39ff_ffff_ffff_ffffn)).toHaveLength(65);
    expect(() => bitsToHash(0x3a00_0000_0000_0000n)).toThrow(DifficultyError);
    expect(() => bitsToHash(-1n)).toThrow(DifficultyError);
    expect(toHex(bitsToHash(0x0100_0000_0000_0080n))).toBe('008000000000000000');
  });

  it('05 §6.3: texts of up to eight decimals', () => {
    expect(difficultyFromText('123.5')).toBe(12_350_000_000n);
    expect(difficultyFromText('-0.00000001')).toBe(-1n);
    expect(difficultyText(-1n)).toBe('-0.00000001');
    for (const text of ['', '.5', '1.', '1.123456789', '1e5', '+1'])
      expect(() => difficultyFromText(text)).toThrow(DifficultyError);
  });
});

describe('05 §6.5 and §6.6', () => {
  it('05 §6.5: 120 blocks before version 12 and while unknown, 30 from then on', () => {
    expect([-1, 0, 11, 12, 13].map(powValidityBlocks)).toEqual([120, 120, 120, 30, 30]);
  });

  it.each([
    [0x3701ad7f29abcaf4n, '10000000.00000000'],
    [0x350119799812dea1n, '33428571.42857143'],
    [0x3405a126e1a84ae6n, '1671428571.42857219'],
  ])('05 §6.6: signer bits %s', (bits, text) => {
    expect(difficultyText(minDifficulty(bits))).toBe(text);
  });

  it('05 §6.6: none or zero leaves the floor', () => {
    expect(minDifficulty(null)).toBe(MIN_POW_DIFFICULTY);
    expect(minDifficulty(0n)).toBe(MIN_POW_DIFFICULTY);
  });
});

const ledger = (height: number, blockVersion = 12, least = '65536'): PowKnowledge => ({
  height,
  blockVersion,
  minDifficulty: difficultyFromText(least),
  blockChecksum: (block) => (block === 5_875_000n ? checksum : null),
});

describe('05 §6.4 a ledger node', () => {
  const problem = (know: PowKnowledge, pow = hard) => ledgerPowProblem(pow, wallet, know);

  it('05 §6.4 rule 1: older than the validity is refused', () => {
    expect(problem(ledger(5_875_029))).toBe(null);
    expect(problem(ledger(5_875_030))).toBe(null);
    expect(problem(ledger(5_875_031))).toBe('pow-expired');
    expect(problem(ledger(5_875_120, 11))).toBe(null);
    expect(problem(ledger(5_875_121, 11))).toBe('pow-expired');
  });

  it('05 §6.4 rule 2: ahead of the own height is refused', () => {
    expect(problem(ledger(5_875_000))).toBe(null);
    expect(problem(ledger(5_874_999))).toBe('pow-future');
  });

  it('05 §6.4 rule 3: the difficulty must reach the minimum', () => {
    expect(problem(ledger(5_875_000, 12, '85874.01515150'))).toBe(null);
    expect(problem(ledger(5_875_000, 12, '85874.01515151'))).toBe('pow-difficulty');
    const { minDifficulty: _, ...noMinimum } = ledger(5_875_000);
    expect(problem(noMinimum)).toBe('pow-difficulty');
    expect(problem(ledger(5_875_000, 12, '0'), example(''))).toBe('pow-difficulty');
  });

  it('05 §6.4 rule 3: a missing block is refused', () => {
    expect(problem(ledger(5_875_000), { ...hard, block: 5_874_999n })).toBe('pow-block');
  });

  it('05 §6.4 rule 2: a ledger node that knows no height is at its beginning', () => {
    const { height: _, ...rest } = ledger(5_875_000);
    expect(problem({ ...rest, height: null })).toBe('pow-future');
    expect(problem({ ...rest, height: null }, { ...hard, block: 0n })).toBe('pow-block');
  });

  it('05 §6.4: what is refused was not verified', () => {
    expect(powVerdict(hard, wallet, NETWORKS.main, 'M', ledger(5_875_500))).toEqual({
      problem: 'pow-expired',
      verified: false,
    });
  });

  it('05 §6.4: M, H and W check, C does not, warm-up takes anything', () => {
    const late = ledger(5_875_500);
    for (const own of ['M', 'H', 'W'] as const)
      expect(powVerdict(hard, wallet, NETWORKS.main, own, late).problem).toBe('pow-expired');
    expect(powVerdict(hard, wallet, NETWORKS.main, 'C', late)).toEqual({ problem: null, verified: false });
    expect(powVerdict(hard, wallet, NETWORKS.main, 'M', { ...late, warmUp: true })).toEqual({
      problem: null,
      verified: false,
    });
    expect(powVerdict(hard, wallet, NETWORKS.main, 'M', ledger(5_875_000))).toEqual({
      problem: null,
      verified: true,
    });
  });
});

describe('05 §6.7 a relay', () => {
  const good = decodePow(somePow());
  const { main, test, reg } = NETWORKS;
  const know = (fields: Partial<PowKnowledge>): PowKnowledge => ({ ...NO_POW_KNOWLEDGE, ...fields });
  const problem = (fields: Partial<PowKnowledge>, pow = good, network = main) =>
    relayPowVerdict(pow, wallet, network, know(fields)).problem;

  it('05 §6.7 row 1: solution of 1 to 64 bytes, key of 65 to 300 bytes that is an RSA key', () => {
    expect(powFormProblem(good, main)).toBe(null);
    for (const bad of [
      { ...good, solution: range(0) },
      { ...good, solution: range(65) },
      { ...good, signingPublicKey: range(64) },
      { ...good, signingPublicKey: range(301) },
      { ...good, signingPublicKey: new Uint8Array(272) },
    ]) {
      expect(powFormProblem(bad, main)).toBe('pow-form');
      expect(powFormProblem(bad, test)).toBe('pow-form');
      expect(problem({}, bad)).toBe('pow-form');
      expect(powFormProblem(bad, reg)).toBe(null);
      expect(problem({ height: 1 }, bad, reg)).toBe(null);
    }
    for (const n of [1, 64]) expect(powFormProblem({ ...good, solution: range(n) }, main)).toBe(null);
    // An RSA key of exactly n bytes: header, odd modulus, an exponent of 8 bytes.
    const key = (n: number): Uint8Array =>
      encodePublicKey({ addressVersion: 2, n: range(n - 21, () => 0xc1), e: range(8, () => 0x81) });
    expect(key(300)).toHaveLength(300);
    expect(powFormProblem({ ...good, signingPublicKey: key(300) }, main)).toBe(null);
    expect(powFormProblem({ ...good, signingPublicKey: key(301) }, main)).toBe('pow-form');
  });

  it('05 §6.7: what is refused was not verified, whatever the row', () => {
    const verdict = (fields: Partial<PowKnowledge>, pow = good) =>
      relayPowVerdict(pow, wallet, main, know(fields));
    const refused = (problem: string) => ({ problem, verified: false });
    expect(verdict({}, { ...good, solution: range(0) })).toEqual(refused('pow-form'));
    expect(verdict({ height: 1 })).toEqual(refused('pow-future'));
    expect(verdict({ height: 6_000_000 })).toEqual(refused('pow-expired'));
    expect(verdict({ blockChecksum: () => checksum })).toEqual(refused('pow-difficulty'));
    expect(powVerdict(good, wallet, main, 'R', know({ height: 1 }))).toEqual(refused('pow-future'));
  });

  it('05 §6.7 row 2: within the validity and ten blocks either way, when the own headers are current', () => {
    expect(problem({ height: null })).toBe(null);
    expect(problem({ height: 5_874_990 })).toBe(null);
    expect(problem({ height: 5_874_989 })).toBe('pow-future');
    expect(problem({ height: 5_875_040, blockVersion: 12 })).toBe(null);
    expect(problem({ height: 5_875_041, blockVersion: 12 })).toBe('pow-expired');
    expect(problem({ height: 5_875_130, blockVersion: 11 })).toBe(null);
    expect(problem({ height: 5_875_131, blockVersion: 11 })).toBe('pow-expired');
  });

  /** Found by search: difficulty 10909635.38986203 for the wallet and checksum of the worked example. */
  const worked: SignerPowSolution = { ...good, solution: fromHex('0000000000eab642') };
  const floor = 0x3701ad7f29abcaf4n;
  const higher = 0x350119799812dea1n; // minimum 33428571.42857143

  it('05 §6.7 row 3: a verified header of the block holds the proof to the floor', () => {
    expect(problem({ blockChecksum: () => checksum })).toBe('pow-difficulty');
    expect(problem({ blockChecksum: () => checksum }, { ...worked, solution: range(0) })).toBe('pow-form');
    expect(difficultyText(powDifficulty(worked, wallet, checksum)!)).toBe('10909635.38986203');
    expect(relayPowVerdict(worked, wallet, main, know({ blockChecksum: () => checksum }))).toEqual({
      problem: null,
      verified: true,
    });
    // The checksum of that very block is asked for.
    const asked: bigint[] = [];
    const blockChecksum = (block: bigint): null => {
      asked.push(block);
      return null;
    };
    problem({ blockChecksum }, worked);
    expect(asked).toEqual([5_875_000n]);
  });

  it('05 §6.7 row 4: superblocks raise the minimum, the smaller one counts', () => {
    const at = (...signerBits: bigint[]) => problem({ blockChecksum: () => checksum, signerBits }, worked);
    expect(at()).toBe(null);
    expect(at(higher)).toBe('pow-difficulty');
    expect(at(higher, higher)).toBe('pow-difficulty');
    expect(at(higher, floor)).toBe(null);
    expect(at(floor, higher)).toBe(null);
  });

  it('05 §6.7 row 5: without a header it is taken, but not as verified', () => {
    expect(relayPowVerdict(good, wallet, main, know({}))).toEqual({ problem: null, verified: false });
  });

  it('05 §6.7: the regression network takes what parses, as a relay sees it', () => {
    expect(powVerdict(good, wallet, reg, 'R', know({ height: 1 }))).toEqual({
      problem: null,
      verified: false,
    });
  });
});
