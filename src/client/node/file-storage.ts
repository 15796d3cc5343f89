import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { join, resolve as resolvePath } from 'node:path';
import { aesGcmDecryptSelfContained, aesGcmEncryptSelfContained } from '../../identity/index.js';
import { applyChanges, type ClientStorage, entriesBelow, type StorageChange } from '../storage.js';

/** The journal is written anew when it holds this many times what is alive, and more than the least size. */
const compactionFactor = 4;
const compactionBytesMin = 1024 * 1024;
/** Only the owner may read it: it holds session keys. */
const fileMode = 0o600;
const folderMode = 0o700;
/** Characters of the digest in front of a line: a torn write is told from a whole one. */
const digestChars = 16;

const fileName = 'client.journal';
const lockName = 'client.lock';

/** Folders this process holds: its own number in a lock file alone does not tell, numbers are used again. */
const held = new Set<string>();

/** What is wrong with a storage folder, for people. */
export class FileStorageError extends Error {
  override readonly name = 'FileStorageError';
}

export interface FileStorageOptions {
  /** False skips the flush to the disk after each commit: faster, loses the last moments with the power. */
  readonly durable?: boolean;
  /** 32 bytes, e.g. `storageSecret` of the wallet: values are encrypted with it on the disk. */
  readonly secret?: Uint8Array;
}

const digestOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digestChars);

function line(changes: readonly StorageChange[], secret: Uint8Array | null): string {
  const json = JSON.stringify(changes.map(({ key, value }) => [key, value]));
  const body =
    secret === null
      ? json
      : Buffer.from(aesGcmEncryptSelfContained(secret, Buffer.from(json))).toString('base64');
  return `${digestOf(body)} ${body}\n`;
}

/** Changes of one line, null when it is torn. Lines from before there was a secret are read as they are. */
function parse(text: string, secret: Uint8Array | null): StorageChange[] | null {
  const body = text.slice(digestChars + 1);
  if (text.slice(0, digestChars) !== digestOf(body)) return null;
  return (JSON.parse(plain(body, secret)) as [string, string | null][]).map(([key, value]) => ({
    key,
    value,
  }));
}

function plain(body: string, secret: Uint8Array | null): string {
  if (body.startsWith('[')) return body;
  const opened = secret === null ? null : aesGcmDecryptSelfContained(secret, Buffer.from(body, 'base64'));
  if (opened === null) throw new FileStorageError('the contents are encrypted for another wallet');
  return Buffer.from(opened).toString('utf8');
}

/**
 * A client's storage in one append-only journal: a commit is one line with its digest, flushed to the disk
 * before it counts. After a crash the torn last line is dropped. Compaction writes a new file and renames it.
 */
export class FileStorage implements ClientStorage {
  readonly #folder: string;
  readonly #durable: boolean;
  readonly #secret: Uint8Array | null;
  readonly #map = new Map<string, string>();
  #file: FileHandle;
  #bytes = 0;
  #liveBytes = 0;
  #waiting: { text: string; resolve: () => void; reject: (e: unknown) => void }[] = [];
  #writing: Promise<void> | null = null;
  #broken: unknown = null;
  #closed = false;

  private constructor(folder: string, file: FileHandle, options: FileStorageOptions) {
    this.#folder = folder;
    this.#file = file;
    this.#durable = options.durable ?? true;
    this.#secret = options.secret ?? null;
  }

  /**
   * Opens, and makes if missing, the storage in a folder; one process at a time.
   *
   * @throws FileStorageError when another process holds it or the journal is damaged before its end.
   */
  static async open(folder: string, options: FileStorageOptions = {}): Promise<FileStorage> {
    await mkdir(folder, { recursive: true, mode: folderMode });
    await lock(folder);
    const path = join(folder, fileName);
    const text = await readFile(path, 'utf8').catch((e: NodeJS.ErrnoException) => {
      if (e.code === 'ENOENT') return '';
      throw e;
    });
    const file = await open(path, 'a', fileMode);
    const storage = new FileStorage(folder, file, options);
    try {
      await storage.#replay(text, path);
    } catch (error) {
      await storage.close();
      throw error;
    }
    return storage;
  }

