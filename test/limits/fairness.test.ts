import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import { Allowance, scopeRates } from '../../src/relay/allowance.js';
import { type Budgets, Fairness, type Place, shareConnectionsMin } from '../../src/relay/fairness.js';
import { Groups } from '../../src/relay/groups.js';
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from '../../src/relay/limits.js';
import { sourcePrefix } from '../../src/relay/source-prefix.js';

function stage(over: Partial<RelayLimits> = {}) {
  const limits: RelayLimits = { ...DEFAULT_RELAY_LIMITS, ...over };
  const clock = new ManualClock(1_000_000);
  const counters = new Counters();
  const fairness = new Fairness(limits, clock, counters);
  const place = (ip: string): Place => {
    const p = fairness.enter(ip);
    if (typeof p === 'string') throw new Error(p);
    return p;
  };
  const client = (ip: string): Budgets => ({
    own: fairness.allowance('client'),
    wallet: null,
    prefix: place(ip).prefix,
  });
  const take = (b: Budgets, n = 1, what: 'messages' | 'requests' = 'messages'): boolean =>
    fairness.take(b, what, n, clock.nowMs());
  const exceeded = (scope: string, kind: string): number =>
    counters.counter('ixian_quota_exceeded_total', '', { scope, kind }).value;
  return { limits, clock, fairness, place, client, take, exceeded };
}

