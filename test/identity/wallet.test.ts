import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  addressText,
  checkWalletPassword,
  decodeWalletFile,
  encodeWalletFile,
  encryptWithPassword,
  publicKeyOf,
  unwrapIxiHex,
  Wallet,
  WalletError,
  type WalletErrorCode,
  walletFileBytesMax,
  walletPasswordMatches,
} from '../../src/identity/index.js';
import {
  createWalletFile,
  generateWallet,
  loadWalletFile,
  saveWalletFile,
  walletBackupPath,
} from '../../src/identity/node/index.js';
import { restrictRuntime } from '../../src/identity/runtime.js';
import { ByteWriter, concatBytes, toHex } from '../../src/wire/index.js';
import { fixture, hex, walletKey } from './fixtures.js';

const PASSWORD = 'correct horse';

afterEach(() => restrictRuntime());

async function codeOf(f: () => unknown): Promise<WalletErrorCode | 'none' | unknown> {
  try {
    await f();
  } catch (error) {
    return error instanceof WalletError ? error.code : error;
  }
  return 'none';
}

const vectorFile = (name: string): Uint8Array => hex(fixture('02-identity.json', name).in.file);
const vectorPassword = 'password12345';

describe('wallets', () => {
  it('derive the addresses of 02 §10', () => {
    const wallet = new Wallet({
      version: 5,
      privateKey: null,
      publicKey: publicKeyOf(walletKey('w0')),
      baseNonce: Uint8Array.from({ length: 64 }, (_, i) => i),
    });
    const first = wallet.nextAddress();
    expect(toHex(first.nonce!)).toBe('10de808f82059adfa2992d0cdaa845df');
    expect(toHex(wallet.nextAddress().nonce!)).toBe('f911ace9c1a9c9b2b3224e7593967a5a');
    expect(wallet.addresses.length).toBe(3);
    expect(wallet.addresses[0]).toEqual({ nonce: null, address: wallet.primary });
    expect(wallet.lastNonce).toEqual(wallet.addresses[2]!.nonce);
  });

  it('of every version survive writing and reading, with their derived addresses', () => {
    for (const name of [
      'v1/full',
      'v2/full-2addresses',
      'v4/full',
      'v4/view',
      'v5/full-2addresses',
      'v5/view',
    ]) {
      const wallet = decodeWalletFile(vectorFile(`wallet-file/${name}`), vectorPassword);
      wallet.nextAddress();
      const again = decodeWalletFile(encodeWalletFile(wallet, PASSWORD), PASSWORD);
      expect(again.version, name).toBe(wallet.version);
      expect(again.viewOnly, name).toBe(wallet.viewOnly);
      expect(again.publicKey, name).toEqual(wallet.publicKey);
      expect(again.addresses, name).toEqual(wallet.addresses);
      expect(again.exportBaseNonce(), name).toEqual(wallet.exportBaseNonce());
      expect(again.nextAddress(), name).toEqual(wallet.nextAddress());
      if (!wallet.viewOnly) expect(again.exportPrivateKey(), name).toEqual(wallet.exportPrivateKey());
    }
  });

  it('without a private key know the same addresses and refuse to give what they lack', async () => {
    const wallet = Wallet.create(walletKey('w0'));
    wallet.nextAddress();
    const view = decodeWalletFile(encodeWalletFile(wallet.toViewOnly(), PASSWORD), PASSWORD);
    expect(view.viewOnly).toBe(true);
    expect(view.addresses).toEqual(wallet.addresses);
    expect(await codeOf(() => view.exportPrivateKey())).toBe('VIEW_ONLY');
    const old = decodeWalletFile(vectorFile('wallet-file/v2/full-2addresses'), vectorPassword).toViewOnly();
    expect([old.version, old.addresses.length]).toEqual([4, 3]);
    expect(decodeWalletFile(encodeWalletFile(old, PASSWORD), PASSWORD).addresses).toEqual(old.addresses);
  });

  it('are 3001 bytes in a new version 5 file', () => {
    expect(encodeWalletFile(Wallet.create(walletKey('w0')), PASSWORD).length).toBe(3001);
  });

  it('written by portable code are read by native code and the other way round', () => {
    const wallet = Wallet.create(walletKey('w0'));
    restrictRuntime({ node: true, subtle: true });
    const portable = encodeWalletFile(wallet, PASSWORD);
    restrictRuntime();
    expect(decodeWalletFile(portable, PASSWORD).primary).toEqual(wallet.primary);
    const native = encodeWalletFile(wallet, PASSWORD);
    restrictRuntime({ node: true, subtle: true });
    expect(decodeWalletFile(native, PASSWORD).exportPrivateKey()).toEqual(wallet.exportPrivateKey());
  });

  it('show no secret when printed, and forget when wiped', () => {
    const key = walletKey('w0');
    const wallet = Wallet.create(key);
    const shown =
      inspect(wallet, { depth: 10, showHidden: true, maxArrayLength: null }) + JSON.stringify(wallet);
    const secretPart = key.subarray(528 + 4, 528 + 24);
    expect(shown).not.toContain([...secretPart].join(', '));
    expect(shown).not.toContain(`"0":${secretPart[0]},"1":${secretPart[1]},"2":${secretPart[2]}`);
    expect(shown).not.toContain(toHex(secretPart));
    const out = wallet.exportPrivateKey();
    wallet.wipe();
    expect(out).toEqual(key);
    expect(wallet.exportPrivateKey().every((b) => b === 0)).toBe(true);
    expect(wallet.exportBaseNonce().every((b) => b === 0)).toBe(true);
  });
});

