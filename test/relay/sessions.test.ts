import { describe, expect, it } from 'vitest';
import { type Proof, type SessionPeer, SessionTable } from '../../src/relay/sessions.js';

const WALLET = new Uint8Array(33).fill(7, 1);

/** Each on a device of its own unless told otherwise. */
const peer = (
  id: number,
  sourceAddress: string,
  deviceId: Uint8Array = Uint8Array.of(id),
  verified: 'none' | 'signature' = 'signature',
): SessionPeer => ({ id, sourceAddress, info: { address: WALLET, deviceId, verified } });

/** A table of one wallet whose connections are named by number. */
class ByNumber {
  readonly #table = new SessionTable<SessionPeer>();
  readonly #peers = new Map<number, SessionPeer>();

  get sessions(): number {
    return this.#table.sessions;
  }

  get wallets(): number {
    return this.#table.wallets;
  }

  add(p: SessionPeer, proof: Proof): void {
    this.#peers.set(p.id, p);
    this.#table.add(p, proof);
  }

  prove(id: number, proof: 'signature' | 'key'): void {
    this.#table.prove(this.#of(id), proof);
  }

  proofOf(id: number): Proof | null {
    return this.#table.proofOf(this.#of(id));
  }

  remove(id: number): void {
    this.#table.remove(this.#of(id));
  }

  receivers(): number[] {
    return this.#table.receivers(WALLET).map((p) => p.id);
  }

  /** One that was never added is as good as any other stranger. */
  #of(id: number): SessionPeer {
    return this.#peers.get(id) ?? peer(id, 'nobody');
  }
}

const ids = (t: ByNumber): number[] => t.receivers();

describe('07 §9.1 proof of key', () => {
  it('a connection without proof is no session, alone or beside others', () => {
    const t = new ByNumber();
    t.add(peer(1, 'a'), 'none');
    expect(ids(t)).toEqual([]);
    t.add(peer(2, 'b'), 'signature');
    expect(ids(t)).toEqual([2]);
    t.remove(2);
    expect(ids(t)).toEqual([]);
  });

  it('all sessions of one source address receive', () => {
    const t = new ByNumber();
    t.add(peer(1, 'a'), 'signature');
    t.add(peer(2, 'a'), 'key');
    t.add(peer(3, 'a'), 'signature');
    expect(ids(t)).toEqual([1, 2, 3]);
    expect(t.sessions).toBe(3);
    expect(t.wallets).toBe(1);
  });

  it('a replayed hello from elsewhere takes nothing from the owner', () => {
    const t = new ByNumber();
    t.add(peer(1, 'owner'), 'signature');
    t.add(peer(2, 'thief'), 'signature');
    expect(ids(t)).toEqual([1]);
    t.prove(1, 'key');
    expect(ids(t)).toEqual([1]);
  });

  it('a replayed hello that came first loses its place when the owner proves the key', () => {
    const t = new ByNumber();
    t.add(peer(1, 'thief'), 'signature');
    t.add(peer(2, 'owner'), 'signature');
    t.prove(2, 'key');
    expect(ids(t)).toEqual([2]);
    t.remove(2);
    expect(ids(t)).toEqual([1]);
  });

  it('two sources that both proved the key both receive', () => {
    const t = new ByNumber();
    t.add(peer(1, 'a'), 'key');
    t.add(peer(2, 'b'), 'key');
    t.add(peer(3, 'a'), 'signature');
    expect(ids(t)).toEqual([1, 2]);
  });

  it('no order of events gives an unproven connection a message', () => {
    // Every order of: claim without proof, owner connects, owner proves, owner leaves.
    const events: ((t: ByNumber) => void)[] = [
      (t) => t.add(peer(9, 'thief'), 'none'),
      (t) => t.add(peer(1, 'owner'), 'signature'),
      (t) => t.prove(1, 'key'),
      (t) => t.remove(1),
    ];
    const orders = (list: number[]): number[][] =>
      list.length === 0
        ? [[]]
        : list.flatMap((x) => orders(list.filter((y) => y !== x)).map((r) => [x, ...r]));
    for (const order of orders([0, 1, 2, 3])) {
      const t = new ByNumber();
      for (const i of order) {
        events[i]!(t);
        expect(ids(t)).not.toContain(9);
      }
    }
  });

  it('a proof is never lowered, and the counts return to zero', () => {
    const t = new ByNumber();
    t.add(peer(1, 'a'), 'key');
    t.prove(1, 'signature');
    expect(t.proofOf(1)).toBe<Proof>('key');
    t.remove(1);
    expect([t.sessions, t.wallets]).toEqual([0, 0]);
    expect(t.proofOf(1)).toBeNull();
  });
});

describe('07 §9 one copy per device', () => {
  const phone = Uint8Array.of(1, 2);

  it('two connections of one device both receive until one proves the key, then that one alone', () => {
    const t = new ByNumber();
    t.add(peer(1, 'a', phone), 'signature');
    t.add(peer(2, 'a', phone), 'signature');
    expect(ids(t)).toEqual([1, 2]);
    t.prove(1, 'key');
    expect(ids(t)).toEqual([1]);
    expect([t.sessions, t.wallets]).toEqual([1, 1]);
    t.remove(1);
    expect(ids(t)).toEqual([2]);
    t.remove(2);
    expect([t.sessions, t.wallets]).toEqual([0, 0]);
  });

  it('of several that proved the key the newest connection receives', () => {
    const t = new ByNumber();
    t.add(peer(1, 'a', phone), 'signature');
    t.add(peer(2, 'a', phone), 'signature');
    t.prove(2, 'key');
    t.prove(1, 'key');
    expect(ids(t)).toEqual([2]);
    t.remove(2);
    expect(ids(t)).toEqual([1]);
  });

  it('other devices, other source addresses and peers without device id keep their copies', () => {
    const t = new ByNumber();
    const none = new Uint8Array(0);
    t.add(peer(1, 'a', phone), 'key');
    t.add(peer(2, 'b', phone), 'key');
    t.add(peer(3, 'a', Uint8Array.of(7)), 'key');
    t.add(peer(4, 'a', none), 'key');
    t.add(peer(5, 'a', none), 'key');
    expect(ids(t)).toEqual([1, 2, 3, 4, 5]);
  });

  it('a connection whose hello did not verify displaces nobody, whatever keep-alive it delivers', () => {
    const t = new ByNumber();
    t.add(peer(1, 'a', phone), 'signature');
    t.add(peer(2, 'a', phone, 'none'), 'none');
    t.prove(2, 'key');
    expect(ids(t)).toEqual([1, 2]);
    t.prove(1, 'key');
    expect(ids(t)).toEqual([1]);
  });
});
