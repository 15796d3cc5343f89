import { beforeEach, describe, expect, it } from 'vitest';
import {
  buildPitProof,
  encodeTransaction,
  HeaderChain,
  MemoryHeaderStorage,
  makeHeader,
  pitRoot,
  type Transaction,
  transactionId,
} from '../../src/ledger/index.js';
import { LedgerSide } from '../../src/relay/ledger-side.js';
import type { RelayPeer } from '../../src/relay/peer.js';
import {
  Code,
  CuckooFilter,
  DecodeError,
  decodePitData2,
  decodeTransactionsChunk3,
  EventType,
  encodeAttachEvent,
  encodeBalance2,
  encodeBlockHeaders4,
  encodeGetBalance2,
  encodeGetBlockHeaders4,
  encodeGetNameRecord,
  encodeGetPIT2,
  encodeGetTransaction3,
  encodeGetTransactions2,
  encodeHeadersQuestion,
  encodeNameRecord,
  encodePitData2,
  encodeRejected,
  encodeTransactionsChunk3,
  NETWORKS,
} from '../../src/wire/index.js';
import { emptyFields } from '../ledger/support.js';
import { type FakeLink, relayStage, type Stage, walletOf } from './fakes.js';

interface Node {
  readonly peer: RelayPeer;
  readonly link: FakeLink;
}

const ids = [1, 2, 3].map((n) => new Uint8Array(45).fill(n));
let stage: Stage;
let chain: HeaderChain;
let side: LedgerSide;
let ups: Node[];
let a: Node;
let b: Node;

async function say(from: Node, code: number, payload: Uint8Array): Promise<void> {
  await new Map(side.routes(() => undefined)).get(code)!.handle(from.peer, payload);
}
const got = (n: Node, code: number): Uint8Array[] =>
  n.link.sent.filter((s) => s.code === code).map((s) => s.payload);
const askedOf = (n: Node, code: number): number => got(n, code).length;

const tx = (n: number, from = walletOf(70), to = walletOf(71)): Transaction => ({
  version: 7,
  type: 0,
  blockHeight: 1,
  inputs: [{ key: Uint8Array.of(0), amount: 200_000_000n }],
  outputs: [{ address: to, amount: 100_000_000n, data: null, dataChecksum: null }],
  nonce: n,
  sender: from,
  signature: null,
  applied: 0,
  timestamp: 0,
});

beforeEach(async () => {
  stage = await relayStage(undefined, { transactionsBurst: 5, transactionsPerSecond: 1 });
  chain = await HeaderChain.open({ number: 1, checksum: null }, new MemoryHeaderStorage());
  // Block 1 holds three transactions, so that there is something to prove.
  chain.append(
    makeHeader(emptyFields(1, null, { transactionCount: 3, pitRoot: pitRoot(ids) }), {
      signerDifficulty: 1n,
    }),
  );
  ups = [1, 2, 3].map((n) => stage.join('M', 'ledger', walletOf(n)));
  side = new LedgerSide(stage.ctx, chain, { standalone: false, upstreams: () => ups.map((u) => u.peer) });
  a = stage.join('C', 'inbound', walletOf(50));
  b = stage.join('C', 'inbound', walletOf(51));
});

