import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EventLog, levelsFrom } from '../../src/operator/index.js';
import { compareVersions, UpdateCheck } from '../../src/operator/update-check.js';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signed = (version: string): string =>
  `${version};${sign('sha512', Buffer.from(version), privateKey).toString('base64')}\n`;

describe('versions are ordered by numbers first, then by what follows', () => {
  it.each([
    ['0.9.3', '0.9.10', -1],
    ['0.9.3b', '0.9.3', 1],
    ['0.9.3', '0.9.3-rc', 1],
    ['starling-0.2.0', '0.1.9', 1],
    ['1.0', '1.0.0', 0],
    ['s2-0.9.3b', '0.9.3c', -1],
  ] as const)('%s and %s', (a, b, order) => {
    expect(Math.sign(compareVersions(a, b))).toBe(order);
    expect(Math.sign(compareVersions(b, a))).toBe(order === 0 ? 0 : -order);
  });
});

describe('a check for newer versions', () => {
  const dir = mkdtempSync(join(tmpdir(), 'starling-update-'));
  const keyFile = join(dir, 'key.pem');
  let server: Server;
  let url = '';
  let reply: { readonly status?: number; readonly body: string; readonly location?: string };
  let check: UpdateCheck | null = null;
  const lines: string[] = [];
  const log = new EventLog({ format: 'json', levels: levelsFrom('info'), write: (l) => lines.push(l) });

  beforeAll(async () => {
    writeFileSync(keyFile, publicKey.export({ type: 'spki', format: 'pem' }));
    server = createServer((_request, response) => {
      response.writeHead(
        reply.status ?? 200,
        reply.location === undefined ? {} : { location: reply.location },
      );
      response.end(reply.body);
    });
    await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/version.txt`;
  });
  afterEach(() => check?.close());
  afterAll(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });

  const start = async (): Promise<UpdateCheck> => {
    check = await UpdateCheck.start({ url, keyFile, version: '0.2.0', log });
    await expect.poll(() => check!.state.state).not.toBe('checking');
    return check;
  };

  it('tells a newer version, and that there is none', async () => {
    reply = { body: signed('0.3.0') };
    const c = await start();
    expect(c.state).toMatchObject({ state: 'available', version: '0.3.0' });
    expect(c.state.checkedMs).toBeGreaterThan(Date.now() - 10_000);
    expect(lines.filter((l) => l.includes('update_available'))).toHaveLength(1);
    reply = { body: signed('0.2.0') };
    await c.look();
    expect(c.state).toMatchObject({ state: 'current', version: '0.2.0' });
  });

  it.each([
    ['a signature of another version', () => ({ body: `9.9.9;${signed('0.3.0').split(';')[1]}` })],
    ['no signature', () => ({ body: '9.9.9;' })],
    ['more than it may be', () => ({ body: signed('9.9.9') + ' '.repeat(3_000) })],
    ['an error', () => ({ status: 500, body: signed('9.9.9') })],
    ['a way to elsewhere', () => ({ status: 302, location: '/other', body: '' })],
  ])('does not believe %s, and keeps what it knew', async (_name, bad) => {
    reply = { body: signed('0.3.0') };
    const c = await start();
    reply = bad();
    await c.look();
    expect(c.state).toMatchObject({ state: 'error', version: '0.3.0' });
  });

  it('wants a key that is one', async () => {
    writeFileSync(join(dir, 'not.pem'), 'no key');
    await expect(
      UpdateCheck.start({ url, keyFile: join(dir, 'not.pem'), version: '0.2.0', log }),
    ).rejects.toThrow();
  });
});
