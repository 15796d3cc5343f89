import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { memoryPair } from '../../src/link/memory.js';
import { MessageInbox } from '../../src/link/message-inbox.js';
import { adoptTcp, DialError, dialTcp, listenTcp } from '../../src/link/node/tcp.js';
import { dialNodeWs } from '../../src/link/node/ws-client.js';
import { isIpv4, plainAddress, type Transport, transportHighWaterBytes } from '../../src/link/transport.js';
import { WsDialError } from '../../src/link/ws-client.js';
import { type Pair, pattern, Recorder, transportKinds } from './transports.js';

/** `toEqual` walks a large array element by element for most of a second. */
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

let pair: Pair | null = null;
afterEach(async () => {
  await pair?.close();
  pair = null;
});

describe.each(transportKinds)('transport $name', (kind) => {
  const open = async (): Promise<Pair> => {
    pair = await kind.pair();
    return pair;
  };

  it('carries bytes both ways in order', async () => {
    const { dialled, accepted } = await open();
    const a = new Recorder(dialled);
    const b = new Recorder(accepted);
    const there = pattern(200_000, 1);
    const back = pattern(70_000, 2);
    for (let at = 0; at < there.length; at += 7_001) dialled.write(there.subarray(at, at + 7_001));
    accepted.write(back);
    await b.until((r) => r.bytes === there.length);
    await a.until((r) => r.bytes === back.length);
    expect(sameBytes(b.all(), there)).toBe(true);
    expect(sameBytes(a.all(), back)).toBe(true);
  });

  it('keeps the order of short writes within and between turns', async () => {
    const { dialled, accepted } = await open();
    const b = new Recorder(accepted);
    const all = pattern(60_000, 3);
    let at = 0;
    // Short views of one large buffer, more per turn than are gathered as they are; every third turn waits longer.
    for (let turn = 0; at < all.length; turn++) {
      for (let n = 0; n < 40 && at < all.length; n++) {
        dialled.write(all.subarray(at, at + 50));
        at += 50;
      }
      await (turn % 3 === 0 ? new Promise((r) => setTimeout(r, 2)) : new Promise((r) => setImmediate(r)));
    }
    await b.until((r) => r.bytes === all.length);
    expect(sameBytes(b.all(), all)).toBe(true);
  });

  it('keeps what arrives before it is started', async () => {
    const { dialled, accepted } = await open();
    dialled.write(pattern(500));
    await new Promise((r) => setTimeout(r, 20));
    const b = new Recorder(accepted);
    await b.until((r) => r.bytes === 500);
    expect(b.all()).toEqual(pattern(500));
  });

  it('knows the addresses', async () => {
    const { dialled, accepted } = await open();
    expect(accepted.remoteAddress).toBe('127.0.0.1');
    expect(dialled.remoteAddress).toBe('127.0.0.1');
  });

  it('tells the peer of an orderly end, after everything sent before it', async () => {
    const { dialled, accepted } = await open();
    const a = new Recorder(dialled);
    const b = new Recorder(accepted);
    accepted.write(pattern(300_000));
    accepted.end();
    await a.until((r) => r.ended !== null);
    await b.until((r) => r.ended !== null);
    expect(sameBytes(a.all(), pattern(300_000))).toBe(true);
    expect(a.ended?.reason).toBe('remote');
    expect(b.ended?.reason).toBe('local');
    expect(accepted.write(pattern(1))).toBe(false);
  });

  it('ends at once when destroyed, on both sides', async () => {
    const { dialled, accepted } = await open();
    const a = new Recorder(dialled);
    const b = new Recorder(accepted);
    dialled.destroy();
    await a.until((r) => r.ended !== null);
    await b.until((r) => r.ended !== null);
    expect(a.ended?.reason).toBe('local');
    expect(['remote', 'error']).toContain(b.ended?.reason);
  });

  it('reports an end that came before it was started', async () => {
    const { dialled, accepted } = await open();
    new Recorder(dialled);
    dialled.end();
    await new Promise((r) => setTimeout(r, 30));
    const b = new Recorder(accepted);
    await b.until((r) => r.ended !== null);
    expect(b.ended?.reason).toBe('remote');
  });

  it('says when its buffer is full and when there is room again', async () => {
    const { dialled, accepted } = await open();
    const a = new Recorder(dialled);
    const b = new Recorder(accepted);
    const piece = pattern(32 * 1024);
    let sent = 0;
    while (dialled.write(piece)) {
      sent += piece.length;
      if (sent > 64 * 1024 * 1024) throw new Error('never full');
    }
    sent += piece.length;
    expect(dialled.bufferedBytes).toBeGreaterThanOrEqual(transportHighWaterBytes);
    await a.until((r) => r.drains > 0);
    expect(dialled.bufferedBytes).toBeLessThan(transportHighWaterBytes);
    await b.until((r) => r.bytes === sent);
  });
});

