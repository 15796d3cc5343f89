import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  concatBytes,
  encodeFrame,
  encodeTimeRecord,
  FrameTooLarge,
  fromHex,
  StreamParser,
  type StreamSink,
  toHex,
} from '../../src/wire/index.js';
import { fuzzSeed, generator, Recorder, randomBytesOf } from './support.js';

function parsed(chunks: readonly Uint8Array[], payloadMax?: (code: number) => number): string[] {
  const r = new Recorder();
  const p = new StreamParser(payloadMax === undefined ? {} : { payloadMax });
  try {
    for (const c of chunks) p.push(c, r);
  } catch (e) {
    if (!(e instanceof FrameTooLarge)) throw e;
    r.events.push(`too large ${e.code} ${e.length} ${e.max}`);
  }
  return r.events;
}

/** Cuts bytes at the given positions. */
function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = [...new Set(at.map((x) => x % (bytes.length + 1)))].sort((a, b) => a - b);
  const out: Uint8Array[] = [];
  let from = 0;
  for (const p of [...places, bytes.length]) {
    out.push(bytes.slice(from, p));
    from = p;
  }
  return out;
}

const frame = (code: number, hex: string): Uint8Array => encodeFrame(code, fromHex(hex));
const none: StreamSink = { frame() {}, time() {}, byte() {} };

describe('StreamParser', () => {
  it('hands out the same records wherever the chunks are cut', () => {
    const record = fc.oneof(
      fc
        .tuple(fc.integer({ min: 0, max: 65535 }), fc.uint8Array({ minLength: 1, maxLength: 60 }))
        .map(([code, payload]) => encodeFrame(code, payload)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(encodeTimeRecord),
      fc.uint8Array({ maxLength: 20 }),
      // Broken headers, with and without a start byte inside.
      fc.uint8Array({ minLength: 11, maxLength: 11 }).map((b) => Uint8Array.of(0xea, ...b)),
      fc.constant(fromHex('eaeaeaea')),
    );
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (records, at) => {
          const bytes = concatBytes(...records);
          expect(parsed(cut(bytes, at))).toEqual(parsed([bytes]));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes random bytes one by one as it takes them at once, without ever throwing something else', () => {
    const seed = fuzzSeed();
    const random = generator(seed);
    for (let i = 0; i < 150; i++) {
      // Mostly the bytes that mean something.
      const bytes = randomBytesOf(random, 200).map((b) => (b < 60 ? 0xea : b < 90 ? 2 : b));
      const single = [...bytes].map((b) => Uint8Array.of(b));
      expect(parsed(single), `seed ${seed}, round ${i}`).toEqual(parsed([bytes]));
    }
  });

  it('hands out a frame inside one chunk without copying it', () => {
    const chunk = concatBytes(frame(26, 'aabb'), frame(34, 'cc'));
    const views: Uint8Array[] = [];
    new StreamParser().push(chunk, { ...none, frame: (_c, payload) => void views.push(payload) });
    expect(views.map((v) => v.buffer === chunk.buffer)).toEqual([true, true]);
  });

  it('never hands out a Buffer, whose slice is no copy', () => {
    const seen: boolean[] = [];
    new StreamParser().push(Buffer.from(frame(26, 'aabb')), {
      ...none,
      frame: (_c, p) => void seen.push(p.constructor === Uint8Array),
    });
    expect(seen).toEqual([true]);
  });

  it('marks a wrong checksum and goes on', () => {
    const bad = frame(26, '010203');
    bad[12]! ^= 1;
    expect(parsed([concatBytes(bad, frame(48, '4d'))])).toEqual([
      'frame 26 000203 false',
      'frame 48 4d true',
    ]);
  });

  it('finds a frame inside a rejected header, but never inside an accepted one', () => {
    const inner = frame(48, '4d');
    expect(parsed([concatBytes(fromHex('ea00000000'), inner)])).toEqual(['frame 48 4d true']);
    expect(parsed([concatBytes(frame(26, 'ea'), inner)])).toEqual(['frame 26 ea true', 'frame 48 4d true']);
    // Nothing but another start byte counts there: a 02 in a broken header is no time record.
    expect(parsed([fromHex('ea0202020202020202020202'), inner])).toEqual(['frame 48 4d true']);
  });

  it('takes an empty frame for nothing', () => {
    expect(parsed([concatBytes(encodeFrame(53, new Uint8Array(0)), frame(48, '4d'))])).toEqual([
      'frame 48 4d true',
    ]);
  });

  it('reads five time records and scans a sixth', () => {
    const p = new StreamParser();
    const r = new Recorder();
    for (let i = 0; i < 6; i++) p.push(encodeTimeRecord(i), r);
    expect(p.timeRecords).toBe(5);
    expect(r.events.slice(0, 5)).toEqual(['time 0', 'time 1', 'time 2', 'time 3', 'time 4']);
    expect(r.events.slice(5)).toEqual(['byte 2', 'byte 5', ...Array<string>(7).fill('byte 0')]);
  });

  it('closes on a frame above the cap of its code, at once and for good', () => {
    const max = (code: number): number => (code === 26 ? 10 : 5);
    const eight = frame(26, '0011223344556677');
    expect(parsed([eight], max)).toHaveLength(1);
    const p = new StreamParser({ payloadMax: max });
    const r = new Recorder();
    expect(() => p.push(concatBytes(frame(34, '001122334455'), eight), r)).toThrow(
      expect.objectContaining({ name: 'FrameTooLarge', code: 34, length: 6, max: 5 }),
    );
    p.push(eight, r);
    expect(r.events).toEqual([]);
  });

  it('closes on more than 50,000,000 bytes whatever the caps say', () => {
    const header = fromHex('ea080081f0fa020000000014');
    expect(parsed([header], () => Number.MAX_SAFE_INTEGER)).toEqual(['too large 8 50000001 50000000']);
  });

  it('holds no more than what has arrived of an announced frame', () => {
    const p = new StreamParser();
    // 50,000,000 announced, a valid header of code 8.
    p.push(fromHex('ea080080f0fa021469ec7afe'), none);
    expect(p.pendingBytes).toBe(12);
    const before = process.memoryUsage().arrayBuffers;
    p.push(new Uint8Array(1000), none);
    expect(p.pendingBytes).toBe(1012);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });

  it('collects a frame of many chunks and reuses its buffer without mixing frames up', () => {
    const random = generator(7);
    const payloads = [100_000, 3, 40_000, 70_000, 1].map((n) => randomBytesOf(random, n));
    const chunks = cut(
      concatBytes(...payloads.map((p) => encodeFrame(26, p))),
      Array.from({ length: 60 }, () => Math.floor(random() * 210_000)),
    );
    const got: Uint8Array[] = [];
    const p = new StreamParser();
    for (const c of chunks)
      p.push(c, {
        ...none,
        frame: (_c, payload, valid) => {
          expect(valid).toBe(true);
          got.push(payload.slice());
        },
      });
    // Not toEqual: it takes seconds for arrays of this size.
    expect(got.map(toHex)).toEqual(payloads.map(toHex));
    expect(p.pendingBytes).toBe(0);
  });

  it('stops where a sink says so', () => {
    const p = new StreamParser();
    const codes: number[] = [];
    p.push(concatBytes(frame(1, '00'), frame(2, '00'), frame(3, '00')), {
      ...none,
      frame: (code) => {
        codes.push(code);
        if (code === 2) p.stop();
      },
    });
    p.push(frame(4, '00'), { ...none, frame: (code) => void codes.push(code) });
    expect(codes).toEqual([1, 2]);
  });
});
