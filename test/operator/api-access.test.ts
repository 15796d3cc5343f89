import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import {
  ApiAccess,
  hashPassword,
  hostAllowed,
  isForeign,
  METHODS,
  parseAllowList,
  parseApiBind,
  parseApiUser,
  V1_ROUTES,
} from '../../src/operator/index.js';
import { type Api, type ApiOver, startApi } from './api-support.js';

const apis: Api[] = [];
async function start(over: ApiOver): Promise<Api> {
  const a = await startApi(over);
  apis.push(a);
  return a;
}
afterEach(async () => {
  for (const a of apis.splice(0)) await a.stop();
});

const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

/** A request with headers that fetch does not let one set. */
function raw(api: Api, path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const r = request({ host: '127.0.0.1', port: api.server.port, path, method, headers }, (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    r.on('error', reject);
    r.end();
  });
}

describe.each(['uws', 'node'] as const)('getting in over %s', (httpEngine) => {
  it('without a login, with a wrong one or a broken one: 401 with nothing else', async () => {
    const api = await start({ users: ['joe:hun:ter2'], server: { httpEngine } });
    for (const headers of [
      {},
      basic('joe', 'hun'),
      basic('joe', ''),
      basic('ann', 'hun:ter2'),
      { authorization: 'Basic' },
      { authorization: 'Basic !!!!' },
      { authorization: 'Bearer hun:ter2' },
    ]) {
      const r = await api.ask('/status', { headers });
      expect([r.status, r.text, r.headers.get('www-authenticate')]).toEqual([
        401,
        '',
        'Basic realm="starling", charset="UTF-8"',
      ]);
    }
    for (const path of ['/', '/v1/status', '/v1/openapi.json', '/v1/nothing', '/shutdown'])
      expect([path, (await api.ask(path)).status]).toEqual([path, 401]);
    expect((await api.ask('/status', { headers: basic('joe', 'hun:ter2') })).status).toBe(200);
    expect((await api.ask('/livez')).status).toBe(200);
    expect(api.ended).toEqual([]);
  });

  it('by guessing: after ten wrong ones even the right one waits', async () => {
    const api = await start({ users: ['joe:hunter2'], server: { httpEngine } });
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++)
      statuses.push((await api.ask('/status', { headers: basic('joe', `${i}`) })).status);
    expect(statuses.filter((s) => s === 401).length).toBe(10);
    expect(statuses.at(-1)).toBe(429);
    expect((await api.ask('/status', { headers: basic('joe', 'hunter2') })).status).toBe(429);
  });

  it('from an address that is not allowed: 403', async () => {
    const api = await start({ allow: ['10.0.0.0/8'], server: { httpEngine } });
    for (const path of ['/status', '/v1/status', '/v1/nothing'])
      expect([path, (await api.ask(path)).status]).toEqual([path, 403]);
    const open = await start({ allow: ['10.0.0.1', '127.0.0.0/8'], server: { httpEngine } });
    expect((await open.ask('/status')).status).toBe(200);
  });

  it('through a name that was pointed at this machine: 403', async () => {
    const api = await start({ server: { httpEngine } });
    const { port } = api.server;
    expect(await raw(api, '/status', { host: 'evil.example' })).toBe(403);
    expect(await raw(api, '/v1/status', { host: `evil.example:${port}` })).toBe(403);
    for (const host of ['localhost', `localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
      expect([host, await raw(api, '/status', { host })]).toEqual([host, 200]);
  });

  it('from another page: nothing that changes something, neither GET nor POST nor PUT', async () => {
    const api = await start({ server: { httpEngine } });
    const host = `localhost:${api.server.port}`;
    const foreign: Record<string, string>[] = [
      { host, origin: 'https://evil.example' },
      { host, origin: 'null' },
      { host, origin: 'http://localhost:1' },
      { host, 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of foreign) {
      for (const m of METHODS.filter((x) => x.changes))
        expect([m.name, await raw(api, `/${m.name}`, headers)]).toEqual([m.name, 403]);
      for (const r of V1_ROUTES.filter((x) => x.changes)) {
        const path = r.path.replace('{id}', '1');
        expect([path, await raw(api, path, headers, r.method)]).toEqual([path, 403]);
      }
      expect(await raw(api, '/status', headers)).toBe(200);
    }
    expect(api.audits).toEqual([]);
    expect(api.ended).toEqual([]);
    expect(await raw(api, '/clearpeerblacklist', { host, origin: `http://${host}` })).toBe(200);
  });

  it('with too small a role: 403', async () => {
    const users = ['eye:p1:viewer', 'hand:p2:viewer+operator', 'all:p3', 'odd:p4:nobody'];
    const api = await start({ users, server: { httpEngine } });
    const can = async (user: string, password: string): Promise<boolean[]> => {
      const out: boolean[] = [];
      for (const path of ['/blockheight', '/clearpeerblacklist', '/mypubkey'])
        out.push((await api.ask(path, { headers: basic(user, password) })).status === 200);
      return out;
    };
    expect(await can('eye', 'p1')).toEqual([true, false, false]);
    expect(await can('hand', 'p2')).toEqual([true, true, false]);
    expect(await can('all', 'p3')).toEqual([true, true, true]);
    // A last part that names no role belongs to the password.
    expect(await can('odd', 'p4:nobody')).toEqual([true, true, true]);
    const reload = await api.ask('/v1/reload', { method: 'POST', headers: basic('eye', 'p1') });
    expect(reload.status).toBe(403);
  });
});

describe('passwords', () => {
  it('may be kept as a hash, which is no password itself', async () => {
    const hash = await hashPassword('hunter2');
    expect(hash).toMatch(/^scrypt\.15\.8\.1\.[\w-]+\.[\w-]+$/);
    expect(await hashPassword('hunter2')).not.toBe(hash);
    const access = new ApiAccess([parseApiUser(`joe:${hash}:viewer`)], () => true);
    const login = async (password: string): Promise<string> =>
      (await access.login(basic('joe', password).authorization!, '::1')).kind;
    expect([await login('hunter2'), await login('hunter2'), await login(hash), await login('')]).toEqual([
      'ok',
      'ok',
      'refused',
      'refused',
    ]);
    access.replace([parseApiUser('joe:other')], () => true);
    expect(await login('hunter2')).toBe('refused');
  });
  it('wrong entries are refused', () => {
    for (const bad of ['joe', ':x', 'joe:', '', `joe:scrypt.25.8.1.aa.bb`])
      expect(() => parseApiUser(bad)).toThrow(RangeError);
  });
  it('a wrong login is forgiven with time, per address', async () => {
    let now = 0;
    const access = new ApiAccess(
      [parseApiUser('joe:x')],
      () => true,
      () => now,
    );
    const wrong = async (ip: string): Promise<string> =>
      (await access.login(basic('joe', 'y').authorization!, ip)).kind;
    for (let i = 0; i < 10; i++) await wrong('10.0.0.1');
    expect([await wrong('10.0.0.1'), await wrong('10.0.0.2')]).toEqual(['limited', 'refused']);
    now = 5_000;
    expect([await wrong('10.0.0.1'), await wrong('10.0.0.1')]).toEqual(['refused', 'limited']);
  });
});

it('hosts, origins, allow lists and binds', () => {
  expect([hostAllowed('localhost:8001', '127.0.0.1'), hostAllowed('relay.lan', '127.0.0.1')]).toEqual([
    true,
    false,
  ]);
  expect([
    hostAllowed('relay.lan:80', 'relay.lan'),
    hostAllowed('x', 'relay.lan'),
    hostAllowed('x', '+'),
  ]).toEqual([true, false, true]);
  expect([isForeign('', '', 'a'), isForeign('', 'same-origin', 'a'), isForeign('', 'none', 'a')]).toEqual([
    false,
    false,
    false,
  ]);
  expect([
    isForeign('http://a:1', '', 'a:1'),
    isForeign('http://a:2', '', 'a:1'),
    isForeign('junk', '', 'a'),
  ]).toEqual([false, true, true]);
  expect(parseAllowList([])('1.2.3.4')).toBe(true);
  expect(parseAllowList(['*'])('1.2.3.4')).toBe(true);
  expect(parseAllowList(['1.2.3.0/24'])('1.2.4.4')).toBe(false);
  expect(() => parseAllowList(['somewhere'])).toThrow(RangeError);
  expect(parseApiBind('http://localhost:8001/')).toEqual({ host: 'localhost', port: 8001 });
  expect(parseApiBind('http://+:8001/')).toEqual({ host: '+', port: 8001 });
  expect(parseApiBind('http://[::1]:1/')).toEqual({ host: '[::1]', port: 1 });
  for (const bad of ['http://localhost:8001', 'localhost:8001', 'https://a:1', 'http://a:70000/'])
    expect(() => parseApiBind(bad)).toThrow(RangeError);
});
