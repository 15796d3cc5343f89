import { describe, expect, it } from 'vitest';
import { HandOver, type PendingConnection, type Taker } from '../../src/cluster/index.js';
import { Counters } from '../../src/counters/index.js';

interface Fake extends PendingConnection {
  readonly n: number;
}

function setUp() {
  let now = 0;
  const counters = new Counters();
  const h = new HandOver<Fake>({ counters, nowMs: () => now });
  const given: [string, number, number][] = [];
  const log: string[] = [];
  let made = 0;
  const add = (): void => {
    const n = made++;
    h.add({
      gate: 'tcp',
      n,
      release: () => void log.push(`released ${n}`),
      refuse: () => void log.push(`refused ${n}`),
    });
  };
  const taker = (name: string, capacity = 1_000, works = true): Taker<Fake> => ({
    name,
    capacity,
    give: (id, c) => {
      if (works) given.push([name, id, c.n]);
      return works;
    },
  });
  return { h, given, log, add, taker, counters, pass: (ms: number) => (now += ms) };
}

describe('hand-over', () => {
  it('gives to the one with the fewest, at most 64 unconfirmed each, and releases what is confirmed', () => {
    const t = setUp();
    t.h.join(t.taker('a'));
    t.h.join(t.taker('b'));
    for (let i = 0; i < 200; i++) t.add();
    expect(t.given.length).toBe(128);
    expect(t.h.pending).toBe(200);
    for (const [name, id] of t.given.slice()) t.h.confirmed(name, id);
    expect(t.given.length).toBe(200);
    expect([...t.h.loads.values()]).toEqual([100, 100]);
    for (const [name, id] of t.given.slice(128)) t.h.confirmed(name, id);
    t.h.closed('a', 30);
    for (let i = 0; i < 30; i++) t.add();
    expect(t.given.slice(200).every(([name]) => name === 'a')).toBe(true);
    expect(t.log.length).toBe(200);
  });
  it('waits for one that is slow rather than to fill the others, but not for one that is stuck', () => {
    const t = setUp();
    t.h.join(t.taker('slow'));
    t.h.join(t.taker('quick'));
    const add = (n: number): void => {
      for (let i = 0; i < n; i++) t.add();
      for (const [name, id] of t.given) if (name === 'quick') t.h.confirmed(name, id);
    };
    for (let k = 0; k < 20; k++) add(20);
    expect(t.h.loads.get('slow')).toBe(64);
    expect(t.h.loads.get('quick')).toBeLessThanOrEqual(64 + 9);
    t.pass(1_100);
    t.h.sweep();
    for (let k = 0; k < 20; k++) add(0);
    expect(t.h.loads.get('quick')).toBe(400 - 64);
  });
  it('gives again what a worker that left had not confirmed, in order, and never what it had', () => {
    const t = setUp();
    t.h.join(t.taker('a'));
    for (let i = 0; i < 4; i++) t.add();
    t.h.confirmed('a', t.given[1]![1]);
    t.h.leave('a');
    expect(t.h.pending).toBe(3);
    t.h.join(t.taker('b'));
    expect(t.given.slice(4).map(([name, , n]) => [name, n])).toEqual([
      ['b', 0],
      ['b', 2],
      ['b', 3],
    ]);
    t.h.confirmed('a', t.given[0]![1]);
    expect(t.log).toEqual(['released 1']);
  });
  it('a full worker rests a second; what it refused goes to another, at most four times', () => {
    const t = setUp();
    t.h.join(t.taker('a'));
    t.add();
    for (let i = 0; i < 4; i++) {
      expect(t.given.length).toBe(i + 1);
      const [name, id] = t.given.at(-1)!;
      t.h.declined(name, id);
      t.pass(900);
      t.h.sweep();
      expect(t.given.length).toBe(i + 1);
      t.pass(200);
      t.h.sweep();
    }
    expect(t.log).toEqual(['refused 0']);
    expect(t.h.pending).toBe(0);
    t.h.join(t.taker('b'));
    t.add();
    t.h.declined('a', t.given.at(-1)![1]);
    expect(t.given.at(-1)![0]).toBe('b');
  });
  it('never above a capacity; who waits too long is told', () => {
    const t = setUp();
    t.h.join(t.taker('a', 2));
    for (let i = 0; i < 3; i++) t.add();
    expect(t.given.length).toBe(2);
    t.pass(7_000);
    t.h.sweep();
    expect(t.log).toEqual([]);
    t.pass(2_000);
    t.h.sweep();
    expect(t.log).toEqual(['refused 2']);
  });
  it('a worker whose channel is gone gets nothing more', () => {
    const t = setUp();
    t.h.join(t.taker('a', 10, false));
    t.add();
    expect([...t.h.loads.keys()]).toEqual([]);
    t.h.join(t.taker('b'));
    expect(t.given.map(([name]) => name)).toEqual(['b']);
    t.h.close();
    expect(t.h.pending).toBe(1);
  });
});
