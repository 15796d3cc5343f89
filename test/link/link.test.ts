import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { VerifyBusy, type VerifyEngine, VerifyFailed } from '../../src/identity/index.js';
import type { HandshakePolicy, LinkLimits } from '../../src/link/index.js';
import { Bye, Code, encodeFrame, encodeHello, fromHex } from '../../src/wire/index.js';
import {
  engine,
  type SelfOverrides,
  selfInfo,
  settle,
  signedHello,
  systemClock,
  until,
  Watched,
} from './support.js';
import { type Pair, pattern, Recorder, transportKinds } from './transports.js';

let verifier: VerifyEngine;
beforeAll(async () => {
  verifier = await engine();
});

let pair: Pair | null = null;
afterEach(async () => {
  await pair?.close();
  pair = null;
});

interface Side {
  readonly self?: SelfOverrides;
  readonly policy?: HandshakePolicy;
  readonly limits?: Partial<LinkLimits>;
  readonly engine?: VerifyEngine;
  readonly onMessage?: (code: number, payload: Uint8Array) => void;
}

async function options(direction: 'in' | 'out', side: Side, wallet: string, nodeType: string) {
  return {
    direction,
    clock: systemClock,
    engine: side.engine ?? verifier,
    self: await selfInfo(systemClock, { wallet, nodeType, ...side.self }),
    ...(side.policy === undefined ? {} : { policy: side.policy }),
    ...(side.limits === undefined ? {} : { limits: side.limits }),
    ...(side.onMessage === undefined ? {} : { onMessage: side.onMessage }),
  };
}

