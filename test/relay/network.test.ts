import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Coordinator } from '../../src/coordinator/index.js';
import { sectorPrefix } from '../../src/identity/index.js';
import { decodeHeader } from '../../src/ledger/index.js';
import { decodePresence, encodeKeepAlive, encodePresence } from '../../src/presence/index.js';
import type { Relay } from '../../src/relay/index.js';
import {
  bytesEqual,
  bytesKey,
  Code,
  CuckooFilter,
  decodeBalance2,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodeGetPresence2,
  decodeNameRecord,
  decodePitData2,
  decodeSectorNodes,
  encodeGetBalance2,
  encodeGetBlockHeaders3,
  encodeGetBlockHeaders4,
  encodeGetNameRecord,
  encodeGetPIT2,
  encodeGetPresence2,
  encodeGetSectorNodes,
  NETWORKS,
} from '../../src/wire/index.js';
import { wallet } from '../coordinator/support.js';
import { engine, signerOf, type Watched } from '../link/support.js';
import { connected, keepAliveFor, presenceFor, startRelay, until } from './support.js';

const LIMIT_MS = 27_000;
let dir: string;
let coordinator: Coordinator;
const relays: Relay[] = [];

async function startCoordinator(port: number): Promise<Coordinator> {
  const c = new Coordinator({
    network: NETWORKS.reg,
    signer: await wallet('alice'),
    engine: await engine(),
    port,
    dataDir: join(dir, 'coordinator'),
    blockIntervalMs: 2_000,
    genesisBlocks: 40,
  });
  await c.start();
  return c;
}

async function startMember(n: number, port: number): Promise<Relay> {
  return startRelay({
    wallet: `w${n}`,
    standalone: false,
    host: '127.0.0.1',
    port,
    seeds: [{ host: `127.0.0.1:${coordinator.port}`, wallet: coordinator.address }],
    dataDir: join(dir, `relay${n}`),
  });
}

const passedOn = (r: Relay): number =>
  r.counters
    .samples()
    .filter((s) => s.name === 'ixian_keep_alives_passed_on_total' && s.labels.kind === 'sector')
    .reduce((sum, s) => sum + ('value' in s.metric ? s.metric.value : 0), 0);

const got = (w: Watched, code: number): Uint8Array[] =>
  w.messages.filter((m) => m.code === code).map((m) => m.payload);

async function answerTo(w: Watched, code: number, question: Uint8Array, answer: number): Promise<Uint8Array> {
  const before = got(w, answer).length;
  w.link.send(code, question);
  await until(`answer ${answer}`, () => got(w, answer).length > before);
  return got(w, answer)[before]!;
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-net-'));
  coordinator = await startCoordinator(0);
  relays.push(...(await Promise.all([0, 1, 2].map((n) => startMember(n, 0)))));
}, LIMIT_MS);

afterAll(async () => {
  await Promise.all(relays.map((r) => r.stop()));
  await coordinator.stop();
  await rm(dir, { recursive: true, force: true });
}, LIMIT_MS);

