import { type HttpRequest, type HttpResponse, type HttpServer, plainAnswer } from '../../link/node/index.js';
import type { LoginResult } from './auth.js';
import { type Gate, tooManyLogins } from './server.js';

const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' } as const;

function welcome(login: Extract<LoginResult, { kind: 'ok' }>, cookie: string | null): HttpResponse {
  return {
    status: 200,
    headers: cookie === null ? headers : { ...headers, 'set-cookie': cookie },
    body: JSON.stringify({ user: login.user, roles: [...login.roles] }),
  };
}

/** The Basic credentials of a `{user, password}` body; '' when it is none. */
function credentialsOf(body: Uint8Array): string {
  try {
    const { user, password } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as Record<
      string,
      unknown
    >;
    if (typeof user !== 'string' || typeof password !== 'string' || user.includes(':')) return '';
    return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  } catch {
    return '';
  }
}

/**
 * How a page logs in: `POST /v1/login` with `{user, password}` sets a cookie, `GET /v1/session` tells who it is,
 * `POST /v1/logout` ends it. Scripts need none of it: they send Basic credentials with each call.
 */
export function addLoginRoutes(server: HttpServer, gate: Gate): void {
  const { access } = gate;
  const outside = (request: HttpRequest): HttpResponse | null =>
    gate.refusal(request) ?? (gate.foreign(request) ? plainAnswer(403, 'foreign origin') : null);

  const login = async (request: HttpRequest): Promise<HttpResponse> => {
    const refused = outside(request);
    if (refused !== null) return refused;
    const result = await access.login(
      credentialsOf(request.body) || request.header('authorization'),
      request.remoteAddress,
    );
    if (result.kind === 'limited') return tooManyLogins();
    gate.audit({
      user: result.kind === 'ok' ? result.user : '',
      action: 'login',
      target: '',
      result: result.kind,
    });
    if (result.kind === 'refused') return { status: 401, headers };
    return welcome(result, access.hasUsers ? access.openSession(result.user, gate.secure) : null);
  };
  const session = (request: HttpRequest): HttpResponse => {
    const refused = gate.refusal(request);
    if (refused !== null) return refused;
    const result = access.session(request.header('cookie'));
    return result?.kind === 'ok' ? welcome(result, null) : { status: 401, headers };
  };
  const logout = (request: HttpRequest): HttpResponse => {
    const refused = outside(request);
    if (refused !== null) return refused;
    return { status: 204, headers: { 'set-cookie': access.closeSession(request.header('cookie')) } };
  };

  const counted =
    (label: string, handler: (r: HttpRequest) => HttpResponse | Promise<HttpResponse>) =>
    async (request: HttpRequest): Promise<HttpResponse> => {
      const started = performance.now();
      const answer = await handler(request);
      gate.count(label, answer.status, started);
      return answer;
    };
  server.route('POST', '/v1/login', counted('/v1/login', login), { bodyBytesMax: 4_096 });
  server.route('GET', '/v1/session', counted('/v1/session', session));
  server.route('POST', '/v1/logout', counted('/v1/logout', logout), { bodyBytesMax: 4_096 });
}