describe('09 §7.4 and §13 code 49', () => {
  const filter = (() => {
    const f = CuckooFilter.empty(4);
    f.add(walletOf(71));
    return f.encode();
  })();
  const question = { from: 1, count: 10, filter };
  const prefix = encodeHeadersQuestion(question);
  const withMode = encodeGetBlockHeaders4({ ...question, mode: 0 });
  const without = encodeGetBlockHeaders4(question);
  const answer = encodeBlockHeaders4({ ...question, headers: [] });
  const txs = [Uint8Array.of(1, 1), Uint8Array.of(2, 2)];
  const chunk = encodeTransactionsChunk3({ relayIndex: prefix, id: 1, transactions: txs });

  it('the mode is passed on; the answer is matched up to the filter and forwarded unchanged', async () => {
    await say(a, Code.getBlockHeaders4, withMode);
    expect(got(ups[0]!, Code.getBlockHeaders4)).toEqual([withMode]);
    await say(ups[0]!, Code.blockHeaders4, answer);
    expect(a.link.sent).toEqual([{ code: Code.blockHeaders4, payload: answer }]);
  });

  it('code 60 goes without its prefix to who named a mode', async () => {
    await say(a, Code.getBlockHeaders4, withMode);
    await say(ups[0]!, Code.transactionsChunk3, chunk);
    expect(a.link.codes()).toEqual([Code.transactionsChunk3]);
    const plain = decodeTransactionsChunk3(a.link.sent[0]!.payload, 'client');
    expect([plain.id, plain.transactions]).toEqual([1, txs]);
    await say(ups[0]!, Code.blockHeaders4, answer);
    expect(a.link.codes()).toEqual([Code.transactionsChunk3, Code.blockHeaders4]);
  });

  it('code 60 becomes single transactions for who named none', async () => {
    await say(a, Code.getBlockHeaders4, without);
    await say(ups[0]!, Code.transactionsChunk3, chunk);
    expect(a.link.sent).toEqual(txs.map((payload) => ({ code: Code.transactionData2, payload })));
  });

  it('code 22 beside headers goes without its prefix to who named a mode, to nobody else', async () => {
    const pit = buildPitProof(ids, [ids[0]!]);
    const beside = encodePitData2({ relayIndex: prefix, block: 1, pit });
    await say(a, Code.getBlockHeaders4, withMode);
    await say(ups[0]!, Code.pitData2, beside);
    expect(a.link.codes()).toEqual([Code.pitData2]);
    expect(decodePitData2(a.link.sent[0]!.payload, 'client')).toEqual({ block: 1, pit });
    await say(ups[0]!, Code.blockHeaders4, answer);
    await say(b, Code.getBlockHeaders4, without);
    await say(ups[0]!, Code.pitData2, beside);
    expect(b.link.sent).toEqual([]);
  });

  it('two modes of one question are asked one after the other', async () => {
    await say(a, Code.getBlockHeaders4, withMode);
    await say(b, Code.getBlockHeaders4, without);
    expect(got(ups[0]!, Code.getBlockHeaders4)).toEqual([withMode]);
    await say(ups[0]!, Code.blockHeaders4, answer);
    expect(got(ups[0]!, Code.getBlockHeaders4)).toEqual([withMode, without]);
    expect([a.link.codes(), b.link.codes()]).toEqual([[Code.blockHeaders4], []]);
  });

  it('side messages of a node that was not asked go nowhere', async () => {
    await say(a, Code.getBlockHeaders4, withMode);
    await say(ups[1]!, Code.transactionsChunk3, chunk);
    await say(
      ups[1]!,
      Code.pitData2,
      encodePitData2({ relayIndex: prefix, block: 1, pit: Uint8Array.of(0) }),
    );
    await say(ups[1]!, Code.blockHeaders4, answer);
    expect(a.link.sent).toEqual([]);
  });
});

