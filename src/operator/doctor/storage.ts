import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { addressText, decodeWalletFile, WalletError } from '../../identity/index.js';
import { lockHolder } from '../lock.js';
import { fails, type Outcome, ok, warning } from './finding.js';
import { existing } from './machine.js';
import type { Subject } from './subject.js';

/** Whether the relay could write here: a file is written, synced and removed again. */
export async function checkDataFolder(s: Subject): Promise<Outcome> {
  const { dataDir } = s;
  const todo = 'give the relay’s user a folder it may write to (dataFolderPath), mode 0700';
  try {
    const found = await stat(dataDir);
    if (!found.isDirectory()) return fails(`${dataDir} is no folder`, todo);
    await writeProbe(dataDir);
    const open = (found.mode & 0o022) !== 0 && process.platform !== 'win32';
    if (open) return warning(`${dataDir} can be written by others`, `chmod go-w ${dataDir}`);
    return ok(`${dataDir} can be written`);
  } catch (e) {
    const { code, message } = e as NodeJS.ErrnoException;
    if (code !== 'ENOENT') return fails(`${dataDir} cannot be written: ${message}`, todo);
  }
  const above = existing(dataDir);
  try {
    await access(above, constants.W_OK);
    return ok(`${dataDir} is not there yet and can be made`);
  } catch (e) {
    return fails(`${dataDir} cannot be made: ${(e as Error).message}`, todo);
  }
}

async function writeProbe(dir: string): Promise<void> {
  const path = join(dir, `.doctor-${randomUUID()}`);
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(new Uint8Array(65_536));
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}

export async function checkLock(s: Subject): Promise<Outcome> {
  const holder = await lockHolder(s.dataDir);
  if (holder === null) return ok('no relay runs on the data folder');
  if (!holder.alive) return ok(`left by process ${holder.pid}, which is gone; the next start takes it over`);
  const mine = s.running?.inside === true;
  if (mine) return ok(`held by this relay, process ${holder.pid}`);
  if (s.running?.notReady === null)
    return warning(
      `held by process ${holder.pid}, which does not answer on opsBind`,
      'if that is no relay, end it; a second relay needs another dataFolderPath',
    );
  return ok(`held by the running relay, process ${holder.pid}`);
}

/** Whether the running relay is ready. */
export function checkRunning(s: Subject): Outcome {
  if (s.running === null) return ok('no relay is running: what is checked is what a start would find');
  const { notReady, pid } = s.running;
  if (notReady === null)
    return warning(
      `process ${pid} tells nothing of itself`,
      'set opsBind, and see whether the process is alive',
    );
  if (notReady.length === 0) return ok(`process ${pid} is ready`);
  return warning(
    `process ${pid} is not ready: ${notReady.join(', ')}`,
    'docs/operate.md explains each of these',
  );
}

const othersMode = 0o077;
const octal = (mode: number): string => `0${(mode & 0o777).toString(8)}`;

/** The wallet and its copies must be the owner's alone. */
export async function checkWalletFile(s: Subject): Promise<Outcome> {
  const { walletPath } = s;
  let mode: number;
  try {
    const found = await stat(walletPath);
    if (!found.isFile()) return fails(`${walletPath} is no file`, 'name the wallet file: wallet');
    mode = found.mode;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT')
      return warning(
        `there is no wallet at ${walletPath}`,
        'the first start makes one, or starling wallet create',
      );
    return fails(`${walletPath} cannot be read: ${(e as Error).message}`, 'let the relay’s user read it');
  }
  if (process.platform === 'win32') return ok(`${walletPath} is there`);
  const copies = await copiesOf(walletPath);
  const wide = [{ path: walletPath, mode }, ...copies].filter((f) => (f.mode & othersMode) !== 0);
  if (wide.length > 0)
    return fails(
      wide.map((f) => `${f.path} has mode ${octal(f.mode)}: others may open it`).join('; '),
      `chmod 600 ${wide.map((f) => f.path).join(' ')}`,
    );
  if (s.passwordFile !== null) {
    const secret = await stat(s.passwordFile).catch(() => null);
    if (secret?.isFile() === true && (secret.mode & 0o007) !== 0)
      return fails(
        `the password file ${s.passwordFile} has mode ${octal(secret.mode)}: everybody may read it`,
        `chmod 600 ${s.passwordFile}`,
      );
  }
  return ok(`${walletPath} has mode ${octal(mode)}`);
}

async function copiesOf(walletPath: string): Promise<{ path: string; mode: number }[]> {
  const dir = dirname(walletPath);
  const names = await readdir(dir).catch((): string[] => []);
  const copies = names.filter((n) => n.startsWith(`${basename(walletPath)}.`) && n.endsWith('.bak'));
  const out: { path: string; mode: number }[] = [];
  for (const n of copies) {
    const found = await stat(join(dir, n)).catch(() => null);
    if (found !== null) out.push({ path: join(dir, n), mode: found.mode });
  }
  return out;
}

/** Whether the password that a start would use opens the wallet. Nothing is written. */
export async function checkPassword(s: Subject): Promise<Outcome> {
  if (s.running?.inside === true) return ok('the wallet is open');
  let password: string | null;
  try {
    password = await s.password();
  } catch (e) {
    return fails((e as Error).message, 'let the relay’s user read the file that walletPasswordFile names');
  }
  let file: Uint8Array;
  try {
    file = await readFile(s.walletPath);
  } catch {
    return password === null
      ? warning(
          'no password is given, and there is no wallet',
          'a service cannot ask: set walletPasswordFile',
        )
      : ok('there is no wallet yet: the first start makes one under the given password');
  }
  if (password === null)
    return warning(
      'no password is given: a start asks for it',
      'a service cannot ask: set walletPasswordFile',
    );
  try {
    const wallet = decodeWalletFile(file, password);
    const address = addressText(wallet.primary);
    if (wallet.viewOnly)
      return fails(`${address} is view-only`, 'a relay needs a wallet with its private key');
    return ok(`opens ${address}`);
  } catch (e) {
    if (!(e instanceof WalletError)) throw e;
    const wrong = e.code === 'WRONG_PASSWORD';
    return fails(
      `${s.walletPath}: ${e.message}`,
      wrong
        ? 'put the right password where walletPasswordFile or IXIAN_WALLET_PASSWORD points'
        : 'put back the backup copy that lies beside the wallet (.bak)',
    );
  }
}
