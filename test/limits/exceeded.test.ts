import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { LinkMemory, type Transport, transportLingerMs } from '../../src/link/index.js';
import { listenTcp } from '../../src/link/node/index.js';
import { SendQueue } from '../../src/link/send-queue.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import type { RelayContext } from '../../src/relay/context.js';
import { Gossip } from '../../src/relay/gossip.js';
import { LIMITS, type Relay } from '../../src/relay/index.js';
import { PresenceHandlers, pendingPerPeerMax } from '../../src/relay/presence-handlers.js';
import { PresenceSide } from '../../src/relay/presence-side.js';
import {
  Code,
  CuckooFilter,
  concatBytes,
  decodeSectorNodes,
  EventType,
  encodeAttachEvent,
  encodeFrame,
  encodeGetPresence2,
  encodeGetSectorNodes,
  PING_BYTE,
  PROBE_BYTE,
} from '../../src/wire/index.js';
import { signerOf, type Watched } from '../link/support.js';
import { relayStage, START, walletOf } from '../relay/fakes.js';
import { count, endOf, rawSocket } from '../relay/hostile-support.js';
import { connected, startRelay, until } from '../relay/support.js';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function relayWith(over: Parameters<typeof startRelay>[0] = {}): Promise<Relay> {
  const r = await startRelay(over);
  ends.push(() => r.stop());
  return r;
}

const closed = (relay: Relay, reason: string): number =>
  count(relay, 'ixian_connections_closed_total', { reason });
const quota = (relay: Relay, kind: string, scope: string): number =>
  count(relay, 'ixian_quota_exceeded_total', { kind, scope });
const answers = (w: Watched): number => w.messages.filter((m) => m.code === Code.updatePresence).length;

/** Where each limit is exceeded: test file and the beginning of the test's title. */
const BRAKE = 'test/relay/sender-brake.test.ts';
const OUTSIDE = 'test/relay/outside.test.ts';
const HOSTILE = 'test/relay/hostile.test.ts';
const HERE = 'test/limits/exceeded.test.ts';
const FAIR = 'test/limits/fairness.test.ts';
const FAULTS = 'test/faults/peers.test.ts';
const PROXY = 'test/relay/ledger-proxy.test.ts';
const PENDING = 'test/relay/pending-transactions.test.ts';
const VERDICT = 'test/link/handshake-verdict.test.ts';
const FETCH = 'test/relay/keep-alive-fetch.test.ts';
const SECTORS = 'test/relay/sector-questions.test.ts';
const shared = [FAIR, 'are taken from connection, wallet and prefix together'] as const;
const sharedBytes = [FAIR, 'bytes of a wallet and of a prefix slow down'] as const;
const byCost = [FAIR, 'requests by cost'] as const;
const sharedRequests = [HERE, 'requests of a wallet and of a prefix'] as const;
const connects = [FAIR, 'a prefix brings so many new ones a second'] as const;
const offences = [HERE, 'an address whose connections say what no peer says is not looked at'] as const;
const owed = [FAULTS, 'a peer sends more bytes than it may'] as const;
const rateLimited = ['test/relay/relay.test.ts', 'beyond the rate limit are told to the sender'] as const;
const prefixes = [FAIR, 'of any length'] as const;
const payments = ['test/relay/ledger-handlers.test.ts', '§9.1: five at once, then one a second'] as const;
const places = [FAIR, 'an address gets its part of all connections'] as const;
const halfOpen = [HOSTILE, 'a thousand half-open connections take their share'] as const;
const asked = [SECTORS, 'the ledger is asked so often and no more'] as const;
const servers = [HERE, 'ledger nodes and relays have a rate of their own'] as const;
const seldom = [
  'test/presence/gate.test.ts',
  '05 §8.3 strict: an endpoint triggers a bounded number',
] as const;

