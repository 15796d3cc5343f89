import { beforeEach, describe, expect, it } from 'vitest';
import {
  type BlockHeader,
  decodeHeader,
  encodeHeader,
  HeaderChain,
  MemoryHeaderStorage,
} from '../../src/ledger/index.js';
import { handleInventory } from '../../src/relay/dispatch.js';
import { LedgerSide } from '../../src/relay/ledger-side.js';
import type { RelayPeer } from '../../src/relay/peer.js';
import {
  Code,
  CuckooFilter,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodeGetBlockHeaders3,
  encodeBlockHeaders3,
  encodeGetBlockHeaders3,
  encodeGetBlockHeaders4,
  encodeInventory2,
  encodeInventoryItem,
  InventoryType,
} from '../../src/wire/index.js';
import { chained } from '../ledger/support.js';
import { type FakeLink, relayStage, START, type Stage, walletOf } from './fakes.js';

interface Node {
  readonly peer: RelayPeer;
  readonly link: FakeLink;
}

let stage: Stage;
let chain: HeaderChain;
let side: LedgerSide;
const ledgers: Node[] = [];

const bytesOf = (headers: readonly BlockHeader[]): Uint8Array[] =>
  headers.map((h) => encodeHeader(h, { signatures: 'full', tail: 'difficulty' }));
const answer = (headers: readonly BlockHeader[]): Uint8Array => encodeBlockHeaders3(bytesOf(headers));

async function say(from: Node, code: number, payload: Uint8Array): Promise<void> {
  const route = new Map(side.routes(() => undefined)).get(code)!;
  await route.handle(from.peer, payload);
}

/** Questions for headers that went to that node: from, count. */
const asked = (n: Node): [number, number][] =>
  n.link.sent
    .filter((s) => s.code === Code.getBlockHeaders3)
    .map((s) => decodeGetBlockHeaders3(s.payload))
    .map((q) => [q.from, q.count]);

function join(height = 0): Node {
  const n = stage.join('M', 'ledger', walletOf(ledgers.length + 1), { height });
  ledgers.push(n);
  side.peerOpened(n.peer);
  return n;
}

function leave(n: Node): void {
  n.link.isOpen = false;
  ledgers.splice(ledgers.indexOf(n), 1);
  stage.ctx.peers.remove(n.peer);
  side.peerClosed(n.peer);
}

beforeEach(async () => {
  ledgers.length = 0;
  stage = await relayStage();
  chain = await HeaderChain.open({ number: 1, checksum: null }, new MemoryHeaderStorage());
  side = new LedgerSide(stage.ctx, chain, {
    standalone: false,
    upstreams: () => ledgers.map((l) => l.peer).filter((p) => p.isOpen),
  });
  side.start();
});

describe('09 §2 following the chain', () => {
  it('asks 250 after the own tip when a ledger node comes, and goes on at once while headers come', async () => {
    const blocks = chained(300);
    const m = join();
    expect(asked(m)).toEqual([[1, 250]]);
    await say(m, Code.blockHeaders3, answer(blocks.slice(0, 250)));
    expect([chain.height, asked(m)[1]]).toEqual([250, [251, 250]]);
    await say(m, Code.blockHeaders3, answer(blocks.slice(250)));
    expect([chain.height, asked(m)[2]]).toEqual([300, [301, 250]]);
    expect(chain.tip?.checksum).toEqual(blocks[299]!.checksum);
  });

  it('asks again after 30 s without activity', () => {
    const m = join();
    stage.clock.advance(30_000);
    expect(asked(m).length).toBe(1);
    stage.clock.advance(1_000);
    expect(asked(m).length).toBe(2);
  });

  it('a higher block announced is asked for, once the open question is done', async () => {
    const m = join();
    side.announced(m.peer, 1);
    side.announced(m.peer, 2);
    expect(asked(m).length).toBe(1);
    await say(m, Code.blockHeaders3, answer(chained(2)));
    expect(asked(m).length).toBe(2);
    stage.clock.advance(5_000);
    side.announced(m.peer, 2);
    expect(asked(m).length).toBe(2);
    side.announced(m.peer, 3);
    expect(asked(m)[2]).toEqual([3, 250]);
    expect(m.peer.height).toBe(3);
  });

  it('silence frees the way for another question after 5 s', () => {
    const m = join();
    side.announced(m.peer, 9);
    stage.clock.advance(4_999);
    expect(asked(m).length).toBe(1);
    stage.clock.advance(1);
    expect(asked(m).length).toBe(2);
  });

  it('when the asked node leaves another one is asked at once', () => {
    const a = join();
    const b = join();
    expect([asked(a).length, asked(b).length]).toEqual([1, 0]);
    leave(a);
    expect(asked(b).length).toBe(1);
  });

  it('answers of a node that was not asked are ignored', async () => {
    join();
    const b = join();
    await say(b, Code.blockHeaders3, answer(chained(5)));
    expect(chain.height).toBe(0);
  });

  it('headers that do not chain are not taken', async () => {
    const m = join();
    const [one, , three] = chained(3);
    await say(m, Code.blockHeaders3, answer([one!, three!]));
    expect(chain.height).toBe(1);
  });

  it('04 §4.2: every new header is told to clients, and to them alone', async () => {
    const c = stage.join('C', 'inbound', walletOf(90));
    const r = stage.join('R', 'inbound', walletOf(91));
    const blocks = chained(3);
    const m = join();
    await say(m, Code.blockHeaders3, answer(blocks));
    expect(c.link.items).toEqual(
      blocks.map((h) => ({ type: InventoryType.block, hash: h.checksum, block: h.number })),
    );
    expect([r.link.items, m.link.items]).toEqual([[], []]);
    // Known ones again beside a new one: only that one is news.
    await say(m, Code.blockHeaders3, answer(chained(4)));
    expect(c.link.items.length).toBe(4);
  });
});

