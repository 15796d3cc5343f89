import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { type Ticked, tickerOf } from '../../src/link/ticker.js';

class Member implements Ticked {
  readonly looks: number[] = [];
  shifted = 0;
  ended = false;

  constructor(readonly calmMs: number) {}

  tick(now: number): number | null {
    if (this.ended) return null;
    this.looks.push(now);
    return this.calmMs;
  }
  shift(ms: number): void {
    this.shifted += ms;
  }
}

describe('the ticker of all links', () => {
  it('looks at each when something is due, and never later than the farthest tick', () => {
    const clock = new ManualClock(0);
    const ticker = tickerOf(clock, 500);
    const [busy, calm, rounded, endless] = [0, 3_000, 1_001, 1e9].map((ms) => new Member(ms));
    for (const m of [busy, calm, rounded, endless]) ticker.add(m!);
    clock.advance(10_000);
    expect(busy!.looks).toHaveLength(20);
    expect(calm!.looks).toEqual([500, 3_500, 6_500, 9_500]);
    expect(rounded!.looks).toEqual([500, 2_000, 3_500, 5_000, 6_500, 8_000, 9_500]);
    expect(endless!.looks).toEqual([500, 4_000, 7_500]);
  });

  it('forgets who has ended, and stops with the last', () => {
    const clock = new ManualClock(0);
    const ticker = tickerOf(clock, 500);
    const [a, b] = [new Member(0), new Member(2_000)];
    ticker.add(a);
    ticker.add(b);
    clock.advance(500);
    a.ended = true;
    ticker.remove();
    clock.advance(2_000);
    expect([a.looks.length, b.looks.length]).toEqual([1, 2]);
    b.ended = true;
    ticker.remove();
    expect(clock.nextDueMs()).toBe(null);
    const c = new Member(0);
    ticker.add(c);
    clock.advance(1_000);
    expect([a.looks.length, b.looks.length, c.looks.length]).toEqual([1, 2, 2]);
  });

  it('moves the deadlines of all by time that nobody lived through', () => {
    const clock = new ManualClock(0);
    const ticker = tickerOf(clock, 500);
    const members = [new Member(0), new Member(3_000)];
    for (const m of members) ticker.add(m);
    clock.advance(1_000);
    const now = clock.nowMs.bind(clock);
    clock.nowMs = () => now() + 60_000;
    clock.advance(500);
    expect(members.map((m) => m.shifted)).toEqual([60_000, 60_000]);
  });
});
