import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import { PendingTransactions } from '../../src/relay/pending-transactions.js';
import { Code } from '../../src/wire/index.js';
import { FakePeer } from './fakes.js';

const id = Uint8Array.of(1, 2, 3);
const bytes = Uint8Array.of(5, 5);
const no = Uint8Array.of(0x20, 3, 1, 2, 3);

let clock: ManualClock;
let ups: FakePeer[];
let list: PendingTransactions;
let client: FakePeer;

beforeEach(() => {
  clock = new ManualClock(1_000_000);
  ups = [new FakePeer(), new FakePeer(), new FakePeer(), new FakePeer()];
  list = new PendingTransactions({ clock, counters: new Counters(), upstreams: () => ups });
  client = new FakePeer();
});

const sent = (): number[] => ups.map((u) => u.sent.length);

describe('10 §9.2 forwarding', () => {
  it('two ledger nodes at once, the others after 3 s, bytes unchanged from a copy', () => {
    const view = bytes.slice();
    list.submit(client, id, view);
    view.fill(0);
    expect(sent()).toEqual([1, 1, 0, 0]);
    clock.advance(2_999);
    expect(sent()).toEqual([1, 1, 0, 0]);
    clock.advance(1);
    expect(sent()).toEqual([1, 1, 1, 1]);
    for (const u of ups) expect(u.sent[0]).toEqual({ code: Code.transactionData2, payload: bytes });
    expect(list.get(id)).toEqual(bytes);
    expect(client.sent).toEqual([]);
  });

  it('one whose queue is full is passed over, and has no voice', () => {
    ups[0]!.takes = false;
    list.submit(client, id, bytes);
    expect(sent()).toEqual([0, 1, 1, 0]);
    expect(list.rejected(ups[0]!, 0x20, id, no)).toBe(false);
  });

  it('an entry is followed for 600 s', () => {
    list.submit(client, id, bytes);
    clock.advance(599_999);
    expect(list.size).toBe(1);
    clock.advance(1);
    expect([list.size, list.get(id)]).toEqual([0, null]);
  });

  it('10 §9.1: submitted again it is ignored for 20 s and sent again afterwards', () => {
    list.submit(client, id, bytes);
    clock.advance(19_999);
    list.submit(client, id, bytes);
    expect(sent()).toEqual([1, 1, 1, 1]);
    clock.advance(1);
    list.submit(client, id, bytes);
    expect(sent()).toEqual([2, 2, 2, 2]);
    expect(list.size).toBe(1);
  });
});

