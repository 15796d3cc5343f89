import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { crc32c } from '../../src/core/index.js';
import { Counters } from '../../src/counters/index.js';
import { crowdedBytes } from '../../src/link/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import type { Relay } from '../../src/relay/index.js';
import type { RelayPeer } from '../../src/relay/peer.js';
import { brakeHeldPercentMax, brakeStallMs, SenderBrake } from '../../src/relay/sender-brake.js';
import { Code } from '../../src/wire/index.js';
import { signerOf, type Watched } from '../link/support.js';
import { connected, nowSeconds, startRelay, until } from './support.js';

/** What the brake looks at of a connection. */
function peer(kind = 'tcp', isClient = true) {
  const link = {
    stats: { bytesOut: 0 },
    transport: { kind, bufferedBytes: 0 },
    isClosed: false,
    reads: true,
    pauses: 0,
    relieve: () => undefined as unknown,
    onceRelieved: (fn: () => void) => {
      link.relieve = fn;
    },
    pause: () => {
      link.reads = false;
      link.pauses++;
    },
    resume: () => {
      link.reads = true;
    },
  };
  return { peer: { link, isClient, isOpen: true } as unknown as RelayPeer, link };
}

describe('SenderBrake', () => {
  const slowReceiverMs = 30_000;
  const heldMsMax = (slowReceiverMs * brakeHeldPercentMax) / 100;
  const setUp = () => {
    const clock = new ManualClock(1_000_000);
    const held = new Counters().counter('held', 'senders held');
    const brake = new SenderBrake({ clock, held, slowReceiverMs: () => slowReceiverMs });
    return { clock, brake, held, from: peer(), to: peer() };
  };

  it('holds all senders of a crowded receiver until it is relieved', () => {
    const { brake, held, from, to } = setUp();
    const other = peer();
    brake.hold(from.peer, to.peer);
    brake.hold(from.peer, to.peer);
    brake.hold(other.peer, to.peer);
    expect([from.link.reads, other.link.reads, brake.held, held.value]).toEqual([false, false, 2, 2]);
    to.link.relieve();
    expect([from.link.reads, other.link.reads, brake.held]).toEqual([true, true, 0]);
    brake.hold(from.peer, to.peer);
    expect([from.link.reads, from.link.pauses, held.value]).toEqual([false, 2, 3]);
  });

  it('holds neither who cannot stop reading, nor a server, nor one that writes to itself', () => {
    const { brake, to, held } = setUp();
    brake.hold(peer('ws').peer, to.peer);
    brake.hold(peer('tcp', false).peer, to.peer);
    brake.hold(to.peer, to.peer);
    expect([brake.held, held.value, to.link.reads]).toEqual([0, 0, true]);
  });

  it('holds nobody for a receiver that takes nothing, until it is relieved', () => {
    const { clock, brake, from, to } = setUp();
    brake.hold(from.peer, to.peer);
    clock.advance(brakeStallMs - 100);
    expect(from.link.reads).toBe(false);
    clock.advance(200);
    expect(from.link.reads).toBe(true);
    brake.hold(from.peer, to.peer);
    clock.advance(slowReceiverMs);
    brake.hold(from.peer, to.peer);
    expect(from.link.pauses).toBe(1);
    to.link.relieve();
    brake.hold(from.peer, to.peer);
    expect(from.link.pauses).toBe(2);
  });

  it('holds nobody for long for a receiver that takes little', () => {
    const { clock, brake, from, to } = setUp();
    let heldMs = 0;
    for (let ms = 0; ms < slowReceiverMs; ms += 100) {
      brake.hold(from.peer, to.peer);
      to.link.stats.bytesOut++;
      // Relieved now and then: what counts is the time in all.
      if (ms % 500 === 400) to.link.relieve();
      else if (!from.link.reads) heldMs += 100;
      clock.advance(100);
    }
    expect(heldMs).toBeGreaterThan(heldMsMax * 0.75);
    expect(heldMs).toBeLessThanOrEqual(heldMsMax + 200);
    expect(from.link.reads).toBe(true);
    // Its time is over, another has begun.
    clock.advance(200);
    brake.hold(from.peer, to.peer);
    expect(from.link.reads).toBe(false);
  });

  it('lets everybody go when the clock is set, and when it is stopped, and holds nobody then', () => {
    const { clock, brake, from, to } = setUp();
    brake.hold(from.peer, to.peer);
    clock.advance(100);
    brake.stop();
    expect([from.link.reads, brake.held, clock.nextDueMs()]).toEqual([true, 0, null]);
    brake.hold(from.peer, to.peer);
    expect(from.link.reads).toBe(true);
  });

  it('forgets a receiver that has ended, and looks at nobody then', () => {
    const { clock, brake, from, to } = setUp();
    brake.hold(from.peer, to.peer);
    to.link.isClosed = true;
    to.link.relieve();
    clock.advance(100);
    expect([from.link.reads, clock.nextDueMs()]).toEqual([true, null]);
  });
});

