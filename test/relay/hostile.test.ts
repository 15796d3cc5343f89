import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createVerifyEngine } from '../../src/identity/index.js';
import { notReadyText } from '../../src/link/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import {
  addressOf,
  decodePresence,
  encodeKeepAlive,
  encodePresence,
  type KeepAlive,
} from '../../src/presence/index.js';
import { comingBackMax } from '../../src/relay/connections.js';
import type { Relay } from '../../src/relay/index.js';
import {
  Bye,
  bytesEqual,
  Code,
  CuckooFilter,
  concatBytes,
  encodeAttachEvent,
  encodeBye,
  encodeFrame,
  encodeGetPresence2,
  encodeGetRandomPresences,
  encodeGetSectorNodes,
  encodeHello,
  NETWORKS,
} from '../../src/wire/index.js';
import { random } from '../fuzz/engine.js';
import { signedHello, signerOf, type Watched } from '../link/support.js';
import { Customer, count, endOf, headerOf, rawSocket, servedMsMax } from './hostile-support.js';
import { connect, connected, keepAliveFor, nowSeconds, presenceFor, startRelay, until } from './support.js';

/** What all misbehaviour of one test together may cost in memory: the test's own half is in it. */
const memoryBytesMax = 300 * 1024 * 1024;

const cleanUp: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const f of cleanUp.splice(0).reverse()) await f();
});

async function relayWith(over: Parameters<typeof startRelay>[0] = {}): Promise<Relay> {
  const r = await startRelay(over);
  cleanUp.push(() => r.stop());
  return r;
}

async function raw(relay: Relay, localAddress?: string): Promise<Socket> {
  const s = await rawSocket(relay.port, localAddress);
  cleanUp.push(() => void s.destroy());
  return s;
}

const got = (w: Watched, code: number): Uint8Array[] =>
  w.messages.filter((m) => m.code === code).map((m) => m.payload);

/**
 * Runs an attack while a client is being served: every answer within a second, a newcomer let in within a
 * second, memory bounded, no defect of ours uncovered.
 */
async function whileServing(relay: Relay, attack: () => Promise<void>): Promise<void> {
  const client = await connected(relay, { wallet: 'w5', localAddress: '127.0.0.1' });
  const customer = new Customer(client, relay.address);
  await until('first answer', () => customer.answers > 0);
  const before = process.memoryUsage().rss;
  await attack();
  const begin = Date.now();
  const newcomer = await connected(relay, { wallet: 'w4', localAddress: '127.0.0.9' });
  expect(Date.now() - begin).toBeLessThan(servedMsMax);
  expect(newcomer.closed).toBeNull();
  await customer.stop();
  expect(customer.answers).toBeGreaterThan(0);
  expect(customer.longestMs).toBeLessThan(servedMsMax);
  expect(client.closed).toBeNull();
  expect(process.memoryUsage().rss - before).toBeLessThan(memoryBytesMax);
  expect(count(relay, 'ixian_frames_dropped_total', { reason: 'handler_error' })).toBe(0);
  newcomer.link.destroy();
  client.link.destroy();
}

