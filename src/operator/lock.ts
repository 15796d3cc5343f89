import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The data folder is used by another process, or cannot be written. */
export class DataFolderLocked extends Error {
  override readonly name = 'DataFolderLocked';
}

const FILE = 'starling.lock';
/** Locks over dead locks over dead locks: each one is of a process that was killed while it took over the one below. */
const takeoversMax = 4;

/** When a process began, as the system counts it; '' where it does not say. Tells a reused id from the same process. */
function birthOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything; field 22 is the 20th behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether that process lives, and not another one that got its number. */
const isStill = (pid: number, birth: string): boolean => isAlive(pid) && birthOf(pid) === birth;

/** What says that a file system knows no hard links. */
const UNLINKABLE = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

const codeOf = (e: unknown): string => (e as NodeJS.ErrnoException).code ?? '';

/** A lock's text beside its place, under a name that no process before left behind: containers give the same id each time. */
async function beside(path: string, text: string): Promise<string> {
  const whole = `${path}.${randomUUID()}`;
  await writeFile(whole, text, { flag: 'wx', mode: 0o600 });
  return whole;
}

/** Makes a file with that text where there is none; false where there is one. It is never seen without its text. */
async function makeLock(path: string, text: string): Promise<boolean> {
  const whole = await beside(path, text);
  try {
    await link(whole, path).catch((e) => {
      if (!UNLINKABLE.has(codeOf(e))) throw e;
      return writeFile(path, text, { flag: 'wx', mode: 0o600 });
    });
    return true;
  } catch (e) {
    if (codeOf(e) === 'EEXIST') return false;
    throw e;
  } finally {
    await rm(whole, { force: true });
  }
}

/** Takes the lock at `path` for this process; who has it instead, 0 where that is just about to change. */
async function takeLock(path: string, depth = 0): Promise<{ readonly heldBy: number } | null> {
  const own = `${process.pid} ${birthOf(process.pid)}\n`;
  if (await makeLock(path, own)) return null;
  const found = await textOf(path);
  const [pid, birth] = holderIn(found);
  if (pid > 0 && isStill(pid, birth)) return { heldBy: pid };
  if (found === null || depth === takeoversMax) return { heldBy: 0 };
  // Of those that found the same dead lock one at a time looks again, and puts its own in the place of the dead one.
  const guard = `${path}.over`;
  if ((await takeLock(guard, depth + 1)) !== null) return { heldBy: 0 };
  try {
    if ((await textOf(path)) !== found) return { heldBy: 0 };
    // Never missing meanwhile.
    await rename(await beside(path, own), path);
    return null;
  } finally {
    await rm(guard, { force: true });
  }
}

/**
 * Holds a data folder for this process: two relays on one folder would write over each other's files. A lock whose
 * process is gone is taken over.
 */
export class DataFolderLock {
  private constructor(private readonly path: string) {}

  /** @throws DataFolderLocked when another process holds it or the folder cannot be written */
  static async take(dir: string): Promise<DataFolderLock> {
    const path = join(dir, FILE);
    let other: { readonly heldBy: number } | null;
    try {
      other = await takeLock(path);
    } catch (e) {
      throw new DataFolderLocked(`cannot write ${path}: ${(e as Error).message}`);
    }
    if (other === null) return new DataFolderLock(path);
    throw new DataFolderLocked(
      other.heldBy === 0
        ? `another process is taking the data folder ${dir}`
        : `process ${other.heldBy} uses the data folder ${dir}`,
    );
  }

  async release(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/** Who holds a data folder, null when nobody does. `alive`: that process, not another one that got its number. */
export async function lockHolder(
  dir: string,
): Promise<{ readonly pid: number; readonly alive: boolean } | null> {
  const [pid, birth] = holderIn(await textOf(join(dir, FILE)));
  if (pid === 0) return null;
  return { pid, alive: isStill(pid, birth) };
}

function holderIn(text: string | null): [pid: number, birth: string] {
  const [pid, birth] = (text ?? '').trim().split(' ');
  return [Number(pid) || 0, birth ?? ''];
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}
