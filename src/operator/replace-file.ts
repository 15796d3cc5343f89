import { chown, open, realpath, rename, rm, stat } from 'node:fs/promises';

/** Rights of a file that did not exist: a configuration may come to hold passwords. */
const newFileMode = 0o600;

/**
 * Replaces a file's content at once: whoever reads it sees the old text or the new one, also after a crash. Rights and,
 * where allowed, owner stay; a symbolic link is followed. Rejects with the system's error and leaves the file as it was.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch((e: NodeJS.ErrnoException) => {
    if (e.code === 'ENOENT') return path;
    throw e;
  });
  const old = await stat(target).catch((e: NodeJS.ErrnoException) => {
    if (e.code === 'ENOENT') return null;
    throw e;
  });
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'wx', newFileMode);
    try {
      await file.writeFile(text);
      if (old !== null) {
        await file.chmod(old.mode & 0o7777);
        // Only root may give files away; for everybody else the owner is the same already.
        await chown(temporary, old.uid, old.gid).catch(() => undefined);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
