import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import type { VerifyEngine, VerifyItem } from '../../src/identity/index.js';
import { outlierTimesMax, ServiceTime } from '../../src/relay/service-time.js';
import {
  admissionFactor,
  answerMarginMs,
  retryAfterMsMax,
  retryAfterMsMin,
  SignQueue,
  type SignSource,
  signatureMsAtFirst,
  signaturesAtOnceDefault,
  signaturesWaitingMin,
  signQueueMax,
  sweepMs,
} from '../../src/relay/sign-queue.js';
import {
  HelloVerifyQueue,
  helloVerifyBatchMax,
  helloVerifyCallsMax,
  helloVerifyQueueMax,
} from '../../src/relay/verify-queue.js';

const turns = async (): Promise<void> => {
  for (let i = 0; i < 6; i++) await Promise.resolve();
};

function counted(counters: Counters, name: string): Record<string, number> {
  const out: Record<string, number> = {};
  for (const s of counters.samples())
    if (s.name === name && 'value' in s.metric) out[s.labels.result!] = s.metric.value;
  return out;
}

function signQueue(atOnce = 2) {
  const clock = new ManualClock(1_000_000);
  const running: { message: number; done: (ok?: boolean) => Promise<void> }[] = [];
  const signer = {
    sign: (m: Uint8Array) =>
      new Promise<Uint8Array>((resolve, reject) => {
        running.push({
          message: m[0]!,
          done: async (ok = true) => {
            if (ok) resolve(m.slice());
            else reject(new Error('no'));
            await turns();
          },
        });
      }),
  };
  const counters = new Counters();
  const queue = new SignQueue(signer, clock, counters, atOnce);
  const ask = (n: number, over: { deadlineMs?: number; gone?: () => boolean } = {}) =>
    queue.sign({
      message: Uint8Array.of(n),
      deadlineMs: over.deadlineMs ?? clock.nowMs() + 10_000,
      abandoned: over.gone ?? (() => false),
    });
  /** Teaches the queue what one signature takes. */
  const takes = async (ms: number): Promise<void> => {
    for (let i = 0; i < 8; i++) {
      clock.advance(60_000);
      const one = ask(0);
      clock.advance(ms);
      await running.at(-1)!.done();
      await one;
      running.length = 0;
    }
  };
  return {
    clock,
    counters,
    queue,
    running,
    ask,
    takes,
    results: () => counted(counters, 'ixian_hello_signatures_total'),
  };
}

