import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import { LedgerProxy } from '../../src/relay/ledger-proxy.js';
import { Code } from '../../src/wire/index.js';
import { FakePeer } from './fakes.js';

const key = Uint8Array.of(1);
const payload = Uint8Array.of(9, 9);
const answer = Uint8Array.of(7, 7, 7);
const name = { code: Code.getNameRecord, key, payload };
const headers = { code: Code.getBlockHeaders4, key, payload };

let clock: ManualClock;
let counters: Counters;
let ups: FakePeer[];
let proxy: LedgerProxy;

function make(limits = { ledgerRequestsMax: 100, ledgerRequestsPerClientMax: 64 }): void {
  clock = new ManualClock(1_000_000);
  counters = new Counters();
  ups = [new FakePeer(), new FakePeer(), new FakePeer(), new FakePeer()];
  proxy = new LedgerProxy({ clock, counters, limits, upstreams: () => ups });
}

beforeEach(() => make());

const asked = (): number[] => ups.map((u) => u.sent.length);

const counted = (result: string): number => {
  for (const s of counters.samples())
    if (s.name === 'ixian_ledger_requests_total' && s.labels.result === result && 'value' in s.metric)
      return s.metric.value;
  return 0;
};

describe('09 §13 remedy 1: one ledger node at a time', () => {
  it('asks the first at once, a second after 3 s, a third after 6 s, nobody else', () => {
    proxy.ask(new FakePeer(), name);
    expect(asked()).toEqual([1, 0, 0, 0]);
    clock.advance(2_999);
    expect(asked()).toEqual([1, 0, 0, 0]);
    clock.advance(1);
    expect(asked()).toEqual([1, 1, 0, 0]);
    clock.advance(2_999);
    expect(asked()).toEqual([1, 1, 0, 0]);
    clock.advance(1);
    expect(asked()).toEqual([1, 1, 1, 0]);
    clock.advance(20_000);
    expect(asked()).toEqual([1, 1, 1, 0]);
  });

  it('passes the question on unchanged, from a copy', () => {
    const view = payload.slice();
    proxy.ask(new FakePeer(), { ...name, payload: view });
    view.fill(0);
    clock.advance(3_000);
    expect(ups.slice(0, 2).map((u) => u.sent[0])).toEqual([
      { code: Code.getNameRecord, payload },
      { code: Code.getNameRecord, payload },
    ]);
  });

  it('asks the next one at once when a queue is full', () => {
    ups[0]!.takes = false;
    proxy.ask(new FakePeer(), name);
    expect(asked()).toEqual([0, 1, 0, 0]);
    expect(proxy.expects(name.code, key, ups[0]!)).toBe(false);
  });

  it('equal questions of several clients are asked once and all of them get the answer', () => {
    const clients = [new FakePeer(), new FakePeer(), new FakePeer()];
    for (const c of clients) expect(proxy.ask(c, name)).toBe(true);
    expect(proxy.ask(clients[0]!, name)).toBe(true);
    expect([proxy.size, ups[0]!.sent.length]).toEqual([1, 1]);
    expect(proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer)).toBe(true);
    for (const c of clients) expect(c.sent).toEqual([{ code: Code.nameRecord, payload: answer }]);
    expect(proxy.size).toBe(0);
  });

  it('a question repeated while it is open is asked again, once a second at most (09 §7.1: silence at the tip)', () => {
    const client = new FakePeer();
    proxy.ask(client, headers);
    proxy.ask(client, headers);
    clock.advance(999);
    proxy.ask(client, headers);
    expect(asked()).toEqual([1, 0, 0, 0]);
    clock.advance(1);
    expect(proxy.ask(client, headers)).toBe(true);
    expect(asked()).toEqual([2, 0, 0, 0]);
    // A round like the first one: the old one's second and third are gone.
    clock.advance(2_999);
    expect(asked()).toEqual([2, 0, 0, 0]);
    clock.advance(1);
    expect(asked()).toEqual([2, 1, 0, 0]);
    clock.advance(26_000);
    expect(asked()).toEqual([2, 1, 1, 0]);
    expect(proxy.ask(new FakePeer(), headers)).toBe(true);
    expect(asked()).toEqual([3, 1, 1, 0]);
    expect([counted('repeated'), counted('joined'), proxy.size]).toEqual([2, 1, 1]);
    // Whoever was asked in any round may answer; everybody gets it once.
    proxy.answer(headers.code, key, ups[2]!, Code.blockHeaders4, answer);
    expect(client.sent).toEqual([{ code: Code.blockHeaders4, payload: answer }]);
    clock.advance(60_000);
    expect(asked()).toEqual([3, 1, 1, 0]);
  });

  it('a question that waits behind another variant is not sent by being repeated', () => {
    const client = new FakePeer();
    proxy.ask(client, { ...name, variant: Uint8Array.of(1) });
    const waiting = { ...name, payload: Uint8Array.of(8), variant: Uint8Array.of(2) };
    proxy.ask(client, waiting);
    clock.advance(2_000);
    proxy.ask(client, waiting);
    expect(ups[0]!.sent.map((x) => x.payload)).toEqual([payload]);
  });

  it('after the answer nobody else is asked, and a later answer goes nowhere', () => {
    const client = new FakePeer();
    proxy.ask(client, name);
    proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer);
    clock.advance(10_000);
    expect(asked()).toEqual([1, 0, 0, 0]);
    expect(proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer)).toBe(false);
    expect(client.sent.length).toBe(1);
  });
});

