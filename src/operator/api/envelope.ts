import type { HttpResponse } from '../../link/node/index.js';

/** Error codes of the reference's API (docs/protocol/11 §3.1). */
export const RpcCode = {
  parse: -32700,
  invalidRequest: -32600,
  unknownMethod: -32601,
  invalidParameter: -32602,
  internal: -32603,
  warmingUp: -28,
  verification: -25,
  parameter: -8,
  address: -5,
  wallet: -4,
} as const;

/** An answer with an error of the reference's table. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  constructor(
    readonly code: number,
    message: string,
    /** Which parameter, for `error.data`. */
    readonly field: string | null = null,
  ) {
    super(message);
  }
}

/** Which release's shapes are answered. */
export type ApiCompat = '0.9.7' | '0.9.8';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' } as const;

/** `{"result":…,"error":null,"id":…}`: this key order, no spaces; shipped scripts grep for its bytes. */
export function resultAnswer(result: Json, id: Json): HttpResponse {
  return { status: 200, headers, body: JSON.stringify({ result, error: null, id }) };
}

/** The same with an error: HTTP 500 for every one of them, in the older release 200. */
export function errorAnswer(error: RpcError, id: Json, compat: ApiCompat): HttpResponse {
  const data =
    error.field === null || compat === '0.9.7' ? {} : { data: { field: error.field, reason: error.message } };
  return {
    status: compat === '0.9.7' ? 200 : 500,
    headers,
    body: JSON.stringify({
      result: null,
      error: { code: error.code, message: error.message, ...data },
      id,
    }),
  };
}
