import { describe, expect, it } from 'vitest';
import { Subscriptions, subscriptionBucketsMax } from '../../src/link/subscriptions.js';
import {
  CuckooFilter,
  cuckooTag,
  DecodeError,
  encodeAttachEvent,
  encodeDetachEvent,
  fromHex,
} from '../../src/wire/index.js';

const address = (n: number): Uint8Array =>
  Uint8Array.from({ length: 33 }, (_, i) => (i === 0 ? 0 : (n >> (8 * (i % 4))) & 0xff));
const addresses = (n: number, from = 0): Uint8Array[] =>
  Array.from({ length: n }, (_, i) => address(from + i));
const attach = (type: number, items: readonly Uint8Array[]): Uint8Array =>
  encodeAttachEvent({ type, filter: CuckooFilter.build(items).encode() });
const detach = (type: number, item: Uint8Array | null = null): Uint8Array =>
  encodeDetachEvent({ type, item });

describe('Subscriptions', () => {
  it('keep one filter per type', () => {
    const s = new Subscriptions();
    expect(s.attach(attach(0, addresses(3)))).toEqual({ kind: 'attached', type: 0, items: 3 });
    s.attach(attach(1, [address(9)]));
    s.attach(attach(0, [address(5)]));
    expect([s.has(0, address(0)), s.has(0, address(5)), s.has(1, address(9))]).toEqual([false, true, true]);
    expect(s.hasTag(0, cuckooTag(address(5)))).toBe(true);
    expect(s.items).toBe(2);
    expect(s.types).toEqual([0, 1]);
  });

  it('refuse unknown types, −1 and filters that do not parse, and keep what they have', () => {
    const s = new Subscriptions();
    s.attach(attach(0, [address(1)]));
    for (const type of [-1, 4, 7, 2 ** 31 - 1])
      expect(s.attach(attach(type, [address(2)]))).toEqual({ kind: 'refused', type, reason: 'type' });
    const broken = encodeAttachEvent({ type: 0, filter: fromHex('0404') });
    expect(s.attach(broken)).toEqual({ kind: 'refused', type: 0, reason: 'filter' });
    expect(s.has(0, address(1))).toBe(true);
    expect(() => s.attach(fromHex('00000000'))).toThrow(DecodeError);
  });

  it('count the other filters against the quota, not the one being replaced', () => {
    const s = new Subscriptions();
    s.attach(attach(0, addresses(600)));
    expect(s.attach(attach(0, addresses(700)))).toMatchObject({ kind: 'attached', items: 700 });
    expect(s.attach(attach(1, [address(1)]))).toEqual({ kind: 'refused', type: 1, reason: 'quota' });
    s.detach(detach(0));
    expect(s.attach(attach(1, [address(1)]))).toMatchObject({ kind: 'attached' });
  });

  it('count what a filter holds, not what it declares', () => {
    const filter = CuckooFilter.build(addresses(501)).encode();
    new DataView(filter.buffer).setInt32(10, 0, true);
    const s = new Subscriptions();
    expect(s.attach(encodeAttachEvent({ type: 1, filter }))).toMatchObject({ items: 501 });
    expect(s.attach(attach(0, [address(1)]))).toMatchObject({ reason: 'quota' });
  });

  it('bound what one filter may cost', () => {
    const fits = CuckooFilter.empty(subscriptionBucketsMax * 4 - 1000);
    const big = CuckooFilter.empty(subscriptionBucketsMax * 8);
    const s = new Subscriptions();
    expect(s.attach(encodeAttachEvent({ type: 0, filter: fits.encode() }))).toMatchObject({
      kind: 'attached',
    });
    expect(s.attach(encodeAttachEvent({ type: 0, filter: big.encode() }))).toMatchObject({
      reason: 'filter',
    });
  });

  it('count what an index needs for their items, until the filter goes', () => {
    const s = new Subscriptions(undefined, 40);
    const filterBytes = 16 * CuckooFilter.build(addresses(3)).buckets;
    expect(s.attach(attach(0, addresses(3)), filterBytes + 119)).toMatchObject({ reason: 'memory' });
    expect(s.attach(attach(0, addresses(3)), filterBytes + 120)).toMatchObject({ kind: 'attached' });
    expect(s.bytes).toBe(filterBytes + 120);
    expect([...s.tags()].sort()).toEqual(
      addresses(3)
        .map((a) => cuckooTag(a).tag)
        .sort(),
    );
    // Replaced by one of its size: no more room is needed.
    expect(s.attach(attach(0, addresses(3)), 0)).toMatchObject({ kind: 'attached' });
    s.detach(detach(0, address(1)));
    expect([s.bytes, [...s.tags()].length]).toEqual([filterBytes + 120, 2]);
    s.detach(detach(0));
    expect(s.bytes).toBe(0);
  });

  it('let go of an item, of a type, of everything', () => {
    const s = new Subscriptions();
    s.attach(attach(0, addresses(3)));
    s.attach(attach(2, addresses(2)));
    expect(s.detach(detach(0, address(1)))).toBe(true);
    expect(s.detach(detach(0, address(99)))).toBe(false);
    expect([0, 1, 2].map((n) => s.has(0, address(n)))).toEqual([true, false, true]);
    expect(s.detach(detach(3))).toBe(false);
    expect(s.detach(detach(-1))).toBe(true);
    expect(s.types).toEqual([]);
    expect(s.detach(fromHex('ffffffff'))).toBe(false);
  });
});