describe.each(transportKinds)('link over $name', (kind) => {
  /** A client that dialled a relay, both under watch. */
  async function links(client: Side = {}, relay: Side = {}): Promise<{ client: Watched; relay: Watched }> {
    pair = await kind.pair();
    const inOptions = await options('in', relay, 'w0', 'R');
    const outOptions = await options(
      'out',
      { ...client, self: { endpoint: { ip: '', port: 0 }, ...client.self } },
      'w1',
      'C',
    );
    const accepted = new Watched(pair.accepted, inOptions);
    return { relay: accepted, client: new Watched(pair.dialled, outOptions) };
  }

  /** A relay's link and the raw other end, to say anything to it. */
  async function raw(relay: Side = {}): Promise<{ relay: Watched; peer: Recorder }> {
    pair = await kind.pair();
    const watched = new Watched(pair.accepted, await options('in', relay, 'w0', 'R'));
    const peer = new Recorder(pair.dialled);
    await peer.until((r) => r.bytes >= 45);
    return { relay: watched, peer };
  }

  const bothOpen = async (p: { client: Watched; relay: Watched }): Promise<void> => {
    await until(() => p.client.opened === 1 && p.relay.opened === 1, 'handshake');
  };

  it('shakes hands and tells each side who is there', async () => {
    const p = await links();
    await bothOpen(p);
    expect(p.relay.link.peer).toMatchObject({
      nodeType: 'C',
      verified: 'signature',
      signedEndpoint: '',
      hostname: '',
      lastBlock: null,
    });
    expect(p.client.link.peer).toMatchObject({
      nodeType: 'R',
      verified: 'signature',
      hostname: '127.0.0.1:11235',
      reportedEndpoint: '127.0.0.1:0',
      lastBlock: { number: 42, version: 12 },
      timeDifferenceSeconds: 0,
    });
    expect(p.relay.count('ixian_connections', { direction: 'in', peer_type: 'C' })).toBe(1);
  });

  it('carries messages of all sizes both ways, whole and in order within a priority', async () => {
    const p = await links();
    await bothOpen(p);
    const sizes = [1, 2, 500, 999, 1000, 1001, 70_000, 400_000];
    for (const n of sizes) expect(p.client.link.send(Code.s2data, pattern(n, n))).toBe(true);
    for (const n of sizes)
      expect(p.relay.link.send(Code.updatePresence, pattern(n < 60_000 ? n : 9, n))).toBe(true);
    await until(() => p.relay.messages.length === sizes.length && p.client.messages.length === sizes.length);
    for (const [i, n] of sizes.entries()) {
      expect(p.relay.messages[i]!.code).toBe(Code.s2data);
      expect(Buffer.compare(p.relay.messages[i]!.payload, pattern(n, n))).toBe(0);
    }
    expect(p.relay.count('ixian_protocol_messages_total', { direction: 'in', code: '26' })).toBe(
      sizes.length,
    );
  });

  it('sends five time records before anything else, and none when dialling', async () => {
    const { peer } = await raw();
    const first = peer.all().subarray(0, 45);
    expect([0, 9, 18, 27, 36].map((at) => first[at])).toEqual([2, 2, 2, 2, 2]);
    const sent = Number(new DataView(first.buffer).getBigInt64(1, true));
    expect(Math.abs(sent - Date.now())).toBeLessThan(5_000);
  });

  it('a dialled link says hello at once, without waiting', async () => {
    pair = await kind.pair();
    const far = new Recorder(pair.accepted);
    new Watched(pair.dialled, await options('out', {}, 'w1', 'C'));
    await far.until((r) => r.bytes > 500);
    expect(far.all()[0]).toBe(0xea);
    expect(far.all()[1]).toBe(Code.hello);
  });

  it('drops everything but hello and bye before the handshake, without closing', async () => {
    const { relay, peer } = await raw();
    peer.transport.write(encodeFrame(Code.s2data, pattern(10)));
    peer.transport.write(encodeFrame(Code.getPresence2, pattern(10)));
    await until(() => relay.count('ixian_protocol_errors_total', { reason: 'before_hello' }) === 2);
    expect(relay.messages).toEqual([]);
    expect(relay.closed).toBe(null);
  });

  it('ignores a second hello', async () => {
    const { relay, peer } = await raw();
    const hello = await signedHello('w1', { testFlag: true, port: 0, endpoint: '' });
    peer.transport.write(encodeFrame(Code.hello, encodeHello(hello)));
    peer.transport.write(encodeFrame(Code.hello, encodeHello(hello)));
    await until(() => relay.opened === 1);
    peer.transport.write(encodeFrame(Code.hello, encodeHello(hello)));
    await until(() => relay.count('ixian_protocol_errors_total', { reason: 'hello_again' }) === 2);
    expect(relay.opened).toBe(1);
    expect(relay.closed).toBe(null);
  });

  it('answers helloData from a dialler with bye 501', async () => {
    const { relay, peer } = await raw();
    peer.transport.write(encodeFrame(Code.helloData, pattern(100)));
    await until(() => relay.closed !== null);
    expect(relay.closed).toMatchObject({ why: 'bye-sent', byeCode: Bye.deprecated, opened: false });
    await peer.until((r) => r.ended !== null);
    expect(relay.count('ixian_protocol_errors_total', { reason: 'wrong_direction' })).toBe(1);
  });

  it('says bye with the code of the refusal, which the other side learns', async () => {
    const p = await links({}, { policy: { blacklisted: () => true } });
    await until(() => p.client.closed !== null && p.relay.closed !== null);
    expect(p.relay.closed).toMatchObject({ why: 'bye-sent', byeCode: Bye.rejected, opened: false });
    expect(p.client.closed).toMatchObject({ why: 'bye-received', byeCode: Bye.rejected, opened: false });
    expect(p.relay.count('ixian_connections_rejected_total', { direction: 'in', reason: '605' })).toBe(1);
  });

  it('the dialling side refuses too, with bye 604 for another wallet', async () => {
    const expectedWallet = (await selfInfo(systemClock, { wallet: 'w2' })).address;
    const p = await links({ policy: { expectedWallet } });
    await until(() => p.client.closed !== null && p.relay.closed !== null);
    expect(p.client.closed).toMatchObject({ why: 'bye-sent', byeCode: Bye.addressMismatch, opened: false });
    expect(p.relay.closed).toMatchObject({ why: 'bye-received', byeCode: Bye.addressMismatch, opened: true });
  });

  it('a node without a block answers bye 700 instead of helloData', async () => {
    const p = await links({}, { self: { tip: () => null } });
    await until(() => p.client.closed !== null);
    expect(p.client.closed).toMatchObject({ why: 'bye-received', byeCode: Bye.notReady });
    expect(p.relay.opened).toBe(0);
  });

  it('a node that cannot sign in time answers bye 700', async () => {
    const p = await links({}, { self: { sign: () => Promise.resolve(null) } });
    await until(() => p.client.closed !== null);
    expect(p.client.closed).toMatchObject({ why: 'bye-received', byeCode: Bye.notReady });
  });

  it.each([new VerifyBusy(1), new VerifyFailed('threads died')])(
    'a node that cannot judge the signature answers bye 700, not that it is wrong: $name',
    async (error) => {
      const busy: VerifyEngine = {
        name: 'native',
        operations: 0,
        verify: () => Promise.reject(error),
        close: async () => undefined,
      };
      const p = await links({}, { engine: busy });
      await until(() => p.client.closed !== null);
      expect(p.client.closed).toMatchObject({ why: 'bye-received', byeCode: Bye.notReady });
      expect(p.relay.count('ixian_connections_rejected_total', { direction: 'in', reason: '700' })).toBe(1);
    },
  );

  it('a peer that left is never signed for', async () => {
    let abandoned: (() => boolean) | null = null;
    let release: (v: Uint8Array) => void = () => undefined;
    const p = await links(
      {},
      {
        self: {
          sign: (request) => {
            abandoned = () => request.abandoned();
            return new Promise((resolve) => {
              release = resolve;
            });
          },
        },
      },
    );
    await until(() => abandoned !== null);
    expect(abandoned!()).toBe(false);
    p.client.link.destroy();
    await until(() => p.relay.closed !== null);
    expect(abandoned!()).toBe(true);
    release(new Uint8Array(512));
    await settle();
    expect(p.relay.opened).toBe(0);
  });

  it('bye ends an open link on both sides, with text and data', async () => {
    const p = await links();
    await bothOpen(p);
    p.relay.link.bye(Bye.bye, 'shuffling', 'x');
    expect(p.relay.link.isOpen).toBe(false);
    expect(p.relay.link.send(Code.s2data, pattern(3))).toBe(false);
    await until(() => p.client.closed !== null && p.relay.closed !== null);
    expect(p.client.closed).toEqual({
      why: 'bye-received',
      byeCode: 200,
      text: 'shuffling',
      data: 'x',
      opened: true,
    });
    expect(p.relay.closed).toMatchObject({ why: 'bye-sent', byeCode: 200, opened: true });
    expect(p.relay.count('ixian_connections', { direction: 'in', peer_type: 'C' })).toBe(0);
  });

  it('takes the probe of another node: a stray zero byte and a bye', async () => {
    const { relay, peer } = await raw();
    peer.transport.write(fromHex('00ea02000d000000c5b91def14c80000000754657374204f4b00'));
    await until(() => relay.closed !== null);
    expect(relay.closed).toMatchObject({ why: 'bye-received', byeCode: 200, opened: false });
    expect(relay.count('ixian_connections_rejected_total', { direction: 'in' })).toBe(0);
  });

  it('a malformed bye is the end all the same', async () => {
    const { relay, peer } = await raw();
    peer.transport.write(encodeFrame(Code.bye, Uint8Array.of(1)));
    await until(() => relay.closed !== null);
    expect(relay.closed).toMatchObject({ why: 'bye-received', byeCode: 0 });
  });

  it('survives a little garbage and still serves the hello behind it', async () => {
    const { relay, peer } = await raw();
    peer.transport.write(new Uint8Array(16).fill(0x58));
    const hello = await signedHello('w1', { testFlag: true, port: 0, endpoint: '' });
    peer.transport.write(encodeFrame(Code.hello, encodeHello(hello)));
    await until(() => relay.opened === 1);
    expect(relay.link.peer).toMatchObject({ nodeType: 'C', verified: 'none' }); // signed for another network
  });

  it('a frame with a wrong CRC is dropped and counted, the link lives', async () => {
    const p = await links();
    await bothOpen(p);
    const frame = encodeFrame(Code.s2data, pattern(20));
    frame[15] = frame[15]! ^ 1;
    p.client.link.sendFrame(Code.s2data, frame);
    p.client.link.send(Code.s2data, pattern(21));
    await until(() => p.relay.messages.length === 1);
    expect(p.relay.messages[0]!.payload.length).toBe(21);
    expect(p.relay.count('ixian_protocol_errors_total', { reason: 'crc' })).toBe(1);
  });

  it.each([
    ['a giant length', Code.hello, 50_000_000],
    ['more than the protocol allows', Code.hello, 0xffff_ffff],
    ['more than a hello may have', Code.s2data, 16 * 1024 + 1],
  ])('%s announced before the handshake ends the connection at once', async (_what, code, length) => {
    const { relay, peer } = await raw();
    peer.transport.write(headerOf(code, length));
    await until(() => relay.closed !== null);
    expect(relay.closed).toMatchObject({ why: 'frame-too-large', opened: false });
    await peer.until((r) => r.ended !== null);
    expect(relay.count('ixian_protocol_errors_total', { reason: 'frame_too_large' })).toBe(1);
  });

  it('a frame above the cap of its code ends an open link', async () => {
    const p = await links();
    await bothOpen(p);
    p.client.link.send(Code.getPresence2, pattern(1025));
    await until(() => p.relay.closed !== null);
    expect(p.relay.closed).toMatchObject({ why: 'frame-too-large', opened: true });
  });

  it('learns of a peer that vanishes', async () => {
    const p = await links();
    await bothOpen(p);
    p.client.link.destroy();
    await until(() => p.relay.closed !== null && p.client.closed !== null);
    expect(p.client.closed).toMatchObject({ why: 'destroyed', opened: true });
    expect(['remote-end', 'transport-error']).toContain(p.relay.closed?.why);
  });

  it('a handler that throws ends neither the link nor the messages behind', async () => {
    const p = await links(
      {},
      {
        onMessage: (code) => {
          if (code === Code.getNameRecord) throw new Error('a bug');
        },
      },
    );
    await bothOpen(p);
    p.client.link.send(Code.getNameRecord, pattern(5));
    p.client.link.send(Code.s2data, pattern(6));
    await until(() => p.relay.messages.length === 2);
    expect(p.relay.errors).toHaveLength(1);
    expect(p.relay.closed).toBe(null);
  });

  it('delivers what a server sends right behind its helloData', async () => {
    pair = await kind.pair();
    const relayOptions = await options('in', {}, 'w0', 'R');
    const relay = new Watched(pair.accepted, relayOptions);
    const clientOptions = await options('out', { self: { endpoint: { ip: '', port: 0 } } }, 'w1', 'C');
    const client = new Watched(pair.dialled, clientOptions);
    await until(() => relay.opened === 1);
    for (let i = 1; i <= 50; i++) relay.link.send(Code.getPresence2, pattern(i));
    await until(() => client.messages.length === 50);
    expect(client.messages.map((m) => m.payload.length)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  });

  it('refuses to send more than its bounds to a peer that does not read, and says so by reason', async () => {
    const limits: Partial<LinkLimits> = { sendQueueFramesMax: 20, sendQueueBytesMax: 1024 * 1024 };
    const p = await links({}, { limits });
    await bothOpen(p);
    p.client.link.pause();
    pair!.dialled.pause();
    let refusedAt = -1;
    // Far more than any buffer between the two holds.
    for (let i = 0; i < 20_000 && refusedAt < 0; i++)
      if (!p.relay.link.send(Code.s2data, pattern(60_000))) refusedAt = i;
    if (refusedAt < 0) throw new Error('never refused');
    expect(p.relay.link.queuedFrames).toBeLessThanOrEqual(20);
    const dropped = p.relay.count('ixian_queue_dropped_total', { queue: 'send_high' });
    expect(dropped).toBe(1);
    p.client.link.resume();
    await until(() => p.client.messages.length === refusedAt, 'the accepted ones');
    expect(p.relay.drains).toBe(1);
    expect(p.relay.link.queuedFrames).toBe(0);
  });
});

/** A frame header announcing `length` bytes, correct otherwise. */
function headerOf(code: number, length: number): Uint8Array {
  const h = new Uint8Array(12);
  const view = new DataView(h.buffer);
  h[0] = 0xea;
  view.setUint16(1, code, true);
  view.setUint32(3, length, true);
  h[11] = h.subarray(0, 11).reduce((x, b) => x ^ b, 0x7f);
  return h;
}
