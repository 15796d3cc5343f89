import type { HttpMethod } from '../../link/node/index.js';
import type { Role } from './auth.js';
import type { ApiBackend } from './backend.js';
import type { Json } from './envelope.js';
import type { Parameter, Schema } from './schema.js';

/** Statuses of refusals besides 401 and 403; 501 is what this relay cannot know yet. */
export type V1Refusal = 400 | 404 | 409 | 422 | 501;

/** A refusal of `/v1` with its HTTP status. */
export class V1Error extends Error {
  constructor(
    readonly status: V1Refusal,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** One operation of `/v1`: routing, access and documentation in one place. */
export interface V1Route {
  readonly method: HttpMethod;
  /** `{name}` at the end stands for the rest of the path. */
  readonly path: string;
  readonly about: string;
  readonly role: Role;
  readonly changes: boolean;
  readonly parameters?: readonly Parameter[];
  readonly body?: Schema;
  readonly answer: Schema;
  /** Statuses besides 200, 401, 403. */
  readonly refusals?: readonly V1Refusal[];
  run(b: ApiBackend, request: V1Request): Json | Promise<Json>;
}

export interface V1Request {
  readonly query: URLSearchParams;
  /** The part of the path that `{name}` stands for. */
  readonly rest: string;
  readonly body: Readonly<Record<string, unknown>>;
}
