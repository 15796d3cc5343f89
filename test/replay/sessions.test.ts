import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeHeader } from '../../src/ledger/index.js';
import { decodeStreamMessage, envelopeOf } from '../../src/messages/index.js';
import { decodeKeepAlive, decodePresence } from '../../src/presence/index.js';
import {
  Code,
  decodeBlockHeaders4,
  decodeGetBlockHeaders3,
  decodeGetBlockHeaders4,
  decodeGetSectorNodes,
  decodeHello,
  decodeInventory2,
  decodeSectorNodes,
  encodeGetPresence2,
  headersQuestionKey,
  helloPreimage,
  InventoryType,
  NETWORKS,
  toHex,
} from '../../src/wire/index.js';
import { engine, signerOf } from '../link/support.js';
import { RELAY_IP, RELAY_PORT, Replay, type ReplayedClient } from './harness.js';
import { announcedBlocks } from './headers.js';
import { requestKey } from './recording.js';

/** A whole replay must stay below this; it takes a few seconds. */
const replayMsMax = 60_000;

let replay: Replay;
let realMs = 0;
/** Sessions that the hello alone had earned, looked at before any keep-alive of that connection. */
const sessionsAfterHello: number[] = [];
/** Payloads that a lookup of the recorded client returned while it was connected. */
let storedPresence: Uint8Array[] = [];
/** Own height when each client came. */
const heights: number[] = [];

const client = (i: number): ReplayedClient => replay.clients[i]!;
const sent = (c: ReplayedClient, code: number): Uint8Array[] =>
  c.sent.filter((r) => r.kind === 'frame' && r.code === code).map((r) => r.payload);
const got = (c: ReplayedClient, code: number): Uint8Array[] => c.peer!.frames(code).map((r) => r.payload);
const count = (name: string, labels: Readonly<Record<string, string>>): number => {
  for (const s of replay.counters.samples())
    if (s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v))
      return 'value' in s.metric ? s.metric.value : s.metric.count;
  return 0;
};
const asked = (code: number): { ms: number; payload: Uint8Array; answers: number }[] =>
  replay.master.asked.filter((a) => a.code === code);

beforeAll(async () => {
  const begin = Date.now();
  replay = await Replay.start();
  for (const c of replay.clients)
    replay.schedule(c.connection.t0 + 300, () => {
      sessionsAfterHello.push(replay.relay.status().sessions);
      heights.push(replay.relay.status().height);
    });
  const last = client(3).connection;
  replay.schedule(last.t0 + 60_000, async () => {
    const wallet = decodeHello(sent(client(0), Code.hello)[0]!).address;
    const before = replay.standIn!.messages.length;
    replay.standIn!.link.send(Code.getPresence2, encodeGetPresence2(wallet));
    await replay.quiet();
    storedPresence = replay
      .standIn!.messages.slice(before)
      .filter((m) => m.code === Code.updatePresence)
      .map((m) => m.payload);
  });
  await replay.run();
  realMs = Date.now() - begin;
}, replayMsMax);

afterAll(() => replay.stop());

it('takes under a minute for nineteen recorded ones', () => {
  expect(realMs).toBeLessThan(replayMsMax);
  expect(replay.clock.nowMs() - replay.master.connection.t0).toBeGreaterThan(1_120_000);
});

