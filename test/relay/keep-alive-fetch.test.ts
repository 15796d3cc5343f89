import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Announcement,
  announcedPerPeerMax,
  KeepAliveFetch,
  type Known,
} from '../../src/relay/keep-alive-fetch.js';
import { FakePeer, walletOf } from './fakes.js';

const NOW = 1_770_000_000;
const unknown = (): Known => ({ wallet: false, lastSeen: null });
const item = (lastSeen = NOW, n = 1): Announcement => ({
  wallet: walletOf(n),
  device: Uint8Array.of(n),
  lastSeen,
});

let fetch: KeepAliveFetch;
beforeEach(() => {
  fetch = new KeepAliveFetch();
});

describe('05 §10.3 announced keep-alives', () => {
  it('unknown wallet: its presence; known: the keep-alive; once', () => {
    const p = new FakePeer();
    expect(fetch.offered(p, item(), unknown, 0, NOW)).toEqual({ ...item(), peer: p, kind: 'presence' });
    expect(fetch.offered(p, item(), unknown, 0, NOW)).toBeNull();
    expect(fetch.offered(p, item(NOW, 2), () => ({ wallet: true, lastSeen: NOW - 1 }), 0, NOW)?.kind).toBe(
      'keepAlive',
    );
    expect(fetch.size).toBe(2);
  });

  it('only newer ones', () => {
    const p = new FakePeer();
    for (const lastSeen of [NOW, NOW + 1])
      expect(fetch.offered(p, item(), () => ({ wallet: true, lastSeen }), 0, NOW)).toBeNull();
    expect(fetch.offered(p, item(), () => ({ wallet: true, lastSeen: NOW - 1 }), 0, NOW)).not.toBeNull();
  });

  it('only inside the accepted time window: 300 s old, 30 s ahead', () => {
    const p = new FakePeer();
    expect(fetch.offered(p, item(NOW - 301, 1), unknown, 0, NOW)).toBeNull();
    expect(fetch.offered(p, item(NOW + 31, 2), unknown, 0, NOW)).toBeNull();
    expect(fetch.offered(p, item(0, 3), unknown, 0, NOW)).toBeNull();
    expect(fetch.offered(p, item(NOW - 300, 4), unknown, 0, NOW)).not.toBeNull();
    expect(fetch.offered(p, item(NOW + 30, 5), unknown, 0, NOW)).not.toBeNull();
  });

  it('keeps copies, not views', () => {
    const i = item();
    fetch.offered(new FakePeer(), i, unknown, 0, NOW);
    const other = new FakePeer();
    fetch.offered(other, item(), unknown, 0, NOW);
    i.wallet.fill(0xdd);
    i.device.fill(0xdd);
    const [again] = fetch.sweep(unknown, 30_000, NOW + 30);
    expect([again?.wallet, again?.device]).toEqual([walletOf(1), Uint8Array.of(1)]);
  });
});

describe('04 §5 retries', () => {
  it('after 30 s at another announcer, two more times, then it is given up', () => {
    const [a, b] = [new FakePeer(), new FakePeer()];
    fetch.offered(a, item(), unknown, 0, NOW);
    fetch.offered(b, item(), unknown, 0, NOW);
    expect(fetch.sweep(unknown, 29_999, NOW + 29)).toEqual([]);
    expect(fetch.sweep(unknown, 30_000, NOW + 30)).toEqual([{ ...item(), peer: b, kind: 'presence' }]);
    expect(fetch.sweep(unknown, 59_999, NOW + 59)).toEqual([]);
    expect(fetch.sweep(unknown, 60_000, NOW + 60).map((f) => f.peer.id)).toEqual([a.id]);
    expect(fetch.sweep(unknown, 89_999, NOW + 89)).toEqual([]);
    expect([fetch.size, fetch.sweep(unknown, 90_000, NOW + 90), fetch.size]).toEqual([1, [], 0]);
  });

  it('what arrived is forgotten', () => {
    fetch.offered(new FakePeer(), item(), unknown, 0, NOW);
    fetch.sweep(() => ({ wallet: true, lastSeen: NOW - 1 }), 1, NOW);
    expect(fetch.size).toBe(1);
    fetch.sweep(() => ({ wallet: true, lastSeen: NOW }), 1, NOW);
    expect(fetch.size).toBe(0);
  });

  it('what nobody would accept any more is forgotten', () => {
    fetch.offered(new FakePeer(), item(), unknown, 0, NOW);
    fetch.sweep(unknown, 1, NOW + 300);
    expect(fetch.size).toBe(1);
    fetch.sweep(unknown, 1, NOW + 301);
    expect(fetch.size).toBe(0);
  });

  it('an announcer that left is not asked; without another the item is forgotten', () => {
    const [a, b] = [new FakePeer(), new FakePeer()];
    fetch.offered(a, item(NOW, 1), unknown, 0, NOW);
    fetch.offered(b, item(NOW, 1), unknown, 0, NOW);
    fetch.offered(b, item(NOW, 2), unknown, 0, NOW);
    b.isOpen = false;
    expect(fetch.sweep(unknown, 30_000, NOW + 30).map((f) => f.peer.id)).toEqual([a.id]);
    expect(fetch.size).toBe(1);
  });

  it('asks the keep-alive alone once the wallet has become known', () => {
    fetch.offered(new FakePeer(), item(), unknown, 0, NOW);
    expect(fetch.sweep(() => ({ wallet: true, lastSeen: null }), 30_000, NOW + 30)[0]?.kind).toBe(
      'keepAlive',
    );
  });
});

describe('04 §5 bounds', () => {
  it('one announcer fills only its share, and gets it back', () => {
    const [greedy, other] = [new FakePeer(), new FakePeer()];
    const many = (k: number): Announcement => ({
      wallet: walletOf(1),
      device: Uint8Array.of(k >> 8, k & 255),
      lastSeen: NOW,
    });
    for (let k = 0; k < announcedPerPeerMax; k++) fetch.offered(greedy, many(k), unknown, 0, NOW);
    expect(fetch.offered(greedy, many(announcedPerPeerMax), unknown, 0, NOW)).toBeNull();
    expect(fetch.offered(other, many(announcedPerPeerMax), unknown, 0, NOW)).not.toBeNull();
    expect(fetch.size).toBe(announcedPerPeerMax + 1);
    fetch.sweep(unknown, 0, NOW + 301);
    expect(fetch.size).toBe(0);
    expect(fetch.offered(greedy, item(NOW + 301, 9), unknown, 0, NOW + 301)).not.toBeNull();
  });
});