describe('09 §8 and §13 code 21', () => {
  const filterOf = (id: Uint8Array): Uint8Array => {
    const f = CuckooFilter.empty(1);
    f.add(id);
    return f.encode();
  };
  const filter = filterOf(ids[0]!);
  const right = buildPitProof(ids, [ids[0]!]);

  it('a proof that fits the own chain is passed on without its prefix', async () => {
    await say(a, Code.getPIT2, encodeGetPIT2({ block: 1, filter }));
    await say(ups[0]!, Code.pitData2, encodePitData2({ relayIndex: filter, block: 1, pit: right }));
    expect(a.link.sent.map((s) => decodePitData2(s.payload, 'client'))).toEqual([{ block: 1, pit: right }]);
  });

  it('a wrong one is not passed on; another ledger node may do better', async () => {
    await say(a, Code.getPIT2, encodeGetPIT2({ block: 1, filter }));
    const wrong = buildPitProof([ids[0]!, ids[1]!], [ids[0]!]);
    for (const pit of [wrong, Uint8Array.of(1, 2, 3)])
      await say(ups[0]!, Code.pitData2, encodePitData2({ relayIndex: filter, block: 1, pit }));
    expect(a.link.sent).toEqual([]);
    stage.clock.advance(3_000);
    await say(ups[1]!, Code.pitData2, encodePitData2({ relayIndex: filter, block: 1, pit: right }));
    expect(a.link.codes()).toEqual([Code.pitData2]);
  });

  it('block and filter together are the question: another block’s proof is no answer', async () => {
    await say(a, Code.getPIT2, encodeGetPIT2({ block: 5, filter }));
    await say(b, Code.getPIT2, encodeGetPIT2({ block: 1, filter }));
    expect(askedOf(ups[0]!, Code.getPIT2)).toBe(2);
    await say(ups[0]!, Code.pitData2, encodePitData2({ relayIndex: filter, block: 1, pit: right }));
    await say(
      ups[0]!,
      Code.pitData2,
      encodePitData2({ relayIndex: filterOf(ids[1]!), block: 5, pit: right }),
    );
    expect([a.link.sent.length, b.link.sent.length]).toEqual([0, 1]);
  });

  it('of a block that is not in the own chain it is passed on unchecked', async () => {
    await say(a, Code.getPIT2, encodeGetPIT2({ block: 9, filter }));
    await say(ups[0]!, Code.pitData2, encodePitData2({ relayIndex: filter, block: 9, pit: right }));
    expect(a.link.codes()).toEqual([Code.pitData2]);
  });

  it('one nobody asked for is not even checked', async () => {
    await say(ups[0]!, Code.pitData2, encodePitData2({ relayIndex: filter, block: 1, pit: right }));
    const verdicts = stage.counters.samples().filter((s) => s.name === 'ixian_inclusion_proofs_total');
    expect(verdicts.map((s) => s.labels.result)).toEqual(['unasked']);
  });
});

describe('09 §13 balances and names', () => {
  it('a balance is matched by the raw address, in whichever form either side writes it', async () => {
    const wallet = walletOf(77);
    const balance = encodeBalance2({ address: wallet, balance: 5n, height: 1, blockChecksum: null });
    await say(a, Code.getBalance2, encodeGetBalance2(wallet));
    await say(b, Code.getBalance2, encodeGetBalance2(wallet));
    expect(askedOf(ups[0]!, Code.getBalance2)).toBe(1);
    await say(ups[1]!, Code.balance2, balance);
    expect(a.link.sent).toEqual([]);
    await say(ups[0]!, Code.balance2, balance);
    for (const n of [a, b]) expect(n.link.sent).toEqual([{ code: Code.balance2, payload: balance }]);
  });

  it('a name is matched by the name; two record keys of one name are asked one after the other', async () => {
    const name = new Uint8Array(64).fill(3);
    const q = (record: Uint8Array | null) => encodeGetNameRecord({ name, record });
    const answer = encodeNameRecord({ name, records: [] });
    await say(a, Code.getNameRecord, q(null));
    await say(b, Code.getNameRecord, q(Uint8Array.of(1)));
    expect(askedOf(ups[0]!, Code.getNameRecord)).toBe(1);
    await say(ups[0]!, Code.nameRecord, answer);
    expect([a.link.codes(), b.link.codes()]).toEqual([[Code.nameRecord], []]);
    expect(askedOf(ups[0]!, Code.getNameRecord)).toBe(2);
    await say(ups[0]!, Code.nameRecord, answer);
    expect(b.link.codes()).toEqual([Code.nameRecord]);
  });
});

