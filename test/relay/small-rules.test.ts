import { describe, expect, it } from 'vitest';
import { addressText } from '../../src/identity/index.js';
import { Blacklist } from '../../src/relay/blacklist.js';
import { endpointVotesKept, PublicEndpoint } from '../../src/relay/public-endpoint.js';
import { TokenBucket } from '../../src/relay/token-bucket.js';
import { signerOf } from '../link/support.js';

describe('03 §5.4 public endpoint', () => {
  const changes: string[] = [];
  const make = (configured: string | null, guess: string): PublicEndpoint => {
    changes.length = 0;
    return new PublicEndpoint(configured, guess, 10235, (e) => changes.push(e));
  };

  it('a configured address wins over every vote', () => {
    const e = make('198.51.100.1', '');
    for (let i = 1; i < 6; i++) expect(e.vote(`10.0.0.${i}`, '198.51.100.2')).toBe(false);
    expect([e.text, e.forced, changes]).toEqual(['198.51.100.1:10235', true, []]);
  });

  it('a guess is corrected by two peers that agree, not by one however often it speaks', () => {
    const e = make(null, '198.51.100.1');
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.2', '198.51.100.3')).toBe(false);
    expect(e.text).toBe('198.51.100.1:10235');
    expect(e.vote('10.0.0.3', '198.51.100.2')).toBe(true);
    expect([e.text, changes]).toEqual(['198.51.100.2:10235', ['198.51.100.2:10235']]);
  });

  it('who confirms the own address counts against a change', () => {
    const e = make(null, '198.51.100.1');
    for (const n of [1, 2]) e.vote(`10.0.0.${n}`, '198.51.100.1');
    for (const n of [3, 4]) expect(e.vote(`10.0.0.${n}`, '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.5', '198.51.100.2')).toBe(true);
  });

  it('a peer that connects again replaces its voice', () => {
    const e = make(null, '198.51.100.1');
    e.vote('10.0.0.1', '198.51.100.2');
    e.vote('10.0.0.1', '198.51.100.3');
    expect(e.vote('10.0.0.2', '198.51.100.2')).toBe(false);
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(true);
  });

  it('only so many voices are kept, the newest, and a repeated one is new', () => {
    const e = make(null, '198.51.100.1');
    e.vote('10.0.0.1', '198.51.100.2');
    for (let i = 0; i < endpointVotesKept - 1; i++) e.vote(`10.1.0.${i}`, '198.51.100.1');
    e.vote('10.0.0.1', '198.51.100.2');
    e.vote('10.2.0.0', '198.51.100.1');
    // 10.1.0.0 made room, 10.0.0.1 did not: with 15 others for the own address nothing moves.
    expect(e.text).toBe('198.51.100.1:10235');
    for (let i = 0; i < 8; i++) e.vote(`10.3.0.${i}`, '198.51.100.2');
    expect(e.text).toBe('198.51.100.2:10235');
  });

  it('without any address one voice is better than none', () => {
    const e = make(null, '');
    expect(e.text).toBe('');
    expect(e.vote('10.0.0.1', '')).toBe(false);
    expect(e.vote('10.0.0.1', '::1')).toBe(false);
    expect(e.vote('10.0.0.1', '198.51.100.2')).toBe(true);
    expect(e.text).toBe('198.51.100.2:10235');
  });
});

describe('token bucket', () => {
  it('gives the burst at once, then the rate', () => {
    const b = new TokenBucket(2, 3, 1_000);
    expect([b.take(1_000), b.take(1_000), b.take(1_000), b.take(1_000)]).toEqual([true, true, true, false]);
    expect(b.take(1_499)).toBe(false);
    expect(b.take(1_500)).toBe(true);
    expect(b.take(1_500)).toBe(false);
  });

  it('never holds more than the burst, takes several at once or none', () => {
    const b = new TokenBucket(10, 4, 0);
    expect(b.take(1_000_000, 5)).toBe(false);
    expect(b.take(1_000_000, 4)).toBe(true);
    expect(b.take(1_000_000, 1)).toBe(false);
  });

  it('a clock set back neither fills nor freezes it', () => {
    const b = new TokenBucket(1, 1, 10_000);
    b.take(10_000);
    expect(b.take(5_000)).toBe(false);
    expect(b.take(5_999)).toBe(false);
    expect(b.take(6_000)).toBe(true);
  });
});

describe('03 §3.5 step 7 blacklist', () => {
  it('wallets, endpoints, addresses and ranges', async () => {
    const [a, b] = [(await signerOf('w0')).address, (await signerOf('w1')).address];
    const list = new Blacklist([
      addressText(a),
      '198.51.100.7:10234',
      'bad.example:1',
      '203.0.113.9',
      '10.1.0.0/16',
      '2001:db8::/32',
    ]);
    expect([list.wallet(a), list.wallet(b)]).toEqual([true, false]);
    expect(
      [
        '198.51.100.7:10234',
        '198.51.100.7:10235',
        'bad.example:1',
        '203.0.113.9:5',
        '10.1.255.255:1',
        '10.2.0.0:1',
      ].map((e) => list.endpoint(e)),
    ).toEqual([true, false, true, true, true, false]);
    expect(
      [
        '203.0.113.9',
        '203.0.113.8',
        '10.1.0.0',
        '10.0.255.255',
        '2001:db8::1',
        '2001:db9::1',
        '198.51.100.7',
        '',
      ].map((ip) => list.source(ip)),
    ).toEqual([true, false, true, false, true, false, false, false]);
  });

  it('says when an entry is none of them', async () => {
    const text = addressText((await signerOf('w0')).address);
    for (const bad of ['10.0.0.0/33', 'nobody', `${text.slice(0, -2)}zz`])
      expect(() => new Blacklist([bad])).toThrow();
    expect(new Blacklist().source('10.0.0.1')).toBe(false);
  });
});
