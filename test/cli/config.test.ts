import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../src/cli/config.js';
import { CliError } from '../../src/cli/exit.js';
import type { Output } from '../../src/cli/terminal.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starling-config-'));
  file = join(folder, 'ixian.cfg');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

async function config(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const o: Output = { out: (t) => (out += t), err: (t) => (err += t), colour: false, live: false };
  return { code: await run(args, o), out, err };
}
const shown = async (...args: string[]): Promise<Map<string, { value: string; origin: string }>> => {
  const { out } = await config('show', '--json', '--config', file, ...args);
  const rows = JSON.parse(out) as { key: string; value: string; origin: string }[];
  return new Map(rows.map((r) => [r.key, r]));
};

/** Every key of docs/protocol/11 §1.2 as an operator of the reference relay may have it. */
const REFERENCE_FILE = `; relay of the old kind
networkType = mainnet
s2Port = 10235
testnetS2Port = 11235
apiPort = 8001  # REST
testnetApiPort = 8101
apiBind = http://localhost:8001/
apiBind = http://10.0.0.1:8001/
apiAllowIp = 10.0.0.2
addApiUser = admin:secret:with=signs#and;more
externalIp = 203.0.113.7
addPeer = seed1.ixian.io:10234
addPeer = seed2.ixian.io:10234
addTestnetPeer = seedtest1.ixian.io:11234
wallet = my.wal
walletPassword = a long password # not a comment
maxLogSize = 50
maxLogCount = 10
logVerbosity = 14
disableWebStart = 1
checksumLock = Ixian
blockNotify = /usr/local/bin/notify %s
dataFolderPath = data
logFolderPath = logs
headersFolderPath = headers
activityFolderPath = activity
`;

describe('starling config', () => {
  it('maps every key of a reference relay’s file (11 §13.1)', async () => {
    writeFileSync(file, REFERENCE_FILE);
    const { code, err } = await config('check', '--config', file);
    expect(code).toBe(0);
    expect(err).not.toContain('unknown key');
    const rows = await shown();
    expect(rows.get('s2Port')).toMatchObject({ value: '10235', origin: `${file}:3` });
    expect(rows.get('apiPort')?.value).toBe('8001');
    expect(rows.get('apiBind')?.value).toBe('http://localhost:8001/, http://10.0.0.1:8001/');
    expect(rows.get('addPeer')?.value).toBe('seed1.ixian.io:10234, seed2.ixian.io:10234');
    expect(rows.get('externalIp')?.value).toBe('203.0.113.7');
    expect(rows.get('dataFolderPath')?.value).toBe('data');
  });

  it('never shows a secret', async () => {
    writeFileSync(file, REFERENCE_FILE);
    const all = [
      ...Object.values(await config('show', '--config', file)),
      ...Object.values(await config('show', '--json', '--config', file)),
      ...Object.values(await config('check', '--config', file)),
    ].join('\n');
    expect(all).not.toContain('secret:with');
    expect(all).not.toContain('a long password');
    expect(all).toContain('********');
  });

  it('says where each value came from: switch, environment, file, default', async () => {
    writeFileSync(file, 's2Port = 1\nmaxClients = 2\n');
    vi.stubEnv('IXIAN_MAX_CLIENTS', '3');
    const rows = await shown('--port', '4');
    expect(rows.get('s2Port')).toMatchObject({ value: '4', origin: 'flag' });
    expect(rows.get('maxClients')).toMatchObject({ value: '3', origin: 'IXIAN_MAX_CLIENTS' });
    expect(rows.get('wallet')).toMatchObject({ value: 'ixian.wal', origin: 'default' });
  });

  it.each([
    ['s2Port = 70000\n', /ixian\.cfg:1: s2Port must be a whole number from 0 to 65535/],
    ['\nnetworkType = moonnet\n', /ixian\.cfg:2: networkType must be mainnet or testnet or regtest/],
  ])('refuses %j with the place and the range, exit 2', async (text, message) => {
    writeFileSync(file, text);
    const e = await config('check', '--config', file).catch((x: unknown) => x);
    expect(e).toBeInstanceOf(CliError);
    expect((e as CliError).message).toMatch(message);
    expect((e as CliError).exitCode).toBe(2);
  });

  it('warns of an unknown key with the nearest one; --strict-config refuses it', async () => {
    writeFileSync(file, 'maxClinets = 5\n');
    const { code, err } = await config('check', '--config', file);
    expect(code).toBe(0);
    expect(err).toContain(`${file}:1: unknown key maxClinets, did you mean maxClients?`);
    await expect(config('check', '--config', file, '--strict-config')).rejects.toMatchObject({ exitCode: 2 });
  });

  it('a file that was asked for must exist', async () => {
    await expect(config('check', '--config', file)).rejects.toMatchObject({ exitCode: 2 });
  });

  it('prints a sample that is valid as it stands and with every line taken in', async () => {
    const { out } = await config('sample');
    writeFileSync(file, out);
    expect((await config('check', '--strict-config', '--config', file)).err).toBe('');
    const taken = out
      .split('\n')
      .map((l) => (/^#\S+ = \S/.test(l) ? l.slice(1) : l))
      .join('\n');
    writeFileSync(file, taken);
    expect((await config('check', '--strict-config', '--config', file)).code).toBe(0);
  });

  it.each([[[]], [['chekc']], [['show', 'extra']]])('refuses wrong use: %j', async (args) => {
    await expect(config(...args)).rejects.toMatchObject({ exitCode: 2 });
  });
});