describe.each(transportKinds.filter((k) => k.pausesPeer))('transport $name', (kind) => {
  it('a paused reader stops the writer and loses nothing', async () => {
    pair = await kind.pair();
    const { dialled, accepted } = pair;
    const a = new Recorder(dialled);
    const b = new Recorder(accepted);
    accepted.pause();
    const piece = pattern(64 * 1024);
    let sent = 0;
    // Kernel buffers on loopback take a few MB; far more must never be swallowed.
    for (let idle = 0; idle < 5 && sent < 64 * 1024 * 1024; ) {
      if (dialled.bufferedBytes < transportHighWaterBytes) {
        dialled.write(piece);
        sent += piece.length;
        idle = 0;
      } else {
        idle++;
        await new Promise((r) => setTimeout(r, 10));
      }
    }
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    const before = b.bytes;
    await new Promise((r) => setTimeout(r, 30));
    expect(b.bytes).toBe(before);
    accepted.resume();
    await b.until((r) => r.bytes === sent);
    expect(a.ended).toBe(null);
  });
});

describe('tcp', () => {
  it('passes a large frame on in pieces, so that progress shows, and keeps the order behind it', async () => {
    const kind = transportKinds.find((k) => k.name === 'tcp')!;
    pair = await kind.pair();
    const large = pattern(32 * 1024 * 1024, 3);
    const levels = new Set<number>();
    const parts: Uint8Array[] = [];
    let got = 0;
    const { dialled, accepted } = pair;
    new Recorder(dialled);
    accepted.start({
      data: (c) => {
        levels.add(dialled.bufferedBytes);
        parts.push(c.slice());
        got += c.length;
      },
      drain: () => undefined,
      close: () => undefined,
    });
    expect(dialled.write(large)).toBe(false);
    expect(dialled.write(pattern(10, 4))).toBe(false);
    for (let i = 0; i < 1000 && got < large.length + 10; i++) await new Promise((r) => setTimeout(r, 5));
    expect(sameBytes(Buffer.concat(parts), Buffer.concat([large, pattern(10, 4)]))).toBe(true);
    // The kernel takes some MB at a time; unsliced there would be everything and nothing.
    expect(levels.size).toBeGreaterThan(4);
  });

  /** Floods so many connections; what was read of each in its first turn, and the most in any. */
  async function flood(connections: number, bytesEach: number): Promise<{ first: number; most: number }[]> {
    const kind = transportKinds.find((k) => k.name === 'tcp')!;
    const pairs: Pair[] = [];
    for (let i = 0; i < connections; i++) pairs.push(await kind.pair());
    pair = {
      ...pairs[0]!,
      close: async () => {
        for (const p of pairs) await p.close();
      },
    };
    const all = pattern(bytesEach, 5);
    let turn = 0;
    let over = false;
    const count = (): void => {
      turn++;
      if (!over) setImmediate(count);
    };
    const readers = pairs.map(({ accepted, dialled }) => {
      let at = -1;
      const r = { turns: [] as number[], parts: [] as Uint8Array[], got: 0 };
      accepted.start({
        data: (c) => {
          if (at !== turn) r.turns.push(0);
          at = turn;
          r.turns[r.turns.length - 1]! += c.length;
          r.parts.push(c.slice());
          r.got += c.length;
        },
        drain: () => undefined,
        close: () => undefined,
      });
      accepted.pause();
      new Recorder(dialled);
      dialled.write(all);
      return r;
    });
    // The kernel holds much of all before anything is read.
    await new Promise((r) => setTimeout(r, 50));
    count();
    for (const { accepted } of pairs) accepted.resume();
    for (let i = 0; i < 1000 && readers.some((r) => r.got < all.length); i++)
      await new Promise((r) => setTimeout(r, 5));
    over = true;
    for (const r of readers) expect(sameBytes(Buffer.concat(r.parts), all)).toBe(true);
    return readers.map((r) => ({ first: r.turns[0]!, most: Math.max(...r.turns) }));
  }

  it('reads no more than one buffer of a connection before the others have their turn', async () => {
    // Full ones, so that there was more to read; and never a second. Who goes on has a larger one than who begins.
    const one = { first: 64 * 1024, most: 256 * 1024 };
    expect(await flood(2, 3 * 1024 * 1024)).toEqual([one, one]);
  });

  it('reads less of each where many send flat out', async () => {
    const readers = await flood(80, 640 * 1024);
    const most = readers.map((r) => r.most);
    // Those that come first do not know yet how many there are.
    expect(most.filter((n) => n === 64 * 1024).length).toBeGreaterThanOrEqual(80 - 64);
    expect(Math.max(...most)).toBeLessThanOrEqual(256 * 1024);
  });

  it('stays paused when that is asked for in the turn in which it gave way to the others', async () => {
    const kind = transportKinds.find((k) => k.name === 'tcp')!;
    pair = await kind.pair();
    const { dialled, accepted } = pair;
    let got = 0;
    accepted.start({
      data: (c) => {
        got += c.length;
        accepted.pause();
      },
      drain: () => undefined,
      close: () => undefined,
    });
    accepted.pause();
    new Recorder(dialled);
    const all = pattern(1024 * 1024, 6);
    dialled.write(all);
    await new Promise((r) => setTimeout(r, 50));
    while (got < all.length) {
      const before = got;
      accepted.resume();
      for (let i = 0; i < 1000 && got === before; i++) await new Promise((r) => setTimeout(r, 1));
      await new Promise((r) => setTimeout(r, 3));
      expect(got - before).toBeGreaterThan(0);
      expect(got - before).toBeLessThanOrEqual(256 * 1024);
    }
  });

  it('offers what it gathered to the kernel before it says that it is full', async () => {
    const kind = transportKinds.find((k) => k.name === 'tcp')!;
    pair = await kind.pair();
    const { dialled, accepted } = pair;
    const a = new Recorder(dialled);
    const b = new Recorder(accepted);
    const all = pattern(transportHighWaterBytes + 10_000, 7);
    let sent = 0;
    const send = (n: number): boolean[] =>
      Array.from({ length: n / 500 }, (_, i) => {
        sent += 500;
        return dialled.write(all.subarray(500 * i, 500 * (i + 1)));
      });
    // Several per turn, until it gathers; and windows that have grown.
    for (let i = 0; i < 100; i++) {
      send(20_000);
      await new Promise((r) => setImmediate(r));
    }
    await b.until((r) => r.bytes === sent);
    expect(send(75_000)).not.toContain(false);
    await b.until((r) => r.bytes === sent);
    expect(a.drains).toBe(0);
  });

  it('binds the source address it is told to', async () => {
    let seen: Transport | null = null;
    const listener = await listenTcp({
      host: '127.0.0.1',
      port: 0,
      onConnection: (t) => {
        seen = t;
      },
    });
    const t = await dialTcp({ host: '127.0.0.1', port: listener.port, localAddress: '127.0.0.77' });
    new Recorder(t);
    await expect.poll(() => seen?.remoteAddress).toBe('127.0.0.77');
    expect(t.localAddress).toBe('127.0.0.77');
    t.destroy();
    await listener.close();
  });

  it('takes connections without the socket a server would make of each', async () => {
    let made = 0;
    const count = (): void => {
      made++;
    };
    subscribe('net.server.socket', count);
    try {
      pair = await transportKinds.find((k) => k.name === 'tcp')!.pair();
      const b = new Recorder(pair.accepted);
      pair.dialled.write(pattern(100, 1));
      await b.until((r) => r.bytes === 100);
      // None: this Node still has what the listener takes connections from (tcp-reads.ts).
      expect(made).toBe(0);
    } finally {
      unsubscribe('net.server.socket', count);
    }
  });

  it('strips the IPv4-mapped prefix on a dual-stack listener', async () => {
    let seen: Transport | null = null;
    const listener = await listenTcp({
      host: '::',
      port: 0,
      onConnection: (t) => {
        seen = t;
      },
    });
    const t = await dialTcp({ host: '127.0.0.1', port: listener.port });
    await expect.poll(() => seen?.remoteAddress).toBe('127.0.0.1');
    t.destroy();
    await listener.close();
  });

  it('refuses a port in use', async () => {
    const first = await listenTcp({ host: '127.0.0.1', port: 0, onConnection: (t) => t.destroy() });
    await expect(
      listenTcp({ host: '127.0.0.1', port: first.port, onConnection: (t) => t.destroy() }),
    ).rejects.toThrow(/EADDRINUSE/);
    await first.close();
  });

  it('names why a dial failed', async () => {
    const gone = await listenTcp({ host: '127.0.0.1', port: 0, onConnection: (t) => t.destroy() });
    await gone.close();
    const error = await dialTcp({ host: '127.0.0.1', port: gone.port }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DialError);
    expect((error as DialError).reason).toBe('ECONNREFUSED');
  });

  it('gives up a dial after its timeout', async () => {
    const clock = new ManualClock(0);
    // 192.0.2.0/24 is documentation space: nothing answers, or the sandbox refuses at once.
    const dial = dialTcp({ host: '192.0.2.1', port: 9, timeoutMs: 500, clock }).catch((e: unknown) => e);
    clock.advance(600);
    expect(await dial).toBeInstanceOf(DialError);
  });
});