describe('bytes that are no protocol', () => {
  it('random bytes end nothing but their own connection', async () => {
    const relay = await relayWith();
    const rnd = random(7);
    await whileServing(relay, async () => {
      for (let i = 0; i < 60; i++) {
        // From several addresses: none of them does it often enough to be shunned.
        const s = await raw(relay, `127.0.0.${10 + (i % 6)}`);
        const junk = Uint8Array.from({ length: 20_000 }, () => rnd() & 255);
        s.write(junk);
        if (i % 2 === 0) s.end();
      }
      await until('all accepted', () => count(relay, 'ixian_connections_opened_total') >= 61);
    });
    // Nobody but the client and the newcomer got past a hello.
    const hellos = count(relay, 'ixian_protocol_messages_total', { direction: 'out', code: '1' });
    expect(hellos).toBe(2);
  });

  it('frames cut at every length are waited for, then forgotten', async () => {
    const relay = await relayWith({ linkLimits: { helloTimeoutMs: 800, tickMs: 100 } });
    const hello = encodeFrame(Code.hello, encodeHello(await signedHello('w1')));
    await whileServing(relay, async () => {
      const sockets: Socket[] = [];
      for (let cut = 1; cut < hello.length; cut += 37) {
        const s = await raw(relay, '127.0.0.2');
        s.write(hello.subarray(0, cut));
        sockets.push(s);
      }
      await Promise.all(sockets.map((s) => endOf(s)));
      const closed = count(relay, 'ixian_connections_closed_total', { reason: 'hello_timeout' });
      expect(closed).toBe(sockets.length);
    });
  });

  it('giant lengths end the connection before anything is buffered, before and after the hello', async () => {
    const relay = await relayWith();
    await whileServing(relay, async () => {
      const lengths = [50_000_001, 0x7fffffff, 0xffffffff, 20_000_000];
      const before = process.memoryUsage().arrayBuffers;
      const sockets: Socket[] = [];
      for (const length of lengths) {
        const s = await raw(relay, '127.0.0.2');
        s.write(headerOf(Code.hello, length));
        sockets.push(s);
      }
      await Promise.all(sockets.map((s) => endOf(s)));
      expect(count(relay, 'ixian_protocol_errors_total', { reason: 'frame_too_large' })).toBe(lengths.length);
      const client = await connected(relay, { wallet: 'w1' });
      client.link.transport.write(headerOf(Code.s2data, 49_000_000));
      await until('closed', () => client.closed !== null);
      expect(count(relay, 'ixian_protocol_errors_total', { reason: 'frame_too_large' })).toBe(
        lengths.length + 1,
      );
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30_000_000);
    });
  });

  it('newcomers beyond the half-open places are told to come back, so many at a time', async () => {
    const relay = await relayWith({ limits: { preHelloConnectionsMax: 1 } });
    await raw(relay);
    await until('its place taken', () => relay.control.totals().greeting === 1);
    const told: Uint8Array[][] = [];
    const beyond = await Promise.all(
      Array.from({ length: comingBackMax + 20 }, () => raw(relay, '127.0.0.2')),
    );
    await Promise.all(
      beyond.map((s) => {
        const chunks: Uint8Array[] = [];
        told.push(chunks);
        s.on('data', (c: Uint8Array) => chunks.push(c));
        // Not read to the end by us alone: who stays silent is let go after the linger.
        return endOf(s, 10_000);
      }),
    );
    const byes = told.filter((c) => c.length > 0).map((c) => concatBytes(...c));
    const bye = encodeFrame(Code.bye, encodeBye({ code: Bye.notReady, text: notReadyText, data: '' }));
    expect(byes.length).toBeGreaterThan(0);
    for (const b of byes) expect(bytesEqual(b, bye)).toBe(true);
    expect(count(relay, 'ixian_connections_refused_total', { reason: 'pre_hello' })).toBe(beyond.length);
    expect(relay.control.totals().inbound).toBe(1);
  });

  it('a thousand half-open connections take their share of places and no more', async () => {
    const relay = await relayWith({
      limits: { preHelloConnectionsMax: 600, preHelloPerSourceMax: 300 },
      linkLimits: { helloTimeoutMs: 3_000, tickMs: 100 },
    });
    await whileServing(relay, async () => {
      const part = encodeFrame(Code.hello, encodeHello(await signedHello('w1'))).subarray(0, 100);
      const sockets = await Promise.all(
        Array.from({ length: 1000 }, async (_, i) => {
          const s = await raw(relay, i < 500 ? '127.0.0.2' : `127.0.0.${3 + (i % 2)}`);
          s.write(part);
          return s;
        }),
      );
      const refused = (reason: string): number => count(relay, 'ixian_connections_refused_total', { reason });
      await until('all judged', () => {
        const opened = count(relay, 'ixian_connections_opened_total', { direction: 'in' });
        return opened + refused('pre_hello') + refused('pre_hello_source') >= 1001;
      });
      expect(refused('pre_hello_source')).toBeGreaterThan(100);
      expect(refused('pre_hello')).toBeGreaterThan(0);
      expect(relay.status().connections).toBe(1);
      await Promise.all(sockets.map((s) => endOf(s, 10_000)));
      const timedOut = count(relay, 'ixian_connections_closed_total', { reason: 'hello_timeout' });
      expect(timedOut).toBe(1000 - refused('pre_hello') - refused('pre_hello_source'));
    });
  });
});

