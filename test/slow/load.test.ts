import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSigner, generateRsaPrivateKey } from '../../src/identity/index.js';
import {
  calibrate,
  htmlReport,
  type LoadResult,
  loadScenario,
  parseTarget,
  type RunOptions,
  runLoad,
  withCalibration,
} from '../../src/load/index.js';
import { Relay } from '../../src/relay/index.js';
import { NETWORKS } from '../../src/wire/index.js';

let relay: Relay;
let port = 0;

beforeAll(async () => {
  const signer = await createSigner(await generateRsaPrivateKey());
  relay = await Relay.start({
    network: NETWORKS.reg,
    signer,
    host: '127.0.0.1',
    port: 0,
    wsPort: 0,
    externalIp: '127.0.0.1',
    standalone: true,
    limits: { messagesPerSecond: 1e6, messagesBurst: 1e6, requestsPerSecond: 1e6, requestsBurst: 1e6 },
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

describe('every scenario against a real relay', () => {
  test('fan-in: many to one, unevenly', async () => {
    const r = await short('fan-in', [
      ['groups.0.clients', 9],
      ['groups.0.activities.0.senders', 8],
      ['groups.0.activities.0.perSecond', 200],
    ]);
    nothingWrong(r);
    expect(r.messages.delivered).toBeGreaterThan(150);
  });

  test('idle: clients that only ping stay', async () => {
    const r = await short('idle', [
      ['groups.0.clients', 20],
      ['windowSeconds', 4],
    ]);
    expect(r.connected).toBe(20);
    expect(r.seconds.at(-1)!.open).toBe(20);
    expect(Object.keys(r.total).filter((k) => k.startsWith('connections.lost'))).toEqual([]);
  });

  test('overload: senders are stopped by back-pressure alone, nothing is lost', async () => {
    const r = await short('overload', [
      ['groups.0.clients', 4],
      ['windowSeconds', 0.5],
    ]);
    nothingWrong(r);
    expect(r.messages.intended).toBeGreaterThan(1_000);
    expect(r.messages.written).toBeLessThanOrEqual(r.messages.intended);
  });

  test('churn: those who leave come back, what was under way is in doubt and not lost', async () => {
    const r = await short('churn', [
      ['groups.0.clients', 4],
      ['groups.0.activities.0.perSecond', 100],
      ['groups.1.clients', 8],
      ['groups.1.activities.0.perSecond', 10],
    ]);
    nothingWrong(r);
    expect(r.total['churn.left']).toBeGreaterThanOrEqual(8);
    expect(r.total['connections.opened']).toBeGreaterThan(12);
    expect(r.latencies.handshake!.count).toBe(r.total['connections.opened']);
  });

  test('handshakes: as many as the relay can sign', async () => {
    const r = await short('handshakes', [['groups.0.clients', 8]]);
    expect(r.perSecond['churn.handshakes']).toBeGreaterThan(2);
  });

  test('storm: everybody is back, and how long it took is told', async () => {
    const r = await short('storm', [
      ['groups.0.clients', 20],
      ['groups.0.activities.0.atSeconds', 0.2],
    ]);
    expect(r.total['storm.cut']).toBe(20);
    expect(r.total['storm.back']).toBe(20);
    expect(r.latencies.storm!.count).toBe(20);
    expect(r.latencies.storm!.max).toBeGreaterThan(0);
  });

  test('keep-alives: the relay’s store holds every last one', async () => {
    const r = await short('keep-alives', [
      ['groups.0.clients', 4],
      ['groups.0.activities.0.wallets', 100],
      ['groups.0.activities.0.perSecond', 40],
      ['groups.0.activities.0.watchPerSecond', 20],
      ['windowSeconds', 2],
    ]);
    expect(r.total['keepAlives.sent']).toBeGreaterThan(60);
    expect(r.total).toMatchObject({
      'keepAlives.stored': 100,
      'keepAlives.stale': 0,
      'keepAlives.absent': 0,
    });
    expect(r.latencies.keepAlives!.count).toBeGreaterThan(10);
    expect(relay.status().presences).toBeGreaterThanOrEqual(100);
  });

  test('lookups: presences and sectors, at a rate and always open', async () => {
    const settings: Settings = [
      ['groups.0.clients', 2],
      ['groups.0.activities.0.wallets', 20],
      ['groups.0.activities.0.perSecond', 100],
      ['groups.1.clients', 2],
      ['groups.1.activities.0.wallets', 20],
      ['groups.1.activities.0.perSecond', 50],
    ];
    const r = await short('lookups', settings);
    expect(r.total['lookups.answered']).toBe(r.total['lookups.asked']);
    expect(Math.abs(r.total['lookups.asked']! - 180)).toBeLessThanOrEqual(3);
    const max = await short('lookups', [
      ...settings,
      ['groups.0.activities.0.perSecond', 'max'],
      ['groups.0.activities.0.open', 4],
    ]);
    expect(max.total['lookups.answered']).toBeGreaterThan(300);
    expect(max.latencies.lookups!.count).toBeGreaterThan(200);
  });

  test('slow readers: whoever reads gets everything, the others too when they read again', async () => {
    const r = await short('slow-readers', [
      ['groups.0.clients', 8],
      ['groups.0.activities.0.perSecond', 200],
      ['groups.0.activities.1.share', 0.5],
      ['groups.0.activities.1.stallSeconds', 0.4],
      ['groups.0.activities.1.everySeconds', 0.8],
    ]);
    nothingWrong(r);
    expect(r.total['stall.stalls']).toBeGreaterThanOrEqual(2);
    expect(r.latencies.messages!.max).toBeGreaterThan(100_000);
  });

  test('garbage: hostile connections are counted, those who talk are served', async () => {
    const hostile = ['silent', 'drip', 'announce', 'random'].map(
      (how) => ({ do: 'garbage', how, connections: 2 }) as const,
    );
    const r = await short('garbage', [
      ['groups.0.clients', 4],
      ['groups.0.activities.0.perSecond', 50],
      ['groups.1.clients', 2],
      ['groups.2.activities', hostile],
    ]);
    nothingWrong(r);
    expect(r.total['garbage.opened']).toBeGreaterThanOrEqual(8);
    // The announcement is refused at once, and tried again.
    expect(Object.keys(r.total).some((k) => k.startsWith('garbage.ended.'))).toBe(true);
  });

  test('mixed-day: everything at once, in two processes', async () => {
    const r = await short(
      'mixed-day',
      [
        ['groups.0.clients', 4],
        ['groups.0.activities.0.perSecond', 40],
        ['groups.1.clients', 4],
        ['groups.1.activities.0.perSecond', 40],
        ['groups.2.clients', 4],
        ['groups.3.clients', 4],
        ['groups.4.clients', 4],
        ['groups.5.clients', 4],
        ['groups.5.activities.0.wallets', 40],
        ['groups.5.activities.0.perSecond', 10],
        ['groups.5.activities.1.wallets', 20],
        ['groups.5.activities.1.perSecond', 20],
        ['windowSeconds', 2],
      ],
      { processes: 2 },
    );
    nothingWrong(r);
    expect(r.messages.delivered).toBeGreaterThan(100);
    expect(r.total['keepAlives.stored']).toBe(40);
    expect(r.total['lookups.answered']).toBe(r.total['lookups.asked']);
  });

  test('a line of 0.9.7 is spoken where asked for', async () => {
    const scenario = loadScenario('idle', [
      ['groups.0.clients', 2],
      ['warmUpSeconds', 0],
      ['windowSeconds', 0.5],
    ]);
    const r = await runLoad(scenario, parseTarget(`127.0.0.1:${port}`, { line: '0.9.7' }));
    expect(r.connected).toBe(2);
  });

  test('ends in order when it is interrupted', async () => {
    const abort = new AbortController();
    const r = await short(
      'pairs',
      [
        ['groups.0.clients', 4],
        ['windowSeconds', 600],
      ],
      {
        signal: abort.signal,
        onPhase: (p) => {
          if (p === 'window') setTimeout(() => abort.abort(), 300);
        },
      },
    );
    expect(r.interrupted).toBe(true);
    nothingWrong(r);
    expect(r.messages.delivered).toBeGreaterThan(10);
  });

  test('the command ends in order on Ctrl-C, and says what it saw', async () => {
    const child = spawn(
      process.execPath,
      [
        'dist/cli/main.js',
        'load',
        'pairs',
        '--target',
        `127.0.0.1:${port}`,
        '--clients',
        '4',
        '--seconds',
        '600',
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let out = '';
    let err = '';
    child.stdout.on('data', (d) => {
      out += d;
    });
    child.stderr.on('data', (d) => {
      // A line a second, plain, since nobody watches.
      if (!err.includes('measuring') && String(d).includes('measuring')) child.kill('SIGINT');
      err += d;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect(err).toContain('ending the test in order');
    expect(err).toContain('keys from seed 1, for tests only');
    expect(out).toContain('(interrupted)');
    expect(out).toMatch(/delivered +[1-9]/);
  });

  test('the same against a bare sink stands in the result and in the page', async () => {
    const settings: Settings = [
      ['groups.0.clients', 4],
      ['groups.0.activities.0.perSecond', 100],
      ['name', 'pairs <of> clients'],
    ];
    const r = await short('pairs', settings, { targetPid: process.pid });
    const c = await calibrate(r.scenario, parseTarget(`127.0.0.1:${port}`), {});
    nothingWrong(c);
    expect(c.messages.delivered).toBeGreaterThan(100);
    const both = withCalibration(r, c);
    expect(both.verdict.reasons.some((reason) => reason.includes('bare sink'))).toBe(true);
    const page = htmlReport(both);
    expect(page).toContain('pairs &#60;of&#62; clients');
    expect(page.match(/<svg /g)!.length).toBeGreaterThanOrEqual(4);
    expect(page).not.toMatch(/NaN|Infinity|undefined|<script|https?:/);
  });
});

describe('what takes a while to be refused', () => {
  test('a relay of another network', async () => {
    const scenario = loadScenario('pairs', [
      ['groups.0.clients', 2],
      ['connectSeconds', 1],
    ]);
    await expect(runLoad(scenario, parseTarget(`127.0.0.1:${port}`, { network: 'main' }))).rejects.toThrow(
      /nobody could connect|no relay/,
    );
  });
});
