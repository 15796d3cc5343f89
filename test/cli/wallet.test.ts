import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CliError } from '../../src/cli/exit.js';
import type { Output } from '../../src/cli/terminal.js';
import { run } from '../../src/cli/wallet.js';
import { WALLET_PASSWORD_ENV } from '../../src/cli/wallet-open.js';
import { exportPem } from '../../src/identity/index.js';
import { fromHex } from '../../src/wire/index.js';
import { vectorContext } from '../support/vectors.js';

const w0 = vectorContext().find('wallets.json', 'w0');
const ADDRESS = w0.out.addressText as string;

let folder: string;
let file: string;
let password: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starling-wallet-'));
  file = join(folder, 'test.wal');
  password = join(folder, 'password');
  writeFileSync(password, 'correct horse battery\n');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

async function wallet(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const o: Output = { out: (t) => (out += t), err: (t) => (err += t), colour: false, live: false };
  return { code: await run(args, o), out, err };
}
const refusal = async (...args: string[]): Promise<CliError> => {
  const e = await wallet(...args).catch((x: unknown) => x);
  expect(e).toBeInstanceOf(CliError);
  return e as CliError;
};
const opened = (): string[] => ['-w', file, '--walletPasswordFile', password];

/** A wallet from a known key: making one takes seconds and is tested where keys are made. */
async function imported(): Promise<void> {
  const pem = join(folder, 'key.pem');
  writeFileSync(pem, exportPem(fromHex(w0.in.privateKey as string)));
  expect((await wallet('import', pem, ...opened())).out).toBe(`${ADDRESS}\n`);
}
const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('starling wallet', () => {
  it('imports a PEM key, writes the file for its owner alone, shows its address', async () => {
    await imported();
    expect(modeOf(file)).toBe(0o600);
    const { out, err } = await wallet('show', ...opened());
    expect(out).toBe(`${ADDRESS}\n`);
    expect(err).toContain('wallet version 5, RSA-4096');
  });

  it('shows itself as JSON', async () => {
    await imported();
    expect(JSON.parse((await wallet('show', '--json', ...opened())).out)).toMatchObject({
      address: ADDRESS,
      addresses: [ADDRESS],
      viewOnly: false,
      bits: 4096,
      sector: w0.out.sectorPrefix,
    });
  });

  it('exports the private key as it was imported, 0600, and the public key apart', async () => {
    await imported();
    const pem = join(folder, 'out.pem');
    await wallet('export', pem, ...opened());
    expect(readFileSync(pem, 'utf8')).toBe(readFileSync(join(folder, 'key.pem'), 'utf8'));
    expect(modeOf(pem)).toBe(0o600);
    const pub = join(folder, 'pub.pem');
    await wallet('export', pub, '--public', ...opened());
    expect(readFileSync(pub, 'utf8')).toContain('PUBLIC KEY');
    expect(readFileSync(pub, 'utf8')).not.toContain('PRIVATE');
  });

  it('never replaces a file: not the wallet, not a PEM, not a copy', async () => {
    await imported();
    const before = readFileSync(file);
    expect(await refusal('create', ...opened())).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('already a file'),
    });
    expect((await refusal('import', join(folder, 'key.pem'), ...opened())).message).toContain('already');
    expect((await refusal('export', password, ...opened())).message).toContain('already a file');
    expect((await refusal('backup', password, ...opened())).message).toContain('already a file');
    expect(readFileSync(file)).toEqual(before);
    expect(readFileSync(password, 'utf8')).toBe('correct horse battery\n');
    expect(readdirSync(folder).filter((n) => n.endsWith('.tmp'))).toEqual([]);
  });

  it('changes the password; the old one opens nothing any more', async () => {
    await imported();
    const next = join(folder, 'next');
    writeFileSync(next, 'another long secret');
    await wallet('passwd', '--newPasswordFile', next, ...opened());
    expect(await refusal('show', ...opened())).toMatchObject({ exitCode: 3 });
    expect((await wallet('show', '-w', file, '--walletPasswordFile', next)).out).toBe(`${ADDRESS}\n`);
  });

  it('copies the file byte for byte after checking the password', async () => {
    await imported();
    const copy = join(folder, 'copy.wal');
    await wallet('backup', copy, ...opened());
    expect(readFileSync(copy)).toEqual(readFileSync(file));
    expect(modeOf(copy)).toBe(0o600);
  });

  it('takes the password from the environment; a wrong one ends with 3 at once', async () => {
    await imported();
    vi.stubEnv(WALLET_PASSWORD_ENV, 'correct horse battery');
    expect((await wallet('show', '-w', file)).out).toBe(`${ADDRESS}\n`);
    vi.stubEnv(WALLET_PASSWORD_ENV, 'wrong horse battery');
    expect(await refusal('show', '-w', file)).toMatchObject({ exitCode: 3 });
  });

  it('says how to give a password where nobody can be asked', async () => {
    await imported();
    vi.stubEnv(WALLET_PASSWORD_ENV, '');
    expect(await refusal('show', '-w', file)).toMatchObject({
      exitCode: 3,
      hint: expect.stringContaining('--walletPasswordFile'),
    });
  });

  it('refuses a short password without leaving a file', async () => {
    const pem = join(folder, 'key.pem');
    writeFileSync(pem, exportPem(fromHex(w0.in.privateKey as string)));
    writeFileSync(password, 'short');
    expect(await refusal('import', pem, ...opened())).toMatchObject({ exitCode: 3 });
    expect(readdirSync(folder).sort()).toEqual(['key.pem', 'password']);
  });

  it('has no switch for the password itself', async () => {
    expect((await refusal('show', '-w', file, '--walletPassword', 'x')).message).toContain('unknown switch');
  });

  it.each([
    [[], 'wants an action'],
    [['shred'], 'unknown action'],
    [['show', 'extra'], 'unexpected argument extra'],
    [['export'], 'wants the file to write'],
    [['show', '--walet', 'x'], 'unknown switch --walet'],
  ])('refuses wrong use with exit code 2: %j', async (args, why) => {
    const e = await refusal(...args);
    expect(e.message).toContain(why);
    expect(e.exitCode).toBe(2);
  });

  it('makes a new wallet that opens', async () => {
    const { out } = await wallet('create', ...opened());
    expect(out.trim().length).toBeGreaterThan(60);
    expect((await wallet('show', ...opened())).out).toBe(out);
    expect(modeOf(file)).toBe(0o600);
  }, 120_000);
});

