import {
  createHttpServer,
  type HttpRequest,
  type HttpResponse,
  type HttpServer,
  plainAnswer,
  type TlsOptions,
} from '../../link/node/index.js';
import { addHealthRoutes } from '../health.js';
import type { LiveFeed } from '../live/feed.js';
import { type Accepted, listenOrTake } from '../ops-server.js';
import { type ApiAccess, hostAllowed, isForeign, isLoopbackHost, type Role } from './auth.js';
import type { ApiBackend } from './backend.js';
import { addDashboardRoutes } from './dashboard.js';
import { type ApiCompat, errorAnswer, RpcCode, RpcError, resultAnswer } from './envelope.js';
import { addLoginRoutes } from './login.js';
import { methodNamed } from './methods.js';
import { type Call, callOf } from './params.js';
import { addV1Routes } from './v1.js';

/** A request may take so long (docs/protocol/11 §3). */
export const apiTimeoutMs = 30_000;
/** Header that our own page sends with every call. */
export const pageHeader = 'x-starling-page';
/** Largest request body: raw transactions as hexadecimal pass. */
const bodyBytesMax = 2 * 1024 * 1024;

/** Where one listener of the API stands. */
export interface ApiBind {
  /** Host as configured; `+` and `*` = all interfaces. */
  readonly host: string;
  readonly port: number;
  /** Said to be https: a certificate has to be there. */
  readonly secure?: true;
}

/**
 * Reads a URL prefix of the reference, e.g. `http://localhost:8001/`, or one with https.
 *
 * @throws RangeError for anything else
 */
export function parseApiBind(text: string): ApiBind {
  const m = /^http(s?):\/\/(\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})\/$/.exec(text);
  const port = Number(m?.[3]);
  if (m === null || port > 65_535)
    throw new RangeError(`not a URL prefix like http://localhost:8001/: ${text}`);
  return { host: m[2]!, port, ...(m[1] === 's' ? { secure: true } : {}) };
}

export const bindIsLoopback = (b: ApiBind): boolean => isLoopbackHost(b.host);

/** One state change through the API. */
export interface AuditEntry {
  readonly user: string;
  readonly action: string;
  /** What it was done to, '' where there is nothing to name. */
  readonly target: string;
  /** `ok`, or the error's code. */
  readonly result: string;
}

export interface ApiServerOptions {
  readonly bind: ApiBind;
  readonly access: ApiAccess;
  readonly compat: ApiCompat;
  readonly httpEngine?: 'auto' | 'uws' | 'node';
  /** Feeds the dashboard at `/`; none is served without it. */
  readonly live?: LiveFeed;
  /** Its connections are accepted by another process. */
  readonly accepted?: Accepted;
  /** Speaks https alone. */
  readonly tls?: TlsOptions;
  audit(entry: AuditEntry): void;
  onError?(error: unknown): void;
}

/** Who asks, once let in. */
export interface Caller {
  readonly user: string;
  readonly roles: ReadonlySet<Role>;
}

/** The operator's API on one address: the reference's methods, `/v1`, health. */
export class ApiServer {
  private constructor(
    private readonly server: HttpServer,
    readonly port: number,
  ) {}

  /** Rejects when the address cannot be bound. `live` feeds the dashboard; without it there is none. */
  static async start(backend: ApiBackend, options: ApiServerOptions): Promise<ApiServer> {
    const server = await createHttpServer({
      prefer: options.accepted === undefined ? (options.httpEngine ?? 'auto') : 'node',
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      onError: (error) => options.onError?.(error),
    });
    const gate = new Gate(backend, options);
    addHealthRoutes(server, backend.node);
    addV1Routes(server, backend, gate);
    addLoginRoutes(server, gate);
    const reference = new ReferenceApi(backend, options);
    const dashboard = options.live ?? null;
    if (dashboard !== null)
      await addDashboardRoutes(server, gate, dashboard, (r, c) => reference.handle(r, c));
    for (const verb of ['GET', 'POST', 'PUT', 'DELETE'] as const)
      server.route(
        verb,
        '/*',
        gate.guard(null, null, (r, c) => reference.handle(r, c)),
        { bodyBytesMax },
      );
    const bind = { host: listenHost(options.bind.host), port: options.bind.port };
    return new ApiServer(server, await listenOrTake(server, bind, options.accepted));
  }

  async stop(): Promise<void> {
    await this.server.close();
  }
}

function listenHost(host: string): string {
  if (host === '+' || host === '*') return '0.0.0.0';
  if (host.toLowerCase() === 'localhost') return '127.0.0.1';
  return host.replace(/^\[|\]$/g, '');
}

export function tooManyLogins(): HttpResponse {
  return { ...plainAnswer(429, 'too many wrong logins'), headers: { 'retry-after': '5' } };
}

/** 401; our own page is not answered with the browser's password box, it has a form. */
function notLoggedIn(request: HttpRequest): HttpResponse {
  if (request.header(pageHeader) !== '') return { status: 401 };
  return { status: 401, headers: { 'www-authenticate': 'Basic realm="starling", charset="UTF-8"' } };
}

export type Guarded = (request: HttpRequest, caller: Caller) => HttpResponse | Promise<HttpResponse>;

