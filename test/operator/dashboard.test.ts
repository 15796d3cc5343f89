import { Unpackr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ApiServer } from '../../src/operator/api/server.js';
import {
  ApiAccess,
  LIVE_SERIES,
  LiveFeed,
  type LiveMessage,
  LiveStore,
  liveViewersMax,
  parseAllowList,
  parseApiUser,
} from '../../src/operator/index.js';
import { type Api, startApi } from './api-support.js';

const engines = ['node', 'uws'] as const;
const uwsFits = process.versions.node.split('.')[0]! < '24';

/** Opens the feed and collects `count` messages; the status when it is refused. */
function watch(
  url: string,
  count: number,
  headers: Record<string, string> = {},
): Promise<LiveMessage[] | number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers });
    const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
    const got: LiveMessage[] = [];
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      const json = url.includes('format=json');
      // JSON is text: a browser shows it, and hands a string to its reader.
      if (json === isBinary) reject(new Error(`a ${isBinary ? 'binary' : 'text'} message`));
      got.push((json ? JSON.parse(data.toString()) : unpackr.unpack(data)) as LiveMessage);
      if (got.length < count) return;
      socket.terminate();
      resolve(got.slice(0, count));
    });
    socket.on('unexpected-response', (_r, response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    socket.on('error', reject);
  });
}