const COVERED: Readonly<Record<string, readonly [file: string, title: string]>> = {
  connectionsMax: [OUTSIDE, '605 when the house is full'],
  clientsMax: [VERDICT, '03 §3.5 step 11: the limit is looked at once'],
  ledgerInboundMax: [VERDICT, '03 §3.5 step 10: only M and H count'],
  preHelloConnectionsMax: halfOpen,
  preHelloPerSourceMax: halfOpen,
  connectionsPerSourcePercent: places,
  connectionsPerPrefixPercent: places,
  prefixBitsIpv4: prefixes,
  prefixBitsIpv6: prefixes,
  prefixConnectsPerSecond: connects,
  prefixConnectsBurst: connects,
  sourceOffencesPerSecond: offences,
  sourceOffencesBurst: offences,
  sectorWindowsMax: ['test/relay/sector-answers.test.ts', 'are kept for so many windows and no more'],
  offendersMax: ['test/relay/offenders.test.ts', 'are remembered up to a number'],
  bytesPerSecond: owed,
  bytesBurst: owed,
  messagesPerSecond: rateLimited,
  messagesBurst: rateLimited,
  unprovenMessagesPerSecond: [HERE, 'who did not prove the key of its wallet'],
  requestsPerSecond: byCost,
  requestsBurst: byCost,
  serverRequestsPerSecond: servers,
  serverRequestsBurst: servers,
  walletBytesPerSecond: sharedBytes,
  walletBytesBurst: sharedBytes,
  walletMessagesPerSecond: shared,
  walletMessagesBurst: shared,
  walletRequestsPerSecond: sharedRequests,
  walletRequestsBurst: sharedRequests,
  prefixBytesPerSecond: sharedBytes,
  prefixBytesBurst: sharedBytes,
  prefixMessagesPerSecond: shared,
  prefixMessagesBurst: shared,
  prefixRequestsPerSecond: sharedRequests,
  prefixRequestsBurst: sharedRequests,
  transactionsPerSecond: payments,
  transactionsBurst: payments,
  messageBytesMax: ['test/relay/relay.test.ts', 'above the size limit, malformed'],
  queueBytesTotalMax: [HERE, 'all queues together'],
  receiveBytesTotalMax: [HERE, 'unfinished frames of all connections'],
  subscriptionBytesTotalMax: [HERE, 'filters of all connections'],
  presencesMax: ['test/presence/store.test.ts', '05 §8.1 strict: a full store gives up the oldest client'],
  presenceBytesMax: ['test/presence/store-budget.test.ts', 'a store filled far beyond its bytes'],
  ledgerRequestsMax: [PROXY, 'a full table gives up its oldest question'],
  ledgerRequestsPerClientMax: [PROXY, '64 open questions a client'],
  helloTimeoutMs: [HOSTILE, 'frames cut at every length are waited for, then forgotten'],
  preHelloBytesMax: [HERE, 'more bytes than a hello has'],
  preHelloGarbageBytesMax: [HERE, 'bytes that begin nothing end a connection'],
  silenceMs: ['test/link/liveness.test.ts', 'a silent peer is left after 10 s'],
  writeStallMs: [FAULTS, 'one reader is stalled'],
  slowReceiverMs: [FAULTS, 'one reader is too slow'],
  sendQueueFramesMax: ['test/link/sending.test.ts', 'refuses beyond either bound, by reason'],
  sendQueueBytesMax: ['test/link/sending.test.ts', 'refuses beyond either bound, by reason'],
  framePayloadBytesMax: ['test/wire/stream-parser.test.ts', 'closes on more than 50,000,000 bytes'],
  preHelloPayloadBytesMax: [HOSTILE, 'giant lengths end the connection'],
  clientPayloadBytesMax: ['test/link/link.test.ts', 'a frame above the cap of its code ends'],
  keepAlivesPerChunkMax: [HERE, 'keep-alives of one chunk'],
  sectorNodesMax: [HERE, 'relays in one answer'],
  transportHighWaterBytes: ['test/link/transport.test.ts', 'says when its buffer is full'],
  transportLingerMs: [HERE, 'who does not read its bye'],
  turnReadBytes: ['test/link/transport.test.ts', 'reads no more than one buffer'],
  crowdedBytes: ['test/link/sending.test.ts', 'are crowded above'],
  brakeStallMs: [BRAKE, 'holds nobody for a receiver that takes nothing'],
  brakeHeldPercentMax: [BRAKE, 'holds nobody for long for a receiver that takes little'],
  alwaysHeldBytes: [HERE, 'all queues together'],
  idleGroupsMax: [FAIR, 'so many and no more; the one that left first'],
  subscriptionItemsMax: ['test/link/subscriptions.test.ts', 'count the other filters against the quota'],
  subscriptionBucketsMax: ['test/link/subscriptions.test.ts', 'bound what one filter may cost'],
  devicesPerWalletMax: ['test/presence/store.test.ts', '05 §8.1 strict: at most 8 clients of a wallet'],
  addressesPerPacketMax: ['test/presence/service-presence.test.ts', 'checks at most 16 endpoints'],
  pendingPerPeerMax: [HERE, 'presence work of one connection: no more'],
  pendingSignaturesMax: ['test/presence/gate.test.ts', 'takes no more than it may hold'],
  presenceRequestSeconds: seldom,
  presenceRequestsPerEndpointMax: seldom,
  announcedPerPeerMax: [FETCH, 'one announcer fills only its share'],
  offerIntervalSeconds: ['test/relay/gossip.test.ts', 'rule 5: the same device not again within 50 s'],
  sectorAsksPerSecond: asked,
  sectorAsksBurst: asked,
  sectorPrefixesMax: [SECTORS, 'remembers a bounded number of prefixes'],
  ledgerRequestBytesMax: [PROXY, '4096 bytes a request, 64 KiB for headers'],
  headerRequestBytesMax: [PROXY, '4096 bytes a request, 64 KiB for headers'],
  transactionBytesMax: payments,
  pendingTransactionsPerClientMax: [PENDING, '256 per client'],
  pendingTransactionsMax: [PENDING, '50,000 in all'],
};

