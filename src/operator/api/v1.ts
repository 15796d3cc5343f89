import { addressText, sectorPrefix } from '../../identity/index.js';
import type { HttpRequest, HttpResponse, HttpServer } from '../../link/node/index.js';
import { showConfig } from '../config/index.js';
import type { DoctorReport } from '../doctor/index.js';
import type { DrainState } from '../drain.js';
import { isLogLevel, LOG_LEVELS, levelsFrom } from '../log.js';
import { RENAMED } from '../metrics/names.js';
import type { ApiBackend } from './backend.js';
import type { Json } from './envelope.js';
import { addressParameter, presenceObject } from './objects.js';
import { openApiDocument } from './openapi.js';
import {
  array,
  boolean,
  integer,
  number,
  object,
  oneOf,
  type Parameter,
  type Schema,
  string,
  textOrNull,
} from './schema.js';
import type { Caller, Gate } from './server.js';
import { V1Error, type V1Request, type V1Route } from './v1-route.js';
import { STATE_ROUTES } from './v1-state.js';

/** Entries of one page, and the most that may be asked for. */
const pageDefault = 100;
const pageMax = 1_000;

const pageParameters: readonly Parameter[] = [
  { name: 'limit', in: 'query', about: `entries of one page, at most ${pageMax}`, schema: integer },
  { name: 'cursor', in: 'query', about: '`next` of the page before', schema: string },
];

const connection = object({
  id: integer,
  role: oneOf('inbound', 'ledger', 'sector'),
  type: string,
  address: string,
  remote: string,
  transport: string,
  version: string,
  verified: oneOf('none', 'signature', 'proven'),
  since: integer,
  messagesIn: integer,
  messagesOut: integer,
  bytesIn: integer,
  bytesOut: integer,
  queuedFrames: integer,
  queuedBytes: integer,
  subscriptions: integer,
  height: integer,
});
const page = (item: Schema): Schema => object({ items: array(item), total: integer, next: textOrNull });
const ban = object({
  target: string,
  reason: string,
  expires: { type: ['integer', 'null'] },
  from: oneOf('config', 'api'),
});
async function drainStateOf(b: ApiBackend): Promise<{ state: DrainState; clients: number }> {
  const clients = (await b.cluster?.totals())?.clients ?? b.relay.control.clientIds().length;
  return { state: b.drain.state, clients };
}
const drainState = object({ state: oneOf('idle', 'grace', 'evicting', 'drained'), clients: integer });
const levels = object({ levels: array(oneOf(...LOG_LEVELS)) });

function whole(text: string | null, name: string, fallback: number, max: number): number {
  if (text === null) return fallback;
  if (!/^\d+$/.test(text) || Number(text) > max)
    throw new V1Error(400, 'bad_parameter', `${name} must be a whole number from 0 to ${max}`);
  return Number(text);
}

async function connections(b: ApiBackend, r: V1Request, clients: boolean): Promise<Json> {
  const limit = Math.max(1, whole(r.query.get('limit'), 'limit', pageDefault, pageMax));
  const after = whole(r.query.get('cursor'), 'cursor', 0, Number.MAX_SAFE_INTEGER);
  const found = await (b.cluster ?? b.relay.control).page(clients, after, limit);
  const { total, more } = found;
  const items = found.items.map(({ sinceMs, ip: _ip, ...p }) => ({
    ...p,
    since: Math.floor(sinceMs / 1000),
  }));
  return { items, total, next: more ? String(items.at(-1)!.id) : null };
}

function sectors(b: ApiBackend, r: V1Request): Json {
  const max = whole(r.query.get('max'), 'max', pageDefault, pageMax);
  const address = r.query.get('address');
  const { control } = b.relay;
  const wallets =
    address === null
      ? control.relays().slice(0, max)
      : control.sector(sectorPrefix(parsed(address)), Math.max(2, max));
  return wallets.map((w) => ({
    prefix: Buffer.from(sectorPrefix(w)).toString('hex'),
    address: addressText(w),
    endpoint: control.presence(w)?.addresses.find((a) => a.type === 'R')?.hostname ?? null,
    own: control.isOwn(w),
  }));
}

function parsed(text: string): Uint8Array {
  try {
    return addressParameter(text, 'address');
  } catch {
    throw new V1Error(422, 'bad_address', 'not an address');
  }
}

/** Every counter of something not taken, with its reason. */
async function drops(b: ApiBackend): Promise<Json> {
  const { counters } = await b.node.numbers();
  return counters
    .samples()
    .filter(
      (s) => s.kind === 'counter' && /_(dropped|refused|rejected|errors|suppressed)_total$/.test(s.name),
    )
    .map((s) => ({
      counter: RENAMED[s.name]?.to ?? s.name,
      labels: { ...s.labels },
      value: 'value' in s.metric ? s.metric.value : 0,
    }));
}

