import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from '../../src/cli/devnet/child.js';
import { systemClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import {
  createSigner,
  createVerifyEngine,
  generateRsaPrivateKey,
  type Signer,
  type VerifyEngine,
} from '../../src/identity/index.js';
import { Link, type LinkClose, type SelfInfo } from '../../src/link/index.js';
import { dialTcp } from '../../src/link/node/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import { Bye, Code, NETWORKS } from '../../src/wire/index.js';

// docs/protocol/11 §13, by number; 3, 4, 5, 8 and 9 are in test/operator/acceptance.test.ts.

const MAIN = resolve(import.meta.dirname, '../../dist/cli/main.js');
const PASSWORD = 'correct horse battery staple';

let dir: string;
let engine: VerifyEngine;
const children: Child[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-accept-'));
  await writeFile(join(dir, 'password'), PASSWORD, { mode: 0o600 });
  engine = await createVerifyEngine();
});
afterAll(async () => {
  for (const c of children) await c.stop();
  await rm(dir, { recursive: true, force: true });
});

interface Started {
  readonly child: Child;
  readonly port: number;
  readonly ops: number;
  readonly config: string;
}

/** A relay of the regression network with that configuration file. */
async function start(name: string, config: string): Promise<Started> {
  const file = join(dir, `${name}.cfg`);
  await writeFile(file, config);
  const child = new Child(name, MAIN, [
    ...['relay', '--json', '--config', file, '--networkType', 'regtest', '--standalone'],
    ...['--port', '0', '--wsPort', '0', '--ip', '127.0.0.1', '--opsBind', '127.0.0.1:0'],
    ...['--wallet', join(dir, 'relay.wal'), '--walletPasswordFile', join(dir, 'password')],
    ...['--dataFolderPath', join(dir, name)],
  ]);
  children.push(child);
  const started = await child.waitFor('started', 120_000, (e) => e.event === 'started');
  const ops = await child.waitFor('ops', 10_000, (e) => e.event === 'ops_listening');
  return { child, port: started.port as number, ops: ops.port as number, config: file };
}

const ended = (c: Child, ms: number): Promise<string> =>
  c
    .waitFor('the end', ms, () => false)
    .then(
      () => '',
      (e: Error) => e.message.split('\n')[0]!,
    );

interface Guest {
  readonly link: Link;
  closed: LinkClose | null;
}

async function dial(port: number, signer: Signer, device: number): Promise<Guest> {
  const self: SelfInfo = {
    network: NETWORKS.reg,
    nodeType: 'C',
    address: signer.address,
    publicKey: signer.publicKey,
    productVersion: 'starling-test',
    deviceId: Uint8Array.of(1, device & 255, device >> 8),
    publicEndpoint: () => ({ ip: '127.0.0.1', port }),
    networkTimeMs: () => Date.now(),
    tip: () => null,
    sign: (r) => signer.sign(r.message),
  };
  const transport = await dialTcp({ host: '127.0.0.1', port });
  return new Promise((done, fail) => {
    const guest: Guest = {
      closed: null,
      link: new Link(transport, {
        direction: 'out',
        self,
        clock: systemClock,
        engine,
        counters: new Counters(),
        handlers: {
          onOpen: () => done(guest),
          onClose: (_l, close) => {
            guest.closed = close;
            if (!close.opened) fail(new Error(close.text || close.why));
          },
        },
      }),
    };
  });
}

it('check 6: SIGTERM with 1000 clients: exit 0 within 15 s, a bye for each, all saved', async () => {
  const relay = await start('many', 'maxClients = 2000\nmaxConnections = 2000\nstopDrainSeconds = 5');
  // Small keys: what is tested is the end, not the beginning.
  const signers: Signer[] = [];
  for (let i = 0; i < 20; i++) signers.push(await createSigner(await generateRsaPrivateKey({ bits: 1024 })));
  const guests: Guest[] = [];
  for (let i = 0; i < 1000; i += 20)
    guests.push(...(await Promise.all(signers.map((s, n) => dial(relay.port, s, i + n)))));
  expect(guests.filter((g) => g.closed === null).length).toBe(1000);
  const began = performance.now();
  process.kill(relay.child.pid, 'SIGTERM');
  expect(await ended(relay.child, 20_000)).toContain('exit 0');
  expect(performance.now() - began).toBeLessThan(15_000);
  await new Promise((r) => setTimeout(r, 200));
  const byes = guests.filter((g) => g.closed?.why === 'bye-received' && g.closed.byeCode === Bye.bye);
  expect(byes.length).toBe(1000);
  const files = await readdir(join(dir, 'many'));
  expect(files).toContain('testnet-presences.bin');
  expect(files).not.toContain('starling.lock');
}, 200_000);

