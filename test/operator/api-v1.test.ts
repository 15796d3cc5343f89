import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressText } from '../../src/identity/index.js';
import {
  apiDocs,
  DOCTOR_CHECKS,
  misfits,
  openApiDocument,
  type Schema,
  V1_ROUTES,
} from '../../src/operator/index.js';
import { signerOf } from '../link/support.js';
import { connect, connected, until } from '../relay/support.js';
import { type Api, startApi } from './api-support.js';

const docs = (name: string): string => join(import.meta.dirname, '../../docs', name);

interface Operation {
  readonly responses: Readonly<Record<string, { content?: { 'application/json': { schema: Schema } } }>>;
  readonly requestBody?: unknown;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

describe.each(['uws', 'node'] as const)('/v1 over %s', (httpEngine) => {
  let api: Api;
  let dir: string;
  let document: Document;
  const wallet = async (name: string): Promise<string> => addressText((await signerOf(name)).address);
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'starling-api-'));
    api = await startApi({ server: { httpEngine }, dataDir: dir });
    for (const w of ['w1', 'w2', 'w3']) await connected(api.relay, { wallet: w });
    document = JSON.parse((await api.ask('/v1/openapi.json')).text) as Document;
  });
  afterAll(async () => {
    await api.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Calls an operation and checks status and body against the served OpenAPI file. */
  async function call(
    method: string,
    path: string,
    o: { query?: string; rest?: string; body?: unknown; raw?: string; status?: number } = {},
  ): Promise<unknown> {
    const url = path.replace(/\{\w+\}/, encodeURIComponent(o.rest ?? '')) + (o.query ?? '');
    const body = o.raw ?? (o.body === undefined ? undefined : JSON.stringify(o.body));
    const r = await api.ask(url, { method, ...(body === undefined ? {} : { body }) });
    const status = o.status ?? 200;
    expect([url, r.status]).toEqual([url, status]);
    const described = document.paths[path]?.[method.toLowerCase()]?.responses[String(status)];
    const schema = described?.content?.['application/json'].schema;
    expect(schema).toBeDefined();
    const value = JSON.parse(r.text) as unknown;
    expect(misfits(value, schema!)).toEqual([]);
    return value;
  }

  it('every operation of the file answers as described', async () => {
    expect(await call('GET', '/v1/status')).toMatchObject({ ready: true, clients: 3, draining: false });
    expect(await call('GET', '/v1/peers')).toEqual({ items: [], total: 0, next: null });
    await call('GET', '/v1/clients', { query: '?limit=x', status: 400 });
    await call('GET', '/v1/peers', { query: '?limit=5000', status: 400 });
    const own = await wallet('w0');
    expect(await call('GET', '/v1/presences/{address}', { rest: own })).toMatchObject({
      wallet: { base58Address: own },
    });
    await call('GET', '/v1/presences/{address}', { rest: await wallet('w5'), status: 404 });
    await call('GET', '/v1/presences/{address}', { rest: 'abc', status: 422 });
    const [relay] = (await call('GET', '/v1/sectors')) as [Record<string, unknown>];
    expect(relay).toMatchObject({ address: own, own: true, endpoint: `127.0.0.1:${api.relay.port}` });
    expect(await call('GET', '/v1/sectors', { query: `?address=${await wallet('w1')}` })).toEqual([relay]);
    await call('GET', '/v1/sectors', { query: '?address=abc', status: 422 });
    await call('GET', '/v1/sectors', { query: '?max=-1', status: 400 });
    expect(await call('GET', '/v1/limits')).toMatchObject({ clientsMax: 15_000 });
    await call('GET', '/v1/drops');
    const { waiting } = (await call('GET', '/v1/queues')) as { waiting: unknown[] };
    for (const [gauge, queue, unit] of [
      ['ixian_queue_messages', 'send_clients', 'frames'],
      ['ixian_queue_bytes', 'send_servers', 'bytes'],
      ['ixian_memory_queued_bytes', '', 'bytes'],
    ])
      expect(waiting).toContainEqual({ gauge, queue, unit, value: 0 });
    await call('GET', '/v1/names/{name}', { rest: 'anna', status: 501 });
    await call('GET', '/v1/earnings', { query: '?from=2026-01-01', status: 501 });
    expect(await call('POST', '/v1/reload')).toEqual({ changed: ['maxClients'], restart: [] });
    expect(await call('GET', '/v1/log-level')).toEqual({ levels: ['info', 'warn', 'error'] });
    expect(await call('PUT', '/v1/log-level', { body: { level: 'warn' } })).toEqual({
      levels: ['warn', 'error'],
    });
    await call('PUT', '/v1/log-level', { body: { level: 'loud' }, status: 422 });
    await call('PUT', '/v1/log-level', { raw: 'nonsense', status: 400 });
  });

  it('a self-test runs the doctor’s checks from inside, one at a time', async () => {
    const first = call('POST', '/v1/selftest');
    await call('POST', '/v1/selftest', { status: 409 });
    const { findings } = (await first) as { findings: { check: string; verdict: string; found: string }[] };
    const of = (check: string): unknown => findings.filter((f) => f.check === check);
    expect(new Set(findings.map((f) => f.check))).toEqual(new Set(DOCTOR_CHECKS.map((c) => c.name)));
    expect(of('reachable')).toMatchObject([
      { verdict: 'ok', found: expect.stringContaining('answers a hello') },
    ]);
    expect(of('engines')).toMatchObject([{ verdict: 'ok' }]);
    expect(of('password')).toMatchObject([{ verdict: 'ok', found: 'the wallet is open' }]);
    expect(api.audits.at(-1)).toMatchObject({ action: 'POST /v1/selftest', result: 'ok' });
  });

  it('clients come in pages, each once, and one can be disconnected', async () => {
    const seen: string[] = [];
    let next: string | null = '0';
    while (next !== null) {
      const p = (await call('GET', '/v1/clients', { query: `?limit=2&cursor=${next}` })) as {
        items: { id: number; address: string }[];
        total: number;
        next: string | null;
      };
      expect([p.total, p.items.length <= 2]).toEqual([3, true]);
      seen.push(...p.items.map((i) => i.address));
      next = p.next;
    }
    expect(seen.sort()).toEqual([await wallet('w1'), await wallet('w2'), await wallet('w3')].sort());
    const first = (await call('GET', '/v1/clients')) as { items: { id: number }[] };
    const id = first.items[0]!.id;
    expect(await call('DELETE', '/v1/connections/{id}', { rest: String(id) })).toEqual({ id });
    await call('DELETE', '/v1/connections/{id}', { rest: String(id), status: 404 });
    await call('DELETE', '/v1/connections/{id}', { rest: 'x', status: 404 });
    expect(((await call('GET', '/v1/clients')) as { total: number }).total).toBe(2);
  });

  it('the configuration is shown without its secrets', async () => {
    const rows = (await call('GET', '/v1/config')) as { key: string; value: string; origin: string }[];
    expect(rows.find((r) => r.key === 'addApiUser')).toEqual({
      key: 'addApiUser',
      value: '********',
      origin: 'ixian.cfg:2',
    });
    expect(JSON.stringify(rows)).not.toContain('hunter2');
  });

  it('bans act at once, are kept in a file, and can be lifted', async () => {
    await call('POST', '/v1/bans', { body: { target: 'nonsense' }, status: 422 });
    await call('POST', '/v1/bans', { body: { target: '10.0.0.1', seconds: -1 }, status: 422 });
    await call('POST', '/v1/bans', { raw: '[', status: 400 });
    const target = await wallet('w3');
    expect(await call('POST', '/v1/bans', { body: { target, reason: 'spam', seconds: 1000 } })).toEqual({
      ended: 1,
    });
    const [ban] = (await call('GET', '/v1/bans')) as [{ target: string; reason: string; from: string }];
    expect(ban).toMatchObject({ target, reason: 'spam', from: 'api' });
    const again = await connect(api.relay, { wallet: 'w3' });
    await until('refused', () => again.closed !== null);
    expect(again.opened).toBe(0);
    await until('saved', () =>
      readFileSync(join(dir, 'bans.json'), { encoding: 'utf8', flag: 'a+' }).includes(target),
    );
    expect(await call('DELETE', '/v1/bans', { query: `?target=${target}` })).toEqual({ target });
    await call('DELETE', '/v1/bans', { query: `?target=${target}`, status: 404 });
    await connected(api.relay, { wallet: 'w3' });
  });

  it('a drain starts and is called off', async () => {
    expect(await call('GET', '/v1/drain')).toMatchObject({ state: 'idle' });
    expect(await call('POST', '/v1/drain')).toMatchObject({ state: 'grace' });
    expect(api.relay.control.draining).toBe(true);
    expect((await api.ask('/readyz')).status).toBe(503);
    expect(await call('DELETE', '/v1/drain')).toMatchObject({ state: 'idle' });
    expect(api.relay.control.draining).toBe(false);
  });

  it('every change is audited with what it was done to', () => {
    const actions = new Set(api.audits.map((a) => a.action));
    for (const r of V1_ROUTES.filter((x) => x.changes))
      expect([r.path, actions.has(`${r.method} ${r.path}`)]).toEqual([r.path, true]);
    expect(api.audits.find((a) => a.result === 'bad_target')?.target).toContain('nonsense');
  });

  it('unknown paths are 404 in its own form', async () => {
    const r = await api.ask('/v1/nothing');
    expect([r.status, JSON.parse(r.text)]).toEqual([
      404,
      { error: { code: 'not_found', message: 'no such path' } },
    ]);
  });
});

