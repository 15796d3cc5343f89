import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** The data folder is used by another process, or cannot be written. */
export class DataFolderLocked extends Error {
  override readonly name = 'DataFolderLocked';
}

const FILE = 'starling.lock';

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

/**
 * Holds a data folder for this process: two relays on one folder would write over each other's files. A lock whose
 * process is gone is taken over.
 */
export class DataFolderLock {
  private constructor(private readonly path: string) {}

  /** @throws DataFolderLocked when another process holds it or the folder cannot be written */
  static async take(dir: string): Promise<DataFolderLock> {
    const path = join(dir, FILE);
    // Twice: once on a free folder, once more after a lock that nobody holds was put aside.
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        const file = await open(path, 'wx', 0o600);
        await file.writeFile(`${process.pid} ${birthOf(process.pid)}\n`);
        await file.close();
        return new DataFolderLock(path);
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== 'EEXIST')
          throw new DataFolderLocked(`cannot write ${path}: ${(e as Error).message}`);
      }
      const [pid = 0, birth = ''] = await holder(path);
      if (pid > 0 && isAlive(pid) && birthOf(pid) === birth)
        throw new DataFolderLocked(`process ${pid} uses the data folder ${dir}`);
      // Renaming is atomic: of two processes that find the same dead lock only one puts it aside.
      const aside = `${path}.${process.pid}`;
      await rename(path, aside).catch(() => undefined);
      await rm(aside, { force: true });
    }
    throw new DataFolderLocked(`another process is taking the data folder ${dir}`);
  }

  async release(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/** Who holds a data folder, null when nobody does. `alive`: that process, not another one that got its number. */
export async function lockHolder(
  dir: string,
): Promise<{ readonly pid: number; readonly alive: boolean } | null> {
  const [pid = 0, birth = ''] = await holder(join(dir, FILE));
  if (pid === 0) return null;
  return { pid, alive: isAlive(pid) && birthOf(pid) === birth };
}

async function holder(path: string): Promise<[pid?: number, birth?: string]> {
  try {
    const [pid, birth] = (await readFile(path, 'utf8')).trim().split(' ');
    return [Number(pid) || 0, birth ?? ''];
  } catch {
    return [];
  }
}
