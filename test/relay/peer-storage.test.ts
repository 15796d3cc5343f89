import { describe, expect, it } from 'vitest';
import { addressText } from '../../src/identity/index.js';
import { PeerStorage, peerEntriesMax } from '../../src/relay/peer-storage.js';
import { signerOf } from '../link/support.js';

const w = async (n: number): Promise<Uint8Array> => (await signerOf(`w${n}`)).address;
const any = (): boolean => false;
const storage = (random = () => 0): PeerStorage => new PeerStorage(false, random);
const hosts = (s: PeerStorage): string[] => s.entries.map((e) => e.host);

describe('03 §5.6 insert', () => {
  it('needs a host, a colon and a port from 1 to 65535', () => {
    const s = storage();
    for (const bad of [
      '10.0.0.1',
      ':10',
      '10.0.0.1:',
      '10.0.0.1:0',
      '10.0.0.1:65536',
      '10.0.0.1:1.5',
      '10.0.0.1:x',
    ])
      expect([bad, s.add(bad, null, 1)]).toEqual([bad, false]);
    for (const good of ['10.0.0.1:1', '10.0.0.1:65535', 'seed1.example:10234'])
      expect([good, s.add(good, null, 1)]).toEqual([good, true]);
  });

  it('refuses 127.0.0.1 and localhost, save where the network lives on one machine', () => {
    const s = storage();
    expect([s.add('127.0.0.1:10', null, 1), s.add('localhost:10', null, 1)]).toEqual([false, false]);
    expect(s.add('127.0.0.2:10', null, 1)).toBe(true);
    expect(new PeerStorage(true).add('127.0.0.1:10', null, 1)).toBe(true);
  });

  it('the same host replaces, keeping its last attempt, rating and the larger lastConnected', async () => {
    const s = storage();
    s.add('10.0.0.1:1', await w(0), 100, 50);
    s.pick(1_000, any);
    s.connected('10.0.0.1:1', 1_001);
    s.add('10.0.0.1:1', null, 200, 7);
    expect(s.entries).toEqual([
      {
        host: '10.0.0.1:1',
        wallet: await w(0),
        lastSeen: 200,
        lastConnectAttempt: 1_000,
        lastConnected: 1_001,
        rating: 1,
      },
    ]);
    s.add('10.0.0.1:1', await w(1), 200, 2_000);
    expect([s.entries[0]!.lastConnected, s.entries[0]!.wallet]).toEqual([2_000, await w(1)]);
  });

  it('the same wallet at another host replaces, without the old host’s attempt and rating', async () => {
    const s = storage();
    s.add('10.0.0.1:1', await w(0), 100, 50);
    s.pick(1_000, any);
    s.failed('10.0.0.1:1');
    s.add('10.0.0.2:1', await w(0), 200);
    expect(s.entries).toEqual([
      {
        host: '10.0.0.2:1',
        wallet: await w(0),
        lastSeen: 200,
        lastConnectAttempt: 0,
        lastConnected: 50,
        rating: 0,
      },
    ]);
  });

  it('above 2000 entries the one with the smallest lastSeen goes', () => {
    const s = storage();
    for (let i = 0; i < peerEntriesMax; i++) s.add(`h${i}:1`, null, 1_000 + ((i + 7) % peerEntriesMax));
    expect(s.entries.length).toBe(2000);
    const oldest = s.entries.find((e) => e.lastSeen === 1_000)!.host;
    s.add('new:1', null, 5_000);
    expect([s.entries.length, hosts(s).includes(oldest), hosts(s).includes('new:1')]).toEqual([
      2000,
      false,
      true,
    ]);
  });
});

