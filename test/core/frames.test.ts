import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Core, FrameScanOptions } from '../../src/core/api.js';
import { FrameKind, type FrameTable } from '../../src/core/index.js';
import { cores } from './support/cores.js';

interface Row {
  kind: number;
  offset: number;
  bytes: number;
  code: number;
  crcHolds: boolean;
  crc: number;
}

interface Scan {
  rows: Row[];
  consumed: number;
  timeRecords: number;
  missing: number;
}

function crcByBit(data: readonly number[]): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const u32 = (v: number): number[] => [v & 255, (v >>> 8) & 255, (v >>> 16) & 255, v >>> 24];
const fromU32 = (d: readonly number[], at: number): number =>
  d[at]! + d[at + 1]! * 256 + d[at + 2]! * 65536 + d[at + 3]! * 16777216;

/** docs/protocol/03 §2.1, as plainly as it can be written. */
function header(code: number, length: number, crc: number): number[] {
  const h = [0xea, code & 255, code >>> 8, ...u32(length), ...u32(crc)];
  return [...h, h.reduce((a, b) => a ^ b, 0x7f)];
}

function frame(code: number, payload: readonly number[]): number[] {
  return [...header(code, payload.length, crcByBit(payload)), ...payload];
}

/** The state machine of 03 §2.3 and §2.4 over an array of numbers. */
function dumbScan(d: readonly number[], due: number, rescan: boolean): Scan {
  const rows: Row[] = [];
  let timeRecords = due;
  let at = 0;
  const row = (kind: number, bytes: number, more: Partial<Row> = {}): void => {
    rows.push({ kind, offset: at, bytes, code: 0, crcHolds: false, crc: 0, ...more });
  };
  const done = (missing = 0): Scan => ({ rows, consumed: at, timeRecords, missing });
  while (at < d.length) {
    const left = d.length - at;
    if (d[at] === 2 && timeRecords > 0) {
      if (left < 9) {
        row(FrameKind.partial, 9);
        return done(9 - left);
      }
      row(FrameKind.time, 9);
      timeRecords--;
      at += 9;
    } else if (d[at] === 0xea) {
      if (left < 12) {
        row(FrameKind.partial, 12);
        return done(12 - left);
      }
      const code = d[at + 1]! + 256 * d[at + 2]!;
      const length = fromU32(d, at + 3);
      const crc = fromU32(d, at + 7);
      const good = d.slice(at, at + 11).reduce((a, b) => a ^ b, 0x7f) === d[at + 11];
      if (!good || length === 0) {
        const skip = !good && rescan ? 1 : 12;
        row(FrameKind.rejected, skip, { code, crc });
        at += skip;
      } else if (length > 50_000_000) {
        row(FrameKind.oversize, length, { code, crc });
        return done();
      } else if (left < 12 + length) {
        row(FrameKind.partial, 12 + length, { code, crc });
        return done(12 + length - left);
      } else {
        const crcHolds = crcByBit(d.slice(at + 12, at + 12 + length)) === crc;
        row(FrameKind.frame, 12 + length, { code, crc, crcHolds });
        at += 12 + length;
      }
    } else {
      const last = rows.at(-1);
      if (last?.kind === FrameKind.bytes && last.offset + last.bytes === at) last.bytes++;
      else row(FrameKind.bytes, 1);
      at++;
    }
  }
  return done();
}

function read(table: FrameTable): Scan {
  const rows: Row[] = [];
  for (let i = 0; i < table.count; i++) {
    rows.push({
      kind: table.kind(i),
      offset: table.offset(i),
      bytes: table.bytes(i),
      code: table.code(i),
      crcHolds: table.crcHolds(i),
      crc: table.crc(i),
    });
  }
  return { rows, consumed: table.consumed, timeRecords: table.timeRecords, missing: table.missingBytes };
}

const scan = (core: Core, data: readonly number[], options?: FrameScanOptions): Scan =>
  read(core.scanFrames(Uint8Array.from(data), options));

/** Streams of frames, damaged frames, time records, pings and garbage, cut anywhere. */
const byte = fc.nat(255);
const payload = fc.array(byte, { minLength: 1, maxLength: 40 });
const goodFrame = fc.tuple(fc.nat(65535), payload).map(([code, p]) => frame(code, p));
const damaged = fc.tuple(goodFrame, fc.nat(60), fc.integer({ min: 1, max: 255 })).map(([f, at, x]) => {
  const out = [...f];
  out[at % out.length]! ^= x;
  return out;
});
const piece = fc.oneof(
  { weight: 4, arbitrary: goodFrame },
  { weight: 2, arbitrary: damaged },
  { weight: 2, arbitrary: fc.array(byte, { minLength: 8, maxLength: 8 }).map((t) => [2, ...t]) },
  fc.constantFrom([1], [0], [2], [0xea], [0xea, 0xea, 0xea]),
  fc.array(byte, { maxLength: 20 }),
  fc.constantFrom(
    header(5, 0, 0),
    header(8, 50_000_001, 1),
    header(8, 0xffffffff, 0),
    header(9, 50_000_000, 7),
  ),
);
const stream = fc
  .tuple(fc.array(piece, { maxLength: 12 }), fc.nat(400))
  .map(([pieces, cut]) => pieces.flat().slice(0, cut));

