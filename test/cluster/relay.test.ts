import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { MemoryHub, type MeshBus } from '../../src/cluster/index.js';
import { Counters } from '../../src/counters/index.js';
import { decodeStreamMessage, encodeStreamMessage, StreamMessageType } from '../../src/messages/index.js';
import { encodeKeepAlive, encodePresence } from '../../src/presence/index.js';
import { Relay, type RelayOptions } from '../../src/relay/index.js';
import {
  Bye,
  Code,
  CuckooFilter,
  EventType,
  encodeAttachEvent,
  encodeGetPresence2,
  NETWORKS,
} from '../../src/wire/index.js';
import { engine, signerOf, type Watched } from '../link/support.js';
import { connect, connected, keepAliveFor, nowSeconds, presenceFor, until } from '../relay/support.js';

interface Stage {
  readonly relays: Relay[];
  readonly buses: MeshBus[];
  readonly counters: Counters[];
  /** Which process the next connections go to. */
  next: number;
  /** What `connect` needs: the port of all. */
  readonly front: Relay;
  /** One process more. */
  add(): Promise<void>;
  stop(): Promise<void>;
}

const stages: Stage[] = [];
let names = 1;
afterEach(async () => {
  for (const s of stages.splice(0)) await s.stop();
});

/** Processes of one relay within this one, behind one listener. */
async function stage(n: number, over: Partial<RelayOptions> = {}): Promise<Stage> {
  const hub = new MemoryHub();
  const relays: Relay[] = [];
  const buses: MeshBus[] = [];
  const counters: Counters[] = [];
  let server: Server;
  const first = names;
  const s: Stage = {
    relays,
    buses,
    counters,
    next: 0,
    front: {
      get port() {
        return (server.address() as { port: number }).port;
      },
    } as Relay,
    add: () => addProcess(s, hub, `w${first}`, over),
    stop: async () => {
      for (const r of relays) await r.stop();
      for (const b of buses) await b.close();
      server.close();
    },
  };
  server = createServer({ pauseOnConnect: true }, (socket) => relays[s.next]!.adopt(socket));
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  stages.push(s);
  for (let i = 0; i < n; i++) await addProcess(s, hub, `w${first}`, over);
  return s;
}

async function addProcess(
  s: Stage,
  hub: MemoryHub,
  leader: string,
  over: Partial<RelayOptions>,
): Promise<void> {
  const c = new Counters();
  const bus = hub.join({
    self: `w${names++}`,
    counters: c,
    onError: (_t, e) => {
      throw e;
    },
  });
  s.buses.push(bus);
  s.counters.push(c);
  await until('joined', () => bus.members.length === s.buses.length - 1);
  s.relays.push(
    await Relay.start({
      network: NETWORKS.reg,
      signer: await signerOf('w0'),
      externalIp: '127.0.0.1',
      standalone: true,
      engine: await engine(),
      wsPort: null,
      counters: c,
      cluster: { bus, leader, port: s.front.port, wsPort: null },
      ...over,
    }),
  );
}

async function clientAt(
  s: Stage,
  process: number,
  wallet: string,
  o: { device?: number; localAddress?: string } = {},
): Promise<Watched> {
  s.next = process;
  return connected(s.front, {
    wallet,
    deviceId: Uint8Array.of(o.device ?? 9),
    ...(o.localAddress === undefined ? {} : { localAddress: o.localAddress }),
  });
}

async function message(
  from: string,
  to: string,
  n = 1,
  data = new Uint8Array(20).fill(5),
): Promise<Uint8Array> {
  return encodeStreamMessage({
    version: 1,
    id: Uint8Array.of(n & 255, n >> 8, 7),
    type: StreamMessageType.data,
    encryptionType: 0,
    sender: (await signerOf(from)).address,
    recipient: (await signerOf(to)).address,
    data,
    timestamp: BigInt(nowSeconds()),
    signature: null,
    transaction: null,
    sigdata: null,
    encryptedHint: false,
    requireRcvConfirmation: true,
  });
}
const got = (w: Watched): number => w.messages.filter((m) => m.code === Code.s2data).length;
const failures = (w: Watched): string[] =>
  w.messages
    .filter((m) => m.code === Code.s2data)
    .map((m) => decodeStreamMessage(m.payload))
    .filter((m) => m.type === StreamMessageType.error)
    .map((m) => Buffer.from(m.data ?? []).toString('hex'));
const total = (s: Stage, name: string, labels: Record<string, string>): number =>
  s.counters.reduce((sum, c) => sum + c.counter(name, '', labels).value, 0);

/** Waits until every process knows of so many connections of the others. */
const told = (s: Stage, connections: number): Promise<void> =>
  until('all processes know all connections', () =>
    s.relays.every((r) => r.control.connectionsKnown === connections),
  );

