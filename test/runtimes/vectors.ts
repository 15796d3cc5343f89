/** Makes the inputs of suite.ts and what must come out, with node:crypto and the JavaScript core. */
import {
  constants,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type JsonWebKey,
  privateEncrypt,
  sign,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { JsCore } from '../../src/core/js-core.js';
import { encodePublicKey } from '../../src/identity/index.js';
import type { RsaVector, Vectors } from './suite.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const json = <T>(path: string): T =>
  JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')) as T;

/** A walk over byte values that repeats late, so that every length has other content. */
function filled(length: number): Uint8Array {
  const out = new Uint8Array(length);
  let x = length + 1;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    out[i] = x >>> 24;
  }
  return out;
}

const LENGTHS = [0, 3, 44, 45, 71, 72, 73, 111, 112, 127, 128, 143, 144, 600, 2048, 8192, 70_000];

function hashes(): Vectors['hashes'] {
  const digest = (name: string, message: Uint8Array): string =>
    createHash(name).update(message).digest('hex');
  return LENGTHS.map(filled).map((m) => ({
    message: hex(m),
    sha3: digest('sha3-512', m),
    sha512: digest('sha512', m),
  }));
}

/** Bit by bit, so that no table of ours is its own judge. */
function crcByBit(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const DIGEST_INFO = bytes('3051300d060960864801650304020305000440');

/** 00 01 ff… 00 ‖ tail: PKCS#1 v1.5. */
function encoded(size: number, tail: Uint8Array): Uint8Array {
  const out = new Uint8Array(size).fill(0xff);
  out[0] = 0;
  out[1] = 1;
  out[size - tail.length - 1] = 0;
  out.set(tail, size - tail.length);
  return out;
}

/** The serialized public key (02 §2). */
function keyBlob(n: Uint8Array, exponent: number): string {
  const e = bytes(exponent === 3 ? '03' : '010001');
  return hex(encodePublicKey({ addressVersion: 2, n, e }));
}

function ofKey({ bits, exponent, jwk }: { bits: number; exponent: number; jwk: JsonWebKey }): RsaVector[] {
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  const modulus = new Uint8Array(Buffer.from(jwk.n!, 'base64url'));
  const size = modulus.length;
  const message = filled(bits % 200);
  const key = keyBlob(modulus, exponent);
  const tail = Buffer.concat([DIGEST_INFO, createHash('sha512').update(message).digest()]);
  const raw = (em: Uint8Array): Uint8Array =>
    privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, em);
  const changed = (at: number, value: number): Uint8Array => {
    const em = encoded(size, tail);
    em[at < 0 ? size + at : at] = value;
    return raw(em);
  };
  const garbage = new Uint8Array(size).fill(0xab);
  garbage.set(encoded(size - 40, tail));
  const signature = new Uint8Array(sign('sha512', message, privateKey));
  const flipped = signature.slice();
  flipped[size >> 1]! ^= 1;
  const vector = (name: string, s: Uint8Array, valid: boolean, keyVerdict: number): RsaVector => ({
    name: `${bits} bits, e = ${exponent}: ${name}`,
    modulus: hex(modulus),
    exponent,
    signature: hex(s),
    message: hex(message),
    valid,
    key,
    keyVerdict,
  });
  return [
    vector('valid', signature, true, 1),
    vector('one bit flipped', flipped, false, 2),
    vector('block type 2', changed(1, 2), false, 2),
    vector('padding byte fe', changed(9, 0xfe), false, 2),
    vector('prefix of SHA-384', changed(size - 64 - 19 + 14, 2), false, 2),
    vector('last byte of the digest', changed(-1, tail.at(-1)! ^ 1), false, 2),
    vector('trailing garbage', raw(garbage), false, 2),
    vector('no prefix', raw(encoded(size, tail.subarray(19))), false, 2),
    vector('equal to the modulus', modulus, false, 0),
    vector('zero', new Uint8Array(size), false, 2),
    vector('a byte short', signature.subarray(1), false, 0),
    vector('a byte long', new Uint8Array(size + 1), false, 0),
    { ...vector('another message', signature, false, 2), message: hex(filled(5)) },
    { ...vector('even modulus', signature, false, 0), modulus: hex(evenOf(modulus)), key: '' },
    { ...vector('malformed key', signature, true, 0), key: key.slice(0, -2) },
  ];
}

