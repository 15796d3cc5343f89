import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases } from '../client/suite.js';
import { startWorld, type World } from '../client/world.js';
import { keyWithPaddedExponent } from '../identity/padded-key.js';
import { CHROMIUM, FLAGS } from './browser.js';

/** Keys of the public test wallets, by name. */
function testKey(name: string): string {
  for (const file of ['wallets.json', 'streaming-wallets.json']) {
    const { cases: list } = JSON.parse(
      readFileSync(resolve(import.meta.dirname, '../vectors', file), 'utf8'),
    ) as { cases: { name: string; in: { privateKey: string } }[] };
    const found = list.find((c) => c.name === name);
    if (found !== undefined) return found.in.privateKey;
  }
  throw new Error(`no wallet ${name}`);
}

let world: World | null = null;
let server: Server;
let browser: Browser;
let page: Page;
const foreign: string[] = [];
const consoleErrors: string[] = [];

/** What the page may ask of this side: a fresh network, a relay's end, a test key. */
async function control(path: string): Promise<unknown> {
  const [, what, verb = '', detail = ''] = path.split('/');
  if (what === 'wallet') return { key: testKey(verb) };
  if (verb === 'start') {
    world = await startWorld(3);
    return { relays: world.relays.map((r) => ({ endpoint: r.endpoint, wsUrl: r.wsUrl })) };
  }
  if (verb === 'kill') {
    await world!.relays.find((r) => r.endpoint === detail)!.kill();
    return {};
  }
  if (verb === 'stop') {
    await world?.stop();
    world = null;
    return {};
  }
  throw new Error(`unknown ${path}`);
}

beforeAll(async () => {
  const bundle = await build({
    entryPoints: [resolve(import.meta.dirname, 'page.ts')],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    logLevel: 'error',
  });
  const script = bundle.outputFiles[0]!.text;
  // A bundle that reaches for Node would fail only in the one path that does; say so at once.
  expect(script).not.toMatch(/from\s*["']node:/);
  server = createServer((request, response) => {
    if (request.method === 'POST') {
      control(request.url!).then(
        (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
        (e: unknown) => response.writeHead(500).end(String(e)),
      );
      return;
    }
    if (request.url === '/page.js')
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    else if (request.url === '/')
      response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
        .end(
          '<!doctype html><link rel="icon" href="data:,"><title>client suite</title><script type="module" src="/page.js"></script>',
        );
    else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  page = await browser.newPage();
  page.on('request', (r) => {
    if (!/^(http|ws)s?:\/\/127\.0\.0\.1[:/]|^data:|^blob:/.test(r.url())) foreign.push(r.url());
  });
  page.on('pageerror', (e) => consoleErrors.push(e.message));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.waitForFunction('globalThis.suite !== undefined');
});

afterAll(async () => {
  await browser?.close();
  await world?.stop();
  server?.close();
});

describe('client in Chromium over ws', () => {
  for (const c of cases)
    it(c.name, async () => {
      const failure = await page.evaluate(
        `globalThis.suite.run(${JSON.stringify(c.name)}).then(() => null, (e) => String(e.stack ?? e))`,
      );
      expect(failure).toBeNull();
    });

  it('takes a key whose private exponent is shorter than its modulus', async () => {
    const key = Buffer.from(keyWithPaddedExponent()).toString('hex');
    expect(await page.evaluate(`globalThis.suite.sign('${key}')`)).toBe(256);
  });

  it('asked no other host for anything and threw nothing unseen', () => {
    expect({ foreign, consoleErrors }).toEqual({ foreign: [], consoleErrors: [] });
  });
});
