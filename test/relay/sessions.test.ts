import { describe, expect, it } from 'vitest';
import { type Proof, SessionTable } from '../../src/relay/sessions.js';

const peer = (id: number, sourceAddress: string): { id: number; sourceAddress: string } => ({
  id,
  sourceAddress,
});

const ids = (t: SessionTable<{ id: number; sourceAddress: string }>): number[] =>
  t.receivers('w').map((p) => p.id);

describe('07 §9.1 proof of key', () => {
  it('a connection without proof is no session, alone or beside others', () => {
    const t = new SessionTable<ReturnType<typeof peer>>();
    t.add('w', peer(1, 'a'), 'none');
    expect(ids(t)).toEqual([]);
    t.add('w', peer(2, 'b'), 'signature');
    expect(ids(t)).toEqual([2]);
    t.remove('w', 2);
    expect(ids(t)).toEqual([]);
  });

  it('all sessions of one source address receive', () => {
    const t = new SessionTable<ReturnType<typeof peer>>();
    t.add('w', peer(1, 'a'), 'signature');
    t.add('w', peer(2, 'a'), 'key');
    t.add('w', peer(3, 'a'), 'signature');
    expect(ids(t)).toEqual([1, 2, 3]);
    expect(t.sessions).toBe(3);
    expect(t.wallets).toBe(1);
  });

  it('a replayed hello from elsewhere takes nothing from the owner', () => {
    const t = new SessionTable<ReturnType<typeof peer>>();
    t.add('w', peer(1, 'owner'), 'signature');
    t.add('w', peer(2, 'thief'), 'signature');
    expect(ids(t)).toEqual([1]);
    t.prove('w', 1, 'key');
    expect(ids(t)).toEqual([1]);
  });

  it('a replayed hello that came first loses its place when the owner proves the key', () => {
    const t = new SessionTable<ReturnType<typeof peer>>();
    t.add('w', peer(1, 'thief'), 'signature');
    t.add('w', peer(2, 'owner'), 'signature');
    t.prove('w', 2, 'key');
    expect(ids(t)).toEqual([2]);
    t.remove('w', 2);
    expect(ids(t)).toEqual([1]);
  });

  it('two sources that both proved the key both receive', () => {
    const t = new SessionTable<ReturnType<typeof peer>>();
    t.add('w', peer(1, 'a'), 'key');
    t.add('w', peer(2, 'b'), 'key');
    t.add('w', peer(3, 'a'), 'signature');
    expect(ids(t)).toEqual([1, 2]);
  });

  it('no order of events gives an unproven connection a message', () => {
    // Every order of: claim without proof, owner connects, owner proves, owner leaves.
    const events: ((t: SessionTable<ReturnType<typeof peer>>) => void)[] = [
      (t) => t.add('w', peer(9, 'thief'), 'none'),
      (t) => t.add('w', peer(1, 'owner'), 'signature'),
      (t) => t.prove('w', 1, 'key'),
      (t) => t.remove('w', 1),
    ];
    const orders = (list: number[]): number[][] =>
      list.length === 0
        ? [[]]
        : list.flatMap((x) => orders(list.filter((y) => y !== x)).map((r) => [x, ...r]));
    for (const order of orders([0, 1, 2, 3])) {
      const t = new SessionTable<ReturnType<typeof peer>>();
      for (const i of order) {
        events[i]!(t);
        expect(ids(t)).not.toContain(9);
      }
    }
  });

  it('a proof is never lowered, and the counts return to zero', () => {
    const t = new SessionTable<ReturnType<typeof peer>>();
    t.add('w', peer(1, 'a'), 'key');
    t.prove('w', 1, 'signature');
    expect(t.proofOf('w', 1)).toBe<Proof>('key');
    t.remove('w', 1);
    expect([t.sessions, t.wallets]).toEqual([0, 0]);
    expect(t.proofOf('w', 1)).toBeNull();
  });
});