describe('a coordinator and three relays on loopback', () => {
  it(
    'every relay is listed, knows the others and is connected with them',
    async () => {
      await until('listed', () => coordinator.relays.length === 3, 10_000);
      const wallets = relays.map((r) => bytesKey(r.address)).sort();
      expect(coordinator.relays.map(bytesKey).sort()).toEqual(wallets);
      await until('known', () => relays.every((r) => r.status().relaysKnown === 3), 15_000);
      // One connection with the ledger, and with each of the two others at least one.
      await until('connected', () => relays.every((r) => r.status().connections >= 3), 15_000);
      expect(relays.map((r) => r.status().ledgerPeers)).toEqual([1, 1, 1]);
    },
    LIMIT_MS,
  );

  it(
    'headers are followed to the tip, also those that come while running',
    async () => {
      const goal = coordinator.height + 1;
      await until('tip', () => relays.every((r) => r.status().height >= goal), 20_000);
      expect(goal).toBeGreaterThan(40);
      for (const r of relays)
        expect(bytesEqual(r.chain!.checksumOf(goal)!, coordinator.checksum(goal))).toBe(true);
      // A single ledger node does not decide what the network's height is (09 §12).
      expect(relays.map((r) => r.status().networkHeight - r.status().height)).toEqual([0, 0, 0]);
    },
    LIMIT_MS,
  );

  it(
    'a client’s keep-alive at one relay reaches the others once and goes no further',
    async () => {
      const client = await connected(relays[0]!, { wallet: 'w4' });
      const before = relays.map((r) => r.status().presences);
      const ka = await keepAliveFor('w4', { hostname: `127.0.0.1:${relays[0]!.port}` });
      client.link.send(Code.keepAlivePresence, encodeKeepAlive(ka));
      await until('asked', () => got(client, Code.getPresence2).length === 1);
      const { address } = await signerOf('w4');
      expect(bytesEqual(decodeGetPresence2(got(client, Code.getPresence2)[0]!), address)).toBe(true);
      client.link.send(Code.updatePresence, encodePresence(await presenceFor('w4', ka)));
      await until('everywhere', () => relays.every((r, i) => r.status().presences === before[i]! + 1));
      await new Promise((r) => setTimeout(r, 100));
      expect(relays.map(passedOn)).toEqual([2, 0, 0]);
      client.link.destroy();
    },
    LIMIT_MS,
  );

  it(
    'any relay lists all of them for any sector, and finds a client of another one',
    async () => {
      const { address } = await signerOf('w4');
      for (const r of relays) {
        const c = await connected(r, { wallet: 'w5' });
        const nodes = decodeSectorNodes(
          await answerTo(
            c,
            Code.getSectorNodes,
            encodeGetSectorNodes({ prefix: sectorPrefix(address), max: 6 }),
            Code.sectorNodes,
          ),
        );
        const listed = nodes.presences.map((p) => decodePresence(p));
        expect(listed.map((p) => p.addresses[0]!.hostname).sort()).toEqual(
          relays.map((x) => `127.0.0.1:${x.port}`).sort(),
        );
        const found = decodePresence(
          await answerTo(c, Code.getPresence2, encodeGetPresence2(address), Code.updatePresence),
        );
        expect(bytesEqual(found.wallet, address)).toBe(true);
        expect(found.addresses.map((a) => [a.type, a.hostname])).toEqual([
          ['C', `127.0.0.1:${relays[0]!.port}`],
        ]);
        c.link.destroy();
      }
    },
    LIMIT_MS,
  );

  it(
    'what a client asks of the ledger comes back to it',
    async () => {
      const c = await connected(relays[1]!, { wallet: 'w5' });
      const { address } = await signerOf('w5');
      const balance = decodeBalance2(
        await answerTo(c, Code.getBalance2, encodeGetBalance2(address), Code.balance2),
      );
      expect([bytesEqual(balance.address, address), balance.height >= 40]).toEqual([true, true]);
      const name = new Uint8Array(64).fill(5);
      const record = decodeNameRecord(
        await answerTo(c, Code.getNameRecord, encodeGetNameRecord({ name, record: null }), Code.nameRecord),
      );
      expect([record.name, record.records]).toEqual([name, []]);
      const txs = CuckooFilter.empty(1);
      txs.add(new Uint8Array(45).fill(1));
      const pit = decodePitData2(
        await answerTo(c, Code.getPIT2, encodeGetPIT2({ block: 7, filter: txs.encode() }), Code.pitData2),
        'client',
      );
      expect(pit.block).toBe(7);
      const own = CuckooFilter.empty(1);
      own.add(address);
      for (const filter of [own.encode(), null])
        for (const mode of [undefined, 0]) {
          const q = { from: 5, count: 3, filter, ...(mode === undefined ? {} : { mode }) };
          const h = decodeBlockHeaders4(
            await answerTo(c, Code.getBlockHeaders4, encodeGetBlockHeaders4(q), Code.blockHeaders4),
          );
          expect([h.from, h.count, h.filter]).toEqual([5, 3, filter]);
          const tail = mode === undefined ? 'bits' : 'difficulty';
          expect(h.headers.map((b) => decodeHeader(b, tail).number)).toEqual([5, 6, 7]);
        }
      const old = decodeBlockHeaders3(
        await answerTo(
          c,
          Code.getBlockHeaders3,
          encodeGetBlockHeaders3({ from: 39, count: 1 }),
          Code.blockHeaders3,
        ),
      );
      expect(bytesEqual(decodeHeader(old[0]!, 'bits').checksum, coordinator.checksum(39))).toBe(true);
      c.link.destroy();
    },
    LIMIT_MS,
  );

  it(
    'a relay that restarts has its headers at once and finds its place again',
    async () => {
      const { port } = relays[2]!;
      const { height } = relays[2]!.status();
      await relays[2]!.stop();
      relays[2] = await startMember(2, port);
      expect(relays[2].status().height).toBeGreaterThanOrEqual(height);
      await until('connected again', () => relays[2]!.status().connections >= 2, 10_000);
      await until('knows the others', () => relays[2]!.status().relaysKnown === 3, 10_000);
    },
    LIMIT_MS,
  );

  it(
    'when the coordinator restarts with its chain, the relays come back and follow on',
    async () => {
      const { port, height } = coordinator;
      await coordinator.stop();
      await until('gone', () => relays.every((r) => r.status().ledgerPeers === 0));
      coordinator = await startCoordinator(port);
      expect(coordinator.height).toBeGreaterThanOrEqual(height);
      await until('back', () => relays.every((r) => r.status().ledgerPeers === 1), 10_000);
      const goal = coordinator.height + 1;
      await until('following', () => relays.every((r) => r.status().height >= goal), 10_000);
      await until('listed again', () => coordinator.relays.length === 3, 10_000);
    },
    LIMIT_MS,
  );
});