describe('09 §13 remedy 2: only who was asked may answer', () => {
  it('an answer of another connection changes nothing', () => {
    const client = new FakePeer();
    proxy.ask(client, name);
    for (const other of [ups[1]!, new FakePeer()])
      expect(proxy.answer(name.code, key, other, Code.nameRecord, answer)).toBe(false);
    expect(client.sent).toEqual([]);
    expect(proxy.answer(name.code, Uint8Array.of(2), ups[0]!, Code.nameRecord, answer)).toBe(false);
    expect(proxy.answer(Code.getBalance2, key, ups[0]!, Code.balance2, answer)).toBe(false);
    expect(counted('unasked_answer')).toBe(4);
    clock.advance(3_000);
    expect(proxy.answer(name.code, key, ups[1]!, Code.nameRecord, answer)).toBe(true);
    expect(client.sent.length).toBe(1);
  });
});

describe('09 §13 remedy 5: a timer per question', () => {
  it('30 s, and 120 s for block headers', () => {
    proxy.ask(new FakePeer(), name);
    proxy.ask(new FakePeer(), headers);
    clock.advance(29_999);
    expect(proxy.size).toBe(2);
    clock.advance(1);
    expect(proxy.size).toBe(1);
    expect(proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer)).toBe(false);
    clock.advance(89_999);
    expect(proxy.size).toBe(1);
    clock.advance(1);
    expect(proxy.size).toBe(0);
  });

  it('a later asker does not prolong it', () => {
    proxy.ask(new FakePeer(), name);
    clock.advance(29_000);
    proxy.ask(new FakePeer(), name);
    clock.advance(1_000);
    expect(proxy.size).toBe(0);
  });

  it('who waits behind another variant waits no longer than anybody', () => {
    proxy.ask(new FakePeer(), { ...name, variant: Uint8Array.of(1) });
    clock.advance(10_000);
    proxy.ask(new FakePeer(), { ...name, variant: Uint8Array.of(2) });
    clock.advance(20_000);
    expect([proxy.size, ups[0]!.sent.length]).toEqual([1, 2]);
    clock.advance(9_999);
    expect(proxy.size).toBe(1);
    clock.advance(1);
    expect(proxy.size).toBe(0);
  });
});

