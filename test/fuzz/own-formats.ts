// Decoders of formats that are Starling's own: resumption, the bus between processes, the snapshot's records, keys of
// several primes, and what a person writes for the load generator and the API.

import { BusFrameError, FrameReader } from '../../src/cluster/frames.js';
import {
  decodeMultiPrimeKey,
  isMultiPrimeBlob,
  publicKeyOfMultiPrime,
} from '../../src/identity/multi-prime.js';
import { LoadError } from '../../src/load/errors.js';
import { parseScenario } from '../../src/load/scenario.js';
import { parseTarget } from '../../src/load/target.js';
import { parseAllowList, parseApiUser } from '../../src/operator/api/auth.js';
import { parseApiBind } from '../../src/operator/api/server.js';
import { parseBind } from '../../src/operator/ops-server.js';
import { ImageReader } from '../../src/presence/slab-image.js';
import { DecodeError } from '../../src/wire/index.js';
import {
  asksForTicket,
  decodeChallenge,
  decodeOffer,
  decodeProof,
  decodeRenew,
  decodeRenewed,
  decodeResume,
  decodeTicketClaims,
  splitMac,
} from '../../src/wire/resumption.js';
import { type Target, text, wire } from './target.js';

/** Longest message that the fuzzed bus takes, so that its limit is met by the inputs. */
const busBytesMax = 4_096;

/** What the bus reads from these pieces; the error's text ends the list. */
function busEvents(...pieces: Uint8Array[]): string[] {
  const out: string[] = [];
  const reader = new FrameReader(busBytesMax);
  const sink = {
    hello: (version: number, name: string) => out.push(`hello ${version} ${name}`),
    message: (topic: string, payload: Uint8Array) => out.push(`message ${topic} ${payload.join()}`),
    request: (id: number, topic: string, payload: Uint8Array) =>
      out.push(`request ${id} ${topic} ${payload.join()}`),
    answer: (id: number, payload: Uint8Array) => out.push(`answer ${id} ${payload.join()}`),
    refusal: (id: number, reason: string) => out.push(`refusal ${id} ${reason}`),
    handled: (count: number) => out.push(`handled ${count}`),
  };
  try {
    for (const piece of pieces) reader.push(piece, sink);
  } catch (e) {
    if (!(e instanceof BusFrameError)) throw e;
    out.push('no frame');
  }
  return out;
}

/** Feeds the bus whole and cut where the first byte says: splits must not matter. */
function busFrames(b: Uint8Array): unknown {
  const cut = (b[0] ?? 0) % (b.length + 1);
  const whole = busEvents(b);
  const split = busEvents(b.subarray(0, cut), b.subarray(cut));
  if (whole.join() !== split.join()) throw new Error('a split changes what the bus says');
  if (whole.length > 0 && whole.at(-1) === 'no frame') throw new BusFrameError('damaged');
  return whole;
}

/** Bytes of heads and bodies: what is read out of a payload lies within it, once. */
function imageParts(b: Uint8Array): number {
  const image = new ImageReader(b);
  let bytes = 0;
  while (image.nextWallet()) {
    bytes += image.head.length;
    while (image.nextEntry()) bytes += image.body.length;
  }
  if (bytes > b.length) throw new Error('more than there is');
  return bytes;
}

export const OWN_TARGETS: readonly Target[] = [
  { name: 'resumption-ask', run: asksForTicket, throws: [] },
  wire('resumption-offer', decodeOffer),
  wire('resumption-resume', decodeResume),
  wire('resumption-challenge', (b) => decodeChallenge(splitMac(b).body)),
  wire('resumption-proof', decodeProof),
  wire('resumption-renew', decodeRenew),
  wire('resumption-renewed', (b) => decodeRenewed(splitMac(b).body)),
  wire('resumption-ticket', decodeTicketClaims),
  { name: 'bus-frames', run: busFrames, throws: [BusFrameError] },
  { name: 'snapshot-image', run: imageParts, throws: [DecodeError, RangeError] },
  wire('multi-prime-key', (b) =>
    isMultiPrimeBlob(b) ? [decodeMultiPrimeKey(b), publicKeyOfMultiPrime(b)] : decodeMultiPrimeKey(b),
  ),
  text('load-scenario', (s) => parseScenario(JSON.parse(s)), [LoadError, SyntaxError]),
  text('load-target', (s) => parseTarget(s, { iOwnThisTarget: true }), [LoadError]),
  text('api-user', parseApiUser, [RangeError]),
  text('api-allow-list', (s) => parseAllowList(s.split(',')), [RangeError]),
  text('api-bind', (s) => [parseBind(s), parseApiBind(`http://${s}/`)], [RangeError]),
];