describe('allowances', () => {
  it('are taken from connection, wallet and prefix together, or not at all', () => {
    const s = stage({
      messagesPerSecond: 1,
      messagesBurst: 10,
      walletMessagesPerSecond: 1,
      walletMessagesBurst: 15,
      prefixMessagesPerSecond: 1,
      prefixMessagesBurst: 22,
    });
    const [a, b, c] = [s.client('10.0.0.1'), s.client('10.0.0.2'), s.client('10.0.0.3')];
    s.fairness.shareWallet(a, 'w');
    s.fairness.shareWallet(b, 'w');
    expect(s.take(a, 10)).toBe(true);
    expect(s.take(a)).toBe(false);
    expect(s.exceeded('connection', 'messages')).toBe(1);
    expect(s.take(b, 6)).toBe(false);
    expect(s.exceeded('wallet', 'messages')).toBe(1);
    expect(s.take(b, 5)).toBe(true);
    expect(s.take(c, 8)).toBe(false);
    expect(s.exceeded('prefix', 'messages')).toBe(1);
    expect(s.take(c, 7)).toBe(true);
    // What was refused cost nothing anywhere: another prefix, another wallet.
    expect(s.take(s.client('10.0.1.1'), 10)).toBe(true);
    s.clock.advance(2_000);
    expect([s.take(b, 2), s.take(c)]).toEqual([true, false]);
  });

  it('requests by cost', () => {
    const s = stage({ requestsPerSecond: 5, requestsBurst: 10, walletRequestsPerSecond: 0 });
    const a = s.client('10.0.0.1');
    expect([s.take(a, 6, 'requests'), s.take(a, 5, 'requests'), s.take(a, 4, 'requests')]).toEqual([
      true,
      false,
      true,
    ]);
    expect(s.exceeded('connection', 'requests')).toBe(1);
    s.clock.advance(1_000);
    expect([s.take(a, 5, 'requests'), s.take(a, 1, 'requests')]).toEqual([true, false]);
  });

  it('bytes are owed, and the wait says for how long', () => {
    const s = stage({ bytesPerSecond: 1_000, bytesBurst: 2_000, prefixBytesPerSecond: 0 });
    const a = s.client('10.0.0.1');
    const got = (n: number): number => s.fairness.received(a, n, s.clock.nowMs());
    expect([got(2_000), got(500)]).toEqual([0, 500]);
    expect(s.exceeded('connection', 'bytes')).toBe(1);
    s.clock.advance(500);
    expect([got(0), got(1)]).toEqual([0, 1]);
  });

  it('bytes of a wallet and of a prefix slow down whoever sends next', () => {
    const s = stage({
      walletBytesPerSecond: 1_000,
      walletBytesBurst: 1_000,
      prefixBytesPerSecond: 100,
      prefixBytesBurst: 2_000,
    });
    const [a, b] = [s.client('10.0.0.1'), s.client('10.0.0.2')];
    s.fairness.shareWallet(a, 'w');
    s.fairness.shareWallet(b, 'w');
    const now = s.clock.nowMs();
    expect([s.fairness.received(a, 1_000, now), s.fairness.received(b, 500, now)]).toEqual([0, 500]);
    expect(s.exceeded('wallet', 'bytes')).toBe(1);
    expect(s.fairness.received(s.client('10.0.0.9'), 600, now)).toBe(1_000);
    expect(s.exceeded('prefix', 'bytes')).toBe(1);
  });

  it('a rate of 0 is no limit', () => {
    const s = stage({
      bytesPerSecond: 0,
      messagesPerSecond: 0,
      requestsPerSecond: 0,
      walletMessagesPerSecond: 0,
      prefixMessagesPerSecond: 0,
      prefixRequestsPerSecond: 0,
      prefixBytesPerSecond: 0,
      prefixConnectsPerSecond: 0,
      prefixConnectsBurst: 1,
    });
    const a = s.client('10.0.0.1');
    s.client('10.0.0.2');
    expect([s.take(a, 1e9), s.take(a, 1e9, 'requests'), s.fairness.received(a, 1e12, 0)]).toEqual([
      true,
      true,
      0,
    ]);
  });

  it('give nothing twice for time that seems to go back a little, as it does within a chunk', () => {
    const s = stage({
      messagesPerSecond: 100,
      messagesBurst: 100,
      requestsPerSecond: 100,
      requestsBurst: 100,
    });
    const a = s.client('10.0.0.1');
    const start = s.clock.nowMs();
    expect([s.take(a, 100), s.take(a, 100, 'requests')]).toEqual([true, true]);
    // A chunk that came at the start, and what happens meanwhile 50 ms later, a hundred times in turn.
    let taken = 0;
    for (let i = 0; i < 100; i++)
      for (const at of [start, start + 50]) {
        if (s.fairness.take(a, 'messages', 1, at)) taken++;
        if (s.fairness.take(a, 'requests', 1, at)) taken++;
      }
    expect(taken).toBe(10);
  });

  it('a clock set back or far ahead neither freezes nor overfills them', () => {
    const rates = scopeRates({ ...DEFAULT_RELAY_LIMITS, messagesPerSecond: 1, messagesBurst: 2 }).client;
    const a = new Allowance(rates, 10_000);
    a.spend('messages', 2);
    a.refill(4_000);
    expect(a.has('messages', 1)).toBe(false);
    a.refill(5_000);
    expect(a.has('messages', 1)).toBe(true);
    a.refill(600_000_000);
    expect([a.has('messages', 2), a.has('messages', 3)]).toEqual([true, false]);
  });

  it('follow a reload at once, those of open connections too', () => {
    const s = stage({ messagesPerSecond: 1, messagesBurst: 1, prefixConnectsPerSecond: 1 });
    const a = s.client('10.0.0.1');
    expect([s.take(a), s.take(a)]).toEqual([true, false]);
    s.limits.messagesPerSecond = 100;
    s.limits.messagesBurst = 50;
    s.fairness.limitsChanged();
    s.clock.advance(1_000);
    expect([s.take(a, 50), s.take(a)]).toEqual([true, false]);
  });
});