describe('ws-client', () => {
  it('fails with its own error where nobody listens', async () => {
    await expect(dialNodeWs('ws://127.0.0.1:1/ixian')).rejects.toBeInstanceOf(WsDialError);
  });
});

describe('message inbox', () => {
  const collect = (): { seen: string[]; handlers: Parameters<MessageInbox['start']>[0] } => {
    const seen: string[] = [];
    return {
      seen,
      handlers: {
        data: (c) => seen.push(`data ${c.length}`),
        drain: () => seen.push('drain'),
        close: (reason) => seen.push(reason),
      },
    };
  };

  it('hands over what is unread before the peer’s end, also to a paused reader', async () => {
    const { seen, handlers } = collect();
    const inbox = new MessageInbox(100, { overflowed: () => undefined });
    inbox.start(handlers);
    inbox.pause();
    inbox.take(pattern(5), true);
    inbox.over('remote', '');
    await Promise.resolve();
    expect(seen).toEqual([]);
    inbox.resume();
    await Promise.resolve();
    expect(seen).toEqual(['data 5', 'remote']);
  });

  it('drops what is unread at our own end', async () => {
    const { seen, handlers } = collect();
    const inbox = new MessageInbox(100, { overflowed: () => undefined });
    inbox.start(handlers);
    inbox.pause();
    inbox.take(pattern(5), true);
    inbox.over('local', '');
    inbox.resume();
    inbox.drain();
    await Promise.resolve();
    expect(seen).toEqual(['local']);
  });

  it('tells of overflow instead of keeping more than its bound', () => {
    let overflows = 0;
    const inbox = new MessageInbox(10, { overflowed: () => void overflows++ });
    inbox.take(pattern(10), false);
    expect(overflows).toBe(0);
    inbox.take(pattern(1), false);
    expect(overflows).toBe(1);
  });
});

