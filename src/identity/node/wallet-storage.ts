import { randomUUID } from 'node:crypto';
import { chmod, constants, copyFile, link, lstat, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Address, addressText } from '../address.js';
import { type GenerateKeyOptions, generateRsaPrivateKey } from '../generate-key.js';
import { wipe } from '../runtime.js';
import { Wallet, WalletError } from '../wallet.js';
import {
  checkWalletPassword,
  decodeWalletFile,
  encodeWalletFile,
  walletFileBytesMax,
} from '../wallet-file.js';

/** Only the owner may read or write a wallet. */
const WALLET_MODE = 0o600;
/** Characters of the address in the name of the backup copy (docs/protocol/02 §10). */
const BACKUP_NAME_CHARS = 8;

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Hides paths and contents of the system's error behind a code; the cause is kept for the curious. */
function storageError(error: unknown, path: string, doing: string): WalletError {
  if (error instanceof WalletError) return error;
  const code = errorCode(error);
  if (code === 'ENOENT') return new WalletError('NOT_FOUND', `no wallet file at ${path}`, { cause: error });
  return new WalletError('IO', `cannot ${doing} the wallet file ${path}: ${code || 'unknown error'}`, {
    cause: error,
  });
}

async function readBounded(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    // One byte more than allowed shows that a file is too long without reading it all.
    const buffer = new Uint8Array(walletFileBytesMax + 1);
    let at = 0;
    while (at < buffer.length) {
      const { bytesRead } = await file.read(buffer, at, buffer.length - at, at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    if (at > walletFileBytesMax) throw new WalletError('CORRUPT', 'too long for a wallet file');
    return buffer.slice(0, at);
  } finally {
    await file.close();
  }
}

/** Where the copy of a wallet goes that later saves do not touch: *file*.*start of the address*.bak (02 §10). */
export function walletBackupPath(path: string, primary: Address): string {
  return `${path}.${addressText(primary).slice(0, BACKUP_NAME_CHARS)}.bak`;
}

/** Copies the file beside itself unless a copy is there. A wallet on a read-only disk still loads. */
async function backUp(path: string, primary: Address): Promise<void> {
  const copy = walletBackupPath(path, primary);
  try {
    await copyFile(path, copy, constants.COPYFILE_EXCL);
    await chmod(copy, WALLET_MODE);
  } catch (error) {
    if (!['EEXIST', 'EROFS', 'EACCES', 'EPERM'].includes(errorCode(error))) throw error;
  }
}

/**
 * Loads a wallet file of any readable version (02 §10) and leaves a backup copy beside it. Rejects with
 * {@link WalletError}.
 */
export async function loadWalletFile(path: string, password: string): Promise<Wallet> {
  try {
    const wallet = decodeWalletFile(await readBounded(path), password);
    await backUp(path, wallet.primary);
    return wallet;
  } catch (error) {
    throw storageError(error, path, 'read');
  }
}

export interface SaveWalletOptions {
  /** False refuses with `EXISTS` when there is a file; the check and the write are one step. Default true. */
  readonly overwrite?: boolean;
}

/**
 * Writes a wallet so that after a power cut there is the old file or the new one, readable by the owner
 * alone, and leaves a backup copy beside it. Rejects with {@link WalletError}.
 */
export async function saveWalletFile(
  path: string,
  wallet: Wallet,
  password: string,
  options: SaveWalletOptions = {},
): Promise<void> {
  const bytes = encodeWalletFile(wallet, password);
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    // 'wx': never through somebody else's file or link.
    const file = await open(temporary, 'wx', WALLET_MODE);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (options.overwrite === false) await link(temporary, path);
    else await rename(temporary, path);
    await syncDirectory(dirname(path));
    await backUp(path, wallet.primary);
  } catch (error) {
    if (errorCode(error) === 'EEXIST')
      throw new WalletError('EXISTS', `there is already a file at ${path}`, { cause: error });
    throw storageError(error, path, 'write');
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Makes the rename itself durable; not every platform can open a directory. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES', 'EINVAL'].includes(errorCode(error))) throw error;
  }
}

/**
 * A new version 5 wallet with a fresh key, 4096 bits and address version 1 unless told otherwise. The search
 * for primes runs on the libuv pool and `onProgress` is told meanwhile.
 */
export async function generateWallet(options: GenerateKeyOptions = {}): Promise<Wallet> {
  const key = await generateRsaPrivateKey(options);
  try {
    return Wallet.create(key);
  } finally {
    wipe(key);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes a new wallet and its file; a weak password and an existing file are refused before the long search, and
 * a file that appears meanwhile is not overwritten either. Rejects with {@link WalletError}.
 */
export async function createWalletFile(
  path: string,
  password: string,
  options: GenerateKeyOptions = {},
): Promise<Wallet> {
  checkWalletPassword(password);
  if (await exists(path)) throw new WalletError('EXISTS', `there is already a file at ${path}`);
  const wallet = await generateWallet(options);
  await saveWalletFile(path, wallet, password, { overwrite: false });
  return wallet;
}
