import { describe, expect, it } from 'vitest';
import { DEFAULT_RELAY_LIMITS } from '../../src/relay/index.js';
import { Offenders, offendersMax } from '../../src/relay/offenders.js';

const limits = (over = {}) => ({
  ...DEFAULT_RELAY_LIMITS,
  sourceOffencesPerSecond: 1,
  sourceOffencesBurst: 3,
  ...over,
});

describe('source addresses that said what no peer says', () => {
  it('are shunned beyond their burst, until the average allows one more', () => {
    const o = new Offenders(limits());
    for (let i = 0; i < 3; i++) {
      expect(o.shuns('10.0.0.1', 0)).toBe(false);
      o.add('10.0.0.1', 0);
    }
    expect(o.shuns('10.0.0.1', 0)).toBe(true);
    expect(o.shuns('10.0.0.2', 0)).toBe(false);
    expect(o.shuns('10.0.0.1', 999)).toBe(true);
    expect(o.shuns('10.0.0.1', 1_000)).toBe(false);
    o.add('10.0.0.1', 1_000);
    expect(o.shuns('10.0.0.1', 1_500)).toBe(true);
  });

  it('are forgotten when their bucket is whole again', () => {
    const o = new Offenders(limits());
    o.add('10.0.0.1', 0);
    expect(o.size).toBe(1);
    expect(o.shuns('10.0.0.1', 1_000)).toBe(false);
    expect(o.size).toBe(0);
  });

  it('of IPv6 are hosts of 64 bits', () => {
    const o = new Offenders(limits({ sourceOffencesBurst: 1 }));
    o.add('2001:db8:1:2::1', 0);
    expect(o.shuns('2001:db8:1:2:ffff::9', 0)).toBe(true);
    expect(o.shuns('2001:db8:1:3::1', 0)).toBe(false);
  });

  it('are remembered up to a number, the first goes first', () => {
    const o = new Offenders(limits({ sourceOffencesBurst: 1 }));
    for (let i = 0; i <= offendersMax; i++) o.add(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 0);
    expect(o.size).toBe(offendersMax);
    expect(o.shuns('10.0.0.0', 0)).toBe(false);
    expect(o.shuns('10.0.0.1', 0)).toBe(true);
  });

  it('a rate of 0 shuns nobody, and a reload counts at once', () => {
    const l = limits({ sourceOffencesPerSecond: 0 });
    const o = new Offenders(l);
    for (let i = 0; i < 100; i++) o.add('10.0.0.1', 0);
    expect([o.shuns('10.0.0.1', 0), o.size]).toEqual([false, 0]);
    l.sourceOffencesPerSecond = 1;
    for (let i = 0; i < 3; i++) o.add('10.0.0.1', 0);
    expect(o.shuns('10.0.0.1', 0)).toBe(true);
  });
});
