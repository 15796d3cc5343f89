import { describe, expect, it } from 'vitest';
import { addressWithChecksum, base58Encode } from '../../src/identity/index.js';
import { isAcceptableHostname, isPublicIpv4, parseIpv4, parsePort } from '../../src/presence/index.js';
import { NETWORKS } from '../../src/wire/index.js';

const { main, test, reg } = NETWORKS;
const V1 = '4NvkzqMBrauhJkjt1cBcc6VucrpTaHM212a6pikUjmw6pZKh3u95WaT5teFjrVVhi';
const V0 = '17muNZnWK7JmBGLqe2tPcCMJSms4G5hTzNY9c9oXpBX816ET9';

describe('05 §7.1 hostname rule', () => {
  it('05 §7.1 rule 1: more than 21 characters must be an address with its checksum, on every network', () => {
    for (const network of [main, test, reg]) {
      expect(isAcceptableHostname(V1, network)).toBe(true);
      expect(isAcceptableHostname(V0, network)).toBe(true);
      expect(isAcceptableHostname(`${V1.slice(0, -1)}a`, network)).toBe(false);
      expect(isAcceptableHostname('x'.repeat(22), network)).toBe(false);
      expect(isAcceptableHostname('1'.repeat(22), network)).toBe(false);
    }
  });

  it('05 §7.1 rule 1: the version byte is not looked at, and the longest address text is 66 characters', () => {
    const raw = new Uint8Array(45).fill(255);
    const longest = base58Encode(addressWithChecksum(raw));
    expect(longest).toHaveLength(66);
    expect(isAcceptableHostname(longest, main)).toBe(true);
  });

  it('05 §7.1 rule 1: text longer than any address is refused unread', () => {
    expect(isAcceptableHostname('1'.repeat(67), reg)).toBe(false);
    expect(isAcceptableHostname('z'.repeat(1_000_000), reg)).toBe(false);
  });

  it('05 §7.1 rule 1: the length counts UTF-16 units, 21 is still an endpoint', () => {
    // 21 units: longest endpoint, refused for its address only; 22 units: no address either.
    expect(isAcceptableHostname('222.222.222.222:65535', main)).toBe(true);
    expect(isAcceptableHostname('222.222.222.222:655350', main)).toBe(false);
    expect(isAcceptableHostname('x'.repeat(21), reg)).toBe(true);
    expect(isAcceptableHostname('\u{1f600}'.repeat(10), reg)).toBe(true);
    expect(isAcceptableHostname('\u{1f600}'.repeat(11), reg)).toBe(false);
  });

  it('05 §7.1 rule 2: up to 21 characters must be a public endpoint on main and test, anything on reg', () => {
    for (const host of ['10.0.0.1:1', '', ':10235', 'a', '127.0.0.1:10235', 'example.com:1']) {
      expect(isAcceptableHostname(host, main)).toBe(false);
      expect(isAcceptableHostname(host, test)).toBe(false);
      expect(isAcceptableHostname(host, reg)).toBe(true);
    }
    expect(isAcceptableHostname('8.8.8.8:10235', main)).toBe(true);
    expect(isAcceptableHostname('8.8.8.8:10235', test)).toBe(true);
  });

  it('05 §7.1 rule 3: what does not parse is refused', () => {
    for (const host of [
      '1.2.3.4.5:1',
      '256.1.1.1:1',
      ' 8.8.8.8:1',
      '8.8.8.8 :1',
      '::1',
      '8.8.8.8:x',
      '8.8.8:1',
    ])
      expect(isAcceptableHostname(host, main)).toBe(false);
    // A foreign character in the long form.
    expect(isAcceptableHostname('0'.repeat(49), main)).toBe(false);
  });

  it('05 §7.1 strict: four decimal parts without leading zeros', () => {
    expect(parseIpv4('8.8.8.8')).toBe(0x08080808);
    expect(parseIpv4('0.0.0.0')).toBe(0);
    expect(parseIpv4('255.255.255.255')).toBe(0xffffffff);
    for (const text of [
      '8.8',
      '134744072',
      '0x08080808',
      '010.1.1.1',
      '8.8.8.08',
      '8.8.8.256',
      '8.8.8.',
      '',
      '+8.8.8.8',
    ])
      expect(parseIpv4(text)).toBe(null);
  });

  it('05 §7.1 strict: one colon and a port of 1 to 65535', () => {
    expect(parsePort('1')).toBe(1);
    expect(parsePort('65535')).toBe(65_535);
    for (const text of ['', '0', '65536', '99999', '100000', '080', '-1', '1 ', '1e3', '1:1'])
      expect(parsePort(text)).toBe(null);
    for (const host of ['8.8.8.8', '8.8.8.8:', '8.8.8.8:0', '8.8.8.8:65536', '8.8.8.8:1:1'])
      expect(isAcceptableHostname(host, main)).toBe(false);
    expect(isAcceptableHostname('8.8.8.8:65535', main)).toBe(true);
    expect(isAcceptableHostname('8.8.8.8:1', main)).toBe(true);
  });
});

/** First and last address of each range that is not public, and the neighbours that are. */
const RANGES: readonly (readonly [string, string, string, string | null, string | null])[] = [
  ['this network', '0.0.0.0', '0.255.255.255', null, '1.0.0.0'],
  ['private 10', '10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
  ['shared', '100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
  ['loopback', '127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
  ['link local', '169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
  ['private 172', '172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
  ['IETF', '192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
  ['documentation 1', '192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
  ['AS112', '192.31.196.0', '192.31.196.255', '192.31.195.255', '192.31.197.0'],
  ['AMT', '192.52.193.0', '192.52.193.255', '192.52.192.255', '192.52.194.0'],
  ['6to4 relay', '192.88.99.0', '192.88.99.255', '192.88.98.255', '192.88.100.0'],
  ['private 192', '192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
  ['AS112 direct', '192.175.48.0', '192.175.48.255', '192.175.47.255', '192.175.49.0'],
  ['benchmarking', '198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
  ['documentation 2', '198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
  ['documentation 3', '203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
  ['multicast', '224.0.0.0', '239.255.255.255', '223.255.255.255', null],
  ['reserved and broadcast', '240.0.0.0', '255.255.255.255', null, null],
];

describe('05 §7.2 addresses that are not public', () => {
  it.each(RANGES)('05 §7.2: %s', (_name, first, last, below, above) => {
    expect(isPublicIpv4(parseIpv4(first)!)).toBe(false);
    expect(isPublicIpv4(parseIpv4(last)!)).toBe(false);
    if (below !== null) expect(isPublicIpv4(parseIpv4(below)!)).toBe(true);
    if (above !== null) expect(isPublicIpv4(parseIpv4(above)!)).toBe(true);
  });

  it('05 §7.2: the single addresses of the list lie inside its ranges', () => {
    for (const a of ['192.0.0.8', '192.0.0.9', '192.0.0.10', '192.0.0.170', '192.0.0.171'])
      expect(isPublicIpv4(parseIpv4(a)!)).toBe(false);
  });
});
