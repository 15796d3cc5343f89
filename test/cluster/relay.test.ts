import { afterEach, describe, expect, it } from 'vitest';
import { encodeKeepAlive, encodePresence } from '../../src/presence/index.js';
import type { Relay } from '../../src/relay/index.js';
import {
  Bye,
  Code,
  CuckooFilter,
  EventType,
  encodeAttachEvent,
  encodeGetPresence2,
} from '../../src/wire/index.js';
import { signerOf } from '../link/support.js';
import { keepAliveFor, nowSeconds, presenceFor, until } from '../relay/support.js';
import { clientAt, failures, got, message, stage, stopStages, told, total } from './support.js';

afterEach(stopStages);

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
