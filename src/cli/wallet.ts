import { randomUUID } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  addressText,
  checkWalletPassword,
  decodePublicKey,
  encodeWalletFile,
  exportPem,
  importPem,
  pemCharsMax,
  sectorPrefix,
  Wallet,
  WalletError,
  wipe,
} from '../identity/index.js';
import { createWalletFile, loadWalletFile, saveWalletFile } from '../identity/node/index.js';
import { toHex } from '../wire/index.js';
import { type FlagSpec, type ParsedArgs, parseArgs, parseWhole, renderHelp } from './args.js';
import { CliError, Exit, usageError } from './exit.js';
import { type Output, paint, processOutput, progressLine } from './terminal.js';
import {
  loadWalletAt,
  loadWithPassword,
  newPassword,
  type PasswordSource,
  WALLET_FLAGS,
  WALLET_PASSWORD_ENV,
  walletTrouble,
} from './wallet-open.js';

const JSON_FLAG: FlagSpec = { name: 'json', help: 'one JSON object instead of text' };
const NEW_PASSWORD_FILE: FlagSpec = {
  name: 'newPasswordFile',
  value: 'FILE',
  help: 'file that holds the new password, else it is asked for',
};
const ADDRESS_VERSION: FlagSpec = {
  name: 'addressVersion',
  value: 'N',
  help: 'address version 0, 1 or 2 (default 1)',
};

interface Action {
  readonly usage: string;
  readonly about: string;
  readonly flags: readonly FlagSpec[];
  run(a: ParsedArgs, rest: readonly string[], o: Output): Promise<number>;
}

const walletPath = (a: ParsedArgs): string => a.get('wallet') ?? 'ixian.wal';

const passwordSource = (a: ParsedArgs): PasswordSource => ({
  file: a.get('walletPasswordFile'),
  literal: process.env[WALLET_PASSWORD_ENV],
});

const privateKeyOf = (w: Wallet): Uint8Array => {
  if (w.viewOnly) throw new WalletError('VIEW_ONLY', 'a view-only wallet has no private key');
  return w.exportPrivateKey();
};

function describe(wallet: Wallet, path: string, a: ParsedArgs, o: Output): void {
  const [primary, ...others] = wallet.addresses.map((x) => addressText(x.address));
  const { bits } = decodePublicKey(wallet.publicKey);
  const sector = toHex(sectorPrefix(wallet.primary));
  if (a.has('json')) {
    const { version, viewOnly, primes } = wallet;
    const facts = { file: path, version, viewOnly, bits, primes, sector };
    o.out(`${JSON.stringify({ address: primary, addresses: [primary, ...others], ...facts })}\n`);
    return;
  }
  o.out(`${paint(o, 'green', primary!)}\n`);
  for (const other of others) o.out(`${other}\n`);
  const kind = wallet.viewOnly ? ', view-only' : '';
  const form =
    wallet.primes > 2 ? `relay wallet of ${wallet.primes} primes` : `wallet version ${wallet.version}`;
  o.err(`${path}: ${form}, RSA-${bits}${kind}, sector ${sector}\n`);
}

/** Writes a new file of mode 0600 in one step; refuses to replace one. */
async function writeSecret(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
    await file.close();
    // A link, unlike a rename, fails when there is a file by that name.
    await link(temporary, path);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'EEXIST')
      throw new WalletError('EXISTS', `there is already a file at ${path}`);
    throw e;
  } finally {
    await unlink(temporary);
  }
}

