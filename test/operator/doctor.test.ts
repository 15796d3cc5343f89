import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/cli/devnet/free-port.js';
import { doctorText, run } from '../../src/cli/doctor.js';
import { subjectOf } from '../../src/cli/doctor-subject.js';
import { systemClock } from '../../src/clock/index.js';
import { Coordinator } from '../../src/coordinator/index.js';
import { EngineUnavailable, type VerifyEngine, Wallet } from '../../src/identity/index.js';
import { saveWalletFile } from '../../src/identity/node/index.js';
import {
  DOCTOR_CHECKS,
  type DoctorReport,
  type Finding,
  Greeter,
  type Machine,
  resolveConfig,
  runDoctor,
  thisMachine,
} from '../../src/operator/index.js';
import { fromHex, NETWORKS } from '../../src/wire/index.js';
import { engine, signerOf, vectorFile } from '../link/support.js';

const PASSWORD = 'correct horse battery staple';

let dir: string;
let coordinator: Coordinator;
const servers: Server[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-doctor-'));
  const wallets = vectorFile<{ cases: { name: string; in: { privateKey: string } }[] }>('wallets.json').cases;
  const key = fromHex(wallets.find((c) => c.name === 'w0')!.in.privateKey);
  await saveWalletFile(join(dir, 'relay.wal'), Wallet.create(key), PASSWORD);
  await writeFile(join(dir, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
  await mkdir(join(dir, 'data'), { mode: 0o700 });
  coordinator = await ledger(0);
});
afterEach(async () => {
  for (const s of servers.splice(0)) await new Promise((r) => s.close(r));
});
afterAll(async () => {
  await coordinator.stop();
  await rm(dir, { recursive: true, force: true });
});

/** A ledger node whose clock is ahead by so many seconds. */
async function ledger(aheadSeconds: number): Promise<Coordinator> {
  const c = new Coordinator({
    network: NETWORKS.reg,
    signer: await signerOf('w1'),
    engine: await engine(),
    host: '127.0.0.1',
    genesisBlocks: 3,
    clock: {
      nowMs: () => systemClock.nowMs() + aheadSeconds * 1000,
      after: (ms, run) => systemClock.after(ms, run),
      every: (ms, run) => systemClock.every(ms, run),
    },
  });
  await c.start();
  return c;
}

async function listening(): Promise<number> {
  const s = createServer((socket) => socket.resume().on('error', () => undefined));
  servers.push(s);
  await new Promise<void>((r) => s.listen(0, '127.0.0.1', r));
  return (s.address() as { port: number }).port;
}

/** The settings of a relay with which nothing is wrong. */
async function healthy(): Promise<Record<string, string>> {
  return {
    networkType: 'regtest',
    p2pBind: '127.0.0.1',
    s2Port: String(await freePort('127.0.0.1')),
    wsPort: String(await freePort('127.0.0.1')),
    apiPort: String(await freePort('127.0.0.1')),
    opsBind: `127.0.0.1:${await freePort('127.0.0.1')}`,
    externalIp: '127.0.0.1',
    addPeer: `127.0.0.1:${coordinator.port}`,
    wallet: join(dir, 'relay.wal'),
    walletPasswordFile: join(dir, 'password'),
    dataFolderPath: join(dir, 'data'),
  };
}

interface Plant {
  readonly settings?: Record<string, string>;
  readonly machine?: Partial<Machine>;
}

async function examine(plant: Plant = {}): Promise<DoctorReport> {
  const settings = { ...(await healthy()), ...plant.settings };
  const text = Object.entries(settings)
    .map(
      ([k, v]) =>
        `${k === 's2Port' ? 'testnetS2Port' : k === 'apiPort' ? 'testnetApiPort' : k === 'addPeer' ? 'addTestnetPeer' : k} = ${v}`,
    )
    .join('\n');
  const config = resolveConfig({ flags: new Map(), environment: {}, file: { path: 'ixian.cfg', text } });
  const subject = await subjectOf(config);
  try {
    return await runDoctor({ ...subject, machine: { ...thisMachine, ...plant.machine } });
  } finally {
    await subject.greeter.close();
  }
}

const bad = (r: DoctorReport): string[] => r.findings.filter((f) => f.verdict !== 'ok').map((f) => f.check);
/** The one finding that is not well; every planted fault is found by its own check and no other cries. */
function only(r: DoctorReport, check: string): Finding {
  expect(bad(r)).toEqual([check]);
  const found = r.findings.find((f) => f.check === check && f.verdict !== 'ok')!;
  expect(found.todo).not.toBe('');
  expect(r.ok).toBe(found.verdict === 'warning');
  return found;
}

/** An engine that takes every signature for good. */
const liar = (e: VerifyEngine): VerifyEngine => ({
  name: e.name,
  operations: 0,
  verify: async (items) => items.map(() => true),
  close: () => e.close(),
});

describe('starling doctor, without a running relay', () => {
  it('finds nothing where nothing is wrong, and runs every check', async () => {
    const r = await examine();
    expect(bad(r)).toEqual([]);
    expect(r.ok).toBe(true);
    expect([...new Set(r.findings.map((f) => f.check))]).toEqual(DOCTOR_CHECKS.map((c) => c.name));
    const found = (check: string): string => r.findings.find((f) => f.check === check)!.found;
    expect(found('clock')).toContain('agrees with 1 ledger node');
    expect(found('ledger')).toContain('1 of 1 answer a hello');
    expect(found('reachable')).toContain('leads to this machine');
    expect(r.findings.filter((f) => f.check === 'ports').length).toBe(4);
    expect(JSON.stringify(r)).not.toContain(PASSWORD);
  });

  it('a wrong clock: against the ledger, and one that was never set', async () => {
    const ahead = await ledger(120);
    const f = only(await examine({ settings: { addPeer: `127.0.0.1:${ahead.port}` } }), 'clock');
    await ahead.stop();
    expect(f).toMatchObject({
      verdict: 'fails',
      found: expect.stringMatching(/1(19|20) s behind 1 ledger node/),
    });
    const slightly = await ledger(-10);
    const w = only(await examine({ settings: { addPeer: `127.0.0.1:${slightly.port}` } }), 'clock');
    await slightly.stop();
    expect(w.verdict).toBe('warning');
    const unset = only(await examine({ machine: { nowMs: () => 0 } }), 'clock');
    expect(unset).toMatchObject({ verdict: 'fails', found: 'the clock says 1970-01-01T00:00:00.000Z' });
  });

  it('a low file limit', async () => {
    const f = only(await examine({ machine: { openFilesMax: () => 1_024 } }), 'files');
    expect(f).toMatchObject({ verdict: 'fails', found: '1024 open files, 16256 wanted' });
    expect(f.todo).toContain('LimitNOFILE=65535');
    expect(f.todo).toContain('lower maxConnections to 768');
    expect(thisMachine.openFilesMax(process.pid)).toBeGreaterThan(100);
  });

  it('a taken port, with the process that has it', async () => {
    const wsPort = String(await listening());
    const f = only(await examine({ settings: { wsPort } }), 'ports');
    expect(f.verdict).toBe('fails');
    expect(f.found).toContain(`wsPort 127.0.0.1:${wsPort} is taken`);
    if (process.platform === 'linux') expect(f.found).toContain(`process ${process.pid} (`);
    const foreign = await examine({ settings: { opsBind: '192.0.2.1:9235' } });
    expect(foreign.findings.find((x) => x.verdict === 'fails')?.found).toContain('no such address');
    const twice = String(await freePort('127.0.0.1'));
    const same = await examine({ settings: { s2Port: twice, wsPort: twice } });
    expect(bad(same)).toContain('ports');
  });

  it('an endpoint that cannot be reached, or leads elsewhere', async () => {
    // The whole of 127/8 is this machine, but the relay listens on one address of it.
    const f = only(await examine({ settings: { externalIp: '127.0.0.9' } }), 'reachable');
    expect(f).toMatchObject({
      verdict: 'fails',
      found: expect.stringContaining('cannot be reached: ECONNREFUSED'),
    });
    const s = createServer((socket) => socket.end('somebody else entirely, and not the relay'));
    servers.push(s);
    const s2Port = await freePort('127.0.0.1');
    await new Promise<void>((r) => s.listen(s2Port, '127.0.0.8', r));
    const g = only(
      await examine({ settings: { s2Port: String(s2Port), externalIp: '127.0.0.8' } }),
      'reachable',
    );
    expect(g.found).toContain('leads to another program');
  });

  it('a wallet, a copy of it or a password file that others may open', async () => {
    const wallet = join(dir, 'relay.wal');
    await chmod(wallet, 0o644);
    const f = only(await examine(), 'wallet');
    await chmod(wallet, 0o600);
    expect(f).toMatchObject({ verdict: 'fails', found: expect.stringContaining('has mode 0644') });
    expect(f.todo).toBe(`chmod 600 ${wallet}`);
    await writeFile(`${wallet}.abcd1234.bak`, '', { mode: 0o640 });
    expect(only(await examine(), 'wallet').found).toContain('.bak has mode 0640');
    await rm(`${wallet}.abcd1234.bak`);
    await chmod(join(dir, 'password'), 0o644);
    expect(only(await examine(), 'wallet').found).toContain('password file');
    await chmod(join(dir, 'password'), 0o600);
  });

  it('a wrong password, a damaged wallet, a missing password file', async () => {
    await writeFile(join(dir, 'wrong'), 'not the right one', { mode: 0o600 });
    const f = only(await examine({ settings: { walletPasswordFile: join(dir, 'wrong') } }), 'password');
    expect(f.verdict).toBe('fails');
    expect(f.found).not.toContain('not the right one');
    await writeFile(join(dir, 'damaged.wal'), 'nonsense', { mode: 0o600 });
    expect(only(await examine({ settings: { wallet: join(dir, 'damaged.wal') } }), 'password').verdict).toBe(
      'fails',
    );
    const gone = await examine({ settings: { walletPasswordFile: join(dir, 'gone') } });
    expect(only(gone, 'password').found).toContain('cannot read the password file');
  });

  it('a full disk, and a data folder that cannot be', async () => {
    const full = only(await examine({ machine: { freeBytes: () => 12e6 } }), 'disk');
    expect(full).toMatchObject({ verdict: 'fails', found: expect.stringContaining('0.01 GB free') });
    expect(only(await examine({ machine: { freeBytes: () => 7e8 } }), 'disk').verdict).toBe('warning');
    expect(thisMachine.freeBytes(join(dir, 'not', 'there', 'yet'))).toBeGreaterThan(0);
    const file = await examine({ settings: { dataFolderPath: join(dir, 'relay.wal') } });
    expect(only(file, 'data').found).toContain('is no folder');
  });

  it('no ledger link, and a wallet that is not the seed’s', async () => {
    const gone = `127.0.0.1:${await freePort('127.0.0.1')}`;
    const r = await examine({ settings: { addPeer: gone } });
    // Without a ledger there is nobody to compare the clock with either.
    expect(bad(r)).toEqual(['clock', 'ledger']);
    expect(r.findings.find((f) => f.check === 'ledger')).toMatchObject({
      verdict: 'fails',
      found: `no ledger node answers: ${gone} ECONNREFUSED`,
    });
    const greeter = new Greeter(NETWORKS.reg, undefined, 300);
    expect(await greeter.greet('127.0.0.1', await listening())).toMatchObject({
      reached: true,
      answered: false,
      problem: 'no answer to the hello',
    });
    const another = (await signerOf('w2')).address;
    const wrong = await greeter.greet('127.0.0.1', coordinator.port, another);
    expect([wrong.reached, wrong.peer]).toEqual([true, null]);
    await greeter.close();
  });

  it('an engine that fails its self-test, and one that is set and is not there', async () => {
    const f = only(
      await examine({
        machine: {
          engine: async (name) =>
            (name === 'native' ? liar : (e: VerifyEngine) => e)(await thisMachine.engine(name)),
        },
      }),
      'engines',
    );
    expect(f).toMatchObject({ verdict: 'fails', found: 'self-test failed: native' });
    const missing = await examine({
      settings: { verifyEngine: 'wasm-simd' },
      machine: {
        engine: (name) =>
          name === 'wasm-simd'
            ? Promise.reject(new EngineUnavailable(name, 'missing'))
            : thisMachine.engine(name),
      },
    });
    expect(only(missing, 'engines').found).toBe('verifyEngine wasm-simd does not run here');
  });
});

describe('the command', () => {
  const call = async (...args: string[]): Promise<{ code: number; out: string }> => {
    let out = '';
    const code = await run(args, {
      out: (t) => (out += t),
      err: () => undefined,
      colour: false,
      live: false,
    });
    return { code, out };
  };

  it('a bad configuration is its finding, with file and line', async () => {
    const file = join(dir, 'bad.cfg');
    await writeFile(file, 'networkType = regtest\nmaxClients = many\n');
    const { code, out } = await call('--config', file, '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      findings: [
        { check: 'config', verdict: 'fails', found: expect.stringContaining('bad.cfg:2: maxClients') },
      ],
    });
    await writeFile(file, 'networkType = regtest\napiBind = http://+:1/\n');
    expect((await call('--config', file)).out).toMatch(/^fails {4}config {2}apiBind reaches beyond/);
    await writeFile(file, 'maxClient = 5\n');
    const settings = Object.entries({ ...(await healthy()), addPeer: '' }).filter(([k]) => k !== 'addPeer');
    const flags = settings.flatMap(([k, v]) => [
      `--${{ s2Port: 'port', apiPort: 'apiport', externalIp: 'ip' }[k] ?? k}`,
      v,
    ]);
    const warned = await call('--config', file, '--standalone', ...flags);
    expect(warned.code).toBe(0);
    expect(warned.out).toContain('unknown key maxClient, did you mean maxClients?');
    expect(warned.out).toContain('standalone: no ledger is followed');
  });

  it('--help names every check, the table says what to do', async () => {
    const { code, out } = await call('--help');
    expect(code).toBe(0);
    for (const c of DOCTOR_CHECKS) expect(out).toContain(c.about);
    const text = doctorText(
      { ok: false, findings: [{ check: 'disk', verdict: 'fails', found: 'full', todo: 'empty it' }] },
      { out: () => undefined, err: () => undefined, colour: false, live: false },
    );
    expect(text).toBe('fails    disk  full\n               → empty it\n\n0 ok, 0 warnings, 1 fail\n');
  });
});
