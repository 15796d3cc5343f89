import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StarlingClient } from '../../src/client/index.js';
import { decodeWalletFile } from '../../src/identity/index.js';
import { type AppWorld, nodeClient, startAppWorld, walletFile } from './app-world.js';
import { CHROMIUM, FLAGS } from './browser.js';

/** Pictures for people, left behind by every run. */
const shots = resolve(import.meta.dirname, '../../reports/screenshots');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PASSWORD = 'correct horse battery';
/** A key of 4096 bits takes a second or three; on a machine full of other work the browser's threads wait long. */
const keyMs = 240_000;
/** Contact set-up over two relays on a busy machine. */
const setUpMs = 30_000;

let browser: Browser;
beforeAll(async () => {
  mkdirSync(shots, { recursive: true });
  // A name that is no secure origin, for the page that says so.
  const args = [...FLAGS, '--host-resolver-rules=MAP relay.test 127.0.0.1'];
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});
afterAll(() => browser?.close());

/** Console errors, uncaught errors and requests elsewhere of every page of a context. */
function watch(context: BrowserContext, expected: RegExp | null = null): string[] {
  const trouble: string[] = [];
  const look = (url: string): void => {
    if (!/^(http|ws):\/\/(127\.0\.0\.1|relay\.test):\d+\//.test(url) && !/^(data|blob|about):/.test(url))
      trouble.push(`asked ${url}`);
  };
  context.on('page', (page) => {
    page.on('console', (m) => {
      if (m.type() === 'error' && expected?.test(m.text()) !== true) trouble.push(m.text());
    });
    page.on('pageerror', (e) => trouble.push(e.message));
    page.on('request', (r) => look(r.url()));
    page.on('websocket', (w) => look(w.url()));
  });
  return trouble;
}

/** Rules broken, by axe-core, in words. */
async function violations(page: Page): Promise<string[]> {
  const found = (await page.evaluate(
    `(() => { ${axe}; return globalThis.axe.run(document, { resultTypes: ['violations'] }); })()`,
  )) as { violations: { id: string; nodes: { html: string }[] }[] };
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' | ')}`);
}

const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

const online = (page: Page): Promise<void> =>
  page.locator('#state', { hasText: /^online$/ }).waitFor({ timeout: setUpMs });

async function bring(page: Page, file: Buffer, nick: string, password = PASSWORD): Promise<string> {
  await page.getByText('I have a wallet file').click();
  await page.getByLabel('Wallet file').setInputFiles({ name: 'a.wal', mimeType: '', buffer: file });
  await page.getByLabel('Its password').fill(password);
  await page.getByLabel('Name for contacts').fill(nick);
  await page.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('button', { name: 'My address' }).waitFor({ timeout: setUpMs });
  await online(page);
  return (await page.locator('#own-address').textContent()) ?? '';
}

async function add(page: Page, address: string): Promise<void> {
  await page.getByRole('button', { name: 'Add contact' }).click();
  await page.getByLabel('Address', { exact: true }).fill(address);
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.locator('#add').waitFor({ state: 'hidden' });
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

const shown = (page: Page, text: string): Promise<void> =>
  page.locator('.message p', { hasText: text }).waitFor({ timeout: setUpMs });
const marked = (page: Page, text: string, mark: RegExp): Promise<void> =>
  page
    .locator('.message', { hasText: text })
    .locator('.mark', { hasText: mark })
    .waitFor({ timeout: setUpMs });

describe('messenger in Chromium', () => {
  let world: AppWorld;
  let carol: StarlingClient;
  beforeAll(async () => {
    world = await startAppWorld(['web', 'web']);
    carol = await nodeClient('w4', world.relays[1]!.endpoint, 'Carol');
    carol.on('message', (m) => void carol.send(m.address, `echo: ${m.text}`));
  });
  afterAll(async () => {
    await carol?.stop();
    await world?.stop();
  });

  it('two browsers on two relays and a Node client: contacts, texts, marks, history, export, import, one tab', async () => {
    const [here, there] = [
      await browser.newContext(),
      await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme: 'dark' }),
    ];
    const trouble = [watch(here), watch(there)];
    const [a, b] = [await here.newPage(), await there.newPage()];
    await a.goto(`${world.relays[0]!.origin}/`);
    expect(a.url()).toBe(`${world.relays[0]!.origin}/app`);
    await a.goto('about:blank');
    await a.goto(`${world.relays[0]!.origin}/app#one`);
    await b.goto(`${world.relays[1]!.origin}/app#two`);
    await b.getByRole('heading', { name: 'Make your wallet' }).waitFor();
    expect([await violations(b), await overflow(b)]).toEqual([[], 0]);
    await b.screenshot({ path: `${shots}/app-welcome-390-dark.png` });
    const [alice, bob] = [
      await bring(a, walletFile('w2', PASSWORD), 'Alice'),
      await bring(b, walletFile('w3', PASSWORD), 'Bob'),
    ];
    expect(alice.length).toBeGreaterThan(40);

    // Bob's code as a picture is how Alice learns his address.
    await b.getByRole('button', { name: 'My address' }).click();
    const picture = await b.locator('#own-code svg').screenshot();
    expect([await violations(b), await overflow(b)]).toEqual([[], 0]);
    await b.screenshot({ path: `${shots}/app-address-390-dark.png` });
    await b.getByRole('button', { name: 'Close' }).click();
    await a.getByRole('button', { name: 'Add contact' }).click();
    await a.locator('#picture').setInputFiles({ name: 'code.png', mimeType: 'image/png', buffer: picture });
    await expect.poll(() => a.getByLabel('Address', { exact: true }).inputValue()).toBe(bob);
    expect(await violations(a)).toEqual([]);
    await a.getByRole('button', { name: 'Add', exact: true }).click();
    // Written before Bob has agreed: kept.
    await say(a, 'Hello Bob, <b>is</b> this you?');
    await marked(a, 'this you', /kept/);

    await b.locator('.contact', { hasText: 'wants to be your contact' }).click({ timeout: setUpMs });
    expect([await violations(b), await overflow(b)]).toEqual([[], 0]);
    await b.screenshot({ path: `${shots}/app-request-390-dark.png` });
    await b.getByRole('button', { name: 'Accept' }).click();
    await shown(b, 'Hello Bob, <b>is</b> this you?');
    await marked(a, 'Hello Bob', /read/);
    await say(b, 'It is me. Grüße, 你好');
    await shown(a, 'It is me. Grüße, 你好');
    await marked(b, 'It is me', /delivered|read/);
    await a.locator('#with-title', { hasText: 'Bob' }).waitFor();
    await a.locator('#with-state', { hasText: /^online$/ }).waitFor({ timeout: setUpMs });

    await add(a, carol.address);
    await say(a, 'Hello Carol');
    await shown(a, 'echo: Hello Carol');
    await marked(a, 'Hello Carol', /delivered/);
    await a.locator('.unread').waitFor({ state: 'detached' });
    expect(await violations(a)).toEqual([]);
    await a.screenshot({ path: `${shots}/app-chat-1280.png` });
    await b.screenshot({ path: `${shots}/app-chat-390-dark.png` });
    expect([await violations(b), await overflow(b)]).toEqual([[], 0]);
    await b.getByRole('button', { name: 'Back' }).click();
    await b.locator('.contact', { hasText: 'Alice' }).waitFor();

    // A second tab on the same profile only says so, and goes on when the first is gone.
    const second = await here.newPage();
    await second.goto(`${world.relays[0]!.origin}/app#one`);
    await second.getByText('This profile is open in another tab').waitFor();
    expect(await violations(second)).toEqual([]);
    await second.screenshot({ path: `${shots}/app-second-tab.png` });
    await a.close();
    await second.getByRole('heading', { name: 'Unlock your wallet' }).waitFor();
    expect(await violations(second)).toEqual([]);
    await second.getByLabel('Password', { exact: true }).first().fill('wrong password');
    await second.getByRole('button', { name: 'Unlock' }).click();
    await second.getByText('The password is wrong.').waitFor({ timeout: setUpMs });
    await second.getByLabel('Password', { exact: true }).first().fill(PASSWORD);
    await second.getByRole('button', { name: 'Unlock' }).click();
    await online(second);
    await second.locator('.contact', { hasText: 'Bob' }).click();
    await shown(second, 'It is me. Grüße, 你好');
    await marked(second, 'Hello Bob', /read/);

    // What lies in the database is neither text nor key.
    const stored = (await second.evaluate(`(async () => {
      const out = [];
      for (const { name } of await indexedDB.databases()) {
        const db = await new Promise((r) => { const q = indexedDB.open(name); q.onsuccess = () => r(q.result); });
        const all = db.transaction('entries').objectStore('entries').getAll();
        out.push(...await new Promise((r) => { all.onsuccess = () => r(all.result); }));
        db.close();
      }
      return out.join('\\n');
    })()`)) as string;
    expect(stored.length).toBeGreaterThan(1_000);
    for (const secret of ['Hello', 'Grüße', 'aesKey', 'publicKey']) expect(stored).not.toContain(secret);
    expect(stored).toContain('"rounds":600000');

    await second.getByRole('button', { name: 'Settings' }).click();
    expect(await violations(second)).toEqual([]);
    await second.screenshot({ path: `${shots}/app-settings.png`, fullPage: true });
    await second.locator('#export').getByLabel('Your password').fill(PASSWORD);
    await second.locator('#export').getByLabel('Password of the file').fill('another long one');
    const [file] = await Promise.all([
      second.waitForEvent('download'),
      second.getByRole('button', { name: 'Export' }).click(),
    ]);
    const bytes = readFileSync(await file.path());
    expect(decodeWalletFile(bytes, 'another long one').version).toBe(5);
    const third = await there.newPage();
    await third.goto(`${world.relays[1]!.origin}/app#copy`);
    await third.getByRole('heading', { name: 'Make your wallet' }).waitFor();
    expect(await bring(third, bytes, 'Alice', 'another long one')).toBe(alice);
    await third.getByRole('button', { name: 'Settings' }).click();
    await third.getByRole('link', { name: 'two' }).waitFor();
    expect(trouble).toEqual([[], []]);
    await here.close();
    await there.close();
  });

  it('by keyboard alone, and again after the relay and the machine slept', async () => {
    const context = await browser.newContext();
    // While its relay is away the browser itself reports each try.
    const trouble = watch(
      context,
      /WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/ixian(\/dial\S*)?' failed|ERR_CONNECTION/,
    );
    const page = await context.newPage();
    await page.goto(`${world.relays[0]!.origin}/app#keys`);
    await page.getByRole('heading', { name: 'Make your wallet' }).waitFor();
    const focus = async (selector: string, key = 'Tab'): Promise<void> => {
      const target = page.locator(selector);
      for (let i = 0; i < 40; i++) {
        if (await target.evaluate((e) => e === document.activeElement)) return;
        await page.keyboard.press(key);
      }
      throw new Error(`${selector} is not reached by ${key}`);
    };
    await focus('#create input[name=nick]');
    await page.keyboard.type('Keys');
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.locator('#show-add').waitFor({ timeout: keyMs });
    await online(page);
    await focus('#show-add', 'Shift+Tab');
    await page.keyboard.press('Enter');
    await page.keyboard.type(carol.address);
    await focus('#add-form button[type=submit]');
    await page.keyboard.press('Enter');
    await page.locator('#add').waitFor({ state: 'hidden' });
    await page.keyboard.type('by keyboard');
    await page.keyboard.press('Enter');
    await shown(page, 'echo: by keyboard');
    await marked(page, 'by keyboard', /delivered/);
    await focus('#messages', 'Shift+Tab');
    expect(trouble).toEqual([]);

    await world.relays[0]!.restart();
    await page.evaluate("dispatchEvent(new Event('online'))");
    await focus('#compose textarea');
    await page.keyboard.type('after the sleep');
    await page.keyboard.press('Enter');
    await shown(page, 'echo: after the sleep');
    await online(page);
    expect(trouble).toEqual([]);
    await context.close();
  }, 360_000);

  it('says so on an insecure origin', async () => {
    const context = await browser.newContext();
    // A header that only secure origins heed, which the browser remarks.
    const trouble = watch(context, /Cross-Origin-Opener-Policy/);
    const page = await context.newPage();
    await page.goto(`${world.relays[0]!.origin.replace('127.0.0.1', 'relay.test')}/app`);
    await page.getByText('This needs a secure address').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.screenshot({ path: `${shots}/app-insecure.png` });
    expect(trouble).toEqual([]);
    await context.close();
  });
});