describe('hellos that lie', () => {
  it('wrong signatures and foreign keys are refused with their code and counted by it', async () => {
    const relay = await relayWith();
    await whileServing(relay, async () => {
      const refused = (code: number): number =>
        count(relay, 'ixian_connections_rejected_total', { direction: 'in', reason: String(code) });
      const base = {
        lock: NETWORKS.reg.lock,
        testFlag: true,
        timestamp: nowSeconds(),
      };
      const codes = [501, 502, 600, 601, 603, 604, 605];
      const zeros = new Uint8Array(512);
      const stranger = (await signerOf('w2')).address;
      const cases: readonly (readonly [number, Parameters<typeof signedHello>[1]])[] = [
        [600, { ...base, nodeType: 'R', signature: zeros }],
        [600, { ...base, nodeType: 'M', signature: zeros }],
        [603, { ...base, address: stranger }],
        [603, { ...base, publicKey: stranger }],
        [502, { ...base, testFlag: false }],
      ];
      for (const [code, over] of cases) {
        const before = codes.map(refused);
        const s = await raw(relay, '127.0.0.2');
        s.write(encodeFrame(Code.hello, encodeHello(await signedHello('w1', over))));
        await endOf(s);
        const after = codes.map(refused);
        expect([code, after.map((n, i) => n - before[i]!)]).toEqual([
          code,
          codes.map((c) => Number(c === code)),
        ]);
      }
      expect(relay.status().connections).toBe(1);
    });
  });

  it('a replayed hello of a client is no proof on a second connection from elsewhere', async () => {
    const relay = await relayWith();
    const owner = await connected(relay, { wallet: 'w2' });
    // Recorded by somebody between: the same bytes again, from another address.
    const hello = encodeFrame(
      Code.hello,
      encodeHello(
        await signedHello('w2', {
          lock: NETWORKS.reg.lock,
          testFlag: true,
          timestamp: nowSeconds(),
          port: 0,
          endpoint: '',
        }),
      ),
    );
    await whileServing(relay, async () => {
      const heard: number[] = [];
      const s = await raw(relay, '127.0.0.2');
      s.on('data', (b: Uint8Array) => heard.push(b.length));
      s.write(hello);
      await until('both connected', () => relay.status().connections === 3);
      const a = await connected(relay, { wallet: 'w1' });
      const bytesBefore = heard.reduce((x, y) => x + y, 0);
      a.link.send(Code.s2data, await message('w1', 'w2', 1));
      await until('the owner', () => got(owner, Code.s2data).length === 1);
      // At most pings came to the other one.
      expect(heard.reduce((x, y) => x + y, 0) - bytesBefore).toBeLessThan(20);
      a.link.destroy();
    });
    owner.link.destroy();
  });
});

async function message(from: string, to: string, id: number): Promise<Uint8Array> {
  return encodeStreamMessage(
    streamMessage({
      version: 1,
      id: new Uint8Array(16).fill(id),
      type: 2,
      sender: (await signerOf(from)).address,
      recipient: (await signerOf(to)).address,
      data: Uint8Array.of(1, 2, 3),
      timestamp: BigInt(nowSeconds()),
    }),
  );
}

