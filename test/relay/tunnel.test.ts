import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { dialWsRelay } from '../../src/client/node/index.js';
import { systemClock } from '../../src/clock/index.js';
import type { Transport } from '../../src/link/index.js';
import { dialNodeWs } from '../../src/link/node/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import { encodePresence } from '../../src/presence/index.js';
import type { Relay, TunnelLimits } from '../../src/relay/index.js';
import { bytesEqual, Code } from '../../src/wire/index.js';
import { engine, selfInfo, signerOf, Watched } from '../link/support.js';
import { connected, keepAliveFor, nowSeconds, presenceFor, startRelay, until } from './support.js';

const open: { stop(): unknown }[] = [];
const later = <T extends { stop(): unknown }>(x: T): T => {
  open.push(x);
  return x;
};
afterEach(async () => {
  for (const x of open.splice(0).reverse()) await x.stop();
});

/** The HTTP status of an upgrade: 101 when it was let through. */
function statusOf(r: Relay, query: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(`ws://127.0.0.1:${r.wsPort}/ixian/dial${query}`);
    ws.on('unexpected-response', (_req, res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    ws.on('open', () => {
      ws.terminate();
      resolve(101);
    });
    ws.on('error', reject);
  });
}

const closed = (r: Relay, reason: string): number =>
  r.counters.counter('ixian_tunnels_closed_total', '', { reason }).value;
const refused = (r: Relay, reason: string): number =>
  r.counters.counter('ixian_tunnels_refused_total', '', { reason }).value;

/** Tells `r` of a relay (wallet `w5`) at that endpoint, signed as it must be. */
async function announce(r: Relay, endpoint: string, wallet = 'w5', type = 'R'): Promise<void> {
  const c = await connected(r, { wallet: 'w4' });
  const before = r.status().presences;
  const ka = await keepAliveFor(wallet, { hostname: endpoint, type, device: Uint8Array.of(1) });
  c.link.send(Code.updatePresence, encodePresence(await presenceFor(wallet, ka)));
  await until('the presence is stored', () => r.status().presences > before);
  c.link.destroy();
}

