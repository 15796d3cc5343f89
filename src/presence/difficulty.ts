/** A number outside what difficulties can express: division by zero, a target above the maximum (05 §6.3). */
export class DifficultyError extends Error {
  override readonly name = 'DifficultyError';
}

/** One whole unit in raw fixed-point form: eight decimals (docs/protocol/05 §6.3). */
export const DIFFICULTY_UNIT = 100_000_000n;

/** The easiest target, difficulty 1 (05 §6.3). */
export const MAX_TARGET: bigint = (1n << 512n) - (1n << 456n);

/** Highest `bits` that stand for a target. */
const bitsMax = 0x39ff_ffff_ffff_ffffn;

/** Least difficulty of a presence on every network with proof of work: 10000000 (05 §2), raw. */
export const MIN_POW_DIFFICULTY: bigint = 10_000_000n * DIFFICULTY_UNIT;

/** Hash as a signed little-endian integer. */
function signedValue(hash: Uint8Array): bigint {
  let v = 0n;
  for (let i = hash.length - 1; i >= 0; i--) v = (v << 8n) | BigInt(hash[i]!);
  const top = hash.length === 0 ? 0 : hash[hash.length - 1]!;
  return top >= 0x80 ? v - (1n << BigInt(8 * hash.length)) : v;
}

/**
 * Raw difficulty of a hash (05 §6.3): 0 when its top bit is set.
 *
 * @throws DifficultyError for zero, and for a number above the easiest target
 */
export function hashToDifficulty(hash: Uint8Array): bigint {
  const h = signedValue(hash);
  if (h < 0n) return 0n;
  if (h > MAX_TARGET) throw new DifficultyError('hash above the easiest target');
  if (h === 0n) throw new DifficultyError('hash is zero');
  return (MAX_TARGET * DIFFICULTY_UNIT) / h;
}

/**
 * The target of a raw difficulty as minimal signed little-endian bytes (05 §6.3).
 *
 * @throws DifficultyError for a negative difficulty
 */
export function difficultyToHash(raw: bigint): Uint8Array {
  if (raw < 0n) throw new DifficultyError('negative difficulty');
  let v = (MAX_TARGET * DIFFICULTY_UNIT) / (raw < 1n ? 1n : raw);
  const out: number[] = [];
  while (v > 0n) {
    out.push(Number(v & 0xffn));
    v >>= 8n;
  }
  // A leading zero keeps the sign; the number zero is one byte.
  if (out.length === 0 || out[out.length - 1]! >= 0x80) out.push(0);
  return Uint8Array.from(out);
}

/**
 * Target of compact `bits`: exponent in the top byte, seven mantissa bytes (05 §6.3).
 *
 * @throws DifficultyError above 39ffffffffffffff
 */
export function bitsToHash(bits: bigint): Uint8Array {
  if (bits < 0n || bits > bitsMax) throw new DifficultyError('bits out of range');
  const exponent = Number(bits >> 56n);
  const out = new Uint8Array(exponent + 8);
  for (let i = 0; i < 7; i++) out[exponent + i] = Number((bits >> BigInt(8 * i)) & 0xffn);
  return out;
}

/** Compact `bits` of a target, truncating (05 §6.3). */
export function hashToBits(hash: Uint8Array): bigint {
  let end = Math.max(hash.length, 8);
  const at = (i: number): number => hash[i] ?? 0;
  while (end > 7 && at(end - 1) === 0) end--;
  const exponent = end - 7;
  let mantissa = 0n;
  for (let i = 6; i >= 0; i--) mantissa = (mantissa << 8n) | BigInt(at(exponent + i));
  return (BigInt(exponent) << 56n) | mantissa;
}

/** Raw difficulty of compact `bits`. Throws DifficultyError as its two steps do. */
export function bitsToDifficulty(bits: bigint): bigint {
  return hashToDifficulty(bitsToHash(bits));
}

/** Compact `bits` of a raw difficulty. Throws DifficultyError when negative. */
export function difficultyToBits(raw: bigint): bigint {
  return hashToBits(difficultyToHash(raw));
}

/** Product of two raw fixed-point numbers, truncated at eight decimals. */
function times(a: bigint, b: bigint): bigint {
  return (a * b) / DIFFICULTY_UNIT;
}

/** Quotient of two raw fixed-point numbers, truncated at eight decimals. */
function over(a: bigint, b: bigint): bigint {
  return (a * DIFFICULTY_UNIT) / b;
}

/** 23.4, 100 and 7000 (1000 signers at most, times 7) of 05 §6.6, raw. */
const SIGNER_SHARE = 2_340_000_000n;
const HUNDRED = 100n * DIFFICULTY_UNIT;
const SIGNERS_TIMES_SEVEN = 7000n * DIFFICULTY_UNIT;

/**
 * Least difficulty that follows from the last superblock's `signerBits` (05 §6.6); null or zero bits, or
 * fewer than 8 known blocks, leave the floor.
 */
export function minDifficulty(signerBits: bigint | null): bigint {
  if (signerBits === null || signerBits === 0n) return MIN_POW_DIFFICULTY;
  const d1 = over(times(bitsToDifficulty(signerBits), SIGNER_SHARE), HUNDRED);
  const d2 = over(d1, SIGNERS_TIMES_SEVEN);
  return d2 > MIN_POW_DIFFICULTY ? d2 : MIN_POW_DIFFICULTY;
}

/** Raw difficulty as text with eight decimals. */
export function difficultyText(raw: bigint): string {
  const sign = raw < 0n ? '-' : '';
  const m = raw < 0n ? -raw : raw;
  return `${sign}${m / DIFFICULTY_UNIT}.${(m % DIFFICULTY_UNIT).toString().padStart(8, '0')}`;
}

/** Raw difficulty of text with up to eight decimals. Throws DifficultyError for anything else. */
export function difficultyFromText(text: string): bigint {
  const m = /^(-?)(\d{1,400})(?:\.(\d{1,8}))?$/.exec(text);
  if (m === null) throw new DifficultyError(`not a difficulty: ${text.slice(0, 40)}`);
  const raw = BigInt(m[2]!) * DIFFICULTY_UNIT + BigInt((m[3] ?? '').padEnd(8, '0'));
  return m[1] === '-' ? -raw : raw;
}