function addBan(b: ApiBackend, body: V1Request['body']): Json {
  const { target, reason = '', seconds = null } = body;
  if (typeof target !== 'string' || typeof reason !== 'string' || reason.length > 200)
    throw new V1Error(422, 'bad_body', 'target and reason must be text');
  if (seconds !== null && (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 1))
    throw new V1Error(422, 'bad_body', 'seconds must be a whole number above 0');
  try {
    return { ended: b.bans.add(target, reason, seconds) };
  } catch (e) {
    throw new V1Error(422, 'bad_target', (e as Error).message);
  }
}

/** What verifies signatures, and why. */
function verifyOf(b: ApiBackend): Json {
  const { verifier } = b.node;
  if (verifier === null)
    return {
      engine: b.engine.name,
      place: 'in-place',
      threads: 0,
      why: 'set',
      reason: 'given by the program',
    };
  const { engine, place, threads, why, reason } = verifier.choice;
  return { engine, place, threads, why, reason };
}

/** Relays whose self-test runs: one at a time, since it opens connections. */
const testing = new WeakSet<ApiBackend>();

async function selfTest(b: ApiBackend): Promise<DoctorReport> {
  if (testing.has(b)) throw new V1Error(409, 'busy', 'a self-test is running');
  testing.add(b);
  try {
    return await b.selfTest();
  } finally {
    testing.delete(b);
  }
}

