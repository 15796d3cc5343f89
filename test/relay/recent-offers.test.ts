import { describe, expect, it } from 'vitest';
import { type Offered, RecentOffers } from '../../src/relay/recent-offers.js';
import { seededRandom } from '../support/random.js';

const T0 = 1_700_000_000;

/** An address is a hash: all of its bytes differ from another's. */
function offered(n: number, over: Partial<Offered> = {}): Offered {
  const wallet = new Uint8Array(33);
  const view = new DataView(wallet.buffer);
  for (let at = 1; at < 33; at += 4) view.setUint32(at, Math.imul(n + at, 0x9e37_79b1));
  return { wallet, device: Uint8Array.of(1, 2), hostname: '127.0.0.1:1', type: 'C', ...over };
}

describe('06 §8 rule 5: recent offers', () => {
  it('are those of less than an interval ago', () => {
    const o = new RecentOffers(50);
    expect(o.has(offered(1), T0)).toBe(false);
    o.add(offered(1), T0);
    const at = (s: number): boolean => o.has(offered(1), T0 + s);
    expect([0, 1, 49].map(at)).toEqual([true, true, true]);
    expect([50, 51, 500].map(at)).toEqual([false, false, false]);
  });

  it('last across the change of generations', () => {
    const o = new RecentOffers(50);
    o.add(offered(0), T0);
    o.add(offered(1), T0 + 49);
    expect(o.has(offered(1), T0 + 98)).toBe(true);
    expect(o.has(offered(0), T0 + 98)).toBe(false);
    expect(o.has(offered(1), T0 + 99)).toBe(false);
  });

  it('are told apart by wallet and device; what the last one said counts', () => {
    const o = new RecentOffers(50);
    o.add(offered(1), T0);
    expect(o.has(offered(2), T0)).toBe(false);
    expect(o.has(offered(1, { device: Uint8Array.of(1, 3) }), T0)).toBe(false);
    expect(o.has(offered(1, { device: new Uint8Array(0) }), T0)).toBe(false);
    const moved = offered(1, { hostname: '127.0.0.1:2' });
    expect(o.has(moved, T0)).toBe(false);
    expect(o.has(offered(1, { type: 'R' }), T0)).toBe(false);
    o.add(moved, T0 + 1);
    expect(o.has(moved, T0 + 2)).toBe(true);
    // Back to what was said before is a change again.
    expect(o.has(offered(1), T0 + 2)).toBe(false);
    expect(o.size).toBe(1);
  });

  it('of a clock that is set back are as if there were none', () => {
    const o = new RecentOffers(50);
    o.add(offered(1), T0);
    expect(o.has(offered(1), T0 - 600)).toBe(false);
    o.add(offered(1), T0 - 600);
    expect(o.has(offered(1), T0 - 590)).toBe(true);
    expect(o.has(offered(1), T0 - 550)).toBe(false);
  });

  it('are bounded: the older half goes', () => {
    const o = new RecentOffers(50, 10_000);
    for (let n = 0; n < 25_000; n++) {
      o.add(offered(n), T0);
      expect(o.size).toBeLessThanOrEqual(10_000);
    }
    for (let n = 20_000; n < 25_000; n++) expect(o.has(offered(n), T0 + 1)).toBe(true);
    expect(o.has(offered(1), T0 + 1)).toBe(false);
  });

  it('agree with a map while time goes on', () => {
    const next = seededRandom(3);
    const random = (below: number): number => Math.floor(below * next());
    const o = new RecentOffers(50);
    const model = new Map<number, { at: number; hostname: string }>();
    let now = T0;
    for (let step = 0; step < 30_000; step++) {
      now += random(100) === 0 ? random(20) : 0;
      const n = random(3_000);
      const hostname = `127.0.0.1:${random(2)}`;
      const last = model.get(n);
      const recent = last !== undefined && last.hostname === hostname && now - last.at < 50;
      expect(o.has(offered(n, { hostname }), now)).toBe(recent);
      if (recent) continue;
      o.add(offered(n, { hostname }), now);
      model.set(n, { at: now, hostname });
    }
  });
});