describe('10 §6 remedy', () => {
  it('one objection of two asked is not enough, the second is told to every submitter, once', () => {
    const second = new FakePeer();
    list.submit(client, id, bytes);
    list.submit(second, id, bytes);
    expect(list.rejected(ups[0]!, 0x20, id, no)).toBe(true);
    expect(list.rejected(ups[0]!, 0x20, id, no)).toBe(true);
    expect(client.sent).toEqual([]);
    list.rejected(ups[1]!, 0x21, id, Uint8Array.of(0x21, 1));
    for (const p of [client, second])
      expect(p.sent).toEqual([{ code: Code.rejected, payload: Uint8Array.of(0x21, 1) }]);
    expect(list.size).toBe(0);
    expect(list.rejected(ups[1]!, 0x20, id, no)).toBe(false);
    expect(client.sent.length).toBe(1);
  });

  it('two of four are enough', () => {
    list.submit(client, id, bytes);
    clock.advance(3_000);
    list.rejected(ups[3]!, 0x22, id, no);
    expect(client.sent.length).toBe(0);
    list.rejected(ups[2]!, 0x22, id, no);
    expect(client.sent.length).toBe(1);
  });

  it('with a single ledger node its word is all there is', () => {
    ups.length = 1;
    list.submit(client, id, bytes);
    list.rejected(ups[0]!, 0x20, id, no);
    expect(client.sent).toEqual([{ code: Code.rejected, payload: no }]);
  });

  it('who was not sent the transaction has no voice', () => {
    list.submit(client, id, bytes);
    expect(list.rejected(ups[2]!, 0x20, id, no)).toBe(false);
    expect(list.rejected(new FakePeer(), 0x23, id, no)).toBe(false);
    expect(list.rejected(ups[0]!, 0x20, Uint8Array.of(9), no)).toBe(false);
    list.rejected(ups[0]!, 0x20, id, no);
    expect([client.sent.length, list.size]).toEqual([0, 1]);
  });

  it('a duplicate confirms: it is passed on at once, and objections count no more', () => {
    list.submit(client, id, bytes);
    expect(list.rejected(ups[1]!, 0x23, id, Uint8Array.of(0x23))).toBe(true);
    expect(client.sent).toEqual([{ code: Code.rejected, payload: Uint8Array.of(0x23) }]);
    clock.advance(3_000);
    for (const u of ups) list.rejected(u, 0x20, id, no);
    expect([client.sent.length, list.size]).toEqual([1, 1]);
  });

  it('an unknown reason objects to nothing', () => {
    ups.length = 1;
    list.submit(client, id, bytes);
    expect(list.rejected(ups[0]!, 0x24, id, no)).toBe(true);
    expect([client.sent.length, list.size]).toEqual([0, 1]);
  });

  it('a ledger node that leaves without a word is waited for no more', () => {
    ups.length = 2;
    list.submit(client, id, bytes);
    list.rejected(ups[0]!, 0x20, id, no);
    expect(client.sent.length).toBe(0);
    list.dropUpstream(ups[1]!.id);
    expect([client.sent.length, list.size]).toEqual([1, 0]);
  });

  it('one that objected and left keeps its voice', () => {
    list.submit(client, id, bytes);
    list.rejected(ups[0]!, 0x20, id, no);
    list.dropUpstream(ups[0]!.id);
    expect(client.sent.length).toBe(0);
    list.rejected(ups[1]!, 0x20, id, no);
    expect(client.sent.length).toBe(1);
  });
});

describe('10 §9.1 limits', () => {
  const idOf = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);
  it('256 per client, of its own and of others’ that it repeats', () => {
    const other = new FakePeer();
    list.submit(other, idOf(1000), bytes);
    list.submit(client, idOf(1000), bytes);
    for (let i = 0; i < 255; i++) expect(list.submit(client, idOf(i), bytes)).toBe(true);
    expect(list.submit(client, idOf(300), bytes)).toBe(false);
    expect(list.submit(client, idOf(7), bytes)).toBe(true);
    expect(list.submit(other, idOf(300), bytes)).toBe(true);
    expect(list.submit(client, idOf(300), bytes)).toBe(false);
    clock.advance(600_000);
    expect(list.size).toBe(0);
    for (let i = 0; i < 256; i++) expect(list.submit(client, idOf(i), bytes)).toBe(true);
    expect(list.submit(client, idOf(300), bytes)).toBe(false);
  });

  it('50,000 in all, the oldest gives way', () => {
    ups.length = 0;
    const wide = (n: number): Uint8Array => Uint8Array.of(n >> 16, (n >> 8) & 255, n & 255);
    for (let n = 0; n < 50_000; n++) {
      if (n % 250 === 0) client = new FakePeer();
      list.submit(client, wide(n), bytes);
    }
    expect([list.size, list.get(wide(0))]).toEqual([50_000, bytes]);
    expect(list.submit(new FakePeer(), wide(50_000), bytes)).toBe(true);
    expect([list.size, list.get(wide(0)), list.get(wide(1))]).toEqual([50_000, null, bytes]);
  });

  it('closing ends every timer', () => {
    list.submit(client, id, bytes);
    list.close();
    expect([list.size, clock.nextDueMs()]).toEqual([0, null]);
  });
});