describe.each(engines.filter((e) => e === 'node' || uwsFits))('dashboard over %s', (httpEngine) => {
  let api: Api;
  let open: { server: ApiServer; live: LiveFeed; base: string };
  const users = ['viewer:look:viewer', 'boss:rule'];
  const access = new ApiAccess(users.map(parseApiUser), parseAllowList([]));

  beforeAll(async () => {
    api = await startApi();
    const live = new LiveFeed(api.backend);
    const server = await ApiServer.start(api.backend, {
      bind: { host: 'localhost', port: 0 },
      access,
      compat: '0.9.8',
      httpEngine,
      live,
      audit: (e) => void api.audits.push(e),
    });
    open = { server, live, base: `http://127.0.0.1:${server.port}` };
  });
  afterAll(async () => {
    open.live.close();
    await open.server.stop();
    await api.stop();
  });

  const login = (user: string, password: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${open.base}/v1/login`, { method: 'POST', body: JSON.stringify({ user, password }), headers });
  const cookieOf = (r: Response): string => (r.headers.get('set-cookie') ?? '').split(';')[0]!;
  const feed = (): string => `${open.base.replace('http', 'ws')}/v1/live`;

  it('serves its page with a policy that runs nothing from elsewhere, and answers 304 to who has it', async () => {
    const page = await fetch(`${open.base}/`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    expect(await page.text()).not.toMatch(/https?:\/\/|<script>/);
    const script = await fetch(`${open.base}/dashboard/page.js`);
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    const again = await fetch(`${open.base}/dashboard/page.js`, {
      headers: { 'if-none-match': script.headers.get('etag')! },
    });
    expect([again.status, await again.text()]).toEqual([304, '']);
    for (const path of ['/dashboard/../auth.js', '/dashboard/%2e%2e/index.html', '/dashboard/none.js'])
      expect((await fetch(open.base + path)).status).not.toBe(200);
  });

  it('logs a page in with a cookie that scripts and other pages cannot use', async () => {
    expect((await fetch(`${open.base}/v1/session`)).status).toBe(401);
    const r = await login('boss', 'rule');
    expect(r.status).toBe(200);
    expect(r.headers.get('set-cookie')).toMatch(
      /^starling_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const cookie = cookieOf(r);
    const who = await fetch(`${open.base}/v1/session`, { headers: { cookie } });
    expect(await who.json()).toEqual({ user: 'boss', roles: ['viewer', 'operator', 'wallet'] });
    expect((await fetch(`${open.base}/v1/status`, { headers: { cookie } })).status).toBe(200);
    const out = await fetch(`${open.base}/v1/logout`, { method: 'POST', headers: { cookie } });
    expect(out.status).toBe(204);
    expect((await fetch(`${open.base}/v1/status`, { headers: { cookie } })).status).toBe(401);
  });

  it('lets nobody in by a wrong password, a made-up cookie, or from another page', async () => {
    expect((await login('boss', 'wrong')).status).toBe(401);
    expect((await login('nobody', 'rule')).status).toBe(401);
    expect((await login('boss', 'rule', { origin: 'https://evil.example' })).status).toBe(403);
    const cookie = 'starling_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
    expect((await fetch(`${open.base}/v1/status`, { headers: { cookie } })).status).toBe(401);
    expect(await watch(feed(), 1, { cookie })).toBe(401);
    expect(await watch(feed(), 1)).toBe(401);
    const good = cookieOf(await login('boss', 'rule'));
    expect(await watch(feed(), 1, { cookie: good, origin: 'https://evil.example' })).toBe(403);
    expect(await watch(feed(), 1, { cookie: good, host: 'evil.example' })).toBe(403);
    const reload = await fetch(`${open.base}/v1/reload`, {
      method: 'POST',
      body: '{}',
      headers: { cookie: good, origin: 'https://evil.example' },
    });
    expect(reload.status).toBe(403);
    // The page's own calls are answered without the header that opens the browser's password box.
    const bare = await fetch(`${open.base}/v1/status`, { headers: { 'x-starling-page': '1' } });
    expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, null]);
  });

  it('a viewer sees and changes nothing; a changed password ends the login', async () => {
    const cookie = cookieOf(await login('viewer', 'look'));
    expect((await fetch(`${open.base}/v1/status`, { headers: { cookie } })).status).toBe(200);
    const change = await fetch(`${open.base}/v1/drain`, { method: 'POST', body: '{}', headers: { cookie } });
    expect(change.status).toBe(403);
    access.replace(['viewer:other:viewer', 'boss:rule'].map(parseApiUser), parseAllowList([]));
    expect((await fetch(`${open.base}/v1/status`, { headers: { cookie } })).status).toBe(401);
    access.replace(users.map(parseApiUser), parseAllowList([]));
  });

  it('feeds hello, ticks and details in msgpack and JSON alike', async () => {
    const cookie = cookieOf(await login('viewer', 'look'));
    for (const format of ['msgpack', 'json']) {
      const got = await watch(`${feed()}?format=${format}`, 4, { cookie });
      if (typeof got === 'number') throw new Error(`refused with ${got}`);
      expect(got.map((m) => m.kind)).toEqual(['hello', 'tick', 'detail', 'tick']);
      const store = new LiveStore();
      for (const m of got) store.take(m);
      expect(store.hello!.series).toEqual(LIVE_SERIES);
      expect(store.seconds.length).toBe(store.hello!.history.atMs.length + 1);
      expect(store.value('residentBytes')).toBeGreaterThan(1e6);
      expect(store.detail!.ring.filter((r) => r.own).length).toBe(1);
      expect(Object.keys(store.tick!.checks)).toContain('accepting');
    }
  });

  it('takes so many viewers and tells the next one to come later', async () => {
    const cookie = cookieOf(await login('viewer', 'look'));
    const sockets = Array.from(
      { length: liveViewersMax },
      () => new WebSocket(feed(), { headers: { cookie } }),
    );
    await Promise.all(sockets.map((s) => new Promise((resolve) => s.once('message', resolve))));
    expect(await watch(feed(), 1, { cookie })).toBe(503);
    for (const s of sockets) s.terminate();
    await expect.poll(() => open.live.viewers).toBe(0);
    expect(await watch(feed(), 1, { cookie })).toHaveLength(1);
  });

  it('still answers the reference’s calls posted to the root', async () => {
    const cookie = cookieOf(await login('boss', 'rule'));
    const r = await fetch(`${open.base}/`, {
      method: 'POST',
      headers: { cookie },
      body: JSON.stringify({ id: '1', method: 'clients', params: {} }),
    });
    expect(await r.json()).toMatchObject({ id: '1', error: null });
  });
});