describe('memory', () => {
  it('delays delivery by its latency', async () => {
    const clock = new ManualClock(0);
    const [a, b] = memoryPair({ latencyMs: 40, clock });
    new Recorder(a);
    const r = new Recorder(b);
    a.write(pattern(10));
    clock.advance(39);
    await Promise.resolve();
    expect(r.bytes).toBe(0);
    clock.advance(1);
    await r.until((x) => x.bytes === 10);
  });

  it('cuts chunks as told', async () => {
    const [a, b] = memoryPair({ chunkBytes: 3 });
    const sizes: number[] = [];
    b.start({ data: (c) => sizes.push(c.length), drain: () => undefined, close: () => undefined });
    a.write(pattern(8));
    await new Promise((r) => setTimeout(r, 1));
    expect(sizes).toEqual([3, 3, 2]);
  });
});

describe('addresses', () => {
  it.each([
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['0000:0000:0000:0000:0000:ffff:cb00:7107', '203.0.113.7'],
    ['203.0.113.7', '203.0.113.7'],
    ['2001:DB8::1', '2001:db8::1'],
    ['::ffff:1', '::ffff:1'],
  ])('%s is %s', (from, to) => {
    expect(plainAddress(from)).toBe(to);
  });

  it.each([
    ['1.2.3.4', true],
    ['255.255.255.255', true],
    ['256.1.1.1', false],
    ['1.2.3', false],
    ['1.2.3.4.5', false],
    ['01.2.3.4', false],
    ['1.2.3.-4', false],
    ['', false],
  ])('isIpv4(%s) is %s', (text, is) => {
    expect(isIpv4(text)).toBe(is);
  });
});

describe('an adopted TCP connection', () => {
  it('tells who waits for the end of its socket when it ends, and not before', async () => {
    const server = createServer({ pauseOnConnect: true });
    await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
    const { port } = server.address() as AddressInfo;
    const peer = connect(port, '127.0.0.1');
    const socket = await new Promise<Socket>((r) => server.once('connection', r));
    let ended = 0;
    socket.once('close', () => ended++);
    const transport = adoptTcp(socket);
    const received = new Recorder(transport);
    peer.write('there');
    await received.until((r) => r.bytes === 5);
    expect(ended).toBe(0);
    peer.end();
    await received.until((r) => r.ended !== null);
    await new Promise((r) => setTimeout(r, 20));
    expect(ended).toBe(1);
    server.close();
  });
});
