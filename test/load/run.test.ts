import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type LoadResult,
  loadScenario,
  parseTarget,
  type RunOptions,
  runLoad,
} from '../../src/load/index.js';
import { Relay } from '../../src/relay/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { signerOf } from '../link/support.js';

let relay: Relay;
let port = 0;

beforeAll(async () => {
  relay = await Relay.start({
    network: NETWORKS.reg,
    signer: await signerOf('w0'),
    host: '127.0.0.1',
    port: 0,
    wsPort: 0,
    externalIp: '127.0.0.1',
    standalone: true,
    limits: { messagesPerSecond: 1e6, messagesBurst: 1e6 },
  });
  port = Number(relay.status().endpoint.split(':')[1]);
}, 60_000);
afterAll(() => relay.stop());

type Settings = readonly (readonly [string, unknown])[];

/** A scenario cut down to a second or so. */
function short(name: string, settings: Settings, options: RunOptions = {}): Promise<LoadResult> {
  const scenario = loadScenario(name, [
    ['warmUpSeconds', 0.2],
    ['windowSeconds', 1],
    ['drainSeconds', 10],
    ...settings,
  ]);
  return runLoad(scenario, parseTarget(`127.0.0.1:${port}`, { wsPort: relay.wsPort ?? 1 }), options);
}

/** Every message is accounted for, and none went wrong. */
function nothingWrong(r: LoadResult): void {
  const m = r.messages;
  expect(m).toMatchObject({ lost: 0, inDoubt: 0, duplicated: 0, corrupted: 0, misdelivered: 0, refused: 0 });
  expect(m.delivered).toBe(m.written);
}

describe('against a real relay', () => {
  test.each([false, true])(
    'lookups of the wallets that keep-alives bring and renew, in two processes, groups apart: %s',
    async (apart) => {
      const r = await short(
        'lookups',
        [
          ['groupsApart', apart],
          [
            'groups',
            [
              {
                clients: 4,
                activities: [{ do: 'keepAlives', wallets: 90, perSecond: 40, watchPerSecond: 10 }],
              },
              { clients: 4, activities: [{ do: 'lookups', of: 'keepAlives', wallets: 60, perSecond: 100 }] },
            ],
          ],
        ],
        { processes: 2 },
      );
      expect(r.total).toMatchObject({
        'keepAlives.stored': 90,
        'keepAlives.stale': 0,
        'keepAlives.absent': 0,
      });
      expect(r.total['lookups.asked']).toBeGreaterThan(80);
      expect(r.total['lookups.answered']).toBe(r.total['lookups.asked']);
    },
  );

  test.each(['tcp', 'ws'] as const)(
    'pairs over %s: everything due is delivered, in two processes',
    async (transport) => {
      const phases: string[] = [];
      const r = await short(
        'pairs',
        [
          ['groups.0.clients', 12],
          ['groups.0.transport', transport],
          ['groups.0.activities.0.perSecond', 300],
        ],
        { processes: 2, targetPid: process.pid, onPhase: (p) => phases.push(p) },
      );
      nothingWrong(r);
      expect(r.connected).toBe(12);
      // 1.2 s of 300 a second, one message more or less by process.
      expect(Math.abs(r.messages.intended - 360)).toBeLessThanOrEqual(4);
      expect(r.latencies.messages!.count).toBeGreaterThan(250);
      expect(r.latencies.messages!.p50).toBeGreaterThan(10);
      expect(r.latencies.handshake!.count).toBe(12);
      expect(r.generator).toHaveLength(2);
      expect(r.generator.every((g) => g.cpuShare > 0)).toBe(true);
      expect(phases).toEqual(['connect', 'warmUp', 'window', 'drain', 'done']);
      if (process.platform === 'linux') {
        expect(r.targetProcess!.cpuSeconds).toBeGreaterThan(0);
        // The relay is in this process: a socket for each of its clients, and more besides.
        expect(r.targetProcess!.openFilesAtEnd).toBeGreaterThan(12);
        expect(r.seconds.some((f) => (f.targetOpenFiles ?? 0) > 12)).toBe(true);
      }
    },
  );
});

describe('what cannot be run', () => {
  const one: Settings = [
    ['groups.0.clients', 2],
    ['connectSeconds', 1],
  ];

  test('nobody listens', async () => {
    const scenario = loadScenario('pairs', one);
    await expect(runLoad(scenario, parseTarget('127.0.0.1:1'))).rejects.toThrow(
      /nobody could connect.*ECONNREFUSED/,
    );
  });

  test('more clients than files can be open, more processes than are sensible', async () => {
    const many = loadScenario('idle', [['groups.0.clients', 200_000]]);
    const target = parseTarget(`127.0.0.1:${port}`);
    if (process.platform === 'linux')
      await expect(runLoad(many, target)).rejects.toThrow(/processes or raise it/);
    await expect(runLoad(loadScenario('pairs', one), target, { processes: 65 })).rejects.toThrow('1 to 64');
  });
});
