import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { freePort } from '../../src/cli/devnet/free-port.js';
import { parseRelayInfo, type RelayInfo, relayInfoUrl, type Transport } from '../../src/link/index.js';
import {
  addIxianRoutes,
  addressRanges,
  type CreateHttpServerOptions,
  clientAddress,
  createHttpServer,
  dialNodeWs,
  type HttpServer,
} from '../../src/link/node/index.js';
import { writeSelfSigned } from './self-signed.js';
import { signerOf, until } from './support.js';
import { pattern, Recorder } from './transports.js';

let server: HttpServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

describe.each(['uws', 'node'] as const)('http server %s', (prefer) => {
  async function serve(
    setUp: (s: HttpServer) => void,
    options: CreateHttpServerOptions = {},
  ): Promise<{ url: string; port: number }> {
    server = await createHttpServer({ prefer, ...options });
    setUp(server);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    return { url: `http://127.0.0.1:${port}`, port };
  }

  it('is the engine that was asked for', async () => {
    await serve(() => undefined);
    expect(server!.engine).toBe(prefer);
  });

  it('answers with path, query, headers, body and source address', async () => {
    const { url } = await serve((s) =>
      s.route('POST', '/echo', (r) => ({
        status: 201,
        headers: { 'x-test': 'yes' },
        body: JSON.stringify({
          path: r.path,
          q: r.query.get('q'),
          h: r.header('x-mine'),
          missing: r.header('x-missing'),
          ip: r.remoteAddress,
          body: new TextDecoder().decode(r.body),
        }),
      })),
    );
    const res = await fetch(`${url}/echo?q=a%20b`, {
      method: 'POST',
      body: 'hello',
      headers: { 'X-Mine': 'v' },
    });
    expect([res.status, res.headers.get('x-test')]).toEqual([201, 'yes']);
    expect(await res.json()).toEqual({
      path: '/echo',
      q: 'a b',
      h: 'v',
      missing: '',
      ip: '127.0.0.1',
      body: 'hello',
    });
  });

  it('answers later, too, and to many at once', async () => {
    const { url } = await serve((s) =>
      s.route('GET', '/slow', async (r) => {
        await new Promise((d) => setTimeout(d, 5));
        return { status: 200, body: r.query.get('n') ?? '' };
      }),
    );
    const got = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => (await fetch(`${url}/slow?n=${n}`)).text()),
    );
    expect(got).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
  });

  it('tells not found from not allowed, and finds the longest match', async () => {
    const { url } = await serve((s) => {
      s.route('GET', '/a/*', (r) => ({ status: 200, body: `wild ${r.path}` }));
      s.route('GET', '/a/b/*', () => ({ status: 200, body: 'deeper' }));
      s.route('GET', '/a/exact', () => ({ status: 200, body: 'exact' }));
    });
    const text = async (path: string): Promise<string> => (await fetch(url + path)).text();
    expect(await text('/a/x/y')).toBe('wild /a/x/y');
    expect(await text('/a/b/c')).toBe('deeper');
    expect(await text('/a/exact')).toBe('exact');
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    const no = await fetch(`${url}/a/exact`, { method: 'DELETE' });
    expect([no.status, no.headers.get('allow')]).toEqual([405, 'GET']);
    const head = await fetch(`${url}/a/exact`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '5', '']);
  });

  it('CORS: open routes answer preflights and every origin, others do not', async () => {
    const { url } = await serve((s) => {
      s.route('GET', '/open', () => ({ status: 200, body: '' }), { cors: 'open' });
      s.route('GET', '/closed', () => ({ status: 200, body: '' }));
    });
    const allowed = async (path: string, method: string): Promise<[number, string | null]> => {
      const r = await fetch(url + path, { method });
      return [r.status, r.headers.get('access-control-allow-origin')];
    };
    expect(await allowed('/open', 'GET')).toEqual([200, '*']);
    expect(await allowed('/open', 'OPTIONS')).toEqual([204, '*']);
    expect(await allowed('/closed', 'GET')).toEqual([200, null]);
    expect(await allowed('/closed', 'OPTIONS')).toEqual([405, null]);
  });

  it('refuses bodies above the limit with 413, declared or not', async () => {
    const { url, port } = await serve((s) =>
      s.route('POST', '/p', (r) => ({ status: 200, body: String(r.body.length) }), { bodyBytesMax: 1000 }),
    );
    const post = (n: number): Promise<Response> =>
      fetch(`${url}/p`, { method: 'POST', body: new Uint8Array(n) });
    expect(await (await post(1000)).text()).toBe('1000');
    expect(await (await post(0)).text()).toBe('0');
    expect((await post(1001)).status).toBe(413);
    const chunked = await rawHttp(
      port,
      `POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${'3e8\r\n'}${'x'.repeat(1000)}\r\n1\r\nx\r\n0\r\n\r\n`,
    );
    expect(chunked).toMatch(/^HTTP\/1\.1 413/);
  });

  it('a handler that throws gives 500 and the error goes to the owner', async () => {
    const errors: unknown[] = [];
    const { url } = await serve(
      (s) =>
        s.route('GET', '/bug', () => {
          throw new Error('secret detail');
        }),
      { onError: (e) => errors.push(e) },
    );
    const res = await fetch(`${url}/bug`);
    expect(res.status).toBe(500);
    expect(await res.text()).not.toContain('secret');
    expect(errors).toHaveLength(1);
  });

  it('has its port again at once after it ended connections and stopped', async () => {
    const port = await freePort('127.0.0.1');
    const first = await createHttpServer({ prefer });
    first.route('GET', '/', () => ({ status: 200, body: 'x' }));
    await first.listen({ host: '127.0.0.1', port });
    // Ended from this side, so this side keeps what remains of it for a minute.
    for (let i = 0; i < 3; i++) {
      const socket = connect(port, '127.0.0.1');
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      await new Promise((resolve) => socket.on('end', resolve).resume());
    }
    await first.close();
    server = await createHttpServer({ prefer });
    await expect(server.listen({ host: '127.0.0.1', port })).resolves.toMatchObject({ port });
  });

  it('binds exclusively: the second listener on a port fails', async () => {
    const { port } = await serve(() => undefined);
    const second = await createHttpServer({ prefer });
    await expect(second.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await second.close();
  });

  it('believes a forwarding header from trusted proxies only', async () => {
    const set = (s: HttpServer): void =>
      s.route('GET', '/ip', (r) => ({ status: 200, body: r.remoteAddress }));
    const ask = async (url: string, headers: Record<string, string>): Promise<string> =>
      (await fetch(`${url}/ip`, { headers })).text();
    const plain = await serve(set);
    expect(await ask(plain.url, { 'x-forwarded-for': '198.51.100.1' })).toBe('127.0.0.1');
    await server!.close();
    const proxied = await serve(set, { trustedProxies: ['127.0.0.0/8'] });
    expect(await ask(proxied.url, { 'x-forwarded-for': '198.51.100.9, 198.51.100.1' })).toBe('198.51.100.1');
    expect(await ask(proxied.url, { forwarded: 'for=198.51.100.1' })).toBe('127.0.0.1');
  });

  it('websocket: the real source address reaches the transport', async () => {
    const seen: Transport[] = [];
    const { port } = await serve((s) => s.websocket('/ixian', { onConnection: (t) => seen.push(t) }), {
      trustedProxies: ['127.0.0.1'],
    });
    const ws = new WebSocket(`ws://127.0.0.1:${port}/ixian`, {
      headers: { 'x-forwarded-for': '203.0.113.50' },
    });
    await until(() => seen.length === 1 && ws.readyState === WebSocket.OPEN);
    expect(seen[0]!.remoteAddress).toBe('203.0.113.50');
    ws.terminate();
  });

  it('websocket: text messages are refused', async () => {
    const seen: Recorder[] = [];
    const { port } = await serve((s) =>
      s.websocket('/ixian', { onConnection: (t) => seen.push(new Recorder(t)) }),
    );
    const ws = new WebSocket(`ws://127.0.0.1:${port}/ixian`);
    let closeCode = 0;
    ws.on('close', (code) => {
      closeCode = code;
    });
    ws.on('open', () => ws.send('hello'));
    await until(() => closeCode !== 0);
    expect(closeCode).toBe(1003);
    await seen[0]!.until((r) => r.ended !== null);
    expect([seen[0]!.bytes, seen[0]!.ended?.reason]).toEqual([0, 'violation']);
  });

  it('websocket: a message above the cap ends the connection', async () => {
    const seen: Recorder[] = [];
    const { port } = await serve((s) =>
      s.websocket('/ixian', { messageBytesMax: 1000, onConnection: (t) => seen.push(new Recorder(t)) }),
    );
    const ws = new WebSocket(`ws://127.0.0.1:${port}/ixian`);
    ws.on('error', () => undefined);
    ws.on('open', () => {
      ws.send(pattern(1000));
      ws.send(pattern(1001));
    });
    await until(() => seen.length === 1);
    await seen[0]!.until((r) => r.ended !== null);
    expect(seen[0]!.bytes).toBe(1000);
  });

  it('websocket: an upgrade can be refused, and other paths are not found', async () => {
    const { url, port } = await serve((s) =>
      s.websocket('/ixian', {
        onConnection: () => undefined,
        refuse: (r) => (r.query.get('key') === 'k' ? null : { status: 503, body: 'full' }),
      }),
    );
    const status = (path: string): Promise<number> =>
      new Promise((resolve) => {
        const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`);
        ws.on('unexpected-response', (_q, res) => {
          resolve(res.statusCode ?? 0);
          ws.terminate();
        });
        ws.on('open', () => {
          resolve(101);
          ws.terminate();
        });
        ws.on('error', () => undefined);
      });
    expect(await status('/ixian')).toBe(503);
    expect(await status('/ixian?key=k')).toBe(101);
    expect(await status('/elsewhere')).toBe(404);
    expect((await fetch(`${url}/ixian`)).status).toBe(404);
  });

  it('closing ends listener and connections', async () => {
    const seen: Transport[] = [];
    const { port } = await serve((s) => s.websocket('/ixian', { onConnection: (t) => seen.push(t) }));
    const client = new Recorder(await dialNodeWs(`ws://127.0.0.1:${port}/ixian`));
    await until(() => seen.length === 1);
    await server!.close();
    await client.until((r) => r.ended !== null);
    await expect(dialNodeWs(`ws://127.0.0.1:${port}/ixian`)).rejects.toThrow();
  });

  it('serves /v1/info to any origin and /ixian beside it', async () => {
    const info: RelayInfo = {
      network: 'reg',
      address: (await signerOf('w0')).address,
      endpoint: '203.0.113.7:11235',
      webSocket: 'wss://relay.example/ixian',
      version: 'starling-test',
    };
    let ready = false;
    const seen: Transport[] = [];
    const { port } = await serve((s) =>
      addIxianRoutes(s, {
        info: () => (ready ? info : null),
        more: () => ({ policy: 'none' }),
        onConnection: (t) => seen.push(t),
      }),
    );
    const url = relayInfoUrl(`ws://127.0.0.1:${port}/ixian`);
    expect((await fetch(url)).status).toBe(503);
    ready = true;
    const res = await fetch(url, { headers: { origin: 'https://app.example' } });
    expect([res.headers.get('access-control-allow-origin'), res.headers.get('content-type')]).toEqual([
      '*',
      'application/json',
    ]);
    const text = await res.text();
    expect(parseRelayInfo(text)).toEqual(info);
    expect(JSON.parse(text)).toMatchObject({ policy: 'none' });
    const t = await dialNodeWs(`ws://127.0.0.1:${port}/ixian`);
    await until(() => seen.length === 1);
    t.destroy();
  });

  it('speaks TLS with the given files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'starling-tls-'));
    const certFile = join(folder, 'cert.pem');
    const keyFile = join(folder, 'key.pem');
    writeSelfSigned(certFile, keyFile);
    const { port } = await serve((s) => s.route('GET', '/x', () => ({ status: 200, body: 'secure' })), {
      tls: { certFile, keyFile },
    });
    const body = await new Promise<string>((resolve, reject) => {
      httpsRequest({ host: '127.0.0.1', port, path: '/x', rejectUnauthorized: false }, (res) => {
        let text = '';
        res.on('data', (d) => {
          text += String(d);
        });
        res.on('end', () => resolve(text));
      })
        .on('error', reject)
        .end();
    });
    expect(body).toBe('secure');
    rmSync(folder, { recursive: true });
  });
});