describe('09 §7.5 another branch', () => {
  const base = chained(150);
  const ours = [...base, ...chained(50, 151, base[149]!.checksum)];
  const branch = (count: number, over = 0x44): BlockHeader[] =>
    chained(count, 151, base[149]!.checksum, { walletStateChecksum: new Uint8Array(64).fill(over) });

  beforeEach(() => {
    chain.appendAll(ours);
  });

  const shows = async (n: Node, blocks: readonly BlockHeader[]): Promise<void> => {
    const [from, count] = asked(n)[asked(n).length - 1]!;
    await say(n, Code.blockHeaders3, answer(blocks.filter((h) => h.number >= from).slice(0, count)));
  };

  it('is asked for from 99 below the tip; a longer one of the only ledger node is adopted', async () => {
    const m = join();
    const theirs = [...base, ...branch(52)];
    await shows(m, theirs);
    expect(asked(m)).toEqual([
      [201, 250],
      [101, 250],
    ]);
    expect(chain.height).toBe(200);
    await shows(m, theirs);
    expect([chain.height, chain.tip?.checksum]).toEqual([202, theirs[201]!.checksum]);
    expect(asked(m)[2]).toEqual([203, 250]);
  });

  it('clients hear of the adopted headers', async () => {
    const c = stage.join('C', 'inbound', walletOf(90));
    const m = join();
    await shows(m, [...base, ...branch(52)]);
    await shows(m, [...base, ...branch(52)]);
    expect(c.link.items.map((i) => (i as { block: number }).block)).toEqual(branch(52).map((h) => h.number));
  });

  it('one that is not longer is refused', async () => {
    const m = join();
    await shows(m, [...base, ...branch(51)]);
    await shows(m, [...base, ...branch(50)]);
    expect([chain.height, chain.tip?.checksum]).toEqual([200, ours[199]!.checksum]);
  });

  it('one that leaves ours more than 100 blocks back is refused', async () => {
    const early = chained(120, 100, base[98]!.checksum, { walletStateChecksum: new Uint8Array(64).fill(9) });
    const m = join();
    await shows(m, [...base.slice(0, 99), ...early]);
    await shows(m, [...base.slice(0, 99), ...early]);
    expect(chain.tip?.checksum).toEqual(ours[199]!.checksum);
  });

  it('one liar cannot roll back: another ledger node is asked and does not confirm', async () => {
    const liar = join();
    const honest = join();
    await shows(liar, [...base, ...branch(60)]);
    await shows(liar, [...base, ...branch(60)]);
    expect(chain.height).toBe(200);
    expect(asked(honest)).toEqual([[101, 250]]);
    await shows(honest, ours);
    expect([chain.height, chain.tip?.checksum]).toEqual([200, ours[199]!.checksum]);
    // From now on the honest one is asked, whatever chance says.
    for (let i = 0; i < 8; i++) stage.clock.advance(31_000);
    expect(asked(liar).length).toBe(2);
    expect(asked(honest).length).toBeGreaterThan(8);
  });

  it('what two ledger nodes show is adopted, as far as both show it', async () => {
    const a = join();
    const b = join();
    await shows(a, [...base, ...branch(60)]);
    await shows(a, [...base, ...branch(60)]);
    await shows(b, [...base, ...branch(55)]);
    expect([chain.height, chain.tip?.checksum]).toEqual([205, branch(55)[54]!.checksum]);
  });

  it('a confirmed beginning carries nobody’s own continuation', async () => {
    const a = join();
    const b = join();
    const forged = [...branch(51), ...chained(9, 202, branch(51)[50]!.checksum, { timestamp: 5 })];
    await shows(a, [...base, ...forged]);
    await shows(a, [...base, ...forged]);
    await shows(b, [...base, ...branch(60)]);
    expect([chain.height, chain.tip?.checksum]).toEqual([201, branch(51)[50]!.checksum]);
  });

  it('silence of the witness changes nothing, and the next mismatch begins anew', async () => {
    const a = join();
    const b = join();
    await shows(a, [...base, ...branch(60)]);
    await shows(a, [...base, ...branch(60)]);
    stage.clock.advance(5_000);
    await say(b, Code.blockHeaders3, answer([...base, ...branch(60)].slice(100)));
    expect(chain.height).toBe(200);
    leave(b);
    side.announced(a.peer, 211);
    await shows(a, [...base, ...branch(60)]);
    await shows(a, [...base, ...branch(60)]);
    expect(chain.height).toBe(210);
  });
});