describe('wallet files that cannot be read say why', () => {
  const versioned = (version: number): Uint8Array =>
    concatBytes(new ByteWriter(4).i32(version).bytes(), vectorFile('wallet-file/v5/full').subarray(4));
  const inner5 = (change: (w: ByteWriter, key: Uint8Array) => ByteWriter): Uint8Array =>
    concatBytes(
      new ByteWriter(4).i32(5).bytes(),
      encryptWithPassword(change(new ByteWriter(4096), walletKey('w0')).bytes(), vectorPassword),
    );
  const nonce64 = new Uint8Array(64).fill(1);

  it.each<[string, () => Uint8Array, WalletErrorCode]>([
    ['empty', () => new Uint8Array(0), 'CORRUPT'],
    ['three bytes', () => Uint8Array.of(5, 0, 0), 'CORRUPT'],
    ['version 0', () => versioned(0), 'UNKNOWN_VERSION'],
    ['version 6', () => versioned(6), 'UNKNOWN_VERSION'],
    ['version −1', () => versioned(-1), 'UNKNOWN_VERSION'],
    ['version 3', () => versioned(3), 'UNSUPPORTED_VERSION'],
    [
      'another password, GCM',
      () => encodeWalletFile(Wallet.create(walletKey('w0')), PASSWORD),
      'WRONG_PASSWORD',
    ],
    [
      'one bit, GCM',
      () => vectorFile('wallet-file/v5/full').map((b, i) => (i === 999 ? b ^ 1 : b)),
      'WRONG_PASSWORD',
    ],
    ['cut, GCM', () => vectorFile('wallet-file/v5/full').subarray(0, 40), 'WRONG_PASSWORD'],
    ['cut, CBC', () => vectorFile('wallet-file/v2/full').subarray(0, 1000), 'CORRUPT'],
    [
      'negative length, CBC',
      () => vectorFile('wallet-file/v2/full').map((b, i) => (i === 7 ? 255 : b)),
      'CORRUPT',
    ],
    [
      'giant length, CBC',
      () => vectorFile('wallet-file/v2/full').map((b, i) => (i === 7 ? 127 : b)),
      'CORRUPT',
    ],
    ['too long', () => new Uint8Array(walletFileBytesMax + 1), 'CORRUPT'],
    ['bad hex', () => new TextEncoder().encode('IXIHEX0500zz'), 'CORRUPT'],
    [
      'a foreign public key',
      () =>
        inner5((w, k) =>
          w
            .char('f')
            .i32Bytes(nonce64)
            .i32Bytes(k)
            .i32Bytes(publicKeyOf(walletKey('w1')))
            .i32(0),
        ),
      'CORRUPT',
    ],
    ['no keys', () => inner5((w) => w.char('f').i32Bytes(nonce64).i32(0).i32(0).i32(0)), 'CORRUPT'],
    ['nothing behind the kind', () => inner5((w) => w.char('v')), 'CORRUPT'],
    [
      'a last nonce that is not one of its own',
      () =>
        inner5((w, k) => w.char('v').i32Bytes(nonce64).i32Bytes(publicKeyOf(k)).i32Bytes(new Uint8Array(16))),
      'NONCE_REPLAY',
    ],
  ])('%s', async (_what, file, code) => {
    expect(await codeOf(() => decodeWalletFile(file(), vectorPassword))).toBe(code);
  });

  it('and damaged anywhere are a WalletError, never another error', async () => {
    // The base nonce of a version 4 view wallet is the one part nothing authenticates.
    for (const name of ['v2/full', 'v4/full', 'v5/full', 'v5/view']) {
      const good = vectorFile(`wallet-file/${name}`);
      for (let at = 0; at < good.length; at += Math.ceil(good.length / 25)) {
        const bad = good.map((b, i) => (i === at ? b ^ 0x41 : b));
        const code = await codeOf(() => decodeWalletFile(bad, vectorPassword));
        expect(typeof code === 'string' && code !== 'none', `${name} ${at}: ${String(code)}`).toBe(true);
      }
    }
  });

  it('errors never quote the password or the key', async () => {
    const error = await Promise.resolve()
      .then(() => decodeWalletFile(vectorFile('wallet-file/v5/full'), 'my secret phrase'))
      .catch((e: unknown) => e);
    expect(inspect(error)).not.toContain('my secret phrase');
  });

  it('the password alone can be asked for; the reference’s defect only on request', () => {
    const file = vectorFile('wallet-file/v4/full');
    expect(walletPasswordMatches(file, vectorPassword)).toBe(true);
    expect(walletPasswordMatches(file, vectorPassword, { missKindByte: true })).toBe(false);
    expect(walletPasswordMatches(file, 'x')).toBe(false);
    expect(walletPasswordMatches(new Uint8Array(3), 'x')).toBe(false);
    expect(walletPasswordMatches(vectorFile('wallet-file/v5/view'), vectorPassword)).toBe(true);
  });

  it('hex text is unwrapped, blanks around it ignored', () => {
    const good = vectorFile('wallet-file/v5/full');
    const text = (s: string): Uint8Array => new TextEncoder().encode(s);
    expect(unwrapIxiHex(text(` IXIHEX${toHex(good)} \r\n`))).toEqual(good);
    expect(unwrapIxiHex(good)).toBe(good);
  });

  it('passwords are counted in UTF-16 units, on writing only', async () => {
    expect(await codeOf(() => checkWalletPassword('123456789'))).toBe('WEAK_PASSWORD');
    expect(await codeOf(() => checkWalletPassword('1234567890'))).toBe('none');
    expect(await codeOf(() => checkWalletPassword('😀😀😀😀😀'))).toBe('none');
    expect(await codeOf(() => encodeWalletFile(Wallet.create(walletKey('w0')), 'short'))).toBe(
      'WEAK_PASSWORD',
    );
  });
});