/** All operations, in the order of the OpenAPI file. */
export const V1_ROUTES: readonly V1Route[] = [
  {
    method: 'GET',
    path: '/v1/status',
    about: 'State of the relay: readiness with every check, heights, connections, traffic',
    role: 'viewer',
    changes: false,
    answer: object({
      version: string,
      network: oneOf('main', 'test', 'reg'),
      address: string,
      endpoint: string,
      uptimeSeconds: integer,
      ready: boolean,
      draining: boolean,
      checks: { type: 'object', additionalProperties: object({ ok: boolean, value: {}, want: {} }) },
      connections: integer,
      clients: integer,
      sessions: integer,
      ledgerPeers: integer,
      sectorPeers: integer,
      presences: integer,
      relaysKnown: integer,
      height: integer,
      networkHeight: integer,
      clockOffsetSeconds: number,
      bytesIn: integer,
      bytesOut: integer,
      update: object({
        state: oneOf('off', 'checking', 'error', 'current', 'available'),
        version: string,
        checkedMs: integer,
      }),
      verify: object({
        engine: string,
        place: oneOf('threads', 'in-place'),
        threads: integer,
        why: string,
        reason: string,
      }),
    }),
    run: async (b) => {
      const own = b.relay.status();
      const checks = b.node.readyChecks();
      const all = (await b.cluster?.totals()) ?? null;
      const s = all === null ? own : { ...own, ...all };
      const traffic = all ?? b.node.traffic;
      return {
        version: b.node.facts.version,
        network: b.node.facts.network,
        address: addressText(s.address),
        endpoint: s.endpoint,
        uptimeSeconds: b.node.uptimeSeconds,
        ready: Object.values(checks).every((c) => c.ok),
        draining: b.node.draining,
        checks: Object.fromEntries(Object.entries(checks).map(([k, c]) => [k, { ...c }])),
        connections: s.connections,
        clients: all?.clients ?? b.relay.control.clientIds().length,
        sessions: s.sessions,
        ledgerPeers: s.ledgerPeers,
        sectorPeers: s.sectorPeers,
        presences: s.presences,
        relaysKnown: s.relaysKnown,
        height: s.height,
        networkHeight: s.networkHeight,
        clockOffsetSeconds: s.unclampedTimeDifferenceSeconds,
        bytesIn: traffic.bytesIn,
        bytesOut: traffic.bytesOut,
        update: { ...(b.node.updates?.state ?? { state: 'off', version: '', checkedMs: 0 }) },
        verify: verifyOf(b),
      };
    },
  },
  {
    method: 'GET',
    path: '/v1/peers',
    about: 'Connections to and from ledger nodes and relays',
    role: 'viewer',
    changes: false,
    parameters: pageParameters,
    answer: page(connection),
    refusals: [400],
    run: (b, r) => connections(b, r, false),
  },
  {
    method: 'GET',
    path: '/v1/clients',
    about: 'Connections of clients',
    role: 'viewer',
    changes: false,
    parameters: pageParameters,
    answer: page(connection),
    refusals: [400],
    run: (b, r) => connections(b, r, true),
  },
  {
    method: 'DELETE',
    path: '/v1/connections/{id}',
    about: 'Ends one connection with a bye',
    role: 'operator',
    changes: true,
    answer: object({ id: integer }),
    refusals: [404],
    run: async (b, r) => {
      const id = /^\d+$/.test(r.rest) ? Number(r.rest) : 0;
      if (!b.relay.control.disconnect(id) && (await b.cluster?.disconnect(id)) !== true)
        throw new V1Error(404, 'not_found', 'no open connection with that id');
      return { id: Number(r.rest) };
    },
  },
  {
    method: 'GET',
    path: '/v1/presences/{address}',
    about: 'The presence of one wallet',
    role: 'viewer',
    changes: false,
    answer: object({
      version: integer,
      wallet: { type: 'object' },
      pubkey: string,
      metadata: textOrNull,
      addresses: array({ type: 'object' }),
    }),
    refusals: [404, 422],
    run: (b, r) => {
      const found = b.relay.control.presence(parsed(r.rest));
      if (found === null) throw new V1Error(404, 'not_found', 'no presence of that wallet is known');
      return presenceObject(found);
    },
  },
  {
    method: 'GET',
    path: '/v1/sectors',
    about: 'Relays by sector: all in order of their prefix, or those responsible for an address',
    role: 'viewer',
    changes: false,
    parameters: [
      { name: 'address', in: 'query', about: 'wallet whose relays are asked for', schema: string },
      { name: 'max', in: 'query', about: `entries, at most ${pageMax}`, schema: integer },
    ],
    answer: array(object({ prefix: string, address: string, endpoint: textOrNull, own: boolean })),
    refusals: [400, 422],
    run: sectors,
  },
  {
    method: 'GET',
    path: '/v1/limits',
    about: 'Limits in force, in the unit of their name',
    role: 'viewer',
    changes: false,
    answer: { type: 'object', additionalProperties: number },
    run: (b) => ({ ...b.relay.control.limits() }),
  },
  {
    method: 'GET',
    path: '/v1/drops',
    about: 'What was not taken or not handed on since the start, by reason',
    role: 'viewer',
    changes: false,
    answer: array(
      object({ counter: string, labels: { type: 'object', additionalProperties: string }, value: number }),
    ),
    run: drops,
  },
  ...STATE_ROUTES,
  {
    method: 'GET',
    path: '/v1/config',
    about: 'Settings in force and where each came from; secrets masked',
    role: 'operator',
    changes: false,
    answer: array(object({ key: string, value: string, origin: string })),
    run: (b) => showConfig(b.config()).map((row) => ({ ...row })),
  },
  {
    method: 'POST',
    path: '/v1/reload',
    about: 'Reads the configuration again and applies what may change while running, all or nothing',
    role: 'operator',
    changes: true,
    answer: object({ changed: array(string), restart: array(string) }),
    refusals: [409],
    run: (b) => {
      const r = b.reload();
      if (!r.ok) throw new V1Error(409, 'bad_config', r.error ?? 'the configuration cannot be used');
      return { changed: r.changed, restart: r.restart };
    },
  },
  {
    method: 'POST',
    path: '/v1/selftest',
    about: 'Runs the checks of starling doctor from inside: what is wrong, and what to do about it',
    role: 'operator',
    changes: true,
    answer: object({
      ok: boolean,
      findings: array(
        object({ check: string, verdict: oneOf('ok', 'warning', 'fails'), found: string, todo: string }),
      ),
    }),
    refusals: [409],
    run: async (b) => {
      const report = await selfTest(b);
      return { ok: report.ok, findings: report.findings.map((f) => ({ ...f })) };
    },
  },
  {
    method: 'GET',
    path: '/v1/drain',
    about: 'Whether the relay is draining',
    role: 'viewer',
    changes: false,
    answer: drainState,
    run: drainStateOf,
  },
  {
    method: 'POST',
    path: '/v1/drain',
    about: 'Sends newcomers away and asks clients to leave after the grace',
    role: 'operator',
    changes: true,
    answer: drainState,
    run: (b) => {
      b.startDrain();
      return drainStateOf(b);
    },
  },
  {
    method: 'DELETE',
    path: '/v1/drain',
    about: 'Calls a drain off',
    role: 'operator',
    changes: true,
    answer: drainState,
    run: (b) => {
      b.drain.cancel();
      b.cluster?.tell({ cancelDrain: true });
      return drainStateOf(b);
    },
  },
  {
    method: 'GET',
    path: '/v1/log-level',
    about: 'Levels that are logged',
    role: 'viewer',
    changes: false,
    answer: levels,
    run: (b) => ({ levels: [...b.log.levels] }),
  },
  {
    method: 'PUT',
    path: '/v1/log-level',
    about: 'Logs a level and graver ones, until the next reload or restart',
    role: 'operator',
    changes: true,
    body: object({ level: oneOf(...LOG_LEVELS) }),
    answer: levels,
    refusals: [400, 422],
    run: (b, r) => {
      const { level } = r.body;
      if (typeof level !== 'string' || !isLogLevel(level))
        throw new V1Error(422, 'bad_body', `level must be one of ${LOG_LEVELS.join(', ')}`);
      b.log.setLevels(levelsFrom(level));
      b.cluster?.tell({ level });
      return { levels: [...b.log.levels] };
    },
  },
  {
    method: 'GET',
    path: '/v1/bans',
    about: 'Who is refused',
    role: 'viewer',
    changes: false,
    answer: array(ban),
    run: (b) => b.bans.list().map((x) => ({ ...x })),
  },
  {
    method: 'POST',
    path: '/v1/bans',
    about: 'Refuses a wallet, endpoint, address or range and ends its connections',
    role: 'operator',
    changes: true,
    body: {
      ...object({ target: string, reason: string, seconds: { type: ['integer', 'null'] } }),
      required: ['target'],
    },
    answer: object({ ended: integer }),
    refusals: [400, 422],
    run: (b, r) => addBan(b, r.body),
  },
  {
    method: 'DELETE',
    path: '/v1/bans',
    about: 'Lifts a ban that was set here',
    role: 'operator',
    changes: true,
    parameters: [{ name: 'target', in: 'query', about: 'as it was given', schema: string, required: true }],
    answer: object({ target: string }),
    refusals: [404],
    run: (b, r) => {
      const target = r.query.get('target') ?? '';
      if (!b.bans.remove(target)) throw new V1Error(404, 'not_found', 'no such ban was set here');
      return { target };
    },
  },
];

