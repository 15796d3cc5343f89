import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { checkApi } from '../../src/cli/relay-api.js';
import {
  ApiAccess,
  ApiServer,
  LiveFeed,
  parseAllowList,
  parseApiBind,
  parseApiUser,
  resolveConfig,
} from '../../src/operator/index.js';
import { writeSelfSigned } from '../link/self-signed.js';
import { type Api, startApi } from './api-support.js';

const uwsFits = process.versions.node.split('.')[0]! < '24';
let folder: string;
let tls: { certFile: string; keyFile: string };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'starling-api-tls-'));
  tls = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  writeSelfSigned(tls.certFile, tls.keyFile);
});
afterAll(() => rmSync(folder, { recursive: true }));

function ask(
  port: number,
  path: string,
  o: { method?: string; body?: string } = {},
): Promise<{ status: number; text: string; cookie: string }> {
  return new Promise((resolve, reject) => {
    const r = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: o.method ?? 'GET',
        rejectUnauthorized: false,
        auth: 'look:viewer',
      },
      (res) => {
        let text = '';
        res.on('data', (d) => {
          text += String(d);
        });
        res.on('end', () =>
          resolve({ status: res.statusCode ?? 0, text, cookie: (res.headers['set-cookie'] ?? []).join() }),
        );
      },
    );
    r.on('error', reject);
    r.end(o.body);
  });
}

/** How the connections come: to a listener of its own, or from the process that holds it. */
const ways = ['node', ...(uwsFits ? ['uws'] : []), 'handed over'] as const;

describe.each(ways)('the API over https, %s', (way) => {
  let api: Api;
  let live: LiveFeed;
  let server: ApiServer;
  let parent: Server | null = null;

  beforeAll(async () => {
    api = await startApi();
    live = new LiveFeed(api.backend);
    let take: (s: Socket) => void = (s) => s.destroy();
    if (way === 'handed over') {
      parent = createServer({ pauseOnConnect: true }, (s) => take(s));
      await new Promise<void>((r) => parent!.listen(0, '127.0.0.1', r));
    }
    const takeWith = (taker: (s: Socket) => void): void => {
      take = taker;
    };
    const at = parent?.address();
    server = await ApiServer.start(api.backend, {
      bind: { host: 'localhost', port: 0 },
      access: new ApiAccess([parseApiUser('look:viewer')], parseAllowList([])),
      compat: '0.9.8',
      httpEngine: way === 'uws' ? 'uws' : 'node',
      live,
      tls,
      audit: () => undefined,
      ...(at === null || typeof at !== 'object' ? {} : { accepted: { port: at.port, to: takeWith } }),
    });
  });
  afterAll(async () => {
    live.close();
    await server.stop();
    parent?.close();
    await api.stop();
  });

  it('answers there, and to nobody who speaks plain HTTP', async () => {
    const answer = await ask(server.port, '/v1/status');
    expect([answer.status, JSON.parse(answer.text).network]).toEqual([200, 'reg']);
    await expect(fetch(`http://127.0.0.1:${server.port}/v1/status`)).rejects.toThrow();
  });

  it('its cookie goes over https alone', async () => {
    const body = JSON.stringify({ user: 'look', password: 'viewer' });
    const { status, cookie } = await ask(server.port, '/v1/login', { method: 'POST', body });
    expect([status, /; Secure$/.test(cookie)]).toEqual([200, true]);
  });

  it('feeds the dashboard', async () => {
    const body = JSON.stringify({ user: 'look', password: 'viewer' });
    const { cookie } = await ask(server.port, '/v1/login', { method: 'POST', body });
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/v1/live?format=json`, {
      rejectUnauthorized: false,
      headers: { cookie: cookie.split(';')[0]! },
    });
    const first = await new Promise<string>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (data: Buffer) => resolve(data.toString()));
    });
    expect(JSON.parse(first).kind).toBe('hello');
    socket.terminate();
  });
});

describe('apiTlsCert and apiTlsKey', () => {
  const config = (...lines: readonly string[]) =>
    resolveConfig({ flags: new Map(), environment: {}, file: { path: 'ixian.cfg', text: lines.join('\n') } });
  it('go together, and are read before the relay starts', () => {
    const { certFile, keyFile } = tls;
    expect(() => checkApi(config(`apiTlsCert = ${certFile}`, `apiTlsKey = ${keyFile}`))).not.toThrow();
    expect(() => checkApi(config(`apiTlsCert = ${certFile}`))).toThrow('go together');
    expect(() => checkApi(config(`apiTlsCert = ${certFile}`, 'apiTlsKey = /nowhere/key.pem'))).toThrow(
      'ENOENT',
    );
    const spoilt = join(folder, 'spoilt.pem');
    writeFileSync(spoilt, 'no certificate');
    expect(() => checkApi(config(`apiTlsCert = ${spoilt}`, `apiTlsKey = ${keyFile}`))).toThrow(/apiTlsCert/);
  });
  it('are wanted where apiBind names https', () => {
    expect(parseApiBind('https://10.0.0.1:8001/')).toEqual({ host: '10.0.0.1', port: 8001, secure: true });
    const { certFile, keyFile } = tls;
    const bind = 'apiBind = https://localhost:8001/';
    expect(() => checkApi(config(bind))).toThrow('apiBind names https');
    expect(() => checkApi(config(bind, `apiTlsCert = ${certFile}`, `apiTlsKey = ${keyFile}`))).not.toThrow();
    expect(() => parseApiBind('ftp://10.0.0.1:8001/')).toThrow(RangeError);
  });
});