describe('03 §5.6 pick', () => {
  it('until one has connected the one that worked last, afterwards any', () => {
    const s = storage(() => 0);
    s.add('a:1', null, 1, 10);
    s.add('b:1', null, 1, 30);
    s.add('c:1', null, 1, 20);
    expect(s.pick(1_000, any)?.host).toBe('b:1');
    expect(s.pick(1_000, any)?.host).toBe('c:1');
    expect(s.pick(1_000, any)?.host).toBe('a:1');
    s.connected('c:1', 1_010);
    expect(s.pick(1_031, any)?.host).toBe('a:1');
    s.reset();
    expect(s.pick(1_031, any)?.host).toBe('c:1');
  });

  it('not within 30 s of the last attempt', () => {
    const s = storage();
    s.add('a:1', null, 1);
    expect(s.pick(1_000, any)?.host).toBe('a:1');
    s.connected('a:1', 1_001);
    expect(s.pick(1_030, any)).toBeNull();
    expect(s.pick(1_031, any)?.host).toBe('a:1');
  });

  it('while nobody is connected not within 5 s: who is alone does not wait half a minute', () => {
    const s = storage();
    s.add('a:1', null, 1);
    expect(s.pick(1_000, any)?.host).toBe('a:1');
    expect(s.pick(1_005, any)).toBeNull();
    expect(s.pick(1_006, any)?.host).toBe('a:1');
  });

  it('skips what the caller excludes, without stamping it', async () => {
    const s = storage();
    s.add('a:1', await w(0), 1, 5);
    s.add('b:1', null, 1, 1);
    expect(s.pick(1_000, (e) => e.wallet !== null)?.host).toBe('b:1');
    expect(s.pick(1_000, any)?.host).toBe('a:1');
  });

  it('success raises the rating, giving up lowers it', () => {
    const s = storage();
    s.add('a:1', null, 1);
    s.connected('a:1', 9);
    s.connected('a:1', 10);
    s.failed('a:1');
    s.connected('unknown:1', 10);
    expect([s.entries[0]!.rating, s.entries[0]!.lastConnected, s.entries.length]).toEqual([1, 10, 1]);
  });
});

describe('03 §5.6 file', () => {
  it('round trip of every field; entries without wallet are not saved', async () => {
    const s = storage();
    s.add('10.0.0.1:10234', await w(0), 100, 50);
    s.add('seed.example:10234', await w(1), 200, 60);
    s.add('10.0.0.3:1', null, 300);
    s.pick(1_000, any);
    s.failed('seed.example:10234');
    const text = s.serialize()!;
    expect(text).toBe(
      `10.0.0.1:10234;${addressText(await w(0))};100;0;50;0\n` +
        `seed.example:10234;${addressText(await w(1))};200;1000;60;-1\n`,
    );
    const again = storage();
    expect(again.load(text)).toBe(0);
    expect(again.entries).toEqual(s.entries.filter((e) => e.wallet !== null));
    expect(again.serialize()).toBe(text);
  });

  it('is not written with fewer than two entries', async () => {
    const s = storage();
    s.add('10.0.0.1:1', await w(0), 1);
    expect(s.serialize()).toBeNull();
    s.add('10.0.0.2:1', null, 1);
    expect(s.serialize()).toBeNull();
    s.add('10.0.0.2:1', await w(1), 1);
    expect(s.serialize()).not.toBeNull();
  });

  it('reads two fields a line, either line end, and counts what it refuses', async () => {
    const s = storage();
    const text = addressText(await w(0));
    const broken = `${text.slice(0, -1)}${text.endsWith('a') ? 'b' : 'a'}`;
    const refused = s.load(
      `10.0.0.1:1;${text}\r\n\r\n10.0.0.2:1;${addressText(await w(1))};5;x;7;8\n` +
        `10.0.0.3:1;${broken}\n10.0.0.4:1\n127.0.0.1:5;${addressText(await w(2))}\n`,
    );
    expect(refused).toBe(3);
    expect(
      s.entries.map((e) => [e.host, e.lastSeen, e.lastConnectAttempt, e.lastConnected, e.rating]),
    ).toEqual([
      ['10.0.0.1:1', 0, 0, 0, 0],
      ['10.0.0.2:1', 5, 0, 7, 8],
    ]);
  });

  it('the attempt in the file still counts after a restart', async () => {
    const s = storage();
    s.load(`10.0.0.1:1;${addressText(await w(0))};5;1000;7;8\n`);
    expect(s.pick(1_005, any)).toBeNull();
    expect(s.pick(1_006, any)?.host).toBe('10.0.0.1:1');
  });
});