const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' } as const;

function refusal(status: number, code: string, message: string): HttpResponse {
  return { status, headers, body: JSON.stringify({ error: { code, message } }) };
}

function bodyOf(route: V1Route, request: HttpRequest): Readonly<Record<string, unknown>> {
  if (route.body === undefined) return {};
  let body: unknown = null;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body));
  } catch {
    // Falls through to the refusal below.
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new V1Error(400, 'bad_body', 'the body must be a JSON object');
  return body as Record<string, unknown>;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new V1Error(404, 'not_found', 'no such path');
  }
}

async function serve(
  b: ApiBackend,
  route: V1Route,
  request: HttpRequest,
  gate: Gate,
  caller: Caller,
): Promise<HttpResponse> {
  const at = route.path.indexOf('{');
  let rest = at < 0 ? '' : request.path.slice(at);
  let result = 'ok';
  let answer: HttpResponse;
  try {
    rest = decoded(rest);
    const value = await route.run(b, { query: request.query, rest, body: bodyOf(route, request) });
    answer = { status: 200, headers, body: JSON.stringify(value) };
  } catch (e) {
    if (!(e instanceof V1Error)) throw e;
    result = e.code;
    answer = refusal(e.status, e.code, e.message);
  }
  if (route.changes) {
    const body = request.body.length === 0 ? '' : new TextDecoder().decode(request.body).slice(0, 500);
    const target = [rest, request.query.toString(), body].find((t) => t !== '') ?? '';
    gate.audit({ user: caller.user, action: `${route.method} ${route.path}`, target, result });
  }
  return answer;
}

/** Adds every operation of {@link V1_ROUTES} and the file that describes them. */
export function addV1Routes(server: HttpServer, b: ApiBackend, gate: Gate): void {
  for (const route of V1_ROUTES)
    server.route(
      route.method,
      route.path.replace(/\{\w+\}$/, '*'),
      gate.guard(route.path, route, (request, caller) => serve(b, route, request, gate, caller)),
    );
  const document = JSON.stringify(openApiDocument(V1_ROUTES));
  server.route(
    'GET',
    '/v1/openapi.json',
    gate.guard('/v1/openapi.json', { role: 'viewer', changes: false }, () => ({
      status: 200,
      headers,
      body: document,
    })),
  );
  const missing = (): HttpResponse => refusal(404, 'not_found', 'no such path');
  for (const verb of ['GET', 'POST', 'PUT', 'DELETE'] as const)
    server.route(verb, '/v1/*', gate.guard('/v1/unknown', null, missing));
}
