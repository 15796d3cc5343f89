import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import { addressText } from '../../src/identity/index.js';
import { Blacklist } from '../../src/relay/blacklist.js';
import { endpointVotesKept, PublicEndpoint } from '../../src/relay/public-endpoint.js';
import { SignQueue, signaturesAtOnceMax } from '../../src/relay/sign-queue.js';
import { TokenBucket } from '../../src/relay/token-bucket.js';
import { signerOf } from '../link/support.js';

describe('03 §5.4 public endpoint', () => {
  const changes: string[] = [];
  const make = (configured: string | null, guess: string): PublicEndpoint => {
    changes.length = 0;
    return new PublicEndpoint(configured, guess, 10235, (e) => changes.push(e));
  };

  it('a configured address wins over every vote', () => {
    const e = make('198.51.100.1', '');
    for (let i = 1; i < 6; i++) expect(e.vote(`10.0.0.${i}`, '198.51.100.2')).toBe(false);
    expect([e.text, e.forced, changes]).toEqual(['198.51.100.1:10235', true, []]);
  });

  it('a guess is corrected by two peers that agree, not by one however often it speaks', () => {
    const e = make(null, '198.51.100.1');
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.2', '198.51.100.3')).toBe(false);
    expect(e.text).toBe('198.51.100.1:10235');
    expect(e.vote('10.0.0.3', '198.51.100.2')).toBe(true);
    expect([e.text, changes]).toEqual(['198.51.100.2:10235', ['198.51.100.2:10235']]);
  });

  it('who confirms the own address counts against a change', () => {
    const e = make(null, '198.51.100.1');
    for (const n of [1, 2]) e.vote(`10.0.0.${n}`, '198.51.100.1');
    for (const n of [3, 4]) expect(e.vote(`10.0.0.${n}`, '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.5', '198.51.100.2')).toBe(true);
  });

  it('a peer that connects again replaces its voice', () => {
    const e = make(null, '198.51.100.1');
    e.vote('10.0.0.1', '198.51.100.2');
    e.vote('10.0.0.1', '198.51.100.3');
    expect(e.vote('10.0.0.2', '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(true);
  });

  it('only so many voices are kept, the newest, and a repeated one is new', () => {
    const e = make(null, '198.51.100.1');
    e.vote('10.0.0.1', '198.51.100.2');
    for (let i = 0; i < endpointVotesKept - 1; i++) e.vote(`10.1.0.${i}`, '198.51.100.1');
    e.vote('10.0.0.1', '198.51.100.2');
    e.vote('10.2.0.0', '198.51.100.1');
    // 10.1.0.0 made room, 10.0.0.1 did not: with 15 others for the own address nothing moves.
    expect(e.text).toBe('198.51.100.1:10235');
    for (let i = 0; i < 8; i++) e.vote(`10.3.0.${i}`, '198.51.100.2');
    expect(e.text).toBe('198.51.100.2:10235');
  });

  it('without any address one voice is better than none', () => {
    const e = make(null, '');
    expect(e.text).toBe('');
    expect(e.vote('10.0.0.1', '')).toBe(false);
    expect(e.vote('10.0.0.1', '::1')).toBe(false);
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(true);
    expect(e.text).toBe('198.51.100.2:10235');
  });
});

describe('token bucket', () => {
  it('gives the burst at once, then the rate', () => {
    const b = new TokenBucket(2, 3, 1_000);
    expect([b.take(1_000), b.take(1_000), b.take(1_000), b.take(1_000)]).toEqual([true, true, true, false]);
    expect(b.take(1_499)).toBe(false);
    expect(b.take(1_500)).toBe(true);
    expect(b.take(1_500)).toBe(false);
  });

  it('never holds more than the burst, takes several at once or none', () => {
    const b = new TokenBucket(10, 4, 0);
    expect(b.take(1_000_000, 5)).toBe(false);
    expect(b.take(1_000_000, 4)).toBe(true);
    expect(b.take(1_000_000, 1)).toBe(false);
  });

  it('a clock set back neither fills nor freezes it', () => {
    const b = new TokenBucket(1, 1, 10_000);
    b.take(10_000);
    expect(b.take(5_000)).toBe(false);
    expect(b.take(5_999)).toBe(false);
    expect(b.take(6_000)).toBe(true);
  });
});

describe('03 §3.5 step 7 blacklist', () => {
  it('wallets, endpoints, addresses and ranges', async () => {
    const [a, b] = [(await signerOf('w0')).address, (await signerOf('w1')).address];
    const list = new Blacklist([
      addressText(a),
      '198.51.100.7:10234',
      'bad.example:1',
      '203.0.113.9',
      '10.1.0.0/16',
      '2001:db8::/32',
    ]);
    expect([list.wallet(a), list.wallet(b)]).toEqual([true, false]);
    expect(
      [
        '198.51.100.7:10234',
        '198.51.100.7:10235',
        'bad.example:1',
        '203.0.113.9:5',
        '10.1.255.255:1',
        '10.2.0.0:1',
      ].map((e) => list.endpoint(e)),
    ).toEqual([true, false, true, true, true, false]);
    expect(
      [
        '203.0.113.9',
        '203.0.113.8',
        '10.1.0.0',
        '10.0.255.255',
        '2001:db8::1',
        '2001:db9::1',
        '198.51.100.7',
        '',
      ].map((ip) => list.source(ip)),
    ).toEqual([true, false, true, false, true, false, false, false]);
  });

  it('says when an entry is none of them', async () => {
    const text = addressText((await signerOf('w0')).address);
    for (const bad of ['10.0.0.0/33', 'nobody', `${text.slice(0, -2)}zz`])
      expect(() => new Blacklist([bad])).toThrow();
    expect(new Blacklist().source('10.0.0.1')).toBe(false);
  });
});

describe('03 §4.1 signatures of hellos', () => {
  async function make() {
    const clock = new ManualClock(1_000_000);
    const running: { message: number; done: (ok: boolean) => Promise<void> }[] = [];
    const signer = {
      ...(await signerOf('w0')),
      sign: (m: Uint8Array) =>
        new Promise<Uint8Array>((resolve, reject) => {
          running.push({
            message: m[0]!,
            done: async (ok) => {
              if (ok) resolve(Uint8Array.of(m[0]!));
              else reject(new Error('no'));
              for (let i = 0; i < 4; i++) await Promise.resolve();
            },
          });
        }),
    };
    const counters = new Counters();
    const queue = new SignQueue(signer, clock, counters);
    const ask = (n: number, over: { deadlineMs?: number; gone?: () => boolean } = {}) =>
      queue.sign({
        message: Uint8Array.of(n),
        deadlineMs: over.deadlineMs ?? 1_010_000,
        abandoned: over.gone ?? (() => false),
      });
    return { clock, counters, queue, running, ask };
  }

  it('four at once, the others in order of arrival', async () => {
    const { running, ask, queue } = await make();
    const all = [1, 2, 3, 4, 5, 6].map((n) => ask(n));
    expect([running.map((r) => r.message), queue.waiting]).toEqual([[1, 2, 3, 4], 6 - signaturesAtOnceMax]);
    await running[2]!.done(true);
    expect(running.map((r) => r.message)).toEqual([1, 2, 3, 4, 5]);
    for (const r of running) await r.done(true);
    await running[5]!.done(true);
    expect((await Promise.all(all)).map((s) => s?.[0])).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('nothing is signed for a peer that has gone', async () => {
    const { running, ask } = await make();
    let gone = false;
    for (const n of [1, 2, 3, 4]) void ask(n);
    const late = ask(5, { gone: () => gone });
    gone = true;
    await running[0]!.done(true);
    expect(await late).toBeNull();
    expect(running.length).toBe(4);
  });

  it('nothing is signed after its deadline', async () => {
    const { clock, running, ask } = await make();
    for (const n of [1, 2, 3, 4]) void ask(n);
    const [inTime, late] = [ask(5, { deadlineMs: 1_002_000 }), ask(6, { deadlineMs: 1_001_999 })];
    clock.advance(2_000);
    await running[0]!.done(true);
    await running[1]!.done(true);
    expect(await late).toBeNull();
    expect(running.map((r) => r.message)).toEqual([1, 2, 3, 4, 5]);
    await running[4]!.done(true);
    expect((await inTime)?.[0]).toBe(5);
  });

  it('what cannot be ready in time is refused at once, by the duration of the ones before', async () => {
    const { clock, running, ask, queue } = await make();
    void ask(0);
    clock.advance(4_000);
    await running[0]!.done(true);
    // One signature now counts as 0.9 · 5 + 0.1 · 4000 = 404.5 ms; with 40 waiting that is 4045 ms.
    for (let n = 0; n < 44; n++) void ask(n + 1);
    expect(queue.waiting).toBe(40);
    expect(await ask(99, { deadlineMs: clock.nowMs() + 4_044 })).toBeNull();
    expect(queue.waiting).toBe(40);
    void ask(100, { deadlineMs: clock.nowMs() + 4_045 });
    expect(queue.waiting).toBe(41);
  });

  it('a failing signer costs one answer, not the queue', async () => {
    const { running, ask } = await make();
    const first = ask(1);
    const rest = [2, 3, 4, 5].map((n) => ask(n));
    await running[0]!.done(false);
    expect(await first).toBeNull();
    for (const r of running.slice(1)) await r.done(true);
    expect((await Promise.all(rest)).map((s) => s?.[0])).toEqual([2, 3, 4, 5]);
  });
});