/** Sends text and gives back what came before the end. */
function rawHttp(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const s = connect(port, '127.0.0.1', () => s.write(text));
    s.on('data', (d) => {
      got += String(d);
    });
    s.on('error', () => resolve(got));
    s.on('close', () => resolve(got));
    s.setTimeout(2_000, () => s.destroy());
  });
}

describe('client address behind proxies', () => {
  const trusted = addressRanges(['10.0.0.0/8', '192.0.2.1', 'fd00::/8']);

  it.each([
    ['203.0.113.1', '198.51.100.1', '203.0.113.1'],
    ['10.1.1.1', '', '10.1.1.1'],
    ['10.1.1.1', '198.51.100.1', '198.51.100.1'],
    ['::ffff:10.1.1.1', '198.51.100.1', '198.51.100.1'],
    ['10.1.1.1', '6.6.6.6, 198.51.100.1, 10.2.2.2', '198.51.100.1'],
    ['10.1.1.1', '6.6.6.6, unknown, 10.2.2.2', '10.2.2.2'],
    ['10.1.1.1', '198.51.100.1:4711', '198.51.100.1'],
    ['fd00::1', '[2001:db8::5]:99', '2001:db8::5'],
    ['10.1.1.1', '10.0.0.1, 10.0.0.2', '10.0.0.1'],
  ])('%s with X-Forwarded-For %j is %s', (socket, header, is) => {
    expect(clientAddress(socket, header, 'x-forwarded-for', trusted)).toBe(is);
  });

  it.each([
    ['for=198.51.100.1', '198.51.100.1'],
    ['For="[2001:db8::5]:4711";proto=https', '2001:db8::5'],
    ['for=6.6.6.6, proto=http;for=198.51.100.1;by=10.0.0.1', '198.51.100.1'],
    ['for=_hidden', '10.1.1.1'],
    ['by=10.0.0.1', '10.1.1.1'],
  ])('Forwarded %j is %s', (header, is) => {
    expect(clientAddress('10.1.1.1', header, 'forwarded', trusted)).toBe(is);
  });

  it.each(['10.0.0.0/33', 'x', '10.0.0.0/', '10.0.0/8', '::/129'])('%j is no range', (cidr) => {
    expect(() => addressRanges([cidr])).toThrow(RangeError);
  });
});

describe('relay document', () => {
  const good = {
    network: 'main',
    address: '39RZx8f1P2zpKCoj4kJCAkxyja9SSYtYXoT15vA8CpZA5M1ktej5ysdz6EnEakYTi',
    endpoint: '203.0.113.7:10235',
    webSocket: null,
    version: 'x',
  };

  it('reads one without WebSocket', () => {
    expect(parseRelayInfo(JSON.stringify(good))).toMatchObject({ endpoint: good.endpoint, webSocket: null });
  });

  it.each([
    ['info', '['],
    ['info', 'null'],
    ['info', `"${'x'.repeat(20_000)}"`],
    ['info.network', JSON.stringify({ ...good, network: 'other' })],
    ['info.endpoint', JSON.stringify({ ...good, endpoint: 'host:1' })],
    ['info.webSocket', JSON.stringify({ ...good, webSocket: 'http://x/ixian' })],
    ['info.address', JSON.stringify({ ...good, address: 5 })],
    ['address', JSON.stringify({ ...good, address: `${good.address.slice(0, -1)}j` })],
  ])('refuses a broken %s', (field, text) => {
    expect(() => parseRelayInfo(text)).toThrow(expect.objectContaining({ name: 'DecodeError', field }));
  });
});
