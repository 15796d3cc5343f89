import { describe, expect, it } from 'vitest';
import { type Proof, type SessionPeer, SessionTable } from '../../src/relay/sessions.js';

/** Each on a device of its own unless told otherwise. */
const peer = (
  id: number,
  sourceAddress: string,
  deviceId: Uint8Array = Uint8Array.of(id),
  verified: 'none' | 'signature' = 'signature',
): SessionPeer => ({ id, sourceAddress, info: { deviceId, verified } });

const ids = (t: SessionTable<SessionPeer>): number[] => t.receivers('w').map((p) => p.id);

describe('07 §9.1 proof of key', () => {
  it('a connection without proof is no session, alone or beside others', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'a'), 'none');
    expect(ids(t)).toEqual([]);
    t.add('w', peer(2, 'b'), 'signature');
    expect(ids(t)).toEqual([2]);
    t.remove('w', 2);
    expect(ids(t)).toEqual([]);
  });

  it('all sessions of one source address receive', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'a'), 'signature');
    t.add('w', peer(2, 'a'), 'key');
    t.add('w', peer(3, 'a'), 'signature');
    expect(ids(t)).toEqual([1, 2, 3]);
    expect(t.sessions).toBe(3);
    expect(t.wallets).toBe(1);
  });

  it('a replayed hello from elsewhere takes nothing from the owner', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'owner'), 'signature');
    t.add('w', peer(2, 'thief'), 'signature');
    expect(ids(t)).toEqual([1]);
    t.prove('w', 1, 'key');
    expect(ids(t)).toEqual([1]);
  });

  it('a replayed hello that came first loses its place when the owner proves the key', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'thief'), 'signature');
    t.add('w', peer(2, 'owner'), 'signature');
    t.prove('w', 2, 'key');
    expect(ids(t)).toEqual([2]);
    t.remove('w', 2);
    expect(ids(t)).toEqual([1]);
  });

  it('two sources that both proved the key both receive', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'a'), 'key');
    t.add('w', peer(2, 'b'), 'key');
    t.add('w', peer(3, 'a'), 'signature');
    expect(ids(t)).toEqual([1, 2]);
  });

  it('no order of events gives an unproven connection a message', () => {
    // Every order of: claim without proof, owner connects, owner proves, owner leaves.
    const events: ((t: SessionTable<SessionPeer>) => void)[] = [
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
      const t = new SessionTable<SessionPeer>();
      for (const i of order) {
        events[i]!(t);
        expect(ids(t)).not.toContain(9);
      }
    }
  });

  it('a proof is never lowered, and the counts return to zero', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'a'), 'key');
    t.prove('w', 1, 'signature');
    expect(t.proofOf('w', 1)).toBe<Proof>('key');
    t.remove('w', 1);
    expect([t.sessions, t.wallets]).toEqual([0, 0]);
    expect(t.proofOf('w', 1)).toBeNull();
  });
});

describe('07 §9 one copy per device', () => {
  const phone = Uint8Array.of(1, 2);

  it('two connections of one device both receive until one proves the key, then that one alone', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'a', phone), 'signature');
    t.add('w', peer(2, 'a', phone), 'signature');
    expect(ids(t)).toEqual([1, 2]);
    t.prove('w', 1, 'key');
    expect(ids(t)).toEqual([1]);
    expect([t.sessions, t.wallets]).toEqual([1, 1]);
    t.remove('w', 1);
    expect(ids(t)).toEqual([2]);
    t.remove('w', 2);
    expect([t.sessions, t.wallets]).toEqual([0, 0]);
  });

  it('of several that proved the key the newest connection receives', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'a', phone), 'signature');
    t.add('w', peer(2, 'a', phone), 'signature');
    t.prove('w', 2, 'key');
    t.prove('w', 1, 'key');
    expect(ids(t)).toEqual([2]);
    t.remove('w', 2);
    expect(ids(t)).toEqual([1]);
  });

  it('other devices, other source addresses and peers without device id keep their copies', () => {
    const t = new SessionTable<SessionPeer>();
    const none = new Uint8Array(0);
    t.add('w', peer(1, 'a', phone), 'key');
    t.add('w', peer(2, 'b', phone), 'key');
    t.add('w', peer(3, 'a', Uint8Array.of(7)), 'key');
    t.add('w', peer(4, 'a', none), 'key');
    t.add('w', peer(5, 'a', none), 'key');
    expect(ids(t)).toEqual([1, 2, 3, 4, 5]);
  });

  it('a connection whose hello did not verify displaces nobody, whatever keep-alive it delivers', () => {
    const t = new SessionTable<SessionPeer>();
    t.add('w', peer(1, 'a', phone), 'signature');
    t.add('w', peer(2, 'a', phone, 'none'), 'none');
    t.prove('w', 2, 'key');
    expect(ids(t)).toEqual([1, 2]);
    t.prove('w', 1, 'key');
    expect(ids(t)).toEqual([1]);
  });
});
