import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ScanField, ScanStatus } from '../../src/core/index.js';
import { ByteReader, ByteWriter, DecodeError, fromHex, toHex } from '../../src/wire/index.js';
import { cores } from './support/cores.js';

interface KeepAliveCase {
  name: string;
  in: { bytes: string };
  out: {
    error?: string;
    version?: number;
    checksum?: string;
    timestamp?: string;
    device?: string;
    host?: string;
  };
  strict?: { accept: boolean };
}
interface KeepAliveV2Case {
  name: string;
  in: { lockBytes: string; timestamp: string; host: string; device: string };
  out: { bytes: string; checksumPreimage: string; checksum: string; signature: string };
}
const all = (
  JSON.parse(readFileSync(new URL('../vectors/05-presence.json', import.meta.url), 'utf8')) as {
    cases: (KeepAliveCase & KeepAliveV2Case)[];
  }
).cases;
const decodeCases: KeepAliveCase[] = all.filter((c) => c.name.startsWith('keepalive/decode/'));
const v2Cases: KeepAliveV2Case[] = all.filter((c) => c.name.startsWith('keepalive/v2/'));

const text = new TextDecoder();
const LOCK = new TextEncoder().encode('Ixian');

interface Fields {
  wallet: Uint8Array;
  device: Uint8Array;
  timestamp: bigint;
  hostname: string;
  type: string;
  pow: Uint8Array;
  signature: Uint8Array;
}

function encode(f: Fields): Uint8Array {
  const w = new ByteWriter();
  w.var(2);
  w.vb(f.wallet);
  w.vb(f.device);
  w.var(f.timestamp);
  w.netstr(f.hostname);
  w.char(f.type);
  w.vb(f.pow);
  w.vb(f.signature);
  return w.bytes();
}

/**
 * The strict rule as docs/protocol/05 §5.1 words it: decode leniently with the codec's reader, encode again, and take
 * only what comes out the same. Null when refused.
 */
function dumbDecode(data: Uint8Array): Fields | null {
  if (data.length > 1200 || data[0] !== 2) return null;
  try {
    const r = new ByteReader(data, 1);
    const wallet = r.vb('wallet');
    const raw =
      (wallet.length === 33 && wallet[0] === 0) ||
      (wallet.length === 45 && (wallet[0] === 1 || wallet[0] === 2));
    if (!raw) return null;
    const fields: Fields = {
      wallet,
      device: r.vb('device'),
      timestamp: r.uvar('timestamp'),
      hostname: r.netstr('hostname'),
      type: r.char('type'),
      pow: r.vb('pow'),
      signature: r.vb('signature'),
    };
    if (fields.timestamp > 0x7fff_ffff_ffff_ffffn) return null;
    return toHex(encode(fields)) === toHex(data) ? fields : null;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}

const wallet = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((h) => Uint8Array.of(0, ...h)),
  fc
    .tuple(fc.constantFrom(1, 2), fc.uint8Array({ minLength: 44, maxLength: 44 }))
    .map(([v, h]) => Uint8Array.of(v, ...h)),
);
const keepAlive: fc.Arbitrary<Fields> = fc.record({
  wallet,
  device: fc.uint8Array({ maxLength: 20 }),
  timestamp: fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 63n - 1n), fc.constant(1767225600n)),
  hostname: fc.oneof(
    fc.constant('8.8.8.8:10235'),
    fc.string({ unit: 'grapheme', maxLength: 30 }),
    fc.string({ minLength: 120, maxLength: 140 }),
  ),
  type: fc.constantFrom('M', 'H', 'R', 'C'),
  pow: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ minLength: 240, maxLength: 260 })),
  signature: fc.oneof(fc.constant(new Uint8Array(512).fill(7)), fc.uint8Array({ maxLength: 20 })),
});

/** Good ones, damaged ones, cut ones, and noise. */
const input = fc.oneof(
  keepAlive.map(encode),
  fc
    .tuple(
      keepAlive.map(encode),
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 3 }),
    )
    .map(([data, changes]) => {
      const out = data.slice();
      for (const [at, value] of changes) out[at % out.length] = value;
      return out;
    }),
  fc.tuple(keepAlive.map(encode), fc.nat(700)).map(([data, at]) => data.slice(0, at)),
  fc
    .tuple(keepAlive.map(encode), fc.uint8Array({ maxLength: 700 }))
    .map(([data, tail]) => Uint8Array.of(...data, ...tail)),
  fc.uint8Array({ maxLength: 80 }),
  fc.uint8Array({ maxLength: 80 }).map((noise) => Uint8Array.of(2, ...noise)),
);

