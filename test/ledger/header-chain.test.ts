import { describe, expect, it } from 'vitest';
import {
  chainStart,
  encodeHeaderRecord,
  HEADER_FILE_MAGIC,
  HeaderChain,
  headerWindow,
  MemoryHeaderStorage,
  makeHeader,
  readHeaderFile,
  rollbackBlocksMax,
} from '../../src/ledger/index.js';
import { concatBytes, toHex } from '../../src/wire/index.js';
import { chained, emptyFields } from './support.js';

const open = (storage = new MemoryHeaderStorage()): Promise<HeaderChain> =>
  HeaderChain.open(chainStart('reg'), storage);

describe('header chain', () => {
  it('takes headers one after the other and knows its tip', async () => {
    const chain = await open();
    expect(chain.tip).toBeNull();
    expect(chain.height).toBe(0);
    expect(chain.wanted).toBe(1);
    const headers = chained(3);
    for (const h of headers) expect(chain.append(h)).toEqual({ kind: 'appended' });
    expect(chain.tip).toEqual({
      number: 3,
      checksum: headers[2]!.checksum,
      version: 12,
      timestamp: headers[2]!.timestamp,
    });
    expect(chain.append(headers[1]!)).toEqual({ kind: 'known' });
    expect(toHex(chain.pitRootOf(2)!)).toBe(toHex(headers[1]!.pitRoot!));
    expect(chain.checksumOf(4)).toBeNull();
  });

  it('refuses a gap, a first header that is not the start, a foreign branch', async () => {
    const chain = await open();
    const headers = chained(4);
    expect(chain.append(headers[1]!)).toEqual({ kind: 'gap', wanted: 1 });
    expect(chain.append(makeHeader(emptyFields(1, new Uint8Array(64))))).toEqual({
      kind: 'refused',
      reason: 'start',
    });
    chain.appendAll(headers.slice(0, 2));
    expect(chain.append(headers[3]!)).toEqual({ kind: 'gap', wanted: 3 });
    const other = chained(4, 1, null, { timestamp: 5 });
    expect(chain.append(other[1]!)).toEqual({ kind: 'fork', number: 2 });
    expect(chain.append(other[2]!)).toEqual({ kind: 'fork', number: 3 });
    expect(chain.height).toBe(2);
  });

  it('refuses a falling version, and a v13 block more than 30 s older than its parent', async () => {
    const chain = await open();
    const v13 = chained(2, 1, null, { version: 13 });
    chain.appendAll(v13);
    const parent = v13[1]!;
    const down = makeHeader(emptyFields(3, parent.checksum, { version: 12 }));
    expect(chain.append(down)).toEqual({ kind: 'refused', reason: 'version' });
    const early = makeHeader(
      emptyFields(3, parent.checksum, { version: 13, timestamp: parent.timestamp - 31 }),
    );
    expect(chain.append(early)).toEqual({ kind: 'refused', reason: 'timestamp' });
    const edge = makeHeader(
      emptyFields(3, parent.checksum, { version: 13, timestamp: parent.timestamp - 30 }),
    );
    expect(chain.append(edge)).toEqual({ kind: 'appended' });
  });

  it('demands the baked checksum at the start of the main chain', async () => {
    const headers = chained(2, 5000, new Uint8Array(64).fill(1));
    const start = { number: 5000, checksum: headers[0]!.checksum };
    const chain = await HeaderChain.open(start, new MemoryHeaderStorage());
    const foreign = chained(1, 5000, new Uint8Array(64).fill(2));
    expect(chain.append(foreign[0]!)).toEqual({ kind: 'refused', reason: 'start' });
    expect(chain.appendAll(headers)).toEqual({ taken: 2, stopped: null });
    expect(chain.height).toBe(5001);
    expect(chainStart('main').number).toBe(5_875_000);
  });

  it('survives a restart, and drops what no longer chains', async () => {
    const storage = new MemoryHeaderStorage();
    const first = await open(storage);
    const headers = chained(5);
    first.appendAll(headers);
    await first.settled();
    const again = await open(storage);
    expect(again.height).toBe(5);
    expect(toHex(again.tip!.checksum)).toBe(toHex(headers[4]!.checksum));
    await storage.append([Uint8Array.of(1, 2, 3)]);
    const third = await open(storage);
    expect(third.height).toBe(5);
    expect((await storage.load()).length).toBe(5);
  });

  it('goes back at most 100 blocks below its highest header', async () => {
    const chain = await open();
    chain.appendAll(chained(150));
    expect(chain.rollback(150 - rollbackBlocksMax - 1)).toBe(false);
    expect(chain.height).toBe(150);
    expect(chain.rollback(100)).toBe(true);
    expect(chain.height).toBe(100);
    // The bound counts from the highest ever held, so rolling back in steps gains nothing.
    expect(chain.rollback(49)).toBe(false);
    expect(chain.rollback(50)).toBe(true);
    expect((await chain.range({ from: 49, count: 5 })).map((h) => h.number)).toEqual([49, 50]);
  });

  it('adopts only a branch that is longer, connected and whole', async () => {
    const storage = new MemoryHeaderStorage();
    const chain = await open(storage);
    const headers = chained(10);
    chain.appendAll(headers);
    const branch = chained(5, 8, headers[6]!.checksum, { timestamp: 1_700_009_999 });
    expect(chain.adopt([])).toMatchObject({ reason: 'empty' });
    expect(chain.adopt(branch.slice(0, 3))).toMatchObject({ reason: 'not-longer' });
    expect(chain.adopt(chained(5, 8, new Uint8Array(64)))).toMatchObject({ reason: 'unconnected' });
    expect(chain.adopt([branch[0]!, branch[2]!])).toMatchObject({ reason: 'broken' });
    expect(chain.adopt(branch)).toEqual({ kind: 'adopted', removed: 3, added: 5 });
    expect(chain.height).toBe(12);
    await chain.settled();
    expect((await storage.load()).length).toBe(12);
    expect((await open(storage)).height).toBe(12);
  });

  it('refuses a branch that starts too deep', async () => {
    const chain = await open();
    const headers = chained(200);
    chain.appendAll(headers);
    const branch = chained(120, 90, headers[88]!.checksum, { timestamp: 1_700_099_999 });
    expect(chain.adopt(branch)).toMatchObject({ reason: 'too-deep' });
    expect(chain.height).toBe(200);
  });

  it('reads headers beyond its memory back from storage', async () => {
    const storage = new MemoryHeaderStorage();
    const chain = await open(storage);
    const headers = chained(2500);
    chain.appendAll(headers);
    const got = await chain.range({ from: 390, count: 20 });
    expect(got.map((h) => h.number)).toEqual(Array.from({ length: 20 }, (_, i) => 390 + i));
    expect(got.map((h) => toHex(h.checksum))).toEqual(headers.slice(389, 409).map((h) => toHex(h.checksum)));
    expect(got[0]!.signerDifficulty).toBe(100_000_000n);
    expect((await chain.header(2500))!.number).toBe(2500);
    expect(await chain.header(2501)).toBeNull();
  });

  it('reports a storage that fails', async () => {
    class Full extends MemoryHeaderStorage {
      override append(): Promise<void> {
        return Promise.reject(new Error('disk full'));
      }
    }
    const chain = await open(new Full());
    chain.appendAll(chained(1));
    await expect(chain.settled()).rejects.toThrow('disk full');
  });
});