describe('09 §13: two variants of one key are never open together', () => {
  it('the second is asked when the first is answered, and the answer is not confused', () => {
    const [a, b] = [new FakePeer(), new FakePeer()];
    proxy.ask(a, { ...headers, variant: Uint8Array.of(0), payload: Uint8Array.of(1) });
    proxy.ask(b, { ...headers, variant: Uint8Array.of(3), payload: Uint8Array.of(2) });
    expect(ups[0]!.sent.map((s) => s.payload[0])).toEqual([1]);
    clock.advance(6_000);
    expect(ups.map((u) => u.sent.map((s) => s.payload[0]))).toEqual([[1], [1], [1], []]);
    proxy.answer(headers.code, key, ups[1]!, Code.blockHeaders4, answer);
    expect([a.sent.length, b.sent.length]).toEqual([1, 0]);
    expect(ups[0]!.sent.map((s) => s.payload[0])).toEqual([1, 2]);
    // Asked of the first only so far: the others may not answer the second question.
    expect(proxy.answer(headers.code, key, ups[1]!, Code.blockHeaders4, answer)).toBe(false);
    expect(proxy.answer(headers.code, key, ups[0]!, Code.blockHeaders4, answer)).toBe(true);
    expect([a.sent.length, b.sent.length]).toEqual([1, 1]);
  });
});

describe('09 §13 remedy 3: bounds', () => {
  it('4096 bytes a request, 64 KiB for headers', () => {
    const c = new FakePeer();
    expect(proxy.ask(c, { ...name, payload: new Uint8Array(4_096) })).toBe(true);
    expect(proxy.ask(c, { ...name, key: Uint8Array.of(2), payload: new Uint8Array(4_097) })).toBe(false);
    expect(proxy.ask(c, { ...headers, payload: new Uint8Array(65_536) })).toBe(true);
    expect(proxy.ask(c, { ...headers, key: Uint8Array.of(2), payload: new Uint8Array(65_537) })).toBe(false);
    expect(proxy.size).toBe(2);
  });

  it('64 open questions a client; one more when one is answered', () => {
    const c = new FakePeer();
    for (let i = 0; i < 64; i++) expect(proxy.ask(c, { ...name, key: Uint8Array.of(i) })).toBe(true);
    expect(proxy.ask(c, { ...name, key: Uint8Array.of(64) })).toBe(false);
    expect(proxy.ask(new FakePeer(), { ...name, key: Uint8Array.of(64) })).toBe(true);
    proxy.answer(name.code, Uint8Array.of(5), ups[0]!, Code.nameRecord, answer);
    expect(proxy.ask(c, { ...name, key: Uint8Array.of(65) })).toBe(true);
    expect(counted('client_limit')).toBe(1);
  });

  it('joining somebody else’s question counts too', () => {
    make({ ledgerRequestsMax: 100, ledgerRequestsPerClientMax: 1 });
    const c = new FakePeer();
    proxy.ask(new FakePeer(), name);
    expect(proxy.ask(c, name)).toBe(true);
    expect(proxy.ask(c, { ...name, key: Uint8Array.of(2) })).toBe(false);
  });

  it('a full table gives up its oldest question, also of a key asked in two variants', () => {
    make({ ledgerRequestsMax: 3, ledgerRequestsPerClientMax: 64 });
    const c = new FakePeer();
    const q = (k: number, v: number) => ({ ...name, key: Uint8Array.of(k), variant: Uint8Array.of(v) });
    proxy.ask(c, q(1, 1));
    proxy.ask(c, q(1, 2));
    proxy.ask(c, q(2, 1));
    expect(ups[0]!.sent.length).toBe(2);
    proxy.ask(c, q(3, 1));
    // The oldest is gone, the one behind it took its place, the new one was asked.
    expect([proxy.size, ups[0]!.sent.length]).toEqual([3, 4]);
    expect(counted('evicted')).toBe(1);
    proxy.ask(c, q(4, 1));
    expect(proxy.expects(name.code, Uint8Array.of(1), ups[0]!)).toBe(false);
    expect(proxy.expects(name.code, Uint8Array.of(2), ups[0]!)).toBe(true);
    // Evictions gave the client its share back.
    for (const k of [2, 3, 4]) proxy.answer(name.code, Uint8Array.of(k), ups[0]!, Code.nameRecord, answer);
    expect(proxy.size).toBe(0);
    for (let i = 0; i < 3; i++) expect(proxy.ask(c, q(10 + i, 0))).toBe(true);
  });

  it('making room by giving up another variant of the same key loses nothing', () => {
    make({ ledgerRequestsMax: 1, ledgerRequestsPerClientMax: 64 });
    proxy.ask(new FakePeer(), { ...name, variant: Uint8Array.of(1) });
    const c = new FakePeer();
    proxy.ask(c, { ...name, variant: Uint8Array.of(2) });
    expect(proxy.size).toBe(1);
    expect(proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer)).toBe(true);
    expect(c.sent.length).toBe(1);
  });
});

