import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hmacSha256 } from '../../src/identity/index.js';
import {
  clientMac,
  offerCommitment,
  relayMac,
  renewMac,
  sealable,
  transcriptOf,
  unsealed,
  wrapSecret,
} from '../../src/link/resumption-keys.js';
import {
  concatBytes,
  decodeChallenge,
  decodeOffer,
  decodeRenew,
  decodeRenewed,
  decodeResume,
  encodeAsk,
  encodeChallenge,
  encodeOffer,
  encodeProof,
  encodeRenew,
  encodeRenewed,
  encodeResume,
  fromHex,
  toHex,
} from '../../src/wire/index.js';

const doc = readFileSync(new URL('../../docs/resumption.md', import.meta.url), 'utf8');

/** The table of test vectors in docs/resumption.md, by name. */
const table = new Map(
  [...doc.matchAll(/^\| `([A-Za-z ]+)` \| `([0-9a-f]+)` \|$/gm)].map((m) => [m[1]!, m[2]!]),
);

const run = (from: number, n: number): Uint8Array =>
  Uint8Array.from({ length: n }, (_, i) => (from + i) & 255);

/** Everything from its inputs. */
export function vectors(): Map<string, string> {
  const lock = new TextEncoder().encode('Ixian');
  const secret = run(0x80, 32);
  const next = run(0xc0, 32);
  const [clientNonce, relayNonce] = [run(0, 32), run(0x20, 32)];
  const ticket = run(1, 40);
  const nextTicket = run(2, 48);
  const hello = run(7, 100);
  const offer = encodeOffer({
    deviceId: Uint8Array.of(1),
    lifetimeSeconds: 1_200,
    ticket,
    sealed: run(0x11, 64),
  });
  const resume = encodeResume({ nonce: clientNonce, timestamp: 1_767_225_600, ticket });
  const wrapped = wrapSecret(secret, concatBytes(clientNonce, relayNonce), nextTicket, next);
  const body = encodeChallenge({
    nonce: relayNonce,
    endpoint: '203.0.113.7:10235',
    lastBlock: 42,
    lastBlockChecksum: run(0x40, 64),
    lastBlockVersion: 12,
    yourAddress: '198.51.100.9:0',
    lifetimeSeconds: 1_200,
    ticket: nextTicket,
    wrapped,
  });
  const transcript = transcriptOf(lock, resume, body);
  const mac = relayMac(secret, transcript);
  const renew = encodeRenew({ nonce: clientNonce, ticket });
  const renewed = encodeRenewed({
    lifetimeSeconds: 1_200,
    ticket: nextTicket,
    wrapped: wrapSecret(secret, clientNonce, nextTicket, next),
  });
  const hex: [string, Uint8Array][] = [
    ['ask', encodeAsk(run(0x30, 16))],
    ['offer', offer],
    ['commitment', offerCommitment(hello, offer)],
    ['sealed plaintext', sealable(secret)],
    ['resume', resume],
    ['wrapped', wrapped],
    ['transcript', transcript],
    ['challenge', concatBytes(body, mac)],
    ['proof', encodeProof(clientMac(secret, transcript, mac))],
    ['renew', renew],
    ['renewed', concatBytes(renewed, renewMac(secret, clientNonce, renewed))],
  ];
  return new Map(hex.map(([name, b]) => [name, toHex(b)]));
}

describe('docs/resumption.md', () => {
  it('has test vectors that this implementation agrees with', () => {
    expect(Object.fromEntries(table)).toEqual(Object.fromEntries(vectors()));
  });

  it('the messages in it read as they were written', () => {
    const of = (name: string): Uint8Array => fromHex(table.get(name)!);
    const challenge = of('challenge');
    expect(decodeOffer(of('offer'))).toMatchObject({ lifetimeSeconds: 1_200, ticket: run(1, 40) });
    expect(decodeResume(of('resume'))).toMatchObject({ timestamp: 1_767_225_600, ticket: run(1, 40) });
    expect(decodeChallenge(challenge.slice(0, -32))).toMatchObject({
      endpoint: '203.0.113.7:10235',
      lastBlock: 42,
      lastBlockVersion: 12,
    });
    expect(decodeRenew(of('renew')).ticket).toEqual(run(1, 40));
    expect(decodeRenewed(of('renewed').slice(0, -32)).ticket).toEqual(run(2, 48));
    expect(unsealed(of('sealed plaintext'))).toEqual(run(0x80, 32));
    for (const bad of [new Uint8Array(0), of('sealed plaintext').slice(1), new Uint8Array(66)])
      expect(unsealed(bad)).toBeNull();
  });

  it('RFC 4231 case 2: the MAC is HMAC-SHA-256', () => {
    const key = new TextEncoder().encode('Jefe');
    const text = new TextEncoder().encode('what do ya want for nothing?');
    expect(toHex(hmacSha256(key, text.slice(0, 5), text.slice(5)))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });
});