describe('10 §5, §9 transactions', () => {
  const lock = NETWORKS.reg.lock;
  const bytes = encodeTransaction(tx(1));
  const id = transactionId(tx(1), lock);

  it('a client’s goes to two ledger nodes as it came, a relay’s to nobody', async () => {
    await say(a, Code.transactionData2, bytes);
    expect(ups.map((u) => got(u, Code.transactionData2))).toEqual([[bytes], [bytes], []]);
    const r = stage.join('R', 'inbound', walletOf(60));
    await say(r, Code.transactionData2, encodeTransaction(tx(2)));
    expect(ups.map((u) => askedOf(u, Code.transactionData2))).toEqual([1, 1, 0]);
  });

  it('§9.1: five at once, then one a second; 512,000 bytes', async () => {
    for (let n = 10; n < 17; n++) await say(a, Code.transactionData2, encodeTransaction(tx(n)));
    expect(askedOf(ups[0]!, Code.transactionData2)).toBe(5);
    stage.clock.advance(1_000);
    await say(a, Code.transactionData2, encodeTransaction(tx(17)));
    await say(a, Code.transactionData2, encodeTransaction(tx(18)));
    expect(askedOf(ups[0]!, Code.transactionData2)).toBe(6);
    await say(b, Code.transactionData2, new Uint8Array(512_001));
    expect(askedOf(ups[0]!, Code.transactionData2)).toBe(6);
  });

  it('§6: a rejection of one of two ledger nodes is kept back, of both it is passed on', async () => {
    await say(a, Code.transactionData2, bytes);
    const no = encodeRejected({ reason: 0x20, transactionId: id });
    await say(ups[0]!, Code.rejected, no);
    expect(a.link.sent).toEqual([]);
    await say(ups[1]!, Code.rejected, no);
    expect(a.link.sent).toEqual([{ code: Code.rejected, payload: no }]);
  });

  it('§9.3: getTransaction3 is answered from those on their way, others by the ledger to who asked', async () => {
    await say(a, Code.transactionData2, bytes);
    await say(b, Code.getTransaction3, encodeGetTransaction3({ transactionId: id, block: 0 }));
    expect(b.link.sent).toEqual([{ code: Code.transactionData2, payload: bytes }]);
    const other = encodeTransaction(tx(2));
    await say(
      b,
      Code.getTransaction3,
      encodeGetTransaction3({ transactionId: transactionId(tx(2), lock), block: 3 }),
    );
    expect(askedOf(ups[0]!, Code.getTransaction3)).toBe(1);
    await say(ups[0]!, Code.transactionData2, other);
    expect(b.link.sent.slice(1)).toEqual([{ code: Code.transactionData2, payload: other }]);
    expect(a.link.sent).toEqual([]);
  });

  it('getTransactions2 is matched by its id; the plain layout is told from the prefixed one', async () => {
    const q = encodeGetTransactions2({ id: 7, transactionIds: [id] });
    await say(a, Code.getTransactions2, q);
    expect(got(ups[0]!, Code.getTransactions2)).toEqual([q]);
    await say(ups[0]!, Code.transactionsChunk3, encodeTransactionsChunk3({ id: 8, transactions: [bytes] }));
    expect(a.link.sent).toEqual([]);
    const answer = encodeTransactionsChunk3({ id: 7, transactions: [bytes] });
    await say(ups[0]!, Code.transactionsChunk3, answer);
    expect(a.link.sent).toEqual([{ code: Code.transactionsChunk3, payload: answer }]);
  });

  it('04 §1.4: an unasked one goes once to those who subscribed to a party', async () => {
    const both = CuckooFilter.empty(2);
    both.add(walletOf(70));
    both.add(walletOf(71));
    for (const type of [EventType.transactionFrom, EventType.transactionTo])
      a.peer.subscribing().attach(encodeAttachEvent({ type, filter: both.encode() }));
    stage.ctx.peers.subscribed(a.peer);
    await say(ups[2]!, Code.transactionData2, bytes);
    expect([a.link.sent, b.link.sent]).toEqual([[{ code: Code.transactionData2, payload: bytes }], []]);
  });

  it('07 §9.1: never of the wallet that a connection claims without proof', async () => {
    const own = CuckooFilter.empty(1);
    own.add(walletOf(71));
    const filter = encodeAttachEvent({ type: EventType.transactionTo, filter: own.encode() });
    const thief = stage.join('C', 'inbound', walletOf(71), { verified: 'none' });
    const owner = stage.join('C', 'inbound', walletOf(71));
    for (const n of [thief, owner]) {
      n.peer.subscribing().attach(filter);
      stage.ctx.peers.subscribed(n.peer);
    }
    await say(ups[0]!, Code.transactionData2, bytes);
    expect([thief.link.sent.length, owner.link.sent.length]).toEqual([0, 1]);
    thief.link.setProven();
    await say(ups[0]!, Code.transactionData2, bytes);
    expect(thief.link.sent.length).toBe(1);
  });
});

it('a payload that is cut anywhere is refused, whatever its code', async () => {
  const payload = encodeGetTransaction3({ transactionId: ids[0]!, block: 3 });
  for (let n = 1; n < payload.length - 1; n++)
    await expect(say(a, Code.getTransaction3, payload.subarray(0, n))).rejects.toThrow(DecodeError);
});