describe('09 §13 remedy 6: a balance is served again for 5 s', () => {
  const balance = { code: Code.getBalance2, key, payload };
  it('and asked anew afterwards', () => {
    const [a, b, c] = [new FakePeer(), new FakePeer(), new FakePeer()];
    proxy.ask(a, balance);
    proxy.answer(balance.code, key, ups[0]!, Code.balance2, answer);
    clock.advance(4_999);
    expect(proxy.ask(b, balance)).toBe(true);
    expect(b.sent).toEqual([{ code: Code.balance2, payload: answer }]);
    expect([proxy.size, ups[0]!.sent.length]).toEqual([0, 1]);
    clock.advance(1);
    proxy.ask(c, balance);
    expect([c.sent.length, proxy.size, ups[0]!.sent.length]).toEqual([0, 1, 2]);
  });

  it('other answers are not', () => {
    proxy.ask(new FakePeer(), name);
    proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer);
    proxy.ask(new FakePeer(), name);
    expect(ups[0]!.sent.length).toBe(2);
  });
});

describe('09 §13 remedy 7: connections that end', () => {
  it('a client that left waits for nothing; questions only it asked are dropped', () => {
    const [a, b] = [new FakePeer(), new FakePeer()];
    proxy.ask(a, name);
    proxy.ask(b, name);
    proxy.ask(a, headers);
    proxy.dropClient(a.id);
    expect(proxy.size).toBe(1);
    proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer);
    expect([a.sent.length, b.sent.length]).toEqual([0, 1]);
    clock.advance(10_000);
    expect(asked()).toEqual([2, 0, 0, 0]);
  });

  it('what was asked of a ledger node that left is asked elsewhere at once', () => {
    const c = new FakePeer();
    proxy.ask(c, name);
    const gone = ups.shift()!;
    gone.isOpen = false;
    proxy.dropUpstream(gone.id);
    expect(asked()).toEqual([1, 0, 0]);
    expect(proxy.answer(name.code, key, gone, Code.nameRecord, answer)).toBe(false);
    expect(proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer)).toBe(true);
  });

  it('a ledger node that comes up gets what nobody could be asked', () => {
    ups.length = 0;
    const c = new FakePeer();
    proxy.ask(c, name);
    clock.advance(12_000);
    ups.push(new FakePeer());
    proxy.upstreamOpened();
    proxy.upstreamOpened();
    expect(asked()).toEqual([1]);
    // Once asked, newcomers wait for their turn.
    ups.push(new FakePeer());
    proxy.upstreamOpened();
    expect(asked()).toEqual([1, 0]);
    expect(proxy.answer(name.code, key, ups[0]!, Code.nameRecord, answer)).toBe(true);
    expect(c.sent.length).toBe(1);
  });

  it('closing ends every timer', () => {
    proxy.ask(new FakePeer(), name);
    proxy.close();
    expect([proxy.size, clock.nextDueMs()]).toEqual([0, null]);
  });
});

describe('09 §7.4 side messages', () => {
  it('go to every asker with its form of the question, and the question stays open', () => {
    const [a, b] = [new FakePeer(), new FakePeer()];
    proxy.ask(a, { ...headers, variant: Uint8Array.of(0), withMode: true });
    proxy.ask(b, { ...headers, variant: Uint8Array.of(0), withMode: true });
    const seen: [number, boolean][] = [];
    expect(proxy.side(headers.code, key, ups[1]!, (p, m) => seen.push([p.id, m]))).toBe(false);
    expect(proxy.side(headers.code, key, ups[0]!, (p, m) => seen.push([p.id, m]))).toBe(true);
    expect(seen).toEqual([
      [a.id, true],
      [b.id, true],
    ]);
    expect(proxy.size).toBe(1);
  });
});