it('every limit of the table is exceeded by a test that exists', () => {
  expect(Object.keys(COVERED).sort()).toEqual(LIMITS.map((l) => l.name).sort());
  for (const [name, [file, title]] of Object.entries(COVERED)) {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    expect([name, text.includes(`it('${title}`)]).toEqual([name, true]);
  }
});

describe('beyond its limit', () => {
  it('more bytes than a hello has end a connection before its hello', async () => {
    const relay = await relayWith({ linkLimits: { preHelloBytesMax: 20_000 } });
    const s = await rawSocket(relay.port);
    s.write(new Uint8Array(30_000).fill(PING_BYTE));
    await endOf(s);
    await until('counted', () => closed(relay, 'pre_hello_bytes') === 1);
    const honest = await connected(relay, { wallet: 'w1' });
    expect(honest.closed).toBeNull();
    honest.link.destroy();
  });

  it('bytes that begin nothing end a connection before its hello, pings and the probe byte do not', async () => {
    const relay = await relayWith();
    const [odd, idle] = [await rawSocket(relay.port), await rawSocket(relay.port)];
    idle.write(Uint8Array.of(PROBE_BYTE, ...new Array<number>(100).fill(PING_BYTE)));
    odd.write(new Uint8Array(16).fill(7));
    await until('both are read', () => count(relay, 'ixian_connections_opened_total') === 2);
    await new Promise((r) => setTimeout(r, 50));
    expect([odd.destroyed || odd.readableEnded, idle.destroyed || idle.readableEnded]).toEqual([
      false,
      false,
    ]);
    odd.write(Uint8Array.of(7));
    await endOf(odd);
    await until('counted', () => closed(relay, 'pre_hello_garbage') === 1);
    expect(idle.readableEnded).toBe(false);
    idle.destroy();
  });

  it('an address whose connections say what no peer says is not looked at, others are', async () => {
    const relay = await relayWith({ limits: { sourceOffencesBurst: 3 } });
    const refused = (): number =>
      count(relay, 'ixian_connections_refused_total', { reason: 'source_offences' });
    for (let i = 0; i < 3; i++) {
      const s = await rawSocket(relay.port, '127.0.0.9');
      s.write(new Uint8Array(100).fill(7));
      await endOf(s);
    }
    await until('three offences', () => closed(relay, 'pre_hello_garbage') === 3);
    // Reset, which this side may learn before or after it was connected.
    await rawSocket(relay.port, '127.0.0.9').then(endOf, () => undefined);
    await until('refused', () => refused() === 1);
    const honest = await connected(relay, { wallet: 'w1', localAddress: '127.0.0.8' });
    expect(honest.closed).toBeNull();
    honest.link.destroy();
    // A second later its bucket holds a token again.
    await until(
      'taken again',
      () => {
        void rawSocket(relay.port, '127.0.0.9').then(
          (s) => s.destroy(),
          () => undefined,
        );
        return count(relay, 'ixian_connections_opened_total') > 4;
      },
      3_000,
    );
  });

  it('unfinished frames of all connections: who asks for more is ended, who holds little is not', async () => {
    const relay = await relayWith({ limits: { receiveBytesTotalMax: 300_000 } });
    const part = (n: number): Uint8Array =>
      encodeFrame(Code.s2data, new Uint8Array(1_000_000)).subarray(0, n);
    const [small, large] = [
      await connected(relay, { wallet: 'w1', localAddress: '127.0.0.2' }),
      await connected(relay, { wallet: 'w2', localAddress: '127.0.0.3' }),
    ];
    small.link.transport.write(part(20_000));
    await until('held', () => relay.control.memory.receivingBytes > 0);
    large.link.transport.write(part(600_000));
    await until('cut', () => large.closed !== null);
    expect([closed(relay, 'receive_memory'), small.closed]).toEqual([1, null]);
    await until('given back', () => relay.control.memory.receivingBytes < 70_000);
    small.link.destroy();
    await until('all given back', () => relay.control.memory.receivingBytes === 0);
  });

  it('all queues together: only small frames to peers with nothing waiting, and control', () => {
    const limits = { sendQueueFramesMax: 1_000, sendQueueBytesMax: 1_000_000 };
    const memory = new LinkMemory(200_000);
    const [slow, other] = [new SendQueue(limits, memory), new SendQueue(limits, memory)];
    const frame = new Uint8Array(50_000);
    expect([1, 2, 3, 4, 5].map(() => slow.push(frame, 'high'))).toEqual([
      null,
      null,
      null,
      null,
      'total_bytes',
    ]);
    expect([other.push(frame, 'high'), other.push(frame, 'high')]).toEqual([null, 'total_bytes']);
    expect(other.refusal('low', 100_000)).toBe('total_bytes');
    expect(slow.push(frame, 'control')).toBeNull();
    expect(memory.queuedBytes).toBe(300_000);
    expect(slow.shift()?.length).toBe(50_000);
    expect(slow.clear()).toEqual([['high', 4]]);
    other.clear();
    expect(memory.queuedBytes).toBe(0);
  });

  it('filters of all connections: no further one is attached', async () => {
    const relay = await relayWith({ limits: { subscriptionBytesTotalMax: 2_000 } });
    const attach = encodeAttachEvent({ type: EventType.keepAlive, filter: CuckooFilter.empty(200).encode() });
    const [a, b] = [await connected(relay, { wallet: 'w1' }), await connected(relay, { wallet: 'w2' })];
    const result = (name: string): number => count(relay, 'ixian_subscriptions_total', { result: name });
    a.link.send(Code.attachEvent, attach);
    await until('judged', () => count(relay, 'ixian_subscriptions_total') === 1);
    b.link.send(Code.attachEvent, attach);
    await until('judged', () => count(relay, 'ixian_subscriptions_total') === 2);
    expect(result('attached') + result('memory')).toBe(2);
    expect(result('memory')).toBeGreaterThan(0);
    for (const w of [a, b]) w.link.destroy();
  });

  it('requests of a wallet and of a prefix, over all their connections', async () => {
    const limits = { walletRequestsPerSecond: 1, walletRequestsBurst: 30 };
    const relay = await relayWith({
      limits: { ...limits, prefixRequestsPerSecond: 1, prefixRequestsBurst: 45 },
    });
    const ask = encodeGetPresence2(relay.address);
    const [a, b, c] = [
      await connected(relay, { wallet: 'w1', deviceId: Uint8Array.of(1) }),
      await connected(relay, { wallet: 'w1', deviceId: Uint8Array.of(2) }),
      await connected(relay, { wallet: 'w2' }),
    ];
    for (let i = 0; i < 20; i++) for (const w of [a, b]) w.link.send(Code.getPresence2, ask);
    await until('refused', () => quota(relay, 'requests', 'wallet') >= 5);
    for (let i = 0; i < 25; i++) c.link.send(Code.getPresence2, ask);
    await until('refused', () => quota(relay, 'requests', 'prefix') >= 5);
    expect(answers(a) + answers(b)).toBeLessThan(34);
    for (const w of [a, b, c]) {
      expect(w.closed).toBeNull();
      w.link.destroy();
    }
  });

  it('who did not prove the key of its wallet sends fewer messages, and uses up no wallet’s allowance', async () => {
    const relay = await relayWith({
      limits: {
        unprovenMessagesPerSecond: 1,
        messagesBurst: 3,
        walletMessagesPerSecond: 1,
        walletMessagesBurst: 3,
      },
    });
    const [forged, owner] = [
      await connected(relay, { wallet: 'w1', forged: true, localAddress: '127.0.0.2' }),
      await connected(relay, { wallet: 'w1', localAddress: '127.0.0.3' }),
    ];
    for (let i = 0; i < 20; i++) forged.link.send(Code.s2data, await toNobody(i));
    await until('refused', () => quota(relay, 'messages', 'connection') >= 16);
    for (let i = 0; i < 3; i++) owner.link.send(Code.s2data, await toNobody(i));
    await until('told', () => owner.messages.filter((m) => m.code === Code.s2data).length === 3);
    expect(quota(relay, 'messages', 'wallet')).toBe(0);
    for (const w of [forged, owner]) w.link.destroy();
  });

  it('ledger nodes and relays have a rate of their own', async () => {
    const relay = await relayWith({
      probePeers: false,
      limits: { requestsPerSecond: 1, requestsBurst: 2, serverRequestsPerSecond: 1, serverRequestsBurst: 20 },
    });
    const server = await connected(relay, {
      wallet: 'w2',
      nodeType: 'R',
      endpoint: { ip: '127.0.0.1', port: 11_235 },
    });
    const before = answers(server);
    for (let i = 0; i < 40; i++) server.link.send(Code.getPresence2, encodeGetPresence2(relay.address));
    await until('refused', () => quota(relay, 'requests', 'connection') >= 15);
    await until('answered', () => answers(server) - before > 10);
    server.link.destroy();
  });

  it('a subscription costs what it makes work: a large filter as much as many small ones', async () => {
    const relay = await relayWith({ limits: { requestsPerSecond: 1, requestsBurst: 100 } });
    const client = await connected(relay, { wallet: 'w1' });
    const attached = (): number => count(relay, 'ixian_subscriptions_total', { result: 'attached' });
    const attach = (expected: number): void => {
      const items = Array.from({ length: expected }, (_, i) => Uint8Array.of(i & 255, i >> 8));
      const filter = CuckooFilter.build(items).encode();
      client.link.send(Code.attachEvent, encodeAttachEvent({ type: 0, filter }));
    };
    // Nearly 64 KiB each: the second one is beyond what 100 tokens pay for.
    for (let i = 0; i < 3; i++) attach(15_000);
    await until('refused', () => quota(relay, 'requests', 'connection') === 2);
    expect(attached()).toBe(1);
    // A small one still is not.
    attach(50);
    await until('attached', () => attached() === 2);
    client.link.destroy();
  });

  it('keep-alives of one chunk: those behind the first 500 are not looked at', async () => {
    const relay = await relayWith();
    const client = await connected(relay, { wallet: 'w1' });
    // Written by hand, since no encoder of ours makes one so long: 600 entries of three bytes.
    const entries = Array.from({ length: 600 }, () => Uint8Array.of(3, 1, 2, 3));
    client.link.send(Code.keepAlivesChunk, concatBytes(Uint8Array.of(0xfc, 600 & 255, 600 >> 8), ...entries));
    const looked = (): number => count(relay, 'presence_keepalives_total');
    await until('looked at', () => looked() >= 500);
    expect(looked()).toBe(500);
    client.link.destroy();
  });

  it('presence work of one connection: no more than so much in progress', async () => {
    const stage = await relayStage();
    const waiting = { ...stage.ctx, presences: { receivePresences: () => new Promise(() => undefined) } };
    const handlers = new PresenceHandlers(
      waiting as unknown as RelayContext,
      new Gossip(stage.ctx, () => undefined),
    );
    const { peer } = stage.join('C', 'inbound', walletOf(1));
    for (let i = 0; i < pendingPerPeerMax + 3; i++) handlers.presence(peer, Uint8Array.of(i & 255));
    expect(stage.counters.counter('ixian_presences_total', '', { result: 'peer_limit' }).value).toBe(3);
    const { peer: other } = stage.join('C', 'inbound', walletOf(2));
    handlers.presence(other, Uint8Array.of(1));
    expect(stage.counters.counter('ixian_presences_total', '', { result: 'peer_limit' }).value).toBe(3);
  });

  it('relays in one answer: 20, however many are asked for', async () => {
    const stage = await relayStage();
    const hostname = '10.0.0.1:10235';
    for (let n = 0; n < 30; n++)
      stage.ctx.store.upsert(
        { wallet: walletOf(n + 1), publicKey: Uint8Array.of(n), version: 1 },
        {
          version: 2,
          device: Uint8Array.of(1),
          hostname,
          type: 'R',
          nodeVersion: 'v',
          lastSeen: START,
          signature: Uint8Array.of(9),
          pow: null,
        },
      );
    const side = new PresenceSide(stage.ctx, { standalone: true });
    const { peer, link } = stage.join('C', 'inbound', walletOf(99));
    const route = new Map(side.routes()).get(Code.getSectorNodes);
    await route?.handle(peer, encodeGetSectorNodes({ prefix: new Uint8Array(10), max: 64 }));
    const answer = link.sent.find((m) => m.code === Code.sectorNodes);
    expect(decodeSectorNodes(answer?.payload ?? new Uint8Array()).presences.length).toBe(20);
  });

  it('who does not read its bye is cut after the linger', async () => {
    const accepted: Transport[] = [];
    const listener = await listenTcp({ host: '127.0.0.1', port: 0, onConnection: (t) => accepted.push(t) });
    ends.push(() => listener.close());
    const s = await rawSocket(listener.port);
    s.pause();
    ends.push(() => void s.destroy());
    await until('accepted', () => accepted.length === 1);
    let endedMs = 0;
    accepted[0]!.start({
      data: () => undefined,
      drain: () => undefined,
      close: () => (endedMs = Date.now()),
    });
    accepted[0]!.write(new Uint8Array(32 * 1024 * 1024));
    const begin = Date.now();
    accepted[0]!.end();
    await until('cut', () => endedMs > 0, 10_000);
    expect(endedMs - begin).toBeGreaterThanOrEqual(transportLingerMs - 50);
  });
});

/** A message to somebody who is not there: the sender is told. */
async function toNobody(n: number): Promise<Uint8Array> {
  return encodeStreamMessage(
    streamMessage({
      version: 1,
      id: new Uint8Array(16).fill(n + 1),
      type: 2,
      sender: (await signerOf('w1')).address,
      recipient: (await signerOf('w5')).address,
      data: new Uint8Array(10),
      timestamp: 1n,
    }),
  );
}
