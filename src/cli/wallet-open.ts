import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Wallet } from '../identity/index.js';
import { WalletError, walletPasswordUnitsMin } from '../identity/index.js';
import { createWalletFile, loadWalletFile } from '../identity/node/index.js';
import type { FlagSpec, ParsedArgs } from './args.js';
import { CliError, Exit } from './exit.js';
import { processOutput, progressLine } from './terminal.js';

/** Environment variable that may hold the password, for containers. */
export const WALLET_PASSWORD_ENV = 'IXIAN_WALLET_PASSWORD';

/** Switches of every command that needs a wallet. The password itself never goes on a command line. */
export const WALLET_FLAGS: readonly FlagSpec[] = [
  { name: 'wallet', short: 'w', value: 'FILE', help: 'wallet file (default ixian.wal)' },
  {
    name: 'walletPasswordFile',
    value: 'FILE',
    help: `file that holds the password, - for standard input; else ${WALLET_PASSWORD_ENV}, else it is asked for`,
  },
];

/** Asks on the terminal without showing what is typed. */
export function askSecret(question: string): Promise<string> {
  if (process.stdin.isTTY !== true)
    throw new CliError(
      'no password: there is no terminal to ask on',
      Exit.wallet,
      `give --walletPasswordFile FILE or set ${WALLET_PASSWORD_ENV}`,
    );
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  return new Promise((resolve) => {
    lines.question('', (answer) => {
      lines.close();
      process.stderr.write('\n');
      resolve(answer);
    });
  });
}

/** Where a command may take the password from besides asking. */
export interface PasswordSource {
  readonly file?: string | undefined;
  /** From the environment or, in the reference's way, from the configuration file. */
  readonly literal?: string | undefined;
}

/** A wrong password typed at the prompt may be tried again this often in all (docs/protocol/11 §8). */
const passwordTriesMax = 3;

/** The password a source gives without asking; null when it has none. */
export async function givenPassword(source: PasswordSource): Promise<string | null> {
  const { file, literal } = source;
  if (file !== undefined) {
    try {
      // The line end an editor adds is not part of the password.
      return (await readFile(file === '-' ? '/dev/stdin' : file, 'utf8')).replace(/\r?\n$/, '');
    } catch (e) {
      throw new CliError(`cannot read the password file ${file}: ${(e as Error).message}`, Exit.wallet);
    }
  }
  return literal === undefined || literal === '' ? null : literal;
}

/** The password for a new or re-encrypted wallet; typed twice when it is asked for. */
export async function newPassword(source: PasswordSource, path: string): Promise<string> {
  const given = await givenPassword(source);
  if (given !== null) return given;
  const first = await askSecret(`New password for ${path} (at least ${walletPasswordUnitsMin} characters): `);
  if (first !== (await askSecret('The same again: ')))
    throw new CliError('the two passwords differ', Exit.wallet);
  return first;
}

/** Loads a wallet file; a password typed wrongly may be typed again, one that was given may not. */
export async function loadWalletAt(path: string, source: PasswordSource): Promise<Wallet> {
  return (await loadWithPassword(path, source)).wallet;
}

/** As {@link loadWalletAt}, with the password that opened the file. */
export async function loadWithPassword(
  path: string,
  source: PasswordSource,
): Promise<{ readonly wallet: Wallet; readonly password: string }> {
  const given = await givenPassword(source);
  for (let tries = 1; ; tries++) {
    try {
      const password = given ?? (await askSecret(`Password of ${path}: `));
      return { wallet: await loadWalletFile(path, password), password };
    } catch (e) {
      const again = e instanceof WalletError && e.code === 'WRONG_PASSWORD' && given === null;
      if (!again || tries >= passwordTriesMax) throw e;
      process.stderr.write('Wrong password.\n');
    }
  }
}

/** What to do about a wallet that cannot be used. */
export function walletTrouble(e: unknown, path: string): CliError {
  if (!(e instanceof WalletError)) throw e;
  return new CliError(`${path}: ${e.message}`, Exit.wallet);
}

/**
 * The wallet a command works with: loads the file, or makes it (with progress) where `create` is set and there
 * is none yet.
 */
export async function openWalletAt(
  path: string,
  source: PasswordSource,
  options: { readonly create: boolean },
): Promise<Wallet> {
  const known = await readFile(path).then(
    () => true,
    (e: NodeJS.ErrnoException) => {
      if (e.code === 'ENOENT') return false;
      throw new CliError(`cannot read the wallet ${path}: ${e.message}`, Exit.wallet);
    },
  );
  try {
    if (known) return await loadWalletAt(path, source);
    if (!options.create)
      throw new CliError(
        `there is no wallet at ${path}`,
        Exit.wallet,
        'make one with starling wallet create',
      );
    const password = await newPassword(source, path);
    const bar = progressLine(processOutput());
    const wallet = await createWalletFile(path, password, {
      onProgress: (p) =>
        bar.show(
          `making a 4096-bit key … ${(p.elapsedMs / 1000).toFixed(1)} s (usually ${(p.expectedMs / 1000).toFixed(0)} s)`,
        ),
    });
    bar.done();
    return wallet;
  } catch (e) {
    if (e instanceof CliError) throw e;
    throw walletTrouble(e, path);
  }
}

/** {@link openWalletAt} with the switches of {@link WALLET_FLAGS}. */
export function openWallet(a: ParsedArgs, options: { readonly create: boolean }): Promise<Wallet> {
  const source = { file: a.get('walletPasswordFile'), literal: process.env[WALLET_PASSWORD_ENV] };
  return openWalletAt(a.get('wallet') ?? 'ixian.wal', source, options);
}