it('a reload that fails is 409 with the reason', async () => {
  const api = await startApi({ reload: () => ({ ok: false, changed: [], restart: [], error: 'line 3' }) });
  const r = await api.ask('/v1/reload', { method: 'POST' });
  expect([r.status, JSON.parse(r.text)]).toEqual([409, { error: { code: 'bad_config', message: 'line 3' } }]);
  await api.stop();
});

it('bans survive a restart, and expire', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'starling-bans-'));
  const first = await startApi({ dataDir: dir });
  first.backend.bans.add('198.51.100.0/24', 'scans', null);
  first.backend.bans.add('198.51.100.7', '', 1);
  await first.stop();
  const second = await startApi({ dataDir: dir });
  expect(second.relay.control.bans()).toContain('198.51.100.0/24');
  await until('expired', () => second.relay.control.bans().length === 1, 4_000);
  await second.stop();
  rmSync(dir, { recursive: true, force: true });
});

it('docs/api.md and docs/openapi.json are what is served (renew with vitest -u)', async () => {
  await expect(apiDocs()).toMatchFileSnapshot(docs('api.md'));
  const text = `${JSON.stringify(openApiDocument(V1_ROUTES), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(docs('openapi.json'));
  const ids = V1_ROUTES.map((r) => `${r.method} ${r.path}`);
  expect(new Set(ids).size).toBe(ids.length);
});
