import { fromHex } from '../../wire/index.js';
import type { Json, JsonObject } from './case.js';

/** Members of a case as the ledger families read them. Each throws when the file holds something else. */
function wrong(key: string, what: string): never {
  throw new TypeError(`member ${key} is no ${what}`);
}

export function text(o: JsonObject, key: string): string {
  const v = o[key];
  return typeof v === 'string' ? v : wrong(key, 'text');
}

/** A JSON number, or decimal digits (README §1 "Encodings"). */
export function int(o: JsonObject, key: string): number {
  const v = o[key];
  const n = typeof v === 'string' ? Number(v) : v;
  return typeof n === 'number' && Number.isSafeInteger(n) ? n : wrong(key, 'integer');
}

export function big(o: JsonObject, key: string): bigint {
  const v = o[key];
  return typeof v === 'string' || typeof v === 'number' ? BigInt(v) : wrong(key, 'integer');
}

export function bytes(o: JsonObject, key: string): Uint8Array {
  return fromHex(text(o, key));
}

/** Bytes, or null where the file says absent. */
export function bytesOrNull(o: JsonObject, key: string): Uint8Array | null {
  return o[key] === null || o[key] === undefined ? null : bytes(o, key);
}

export function list(o: JsonObject, key: string): readonly Json[] {
  const v = o[key];
  return Array.isArray(v) ? (v as readonly Json[]) : wrong(key, 'list');
}

export function texts(o: JsonObject, key: string): readonly string[] {
  return list(o, key).map((v) => (typeof v === 'string' ? v : wrong(key, 'list of texts')));
}

export function objects(o: JsonObject, key: string): readonly JsonObject[] {
  return list(o, key).map((v) =>
    v !== null && typeof v === 'object' && !Array.isArray(v)
      ? (v as JsonObject)
      : wrong(key, 'list of objects'),
  );
}
