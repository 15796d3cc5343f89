import { DecodeError, fromHex, toHex } from '../../wire/index.js';
import type { Json, JsonObject } from './case.js';

/** Accessors for members of a case's `in`; a member of the wrong type is a defect of the case, not a verdict. */
export const text = (o: JsonObject, key: string): string => {
  const v = o[key];
  if (typeof v !== 'string') throw new TypeError(`in.${key} is not a string`);
  return v;
};

export const num = (o: JsonObject, key: string): number => {
  const v = o[key];
  if (typeof v !== 'number') throw new TypeError(`in.${key} is not a number`);
  return v;
};

/** A number that the files write as a decimal string. */
export const int = (o: JsonObject, key: string): number => {
  const v = Number(o[key]);
  if (!Number.isSafeInteger(v)) throw new TypeError(`in.${key} is not an integer`);
  return v;
};

export const big = (o: JsonObject, key: string): bigint => BigInt(text(o, key));

export const bytes = (o: JsonObject, key: string): Uint8Array => fromHex(text(o, key));

/** Bytes or absent. */
export const optionalBytes = (o: JsonObject, key: string): Uint8Array | null =>
  o[key] === null ? null : bytes(o, key);

export const list = (o: JsonObject, key: string): readonly Json[] => {
  const v = o[key];
  if (!Array.isArray(v)) throw new TypeError(`in.${key} is not a list`);
  return v as readonly Json[];
};

export const bytesList = (o: JsonObject, key: string): Uint8Array[] =>
  list(o, key).map((x) => fromHex(String(x)));

export const object = (v: Json | undefined): JsonObject => {
  if (v === null || typeof v !== 'object' || Array.isArray(v)) throw new TypeError('not an object');
  return v as JsonObject;
};

/** Hexadecimal or null for absent. */
export const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));

/** Big-endian hexadecimal of a u32, as the files print CRCs and checksums. */
export const hex32 = (v: number): string => v.toString(16).padStart(8, '0');

/** Our own refusals: what a decoder or an encoder throws for a bad value. Anything else is a defect. */
export const isRefusal = (e: unknown): e is DecodeError | RangeError =>
  e instanceof DecodeError || e instanceof RangeError;

/** The value, or what refused it. */
export function attempt<T>(
  f: () => T,
): { readonly value: T } | { readonly refused: DecodeError | RangeError } {
  try {
    return { value: f() };
  } catch (e) {
    if (isRefusal(e)) return { refused: e };
    throw e;
  }
}

/** As an answer: the computed `out`, or a refusal of the whole case. */
export function answer(f: () => JsonObject): { out: JsonObject } | { refused: string } {
  const r = attempt(f);
  return 'refused' in r ? { refused: r.refused.message } : { out: r.value };
}

/**
 * A refusal inside an `out`. The files hold the name of the reference's exception there, which is information
 * only (test/vectors/README.md §1 "Errors"): it is repeated where one is expected, so that what is compared
 * is that both refuse.
 */
export function refusalLike(expected: Json | undefined): string {
  const named =
    typeof expected === 'string'
      ? expected
      : expected !== null && typeof expected === 'object' && !Array.isArray(expected)
        ? (expected as JsonObject).error
        : undefined;
  return typeof named === 'string' && /^[A-Za-z.]*Exception$/.test(named) ? named : 'refused';
}