describe('beside the recorded master', () => {
  it('says hello with its own keys and the announced endpoint, and takes helloData', async () => {
    const [hello] = asked(Code.hello).map((a) => decodeHello(a.payload));
    const signer = await signerOf('w0');
    expect([hello!.nodeType, hello!.port, hello!.testFlag]).toEqual(['R', RELAY_PORT, true]);
    expect(toHex(hello!.address)).toBe(toHex(signer.address));
    const message = helloPreimage({
      lock: NETWORKS.reg.lock,
      deviceId: hello!.deviceId,
      timestamp: hello!.timestamp,
      endpoint: `${RELAY_IP}:${RELAY_PORT}`,
      challenge: hello!.challenge,
    });
    const [good] = await (await engine()).verify([
      { key: signer.publicKey, message, signature: hello!.signature },
    ]);
    expect(good).toBe(true);
    expect(asked(Code.hello).length).toBe(1);
    expect(asked(Code.bye)).toEqual([]);
  });

  it('announces itself in full and answers getPresence2 with its own presence alone', () => {
    const own = asked(Code.keepAlivePresence).map((a) => decodeKeepAlive(a.payload));
    expect(own.length).toBeGreaterThan(5);
    for (const ka of own) {
      expect([ka.type, ka.hostname]).toEqual(['R', `${RELAY_IP}:${RELAY_PORT}`]);
      expect(toHex(ka.wallet)).toBe(toHex(replay.relay.address));
    }
    // Two questions were recorded; each came twice, for the recorded relay's wallet and for ours.
    const answers = asked(Code.updatePresence).map((a) => decodePresence(a.payload));
    expect(answers.map((p) => toHex(p.wallet))).toEqual(Array(2).fill(toHex(replay.relay.address)));
    expect(answers[0]!.addresses.map((a) => a.hostname)).toEqual([`${RELAY_IP}:${RELAY_PORT}`]);
  });

  it('survives the mixed inventory and asks only for keep-alives that are newer than its own', () => {
    expect(count('ixian_frames_dropped_total', { reason: 'malformed' })).toBe(0);
    expect(replay.counters.total('ixian_frames_dropped_total')).toBe(0);
    // Nothing else is asked but what the recorded relay asked, or the announced keep-alives (code 6).
    const kinds = new Set(replay.master.asked.map((a) => a.code));
    const known: number[] = [
      Code.hello,
      Code.getRandomPresences,
      Code.attachEvent,
      Code.getSectorNodes,
      Code.getBlockHeaders3,
      Code.getBlockHeaders4,
      Code.getBalance2,
      Code.getPIT2,
      Code.getTransaction3,
      Code.transactionData2,
      Code.keepAlivePresence,
      Code.updatePresence,
      Code.getKeepAlives,
      Code.getPresence2,
    ];
    expect([...kinds].filter((k) => !known.includes(k))).toEqual([]);
  });

  it('has a connection until the master ends it, and outlives that', () => {
    const closed = count('ixian_connections_closed_total', {
      direction: 'out',
      reason: 'remote_end',
    });
    expect(closed).toBe(1);
    expect(replay.relay.status().connections).toBe(1);
    expect(replay.log).toEqual([]);
  });

  it('follows the headers to the recorded height, each the very block that was announced', () => {
    const chain = replay.relay.chain!;
    expect(chain.height).toBe(46);
    const announced = announcedBlocks(replay.master.connection);
    const checked = [...announced].filter(([n]) => n <= chain.height);
    expect(checked.length).toBeGreaterThan(30);
    for (const [n, a] of checked) expect(toHex(chain.checksumOf(n)!)).toBe(toHex(a.checksum));
    for (let n = 2; n <= chain.height; n++) {
      const h = decodeHeader(replay.master.table.get(n)!);
      expect(toHex(h.previousChecksum!)).toBe(toHex(chain.checksumOf(n - 1)!));
      expect(toHex(h.checksum)).toBe(toHex(chain.checksumOf(n)!));
    }
    expect(replay.counters.total('ixian_headers_received_total')).toBe(46);
    const from = asked(Code.getBlockHeaders3).map((a) => decodeGetBlockHeaders3(a.payload).from);
    expect([from[0], Math.max(...from)]).toEqual([1, 47]);
    expect([...from].sort((a, b) => a - b)).toEqual(from);
  });

  it('checks every inclusion proof against its own headers', () => {
    expect(count('ixian_inclusion_proofs_total', { result: 'right' })).toBeGreaterThan(4);
    expect(count('ixian_inclusion_proofs_total', { result: 'wrong' })).toBe(0);
    expect(count('ixian_inclusion_proofs_total', { result: 'unchecked' })).toBe(0);
  });

  it('passes on what its other clients ask, and the answers back', () => {
    const recordedKinds = new Set(replay.standInAsked.map((r) => r.code));
    expect([...recordedKinds].sort((a, b) => a! - b!)).toEqual([
      Code.transactionData2,
      Code.getSectorNodes,
      Code.getPIT2,
      Code.getBalance2,
      Code.getBlockHeaders4,
      Code.getTransaction3,
    ]);
    const reached = new Set(
      replay.master.asked.filter((a) => a.answers > 0).map((a) => requestKey(a.code, a.payload)),
    );
    const back = replay.standIn!.messages;
    const blocks = replay.standInAsked
      .filter((r) => r.code === Code.getBlockHeaders4)
      .map((r) => requestKey(r.code!, r.payload));
    expect(blocks.filter((k) => reached.has(k)).length).toBeGreaterThan(20);
    for (const code of [
      Code.sectorNodes,
      Code.balance2,
      Code.blockHeaders4,
      Code.pitData2,
      Code.transactionData2,
      Code.rejected,
    ])
      expect([code, back.some((m) => m.code === code)]).toEqual([code, true]);
  });

  it('answers the probe of its listener with time records alone', () => {
    const kinds = replay.probePeer!.received.map((r) => r.kind);
    expect(kinds).toEqual(Array(5).fill('time'));
    expect(replay.probePeer!.ended).toBe(true);
    expect(replay.probe.records.map((r) => r.kind)).toContain('byte');
  });
});

