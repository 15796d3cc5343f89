import { describe, expect, test } from 'vitest';
import { Flow } from '../../src/load/activities/flow.js';
import type { LoadClient } from '../../src/load/client.js';
import { FrameReader, frameBytesMax } from '../../src/load/frame-reader.js';
import { MessageReader, MessageWriter, messageBytesMax, messageBytesMin } from '../../src/load/message.js';
import { withPrefix } from '../../src/load/socket.js';
import { decodeStreamMessage, envelopeOf } from '../../src/messages/index.js';
import { Code, encodeFrame, encodeTimeRecords, readFrameHeader } from '../../src/wire/index.js';

const a = new Uint8Array(45).fill(7).with(0, 1);
const b = new Uint8Array(45).fill(9).with(0, 1);
const writer = (size: number, kind: 'tcp' | 'ws' = 'tcp'): MessageWriter =>
  new MessageWriter(kind, 77, 5, a, b, size);

describe('load messages', () => {
  test.each([messageBytesMin, 300, 512, 513, 4096, messageBytesMax])(
    'of %i bytes are ordinary ones',
    (size) => {
      const w = writer(size);
      for (const sequence of [0, 1, 2 ** 32 - 1]) {
        const frame = w.next(sequence, 12345.678);
        const header = readFrameHeader(frame)!;
        expect(header).toMatchObject({ code: Code.s2data, length: size });
        const payload = frame.slice(12);
        const m = decodeStreamMessage(payload);
        expect(m.sender).toEqual(a);
        expect(m.recipient).toEqual(b);
        expect(envelopeOf(payload).recipient).toEqual(b);
        expect(encodeFrame(Code.s2data, payload)).toEqual(frame.slice());
        const r = new MessageReader(77);
        expect(r.read(frame, 12, size, header.crc)).toBe('ours');
        expect(r).toMatchObject({ flow: 5, sequence, intendedMs: 12345.678 });
        expect(r.failed(m.id)).toEqual({ flow: 5, sequence });
        expect(new MessageReader(78).read(frame, 12, size, header.crc)).toBe('foreign');
      }
    },
  );

  test('every size but two can be had', () => {
    const missed = [];
    for (let size = messageBytesMin; size < 600; size++)
      if (writer(size).wireBytes !== size + 12) missed.push(size);
    expect(missed).toHaveLength(2);
    for (const size of [messageBytesMin - 1, messageBytesMax + 1, 300.5])
      expect(() => writer(size)).toThrow(RangeError);
  });

  test('any altered byte is found out, even when the frame is made anew', () => {
    const size = 200;
    const whole = writer(size).next(3, 1).slice(12);
    for (let i = 0; i < size; i++) {
      const altered = whole.with(i, whole[i]! ^ 0x10);
      const frame = encodeFrame(Code.s2data, altered);
      const verdict = new MessageReader(77).read(frame, 12, size, readFrameHeader(frame)!.crc);
      // The last bytes, timestamp and flags, are under the frame's checksum alone; the first are our mark.
      if (i >= size - 7) expect(verdict).toBe('ours');
      else expect(verdict).not.toBe('ours');
      expect(
        new MessageReader(77).read(frame, 12, size, readFrameHeader(encodeFrame(0, whole))!.crc),
      ).not.toBe('ours');
    }
  });

  test('kept bytes stay as they are', () => {
    const w = writer(300);
    const first = w.next(1, 1);
    const copy = first.slice();
    w.keep();
    w.next(2, 2);
    expect(first).toEqual(copy);
  });

  test('over WebSocket they stand in a masked binary message', () => {
    const bytes = writer(300, 'ws').next(0, 0);
    expect([...bytes.subarray(0, 4)]).toEqual([0x82, 0xfe, 312 >> 8, 312 & 255]);
    expect(readFrameHeader(bytes, 8)).toMatchObject({ length: 300 });
    expect(withPrefix('ws', new Uint8Array(70_000))).toHaveLength(70_014);
    expect(withPrefix('ws', new Uint8Array(5))).toHaveLength(11);
  });
});

describe('a flow accounts for every number once', () => {
  const client = {} as LoadClient;
  const flow = (): Flow => new Flow(0, client, client, writer(300));

  test('in order', () => {
    const f = flow();
    for (f.sent = 0; f.sent < 10; f.sent++) expect(f.arrived(f.sent)).toBe('next');
    expect(f.unaccounted()).toEqual({ lost: 0, inDoubt: 0 });
    expect(f.arrived(4)).toBe('repeated');
    expect(f.delivered).toBe(10);
  });

  test('with gaps, late ones, refused ones', () => {
    const f = flow();
    f.sent = 10;
    expect(f.wasRefused(2)).toBe(true);
    expect(f.wasRefused(2)).toBe(false);
    expect(f.arrived(0)).toBe('next');
    expect(f.arrived(5)).toBe('next');
    expect(f.arrived(3)).toBe('late');
    expect(f.arrived(3)).toBe('repeated');
    expect(f.wasRefused(4)).toBe(true);
    expect(f.wasRefused(11)).toBe(false);
    // 1 and 6 to 9 are missing.
    expect(f.unaccounted()).toEqual({ lost: 5, inDoubt: 0 });
  });

  test('what was under way when a connection ended is in doubt, not lost', () => {
    const f = flow();
    f.sent = 10;
    f.arrived(0);
    f.disturbed();
    f.sent = 20;
    f.arrived(12);
    expect(f.unaccounted()).toEqual({ lost: 9, inDoubt: 9 });
  });
});

describe('frames in a stream', () => {
  test('are found however it is cut', () => {
    const frames = [
      encodeFrame(1, new Uint8Array(3).fill(0xea)),
      encodeFrame(26, new Uint8Array(900)),
      encodeFrame(2, Uint8Array.of(1)),
    ];
    const stream = Uint8Array.of(
      ...encodeTimeRecords(1234n),
      ...frames[0]!,
      1,
      ...frames[1]!,
      1,
      1,
      ...frames[2]!,
    );
    for (const cut of [1, 2, 7, 13, 64, 4096]) {
      const seen: [number, number][] = [];
      const reader = new FrameReader((code, bytes, at, length) => {
        seen.push([code, length]);
        expect(bytes.slice(at - 12, at + length)).toEqual(frames[seen.length - 1]);
      });
      for (let at = 0; at < stream.length; at += cut)
        expect(reader.push(stream.slice(at, at + cut))).toBe(true);
      expect(seen).toEqual([
        [1, 3],
        [26, 900],
        [2, 1],
      ]);
    }
  });

  test('beyond the limit end it', () => {
    const header = encodeFrame(26, Uint8Array.of(1)).slice(0, 12);
    new DataView(header.buffer).setUint32(3, frameBytesMax + 1, true);
    expect(new FrameReader(() => undefined).push(header)).toBe(false);
  });
});
