import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DevChain, nextBlock } from '../../src/coordinator/index.js';
import {
  decodeHeaders,
  decodePitProof,
  HeaderChain,
  MemoryHeaderStorage,
  pitRoot,
} from '../../src/ledger/index.js';
import {
  Code,
  CuckooFilter,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodeInventory2,
  decodePitData2,
  encodeGetBlockHeaders3,
  encodeGetBlockHeaders4,
  encodeGetPIT2,
  HeaderMode,
  toHex,
} from '../../src/wire/index.js';
import { Guest, START_MS, type Stage, settle, stage, until } from './support.js';

let s: Stage;
afterEach(() => s?.coordinator.stop());

const filter = CuckooFilter.build([Uint8Array.of(1, 2, 3)]).encode();

describe('coordinator level L1 (09 §14)', () => {
  it('makes a block every 30 s, dated exactly 30 s after the one before', async () => {
    s = await stage();
    expect(s.coordinator.height).toBe(1);
    await s.pass(29);
    expect(s.coordinator.height).toBe(1);
    await s.pass(92);
    await until(() => s.coordinator.height === 5, 'five blocks');
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    r.send(Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 1, count: 250 }));
    const headers = decodeHeaders(decodeBlockHeaders3(await r.next(Code.blockHeaders3)), 'bits');
    expect(headers.map((h) => h.timestamp - START_MS / 1000)).toEqual([0, 30, 60, 90, 120]);
  });

  it('row 12: announces each block to relays and clients, once', async () => {
    s = await stage();
    const [r, c] = [await Guest.dial(s, 'bob', 'R', 4711), await Guest.dial(s, 'carol', 'C', 0)];
    await s.pass(33);
    for (const g of [r, c]) {
      const { items } = decodeInventory2(await g.next(Code.inventory2));
      expect(items).toEqual([{ type: 1, hash: s.coordinator.checksum(2), block: 2 }]);
      expect(g.count(Code.inventory2)).toBe(1);
    }
  });

  it('row 13: serves 46 through the tip with the tail of the 0.9.7 line', async () => {
    s = await stage({ genesisBlocks: 300 });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    r.send(Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 1, count: 250 }));
    const chain = await HeaderChain.open({ number: 1, checksum: null }, new MemoryHeaderStorage());
    const first = decodeBlockHeaders3(await r.next(Code.blockHeaders3));
    expect(toHex(first[0]!)).toMatch(/0001feffffffffffffff39$/);
    expect(chain.appendAll(decodeHeaders(first, 'bits'))).toEqual({ taken: 250, stopped: null });
    r.send(Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 251, count: 250 }));
    const second = decodeHeaders(decodeBlockHeaders3(await r.next(Code.blockHeaders3)), 'bits');
    expect(chain.appendAll(second)).toEqual({ taken: 50, stopped: null });
    expect(toHex(chain.tip!.checksum)).toBe(toHex(s.coordinator.checksum(300)));
    r.send(Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 300, count: 5 }));
    expect(decodeBlockHeaders3(await r.next(Code.blockHeaders3)).length).toBe(1);
  });

  it('row 13: serves 49 in both forms, each with its own tail and the question in front', async () => {
    s = await stage({ genesisBlocks: 5 });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    r.send(Code.getBlockHeaders4, encodeGetBlockHeaders4({ from: 2, count: 2, filter }));
    const old = decodeBlockHeaders4(await r.next(Code.blockHeaders4));
    expect([old.from, old.count, toHex(old.filter!)]).toEqual([2, 2, toHex(filter)]);
    expect(decodeHeaders(old.headers, 'bits').map((h) => h.number)).toEqual([2, 3]);
    for (const mode of [
      HeaderMode.minimal,
      HeaderMode.pocw,
      HeaderMode.signatures,
      HeaderMode.transactions,
    ]) {
      r.send(Code.getBlockHeaders4, encodeGetBlockHeaders4({ from: 4, count: 250, filter: null, mode }));
      const got = decodeBlockHeaders4(await r.next(Code.blockHeaders4));
      expect([got.from, got.count, got.filter]).toEqual([4, 250, null]);
      expect(toHex(got.headers[0]!)).toMatch(/00010400e1f505$/);
      expect(decodeHeaders(got.headers, 'difficulty').map((h) => h.number)).toEqual([4, 5]);
    }
  });

  it('is silent for what lies beyond the tip, for nothing, for block 0 and for unknown modes', async () => {
    s = await stage({ genesisBlocks: 5 });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    for (const q of [
      { from: 6, count: 250 },
      { from: 1, count: 0 },
      { from: 0, count: 5 },
    ]) {
      r.send(Code.getBlockHeaders3, encodeGetBlockHeaders3(q));
      r.send(Code.getBlockHeaders4, encodeGetBlockHeaders4({ ...q, filter: null, mode: 0 }));
    }
    r.send(Code.getBlockHeaders4, encodeGetBlockHeaders4({ from: 1, count: 5, filter: null, mode: 4 }));
    await settle(20);
    expect(r.count(Code.blockHeaders3) + r.count(Code.blockHeaders4)).toBe(0);
  });

  it('serves no headers and announces no blocks at level L0', async () => {
    s = await stage({ genesisBlocks: 5, level: 'L0' });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    expect(r.link.peer!.lastBlock!.number).toBe(5);
    r.send(Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 1, count: 250 }));
    await s.pass(35);
    expect(r.count(Code.blockHeaders3) + r.count(Code.inventory2)).toBe(0);
  });

  it('proves of every block that it is empty, with the filter in front for relays', async () => {
    s = await stage({ genesisBlocks: 2 });
    const [r, c] = [await Guest.dial(s, 'bob', 'R', 4711), await Guest.dial(s, 'carol', 'C', 0)];
    for (const g of [r, c]) {
      g.send(Code.getPIT2, encodeGetPIT2({ block: 3, filter }));
      g.send(Code.getPIT2, encodeGetPIT2({ block: 2, filter }));
      const layout = g === r ? 'relay' : 'client';
      const answer = decodePitData2(await g.next(Code.pitData2), layout);
      expect(answer.block).toBe(2);
      expect(toHex(decodePitProof(answer.pit).root)).toBe(toHex(pitRoot([])));
      if (g === r) expect(toHex(answer.relayIndex!)).toBe(toHex(filter));
      expect(g.count(Code.pitData2)).toBe(1);
    }
  });

  it('crosses a thousand blocks: the superblock lists the 999 before it', async () => {
    const chain = await DevChain.open(new MemoryHeaderStorage());
    const blocks = await chain.extendAll(Array.from({ length: 2001 }, (_, i) => 1_700_000_000 + 30 * i));
    const [thousand, two] = [blocks[999]!, blocks[1999]!];
    expect(thousand.superblock!.previousNumber).toBe(1);
    expect(toHex(thousand.superblock!.previousChecksum!)).toBe(toHex(blocks[0]!.checksum));
    expect(thousand.superblock!.segments.map(toHex)).toEqual(
      blocks.slice(0, 999).map((b) => toHex(b.checksum)),
    );
    expect(two.superblock!.previousNumber).toBe(1000);
    expect(two.superblock!.segments.length).toBe(999);
    expect(toHex(two.superblock!.segments[0]!)).toBe(toHex(blocks[1000]!.checksum));
    const reader = await HeaderChain.open({ number: 1, checksum: null }, new MemoryHeaderStorage());
    expect(reader.appendAll(blocks)).toEqual({ taken: 2001, stopped: null });
    // Whoever wants ids would refuse empty v12 blocks above 961, so mode 3 gets no answer there.
    s = await stage({ genesisBlocks: 1005 });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    const q = { from: 950, count: 250, filter: null };
    r.send(Code.getBlockHeaders4, encodeGetBlockHeaders4({ ...q, mode: 3 }));
    r.send(Code.getBlockHeaders4, encodeGetBlockHeaders4({ ...q, mode: 2 }));
    const got = decodeBlockHeaders4(await r.next(Code.blockHeaders4));
    expect(got.headers.length).toBe(56);
    expect(r.count(Code.blockHeaders4)).toBe(1);
  });

  it('gives the headers of 09 §14.2', () => {
    const one = nextBlock({ height: 0, checksum: () => new Uint8Array(0) }, 1_700_000_000);
    expect(toHex(one.checksum).slice(0, 16)).toBe('5bdfdb872d59d003');
    expect(one.hashed.length).toBe(196);
    const two = nextBlock({ height: 1, checksum: () => one.checksum }, 1_700_000_030);
    expect(toHex(two.checksum).slice(0, 16)).toBe('b874863f9229feff');
    expect(two.hashed.length).toBe(252);
  });
});