/** An exponent the kernels leave to node-forge, and so does the engine on WebCrypto. */
function ofExponent17(): Vectors['otherExponents'] {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 17 });
  const n = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url'));
  const message = filled(77);
  const signature = new Uint8Array(sign('sha512', message, privateKey));
  const vector = {
    key: hex(encodePublicKey({ addressVersion: 2, n, e: Uint8Array.of(17) })),
    message: hex(message),
    signature: hex(signature),
  };
  const flipped = signature.slice();
  flipped[100]! ^= 1;
  return [
    { ...vector, name: 'e = 17: valid', valid: true },
    { ...vector, name: 'e = 17: one bit flipped', signature: hex(flipped), valid: false },
    { ...vector, name: 'e = 17: another message', message: hex(filled(5)), valid: false },
  ];
}

function evenOf(modulus: Uint8Array): Uint8Array {
  const out = modulus.slice();
  out[out.length - 1]! &= 0xfe;
  return out;
}

/** Moduli of extreme limb patterns, where the bounds of the kernels are reached. */
function extreme(): RsaVector[] {
  return json<{ name: string; exponent: number; modulus: string; message: string; signature: string }[]>(
    'core/fixtures/rsa-extreme-moduli.json',
  ).map((e) => ({
    ...e,
    name: `${e.name}, e = ${e.exponent}`,
    valid: true,
    key: keyBlob(bytes(e.modulus), e.exponent),
    keyVerdict: 1,
  }));
}

interface Case {
  readonly name: string;
  readonly in: { readonly bytes?: string };
  readonly out: { readonly bytes?: string };
}

export function makeVectors(): Vectors {
  const js = new JsCore();
  const presence = json<{ cases: Case[] }>('vectors/05-presence.json').cases;
  const bytesOf = (prefix: string): string[] =>
    presence
      .filter((c) => c.name.startsWith(prefix))
      .flatMap((c) => c.in.bytes ?? c.out.bytes ?? [])
      .filter((text) => text.length > 0);
  const keepAlives = [...bytesOf('keepalive/v2/'), ...bytesOf('keepalive/decode/')];
  const lock = new TextEncoder().encode('Ixian');
  const table = js.scanKeepAlives(keepAlives.map(bytes));
  const presences = bytesOf('presence/');
  const presenceTable = js.scanPresences(presences.map(bytes));
  const session = json<{ connections: { records: { from: string; hex: string }[] }[] }>(
    'vectors/session-m-s2.json',
  );
  const stream = session.connections[0]!.records.filter((r) => r.from === 'listener')
    .map((r) => r.hex)
    .join('')
    .slice(0, 120_001)
    .replace(/^((?:..)*).$/, '$1');
  const frames = js.scanFrames(bytes(stream), { timeRecords: 5 });
  const varints = [true, false].flatMap((signed) =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((n) => {
      const data = Uint8Array.from(filled(50 + n), (b, i) => (i % 3 === 0 ? b : b & 0x7f));
      return { data: hex(data), signed, words: [...js.decodeVarInts(data, { signed }).words] };
    }),
  );
  const keys = json<{ bits: number; exponent: number; jwk: JsonWebKey }[]>('core/fixtures/rsa-keys.json');
  return {
    hashes: hashes(),
    crc: [...LENGTHS.map(filled), new TextEncoder().encode('123456789')].map((m) => ({
      message: hex(m),
      crc: crcByBit(m),
    })),
    varints,
    frames: { chunk: stream, words: [...frames.words], consumed: frames.consumed },
    keepAlives: {
      messages: keepAlives,
      words: [...table.words],
      lock: hex(lock),
      checksums: hex(js.keepAliveChecksums(keepAlives.map(bytes), table, lock)),
    },
    presences: {
      messages: presences,
      words: [...presenceTable.words],
      addressWords: [...presenceTable.addresses.words],
    },
    rsa: [...keys.flatMap(ofKey), ...extreme()],
    otherExponents: ofExponent17(),
  };
}