describe('relay wallets', () => {
  const args = (): string[] => ['--wallet', file, '--walletPasswordFile', password];

  it('create --relay makes a key of four primes that only the reference’s format cannot hold', async () => {
    const made = await wallet('create', '--relay', '--json', ...args());
    expect(JSON.parse(made.out)).toMatchObject({ bits: 4096, primes: 4, version: 5, viewOnly: false });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const shown = await wallet('show', ...args());
    expect(shown.err).toContain('relay wallet of 4 primes');
    const refused = await refusal('export', join(folder, 'reference.wal'), '--reference', ...args());
    expect(refused.message).toContain('cannot hold a key of 4 primes');
    expect(readdirSync(folder)).not.toContain('reference.wal');
    // The PEM keeps them all, so the wallet comes back from it.
    const pem = join(folder, 'key.pem');
    await wallet('export', pem, ...args());
    const copy = join(folder, 'copy.wal');
    const back = await wallet('import', pem, '--json', '--wallet', copy, '--walletPasswordFile', password);
    expect(JSON.parse(back.out)).toMatchObject({ address: JSON.parse(made.out).address, primes: 4 });
  });

  it('export --reference writes a file that reads as it was', async () => {
    const pem = join(folder, 'w0.pem');
    writeFileSync(pem, exportPem(fromHex(w0.in.privateKey as string)));
    await wallet('import', pem, ...args());
    const target = join(folder, 'reference.wal');
    await wallet('export', target, '--reference', ...args());
    const shown = await wallet('show', '--json', '--wallet', target, '--walletPasswordFile', password);
    expect(JSON.parse(shown.out)).toMatchObject({ address: ADDRESS, primes: 2, version: 5 });
  });
});