interface StreamCase {
  name: string;
  line: string;
  in: { bytes: string };
  out: {
    frames: { code: number; payload: string; headerCrc: string; crcValid: boolean }[];
    timeSyncSamples: number;
  };
  strict?: { accept: boolean };
}
const vectors = (
  JSON.parse(readFileSync(new URL('../vectors/03-wire.json', import.meta.url), 'utf8')) as {
    cases: StreamCase[];
  }
).cases.filter((c) => c.name.startsWith('stream/'));

describe.each(cores)('frame scan, %s', (_engine, core) => {
  it.each(vectors.map((c) => [`${c.name} [${c.line}]`, c] as const))('%s', (_name, c) => {
    const data = Buffer.from(c.in.bytes, 'hex');
    const table = core.scanFrames(data, { timeRecords: 5 });
    const frames = [];
    let oversize = false;
    for (let i = 0; i < table.count; i++) {
      if (table.kind(i) === FrameKind.oversize) oversize = true;
      if (table.kind(i) !== FrameKind.frame) continue;
      const at = table.payloadOffset(i);
      frames.push({
        code: table.code(i),
        payload: data.subarray(at, at + table.payloadBytes(i)).toString('hex'),
        headerCrc: table.crc(i).toString(16).padStart(8, '0'),
        crcValid: table.crcHolds(i),
      });
    }
    // Where the vector or its strict note ends the connection, the scan ends with the oversize row.
    const ends = c.strict?.accept === false || ('error' in c.out && c.out.error !== null);
    expect(oversize).toBe(ends);
    expect(frames).toEqual(ends ? [] : c.out.frames);
    expect(5 - table.timeRecords).toBe(c.out.timeSyncSamples);
  });

  it('cuts random streams as the plain state machine does', () => {
    fc.assert(
      fc.property(stream, fc.nat(5), fc.boolean(), (data, timeRecords, rescan) => {
        expect(scan(core, data, { timeRecords, rescan })).toEqual(dumbScan(data, timeRecords, rescan));
      }),
      { numRuns: 1000 },
    );
  });

  it('finds the frame inside a damaged header only when told to rescan', () => {
    const data = [0xea, 0, 0, 0, 0, ...frame(26, [1, 2, 3]), ...frame(48, [9])];
    const codes = (s: Scan): number[] => s.rows.filter((r) => r.kind === FrameKind.frame).map((r) => r.code);
    expect(codes(scan(core, data))).toEqual([48]);
    expect(codes(scan(core, data, { rescan: true }))).toEqual([26, 48]);
  });

  it('goes on where a full table stopped it', () => {
    fc.assert(
      fc.property(stream, fc.integer({ min: 1, max: 5 }), (data, rowsMax) => {
        const whole = dumbScan(data, 5, true).rows.filter((r) => r.kind !== FrameKind.bytes);
        const rows: Row[] = [];
        let at = 0;
        let timeRecords = 5;
        for (;;) {
          const part = scan(core, data.slice(at), { timeRecords, rescan: true, rowsMax });
          rows.push(...part.rows.map((r) => ({ ...r, offset: r.offset + at })));
          at += part.consumed;
          timeRecords = part.timeRecords;
          if (part.rows.length < rowsMax || at === data.length || part.consumed === 0) break;
          // A partial or oversize record in the last row was the end.
          const kind = part.rows.at(-1)!.kind;
          if (kind === FrameKind.partial || kind === FrameKind.oversize) break;
        }
        expect(rows.filter((r) => r.kind !== FrameKind.bytes)).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  it('tells code and size of a frame as soon as its header is there', () => {
    const data = frame(26, [1, 2, 3, 4]);
    expect(scan(core, data.slice(0, 11)).rows).toMatchObject([
      { kind: FrameKind.partial, bytes: 12, code: 0 },
    ]);
    expect(scan(core, data.slice(0, 12))).toMatchObject({
      rows: [{ kind: FrameKind.partial, bytes: 16, code: 26 }],
      consumed: 0,
      missing: 4,
    });
  });

  it('refuses what is not bytes and limits that make no sense', () => {
    expect(() => core.scanFrames([1] as unknown as Uint8Array)).toThrow(TypeError);
    expect(() => core.scanFrames(new Uint8Array(1), { rowsMax: 0 })).toThrow(RangeError);
    expect(() => core.scanFrames(new Uint8Array(1), { timeRecords: -1 })).toThrow(RangeError);
  });
});