describe('presences that lie', () => {
  it('a replayed, stale or future keep-alive costs no RSA operation', async () => {
    const engine = await createVerifyEngine('native-sync');
    const relay = await relayWith({ engine });
    const a = await connected(relay, { wallet: 'w1' });
    const now = nowSeconds();
    const ka = await keepAliveFor('w1', { timestamp: now });
    a.link.send(Code.updatePresence, encodePresence(await presenceFor('w1', ka)));
    await until('stored', () => relay.status().presences === 2);
    const operations = engine.operations;
    const refused = (reason: string): number =>
      count(relay, 'presence_keepalives_total', { outcome: 'refused', reason });
    const bad: readonly KeepAlive[] = [
      ka,
      ka,
      await keepAliveFor('w1', { timestamp: now - 5 }),
      await keepAliveFor('w1', { timestamp: now - 301 }),
      await keepAliveFor('w1', { timestamp: now - 100_000 }),
      await keepAliveFor('w1', { timestamp: now + 120 }),
      await keepAliveFor('w1', { timestamp: now + 100_000 }),
    ];
    for (const x of bad) a.link.send(Code.keepAlivePresence, encodeKeepAlive(x));
    await until('all judged', () => count(relay, 'presence_keepalives_total') === bad.length);
    expect(engine.operations).toBe(operations);
    expect(['replay', 'older', 'stale', 'future'].map((r) => [r, refused(r)])).toEqual([
      ['replay', 2],
      ['older', 1],
      ['stale', 2],
      ['future', 2],
    ]);
    // The counter does count: a fresh one costs exactly one.
    a.link.send(Code.keepAlivePresence, encodeKeepAlive(await keepAliveFor('w1', { timestamp: now + 1 })));
    await until('taken', () => count(relay, 'presence_keepalives_total', { outcome: 'updated' }) === 1);
    expect(engine.operations).toBe(operations + 1);
    await engine.close();
  });

  it('a presence with one forged endpoint among valid ones loses just that one', async () => {
    const relay = await relayWith();
    const a = await connected(relay, { wallet: 'w1' });
    const claims = await Promise.all(
      [1, 2, 3].map((d) => keepAliveFor('w1', { device: Uint8Array.of(d), hostname: `127.0.0.1:${d}` })),
    );
    const good = await presenceFor('w1', ...claims);
    // Validly signed, then pointed elsewhere.
    const forged = { ...addressOf(claims[1]!, 'test-1.0'), hostname: '127.0.0.1:666' };
    const presence = { ...good, addresses: [good.addresses[0]!, forged, good.addresses[2]!] };
    a.link.send(Code.updatePresence, encodePresence(presence));
    await until('stored', () => relay.status().presences === 3);
    const b = await connected(relay, { wallet: 'w2' });
    b.link.send(Code.getPresence2, encodeGetPresence2((await signerOf('w1')).address));
    await until('served', () => got(b, Code.updatePresence).length === 1);
    const served = decodePresence(got(b, Code.updatePresence)[0]!);
    expect(served.addresses.map((x) => x.hostname).sort()).toEqual(['127.0.0.1:1', '127.0.0.1:3']);
  });

  it('a presence whose key is not the wallet’s is refused', async () => {
    const relay = await relayWith();
    const a = await connected(relay, { wallet: 'w1' });
    const mine = await presenceFor('w1', await keepAliveFor('w1'));
    a.link.send(
      Code.updatePresence,
      encodePresence({ ...mine, publicKey: (await signerOf('w2')).publicKey }),
    );
    await until('judged', () => count(relay, 'presence_updates_total', { outcome: 'refused' }) === 1);
    expect(relay.status().presences).toBe(1);
  });
});