it('check 7: SIGHUP with a broken file changes nothing and is counted', async () => {
  const relay = await start('broken', 'maxClients = 123');
  await writeFile(relay.config, 'maxClients = many');
  process.kill(relay.child.pid, 'SIGHUP');
  await relay.child.waitFor('refusal', 10_000, (e) => e.event === 'config_reload_failed');
  const page = await (await fetch(`http://127.0.0.1:${relay.ops}/metrics`)).text();
  expect(page).toContain('ixian_limit{limit="clientsMax"} 123\n');
  expect(page).toContain('ixian_config_reloads_total{result="failed"} 1\n');
  await relay.child.stop();
}, 150_000);

it('checks 1 and 10: started with every key of S2, at the loudest level, no secret is in any log', async () => {
  const relay = await start(
    'loud',
    [
      'networkType = regtest',
      's2Port = 10235',
      'testnetS2Port = 11235',
      'apiPort = 8001',
      'testnetApiPort = 8101',
      'apiBind = http://localhost:0/',
      'apiAllowIp = 127.0.0.1',
      'addApiUser = joe:hunter2secret',
      'externalIp = 127.0.0.1',
      'addPeer = 192.0.2.1:10234',
      'addTestnetPeer = 127.0.0.1:1',
      'wallet = other.wal',
      `walletPassword = ${PASSWORD}`,
      'maxLogSize = 1',
      'maxLogCount = 3',
      'logVerbosity = 15',
      'disableWebStart = 1',
      'blockNotify = /bin/true',
      'dataFolderPath = .',
      `logFolderPath = ${join(dir, 'logs')}`,
      'headersFolderPath = headers',
      'activityFolderPath = activity',
      'logOutput = both',
      'logAddresses = full',
    ].join('\n'),
  );
  const text = 'the very secret text of a message';
  const signer = await createSigner(await generateRsaPrivateKey({ bits: 1024 }));
  const guest = await dial(relay.port, signer, 1);
  for (let i = 0; i < 20; i++)
    guest.link.send(
      Code.s2data,
      encodeStreamMessage(
        streamMessage({
          version: 1,
          id: Uint8Array.of(i),
          type: 2,
          sender: signer.address,
          recipient: signer.address,
          data: new TextEncoder().encode(text),
          timestamp: 1n,
        }),
      ),
    );
  const api = await relay.child.waitFor('api', 10_000, (e) => e.event === 'api_listening');
  const authorization = `Basic ${Buffer.from('joe:hunter2secret').toString('base64')}`;
  const login = await fetch(`http://127.0.0.1:${api.port as number}/v1/login`, {
    method: 'POST',
    headers: { authorization },
  });
  const session = (login.headers.get('set-cookie') ?? '').split(';')[0]!.split('=')[1]!;
  expect(session.length).toBeGreaterThan(10);
  await fetch(`http://127.0.0.1:${api.port as number}/connect?to=127.0.0.1:1`, {
    headers: { authorization },
  });
  process.kill(relay.child.pid, 'SIGTERM');
  expect(await ended(relay.child, 30_000)).toContain('exit 0');
  const log = await readFile(join(dir, 'logs', 'ixian.log'), 'utf8');
  expect(log).toContain('"event":"relay_started"');
  expect(log).toContain('"event":"stopped"');
  const all = [
    log,
    JSON.stringify(relay.child.events),
    relay.child.lastWords,
    await readFile(join(dir, 'loud', 'audit.log'), 'utf8'),
  ].join('\n');
  for (const secret of [
    PASSWORD,
    'hunter2secret',
    text,
    Buffer.from(text).toString('base64'),
    Buffer.from(text).toString('hex'),
    session,
    authorization.slice(6),
  ])
    expect([secret, all.includes(secret)]).toEqual([secret, false]);
}, 150_000);
