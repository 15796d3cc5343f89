import { beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import type { VerifyEngine } from '../../src/identity/index.js';
import { answerHello, InventoryBatch, memoryPair, priorityOf } from '../../src/link/index.js';
import { crowdedBytes, SendQueue } from '../../src/link/send-queue.js';
import {
  Code,
  concatBytes,
  decodeInventory2,
  encodeFrame,
  encodeHello,
  keepAliveItemHash,
} from '../../src/wire/index.js';
import { engine, selfInfo, settle, signedHello, Watched } from './support.js';
import { FakeTransport, pattern } from './transports.js';

let verifier: VerifyEngine;
beforeAll(async () => {
  verifier = await engine();
});

const queueOf = (sendQueueFramesMax: number, sendQueueBytesMax: number): SendQueue =>
  new SendQueue({ sendQueueFramesMax, sendQueueBytesMax });

const frame = (kind: number, n: number): Uint8Array => Uint8Array.of(kind, n & 255, n >> 8);

describe('03 §2.6 priorities', () => {
  it('of fifteen sends under full load three are low, four normal, eight high', () => {
    const q = queueOf(1000, 1_000_000);
    for (let i = 0; i < 60; i++) {
      q.push(frame(0, i), 'high');
      q.push(frame(1, i), 'normal');
      q.push(frame(2, i), 'low');
    }
    for (let round = 0; round < 3; round++) {
      const kinds = Array.from({ length: 15 }, () => q.shift()![0]);
      expect([0, 1, 2].map((k) => kinds.filter((x) => x === k).length)).toEqual([8, 4, 3]);
    }
  });

  it('the counter starts over after 100, so the pattern repeats from there', () => {
    const q = queueOf(1000, 1_000_000);
    for (let i = 0; i < 300; i++) q.push(frame(0, i), 'high');
    for (let i = 0; i < 300; i++) q.push(frame(2, i), 'low');
    const kinds = Array.from({ length: 202 }, () => q.shift()![0]);
    const lows = kinds.flatMap((k, n) => (k === 2 ? [n] : []));
    const expected = Array.from({ length: 202 }, (_, i) => i).filter((i) => (i % 101) % 5 === 0);
    expect(lows).toEqual(expected);
  });

  it('keeps the order within a queue', () => {
    const q = queueOf(10_000, 10_000_000);
    for (let i = 0; i < 2_000; i++) q.push(frame(i % 3, i), (['high', 'normal', 'low'] as const)[i % 3]!);
    const seen: number[][] = [[], [], []];
    for (let f = q.shift(); f !== null; f = q.shift()) seen[f[0]!]!.push(f[1]! | (f[2]! << 8));
    for (const [k, list] of seen.entries())
      expect(list).toEqual(Array.from({ length: list.length }, (_, i) => 3 * i + k));
    expect([q.frames, q.bytes]).toEqual([0, 0]);
  });

  it('an empty queue gives its turn away', () => {
    const q = queueOf(10, 1000);
    q.push(frame(2, 1), 'low');
    q.push(frame(2, 2), 'low');
    q.push(frame(1, 3), 'normal');
    expect([q.shift()![0], q.shift()![0], q.shift()![0], q.shift()]).toEqual([2, 1, 2, null]);
  });

  it.each([
    [Code.s2data, 'high'],
    [Code.sectorNodes, 'high'],
    [Code.getBlock3, 'high'],
    [Code.helloData, 'normal'],
    [Code.balance2, 'normal'],
    [Code.inventory2, 'normal'],
    [Code.pitData2, 'low'],
    [Code.blockHeaders4, 'low'],
    [Code.transactionsChunk3, 'low'],
    [9999, 'normal'],
  ] as const)('code %d is %s', (code, priority) => {
    expect(priorityOf(code)).toBe(priority);
  });

  it('refuses beyond either bound, by reason; one frame always fits an empty queue', () => {
    const q = queueOf(3, 10);
    expect(q.push(new Uint8Array(50), 'high')).toBe(null);
    expect(q.push(new Uint8Array(1), 'high')).toBe('bytes');
    expect(q.push(new Uint8Array(4), 'low')).toBe(null);
    expect(q.push(new Uint8Array(4), 'low')).toBe(null);
    expect(q.push(new Uint8Array(2), 'low')).toBe(null);
    expect(q.push(new Uint8Array(0), 'low')).toBe('frames');
    expect([q.frames, q.bytes]).toEqual([4, 60]);
  });

  it('are crowded above a bound until half of it has gone, and say so once', () => {
    const q = queueOf(10_000, 8 * 1024 * 1024);
    const size = 1024;
    const most = crowdedBytes / size;
    let relieved = 0;
    for (let i = 0; i < most; i++) q.push(new Uint8Array(size), 'high');
    expect(q.isCrowded).toBe(false);
    q.push(new Uint8Array(size), 'low');
    expect(q.isCrowded).toBe(true);
    q.onceRelieved(() => relieved++);
    while (q.bytes > crowdedBytes / 2 + size) q.shift();
    expect([q.isCrowded, relieved]).toEqual([true, 0]);
    q.shift();
    expect([q.isCrowded, relieved]).toEqual([false, 1]);
    for (let i = 0; i < most; i++) q.push(new Uint8Array(size), 'high');
    expect(q.isCrowded).toBe(true);
    q.clear();
    expect([q.isCrowded, relieved]).toEqual([false, 1]);
  });

  it('are crowded at a quarter of narrower bounds, and no more when cleared', () => {
    const bytes = queueOf(10_000, 4_000);
    bytes.push(new Uint8Array(1_000), 'high');
    expect(bytes.isCrowded).toBe(false);
    bytes.push(new Uint8Array(1), 'high');
    expect(bytes.isCrowded).toBe(true);
    const frames = queueOf(40, 1_000_000);
    for (let i = 0; i < 10; i++) frames.push(frame(0, i), 'high');
    expect(frames.isCrowded).toBe(false);
    frames.push(frame(0, 10), 'high');
    expect(frames.isCrowded).toBe(true);
    let relieved = 0;
    frames.onceRelieved(() => relieved++);
    frames.clear();
    expect([frames.isCrowded, relieved]).toEqual([false, 1]);
  });
});

/** An accepted link that is open, over a wire the test controls. */
async function openLink(): Promise<{ clock: ManualClock; wire: FakeTransport; relay: Watched }> {
  const clock = new ManualClock(1_767_225_600_000);
  const wire = new FakeTransport();
  const relay = new Watched(wire, { clock, engine: verifier, direction: 'in', self: await selfInfo(clock) });
  const hello = await signedHello('w1', { testFlag: true, port: 0, endpoint: '' });
  wire.arrive(encodeFrame(Code.hello, encodeHello(hello)));
  for (let i = 0; i < 300 && relay.opened === 0; i++) await settle(1);
  wire.written.length = 0;
  return { clock, wire, relay };
}

describe('a link over a wire under control', () => {
  it('counts what it sends directly for the choice of queues, too', async () => {
    const { wire, relay } = await openLink();
    wire.roomy = false;
    relay.link.send(Code.s2data, pattern(3)); // goes out, and blocks
    relay.link.send(Code.pitData2, pattern(3));
    relay.link.send(Code.s2data, pattern(3));
    wire.drain();
    expect(wire.codes()).toEqual([Code.s2data, Code.s2data, Code.pitData2]);
  });

  it('an inventory that fell due while blocked goes ahead of everything queued', async () => {
    const { clock, wire, relay } = await openLink();
    relay.link.announce({ type: 1, hash: pattern(64, 1), block: 1 });
    wire.roomy = false;
    relay.link.send(Code.s2data, pattern(3));
    relay.link.send(Code.s2data, pattern(4));
    clock.advance(200);
    expect(wire.codes()).toEqual([Code.s2data]);
    wire.drain();
    expect(wire.codes()).toEqual([Code.s2data, Code.inventory2, Code.s2data]);
  });

  it('a dialled link keeps what follows helloData until the verdict, and reads no further meanwhile', async () => {
    const clock = new ManualClock(1_767_225_600_000);
    const wire = new FakeTransport();
    const link = new Watched(wire, {
      clock,
      engine: verifier,
      direction: 'out',
      challenge: 5,
      self: await selfInfo(clock, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
    });
    const terms = { deadlineMs: Number.MAX_SAFE_INTEGER, abandoned: () => false };
    const answer = await answerHello(await selfInfo(clock), { observedIp: '127.0.0.1', port: 0 }, 5, terms);
    wire.arrive(
      concatBytes(encodeFrame(answer.code, answer.payload), encodeFrame(Code.getPresence2, pattern(45))),
    );
    expect([wire.calls, link.messages]).toEqual([['pause'], []]);
    for (let i = 0; i < 300 && link.opened === 0; i++) await settle(1);
    expect(wire.calls).toEqual(['pause', 'resume']);
    expect(link.messages).toEqual([{ code: Code.getPresence2, payload: pattern(45) }]);
  });
});

describe('a blocked link', () => {
  it('sends by priority once the peer reads again', async () => {
    const clock = new ManualClock(1_767_225_600_000);
    const [dialled, accepted] = memoryPair({ highWaterBytes: 100 });
    const order: number[] = [];
    const base = { clock, engine: verifier };
    const relay = new Watched(accepted, { ...base, direction: 'in', self: await selfInfo(clock) });
    const client = new Watched(dialled, {
      ...base,
      direction: 'out',
      self: await selfInfo(clock, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
      onMessage: (code) => order.push(code),
    });
    for (let i = 0; i < 300 && client.opened === 0; i++) await settle(1);
    client.link.pause();
    while (relay.link.queuedFrames === 0) relay.link.send(Code.getBalance2, pattern(60));
    order.length = 0;
    for (let i = 0; i < 30; i++) {
      relay.link.send(Code.pitData2, pattern(60));
      relay.link.send(Code.balance2, pattern(60));
      relay.link.send(Code.s2data, pattern(60));
    }
    client.link.resume();
    for (let i = 0; i < 300 && relay.link.queuedFrames > 0; i++) await settle(1);
    await settle();
    const mixed = order.filter((c) => c !== Code.getBalance2).slice(0, 30);
    const count = (code: number): number => mixed.filter((c) => c === code).length;
    // The filler takes some of the normal turns at the start, so the shares hold to within a message or two.
    expect(count(Code.pitData2)).toBeGreaterThanOrEqual(5);
    expect(count(Code.pitData2)).toBeLessThanOrEqual(7);
    expect(count(Code.s2data)).toBeGreaterThanOrEqual(15);
    expect(order.length).toBeGreaterThanOrEqual(90);
  });
});

const wallet = Uint8Array.of(1, ...pattern(44, 5));
const keepAlive = (device: number, timestamp: number) => ({
  wallet,
  device: Uint8Array.of(device),
  timestamp,
});

describe('04 §3.2 inventory batches', () => {
  it('one type per message, blocks first, type 5 last, for the 0.9.8 line', () => {
    const batch = new InventoryBatch(100);
    batch.addKeepAlive(keepAlive(1, 100), pattern(10));
    batch.add({ type: 0, transactionId: pattern(44, 7) });
    batch.add({ type: 1, hash: pattern(64, 8), block: 9 });
    const types = batch.take('0.9.8', 'C').map((p) => decodeInventory2(p).items.map((i) => i.type));
    expect(types).toEqual([[1], [0], [5]]);
    expect(batch.size).toBe(0);
  });

  it('04 §3.3: type 3 with the hash of the keep-alive for 0.9.7, but 5 for its masters', () => {
    const batch = new InventoryBatch(100);
    const message = pattern(300, 3);
    batch.addKeepAlive(keepAlive(1, 100), message);
    const [payload] = batch.take('0.9.7', 'R');
    expect(decodeInventory2(payload!).items).toEqual([
      { type: 3, hash: keepAliveItemHash(message), lastSeen: 100, address: wallet, device: Uint8Array.of(1) },
    ]);
    batch.addKeepAlive(keepAlive(1, 100), message);
    expect(decodeInventory2(batch.take('0.9.7', 'M')[0]!).items[0]!.type).toBe(5);
  });

  it('takes each key once and of keep-alives the newest per wallet and device', () => {
    const batch = new InventoryBatch(100);
    for (let i = 0; i < 5; i++) batch.add({ type: 1, hash: pattern(64, 8), block: 9 });
    for (const t of [100, 300, 200]) batch.addKeepAlive(keepAlive(1, t), pattern(9));
    batch.addKeepAlive(keepAlive(2, 50), pattern(9));
    expect(batch.size).toBe(3);
    const items = batch.take('0.9.8', 'R').flatMap((p) => decodeInventory2(p).items);
    expect(items.map((i) => (i.type === 5 ? i.lastSeen : i.type))).toEqual([1, 300, 50]);
  });

  it('is bounded', () => {
    const batch = new InventoryBatch(2);
    expect(batch.add({ type: 1, hash: pattern(64, 1), block: 1 })).toBe(true);
    expect(batch.addKeepAlive(keepAlive(1, 1), pattern(9))).toBe(true);
    expect(batch.add({ type: 1, hash: pattern(64, 2), block: 2 })).toBe(false);
    expect(batch.addKeepAlive(keepAlive(2, 1), pattern(9))).toBe(false);
    expect(batch.addKeepAlive(keepAlive(1, 2), pattern(9))).toBe(true);
  });

  it('cuts at 500 items for 0.9.7', () => {
    const batch = new InventoryBatch(2_000);
    for (let i = 0; i < 1_001; i++) batch.add({ type: 1, hash: pattern(64, i + 1), block: i });
    expect(batch.take('0.9.7', 'R').map((p) => decodeInventory2(p).items.length)).toEqual([500, 500, 1]);
  });

  it('a link sends at most one batch a second, soon after the first item', async () => {
    const clock = new ManualClock(1_767_225_600_000);
    const [dialled, accepted] = memoryPair({ poison: true });
    const base = { clock, engine: verifier };
    const relay = new Watched(accepted, { ...base, direction: 'in', self: await selfInfo(clock) });
    const client = new Watched(dialled, {
      ...base,
      direction: 'out',
      self: await selfInfo(clock, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
    });
    expect(relay.link.announce({ type: 1, hash: pattern(64, 1), block: 1 })).toBe(false); // not open yet
    for (let i = 0; i < 300 && client.opened === 0; i++) await settle(1);
    relay.link.announce({ type: 1, hash: pattern(64, 1), block: 1 });
    relay.link.announceKeepAlive(keepAlive(1, 5), pattern(9));
    clock.advance(99);
    await settle(1);
    expect(client.messages.length).toBe(0);
    clock.advance(1);
    await settle(1);
    expect(client.messages.map((m) => m.code)).toEqual([Code.inventory2, Code.inventory2]);
    relay.link.announce({ type: 1, hash: pattern(64, 2), block: 2 });
    clock.advance(999);
    await settle(1);
    expect(client.messages.length).toBe(2);
    clock.advance(1);
    await settle(1);
    expect(client.messages.length).toBe(3);
  });
});

describe('frames', () => {
  it('one frame serves many links without being copied', async () => {
    const clock = new ManualClock(0);
    const sent: Uint8Array[] = [];
    const [dialled, accepted] = memoryPair();
    const base = { clock, engine: verifier };
    const relay = new Watched(accepted, { ...base, direction: 'in', self: await selfInfo(clock) });
    new Watched(dialled, {
      ...base,
      direction: 'out',
      self: await selfInfo(clock, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
    });
    for (let i = 0; i < 300 && relay.opened === 0; i++) await settle(1);
    const write = accepted.write.bind(accepted);
    accepted.write = (bytes) => {
      sent.push(bytes);
      return write(bytes);
    };
    const f = encodeFrame(Code.s2data, pattern(10));
    relay.link.sendFrame(Code.s2data, f);
    expect(sent[0]).toBe(f);
  });
});
