import { describe, expect, it } from 'vitest';
import { crc32c } from '../../src/core/index.js';
import {
  Code,
  encodeBye,
  encodeDetachEvent,
  encodeFrame,
  encodeGetRandomPresences,
  encodeTimeRecord,
  encodeTimeRecords,
  frameAround,
  framePayloadBytesMax,
  fromHex,
  judgeLength,
  payloadBytesMaxOf,
  preHelloPayloadBytesMaxOf,
  readFrameHeader,
  StreamParser,
  timeDifferenceSeconds,
  timeSamplesMs,
  toHex,
} from '../../src/wire/index.js';

// Worked examples of docs/protocol/03 §2.1 and 04 §1.4.
describe('frames', () => {
  it('are those of the specification', () => {
    expect(toHex(encodeFrame(Code.getRandomPresences, encodeGetRandomPresences('M')))).toBe(
      'ea3000010000003e022eac1a4d',
    );
    expect(toHex(encodeFrame(Code.bye, encodeBye({ code: 200, text: 'Test OK', data: '' })))).toBe(
      'ea02000d000000c5b91def14c80000000754657374204f4b00',
    );
    expect(toHex(encodeFrame(Code.detachEvent, encodeDetachEvent({ type: -1, item: null })))).toBe(
      'ea290008000000ffffffffb4ffffffff00000000',
    );
  });

  it('are handed on as they came, however they were cut', () => {
    const frames = [5, 600, 70_000].map((n, i) => encodeFrame(Code.s2data, new Uint8Array(n).fill(i + 1)));
    const stream = new Uint8Array(frames.reduce((n, f) => n + f.length, 0));
    let at = 0;
    for (const f of frames) {
      stream.set(f, at);
      at += f.length;
    }
    for (const cut of [1, 7, 12, 13, 617, 4_096, stream.length]) {
      const parser = new StreamParser();
      const found: Uint8Array[] = [];
      const sink = {
        frame: (code: number, payload: Uint8Array) => void found.push(frameAround(code, payload)),
        time: () => undefined,
        byte: () => undefined,
      };
      for (let i = 0; i < stream.length; i += cut) parser.push(stream.slice(i, i + cut), sink);
      expect(found.map((f) => Buffer.compare(f, frames[found.indexOf(f)]!))).toEqual([0, 0, 0]);
    }
  });

  it('are made anew where the payload came alone, under another code, or behind something else', () => {
    const payload = new Uint8Array(40).fill(9);
    const frame = encodeFrame(Code.s2data, payload);
    expect(frameAround(Code.s2data, payload)).toEqual(frame);
    const inside = frame.subarray(12);
    expect(frameAround(Code.s2data, inside).buffer).toBe(frame.buffer);
    expect(frameAround(Code.bye, inside)).toEqual(encodeFrame(Code.bye, payload));
    expect(frameAround(Code.s2data, inside.subarray(1))).toEqual(
      encodeFrame(Code.s2data, payload.subarray(1)),
    );
    frame[0] = 0;
    expect(frameAround(Code.s2data, inside)).toEqual(encodeFrame(Code.s2data, payload));
  });

  it('refuse what no header can say', () => {
    expect(() => encodeFrame(-1, new Uint8Array(1))).toThrow(RangeError);
    expect(() => encodeFrame(0x10000, new Uint8Array(1))).toThrow(RangeError);
    expect(() => encodeFrame(1.5, new Uint8Array(1))).toThrow(RangeError);
    expect(() => encodeFrame(8, new Uint8Array(framePayloadBytesMax + 1))).toThrow(RangeError);
  });

  it('are read back with code, length and checksum', () => {
    const frame = encodeFrame(60, fromHex('0102'));
    expect(readFrameHeader(frame)).toEqual({ code: 60, length: 2, crc: crcOf(frame) });
    expect(crcOf(frame)).toBe(crc32c(fromHex('0102')));
    expect(judgeLength({ code: 60, length: 0, crc: 0 })).toBe('empty');
    expect(judgeLength({ code: 60, length: 10, crc: 0 }, 9)).toBe('oversize');
    expect(judgeLength({ code: 60, length: 10, crc: 0 }, 10)).toBe('ok');
    expect(judgeLength({ code: 60, length: framePayloadBytesMax + 1, crc: 0 }, Number.MAX_VALUE)).toBe(
      'oversize',
    );
  });

  it('have a cap for every code, a small one before the handshake', () => {
    for (const code of Object.values(Code)) {
      expect(payloadBytesMaxOf(code)).toBeGreaterThan(0);
      expect(payloadBytesMaxOf(code)).toBeLessThanOrEqual(framePayloadBytesMax);
      expect(preHelloPayloadBytesMaxOf(code)).toBeLessThanOrEqual(16 * 1024);
    }
    expect(payloadBytesMaxOf(Code.s2data)).toBe(2 * 1024 * 1024);
    expect(payloadBytesMaxOf(Code.s2data, 'C')).toBe(2 * 1024 * 1024);
    // The largest frames there are never come from a client.
    expect(payloadBytesMaxOf(Code.transactionsChunk3, 'M')).toBe(framePayloadBytesMax);
    expect(payloadBytesMaxOf(Code.transactionsChunk3, 'C')).toBe(64 * 1024);
  });
});

const crcOf = (frame: Uint8Array): number => new DataView(frame.buffer).getUint32(7, true);

describe('time records', () => {
  it('are that of the specification, five of them', () => {
    expect(toHex(encodeTimeRecord(1767225600123))).toBe('027ba8da769b010000');
    expect(toHex(encodeTimeRecords(1767225600123n))).toBe('027ba8da769b010000'.repeat(5));
  });

  it('give samples relative to the record before', () => {
    const received = [
      { at: 10_500, sent: 9_000 },
      { at: 10_600, sent: 9_100 },
      { at: 14_000, sent: 9_200 },
    ];
    // d0 = 1500; d1 = 10500 − 9100; d2 = 10600 − 9200, whatever the third took on its way.
    expect(timeSamplesMs(received)).toEqual([1500, 1400, 1400]);
    expect(timeDifferenceSeconds(timeSamplesMs(received))).toBe(1);
    expect(Object.is(timeDifferenceSeconds([-999]), 0)).toBe(true);
  });
});