describe('messages between processes', () => {
  it('reach the receiver wherever it is, unchanged; who is nowhere is said to be', async () => {
    const s = await stage(3);
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 1, 'w2');
    await told(s, 2);
    const m = await message('w1', 'w2');
    a.link.send(Code.s2data, m);
    await until('there', () => got(b) === 1);
    expect(b.messages.find((x) => x.code === Code.s2data)!.payload).toEqual(m);
    b.link.send(Code.s2data, await message('w2', 'w1', 3));
    await until('back', () => got(a) === 1);
    a.link.send(Code.s2data, await message('w1', 'w3', 9));
    await until('told', () => failures(a).join() === '090007');
    expect(got(b)).toBe(1);
    expect(total(s, 'ixian_relay_messages_total', { type: 'data', result: 'forwarded' })).toBe(2);
    expect(total(s, 'ixian_messages_dropped_total', { reason: 'not_connected' })).toBe(1);
  });

  it('reach every device of a wallet in whichever process, each once', async () => {
    const s = await stage(3);
    const a = await clientAt(s, 0, 'w1');
    const b = [
      await clientAt(s, 0, 'w2', { device: 1 }),
      await clientAt(s, 1, 'w2', { device: 2 }),
      await clientAt(s, 1, 'w2', { device: 3 }),
      await clientAt(s, 2, 'w2', { device: 4 }),
    ];
    await told(s, 5);
    for (let n = 1; n <= 50; n++) a.link.send(Code.s2data, await message('w1', 'w2', n));
    await until('all', () => b.every((x) => got(x) === 50));
    await new Promise((r) => setTimeout(r, 50));
    expect([...b.map(got), got(a)]).toEqual([50, 50, 50, 50, 0]);
    b[0]!.link.bye(Bye.bye);
    await told(s, 4);
    a.link.send(Code.s2data, await message('w1', 'w2', 51));
    await until('without the local one', () => b.slice(1).every((x) => got(x) === 51));
    expect(failures(a)).toEqual([]);
  });

  it('a replayable proof in one process takes nothing from a proven session in another (07 §9.1)', async () => {
    const s = await stage(2);
    const a = await clientAt(s, 0, 'w1');
    const owner = await clientAt(s, 0, 'w2', { device: 1 });
    const ka = await keepAliveFor('w2', { hostname: `127.0.0.1:${s.front.port}`, device: Uint8Array.of(1) });
    owner.link.send(Code.updatePresence, encodePresence(await presenceFor('w2', ka)));
    await until('proven', () => s.relays[0]!.control.peers().some((p) => p.verified === 'proven'));
    // Somebody elsewhere with a copy of the owner's hello, at another process.
    const thief = await clientAt(s, 1, 'w2', { device: 2, localAddress: '127.0.0.9' });
    await told(s, 3);
    a.link.send(Code.s2data, await message('w1', 'w2', 1));
    await until('the owner', () => got(owner) === 1);
    const b = await clientAt(s, 1, 'w1', { device: 5 });
    b.link.send(Code.s2data, await message('w1', 'w2', 2));
    await until('the owner again', () => got(owner) === 2);
    await new Promise((r) => setTimeout(r, 50));
    expect(got(thief)).toBe(0);
  });

  it('of two with replayable proofs from different places the first counts, in every process', async () => {
    const s = await stage(2);
    const first = await clientAt(s, 0, 'w2', { device: 1 });
    await new Promise((r) => setTimeout(r, 5));
    const second = await clientAt(s, 1, 'w2', { device: 2, localAddress: '127.0.0.9' });
    const [a0, a1] = [await clientAt(s, 0, 'w1'), await clientAt(s, 1, 'w3')];
    await told(s, 4);
    a0.link.send(Code.s2data, await message('w1', 'w2', 1));
    a1.link.send(Code.s2data, await message('w3', 'w2', 2));
    await until('both to the first', () => got(first) === 2);
    expect(got(second)).toBe(0);
  });

  it('a receiver whose queue is full in another process is told to the sender there', async () => {
    const s = await stage(2, { linkLimits: { sendQueueFramesMax: 2, sendQueueBytesMax: 400_000 } });
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 1, 'w2');
    await told(s, 2);
    b.link.pause();
    const big = new Uint8Array(200_000);
    let n = 0;
    while (failures(a).length === 0 && n < 400) {
      a.link.send(Code.s2data, await message('w1', 'w2', ++n, big));
      await new Promise((r) => setTimeout(r, 2));
    }
    expect(failures(a).length).toBeGreaterThan(0);
    expect(total(s, 'ixian_messages_dropped_total', { reason: 'receiver_queue_full' })).toBeGreaterThan(0);
    const refused = new Set(failures(a));
    b.link.resume();
    await until('the others arrive', () => got(b) === n - new Set(failures(a)).size, 10_000);
    expect(refused.size).toBeGreaterThan(0);
  });

  it('what was on its way to a process that dies comes back to its sender', async () => {
    const s = await stage(2);
    const a = await clientAt(s, 0, 'w1');
    await clientAt(s, 1, 'w2');
    await told(s, 2);
    // Within one turn: sent, and the other process gone before it can handle anything.
    s.buses[0]!.send(s.buses[1]!.self, 'nobody', new Uint8Array(1));
    a.link.send(Code.s2data, await message('w1', 'w2', 1));
    const passed = s.counters[0]!.counter('ixian_cluster_messages_total', '', { result: 'passed' });
    const kill = (): void => {
      if (passed.value > 0) s.buses[1]!.abort();
      else setImmediate(kill);
    };
    // Looked at between a message's passing and its arrival, which is a turn later.
    kill();
    await until(
      'told, or delivered',
      () => failures(a).length + total(s, 'ixian_cluster_messages_total', { result: 'delivered' }) > 0,
    );
    a.link.send(Code.s2data, await message('w1', 'w2', 2));
    await until('its sessions are forgotten', () => failures(a).includes('020007'));
  });
});

