import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MemoryStorage, StarlingClient } from '../../src/client/index.js';
import { dialTcpRelay, dialWsRelay } from '../../src/client/node/index.js';
import { systemClock } from '../../src/clock/index.js';
import { dialNodeWs, dialTcp } from '../../src/link/node/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import type { Relay } from '../../src/relay/index.js';
import { TicketKeys } from '../../src/relay/ticket-keys.js';
import { Code, NETWORKS } from '../../src/wire/index.js';
import { type Pocket, pocketOf } from '../link/resumption-support.js';
import { engine, selfInfo, signerOf, Watched } from '../link/support.js';
import { connected, nowSeconds, startRelay, until } from './support.js';

const running: { stop(): Promise<unknown> }[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const r of running.splice(0).reverse()) await r.stop();
  for (const f of folders.splice(0)) rmSync(f, { recursive: true, force: true });
});

async function relay(over: Parameters<typeof startRelay>[0] = {}): Promise<Relay> {
  const r = await startRelay(over);
  running.push(r);
  return r;
}

function value(r: Relay, name: string, result: string): number {
  for (const s of r.counters.samples())
    if (s.name === name && s.labels.result === result && 'value' in s.metric) return s.metric.value;
  return 0;
}
const resumed = (r: Relay): number => value(r, 'ixian_resumptions_total', 'resumed');
const signed = (r: Relay): number => value(r, 'ixian_hello_signatures_total', 'signed');

async function client(r: Relay, pocket: Pocket, road: 'tcp' | 'ws'): Promise<Watched> {
  const transport =
    road === 'tcp'
      ? await dialTcp({ host: '127.0.0.1', port: r.port })
      : await dialNodeWs(`ws://127.0.0.1:${r.wsPort}/ixian`);
  const w = new Watched(transport, {
    direction: 'out',
    self: await selfInfo(systemClock, {
      wallet: 'w1',
      nodeType: 'C',
      endpoint: { ip: '127.0.0.1', port: r.port },
      deviceId: Uint8Array.of(9),
    }),
    clock: systemClock,
    engine: await engine(),
    policy: { expectedWallet: r.address, expectedEndpoints: [`127.0.0.1:${r.port}`] },
    tickets: pocket,
  });
  await until('open', () => w.opened > 0);
  return w;
}

describe.each(['tcp', 'ws'] as const)('clients of a relay come back over %s', (road) => {
  it('without signatures, and receive their messages', async () => {
    const r = await relay({ wsPort: 0 });
    const pocket = await pocketOf('w1');
    const first = await client(r, pocket, road);
    await until('ticket', () => pocket.held !== null);
    first.link.destroy();
    const before = signed(r);
    const again = await client(r, pocket, road);
    await until('resumed', () => resumed(r) === 1);
    expect(signed(r)).toBe(before);
    const sender = await connected(r, { wallet: 'w2' });
    const message = streamMessage({
      version: 1,
      id: new Uint8Array(16).fill(1),
      type: 2,
      sender: (await signerOf('w2')).address,
      recipient: (await signerOf('w1')).address,
      data: Uint8Array.of(1, 2, 3),
      timestamp: BigInt(nowSeconds()),
    });
    sender.link.send(Code.s2data, encodeStreamMessage(message));
    await until('message', () => again.messages.some((m) => m.code === Code.s2data));
  });

  it('also after a restart of the relay, when it has a data folder', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'starling-tickets-'));
    folders.push(dataDir);
    const pocket = await pocketOf('w1');
    const first = await startRelay({ wsPort: 0, dataDir });
    const { port } = first;
    await client(first, pocket, road);
    await until('ticket', () => pocket.held !== null);
    await first.stop();
    expect(statSync(join(dataDir, 'tickets.key')).mode & 0o777).toBe(0o600);
    const second = await relay({ port, wsPort: 0, dataDir });
    await client(second, pocket, road);
    await until('resumed', () => resumed(second) === 1);
    expect(signed(second)).toBe(0);
  });

  it('after a restart without one, with a full hello on the same connection', async () => {
    const pocket = await pocketOf('w1');
    const first = await startRelay({ wsPort: 0 });
    const { port } = first;
    await client(first, pocket, road);
    await until('ticket', () => pocket.held !== null);
    await first.stop();
    const second = await relay({ port, wsPort: 0 });
    await client(second, pocket, road);
    expect([resumed(second), signed(second)]).toEqual([0, 1]);
    expect(value(second, 'ixian_resumptions_total', 'unknown')).toBe(1);
  });

  it('the SDK does so by itself', async () => {
    const r = await relay({ wsPort: 0 });
    const c = await StarlingClient.open({
      wallet: await signerOf('w3'),
      network: NETWORKS.reg,
      relays: [{ host: `127.0.0.1:${r.port}`, wsUrl: `ws://127.0.0.1:${r.wsPort}/ixian` }],
      storage: new MemoryStorage(),
      dial: road === 'tcp' ? dialTcpRelay() : dialWsRelay(),
      engine: await engine(),
    });
    running.push({ stop: async () => c.stop() });
    await c.start();
    await until('offered', () => value(r, 'ixian_resumptions_total', 'offered') > 0);
    // Its key opens the secret beside the session.
    await new Promise((done) => setTimeout(done, 200));
    const before = signed(r);
    for (const id of r.control.clientIds()) r.control.disconnect(id);
    await until('resumed', () => resumed(r) > 0, 10_000);
    expect(signed(r)).toBe(before);
  });
});

describe('the file of the ticket keys', () => {
  const path = (): string => {
    const f = mkdtempSync(join(tmpdir(), 'starling-keys-'));
    folders.push(f);
    return join(f, 'tickets.key');
  };

  it('brings the keys back, unless they are too old', async () => {
    const file = path();
    let now = 1_800_000_000;
    const errors: unknown[] = [];
    const make = () =>
      TicketKeys.open(
        file,
        () => now,
        (e) => void errors.push(e),
      );
    const first = await make();
    const { id } = first.current();
    await first.settled();
    expect((await make()).current().id).toBe(id);
    now += 7_200;
    const late = await make();
    expect(late.byId(id)).toBeNull();
    await late.settled();
    expect(errors).toEqual([]);
  });

  it('damaged, cut or foreign, it is reported and replaced; no relay fails to start because of it', async () => {
    const file = path();
    const now = (): number => 1_800_000_000;
    const keys = await TicketKeys.open(file, now, () => undefined);
    await keys.settled();
    const good = readFileSync(file);
    const spoilt = [good.subarray(0, 20), new Uint8Array(0), Buffer.from('not a key file at all')];
    for (let at = 0; at < good.length; at += 9)
      spoilt.push(Buffer.from(good.map((b, i) => (i === at ? b ^ 1 : b))));
    for (const bytes of spoilt) {
      writeFileSync(file, bytes);
      const errors: unknown[] = [];
      const k = await TicketKeys.open(file, now, (e) => void errors.push(e));
      await k.settled();
      expect(errors.length).toBe(1);
      expect(k.current().bytes.length).toBe(32);
    }
  });

  it('that cannot be written is reported, tickets work all the same', async () => {
    const errors: unknown[] = [];
    const k = await TicketKeys.open(
      '/nonexistent-folder/tickets.key',
      () => 1,
      (e) => void errors.push(e),
    );
    await k.settled();
    expect(errors.length).toBe(1);
    expect(k.byId(k.current().id)).not.toBeNull();
  });
});
