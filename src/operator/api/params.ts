import type { HttpRequest } from '../../link/node/index.js';
import { fromHex } from '../../wire/index.js';
import { type Json, RpcCode, RpcError } from './envelope.js';

const OFF = new Set(['0', 'false', 'no']);

/** Parameters of one call: strings or lists of strings, whatever JSON type they were sent as (11 §3). */
export class Params {
  readonly #values: ReadonlyMap<string, string | readonly string[]>;

  constructor(values: ReadonlyMap<string, string | readonly string[]>) {
    this.#values = values;
  }

  /** The text of a parameter, null when it is absent or a list. */
  text(name: string): string | null {
    const v = this.#values.get(name);
    return typeof v === 'string' ? v : null;
  }

  /** @throws RpcError with `code` when it is missing */
  need(name: string, code: number = RpcCode.invalidParameter): string {
    const v = this.text(name);
    if (v === null || v === '') throw new RpcError(code, `Parameter '${name}' is missing`, name);
    return v;
  }

  /** Presence means true, except 0, false and no. */
  on(name: string): boolean {
    const v = this.#values.get(name);
    return v !== undefined && !(typeof v === 'string' && OFF.has(v.toLowerCase()));
  }

  /** A whole number in a range, `fallback` when absent. */
  whole(name: string, fallback: number, max: number, code: number = RpcCode.invalidParameter): number {
    const v = this.text(name);
    if (v === null || v === '') return fallback;
    const n = Number(v);
    if (!/^\d+$/.test(v) || n > max)
      throw new RpcError(code, `Parameter '${name}' must be a whole number from 0 to ${max}`, name);
    return n;
  }

  /** Bytes given as hexadecimal. */
  hex(name: string, code: number = RpcCode.invalidParameter): Uint8Array {
    try {
      return fromHex(this.need(name, code).toLowerCase());
    } catch (e) {
      if (e instanceof RpcError) throw e;
      throw new RpcError(code, `Parameter '${name}' must be hexadecimal`, name);
    }
  }
}

/** One call as it was sent. */
export interface Call {
  readonly method: string;
  readonly params: Params;
  readonly id: Json;
}

function textOf(v: unknown): string {
  if (typeof v === 'string') return v;
  if (typeof v === 'number' || typeof v === 'boolean') return String(v);
  return JSON.stringify(v);
}

function fromObject(o: Readonly<Record<string, unknown>>): Params {
  const out = new Map<string, string | readonly string[]>();
  for (const [key, v] of Object.entries(o)) {
    if (v === null) continue;
    const name = key.replace(/\[\]$/, '');
    if (Array.isArray(v)) out.set(name, v.map(textOf));
    else out.set(name, textOf(v));
  }
  return new Params(out);
}

function fromQuery(query: URLSearchParams): Params {
  const out = new Map<string, string | readonly string[]>();
  for (const key of new Set(query.keys()))
    if (key.endsWith('[]')) out.set(key.slice(0, -2), query.getAll(key));
    else out.set(key, query.getAll(key).at(-1) ?? '');
  return new Params(out);
}

function segmentOf(path: string): string {
  const raw = path.split('/')[1] ?? '';
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

const isObject = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/**
 * What is being called: without a body the first path segment and the query; with one the JSON in it, whatever
 * the verb and path; a body without `method` holds the parameters of the path's method (docs/protocol/11 §3).
 *
 * @throws RpcError for a body that cannot be used
 */
export function callOf(request: HttpRequest): Call {
  if (request.body.length === 0)
    return { method: segmentOf(request.path), params: fromQuery(request.query), id: null };
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body));
  } catch {
    throw new RpcError(RpcCode.parse, 'The request body is no JSON');
  }
  if (!isObject(body)) throw new RpcError(RpcCode.invalidRequest, 'The request body must be an object');
  const id = (body.id ?? null) as Json;
  if (body.method === undefined || body.method === null)
    return { method: segmentOf(request.path), params: fromObject(body), id };
  if (typeof body.method !== 'string')
    throw new RpcError(RpcCode.invalidRequest, "Member 'method' must be text", 'method');
  const params = body.params ?? {};
  if (!isObject(params))
    throw new RpcError(RpcCode.invalidRequest, "Member 'params' must be an object", 'params');
  return { method: body.method, params: fromObject(params), id };
}