describe('03 §4.1 signatures of hellos', () => {
  it('so many at once, the others in order of arrival', async () => {
    const { running, ask, queue } = signQueue();
    const all = [1, 2, 3, 4].map((n) => ask(n));
    expect([running.map((r) => r.message), queue.waiting]).toEqual([[1, 2], 2]);
    await running[1]!.done();
    expect(running.map((r) => r.message)).toEqual([1, 2, 3]);
    for (const r of running) await r.done();
    await running[3]!.done();
    expect((await Promise.all(all)).map((s) => s?.[0])).toEqual([1, 2, 3, 4]);
  });

  it('leaves half of the threads of the platform to files and names', () => {
    expect(signaturesAtOnceDefault()).toBeGreaterThanOrEqual(1);
    expect(signaturesAtOnceDefault()).toBeLessThanOrEqual(2);
  });

  it('nothing is signed for a peer that has gone', async () => {
    const { running, ask, results } = signQueue();
    let gone = false;
    for (const n of [1, 2]) void ask(n);
    const late = ask(5, { gone: () => gone });
    gone = true;
    await running[0]!.done();
    expect(await late).toBeNull();
    expect(running.length).toBe(2);
    expect(results()).toMatchObject({ abandoned: 1, signed: 1 });
  });

  it('nothing is signed that would be ready after its deadline', async () => {
    const { clock, running, ask, results } = signQueue(1);
    void ask(1);
    const [inTime, late] = [ask(2, { deadlineMs: 1_006_000 }), ask(3, { deadlineMs: 1_001_000 })];
    clock.advance(1_200);
    await running[0]!.done();
    await running[1]!.done();
    expect((await inTime)?.[0]).toBe(2);
    expect(await late).toBeNull();
    expect(results()).toMatchObject({ late: 1, signed: 2 });
  });

  it('hellos that are still to be verified count as waiting, and are asked for when signatures run short', async () => {
    const { ask, queue, running, clock, takes } = signQueue(1);
    await takes(10);
    let fed = 0;
    const source = { pending: 0, sweep: () => undefined, feed: () => void fed++ };
    queue.feedFrom(source);
    const deadlineMs = clock.nowMs() + 10_000;
    expect(queue.busy(deadlineMs)).toBeNull();
    source.pending = 1_000;
    const back = queue.busy(deadlineMs);
    expect(back).toBeGreaterThan(1_000 * 10 - 3_500);
    for (let i = 0; i <= signaturesWaitingMin; i++) void ask(1);
    expect(queue.isSupplied).toBe(true);
    fed = 0;
    await running.at(-1)!.done();
    expect(queue.isSupplied).toBe(false);
    expect(fed).toBe(1);
  });

  it('what cannot be ready in time is refused at once', async () => {
    const { clock, ask, queue, takes, results } = signQueue(2);
    await takes(400);
    expect(queue.costMs).toBeCloseTo(400, 6);
    for (let n = 0; n < 40; n++) void ask(n);
    // 38 wait, two run: the next one is in the 21st pair.
    const need = Math.ceil(admissionFactor * 21 * 400 + answerMarginMs);
    expect(queue.busy(clock.nowMs() + need)).toBeNull();
    expect(await ask(99, { deadlineMs: clock.nowMs() + need - 1 })).toBeNull();
    expect(results()).toMatchObject({ refused: 1 });
    expect(queue.busy(clock.nowMs() + need - 1)).toBeGreaterThanOrEqual(retryAfterMsMin);
    expect(results()).toMatchObject({ refused: 2 });
    expect(queue.waiting).toBe(38);
  });

  it('takes no more than its places, however fast it is', async () => {
    const { ask, queue, takes, clock } = signQueue(2);
    await takes(0);
    for (let n = 0; n < signQueueMax + 2; n++) void ask(1);
    expect(queue.waiting).toBe(signQueueMax);
    expect(queue.busy(clock.nowMs() + 10_000)).not.toBeNull();
    expect(await ask(1)).toBeNull();
    expect(queue.waiting).toBe(signQueueMax);
  });

  it('peers that left free their places for those that come', async () => {
    const { ask, queue, takes, clock, results } = signQueue(1);
    await takes(1_000);
    let gone = false;
    void ask(0);
    for (let n = 0; n < 7; n++) void ask(n, { gone: () => gone });
    expect(queue.busy(clock.nowMs() + 10_000)).not.toBeNull();
    gone = true;
    // Looked through now and then, not for each of thousands that are refused in a row.
    expect(queue.busy(clock.nowMs() + 10_000)).not.toBeNull();
    clock.advance(sweepMs);
    expect(queue.busy(clock.nowMs() + 10_000)).toBeNull();
    expect(queue.waiting).toBe(0);
    expect(results()).toMatchObject({ abandoned: 7 });
  });

  it('when signatures become slower, those without hope are told before their time is over', async () => {
    const { ask, running, takes, clock, results } = signQueue(1);
    await takes(100);
    clock.advance(60_000);
    const answers = Array.from({ length: 40 }, (_, n) => ask(n));
    clock.advance(2_000);
    await running[0]!.done();
    await turns();
    // Taken for nearly 400 ms each until more is known: some twenty more fit into the eight seconds that are left.
    const told = await Promise.all(answers.slice(24).map((a) => Promise.race([a, 'waits'])));
    expect(told.every((a) => a === null)).toBe(true);
    expect(results().late).toBeGreaterThanOrEqual(16);
    expect(await Promise.race([answers[20], Promise.resolve('waits')])).toBe('waits');
  });

  it('who is refused is called back one after the other, a little faster than signatures are made', async () => {
    const { ask, queue, takes } = signQueue(1);
    await takes(100);
    for (let n = 0; n < 95; n++) void ask(n);
    const calls = Array.from({ length: 5 }, () => queue.callBackMs());
    expect(calls.slice(1).map((c, i) => c - calls[i]!)).toEqual([80, 80, 80, 80]);
    for (let n = 0; n < 2_000; n++) queue.callBackMs();
    expect(queue.callBackMs()).toBe(retryAfterMsMax);
  });

  it('a storm that meets a relay first of all is called back at the pace that is assumed, not at its own', async () => {
    const { ask, queue, running, clock } = signQueue(1);
    const all = Array.from({ length: 60 }, (_, n) => ask(n));
    for (let n = 0; n < 20; n++) {
      clock.advance(4 * signatureMsAtFirst);
      await running.at(-1)!.done();
    }
    expect(queue.costMs).toBeGreaterThan(3 * signatureMsAtFirst);
    const calls = Array.from({ length: 101 }, () => queue.callBackMs());
    expect((calls[100]! - calls[0]!) / 100).toBeLessThan(1.1 * signatureMsAtFirst);
    expect(all.length).toBe(60);
  });

  it('a failing signer costs one answer, not the queue', async () => {
    const { running, ask, results } = signQueue(1);
    const first = ask(1);
    const rest = [2, 3].map((n) => ask(n));
    await running[0]!.done(false);
    expect(await first).toBeNull();
    await running[1]!.done();
    await running[2]!.done();
    expect((await Promise.all(rest)).map((s) => s?.[0])).toEqual([2, 3]);
    expect(results()).toEqual({ failed: 1, signed: 2 });
  });
});

