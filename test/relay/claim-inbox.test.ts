import { describe, expect, it } from 'vitest';
import { type KeepAliveOutcome, keepAliveBytesMax, presenceBytesMax } from '../../src/presence/index.js';
import {
  batchesUnderWayMax,
  ClaimInbox,
  KEEP_ALIVES,
  keepAliveBatchItemsMax,
  PRESENCES,
} from '../../src/relay/claim-inbox.js';

const turn = (): Promise<void> => new Promise((r) => setImmediate(r));
const replay: KeepAliveOutcome = { kind: 'refused', reason: 'replay' };

function inbox(judge?: (m: readonly Uint8Array[]) => Promise<KeepAliveOutcome[]>, kind = KEEP_ALIVES) {
  const batches: number[] = [];
  const judged: { bytes: Uint8Array; sender: number; outcome: KeepAliveOutcome | null }[] = [];
  const errors: unknown[] = [];
  const box = new ClaimInbox<number, KeepAliveOutcome>(kind, {
    judge: (m) => {
      batches.push(m.length);
      return judge?.(m) ?? Promise.resolve(m.map(() => replay));
    },
    judged: (bytes, sender, outcome) => {
      judged.push({ bytes, sender, outcome });
      if (sender === 13) throw new Error('of ours');
    },
    failed: (e) => errors.push(e),
  });
  return { box, batches, judged, errors };
}

describe('keep-alives of one turn', () => {
  it('are judged together, each answered to its sender, in order', async () => {
    const { box, batches, judged } = inbox();
    const bytes = new Uint8Array(600);
    for (let i = 0; i < 5; i++) box.add(bytes.fill(i), i);
    expect(batches).toEqual([]);
    await turn();
    expect(batches).toEqual([5]);
    expect(judged.map((j) => [j.sender, j.bytes[0], j.bytes.length, j.outcome])).toEqual(
      [0, 1, 2, 3, 4].map((i) => [i, i, 600, replay]),
    );
    box.add(bytes, 9);
    await turn();
    expect(batches).toEqual([5, 1]);
  });

  it('go out at once when they fill a batch, and none is lost or judged twice', async () => {
    const { box, batches, judged } = inbox();
    const n = 2 * keepAliveBatchItemsMax + 3;
    for (let i = 0; i < n; i++) box.add(Uint8Array.of(i, i >> 8), 1_000 + i);
    expect(batches).toEqual([keepAliveBatchItemsMax, keepAliveBatchItemsMax]);
    await turn();
    await turn();
    expect(batches).toEqual([keepAliveBatchItemsMax, keepAliveBatchItemsMax, 3]);
    expect(judged.map((j) => j.sender)).toEqual(Array.from({ length: n }, (_, i) => 1_000 + i));
    expect(judged.every((j, i) => j.bytes[0] === (i & 255) && j.bytes[1] === i >> 8)).toBe(true);
  });

  it('gather while enough batches are under way, and go on when one of them comes back', async () => {
    const open: (() => void)[] = [];
    const { box, batches, judged } = inbox(
      (m) => new Promise((resolve) => open.push(() => resolve(m.map(() => replay)))),
    );
    for (let i = 0; i < batchesUnderWayMax + 3; i++) {
      box.add(Uint8Array.of(i), i);
      await turn();
      await turn();
    }
    expect(batches).toEqual(Array.from({ length: batchesUnderWayMax }, () => 1));
    open.shift()?.();
    await turn();
    await turn();
    expect(batches.at(-1)).toBe(3);
    expect(open.length).toBe(batchesUnderWayMax);
    // A full one does not wait.
    for (let i = 0; i < keepAliveBatchItemsMax; i++) box.add(Uint8Array.of(i), 1_000 + i);
    expect(batches.at(-1)).toBe(keepAliveBatchItemsMax);
    while (open.length > 0) {
      open.shift()?.();
      await turn();
    }
    expect(judged.length).toBe(batchesUnderWayMax + 3 + keepAliveBatchItemsMax);
    expect(new Set(judged.map((j) => j.sender)).size).toBe(judged.length);
  });

  it('go on after batches that could not be judged', async () => {
    const refuse: ((e: Error) => void)[] = [];
    const { box, batches, errors } = inbox(() => new Promise((_, reject) => refuse.push(reject)));
    for (let i = 0; i <= batchesUnderWayMax; i++) {
      box.add(Uint8Array.of(i), i);
      await turn();
    }
    for (const r of refuse.splice(0)) r(new Error('of ours'));
    await turn();
    await turn();
    expect(batches.length).toBe(batchesUnderWayMax + 1);
    expect(errors.length).toBe(batchesUnderWayMax);
    refuse[0]?.(new Error('of ours'));
    await turn();
  });

  it('of a message that is too long no more is kept than shows that', async () => {
    const { box, judged } = inbox();
    box.add(new Uint8Array(1_000_000).fill(2), 0);
    await turn();
    expect(judged[0]!.bytes.length).toBe(keepAliveBytesMax + 1);
  });

  it('presences of every length are kept whole, and what is too long up to the length that shows it', async () => {
    const { box, judged } = inbox(undefined, PRESENCES);
    // The third fills a buffer for many, the fourth is longer than one.
    const sizes = [0, 1_150, 65_536, 65_537, presenceBytesMax, 1_150];
    sizes.forEach((size, i) => {
      box.add(new Uint8Array(size).fill(i), i);
    });
    box.add(new Uint8Array(presenceBytesMax + 1_000), 6);
    await turn();
    expect(judged.map((j) => j.bytes.length)).toEqual([...sizes, presenceBytesMax + 1]);
    expect(judged.slice(0, 6).every((j, i) => j.bytes.every((b) => b === i))).toBe(true);
  });

  it('what has come in is judged at once when asked for, and not again', async () => {
    const { box, batches } = inbox();
    box.add(Uint8Array.of(1), 1);
    box.flush();
    box.flush();
    expect(batches).toEqual([1]);
    await turn();
    expect(batches).toEqual([1]);
  });

  it('a failure of ours is told, and every sender is let go', async () => {
    const failing = inbox(() => Promise.reject(new Error('broken')));
    failing.box.add(Uint8Array.of(1), 1);
    failing.box.add(Uint8Array.of(2), 2);
    await turn();
    await turn();
    expect(failing.judged.map((j) => j.outcome)).toEqual([null, null]);
    expect(failing.errors).toHaveLength(1);
    const thrower = inbox();
    for (const s of [12, 13, 14]) thrower.box.add(Uint8Array.of(s), s);
    await turn();
    expect(thrower.judged.map((j) => j.sender)).toEqual([12, 13, 14]);
    expect(thrower.errors).toHaveLength(1);
  });
});