describe('presences between processes', () => {
  it('are verified once, served and told to subscribers everywhere', async () => {
    const s = await stage(2);
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 1, 'w2');
    const filter = CuckooFilter.empty(1);
    filter.add((await signerOf('w1')).address);
    b.link.send(Code.attachEvent, encodeAttachEvent({ type: EventType.keepAlive, filter: filter.encode() }));
    const at = nowSeconds() - 60;
    const hostname = `127.0.0.1:${s.front.port}`;
    const first = await keepAliveFor('w1', { hostname, timestamp: at });
    await until('subscribed', () => s.relays[1]!.control.totals().subscriptions === 1);
    a.link.send(Code.updatePresence, encodePresence(await presenceFor('w1', first)));
    const wallet = (await signerOf('w1')).address;
    const seconds = (r: Relay): number => r.control.presence(wallet)?.addresses[0]?.lastSeen ?? 0;
    await until('in both', () => s.relays.every((r) => seconds(r) === at));
    a.link.send(
      Code.keepAlivePresence,
      encodeKeepAlive(await keepAliveFor('w1', { hostname, timestamp: at + 60 })),
    );
    await until('renewed in both', () => s.relays.every((r) => seconds(r) === at + 60));
    await until(
      'the subscriber heard both',
      () => b.messages.filter((m) => m.code === Code.keepAlivePresence).length >= 2,
    );
    b.link.send(Code.getPresence2, encodeGetPresence2(wallet));
    await until('answered from its own store', () => b.messages.some((m) => m.code === Code.updatePresence));
    expect(s.counters[1]!.total('presence_updates_total')).toBe(0);
    expect(s.counters[1]!.total('presence_keepalives_total')).toBe(0);
  });

  it('a newcomer takes all over before it serves, and the own presence is the same in all', async () => {
    const hubbed = await stage(1);
    const a = await clientAt(hubbed, 0, 'w1');
    const ka = await keepAliveFor('w1', { hostname: `127.0.0.1:${hubbed.front.port}` });
    a.link.send(Code.updatePresence, encodePresence(await presenceFor('w1', ka)));
    const wallet = (await signerOf('w1')).address;
    await until('stored', () => hubbed.relays[0]!.control.presence(wallet) !== null);
    await hubbed.add();
    const fresh = hubbed.relays[1]!;
    expect(fresh.control.presence(wallet)?.addresses[0]?.lastSeen).toBe(ka.timestamp);
    await until('own', () => fresh.control.presence(fresh.address) !== null);
    expect(fresh.status().announcedSeconds).toBe(hubbed.relays[0]!.status().announcedSeconds);
    expect(fresh.control.connectionsKnown).toBe(1);
  });
});

describe('the lead', () => {
  it('passes to another process, which announces the relay from then on', async () => {
    const s = await stage(2);
    const [one, two] = s.relays as [Relay, Relay];
    expect([one.chain !== null, two.chain]).toEqual([true, null]);
    const second = s.buses[1]!.self;
    await one.setLeader(second);
    await two.setLeader(second);
    expect([one.chain, two.chain !== null]).toEqual([null, true]);
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 1, 'w2');
    await told(s, 2);
    a.link.send(Code.s2data, await message('w1', 'w2', 1));
    await until('still one relay', () => got(b) === 1);
  });
});

describe('moving on', () => {
  it('loses nothing of either side: queues leave before the bye, what follows it is still taken', async () => {
    const s = await stage(2);
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 1, 'w2');
    await told(s, 2);
    const id = s.relays[0]!.control.clientIds()[0]!;
    b.link.send(Code.s2data, await message('w2', 'w1', 1));
    await until('before', () => got(a) === 1);
    for (let n = 1; n <= 20; n++) a.link.send(Code.s2data, await message('w1', 'w2', n));
    expect(s.relays[0]!.control.moveOn(id)).toBe(true);
    await until('all of it', () => got(b) === 20);
    await until('told to go', () => a.closed?.byeCode === Bye.bye);
    s.next = 1;
    const again = await connect(s.front, { wallet: 'w1' });
    await until('back elsewhere', () => again.opened > 0);
    b.link.send(Code.s2data, await message('w2', 'w1', 2));
    await until('found', () => got(again) === 1);
  });
});