describe('a sender that is faster than its receiver', () => {
  const ends: (() => Promise<unknown> | undefined)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  const metric = (relay: Relay, name: string): number =>
    [...relay.counters.samples()]
      .filter((s) => s.name === name)
      .reduce((n, s) => n + ('value' in s.metric ? s.metric.value : s.metric.count), 0);

  const message = async (from: string, to: string, n: number, size: number): Promise<Uint8Array> => {
    const data = new Uint8Array(size).fill(n & 255);
    new DataView(data.buffer).setUint32(0, n);
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, n + 1);
    const [sender, recipient] = [(await signerOf(from)).address, (await signerOf(to)).address];
    return encodeStreamMessage(
      streamMessage({ version: 1, id, type: 2, sender, recipient, data, timestamp: BigInt(nowSeconds()) }),
    );
  };

  const arrived = (w: Watched): Uint8Array[] =>
    w.messages.filter((m) => m.code === Code.s2data).map((m) => m.payload);

  it('waits: nothing is refused, little is held, and others it writes to get theirs', async () => {
    const relay = await startRelay({
      limits: { messagesPerSecond: 1e6, messagesBurst: 1e6, bytesPerSecond: 0 },
    });
    ends.push(() => relay.stop());
    const slow = await connected(relay, { wallet: 'w1', localAddress: '127.0.0.2' });
    const other = await connected(relay, { wallet: 'w2', localAddress: '127.0.0.3' });
    const big = { sendQueueFramesMax: 1e6, sendQueueBytesMax: 1e9 };
    const sender = await connected(relay, { wallet: 'w3', localAddress: '127.0.0.4', limits: big });
    const total = 4_000;
    const sums: number[] = [];
    // One chunk, and then nothing for a while.
    const push = slow.messages.push.bind(slow.messages);
    slow.messages.push = (...m) => {
      slow.link.pause();
      return push(...m);
    };
    const reading = setInterval(() => slow.link.resume(), 5);
    ends.push(async () => clearInterval(reading));
    for (let i = 0; i < total; i++) {
      const m = await message('w3', 'w1', i, 10_000);
      sums.push(crc32c(m));
      expect(sender.link.send(Code.s2data, m)).toBe(true);
      if (i % 100 === 0) sender.link.send(Code.s2data, await message('w3', 'w2', i, 100));
    }
    let most = 0;
    await until(
      'all arrived',
      () => {
        most = Math.max(most, relay.control.memory.queuedBytes);
        return arrived(slow).length >= total && arrived(other).length >= total / 100;
      },
      20_000,
    );
    expect(arrived(slow).map((m) => crc32c(m))).toEqual(sums);
    expect(arrived(sender)).toEqual([]);
    expect(metric(relay, 'ixian_messages_dropped_total')).toBe(0);
    expect(metric(relay, 'ixian_relay_senders_held_total')).toBeGreaterThan(0);
    // One buffer read, and what its socket holds, beyond the bound.
    expect(most).toBeGreaterThan(crowdedBytes / 2);
    expect(most).toBeLessThan(crowdedBytes + 512 * 1024);
  });
});