/** A server of anything: what it says at once, and what it hears. */
async function plainServer(
  hello: Uint8Array,
): Promise<{ endpoint: string; heard: Buffer[]; sockets: Socket[]; stop(): void }> {
  const heard: Buffer[] = [];
  const sockets: Socket[] = [];
  const server: Server = createServer((s) => {
    sockets.push(s);
    s.on('error', () => undefined);
    s.on('data', (d) => heard.push(d));
    s.write(hello);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  if (at === null || typeof at === 'string') throw new TypeError('no port');
  const stop = (): void => {
    for (const s of sockets) s.destroy();
    server.close();
  };
  return later({ endpoint: `127.0.0.1:${at.port}`, heard, sockets, stop });
}

const timeRecords = new Uint8Array(45).map((_, i) => (i % 9 === 0 ? 2 : 0));
const frame = Uint8Array.of(0xea, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1);

interface Raw {
  readonly transport: Transport;
  readonly got: Uint8Array[];
  ended: boolean;
}

async function raw(r: Relay, endpoint: string): Promise<Raw> {
  const transport = await dialNodeWs(`ws://127.0.0.1:${r.wsPort}/ixian/dial?to=${endpoint}`);
  const out: Raw = { transport, got: [], ended: false };
  transport.start({
    data: (b) => out.got.push(b.slice()),
    drain: () => undefined,
    close: () => {
      out.ended = true;
    },
  });
  return later(Object.assign(out, { stop: () => transport.destroy() }));
}

describe.each(['uws', 'node'] as const)('the tunnel of a relay, engine %s', (httpEngine) => {
  const start = async (tunnelLimits: Partial<TunnelLimits> = {}): Promise<Relay> =>
    later(await startRelay({ httpEngine, wsPort: 0, tunnelLimits }));

  describe('to a relay that serves TCP only', () => {
    let here: Relay;
    let there: Relay;
    beforeAll(async () => {
      here = await startRelay({ httpEngine, wsPort: 0 });
      there = await startRelay({ wallet: 'w1', linkLimits: { helloTimeoutMs: 1_000 } });
      await announce(here, `127.0.0.1:${there.port}`, 'w1');
    });
    afterAll(async () => {
      await here.stop();
      await there.stop();
    });

    it('carries hello and messages end to end, unchanged', async () => {
      const dial = dialWsRelay({
        urlOf: (e) => (e.endsWith(`:${here.port}`) ? null : 'ws://127.0.0.1:9/ixian'),
      });
      // As a client does it: first its own relay, whose tunnel it then knows.
      const home = await dial({ wsUrl: `ws://127.0.0.1:${here.wsPort}/ixian` });
      const { transport, expectedEndpoints } = await dial({ endpoint: `127.0.0.1:${there.port}` });
      expect(expectedEndpoints).toEqual([`127.0.0.1:${there.port}`]);
      const a = new Watched(transport, {
        direction: 'out',
        self: await selfInfo(systemClock, { wallet: 'w2', nodeType: 'C', deviceId: Uint8Array.of(8) }),
        clock: systemClock,
        engine: await engine(),
        policy: { expectedWallet: there.address, expectedEndpoints: [`127.0.0.1:${there.port}`] },
      });
      await until('hello', () => a.opened > 0);
      expect(bytesEqual(a.link.peer!.address, there.address)).toBe(true);
      const b = await connected(there, { wallet: 'w3' });
      const text = encodeStreamMessage(
        streamMessage({
          version: 1,
          id: new Uint8Array(16).fill(1),
          type: 2,
          sender: (await signerOf('w2')).address,
          recipient: (await signerOf('w3')).address,
          data: new Uint8Array(1_500_000).fill(7),
          timestamp: BigInt(nowSeconds()),
        }),
      );
      a.link.send(Code.s2data, text);
      await until('the message', () => b.messages.some((m) => m.code === Code.s2data));
      expect(bytesEqual(b.messages.find((m) => m.code === Code.s2data)!.payload, text)).toBe(true);
      expect(here.counters.total('ixian_tunnels')).toBe(1);
      expect(
        here.counters.counter('ixian_tunnel_bytes_total', '', { direction: 'to_relay' }).value,
      ).toBeGreaterThan(1_500_000);
      b.link.destroy();
      a.link.destroy();
      home.transport.destroy();
      await until('closed', () => here.counters.total('ixian_tunnels') === 0);
      await until('closed there', () => there.status().connections === 0);
    });

    it('ends when the relay ends', async () => {
      const t = await raw(here, `127.0.0.1:${there.port}`);
      await until('the time records', () => t.got.reduce((n, b) => n + b.length, 0) >= 45);
      const before = closed(here, 'relay');
      // Garbage instead of a hello: the other relay waits a while, and ends what says nothing valid.
      t.transport.write(Uint8Array.of(0xea, ...new Uint8Array(11).fill(0xff), ...new Uint8Array(20)));
      await until('the end', () => closed(here, 'relay') > before);
      await until('told', () => t.ended);
    });

    it('is named by the public document', async () => {
      const info = await fetch(`http://127.0.0.1:${here.wsPort}/v1/info`);
      expect(((await info.json()) as { tunnel: boolean }).tunnel).toBe(true);
    });
  });

  it('goes to no other place: unknown ports, itself, ledger nodes, clients, names, ranges', async () => {
    const r = await start();
    const other = await plainServer(timeRecords);
    const client = await plainServer(timeRecords);
    await announce(r, client.endpoint, 'w3', 'C');
    const to = (t: string): Promise<number> => statusOf(r, `?to=${encodeURIComponent(t)}`);
    for (const t of [other.endpoint, client.endpoint, '127.0.0.1:22', '10.0.0.1:80', '169.254.169.254:80'])
      expect([t, await to(t)]).toEqual([t, 403]);
    expect(await to(`127.0.0.1:${r.port}`)).toBe(508);
    for (const t of [
      '',
      'localhost:22',
      '[::1]:22',
      '127.1:22',
      '0x7f.0.0.1:22',
      '2130706433:22',
      '127.0.0.1',
      '127.0.0.1:0',
      '127.0.0.1:65536',
      `${other.endpoint}@127.0.0.1:22`,
      ` ${other.endpoint}`,
      `${other.endpoint}\r\nx: y`,
    ])
      expect([t, await to(t)]).toEqual([t, 400]);
    for (const q of ['', '?', '?to', `?to=${other.endpoint}&to=127.0.0.1:${r.port}`])
      expect([q, await statusOf(r, q)]).toEqual([q, 400]);
    expect(other.sockets.length + client.sockets.length).toBe(0);
    expect([refused(r, 'unknown'), refused(r, 'own')]).toEqual([5, 1]);
  });

  it('a presence that names a server of something else makes it hear nothing', async () => {
    const r = await start({ tunnelGreetingMs: 300 });
    const ssh = await plainServer(new TextEncoder().encode('SSH-2.0-OpenSSH_9.2\r\n'));
    await announce(r, ssh.endpoint);
    const t = await raw(r, ssh.endpoint);
    t.transport.write(frame);
    await until('ended', () => t.ended);
    const s = await start({ tunnelGreetingMs: 300 });
    const silent = await plainServer(new Uint8Array(0));
    await announce(s, silent.endpoint);
    const u = await raw(s, silent.endpoint);
    u.transport.write(frame);
    await until('ended', () => u.ended);
    expect([ssh.heard.length, silent.heard.length, t.got.length]).toEqual([0, 0, 0]);
    expect([closed(r, 'not_ixian'), closed(s, 'not_ixian')]).toEqual([1, 1]);
  });

  it('a client that begins with anything but a frame is not passed on', async () => {
    const r = await start();
    const server = await plainServer(timeRecords);
    await announce(r, server.endpoint);
    const t = await raw(r, server.endpoint);
    t.transport.write(new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'));
    await until('ended', () => t.ended);
    expect(server.heard).toEqual([]);
  });

  it('is limited in all, per source, per minute; bans and drain hold', async () => {
    const r = await start({ tunnelsMax: 3, tunnelsPerSourceMax: 2, tunnelsPerSourceMinuteMax: 5 });
    const server = await plainServer(timeRecords);
    await announce(r, server.endpoint);
    const query = `?to=${server.endpoint}`;
    const a = await raw(r, server.endpoint);
    await raw(r, server.endpoint);
    expect([await statusOf(r, query), refused(r, 'source_tunnels')]).toEqual([429, 1]);
    a.transport.destroy();
    await until('room', () => r.counters.total('ixian_tunnels') === 1);
    for (let i = 0; i < 3; i++) {
      expect(await statusOf(r, query)).toBe(101);
      await until('gone', () => r.counters.total('ixian_tunnels') === 1);
    }
    expect([await statusOf(r, query), refused(r, 'source_rate')]).toEqual([429, 1]);

    const s = await start({ tunnelsMax: 1 });
    await announce(s, server.endpoint);
    await raw(s, server.endpoint);
    expect([await statusOf(s, query), refused(s, 'tunnels')]).toEqual([503, 1]);

    const banned = await start();
    await announce(banned, server.endpoint);
    await raw(banned, server.endpoint);
    banned.control.setBans([server.endpoint]);
    await until('the open one ends too', () => closed(banned, 'banned') === 1);
    expect(await statusOf(banned, query)).toBe(403);
    banned.control.setDraining(true);
    expect(await statusOf(banned, query)).toBe(503);
  });

  it('ends when nothing moves, when its time is over, and when the relay cannot be reached', async () => {
    const r = await start({ tunnelIdleMs: 200, tunnelSweepMs: 50 });
    const server = await plainServer(timeRecords);
    await announce(r, server.endpoint);
    const t = await raw(r, server.endpoint);
    await until('idle', () => t.ended && closed(r, 'idle') === 1);

    const old = await start({ tunnelLifetimeMs: 200, tunnelSweepMs: 50 });
    await announce(old, server.endpoint);
    const u = await raw(old, server.endpoint);
    await until('over', () => u.ended && closed(old, 'lifetime') === 1);

    server.stop();
    const again = await start();
    await announce(again, server.endpoint);
    const v = await raw(again, server.endpoint);
    await until('unreachable', () => v.ended && closed(again, 'unreachable') === 1);
  });

  it('a relay that does not read makes its client wait or go, and never more is kept than the limits say', async () => {
    const r = await start({ tunnelBytesMax: 256 * 1024, tunnelUnreadBytesMax: 128 * 1024 });
    const server = await plainServer(timeRecords);
    await announce(r, server.endpoint);
    const t = await raw(r, server.endpoint);
    await until('greeted', () => t.got.length > 0);
    for (const s of server.sockets) s.pause();
    t.transport.write(frame);
    const block = new Uint8Array(64 * 1024).fill(0x01);
    const writing = setInterval(() => {
      if (!t.ended && t.transport.bufferedBytes < 4 * 1024 * 1024) t.transport.write(block);
    }, 1);
    try {
      // One engine slows the client, the other cannot and ends it.
      await until('held or ended', () => t.ended || t.transport.bufferedBytes >= 4 * 1024 * 1024, 10_000);
    } finally {
      clearInterval(writing);
    }
    expect(t.ended).toBe(httpEngine === 'uws');
  });

  it('all tunnels together hold no more than their limit', async () => {
    const r = await start({ tunnelsBytesMax: 100 * 1024 });
    const server = await plainServer(timeRecords);
    await announce(r, server.endpoint);
    const t = await raw(r, server.endpoint);
    await until('greeted', () => t.got.length > 0);
    for (const s of server.sockets) s.pause();
    t.transport.write(frame);
    const writing = setInterval(() => t.transport.write(new Uint8Array(64 * 1024).fill(1)), 1);
    try {
      await until('full', () => closed(r, 'full') === 1, 10_000);
    } finally {
      clearInterval(writing);
    }
    await until('told', () => t.ended);
  });
});
