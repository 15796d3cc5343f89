import { DecodeError } from './errors.js';
import type { ByteReader } from './reader.js';
import type { ByteWriter } from './writer.js';

/** Units of 10⁻⁸ in one coin (docs/protocol/01 §5). */
export const UNITS_PER_COIN = 100_000_000n;

const DECIMALS = 8;

/** Longest amount a message may carry, in bytes: the largest honest one, a difficulty target, has 65. */
export const ixiNumberBytesMax = 128;

/** Longest amount text looked at, in characters: far beyond every coin that can exist. */
export const amountCharsMax = 128;

/**
 * The unit count as two's-complement little-endian bytes of minimal length, at least one (01 §5.1), without
 * length prefix.
 */
export function encodeIxiNumber(units: bigint): Uint8Array {
  const negative = units < 0n;
  // Of a negative number every bit is inverted, so that both signs are written as a magnitude.
  let hex = (negative ? -units - 1n : units).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  const n = hex.length / 2;
  const signByte = Number.parseInt(hex.slice(0, 2), 16) >= 0x80 ? 1 : 0;
  const out = new Uint8Array(n + signByte);
  for (let i = 0; i < n; i++) out[i] = Number.parseInt(hex.slice(2 * (n - 1 - i), 2 * (n - i)), 16);
  if (negative) for (let i = 0; i < out.length; i++) out[i] = ~out[i]! & 0xff;
  return out;
}

/**
 * Units from amount bytes (01 §5.1). Redundant sign bytes are accepted, as in the reference.
 *
 * @throws DecodeError `EMPTY` for no bytes.
 */
export function decodeIxiNumber(bytes: Uint8Array, field = 'amount', offset = 0): bigint {
  if (bytes.length === 0) throw new DecodeError('EMPTY', field, offset);
  const negative = bytes[bytes.length - 1]! >= 0x80;
  let hex = '0x';
  for (let i = bytes.length - 1; i >= 0; i--) {
    const b = negative ? ~bytes[i]! & 0xff : bytes[i]!;
    hex += b < 16 ? `0${b.toString(16)}` : b.toString(16);
  }
  const magnitude = BigInt(hex);
  return negative ? -magnitude - 1n : magnitude;
}

/** `num` (01 §5.1): length and amount bytes. Throws DecodeError, `EMPTY` for length 0. */
export function readIxiNumber(r: ByteReader, field: string): bigint {
  const start = r.offset;
  return decodeIxiNumber(r.vb(field, ixiNumberBytesMax), field, start);
}

/** Writes `num` (01 §5.1). */
export function writeIxiNumber(w: ByteWriter, units: bigint): ByteWriter {
  return w.vb(encodeIxiNumber(units));
}

/** Coins with exactly eight decimals, e.g. `-0.50000000` (01 §5.2). */
export function formatAmount(units: bigint): string {
  const digits = (units < 0n ? -units : units).toString().padStart(DECIMALS + 1, '0');
  const at = digits.length - DECIMALS;
  return `${units < 0n ? '-' : ''}${digits.slice(0, at)}.${digits.slice(at)}`;
}

/**
 * Units from coin text, strict (01 §5.2): after trimming `-?digits.digits`, either run may be empty; decimals
 * beyond the eighth are cut, not rounded.
 *
 * @throws DecodeError `EMPTY`, `TOOLONG` or `FORMAT`.
 */
export function parseAmount(text: string, field = 'amount'): bigint {
  if (text.length > amountCharsMax) throw new DecodeError('TOOLONG', field, 0);
  const t = text.trim();
  if (t === '') throw new DecodeError('EMPTY', field, 0);
  const m = /^(-?)([0-9]*)(?:\.([0-9]*))?$/.exec(t);
  if (m === null) throw new DecodeError('FORMAT', field, 0, 'not a decimal number');
  const fraction = (m[3] ?? '').slice(0, DECIMALS).padEnd(DECIMALS, '0');
  const units = BigInt(`${m[2]!}${fraction}`);
  return m[1] === '-' ? -units : units;
}

/** Whole coins as units (01 §5.3). */
export function amountFromCoins(coins: bigint | number): bigint {
  return BigInt(coins) * UNITS_PER_COIN;
}

/** a · b, cut towards zero (01 §5.3). Operands and result in units. */
export function multiplyAmounts(a: bigint, b: bigint): bigint {
  return (a * b) / UNITS_PER_COIN;
}

/** a / b, cut towards zero (01 §5.3). Throws RangeError when b is zero. */
export function divideAmounts(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new RangeError('division by a zero amount');
  return (a * UNITS_PER_COIN) / b;
}

/** Quotient and the rest that multiplying back leaves: a − trunc(q·b / 10⁸) (01 §5.3). */
export function divRemAmounts(a: bigint, b: bigint): { quotient: bigint; remainder: bigint } {
  const quotient = divideAmounts(a, b);
  return { quotient, remainder: a - multiplyAmounts(quotient, b) };
}

/** Quotient and trunc(((a·10⁸) mod b) / 10⁸), sign of a (01 §5.3): where a rule names "low precision". */
export function divRemLowPrecision(a: bigint, b: bigint): { quotient: bigint; remainder: bigint } {
  const quotient = divideAmounts(a, b);
  return { quotient, remainder: ((a * UNITS_PER_COIN) % b) / UNITS_PER_COIN };
}

/** −1, 0 or 1. */
export function compareAmounts(a: bigint, b: bigint): -1 | 0 | 1 {
  return a < b ? -1 : a > b ? 1 : 0;
}