describe('duration of one piece of work', () => {
  it('the first observation counts alone, later ones little by little', () => {
    const t = new ServiceTime(50);
    t.observe(100, 0);
    expect(t.ms).toBe(100);
    t.observe(200, 0);
    expect(t.ms).toBeCloseTo(110, 10);
  });

  it('after idle time what was known is forgotten', () => {
    const t = new ServiceTime(50);
    t.observe(100, 0);
    t.observe(2, 60_000);
    expect(t.ms).toBeCloseTo(2, 6);
  });

  it('one that was held up does not count for more than a few, many do', () => {
    const t = new ServiceTime(5);
    t.observe(5, 0);
    t.observe(1_000, 60_000);
    expect(t.ms).toBeCloseTo(5 * outlierTimesMax, 6);
    for (let i = 0; i < 60; i++) t.observe(1_000, 60_000 + i * 100);
    expect(t.ms).toBeGreaterThan(900);
    t.observe(0, 200_000);
    t.observe(3, 300_000);
    expect(t.ms).toBeCloseTo(3, 6);
    // From nothing it rises as well.
    t.observe(0, 400_000);
    t.observe(500, 500_000);
    expect(t.ms).toBeCloseTo(outlierTimesMax, 6);
  });

  it('the least outlives a burst, and not an hour', () => {
    const t = new ServiceTime(50);
    t.observe(4, 0);
    for (let i = 1; i <= 200; i++) t.observe(16, 20 * i);
    expect(t.ms).toBeGreaterThan(15);
    expect(t.leastMs).toBeLessThan(7);
    t.observe(3, 10_000);
    expect(t.leastMs).toBeLessThan(4.1);
    t.observe(12, 3_600_000);
    expect(t.leastMs).toBeGreaterThan(11);
  });

  it('a storm that comes first of all, or after an hour, is not taken for calm', () => {
    const t = new ServiceTime(5);
    for (let i = 0; i < 100; i++) t.observe(20, 20 * i, false);
    expect(t.ms).toBeCloseTo(20, 1);
    expect(t.calmMs).toBeLessThan(6);
    t.observe(4, 60_000);
    expect(t.calmMs).toBeLessThan(5);
    t.observe(16, 3_600_000, false);
    expect(t.ms).toBeCloseTo(16, 1);
    expect(t.calmMs).toBeLessThan(5);
    // Slow for good: followed little by little.
    for (let i = 1; i <= 10_000; i++) t.observe(12, 3_600_000 + 12 * i, false);
    expect(t.calmMs).toBeGreaterThan(11);
  });

  it('a clock set back does not break it', () => {
    const t = new ServiceTime(50);
    t.observe(100, 1_000_000);
    t.observe(50, 0);
    expect(t.ms).toBeCloseTo(95, 10);
  });
});