describe('floods', () => {
  const floods: readonly (readonly [string, number, (i: number) => Promise<Uint8Array> | Uint8Array])[] = [
    ['lookups', Code.getPresence2, async () => encodeGetPresence2((await signerOf('w0')).address)],
    ['random lookups', Code.getPresence2, (i) => encodeGetPresence2(strangerOf(i))],
    ['sector questions', Code.getSectorNodes, (i) => encodeGetSectorNodes({ prefix: prefixOf(i), max: 20 })],
    ['random presences', Code.getRandomPresences, () => encodeGetRandomPresences('R')],
    ['subscriptions', Code.attachEvent, (i) => encodeAttachEvent({ type: i % 9, filter: filter.encode() })],
    ['malformed messages', Code.updatePresence, (i) => Uint8Array.of(1, 1, i & 255, 7)],
    ['unknown codes', 61, () => Uint8Array.of(1)],
  ];
  const filter = CuckooFilter.empty(400);

  it.each(floods)('%s beyond the rate are dropped and counted', async (_, code, payload) => {
    const relay = await relayWith({ limits: { requestsPerSecond: 50, requestsBurst: 200 } });
    await whileServing(relay, async () => {
      const a = await connected(relay, { wallet: 'w1', localAddress: '127.0.0.2' });
      const sent = 5_000;
      for (let i = 0; i < sent; i++) {
        a.link.send(code, await payload(i));
        if (i % 500 === 499) await new Promise((r) => setTimeout(r, 1));
      }
      const received = (): number =>
        count(relay, 'ixian_protocol_messages_total', {
          direction: 'in',
          code: code > 63 ? 'other' : String(code),
        });
      await until('all received', () => received() >= sent, 15_000);
      const reason = code === 61 ? 'unknown_code' : 'rate_limit';
      await until('refused', () => count(relay, 'ixian_frames_dropped_total', { reason }) > sent / 2);
      expect(a.closed).toBeNull();
      expect(relay.status().presences).toBe(1);
      a.link.destroy();
    });
  });

  it('keep-alives: only as much verification as a connection is allowed', async () => {
    const engine = await createVerifyEngine('native-sync');
    const relay = await relayWith({ engine, limits: { requestsPerSecond: 50, requestsBurst: 200 } });
    await whileServing(relay, async () => {
      const a = await connected(relay, { wallet: 'w1', localAddress: '127.0.0.2' });
      const claim = await keepAliveFor('w1');
      a.link.send(Code.updatePresence, encodePresence(await presenceFor('w1', claim)));
      await until('stored', () => relay.status().presences === 2);
      const before = engine.operations;
      const now = nowSeconds();
      const bytes = encodeKeepAlive({ ...claim, timestamp: now + 1 });
      for (let i = 0; i < 3_000; i++) {
        a.link.send(Code.keepAlivePresence, bytes);
        if (i % 500 === 499) await new Promise((r) => setTimeout(r, 1));
      }
      await until(
        'all received',
        () => count(relay, 'ixian_protocol_messages_total', { direction: 'in', code: '34' }) >= 3_000,
        15_000,
      );
      expect(engine.operations - before).toBeLessThan(600);
      expect(count(relay, 'ixian_frames_dropped_total', { reason: 'rate_limit' })).toBeGreaterThan(2_000);
      expect(relay.status().presences).toBe(2);
      a.link.destroy();
    });
    await engine.close();
  });

  it('stream messages beyond the rate, for nobody or for oneself, cost the others nothing', async () => {
    const relay = await relayWith({ limits: { messagesPerSecond: 100, messagesBurst: 300 } });
    await whileServing(relay, async () => {
      const a = await connected(relay, { wallet: 'w1', localAddress: '127.0.0.2' });
      const nobody = await message('w1', 'w3', 1);
      const own = await message('w1', 'w1', 2);
      const nameless = encodeStreamMessage(
        streamMessage({
          version: 1,
          id: new Uint8Array(0),
          type: 2,
          sender: (await signerOf('w1')).address,
          recipient: (await signerOf('w3')).address,
          data: Uint8Array.of(1),
          timestamp: 1n,
        }),
      );
      for (let i = 0; i < 4_000; i++) {
        a.link.send(Code.s2data, [nobody, own, nameless, Uint8Array.of(9, 9)][i % 4]!);
        if (i % 500 === 499) await new Promise((r) => setTimeout(r, 1));
      }
      await until('all received', () => count(relay, 'ixian_messages_received_total') === 4_000, 15_000);
      const dropped = (reason: string): number => count(relay, 'ixian_messages_dropped_total', { reason });
      expect(dropped('malformed')).toBeGreaterThanOrEqual(1_000);
      expect(dropped('rate_limit')).toBeGreaterThan(1_000);
      expect(a.closed).toBeNull();
      a.link.destroy();
    });
  });

  it('a client that reads nothing is cut, and its queue stays bounded', async () => {
    const relay = await relayWith({ linkLimits: { writeStallMs: 1_000, tickMs: 100 } });
    await whileServing(relay, async () => {
      const a = await connect(relay, { wallet: 'w1', localAddress: '127.0.0.2' });
      await until('connected', () => a.opened > 0);
      const b = await connected(relay, { wallet: 'w2', localAddress: '127.0.0.3' });
      a.link.pause();
      const big = encodeStreamMessage(
        streamMessage({
          version: 1,
          id: new Uint8Array(16).fill(1),
          type: 2,
          sender: (await signerOf('w2')).address,
          recipient: (await signerOf('w1')).address,
          data: new Uint8Array(100_000),
          timestamp: BigInt(nowSeconds()),
        }),
      );
      for (let i = 0; i < 600; i++) {
        b.link.send(Code.s2data, big);
        if (i % 20 === 19) await new Promise((r) => setTimeout(r, 2));
      }
      await until(
        'cut',
        () => count(relay, 'ixian_connections_closed_total', { reason: 'write_stall' }) === 1,
        10_000,
      );
      // What did not fit was refused and told, not kept: at once, or after its sender was not read for a while.
      await until('dropped', () => count(relay, 'ixian_messages_dropped_total') > 0);
      expect(b.closed).toBeNull();
      b.link.destroy();
      a.link.destroy();
    });
  });
});