const ACTIONS: Readonly<Record<string, Action>> = {
  create: {
    usage: 'starling wallet create [SWITCHES]',
    about: 'Makes an RSA-4096 wallet and writes it, encrypted, to a file that must not exist yet.',
    flags: [
      ...WALLET_FLAGS,
      {
        name: 'relay',
        help: 'for a busy relay: a key of four primes, which signs faster; other programs cannot use the file',
      },
      JSON_FLAG,
    ],
    async run(a, _rest, o) {
      const path = walletPath(a);
      // Before a password is asked for twice and a key is made for nothing.
      const taken = await readFile(path).then(
        () => true,
        () => false,
      );
      if (taken) throw new WalletError('EXISTS', `there is already a file at ${path}`);
      const password = await newPassword(passwordSource(a), path);
      const bar = progressLine(o);
      const seconds = (ms: number): string => (ms / 1000).toFixed(1);
      try {
        const wallet = await createWalletFile(path, password, {
          primes: a.has('relay') ? 4 : 2,
          onProgress: (p) =>
            bar.show(
              `Making a 4096-bit key … ${seconds(p.elapsedMs)} s (usually ${seconds(p.expectedMs)} s)`,
            ),
        });
        bar.done();
        describe(wallet, path, a, o);
      } finally {
        bar.done();
      }
      o.err('Keep the file and the password: nobody can restore either.\n');
      return Exit.ok;
    },
  },
  show: {
    usage: 'starling wallet show [SWITCHES]',
    about: 'Prints the addresses of a wallet, the primary one first.',
    flags: [...WALLET_FLAGS, JSON_FLAG],
    async run(a, _rest, o) {
      const path = walletPath(a);
      describe(await loadWalletAt(path, passwordSource(a)), path, a, o);
      return Exit.ok;
    },
  },
  export: {
    usage: 'starling wallet export PEM [SWITCHES]',
    about:
      'Writes the private key to a new PEM file, readable by its owner alone. It is NOT encrypted there.',
    flags: [
      ...WALLET_FLAGS,
      { name: 'public', help: 'the public key instead' },
      { name: 'reference', help: 'a wallet file that the reference reads instead, under the same password' },
    ],
    async run(a, rest, o) {
      const target = one(rest, 'wallet export wants the file to write');
      if (a.has('reference')) {
        const { wallet, password } = await loadWithPassword(walletPath(a), passwordSource(a));
        await writeSecret(target, encodeWalletFile(wallet, password, { referenceFormat: true }));
        o.err(`${target} is a wallet file of version ${wallet.version}\n`);
        return Exit.ok;
      }
      const wallet = await loadWalletAt(walletPath(a), passwordSource(a));
      const key = a.has('public') ? wallet.publicKey : privateKeyOf(wallet);
      try {
        await writeSecret(target, exportPem(key));
      } finally {
        if (!a.has('public')) wipe(key);
      }
      o.err(`${target} holds the ${a.has('public') ? 'public' : 'private'} key\n`);
      return Exit.ok;
    },
  },
  import: {
    usage: 'starling wallet import PEM [SWITCHES]',
    about: 'Makes a wallet file from the private key in a PEM file (PKCS#1 or PKCS#8).',
    flags: [...WALLET_FLAGS, ADDRESS_VERSION, JSON_FLAG],
    async run(a, rest, o) {
      const source = one(rest, 'wallet import wants the PEM file');
      const version = parseWhole(a.get('addressVersion') ?? '1', '--addressVersion', 0, 2) as 0 | 1 | 2;
      const text = await readFile(source, 'utf8').catch((e: Error) => {
        throw new CliError(`cannot read ${source}: ${e.message}`, Exit.wallet);
      });
      if (text.length > pemCharsMax) throw new CliError(`${source} is too long for a PEM key`, Exit.wallet);
      const key = importPem(text, version);
      const path = walletPath(a);
      try {
        const wallet = Wallet.create(key);
        const password = await newPassword(passwordSource(a), path);
        checkWalletPassword(password);
        await saveWalletFile(path, wallet, password, { overwrite: false });
        describe(wallet, path, a, o);
      } finally {
        wipe(key);
      }
      return Exit.ok;
    },
  },
  passwd: {
    usage: 'starling wallet passwd [SWITCHES]',
    about:
      'Encrypts the wallet under another password. The old file is replaced only once the new one is safe.',
    flags: [...WALLET_FLAGS, NEW_PASSWORD_FILE],
    async run(a, _rest, o) {
      const path = walletPath(a);
      const wallet = await loadWalletAt(path, passwordSource(a));
      const password = await newPassword({ file: a.get('newPasswordFile') }, path);
      checkWalletPassword(password);
      await saveWalletFile(path, wallet, password);
      // What was written must open before anybody relies on it.
      await loadWalletFile(path, password);
      o.err(`${path} has a new password; its backup copies keep the old one\n`);
      return Exit.ok;
    },
  },
  backup: {
    usage: 'starling wallet backup FILE [SWITCHES]',
    about: 'Copies the wallet file, encrypted as it is, to a new file. The password is checked first.',
    flags: WALLET_FLAGS,
    async run(a, rest, o) {
      const target = one(rest, 'wallet backup wants the file to write');
      const source = passwordSource(a);
      const path = walletPath(a);
      await loadWalletAt(path, source);
      await writeSecret(target, await readFile(path));
      o.err(`${target} is a copy of ${path}\n`);
      return Exit.ok;
    },
  },
};

function one(rest: readonly string[], why: string): string {
  const [only, ...more] = rest;
  if (only === undefined || more.length > 0) throw usageError(why);
  return only;
}

function help(): string {
  const lines = Object.entries(ACTIONS).map(([name, x]) => `  ${name.padEnd(7)} ${x.about}`);
  return [
    'Usage: starling wallet ACTION [ARGUMENTS]',
    '',
    ...lines,
    '',
    'starling wallet ACTION --help explains one action.',
    '',
  ].join('\n');
}

/** `starling wallet`: wallet files in the reference's format (docs/protocol/02 §10). */
export async function run(args: readonly string[], o: Output = processOutput()): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) throw usageError('wallet wants an action', help());
  if (name === '--help' || name === '-h') {
    o.out(help());
    return Exit.ok;
  }
  if (!Object.hasOwn(ACTIONS, name)) throw usageError(`unknown action wallet ${name}`, help());
  const action = ACTIONS[name]!;
  const a = parseArgs(rest, action.flags);
  if (a.has('help')) {
    o.out(renderHelp(action));
    return Exit.ok;
  }
  const takesArgument = action.usage.split(' ').length > 4;
  if (!takesArgument && a.positionals.length > 0)
    throw usageError(`unexpected argument ${a.positionals[0]}`, action.usage);
  try {
    return await action.run(a, a.positionals, o);
  } catch (e) {
    if (e instanceof CliError) throw e;
    throw walletTrouble(e, walletPath(a));
  }
}
