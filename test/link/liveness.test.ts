import { beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import type { VerifyEngine } from '../../src/identity/index.js';
import { buildHello } from '../../src/link/hello-build.js';
import {
  answerHello,
  type LinkLimits,
  memoryPair,
  refuseTransport,
  type Transport,
} from '../../src/link/index.js';
import {
  Bye,
  Code,
  decodeBye,
  decodeHello,
  encodeFrame,
  encodeTimeRecord,
  StreamParser,
} from '../../src/wire/index.js';
import { engine, selfInfo, settle, Watched } from './support.js';
import { FakeTransport, pattern, Recorder } from './transports.js';

let verifier: VerifyEngine;
beforeAll(async () => {
  verifier = await engine();
});

const T0 = 1_767_225_600_000;

/** Waits for crypto and microtasks without moving the clock. */
async function done(test: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !test(); i++) await settle(1);
  if (!test()) throw new Error('did not happen');
}

async function pairOfLinks(limits: Partial<LinkLimits> = {}, memory: Parameters<typeof memoryPair>[0] = {}) {
  const clock = new ManualClock(T0);
  const [dialled, accepted] = memoryPair({ poison: true, ...memory });
  const base = { clock, engine: verifier, limits };
  const relay = new Watched(accepted, {
    ...base,
    direction: 'in',
    self: await selfInfo(clock, { wallet: 'w0' }),
  });
  const client = new Watched(dialled, {
    ...base,
    direction: 'out',
    self: await selfInfo(clock, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
  });
  await done(() => relay.opened === 1 && client.opened === 1);
  return { clock, relay, client, dialled, accepted };
}

async function half(direction: 'in' | 'out', limits: Partial<LinkLimits> = {}) {
  const clock = new ManualClock(T0);
  const [far, near] = memoryPair();
  const link = new Watched(near, {
    clock,
    engine: verifier,
    direction,
    limits,
    self: await selfInfo(clock, { wallet: 'w1', nodeType: direction === 'in' ? 'R' : 'C' }),
  });
  const peer = new Recorder(far);
  await done(() => peer.bytes > 0);
  return { clock, link, peer };
}

/** Advances in steps and lets deliveries happen in between. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    clock.advance(Math.min(500, left));
    await settle(1);
  }
}

describe('03 §2.5 liveness', () => {
  it.each(['in', 'out'] as const)(
    'a half-open %s link is closed after 10 s without bye',
    async (direction) => {
      const { clock, link, peer } = await half(direction);
      // Bytes keep coming: the hello timer does not care.
      for (let s = 0; s < 10; s++) {
        peer.transport.write(Uint8Array.of(1));
        await pass(clock, 1_000);
      }
      expect(link.closed).toBe(null);
      peer.transport.write(Uint8Array.of(1));
      await pass(clock, 1_000);
      expect(link.closed).toMatchObject({ why: 'hello-timeout', byeCode: null, opened: false });
      await done(() => peer.ended !== null);
      const codes: number[] = [];
      new StreamParser().push(peer.all(), {
        frame: (code) => codes.push(code),
        time: () => undefined,
        byte: () => undefined,
      });
      expect(codes).not.toContain(Code.bye);
    },
  );

  it('pings after 3 s of sending nothing, not before, and not while it sends', async () => {
    const { clock, link, peer } = await half('in', { helloTimeoutMs: 60_000, silenceMs: 60_000 });
    const before = peer.bytes;
    await pass(clock, 2_500);
    expect(peer.bytes).toBe(before);
    await pass(clock, 500);
    expect(peer.bytes).toBe(before + 1);
    expect(peer.all()[before]).toBe(1);
    await pass(clock, 9_000);
    expect(peer.bytes).toBe(before + 4);
    expect(link.closed).toBe(null);
  });

  it('answers a ping with its own when one is nearly due, and no ping of ours with another', async () => {
    const { clock, relay, client, dialled, accepted } = await pairOfLinks();
    const written = { client: 0, relay: 0 };
    for (const [who, transport] of [
      ['client', dialled],
      ['relay', accepted],
    ] as const) {
      const write = transport.write.bind(transport);
      transport.write = (bytes) => {
        written[who] += bytes.length;
        return write(bytes);
      };
    }
    await pass(clock, 2_300);
    dialled.write(Uint8Array.of(1));
    await pass(clock, 100);
    expect(written).toEqual({ client: 1, relay: 0 });
    await pass(clock, 400);
    dialled.write(Uint8Array.of(1));
    // A second apart is a ping; what comes sooner is not answered.
    await pass(clock, 1);
    expect(written.relay).toBe(0);
    for (let i = 0; i < 120; i++) await pass(clock, 500);
    // A byte each way every 3 s, however many ticks and answers there were.
    expect(written.relay).toBeGreaterThanOrEqual(17);
    expect(written.relay).toBeLessThanOrEqual(25);
    expect(written.client).toBeLessThanOrEqual(27);
    expect([relay.closed, client.closed]).toEqual([null, null]);
  });

  it('charges every ping but one a second', async () => {
    const { clock, relay, dialled } = await pairOfLinks();
    const before = relay.charged;
    await pass(clock, 1_000);
    dialled.write(Uint8Array.of(1));
    await settle();
    expect(relay.charged).toBe(before);
    for (let i = 0; i < 50; i++) {
      dialled.write(Uint8Array.of(1));
      await settle(1);
    }
    expect(relay.charged).toBe(before + 50);
  });

  it('a ping in the middle of a frame belongs to the frame', async () => {
    const { clock, relay, dialled } = await pairOfLinks({ pingIdleMs: 60_000, silenceMs: 120_000 });
    const payload = Uint8Array.of(1, 1, 1);
    const frame = encodeFrame(Code.getBalance2, payload);
    for (const byte of frame) {
      dialled.write(Uint8Array.of(byte));
      await pass(clock, 1_500);
    }
    await settle();
    expect(relay.messages.at(-1)).toMatchObject({ code: Code.getBalance2 });
  });

  it('two idle links keep each other alive for an hour', async () => {
    const { clock, relay, client } = await pairOfLinks();
    for (let i = 0; i < 360; i++) {
      clock.advance(500);
      await Promise.resolve();
      await pass(clock, 500);
    }
    expect([relay.closed, client.closed]).toEqual([null, null]);
  });

  it('a silent peer is left after 10 s, without bye', async () => {
    const { clock, relay, dialled } = await pairOfLinks();
    // The other end freezes: it neither reads nor pings any more.
    dialled.write = () => true;
    await pass(clock, 10_000);
    expect(relay.closed).toBe(null);
    await pass(clock, 500);
    expect(relay.closed).toMatchObject({ why: 'silence', byeCode: null, opened: true });
  });

  it('any byte counts as a sign of life, even garbage', async () => {
    const { clock, link, peer } = await half('in', { helloTimeoutMs: 60_000 });
    for (let i = 0; i < 5; i++) {
      await pass(clock, 9_500);
      peer.transport.write(Uint8Array.of(0x77));
    }
    await settle();
    expect(link.closed).toBe(null);
  });

  it('our own pause, or a clock that is set, is not held against the peers', async () => {
    const { clock, relay } = await pairOfLinks();
    // As after SIGCONT: time has gone by in one piece, and no timer ran meanwhile.
    const tick = clock.nextDueMs()!;
    const jumped = new ManualClock(T0 + 600_000);
    clock.nowMs = () => jumped.nowMs();
    clock.advanceTo(tick);
    await settle();
    expect(relay.closed).toBe(null);
    expect(relay.link.isOpen).toBe(true);
  });

  it('a peer that does not read is cut after the stall bound, pings or not', async () => {
    const { clock, relay, client, dialled } = await pairOfLinks({ writeStallMs: 15_000 });
    client.link.pause();
    while (relay.link.queuedFrames === 0) relay.link.send(Code.s2data, pattern(30_000));
    const keepAlive = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 1_000) {
        dialled.write(Uint8Array.of(1));
        await pass(clock, Math.min(1_000, left));
      }
    };
    await keepAlive(15_000);
    expect(relay.closed).toBe(null);
    await keepAlive(2_000);
    expect(relay.closed).toMatchObject({ why: 'write-stall', opened: true });
  });

  it('a peer that reads slowly is not cut, one that stops is', async () => {
    const clock = new ManualClock(T0);
    const wire = new FakeTransport();
    wire.roomy = false; // full from the start, so no ping is written
    const link = new Watched(wire, {
      clock,
      engine: verifier,
      direction: 'in',
      limits: { writeStallMs: 5_000, helloTimeoutMs: 1_000_000, silenceMs: 1_000_000 },
      self: await selfInfo(clock),
    });
    for (let left = 40; left > 0; left--) {
      wire.bufferedBytes = left; // one byte in four seconds
      clock.advance(4_000);
    }
    await settle();
    expect(link.closed).toBe(null);
    clock.advance(6_000);
    await settle();
    expect(link.closed).toMatchObject({ why: 'write-stall' });
  });

  it('a clock set back does not hide a silent peer', async () => {
    const clock = new ManualClock(T0);
    const wire = new FakeTransport();
    const link = new Watched(wire, {
      clock,
      engine: verifier,
      direction: 'in',
      limits: { helloTimeoutMs: 1_000_000_000 },
      self: await selfInfo(clock),
    });
    clock.advance(1_000);
    const real = clock.nowMs.bind(clock);
    clock.nowMs = () => real() - 600_000;
    clock.advance(11_000);
    await settle();
    expect(link.closed).toMatchObject({ why: 'silence' });
  });
});

describe('03 §2.4 time records', () => {
  it('the dialling side learns by how much its clock is ahead', async () => {
    const { clock, link, peer } = await half('out');
    // Five records of a server whose clock is 5.4 s behind, all arriving now.
    for (let i = 0; i < 5; i++) peer.transport.write(encodeTimeRecord(clock.nowMs() - 5_400));
    await settle();
    const server = await selfInfo(clock, { wallet: 'w0' });
    const hello = decodeHello(peer.all().subarray(12));
    const answer = await answerHello(server, { observedIp: '127.0.0.1', port: 0 }, hello.challenge, {
      deadlineMs: Number.MAX_SAFE_INTEGER,
      abandoned: () => false,
    });
    peer.transport.write(encodeFrame(answer.code, answer.payload));
    await done(() => link.opened === 1);
    expect(link.link.peer?.timeDifferenceSeconds).toBe(5);
  });
});

describe('03 §4.1 refusal before a link', () => {
  it('says bye without time records and ends', async () => {
    const [far, near] = memoryPair();
    const peer = new Recorder(far);
    refuseTransport(near as Transport, Bye.notReady, 'starting');
    await peer.until((r) => r.ended !== null);
    const seen: unknown[] = [];
    new StreamParser().push(peer.all(), {
      frame: (code, payload) => seen.push([code, decodeBye(payload)]),
      time: () => seen.push('time'),
      byte: () => seen.push('byte'),
    });
    expect(seen).toEqual([[Code.bye, { code: 700, text: 'starting', data: '' }]]);
  });
});

describe('a peer that was told to leave', () => {
  it('is heard until it closes, and is ended when it does not', async () => {
    const clock = new ManualClock(T0);
    const [far, near] = memoryPair();
    const relay = new Watched(near, {
      clock,
      engine: verifier,
      direction: 'in',
      limits: { leaveMs: 4_000 },
      self: await selfInfo(clock, { wallet: 'w0' }),
    });
    const peer = new Recorder(far);
    const self = await selfInfo(clock, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } });
    const hello = await buildHello(self, 7, { deadlineMs: T0 + 9_000, abandoned: () => false });
    far.write(encodeFrame(Code.hello, hello!));
    await done(() => relay.opened === 1);
    relay.link.leave(Bye.bye, 'Please connect again');
    expect([relay.link.isOpen, relay.link.send(Code.s2data, pattern(9))]).toEqual([false, false]);
    // What it sends before it has read the bye.
    far.write(encodeFrame(Code.s2data, pattern(20)));
    await done(() => relay.messages.length === 1);
    clock.advance(4_000);
    await settle(1);
    expect([relay.closed, peer.ended]).toEqual([null, null]);
    clock.advance(1_000);
    await done(() => relay.closed !== null);
    expect(relay.closed).toMatchObject({ why: 'bye-sent', byeCode: Bye.bye, opened: true });
  });
});