describe.each(cores)('keep-alive scan, %s', (_engine, core) => {
  it.each(decodeCases.map((c) => [c.name, c] as const))('%s', (_name, c) => {
    const data = fromHex(c.in.bytes);
    const table = core.scanKeepAlives([data]);
    const first = data[0];
    if (first === 0 || first === 1) {
      // The old layout is recognised and left to the codec, good or bad.
      expect(table.status(0)).toBe(ScanStatus.legacy);
      return;
    }
    const accepted = c.out.error === undefined && c.strict?.accept !== false;
    expect(table.status(0) === ScanStatus.ok).toBe(accepted);
    if (!accepted) return;
    expect(table.timestamp(0)).toBe(BigInt(c.out.timestamp!));
    expect(toHex(table.device(0, data))).toBe(c.out.device);
    expect(text.decode(table.hostname(0, data))).toBe(c.out.host);
    expect(toHex(core.keepAliveChecksums([data], table, LOCK))).toBe(c.out.checksum);
  });

  it.each(v2Cases.map((c) => [c.name, c] as const))('%s: fields, preimage, checksum', (_name, c) => {
    const data = fromHex(c.out.bytes);
    const lock = fromHex(c.in.lockBytes);
    const table = core.scanKeepAlives([data]);
    expect(table.status(0)).toBe(ScanStatus.ok);
    expect(toHex(lock) + toHex(data.subarray(0, table.signedBytes(0)))).toBe(c.out.checksumPreimage);
    expect(toHex(core.keepAliveChecksums([data], table, lock))).toBe(c.out.checksum);
    expect(toHex(table.signature(0, data))).toBe(c.out.signature);
    expect(table.timestamp(0)).toBe(BigInt(c.in.timestamp));
    expect(text.decode(table.hostname(0, data))).toBe(c.in.host);
  });

  it('takes exactly what decoding and encoding again leaves unchanged', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.array(input, { minLength: 1, maxLength: 4 }), (messages) => {
        const table = core.scanKeepAlives(messages);
        messages.forEach((data, i) => {
          const want = dumbDecode(data);
          expect(table.status(i) === ScanStatus.ok).toBe(want !== null);
          if (want === null) {
            expect(table.failureOffset(i)).toBeLessThanOrEqual(data.length);
            return;
          }
          taken++;
          expect(toHex(table.wallet(i, data))).toBe(toHex(want.wallet));
          expect(toHex(table.device(i, data))).toBe(toHex(want.device));
          expect(table.timestamp(i)).toBe(want.timestamp);
          expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(table.hostname(i, data))).toBe(
            want.hostname,
          );
          expect(String.fromCharCode(table.type(i))).toBe(want.type);
          expect(toHex(table.pow(i, data))).toBe(toHex(want.pow));
          expect(toHex(table.signature(i, data))).toBe(toHex(want.signature));
        });
      }),
      { numRuns: 1000 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  it('refuses every proper prefix and says how far it came', () => {
    const data = fromHex(v2Cases[0]!.out.bytes);
    const prefixes = Array.from({ length: data.length }, (_, n) => data.slice(0, n));
    const table = core.scanKeepAlives(prefixes);
    for (let n = 0; n < prefixes.length; n++) {
      expect(table.status(n)).toBe(ScanStatus.eof);
      expect(table.failureOffset(n)).toBeLessThanOrEqual(n);
    }
    expect(table.field(data.length - 1)).toBe(ScanField.signature);
  });

  it.each([
    ['over-long', [0xc0, 0xaf]],
    ['over-long of three', [0xe0, 0x80, 0xaf]],
    ['surrogate', [0xed, 0xa0, 0x80]],
    ['above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['lone continuation', [0x80]],
    ['cut', [0xe2, 0x82]],
    ['lead f5', [0xf5, 0x80, 0x80, 0x80]],
  ])('refuses a hostname with malformed UTF-8: %s', (_name, bad) => {
    const good = encode({
      wallet: new Uint8Array(33),
      device: Uint8Array.of(1),
      timestamp: 1n,
      hostname: 'x'.repeat(bad.length),
      type: 'C',
      pow: new Uint8Array(0),
      signature: new Uint8Array(3),
    });
    expect(core.scanKeepAlives([good]).status(0)).toBe(ScanStatus.ok);
    // version, wallet and its length, device and its length, timestamp, hostname's length
    good.set(bad, 1 + 34 + 2 + 1 + 1);
    const table = core.scanKeepAlives([good]);
    expect([table.status(0), table.field(0)]).toEqual([ScanStatus.format, ScanField.hostname]);
  });

  it.each([
    ['device length in two bytes', 'device', [0xfc, 1, 0, 9], ScanField.device, ScanStatus.notCanonical],
    [
      'device length in four bytes',
      'device',
      [0xfd, 1, 0, 0, 0, 9],
      ScanField.device,
      ScanStatus.notCanonical,
    ],
    ['timestamp 247 in two bytes', 'timestamp', [0xfc, 247, 0], ScanField.timestamp, ScanStatus.notCanonical],
    [
      'timestamp 65535 in four bytes',
      'timestamp',
      [0xfd, 255, 255, 0, 0],
      ScanField.timestamp,
      ScanStatus.notCanonical,
    ],
    [
      'timestamp 2^32 − 1 in eight bytes',
      'timestamp',
      [0xfe, 255, 255, 255, 255, 0, 0, 0, 0],
      ScanField.timestamp,
      ScanStatus.notCanonical,
    ],
    ['timestamp 2^63', 'timestamp', [0xfe, 0, 0, 0, 0, 0, 0, 0, 0x80], ScanField.timestamp, ScanStatus.range],
    ['negative timestamp', 'timestamp', [0xf8, 1, 0], ScanField.timestamp, ScanStatus.badLead],
    [
      'hostname length in two groups',
      'hostname',
      [0x82, 0x00, 0x61, 0x62],
      ScanField.hostname,
      ScanStatus.notCanonical,
    ],
    [
      'hostname length with bit 31',
      'hostname',
      [0xff, 0xff, 0xff, 0xff, 0x0f],
      ScanField.hostname,
      ScanStatus.range,
    ],
    [
      'hostname length of 36 bits',
      'hostname',
      [0xff, 0xff, 0xff, 0xff, 0x1f],
      ScanField.hostname,
      ScanStatus.format,
    ],
    ['type that is not ASCII', 'type', [0xc3, 0xa9], ScanField.type, ScanStatus.format],
  ] as const)('refuses a field not in its one form: %s', (_name, part, bytes, field, status) => {
    const parts = {
      version: [2],
      wallet: [33, ...new Uint8Array(33)],
      device: [1, 9],
      timestamp: [5],
      hostname: [2, 0x61, 0x62],
      type: [0x43],
      pow: [0],
      signature: [2, 1, 2],
    };
    const message = (p: Record<string, readonly number[]>): Uint8Array =>
      Uint8Array.from(Object.values(p).flat());
    expect(core.scanKeepAlives([message(parts)]).status(0)).toBe(ScanStatus.ok);
    const table = core.scanKeepAlives([message({ ...parts, [part]: bytes })]);
    expect([table.field(0), table.status(0)]).toEqual([field, status]);
  });

  it.each([
    ['timestamp', [0xfc, 248, 0], 248n],
    ['timestamp', [0xfd, 0, 0, 1, 0], 65536n],
    ['timestamp', [0xfe, 0, 0, 0, 0, 1, 0, 0, 0], 2n ** 32n],
    ['timestamp', [0xfe, 255, 255, 255, 255, 255, 255, 255, 0x7f], 2n ** 63n - 1n],
  ] as const)('takes the smallest and largest of a form: %s %j', (_name, bytes, want) => {
    const message = Uint8Array.of(2, 33, ...new Uint8Array(33), 0, ...bytes, 0, 0x43, 0, 0);
    const table = core.scanKeepAlives([message]);
    expect([table.status(0), table.timestamp(0)]).toEqual([ScanStatus.ok, want]);
  });

  it('caps the size at 1200 bytes', () => {
    const sized = (bytes: number): Uint8Array => {
      const f = {
        wallet: new Uint8Array(33),
        device: Uint8Array.of(1),
        timestamp: 1n,
        hostname: '',
        type: 'C',
        pow: new Uint8Array(0),
        signature: new Uint8Array(512),
      };
      return encode({ ...f, signature: new Uint8Array(512 + bytes - encode(f).length) });
    };
    const table = core.scanKeepAlives([sized(1200), sized(1201)]);
    expect([table.status(0), table.status(1)]).toEqual([ScanStatus.ok, ScanStatus.tooLong]);
  });

  it('hashes nothing for a refused message', () => {
    const good = fromHex(v2Cases[0]!.out.bytes);
    const messages = [good.slice(0, 40), good];
    const sums = core.keepAliveChecksums(messages, core.scanKeepAlives(messages), LOCK);
    expect([...sums.subarray(0, 44)]).toEqual(Array(44).fill(0));
    const signed = core.scanKeepAlives(messages).signedBytes(1);
    const once = createHash('sha3-512').update(LOCK).update(good.subarray(0, signed)).digest();
    const twice = createHash('sha3-512').update(once).digest('hex').slice(0, 88);
    expect(toHex(sums.subarray(44))).toBe(twice);
  });

  it('refuses a table of other messages and a lock that is too long', () => {
    const good = fromHex(v2Cases[0]!.out.bytes);
    const table = core.scanKeepAlives([good]);
    expect(() => core.keepAliveChecksums([], table, LOCK)).toThrow(RangeError);
    expect(() => core.keepAliveChecksums([good.slice(0, 10)], table, LOCK)).toThrow(RangeError);
    expect(() => core.keepAliveChecksums([good], table, new Uint8Array(65))).toThrow(RangeError);
    expect(() => core.scanKeepAlives(['x' as unknown as Uint8Array])).toThrow(TypeError);
  });
});

it('both implementations write the same words', () => {
  const [wasm, js] = cores.map(([, core]) => core);
  fc.assert(
    fc.property(fc.array(input, { maxLength: 3 }), (messages) => {
      expect([...wasm!.scanKeepAlives(messages).words]).toEqual([...js!.scanKeepAlives(messages).words]);
    }),
    { numRuns: 1000 },
  );
});