describe('persistence (09 §14.1 trap 8)', () => {
  it('answers with the same chain after a restart and goes on from there', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'starling-coordinator-'));
    try {
      s = await stage({ dataDir, genesisBlocks: 10 });
      await s.passUntil(() => s.coordinator.height === 11, 32);
      const before = Array.from({ length: 11 }, (_, i) => toHex(s.coordinator.checksum(i + 1)));
      await s.coordinator.stop();
      // An hour later; `genesisBlocks` no longer matters.
      s = await stage({ dataDir, genesisBlocks: 500 }, START_MS + 3_600_000);
      expect(s.coordinator.height).toBe(11);
      await s.passUntil(() => s.coordinator.height === 12, 3);
      await s.passUntil(() => s.coordinator.height === 13, 32);
      const r = await Guest.dial(s, 'bob', 'R', 4711);
      r.send(Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 1, count: 250 }));
      const headers = decodeHeaders(decodeBlockHeaders3(await r.next(Code.blockHeaders3)), 'bits');
      expect(headers.slice(0, 11).map((h) => toHex(h.checksum))).toEqual(before);
      const chain = await HeaderChain.open({ number: 1, checksum: null }, new MemoryHeaderStorage());
      expect(chain.appendAll(headers)).toEqual({ taken: 13, stopped: null });
      const times = headers.map((h) => h.timestamp);
      expect(times.every((t, i) => i === 0 || t >= times[i - 1]!)).toBe(true);
      expect(times.at(-1)!).toBeLessThanOrEqual(s.clock.nowMs() / 1000);
    } finally {
      await s.coordinator.stop();
      await rm(dataDir, { recursive: true });
    }
  });

  it('loses only a torn last block', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'starling-coordinator-'));
    try {
      s = await stage({ dataDir, genesisBlocks: 3 });
      const before = toHex(s.coordinator.checksum(3));
      await s.coordinator.stop();
      await writeFile(join(dataDir, 'coordinator-headers.bin'), Uint8Array.of(9, 9, 9), { flag: 'a' });
      s = await stage({ dataDir });
      expect(s.coordinator.height).toBe(3);
      expect(toHex(s.coordinator.checksum(3))).toBe(before);
    } finally {
      await s.coordinator.stop();
      await rm(dataDir, { recursive: true });
    }
  });

  it('keeps serving when a block cannot be stored', async () => {
    class Full extends MemoryHeaderStorage {
      full = false;
      override append(records: readonly Uint8Array[]): Promise<void> {
        return this.full ? Promise.reject(new Error('disk full')) : super.append(records);
      }
    }
    const storage = new Full();
    s = await stage({ storage });
    storage.full = true;
    await s.pass(31);
    await until(() => s.events.some((e) => e.kind === 'trouble'), 'trouble told');
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    expect(r.link.peer!.lastBlock!.number).toBe(1);
    expect(s.coordinator.height).toBe(1);
  });
});