describe('wallet storage', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'starling-wallet-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

  it('keeps a wallet readable by its owner alone, with a copy, and nothing else in the folder', async () => {
    const path = join(folder, 'ixian.wal');
    const wallet = Wallet.create(walletKey('w0'));
    await saveWalletFile(path, wallet, PASSWORD);
    const copy = walletBackupPath(path, wallet.primary);
    expect(copy).toBe(`${path}.${addressText(wallet.primary).slice(0, 8)}.bak`);
    expect(await mode(path)).toBe('600');
    expect(await mode(copy)).toBe('600');
    expect((await readdir(folder)).length).toBe(2);
    expect((await loadWalletFile(path, PASSWORD)).primary).toEqual(wallet.primary);
  });

  it('replaces the file as a whole, narrows its mode, and leaves the first copy alone', async () => {
    const path = join(folder, 'ixian.wal');
    const wallet = Wallet.create(walletKey('w0'));
    await saveWalletFile(path, wallet, PASSWORD);
    await chmod(path, 0o644);
    const copy = walletBackupPath(path, wallet.primary);
    const first = await readFile(copy);
    wallet.nextAddress();
    await saveWalletFile(path, wallet, PASSWORD);
    expect(await mode(path)).toBe('600');
    expect((await loadWalletFile(path, PASSWORD)).addresses.length).toBe(2);
    expect(await readFile(copy)).toEqual(first);
    expect((await readdir(folder)).length).toBe(2);
  });

  it('makes the copy when loading, unless there is one', async () => {
    const path = join(folder, 'old.wal');
    await writeFile(path, vectorFile('wallet-file/v2/full'), { mode: 0o644 });
    const wallet = await loadWalletFile(path, vectorPassword);
    const copy = walletBackupPath(path, wallet.primary);
    expect(await readFile(copy)).toEqual(Buffer.from(vectorFile('wallet-file/v2/full')));
    expect(await mode(copy)).toBe('600');
    await writeFile(copy, 'kept');
    await loadWalletFile(path, vectorPassword);
    expect(await readFile(copy, 'utf8')).toBe('kept');
  });

  it('reads hex files and leaves them as they are', async () => {
    const path = join(folder, 'hex.wal');
    const text = `IXIHEX${toHex(vectorFile('wallet-file/v5/full'))}\n`;
    await writeFile(path, text);
    expect((await loadWalletFile(path, vectorPassword)).version).toBe(5);
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  it('does not overwrite when told so, nor leave anything behind', async () => {
    const path = join(folder, 'ixian.wal');
    await writeFile(path, 'mine');
    const wallet = Wallet.create(walletKey('w0'));
    expect(await codeOf(() => saveWalletFile(path, wallet, PASSWORD, { overwrite: false }))).toBe('EXISTS');
    expect(await readFile(path, 'utf8')).toBe('mine');
    expect(await readdir(folder)).toEqual(['ixian.wal']);
  });

  it('says what went wrong', async () => {
    const path = join(folder, 'none.wal');
    expect(await codeOf(() => loadWalletFile(path, PASSWORD))).toBe('NOT_FOUND');
    expect(await codeOf(() => loadWalletFile(folder, PASSWORD))).toBe('IO');
    const wallet = Wallet.create(walletKey('w0'));
    expect(await codeOf(() => saveWalletFile(join(folder, 'no', 'such', 'x.wal'), wallet, PASSWORD))).toBe(
      'NOT_FOUND',
    );
    expect(await codeOf(() => saveWalletFile(path, wallet, 'short'))).toBe('WEAK_PASSWORD');
    await writeFile(path, new Uint8Array(walletFileBytesMax + 1));
    expect(await codeOf(() => loadWalletFile(path, PASSWORD))).toBe('CORRUPT');
  });

  it('creates a wallet with progress, and refuses before the long search what cannot end well', {
    timeout: 60_000,
  }, async () => {
    const path = join(folder, 'new.wal');
    let told = 0;
    const wallet = await createWalletFile(path, PASSWORD, { bits: 1024, onProgress: () => told++ });
    expect(told).toBeGreaterThanOrEqual(2);
    expect([wallet.version, wallet.primary[0]]).toEqual([5, 1]);
    expect((await loadWalletFile(path, PASSWORD)).primary).toEqual(wallet.primary);
    told = 0;
    expect(
      await codeOf(() => createWalletFile(path, PASSWORD, { bits: 1024, onProgress: () => told++ })),
    ).toBe('EXISTS');
    expect(told).toBe(0);
    expect(
      await codeOf(() => createWalletFile(join(folder, 'b.wal'), 'short', { onProgress: () => told++ })),
    ).toBe('WEAK_PASSWORD');
    expect(told).toBe(0);
    expect((await generateWallet({ bits: 1024, addressVersion: 2 })).primary[0]).toBe(2);
  });
});