  async #replay(text: string, path: string): Promise<void> {
    const lines = text.split('\n');
    const tail = lines.pop()!; // after the last line feed: empty, or torn by a crash
    let good = text.length - tail.length;
    for (const [i, l] of lines.entries()) {
      const changes = parse(l, this.#secret);
      if (changes !== null) {
        applyChanges(this.#map, changes);
        continue;
      }
      if (i < lines.length - 1)
        throw new FileStorageError(`${path} is damaged in line ${i + 1}: restore it from a backup`);
      good -= l.length + 1;
    }
    this.#bytes = Buffer.byteLength(text.slice(0, good));
    if (good < text.length) await this.#file.truncate(this.#bytes);
    for (const [key, value] of this.#map) this.#liveBytes += key.length + value.length;
  }

  list(prefix: string): Promise<readonly (readonly [string, string])[]> {
    return Promise.resolve(entriesBelow(this.#map, prefix));
  }

  commit(changes: readonly StorageChange[]): Promise<void> {
    if (this.#closed) return Promise.reject(new FileStorageError('the storage is closed'));
    if (this.#broken !== null) return Promise.reject(this.#broken);
    for (const { key, value } of changes) {
      const old = this.#map.get(key);
      this.#liveBytes +=
        (value === null ? 0 : key.length + value.length) - (old === undefined ? 0 : key.length + old.length);
    }
    applyChanges(this.#map, changes);
    const written = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ text: line(changes, this.#secret), resolve, reject });
    });
    this.#writing ??= this.#write();
    return written;
  }

  /** Everything that waits goes out in one write and one flush, however many commits it is. */
  async #write(): Promise<void> {
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting.splice(0);
        const text = batch.map((w) => w.text).join('');
        try {
          await this.#file.appendFile(text);
          if (this.#durable) await this.#file.datasync();
          this.#bytes += Buffer.byteLength(text);
          for (const w of batch) w.resolve();
        } catch (error) {
          // Half a line may be on the disk: nothing may follow it until the journal was read again.
          this.#broken = new FileStorageError(`cannot write to ${this.#folder}`, { cause: error });
          for (const w of [...batch, ...this.#waiting.splice(0)]) w.reject(this.#broken);
          return;
        }
        if (this.#bytes > compactionBytesMin && this.#bytes > compactionFactor * this.#liveBytes)
          await this.#compact().catch((error: unknown) => {
            this.#broken = new FileStorageError(`cannot rewrite ${this.#folder}`, { cause: error });
          });
      }
    } finally {
      // In the very turn in which nothing was waiting any more: the next commit begins anew.
      this.#writing = null;
    }
  }

  async #compact(): Promise<void> {
    const path = join(this.#folder, fileName);
    // Commits that wait are in the map already and are written again behind: applying them twice changes nothing.
    const text = line(
      [...this.#map].map(([key, value]) => ({ key, value })),
      this.#secret,
    );
    const fresh = await open(`${path}.new`, 'w', fileMode);
    await fresh.writeFile(text);
    await fresh.datasync();
    await fresh.close();
    await rename(`${path}.new`, path);
    await this.#file.close();
    this.#file = await open(path, 'a', fileMode);
    this.#bytes = Buffer.byteLength(text);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await this.#file.close();
    await unlink(join(this.#folder, lockName)).catch(() => undefined);
    held.delete(resolvePath(this.#folder));
  }
}

/** One process per folder: two would overwrite each other's keys. A lock of a dead process is taken over. */
async function lock(folder: string): Promise<void> {
  const path = join(folder, lockName);
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = await open(path, 'wx', fileMode);
      await file.writeFile(String(process.pid));
      await file.close();
      held.add(resolvePath(folder));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = Number(await readFile(path, 'utf8').catch(() => ''));
    const busy = pid === process.pid ? held.has(resolvePath(folder)) : pid > 0 && isAlive(pid);
    if (busy) throw new FileStorageError(`${folder} is in use by process ${pid}`);
    await unlink(path).catch(() => undefined);
  }
  throw new FileStorageError(`${folder} cannot be locked`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