describe('messenger and a relay that speaks TCP only', () => {
  it('reaches its clients through the tunnel of the own relay', async () => {
    const world = await startAppWorld(['web', 'tcp']);
    const dave = await nodeClient('w5', world.relays[1]!.endpoint, 'Dave');
    dave.on('message', (m) => void dave.send(m.address, `echo: ${m.text}`));
    expect(dave.primaryRelay).toBe(world.relays[1]!.endpoint);
    const context = await browser.newContext();
    // The relay has no WebSocket, which a browser finds out, and reports, by trying.
    const trouble = watch(context, /WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/ixian' failed/);
    const tunnels: string[] = [];
    const page = await context.newPage();
    page.on('websocket', (w) => w.url().includes('/ixian/dial') && tunnels.push(w.url()));
    try {
      await page.goto(`${world.relays[0]!.origin}/app`);
      await bring(page, walletFile('w2', PASSWORD), 'Erin');
      await add(page, dave.address);
      await say(page, 'through the tunnel');
      await shown(page, 'echo: through the tunnel');
      await marked(page, 'through the tunnel', /delivered/);
      expect(tunnels[0]).toContain(encodeURIComponent(world.relays[1]!.endpoint));
      expect(trouble).toEqual([]);
    } finally {
      await context.close();
      await dave.stop();
      await world.stop();
    }
  });
});
