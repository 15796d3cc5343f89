import { describe, expect, it } from 'vitest';
import { PresenceBook } from '../../src/client/presence-book.js';
import type { PresenceAddress } from '../../src/presence/index.js';

const wallet = 'aa';
const publicKey = new Uint8Array(64);
const at = (hostname: string, lastSeen: number, device = 1): PresenceAddress => ({
  version: 2,
  device: Uint8Array.of(device),
  hostname,
  type: 'C',
  nodeVersion: 'x',
  lastSeen,
  signature: new Uint8Array(512).fill(lastSeen % 250),
  pow: null,
});

function book(): { b: PresenceBook; time: { seconds: number } } {
  const time = { seconds: 1_000 };
  return {
    b: new PresenceBook(
      () => time.seconds,
      () => time.seconds * 1000,
    ),
    time,
  };
}

describe('known endpoints', () => {
  it('the newest claim of each device counts, the newest relay comes first', () => {
    const { b } = book();
    b.update(wallet, { publicKey, addresses: [at('r:1', 990), at('r:2', 995, 2)] });
    expect(b.hostnames(wallet)).toEqual(['r:2', 'r:1']);
    expect(b.update(wallet, { publicKey, addresses: [at('r:3', 980)] })).toEqual({
      newer: false,
      moved: false,
    });
    expect(b.update(wallet, { publicKey, addresses: [at('r:3', 999)] })).toEqual({
      newer: true,
      moved: true,
    });
    expect(b.hostnames(wallet)).toEqual(['r:3', 'r:2']);
    expect(b.update(wallet, { publicKey, addresses: [at('r:3', 1000)] })).toEqual({
      newer: true,
      moved: false,
    });
  });

  it('a relay that failed is not used again for claims up to then, however often they are repeated', () => {
    const { b } = book();
    b.update(wallet, { publicKey, addresses: [at('r:1', 990), at('r:2', 995, 2)] });
    expect(b.fail(wallet, 'r:2')).toBe(true);
    expect(b.fail(wallet, 'r:2')).toBe(false);
    expect(b.hostnames(wallet)).toEqual(['r:1']);
    b.update(wallet, { publicKey, addresses: [at('r:2', 995, 2)] });
    expect(b.hostnames(wallet)).toEqual(['r:1']);
    expect(b.hasUsable(wallet, [at('r:2', 995, 2)])).toBe(false);
    b.update(wallet, { publicKey, addresses: [at('r:2', 996, 2)] });
    expect(b.hostnames(wallet)).toEqual(['r:2', 'r:1']);
  });

  it('a failure is forgiven after half a minute: the error may have been forged', () => {
    const { b, time } = book();
    b.update(wallet, { publicKey, addresses: [at('r:1', 990)] });
    b.fail(wallet, 'r:1');
    time.seconds += 29;
    expect(b.hostnames(wallet)).toEqual([]);
    time.seconds += 1;
    expect(b.hostnames(wallet)).toEqual(['r:1']);
  });

  it('a claim older than 300 s says nothing any more', () => {
    const { b, time } = book();
    b.update(wallet, { publicKey, addresses: [at('r:1', 1_000)] });
    time.seconds = 1_300;
    expect([b.isOnline(wallet), b.hostnames(wallet)]).toEqual([true, ['r:1']]);
    time.seconds = 1_301;
    expect([b.isOnline(wallet), b.hostnames(wallet)]).toEqual([false, []]);
  });

  it('endpoints of relays and ledger nodes are no way to a person', () => {
    const { b } = book();
    b.update(wallet, { publicKey, addresses: [{ ...at('r:1', 990), type: 'R' }] });
    expect(b.hostnames(wallet)).toEqual([]);
  });

  it('keeps a bounded number of wallets and devices', () => {
    const { b } = book();
    for (let d = 0; d < 40; d++) b.update(wallet, { publicKey, addresses: [at(`r:${d}`, 900 + d, d)] });
    expect(b.endpoints(wallet).length).toBe(16);
    expect(b.hostnames(wallet)[0]).toBe('r:39');
    for (let i = 0; i < 2_500; i++) b.update(`w${i}`, { publicKey, addresses: [at('r:1', 990)] });
    expect([b.publicKey(wallet), b.publicKey('w499'), b.publicKey('w500')]).toEqual([null, null, publicKey]);
  });
});
