import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/cli/devnet/free-port.js';
import { ApiServer } from '../../src/operator/api/server.js';
import {
  ApiAccess,
  LIVE_SERIES,
  LiveFeed,
  type LiveMessage,
  parseAllowList,
  parseApiUser,
} from '../../src/operator/index.js';
import { type Api, startApi } from '../operator/api-support.js';
import { CHROMIUM, FLAGS } from './browser.js';

/** Pictures for people, left behind by every run. */
const shots = resolve(import.meta.dirname, '../../reports/screenshots');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let api: Api;
let live: LiveFeed;
let server: ApiServer;
let browser: Browser;
let base: string;
const users = ['boss:rule'].map(parseApiUser);
const access = new ApiAccess(users, parseAllowList([]));

beforeAll(async () => {
  mkdirSync(shots, { recursive: true });
  api = await startApi();
  live = new LiveFeed(api.backend);
  server = await ApiServer.start(api.backend, {
    // A port that is named, as an operator's is: it must be free again at once.
    bind: { host: 'localhost', port: await freePort('127.0.0.1') },
    access,
    compat: '0.9.8',
    live,
    audit: (e) => void api.audits.push(e),
  });
  base = `http://127.0.0.1:${server.port}`;
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
});
afterAll(async () => {
  await browser?.close();
  live?.close();
  await server?.stop();
  await api?.stop();
});

interface Opened {
  readonly page: Page;
  /** Console errors, uncaught errors, and requests to other hosts. */
  readonly trouble: string[];
}

async function open(width: number, colorScheme: 'light' | 'dark' = 'light'): Promise<Opened> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const trouble: string[] = [];
  page.on('console', (m) => {
    // The browser itself reports the 401 by which the page learns that it must log in.
    if (m.type() === 'error' && !m.text().includes('401')) trouble.push(m.text());
  });
  page.on('pageerror', (e) => trouble.push(e.message));
  page.on('request', (r) => {
    if (!r.url().startsWith(base) && !/^(data|blob):/.test(r.url())) trouble.push(`asked ${r.url()}`);
  });
  return { page, trouble };
}

async function logIn(page: Page): Promise<void> {
  await page.goto(base);
  await page.getByLabel('User').fill('boss');
  await page.getByLabel('Password').fill('rule');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('Running for').waitFor();
}

