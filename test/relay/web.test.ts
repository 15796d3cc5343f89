import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock/index.js';
import { addressText } from '../../src/identity/index.js';
import { dialNodeWs } from '../../src/link/node/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import { decodePresence, encodePresence } from '../../src/presence/index.js';
import type { Relay } from '../../src/relay/index.js';
import { Bye, bytesEqual, Code, encodeGetPresence2 } from '../../src/wire/index.js';
import { engine, selfInfo, signerOf, Watched } from '../link/support.js';
import { connected, keepAliveFor, nowSeconds, presenceFor, startRelay, until } from './support.js';

/** The same bare client as over TCP. */
async function overWs(
  r: Relay,
  wallet: string,
  over: { endpoint?: string; forged?: boolean } = {},
): Promise<Watched> {
  return new Watched(await dialNodeWs(`ws://127.0.0.1:${r.wsPort}/ixian`), {
    direction: 'out',
    self: await selfInfo(systemClock, {
      wallet,
      nodeType: 'C',
      endpoint: { ip: '127.0.0.1', port: r.port },
      deviceId: Uint8Array.of(8),
      ...(over.forged === true ? { sign: () => Promise.resolve(new Uint8Array(512)) } : {}),
    }),
    clock: systemClock,
    engine: await engine(),
    policy: { expectedWallet: r.address, expectedEndpoints: [over.endpoint ?? `127.0.0.1:${r.port}`] },
  });
}

async function open(r: Relay, wallet: string, over: { forged?: boolean } = {}): Promise<Watched> {
  const w = await overWs(r, wallet, over);
  await until(`${wallet} over WebSocket`, () => w.opened > 0);
  return w;
}

const data = (w: Watched): Uint8Array[] =>
  w.messages.filter((m) => m.code === Code.s2data).map((m) => m.payload);

const message = async (from: string, to: string, id: number, size = 20): Promise<Uint8Array> =>
  encodeStreamMessage(
    streamMessage({
      version: 1,
      id: new Uint8Array(16).fill(id),
      type: 2,
      sender: (await signerOf(from)).address,
      recipient: (await signerOf(to)).address,
      data: new Uint8Array(size).fill(id),
      timestamp: BigInt(nowSeconds()),
    }),
  );

describe.each(['uws', 'node'] as const)('a relay over WebSocket, engine %s', (httpEngine) => {
  let r: Relay;
  beforeAll(async () => {
    r = await startRelay({ httpEngine, wsPort: 0 });
  });
  afterAll(() => r.stop());

  it('messages pass between tcp and WebSocket, both ways and unchanged', async () => {
    const a = await connected(r, { wallet: 'w1' });
    const b = await open(r, 'w2');
    const [there, back] = [await message('w1', 'w2', 1, 200_000), await message('w2', 'w1', 2)];
    a.link.send(Code.s2data, there);
    b.link.send(Code.s2data, back);
    await until('both', () => data(a).length + data(b).length === 2);
    expect([bytesEqual(data(b)[0]!, there), bytesEqual(data(a)[0]!, back)]).toEqual([true, true]);
    a.link.destroy();
    b.link.destroy();
    await until('gone', () => r.status().sessions === 0);
  });

  it('whoever is asked to leave is heard out, and has got all that was sent before', async () => {
    const a = await open(r, 'w1');
    const b = await connected(r, { wallet: 'w2' });
    const [id] = r.control.page(true, 0, 10).items.flatMap((p) => (p.transport === 'ws' ? [p.id] : []));
    b.link.send(Code.s2data, await message('w2', 'w1', 50, 200_000));
    await until('before', () => data(a).length === 1);
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => message('w1', 'w2', 51 + n)));
    for (const m of all) a.link.send(Code.s2data, m);
    expect(r.control.moveOn(id!)).toBe(true);
    await until('all of it', () => data(b).length === 20);
    await until('told', () => a.closed !== null);
    expect(a.closed).toMatchObject({ why: 'bye-received', byeCode: Bye.bye });
    b.link.destroy();
    await until('gone', () => r.control.clientsConnected === 0);
  });

  it('a presence announced over WebSocket is found over tcp', async () => {
    const b = await open(r, 'w2');
    const ka = await keepAliveFor('w2', { hostname: `127.0.0.1:${r.port}` });
    b.link.send(Code.updatePresence, encodePresence(await presenceFor('w2', ka)));
    await until('stored', () => r.status().presences === 2);
    const a = await connected(r, { wallet: 'w1' });
    a.link.send(Code.getPresence2, encodeGetPresence2((await signerOf('w2')).address));
    await until('found', () => a.messages.some((m) => m.code === Code.updatePresence));
    const p = decodePresence(a.messages.find((m) => m.code === Code.updatePresence)!.payload);
    expect(bytesEqual(p.wallet, (await signerOf('w2')).address)).toBe(true);
    a.link.destroy();
    b.link.destroy();
  });

  it('07 §9.1: who does not prove the key gets none of the wallet’s messages here either', async () => {
    const thief = await open(r, 'w3', { forged: true });
    const a = await connected(r, { wallet: 'w1' });
    a.link.send(Code.s2data, await message('w1', 'w3', 3));
    await until('told that nobody is there', () => data(a).length === 1);
    expect(data(thief)).toEqual([]);
    a.link.destroy();
    thief.link.destroy();
  });

  it('03 §3.5: behind a proxy helloData is checked against the announced endpoint, and refused without it', async () => {
    const proxied = await startRelay({ httpEngine, wsPort: 0, externalIp: '198.51.100.9' });
    try {
      const endpoint = `198.51.100.9:${proxied.port}`;
      const good = await overWs(proxied, 'w1', { endpoint });
      await until('open', () => good.opened > 0);
      const bad = await overWs(proxied, 'w1', { endpoint: `198.51.100.8:${proxied.port}` });
      await until('refused', () => bad.closed !== null);
      expect([bad.opened, bad.closed?.why, bad.closed?.byeCode]).toEqual([0, 'bye-sent', Bye.incorrectIp]);
      good.link.destroy();
    } finally {
      await proxied.stop();
    }
  });

  it('/v1/info names the relay, its endpoint and its WebSocket', async () => {
    const answer = await fetch(`http://127.0.0.1:${r.wsPort}/v1/info`);
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    const text = await answer.text();
    for (const part of [addressText(r.address), `127.0.0.1:${r.port}`, `ws://127.0.0.1:${r.wsPort}/ixian`])
      expect(text).toContain(part);
  });
});