describe('09 §12 height of the network, strict', () => {
  const tipAge = (seconds: number): void => {
    chain.appendAll(chained(10, 1, null, { timestamp: START - seconds }));
  };

  it('with fewer than three ledger nodes the own height stands', () => {
    tipAge(3_000);
    join(50);
    join(50);
    expect(side.networkHeight()).toBe(10);
    join(50);
    expect(side.networkHeight()).toBe(50);
  });

  it('nodes that named no height have no voice, and neither have clients or those that dialled us', () => {
    tipAge(3_000);
    for (const h of [0, 50, 50]) join(h);
    stage.join('C', 'inbound', walletOf(80), { height: 99 });
    stage.join('M', 'inbound', walletOf(81), { height: 99 });
    expect(side.networkHeight()).toBe(10);
  });

  it('no more blocks than can have been made since the own last one', () => {
    tipAge(95);
    for (const h of [50, 50, 50]) join(h);
    expect(side.networkHeight()).toBe(13);
  });

  it('an announced block raises the height of who announced it', () => {
    tipAge(3_000);
    const nodes = [join(11), join(11), join(11)];
    for (const n of nodes.slice(0, 2)) side.announced(n.peer, 20);
    expect(side.networkHeight()).toBe(20);
  });
});

describe('09 §7.1 and §7.4 headers from the own chain', () => {
  const blocks = chained(20);
  const filter = CuckooFilter.empty(4).encode();
  let c: Node;
  beforeEach(() => {
    chain.appendAll(blocks);
    c = stage.join('C', 'inbound', walletOf(60));
  });

  it('46 is answered through the tip, in the form the 0.9.7 line reads', async () => {
    await say(c, Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 18, count: 250 }));
    const got = decodeBlockHeaders3(c.link.sent[0]!.payload).map((h) => decodeHeader(h, 'bits'));
    expect([c.link.codes(), got.map((h) => h.number)]).toEqual([[Code.blockHeaders3], [18, 19, 20]]);
    expect(got[2]!.checksum).toEqual(blocks[19]!.checksum);
    await say(c, Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 21, count: 1 }));
    await say(c, Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 0, count: 5 }));
    await say(c, Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: 1, count: 0 }));
    expect(c.link.sent.length).toBe(1);
  });

  it('49 without filter is answered from it, in the asker’s form', async () => {
    const m = join();
    for (const [mode, tail] of [
      [undefined, 'bits'],
      [0, 'difficulty'],
    ] as const) {
      await say(
        c,
        Code.getBlockHeaders4,
        encodeGetBlockHeaders4({ from: 3, count: 2, filter: null, ...(mode === undefined ? {} : { mode }) }),
      );
      const a = decodeBlockHeaders4(c.link.sent.pop()!.payload);
      expect([a.from, a.count, a.filter, a.headers.map((h) => decodeHeader(h, tail).number)]).toEqual([
        3,
        2,
        null,
        [3, 4],
      ]);
    }
    expect(m.link.codes()).toEqual([Code.getBlockHeaders3]);
  });

  it('49 with a filter, with signatures wanted, or beyond the tip goes to the ledger', async () => {
    const m = join();
    const questions = [
      encodeGetBlockHeaders4({ from: 3, count: 2, filter, mode: 0 }),
      encodeGetBlockHeaders4({ from: 4, count: 2, filter: null, mode: 2 }),
      encodeGetBlockHeaders4({ from: 21, count: 2, filter: null, mode: 0 }),
    ];
    for (const q of questions) await say(c, Code.getBlockHeaders4, q);
    expect(m.link.sent.filter((s) => s.code === Code.getBlockHeaders4).map((s) => s.payload)).toEqual(
      questions,
    );
    expect(c.link.sent).toEqual([]);
  });

  it('with no ledger node the own chain answers what it can', async () => {
    await say(c, Code.getBlockHeaders4, encodeGetBlockHeaders4({ from: 19, count: 9, filter, mode: 2 }));
    await say(c, Code.getBlockHeaders4, encodeGetBlockHeaders4({ from: 19, count: 9, filter, mode: 4 }));
    await say(c, Code.getBlockHeaders4, encodeGetBlockHeaders4({ from: 21, count: 9, filter, mode: 0 }));
    expect(c.link.sent.map((s) => decodeBlockHeaders4(s.payload).headers.length)).toEqual([2]);
  });
});

describe('inventory', () => {
  it('block items raise heights through the route', async () => {
    const m = join();
    const item = { type: InventoryType.block, hash: new Uint8Array(64).fill(1), block: 77 } as const;
    const payload = encodeInventory2([encodeInventoryItem(item)]);
    handleInventory({ block: (p, n) => side.announced(p, n), keepAlives: () => undefined }, m.peer, payload);
    expect(m.peer.height).toBe(77);
  });
});
