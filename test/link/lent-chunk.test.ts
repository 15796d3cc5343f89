import { afterEach, describe, expect, it } from 'vitest';
import {
  isLending,
  isLent,
  keepLent,
  lasting,
  lend,
  lendBriefly,
  takeBack,
  waitedFor,
  waitsForLent,
} from '../../src/link/lent-chunk.js';
import { type Transport, withoutRest } from '../../src/link/transport.js';
import { type Pair, pattern, Recorder, transportKinds } from './transports.js';

const tcp = transportKinds.find((k) => k.name === 'tcp')!;
const uws = transportKinds.find((k) => k.name === 'ws (uWebSockets.js)')!;
const pairs: Pair[] = [];
afterEach(async () => {
  for (const p of pairs.splice(0)) await p.close();
});

async function opened(kind = tcp): Promise<Pair> {
  const pair = await kind.pair();
  pairs.push(pair);
  return pair;
}

/** Passes on what comes in pieces of 700 bytes, views of what was lent, as a relay does with frames. */
function passOn(from: Transport, to: Transport): { readonly memories: Set<ArrayBufferLike>; lent: number } {
  const seen = { memories: new Set<ArrayBufferLike>(), lent: 0 };
  from.start({
    data: (chunk) => {
      if (isLent(chunk.buffer)) {
        seen.lent++;
        seen.memories.add(chunk.buffer);
      }
      const stays = from.chunksStay || isLent(chunk.buffer);
      for (let at = 0; at < chunk.length; at += 700) {
        const piece = chunk.subarray(at, at + 700);
        to.write(stays ? piece : piece.slice());
      }
    },
    drain: () => undefined,
    close: () => undefined,
  });
  return seen;
}

describe('a lent chunk', () => {
  it('is taken back unless something of it was kept', () => {
    const memory = new Uint8Array(100);
    lend(memory.buffer);
    expect([isLending(), isLent(memory.subarray(3).buffer), isLent(new Uint8Array(3).buffer)]).toEqual([
      true,
      true,
      false,
    ]);
    keepLent(new Uint8Array(3));
    expect(takeBack()).toBe(true);
    expect([isLending(), isLent(memory.buffer)]).toEqual([false, false]);

    lend(memory.buffer);
    keepLent(memory.subarray(10, 20));
    expect(takeBack()).toBe(false);
    lend(memory.buffer);
    expect(takeBack()).toBe(true);
  });

  it('is kept by bytes that wait as a view of it, not by a copy of a small part', () => {
    const memory = new Uint8Array(100);
    lend(memory.buffer);
    expect(withoutRest(memory.subarray(0, 49)).buffer).not.toBe(memory.buffer);
    expect(takeBack()).toBe(true);
    lend(memory.buffer);
    expect(withoutRest(memory.subarray(0, 50)).buffer).toBe(memory.buffer);
    expect(takeBack()).toBe(false);
  });

  it('whose owner takes it back in any case is copied by whoever needs it longer', () => {
    const memory = new Uint8Array(100);
    const other = new Uint8Array(100);
    lendBriefly(memory.buffer);
    expect([isLent(memory.buffer), lasting(other) === other]).toEqual([true, true]);
    for (const own of [lasting(memory.subarray(3)), withoutRest(memory.subarray(3))]) {
      expect(own).toEqual(memory.subarray(3));
      expect(own.buffer).not.toBe(memory.buffer);
    }
    expect(withoutRest(other)).toBe(other);
    takeBack();
    expect(lasting(memory)).toBe(memory);
    // The next one is lent as usual.
    lend(memory.buffer);
    expect(lasting(memory)).toBe(memory);
    takeBack();
  });

  it('is kept while something gathered waits, and when not all of that has gone', () => {
    const { buffer } = new Uint8Array(100);
    lend(buffer);
    const first = waitsForLent();
    expect(takeBack()).toBe(false);
    lend(buffer);
    // Of the one before.
    waitedFor(first, false);
    expect(takeBack()).toBe(true);
    lend(buffer);
    waitedFor(waitsForLent(), true);
    expect(takeBack()).toBe(true);
    lend(buffer);
    waitedFor(waitsForLent(), false);
    expect(takeBack()).toBe(false);
  });
});

describe.each([tcp, uws])('lent chunks of a flood that came over $name', (from) => {
  it.each(transportKinds)(
    'passed on over $name arrive unchanged, also at a reader that comes late',
    async (kind) => {
      const source = await opened(from);
      const sink = await opened(kind);
      const all = pattern(4 * 1024 * 1024, 9);
      const seen = passOn(source.accepted, sink.accepted);
      const arrived = new Recorder(sink.dialled);
      if (kind.pausesPeer) sink.dialled.pause();
      new Recorder(source.dialled);
      source.dialled.write(all);
      await new Promise((resolve) => setTimeout(resolve, 200));
      sink.dialled.resume();
      await arrived.until((r) => r.bytes === all.length);
      expect(Buffer.compare(arrived.all(), all)).toBe(0);
      expect(seen.lent).toBeGreaterThan(4);
    },
  );
});

it('of several floods to the same receivers every byte arrives once, also of chunks gathered in one turn', async () => {
  const sources = await Promise.all([1, 2, 3, 4].map(() => opened()));
  const sinks = await Promise.all([1, 2, 3].map(() => opened()));
  const arrived = sinks.map((s) => new Recorder(s.dialled));
  const length = 4 * 1024 * 1024;
  let turn = 0;
  for (const { accepted } of sources) {
    passOn(accepted, {
      // In turn, so that each has a part of every chunk and nobody most of it.
      write: (bytes: Uint8Array) => sinks[turn++ % sinks.length]!.accepted.write(bytes),
    } as Transport);
    accepted.pause();
  }
  sources.forEach(({ dialled }, i) => {
    dialled.write(new Uint8Array(length).fill(i + 1));
  });
  // The kernel holds much of each before anything is read, so that all are read in the same turns.
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (const { accepted } of sources) accepted.resume();
  const all = sources.length * length;
  await arrived[0]!.until(() => arrived.reduce((n, r) => n + r.bytes, 0) === all);
  const counts = new Uint32Array(256);
  for (const r of arrived) for (const byte of r.all()) counts[byte] = counts[byte]! + 1;
  expect([...counts.subarray(0, 6)]).toEqual([0, length, length, length, length, 0]);
});

it('a flood that is read as it comes uses few buffers', async () => {
  const source = await opened();
  const sink = await opened();
  const all = pattern(16 * 1024 * 1024, 11);
  const seen = passOn(source.accepted, sink.accepted);
  const arrived = new Recorder(sink.dialled);
  source.accepted.pause();
  source.dialled.write(all);
  await new Promise((resolve) => setTimeout(resolve, 50));
  source.accepted.resume();
  await arrived.until((r) => r.bytes === all.length);
  expect(Buffer.compare(arrived.all(), all)).toBe(0);
  expect(seen.lent).toBeGreaterThan(20);
  expect(seen.memories.size).toBeLessThan(seen.lent / 2);
});