describe('places', () => {
  it('an address gets its part of all connections, and gives it back', () => {
    const s = stage({
      connectionsMax: 200,
      connectionsPerSourcePercent: 20,
      connectionsPerPrefixPercent: 30,
    });
    const held = Array.from({ length: 40 }, () => s.place('10.0.0.1'));
    expect(s.fairness.enter('10.0.0.1')).toBe('source_share');
    for (let i = 0; i < 20; i++) s.place('10.0.0.2');
    expect(s.fairness.enter('10.0.0.2')).toBe('prefix_share');
    s.place('10.0.1.1');
    s.fairness.left(held[0]!);
    s.place('10.0.0.1');
  });

  it('small relays have them all behind one address', () => {
    const s = stage({ connectionsMax: 4 });
    for (let i = 0; i < shareConnectionsMin; i++) s.place('10.0.0.1');
    expect(s.fairness.enter('10.0.0.1')).toBe('source_share');
  });

  it('a prefix brings so many new ones a second, also across its addresses, and being refused costs it nothing', () => {
    const s = stage({ prefixConnectsPerSecond: 2, prefixConnectsBurst: 3 });
    const places = [1, 2, 3].map((n) => s.place(`10.0.0.${n}`));
    expect(s.fairness.enter('10.0.0.4')).toBe('prefix_connects');
    // Leaving does not refill it.
    for (const p of places) s.fairness.left(p);
    expect(s.fairness.enter('10.0.0.4')).toBe('prefix_connects');
    s.place('10.0.1.4');
    s.clock.advance(1_000);
    s.place('10.0.0.4');
    s.place('10.0.0.5');
    expect(s.fairness.enter('10.0.0.6')).toBe('prefix_connects');
  });
});

describe('groups', () => {
  const rates = scopeRates({ ...DEFAULT_RELAY_LIMITS, messagesPerSecond: 1, messagesBurst: 5 }).client;

  it('are remembered without connections only while they owe something', () => {
    const groups = new Groups(rates);
    const g = groups.find('a', 0);
    groups.join(g);
    g.allowance.spend('messages', 5);
    groups.leave(g, 0);
    expect(groups.size).toBe(1);
    expect(groups.find('a', 1_000)).toBe(g);
    groups.join(g);
    groups.leave(g, 10_000);
    expect(groups.size).toBe(0);
  });

  it('so many and no more; the one that left first is forgotten, those with connections never', () => {
    const groups = new Groups(rates, null, 2);
    const of = (key: string): void => {
      const g = groups.find(key, 0);
      groups.join(g);
      g.allowance.spend('messages', 5);
      if (key !== 'live') groups.leave(g, 0);
    };
    for (const key of ['live', 'a', 'b', 'c']) of(key);
    expect(groups.size).toBe(3);
    expect(groups.find('a', 0).allowance.isFull(0)).toBe(true);
    expect(groups.find('c', 0).allowance.isFull(0)).toBe(false);
    expect(groups.find('live', 0).connections).toBe(1);
  });
});

describe('source prefixes', () => {
  it.each([
    ['192.0.2.77', '192.0.2.1', true],
    ['192.0.2.77', '192.0.3.77', false],
    ['2001:db8:1::1', '2001:db8:1:ffff:1:2:3:4', true],
    ['2001:db8:1::1', '2001:db8:2::1', false],
    ['::1', '::2', true],
    ['fe80::1%eth0', 'fe80::2', true],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201', true],
    ['', '192.0.2.1', false],
    ['not an address', 'neither', false],
  ])('%s and %s', (a, b, same) => {
    expect(sourcePrefix(a, 24, 48) === sourcePrefix(b, 24, 48)).toBe(same);
  });
  it('of any length', () => {
    expect(sourcePrefix('10.1.2.3', 32, 48)).not.toBe(sourcePrefix('10.1.2.4', 32, 48));
    expect(sourcePrefix('10.1.2.3', 8, 48)).toBe(sourcePrefix('10.200.2.4', 8, 48));
    expect(sourcePrefix('2001:db8::1', 24, 64)).not.toBe(sourcePrefix('2001:db8:0:1::1', 24, 64));
    expect(sourcePrefix('2001:db8:0:100::1', 24, 56)).toBe(sourcePrefix('2001:db8:0:1ff::1', 24, 56));
    expect(sourcePrefix('2001:db8::1', 24, 128)).not.toBe(sourcePrefix('2001:db8::2', 24, 128));
  });
});