describe('served window', () => {
  it('ends one below the last block in the reference, at it for a coordinator', () => {
    expect(headerWindow(1, 250, 10)).toEqual({ from: 1, count: 9 });
    expect(headerWindow(9, 250, 10)).toEqual({ from: 9, count: 1 });
    expect(headerWindow(10, 250, 10)).toBeNull();
    expect(headerWindow(10, 250, 10, { servesTip: true })).toEqual({ from: 10, count: 1 });
    expect(headerWindow(11, 250, 10, { servesTip: true })).toBeNull();
  });

  it('is silent for nothing asked, for block 0 and an empty chain, and cut to the maximum', () => {
    expect(headerWindow(1, 0, 10)).toBeNull();
    expect(headerWindow(0, 5, 10)).toBeNull();
    expect(headerWindow(1, 5, 0, { servesTip: true })).toBeNull();
    expect(headerWindow(1, 5000, 4000)).toEqual({ from: 1, count: 1000 });
    expect(headerWindow(1, 5000, 4000, { servesTip: false, max: 250 })).toEqual({ from: 1, count: 250 });
  });
});

describe('header file', () => {
  const records = [Uint8Array.of(1, 2, 3), Uint8Array.of(), Uint8Array.of(9)];
  const file = concatBytes(HEADER_FILE_MAGIC, ...records.map(encodeHeaderRecord));

  it('reads back what was written', () => {
    const content = readHeaderFile(file)!;
    expect(content.records.map(toHex)).toEqual(['010203', '', '09']);
    expect(content.validBytes).toBe(file.length);
    expect(content.offsets).toEqual([8, 19, 27]);
  });

  it('stops at a torn or damaged record and at a foreign file', () => {
    expect(readHeaderFile(file.subarray(0, file.length - 1))!.records.length).toBe(2);
    const bad = file.slice();
    bad[bad.length - 1]! ^= 1;
    expect(readHeaderFile(bad)!.validBytes).toBe(27);
    expect(readHeaderFile(Uint8Array.of(1, 2, 3))).toBeNull();
    expect(readHeaderFile(new Uint8Array(64))).toBeNull();
  });
});