/** Everything that stands between a request and what it asks for. */
export class Gate {
  constructor(
    private readonly backend: ApiBackend,
    private readonly options: ApiServerOptions,
  ) {}

  /**
   * Wraps a handler: allow list, Host, Basic login, role; a call that changes something must not come from another
   * page. `label` null: the handler counts and checks roles and origin itself.
   */
  guard(
    label: string | null,
    needs: { readonly role: Role; readonly changes: boolean } | null,
    handler: Guarded,
  ): (request: HttpRequest) => Promise<HttpResponse> {
    return async (request) => {
      const started = performance.now();
      const answer = await this.#answer(request, needs, handler);
      if (label !== null) this.count(label, answer.status, started);
      return answer;
    };
  }

  async #answer(
    request: HttpRequest,
    needs: { readonly role: Role; readonly changes: boolean } | null,
    handler: Guarded,
  ): Promise<HttpResponse> {
    const refused = this.refusal(request);
    if (refused !== null) return refused;
    const { access } = this.options;
    const login =
      access.session(request.header('cookie')) ??
      (await access.login(request.header('authorization'), request.remoteAddress));
    if (login.kind === 'limited') return tooManyLogins();
    if (login.kind === 'refused') return notLoggedIn(request);
    if (needs !== null) {
      if (!login.roles.has(needs.role)) return plainAnswer(403, `role ${needs.role} is needed`);
      if (needs.changes && this.foreign(request)) return plainAnswer(403, 'foreign origin');
    }
    return handler(request, login);
  }

  /** Whether what it hands out may travel over https alone. */
  get secure(): boolean {
    return this.options.tls !== undefined;
  }

  /** What keeps a request out whoever sent it: its address, or the Host it names. Null lets it on. */
  refusal(request: Pick<HttpRequest, 'header' | 'remoteAddress'>): HttpResponse | null {
    const { access, bind } = this.options;
    if (!access.allows(request.remoteAddress)) return plainAnswer(403, 'forbidden');
    if (!hostAllowed(request.header('host'), bind.host)) return plainAnswer(403, 'unknown host');
    return null;
  }

  get access(): ApiAccess {
    return this.options.access;
  }

  /** Whether a browser on another page sent it. */
  foreign(request: Pick<HttpRequest, 'header'>): boolean {
    return isForeign(request.header('origin'), request.header('sec-fetch-site'), request.header('host'));
  }

  audit(entry: AuditEntry): void {
    this.options.audit(entry);
  }

  /** Counts a request under a name that is not chosen by the asker. */
  count(method: string, status: number, startedMs: number): void {
    const { counters } = this.backend.node;
    counters.counter('ixian_api_requests_total', '', { method, status: String(status) }).add();
    counters
      .histogram('ixian_api_request_duration_seconds', '', undefined, {
        method: method.startsWith('/v1') ? 'v1' : 'rpc',
      })
      .observe((performance.now() - startedMs) / 1000);
  }
}

/** The reference's methods in the reference's envelope. */
class ReferenceApi {
  readonly #gate: Gate;

  constructor(
    private readonly backend: ApiBackend,
    private readonly options: ApiServerOptions,
  ) {
    this.#gate = new Gate(backend, options);
  }

  async handle(request: HttpRequest, caller: Caller): Promise<HttpResponse> {
    const started = performance.now();
    const { compat } = this.options;
    if (request.body.length === 0 && request.path === '/')
      return plainAnswer(200, 'Starling relay: /status, /v1/status, /v1/openapi.json');
    let call: Call;
    try {
      call = callOf(request);
    } catch (e) {
      if (!(e instanceof RpcError)) throw e;
      const answer = errorAnswer(e, null, compat);
      this.#gate.count('invalid', answer.status, started);
      return answer;
    }
    const method = methodNamed(call.method, compat);
    if (method === null) {
      const answer = errorAnswer(
        new RpcError(RpcCode.unknownMethod, `Unknown API request '${call.method}'`),
        call.id,
        compat,
      );
      this.#gate.count('unknown', answer.status, started);
      return answer;
    }
    if (!caller.roles.has(method.role)) return plainAnswer(403, `role ${method.role} is needed`);
    if (method.changes && this.#gate.foreign(request)) return plainAnswer(403, 'foreign origin');
    let answer: HttpResponse;
    let result = 'ok';
    try {
      answer = resultAnswer(await inTime(method.run(this.backend, call.params)), call.id);
    } catch (e) {
      const error = e instanceof RpcError ? e : new RpcError(RpcCode.internal, 'Internal error');
      if (!(e instanceof RpcError)) this.options.onError?.(e);
      result = String(error.code);
      answer = errorAnswer(error, call.id, compat);
    }
    if (method.changes)
      this.#gate.audit({
        user: caller.user,
        action: method.name,
        target: ['to', 'host', 'wallet'].map((n) => call.params.text(n) ?? '').find((t) => t !== '') ?? '',
        result,
      });
    this.#gate.count(method.name, answer.status, started);
    return answer;
  }
}

/** The value, or the reference's internal error after the time limit. */
async function inTime<T>(work: T | Promise<T>): Promise<T> {
  if (!(work instanceof Promise)) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new RpcError(RpcCode.internal, 'The request took too long')),
      apiTimeoutMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