/** Rules broken, by axe-core, in words. */
async function violations(page: Page): Promise<string[]> {
  // As the browser's own code, not the page's: its policy runs nothing that it was not served with.
  const found = (await page.evaluate(
    `(() => { ${axe}; return globalThis.axe.run(document, { resultTypes: ['violations'] }); })()`,
  )) as { violations: { id: string; nodes: { html: string }[] }[] };
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' | ')}`);
}

/** What a page of so many pixels shows beyond its right edge, as a whole. */
const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

/** A relay with many clients, as its feed would tell it. */
function fixture(clients: number): LiveMessage[] {
  const start = Date.now() - 900_000;
  const value = (name: string, i: number): number => {
    const wave = 0.5 + 0.4 * Math.sin(i / 60);
    if (name === 'clients' || name === 'sessions') return Math.round(clients * wave);
    if (name === 'presences') return 7 * clients;
    if (name === 'forwardedTotal') return clients * i * 0.3;
    if (name === 'bytesInTotal' || name === 'bytesOutTotal') return clients * i * 160;
    if (name.endsWith('Total')) return i * (clients / 1000);
    if (name === 'residentBytes') return 60e6 + 8192 * clients;
    return clients === 0 ? 0 : 12;
  };
  const row = (i: number): number[] => LIVE_SERIES.map((name) => value(name, i));
  const rows = Array.from({ length: 900 }, (_, i) => row(i));
  const address = (i: number): string => `4U8fggs2MPYEaqhAMczRMym9R9hxn${String(i).padStart(6, '0')}B85J7P`;
  const peer = (i: number, type: string) => ({
    id: i,
    role: 'inbound',
    type,
    address: address(i),
    remote: `198.51.${i % 256}.7:${40_000 + i}`,
    version: type === 'C' ? 'starling-c-0.1.0' : 'starling-0.1.0',
    transport: i % 2 === 0 ? 'tcp' : 'ws',
    sinceMs: start + 1000 * i,
    bytes: 1e6 * (200 - i),
    messages: 1000 * (200 - i),
    queuedBytes: i,
    height: type === 'C' ? 0 : 3_000_000,
  });
  const many = clients > 0;
  return [
    {
      kind: 'hello',
      version: '0.1.0',
      network: 'main',
      address: address(0),
      startedMs: start,
      series: LIVE_SERIES,
      history: {
        atMs: rows.map((_, i) => start + 1000 * i),
        columns: LIVE_SERIES.map((_, c) => rows.map((r) => r[c]!)),
      },
      limits: { clientsMax: 120_000 },
    },
    {
      kind: 'tick',
      atMs: start + 900_000,
      values: row(900),
      endpoint: many ? '203.0.113.7:10235' : '',
      phase: 'running',
      draining: false,
      checks: { masters: { ok: many, value: many ? 4 : 0, want: 1 } },
      drops: many
        ? ['rate_limit', 'not_connected', 'receiver_queue_full', 'malformed'].map((reason, i) => ({
            counter: 'messages_dropped',
            reason,
            total: 10 ** (i + 2),
          }))
        : [],
    },
    {
      kind: 'detail',
      ring: Array.from({ length: many ? 200 : 1 }, (_, i) => ({
        address: address(i),
        endpoint: `203.0.113.${i}:10235`,
        position: (i * 0.618) % 1,
        own: i === 0,
        connected: i % 5 === 0,
      })),
      ringTotal: many ? 10_000 : 1,
      peers: many ? Array.from({ length: 30 }, (_, i) => peer(i, i < 4 ? 'M' : 'R')) : [],
      busiest: many ? Array.from({ length: 20 }, (_, i) => peer(100 + i, 'C')) : [],
      bans: many ? [{ target: '198.51.100.0/24', reason: 'flood', expires: null }] : [],
      log: ['{"level":"info","time":"2026-01-01T00:00:00.000Z","event":"relay_started","port":10235}'],
    },
  ];
}

describe('dashboard in Chromium', () => {
  it('goes from login to a live picture without an error or a foreign request', async () => {
    const { page, trouble } = await open(1280);
    await page.goto(base);
    await page.getByLabel('User').fill('boss');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('User or password is wrong.').waitFor();
    expect(await violations(page)).toEqual([]);
    await logIn(page);
    // The relay of this test stands alone with nobody connected: 0 must read well.
    await page.getByText('No client moved anything').waitFor();
    await page.getByText('Nobody is banned.').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.screenshot({ path: `${shots}/dashboard-empty.png`, fullPage: true });
    expect(trouble).toEqual([]);
    await page.context().close();
  });

  it('bans and lifts by keyboard alone, asked before and told after', async () => {
    const { page, trouble } = await open(1280);
    await page.goto(base);
    await expect.poll(() => page.evaluate('document.activeElement?.name')).toBe('user');
    await page.keyboard.type('boss');
    await page.keyboard.press('Tab');
    await page.keyboard.type('rule');
    await page.keyboard.press('Enter');
    await page.getByText('Running for').waitFor();
    const target = page.getByLabel('Wallet, endpoint, address or range');
    for (let i = 0; i < 40 && !(await target.evaluate((e) => e === document.activeElement)); i++)
      await page.keyboard.press('Tab');
    await page.keyboard.type('198.51.100.7');
    await page.keyboard.press('Enter');
    // The safe answer has the focus: Enter alone does nothing.
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect(api.backend.bans.list()).toEqual([]);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('Banned 198.51.100.7').waitFor();
    expect(api.backend.bans.list().map((b) => b.target)).toEqual(['198.51.100.7']);
    const lift = page.getByRole('button', { name: 'Lift the ban of 198.51.100.7' });
    await lift.waitFor();
    await lift.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('Lifted the ban').waitFor();
    expect(api.backend.bans.list()).toEqual([]);
    expect(api.audits.filter((a) => a.user === 'boss').map((a) => a.action)).toContain('POST /v1/bans');
    expect(trouble).toEqual([]);
    await page.context().close();
  });

  for (const [clients, width, scheme] of [
    [100_000, 1280, 'light'],
    [100_000, 390, 'dark'],
    [0, 390, 'light'],
  ] as const)
    it(`reads well with ${clients} clients at ${width} px, ${scheme}`, async () => {
      const { page, trouble } = await open(width, scheme);
      await page.routeWebSocket('**/v1/live', (ws) => {
        for (const m of fixture(clients)) ws.send(Buffer.from(live.encode(m)));
      });
      await logIn(page);
      await page
        .getByText(clients === 0 ? 'not ready: masters' : '10,000 relays known')
        .first()
        .waitFor();
      if (clients > 0) await page.getByText('of 120,000 at most').waitFor();
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      expect(await violations(page)).toEqual([]);
      await page.screenshot({ path: `${shots}/dashboard-${clients}-${width}-${scheme}.png`, fullPage: true });
      expect(trouble).toEqual([]);
      await page.context().close();
    });

  it('comes back by itself after the relay was away', async () => {
    const { page } = await open(1280);
    await logIn(page);
    await page.getByText('ready', { exact: true }).waitFor();
    await page.context().setOffline(true);
    const { port } = server;
    await server.stop();
    await page.getByText('no connection to the relay, trying again').waitFor();
    server = await ApiServer.start(api.backend, {
      bind: { host: 'localhost', port },
      access,
      compat: '0.9.8',
      live,
      audit: (e) => void api.audits.push(e),
    });
    await page.context().setOffline(false);
    await page.getByText('ready', { exact: true }).waitFor({ timeout: 15_000 });
    await page.context().close();
  });
});
