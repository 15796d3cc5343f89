import { afterEach, describe, expect, it } from 'vitest';
import { sectorPrefix } from '../../src/identity/index.js';
import { decodeStreamMessage, encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import {
  decodeKeepAlive,
  decodePresence,
  encodeKeepAlive,
  encodePresence,
} from '../../src/presence/index.js';
import type { Relay } from '../../src/relay/index.js';
import {
  bytesEqual,
  Code,
  CuckooFilter,
  decodeSectorNodes,
  encodeAttachEvent,
  encodeGetPresence2,
  encodeGetRandomPresences,
  encodeGetSectorNodes,
} from '../../src/wire/index.js';
import { signerOf, type Watched } from '../link/support.js';
import { connect, connected, keepAliveFor, nowSeconds, presenceFor, startRelay, until } from './support.js';

const relays: Relay[] = [];
async function relay(over: Parameters<typeof startRelay>[0] = {}): Promise<Relay> {
  const r = await startRelay(over);
  relays.push(r);
  return r;
}
afterEach(async () => {
  for (const r of relays.splice(0)) await r.stop();
});

const got = (w: Watched, code: number): Uint8Array[] =>
  w.messages.filter((m) => m.code === code).map((m) => m.payload);

async function message(from: string, to: string, id = 7, data = 'payload'): Promise<Uint8Array> {
  return encodeStreamMessage(
    streamMessage({
      version: 1,
      id: new Uint8Array(16).fill(id),
      type: 2,
      sender: (await signerOf(from)).address,
      recipient: (await signerOf(to)).address,
      data: new TextEncoder().encode(data),
      timestamp: BigInt(nowSeconds()),
    }),
  );
}

describe('stream messages', () => {
  it('reach every session of the recipient, bytes unchanged', async () => {
    const r = await relay();
    const a = await connected(r, { wallet: 'w1' });
    const b1 = await connected(r, { wallet: 'w2', deviceId: Uint8Array.of(1) });
    const b2 = await connected(r, { wallet: 'w2', deviceId: Uint8Array.of(2) });
    const bytes = await message('w1', 'w2');
    a.link.send(Code.s2data, bytes);
    await until('both devices', () => got(b1, Code.s2data).length + got(b2, Code.s2data).length === 2);
    expect(bytesEqual(got(b1, Code.s2data)[0]!, bytes)).toBe(true);
    expect(bytesEqual(got(b2, Code.s2data)[0]!, bytes)).toBe(true);
    expect(got(a, Code.s2data)).toEqual([]);
    expect(r.counters.total('ixian_relay_messages_total')).toBe(2);
  });

  it('reach a device once, though it keeps two connections (07 §9)', async () => {
    const r = await relay();
    const here = `127.0.0.1:${r.port}`;
    const a = await connected(r, { wallet: 'w1' });
    const b1 = await connected(r, { wallet: 'w2' });
    const b2 = await connected(r, { wallet: 'w2' });
    expect(r.status().sessions).toBe(3);
    // The first keep-alive of a wallet comes in the presence the relay asks for.
    const ka = await keepAliveFor('w2', { hostname: here, device: Uint8Array.of(9) });
    b1.link.send(Code.keepAlivePresence, encodeKeepAlive(ka));
    b2.link.send(Code.keepAlivePresence, encodeKeepAlive(ka));
    await until('asked', () => got(b1, Code.getPresence2).length === 1);
    b1.link.send(Code.updatePresence, encodePresence(await presenceFor('w2', ka)));
    await until('one receiver', () => r.status().sessions === 2);
    for (const id of [1, 2, 3]) a.link.send(Code.s2data, await message('w1', 'w2', id));
    await until('three', () => got(b1, Code.s2data).length === 3);
    expect(got(b2, Code.s2data)).toEqual([]);
    b1.link.destroy();
    await until('the other one takes over', () => r.status().connections === 2);
    a.link.send(Code.s2data, await message('w1', 'w2', 4));
    await until('fourth', () => got(b2, Code.s2data).length === 1);
  });

  it('to nobody are answered with the error that names the message', async () => {
    const r = await relay();
    const a = await connected(r, { wallet: 'w1' });
    a.link.send(Code.s2data, await message('w1', 'w2', 5));
    await until('error', () => got(a, Code.s2data).length === 1);
    const e = decodeStreamMessage(got(a, Code.s2data)[0]!);
    expect([e.version, e.type, [...e.data!]]).toEqual([0, 0, Array(16).fill(5)]);
    expect(bytesEqual(e.sender!, (await signerOf('w2')).address)).toBe(true);
    expect(bytesEqual(e.recipient!, (await signerOf('w1')).address)).toBe(true);
  });

  it('above the size limit, malformed, or of type error are dropped, and the connection stays', async () => {
    const r = await relay({ limits: { messageBytesMax: 1000 } });
    const a = await connected(r, { wallet: 'w1' });
    const b = await connected(r, { wallet: 'w2' });
    a.link.send(Code.s2data, await message('w1', 'w2', 1, 'x'.repeat(2000)));
    a.link.send(Code.s2data, Uint8Array.of(1, 2, 3));
    a.link.send(Code.s2data, await message('w1', 'w2', 2));
    await until('the good one', () => got(b, Code.s2data).length === 1);
    const dropped = r.counters
      .samples()
      .filter((s) => s.name === 'ixian_messages_dropped_total')
      .map((s) => s.labels.reason);
    expect(dropped.sort()).toEqual(['malformed', 'too_large']);
    expect(a.closed).toBeNull();
  });

  it('beyond the rate limit are told to the sender', async () => {
    const r = await relay({ limits: { messagesPerSecond: 1, messagesBurst: 3 } });
    const a = await connected(r, { wallet: 'w1' });
    const b = await connected(r, { wallet: 'w2' });
    for (let i = 1; i <= 5; i++) a.link.send(Code.s2data, await message('w1', 'w2', i));
    await until('three and two', () => got(b, Code.s2data).length >= 3 && got(a, Code.s2data).length >= 2);
    expect(got(b, Code.s2data).length).toBe(3);
  });
});

describe('proof of key (07 §9.1)', () => {
  it('a client that does not hold the key never gets the wallet’s messages, before or after the owner', async () => {
    const r = await relay();
    const thief = await connected(r, { wallet: 'w2', forged: true });
    const a = await connected(r, { wallet: 'w1' });
    a.link.send(Code.s2data, await message('w1', 'w2', 1));
    await until('told that nobody is there', () => got(a, Code.s2data).length === 1);
    const owner = await connected(r, { wallet: 'w2' });
    a.link.send(Code.s2data, await message('w1', 'w2', 2));
    await until('the owner', () => got(owner, Code.s2data).length === 1);
    const late = await connected(r, { wallet: 'w2', forged: true });
    a.link.send(Code.s2data, await message('w1', 'w2', 3));
    await until('the owner again', () => got(owner, Code.s2data).length === 2);
    owner.link.destroy();
    await until('owner gone', () => r.status().sessions === 1);
    a.link.send(Code.s2data, await message('w1', 'w2', 4));
    await until('told again', () => got(a, Code.s2data).length === 2);
    expect([got(thief, Code.s2data), got(late, Code.s2data)]).toEqual([[], []]);
    expect([thief.closed, late.closed]).toEqual([null, null]);
  });

  it('a replayed keep-alive proves nothing; a newer one that names this relay does', async () => {
    const r = await relay();
    const here = `127.0.0.1:${r.port}`;
    const now = nowSeconds();
    const owner = await connected(r, { wallet: 'w2' });
    const first = await keepAliveFor('w2', { hostname: here, timestamp: now - 10 });
    owner.link.send(Code.updatePresence, encodePresence(await presenceFor('w2', first)));
    await until('stored', () => r.status().presences === 2);
    owner.link.destroy();
    await until('owner gone', () => r.status().sessions === 0);
    const claimant = await connected(r, { wallet: 'w2', forged: true });
    const a = await connected(r, { wallet: 'w1' });
    claimant.link.send(Code.keepAlivePresence, encodeKeepAlive(first));
    a.link.send(Code.s2data, await message('w1', 'w2', 1));
    await until('still nobody', () => got(a, Code.s2data).length === 1);
    expect(got(claimant, Code.s2data)).toEqual([]);
    const newer = await keepAliveFor('w2', { hostname: here, timestamp: now });
    claimant.link.send(Code.keepAlivePresence, encodeKeepAlive(newer));
    await until('proven', () => r.status().sessions === 2);
    a.link.send(Code.s2data, await message('w1', 'w2', 2));
    await until('delivered', () => got(claimant, Code.s2data).length === 1);
  });

  it('of a wallet nothing is known of, neither an older keep-alive nor one on a forged hello is a proof', async () => {
    const r = await relay();
    const here = `127.0.0.1:${r.port}`;
    const forged = await connected(r, { wallet: 'w2', forged: true });
    const fresh = await keepAliveFor('w2', { hostname: here, timestamp: nowSeconds() });
    forged.link.send(Code.updatePresence, encodePresence(await presenceFor('w2', fresh)));
    await until('stored', () => r.status().presences === 2);
    expect(r.status().sessions).toBe(0);
    // Two verified connections of one device: both would not be receivers if one had proven the key.
    const old = await connected(r, { wallet: 'w3' });
    await connected(r, { wallet: 'w3' });
    const recorded = await keepAliveFor('w3', { hostname: here, timestamp: nowSeconds() - 60 });
    old.link.send(Code.updatePresence, encodePresence(await presenceFor('w3', recorded)));
    await until('stored too', () => r.status().presences === 3);
    expect(r.status().sessions).toBe(2);
  });

  it('a policy refuses unverifiable clients with bye 600', async () => {
    const r = await relay({ unverifiedClients: 'refuse' });
    const thief = await connect(r, { wallet: 'w2', forged: true });
    await until('refused', () => thief.closed !== null);
    expect([thief.closed?.why, thief.closed?.byeCode]).toEqual(['bye-received', 600]);
  });
});

describe('presences', () => {
  it('an unknown client’s keep-alive is answered with a question, its presence is then served', async () => {
    const r = await relay();
    const a = await connected(r, { wallet: 'w1' });
    const ka = await keepAliveFor('w1', { hostname: `127.0.0.1:${r.port}` });
    a.link.send(Code.keepAlivePresence, encodeKeepAlive(ka));
    await until('asked', () => got(a, Code.getPresence2).length === 1);
    a.link.send(Code.updatePresence, encodePresence(await presenceFor('w1', ka)));
    await until('stored', () => r.status().presences === 2);
    const b = await connected(r, { wallet: 'w2' });
    b.link.send(Code.getPresence2, encodeGetPresence2((await signerOf('w1')).address));
    await until('served', () => got(b, Code.updatePresence).length === 1);
    const p = decodePresence(got(b, Code.updatePresence)[0]!);
    expect(p.addresses.map((x) => [x.hostname, x.lastSeen, x.type])).toEqual([
      [`127.0.0.1:${r.port}`, ka.timestamp, 'C'],
    ]);
  });

  it('subscribers get the keep-alive of the wallet they subscribed to, and no other', async () => {
    const r = await relay();
    const [a, b, c] = [
      await connected(r, { wallet: 'w1' }),
      await connected(r, { wallet: 'w2' }),
      await connected(r, { wallet: 'w3' }),
    ];
    const filter = CuckooFilter.empty(4);
    filter.add((await signerOf('w1')).address);
    b.link.send(Code.attachEvent, encodeAttachEvent({ type: 0, filter: filter.encode() }));
    await until('attached', () => r.counters.total('ixian_subscriptions_total') === 1);
    for (const [w, link] of [
      ['w1', a],
      ['w3', c],
    ] as const) {
      const ka = await keepAliveFor(w);
      link.link.send(Code.updatePresence, encodePresence(await presenceFor(w, ka)));
    }
    await until('both stored', () => r.status().presences === 3);
    await until('told', () => got(b, Code.keepAlivePresence).length === 1);
    const told = decodeKeepAlive(got(b, Code.keepAlivePresence)[0]!);
    expect(bytesEqual(told.wallet, (await signerOf('w1')).address)).toBe(true);
    expect(got(c, Code.keepAlivePresence)).toEqual([]);
  });

  it('clients are listed to nobody, relays are', async () => {
    const r = await relay();
    const a = await connected(r, { wallet: 'w1' });
    const ka = await keepAliveFor('w1');
    a.link.send(Code.updatePresence, encodePresence(await presenceFor('w1', ka)));
    await until('stored', () => r.status().presences === 2);
    a.link.send(Code.getRandomPresences, encodeGetRandomPresences('C'));
    a.link.send(Code.getRandomPresences, encodeGetRandomPresences('R'));
    await until('answered', () => got(a, Code.updatePresence).length >= 1);
    await new Promise((res) => setTimeout(res, 50));
    expect(got(a, Code.updatePresence).map((p) => decodePresence(p).addresses[0]!.type)).toEqual(['R']);
  });

  it('a standalone relay is its own sector', async () => {
    const r = await relay();
    const a = await connected(r, { wallet: 'w1' });
    const prefix = sectorPrefix((await signerOf('w1')).address);
    a.link.send(Code.getSectorNodes, encodeGetSectorNodes({ prefix, max: 6 }));
    await until('answered', () => got(a, Code.sectorNodes).length === 1);
    const m = decodeSectorNodes(got(a, Code.sectorNodes)[0]!);
    expect(m.presences.length).toBe(1);
    const p = decodePresence(m.presences[0]!);
    expect(bytesEqual(p.wallet, r.address)).toBe(true);
    expect(p.addresses[0]!.hostname).toBe(`127.0.0.1:${r.port}`);
  });

  it('sector nodes that nobody asked for change nothing', async () => {
    const r = await relay();
    const a = await connected(r, {
      wallet: 'w3',
      nodeType: 'R',
      endpoint: { ip: '127.0.0.1', port: r.port },
    });
    const ka = await keepAliveFor('w1', { type: 'R' });
    const presences = [encodePresence(await presenceFor('w1', ka))];
    const { encodeSectorNodes } = await import('../../src/wire/index.js');
    a.link.send(Code.sectorNodes, encodeSectorNodes({ prefix: new Uint8Array(10), presences }));
    a.link.send(Code.getRandomPresences, encodeGetRandomPresences('R'));
    await until('a later question answered', () => got(a, Code.updatePresence).length === 1);
    expect(r.status().relaysKnown).toBe(1);
  });
});