describe('beside the recorded clients', () => {
  it('takes all four for proven by their hello', () => {
    // The stand-in is the first; the connections come in the order of the file.
    expect(sessionsAfterHello).toEqual([3, 3, 4, 5]);
    for (const c of replay.clients) expect(got(c, Code.helloData).length).toBe(1);
  });

  it('asks for the unknown client’s presence and stores it, with its keep-alives', () => {
    expect(got(client(0), Code.getPresence2).length).toBe(1);
    const [p] = storedPresence.map((b) => decodePresence(b));
    const wallet = decodeHello(sent(client(0), Code.hello)[0]!).address;
    expect(toHex(p!.wallet)).toBe(toHex(wallet));
    const newest = Math.max(
      ...replay.clients.flatMap((c) =>
        sent(c, Code.keepAlivePresence)
          .map((b) => decodeKeepAlive(b).timestamp)
          .filter((t) => t * 1000 <= client(3).connection.t0 + 60_000),
      ),
    );
    expect(p!.addresses.map((a) => [a.type, a.lastSeen])).toEqual([['C', newest]]);
  });

  it('answers every lookup of a presence that was recorded as answered', () => {
    for (const c of replay.clients) {
      const questions = sent(c, Code.getPresence2).map((b) => toHex(b.subarray(1)));
      const answers = got(c, Code.updatePresence).map((b) => toHex(decodePresence(b).wallet));
      expect(answers).toEqual(questions);
    }
    expect(replay.clients.flatMap((c) => got(c, Code.updatePresence)).length).toBe(10);
  });

  it('answers every sector question, each with its own prefix', () => {
    for (const c of replay.clients) {
      const questions = sent(c, Code.getSectorNodes).map((b) => toHex(decodeGetSectorNodes(b).prefix));
      const answers = got(c, Code.sectorNodes).map((b) => decodeSectorNodes(b));
      expect(new Set(answers.map((m) => toHex(m.prefix)))).toEqual(new Set(questions));
      // At least as many as the recorded relay gave, and never without a relay.
      const recorded = c.connection.records.filter(
        (r) => r.from === 'listener' && r.code === Code.sectorNodes,
      );
      expect(answers.length).toBeGreaterThanOrEqual(recorded.length);
      for (const m of answers) expect(m.presences.length).toBeGreaterThan(0);
    }
    expect(sent(client(1), Code.getSectorNodes).length).toBe(6);
  });

  it('delivers the block headers that the recorded relay left out, with block 31’s transaction and proof', () => {
    for (const i of [1, 2]) {
      const c = client(i);
      const questions = sent(c, Code.getBlockHeaders4);
      const answers = got(c, Code.blockHeaders4);
      expect([questions.length, answers.length]).toEqual([2, 2]);
      answers.forEach((a, n) => {
        expect(toHex(headersQuestionKey(a))).toBe(toHex(headersQuestionKey(questions[n]!)));
        const numbers = decodeBlockHeaders4(a).headers.map((h) => decodeHeader(h).number);
        expect(numbers[0]).toBe(decodeGetBlockHeaders4(questions[n]!).from);
        expect(numbers).toEqual(numbers.map((_, k) => numbers[0]! + k));
      });
      const recorded = c.connection.records.filter(
        (r) => r.from === 'listener' && r.code === Code.blockHeaders4,
      );
      expect(recorded).toEqual([]);
    }
    const codes = client(2)
      .peer!.frames()
      .map((r) => r.code);
    expect([codes.includes(Code.transactionsChunk3), codes.includes(Code.pitData2)]).toEqual([true, true]);
  });

  it('answers every stream message for somebody who is not connected with the error that names it', () => {
    for (const c of replay.clients) {
      const ids = sent(c, Code.s2data).map((b) => toHex(envelopeOf(b).id ?? new Uint8Array(0)));
      const errors = got(c, Code.s2data).map((b) => decodeStreamMessage(b));
      expect(errors.map((e) => e.type)).toEqual(ids.map(() => 0));
      expect(errors.map((e) => toHex(e.data ?? new Uint8Array(0)))).toEqual(ids);
    }
    expect(sent(client(0), Code.s2data).length + sent(client(3), Code.s2data).length).toBe(78);
  });

  it('announces every new block to them, and nothing was lost', () => {
    expect(heights).toEqual([27, 27, 27, 29]);
    replay.clients.forEach((c, i) => {
      const blocks = (payloads: readonly Uint8Array[]): number[] =>
        payloads.flatMap((b) =>
          decodeInventory2(b).items.flatMap((x) => (x.type === InventoryType.block ? [x.block] : [])),
        );
      const recorded = blocks(
        c.connection.records
          .filter((r) => r.from === 'listener' && r.code === Code.inventory2)
          .map((r) => r.payload),
      );
      const ours = blocks(got(c, Code.inventory2));
      // The recorded relay fetched headers up to 30 s late: what we knew before a client came is not news to it.
      const news = recorded.filter((n) => n > heights[i]!);
      expect(news.filter((n) => !ours.includes(n))).toEqual([]);
      expect(news.length).toBeGreaterThan(2);
    });
  });

  it('keeps quiet about announcements and cancellations', () => {
    // Two detachEvents without a subscription, and announcements of keep-alives it has or gets unasked.
    expect(sent(client(1), Code.detachEvent).length).toBe(2);
    const announcements = replay.clients.flatMap((c) => sent(c, Code.inventory2));
    expect(announcements.length).toBe(3);
    for (const c of replay.clients) {
      expect(got(c, Code.bye)).toEqual([]);
      const answers = new Set(c.peer!.frames().map((r) => r.code));
      const expected: number[] = [
        Code.helloData,
        Code.getPresence2,
        Code.updatePresence,
        Code.inventory2,
        Code.s2data,
        Code.sectorNodes,
        Code.blockHeaders4,
        Code.transactionsChunk3,
        Code.pitData2,
      ];
      expect([...answers].filter((code) => !expected.includes(code))).toEqual([]);
    }
  });
});