function verifyQueue() {
  const clock = new ManualClock(0);
  const calls: { items: readonly VerifyItem[]; done: (error?: Error) => Promise<void> }[] = [];
  const engine: VerifyEngine = {
    name: 'native',
    operations: 0,
    close: () => Promise.resolve(),
    verify: (items) =>
      new Promise((resolve, reject) => {
        calls.push({
          items,
          done: async (error) => {
            if (error === undefined) resolve(items.map((i) => i.signature[0] === 1));
            else reject(error);
            await turns();
          },
        });
      }),
  };
  const counters = new Counters();
  const signatures = {
    isSupplied: false,
    source: null as SignSource | null,
    feedFrom: (source: SignSource) => {
      signatures.source = source;
    },
  };
  const queue = new HelloVerifyQueue(engine, clock, counters, signatures);
  const ask = (good: boolean, over: { deadlineMs?: number; gone?: () => boolean } = {}) =>
    queue.verify({
      item: { key: new Uint8Array(1), message: new Uint8Array(1), signature: Uint8Array.of(good ? 1 : 0) },
      deadlineMs: over.deadlineMs ?? 10_000,
      abandoned: over.gone ?? (() => false),
    });
  return {
    clock,
    calls,
    queue,
    ask,
    signatures,
    results: () => counted(counters, 'ixian_hello_verifications_total'),
  };
}

describe('verification of hellos', () => {
  it('gathers what waits into one call and gives each its own verdict', async () => {
    const { calls, ask, results } = verifyQueue();
    const all = Array.from({ length: helloVerifyCallsMax + helloVerifyBatchMax + 1 }, (_, i) =>
      ask(i % 3 === 0),
    );
    expect(calls.map((c) => c.items.length)).toEqual([1, 1]);
    await calls[0]!.done();
    expect(calls[2]!.items.length).toBe(helloVerifyBatchMax);
    for (const c of calls.slice(1)) await c.done();
    await calls[3]!.done();
    expect(await Promise.all(all)).toEqual(all.map((_, i) => i % 3 === 0));
    expect(results()).toEqual({ verified: all.length });
  });

  it('drops what is late, gone or too much, without a word to the engine', async () => {
    const { clock, calls, ask, queue, results } = verifyQueue();
    for (let i = 0; i < helloVerifyCallsMax; i++) void ask(true);
    let gone = false;
    const left = ask(true, { gone: () => gone });
    const late = ask(true, { deadlineMs: 500 });
    for (let i = 2; i < helloVerifyQueueMax; i++) void ask(true);
    expect(queue.waiting).toBe(helloVerifyQueueMax);
    expect(await ask(true)).toBeNull();
    gone = true;
    clock.advance(500);
    await calls[0]!.done();
    expect([await left, await late]).toEqual([null, null]);
    expect(results()).toMatchObject({ refused: 1, abandoned: 1, late: 1 });
    expect(calls[2]!.items.length).toBe(helloVerifyBatchMax);
  });

  it('hellos gather while signatures wait, until a batch is full or signatures run short', async () => {
    const { calls, ask, signatures } = verifyQueue();
    signatures.isSupplied = true;
    for (let i = 1; i < helloVerifyBatchMax; i++) void ask(true);
    expect(calls).toEqual([]);
    expect(signatures.source?.pending).toBe(helloVerifyBatchMax - 1);
    void ask(true);
    expect(calls.map((c) => c.items.length)).toEqual([helloVerifyBatchMax]);
    void ask(true);
    expect(calls.length).toBe(1);
    signatures.isSupplied = false;
    signatures.source!.feed();
    expect(calls.map((c) => c.items.length)).toEqual([helloVerifyBatchMax, 1]);
    expect(signatures.source?.pending).toBe(helloVerifyBatchMax + 1);
    for (const c of calls) await c.done();
    expect(signatures.source?.pending).toBe(0);
  });

  it('an engine that fails is told to those who asked, the next ones are served', async () => {
    const { calls, ask } = verifyQueue();
    const [first, second, third] = [ask(true), ask(true), ask(true)];
    await calls[0]!.done(new Error('closed'));
    await expect(first).rejects.toThrow('closed');
    await calls[1]!.done();
    await calls[2]!.done();
    expect([await second, await third]).toEqual([true, true]);
  });
});