/** A well-formed address of nobody. */
function strangerOf(i: number): Uint8Array {
  const a = new Uint8Array(45).fill(7);
  a[0] = 1;
  new DataView(a.buffer).setUint32(8, i);
  return a;
}

function prefixOf(i: number): Uint8Array {
  const p = new Uint8Array(10);
  new DataView(p.buffer).setUint32(0, i);
  return p;
}

describe('sector gossip (06 §8)', () => {
  it('a client’s keep-alive reaches each other relay of its sector once and goes no further', async () => {
    const wallets = ['w0', 'w3', 'w4'];
    const relays: Relay[] = [];
    for (const wallet of wallets) relays.push(await relayWith({ wallet, standalone: false }));
    // Every relay learns the others' presences from a client, and dials them.
    const presences: Uint8Array[] = [];
    for (const r of relays) {
      const c = await connected(r, { wallet: 'w5' });
      c.link.send(Code.getPresence2, encodeGetPresence2(r.address));
      await until('own presence', () => got(c, Code.updatePresence).length === 1);
      presences.push(got(c, Code.updatePresence)[0]!);
      c.link.destroy();
    }
    for (const r of relays) {
      const c = await connected(r, { wallet: 'w5' });
      for (const p of presences) c.link.send(Code.updatePresence, p);
      await until('relays known', () => r.status().relaysKnown === 3);
      c.link.destroy();
    }
    const linked = (r: Relay): boolean => r.status().connections >= 2;
    await until('relays connected', () => relays.every(linked), 15_000);
    const [home, ...others] = relays as [Relay, Relay, Relay];
    const a = await connected(home, { wallet: 'w1' });
    const ka = await keepAliveFor('w1', { hostname: `127.0.0.1:${home.port}` });
    const presence = concatBytes(encodePresence(await presenceFor('w1', ka)));
    a.link.send(Code.updatePresence, presence);
    const holds = async (r: Relay): Promise<boolean> => {
      const c = await connected(r, { wallet: 'w5' });
      c.link.send(Code.getPresence2, encodeGetPresence2((await signerOf('w1')).address));
      c.link.send(Code.getPresence2, encodeGetPresence2(r.address));
      await until('answered', () => got(c, Code.updatePresence).length > 0);
      const wallet = (await signerOf('w1')).address;
      const found = got(c, Code.updatePresence).some((p) => bytesEqual(decodePresence(p).wallet, wallet));
      c.link.destroy();
      return found;
    };
    const sector = (r: Relay): number => count(r, 'ixian_keep_alives_passed_on_total', { kind: 'sector' });
    await until('offered', () => sector(home) === 2);
    for (const r of others) {
      const end = Date.now() + 5_000;
      while (!(await holds(r)) && Date.now() < end) await new Promise((d) => setTimeout(d, 50));
      expect(await holds(r)).toBe(true);
      expect(sector(r)).toBe(0);
    }
    // The same again within 50 s is not offered again, and nothing came back.
    a.link.send(
      Code.keepAlivePresence,
      encodeKeepAlive(await keepAliveFor('w1', { hostname: ka.hostname, timestamp: nowSeconds() + 1 })),
    );
    await until('taken', () => count(home, 'presence_keepalives_total', { outcome: 'updated' }) > 0);
    expect(sector(home)).toBe(2);
    expect(others.map(sector)).toEqual([0, 0]);
  });
});
