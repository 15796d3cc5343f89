import { createCipheriv, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  decodeSnapshot,
  encodeSnapshot,
  SnapshotError,
  type SnapshotMacs,
  type SnapshotResult,
  type SnapshotSource,
  type SnapshotTarget,
  snapshotKeyBytes,
} from '../snapshot.js';

/** In place: WebCrypto copies what it is given, and fresh memory for a megabyte costs more than its tag. */
const macs: SnapshotMacs = (fileKey) => (bytes, nonce) => {
  const gcm = createCipheriv('aes-256-gcm', fileKey, nonce);
  gcm.setAAD(bytes).final();
  return gcm.getAuthTag();
};

/** Until what has come in by now has had its turn. */
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A megabyte that took long, because the machine has no time, is no reason to never come to the end. */
const restMsMax = 40;

const isMissing = (e: unknown): boolean => (e as NodeJS.ErrnoException).code === 'ENOENT';

/** Writes all of it before the name points to it: a crash leaves the old file or the new one, never a part. */
async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', 0o600);
  try {
    await write(file);
    await file.sync();
  } catch (e) {
    await file.close();
    await rm(temporary, { force: true });
    throw e;
  }
  await file.close();
  await rename(temporary, path);
}

/** What is asked of a snapshot file for each network and moment. */
export interface SnapshotMoment {
  /** Lock of the network. */
  readonly lock: Uint8Array;
  /** Network seconds now. */
  readonly now: number;
}

/**
 * A presence snapshot on disk and the key that only this machine has; both are readable by their owner alone
 * (mode 0600). A file that must not be used is set aside as `….refused`, for whoever wants to look.
 */
export class SnapshotFile {
  #saving: Promise<number> | null = null;
  #stopped = false;
  #wake: () => void = () => undefined;

  /** @param path of the snapshot; the key lies beside it as `….key` */
  constructor(readonly path: string) {}

  get #keyPath(): string {
    return `${this.path}.key`;
  }

  async #key(): Promise<Uint8Array | null> {
    try {
      const key = await readFile(this.#keyPath);
      return key.length === snapshotKeyBytes ? key : null;
    } catch (e) {
      if (isMissing(e)) return null;
      throw e;
    }
  }

  async #keyOrNew(): Promise<Uint8Array> {
    const known = await this.#key();
    if (known !== null) return known;
    const key = randomBytes(snapshotKeyBytes);
    await replaceFile(this.#keyPath, async (file) => {
      await file.writeFile(key);
    });
    return key;
  }

  /**
   * Reads the snapshot into an empty store; null when there is none.
   *
   * @throws SnapshotError when the file was refused and set aside; the store is empty then
   */
  async load(store: SnapshotTarget, moment: SnapshotMoment): Promise<SnapshotResult | null> {
    let file: FileHandle;
    try {
      file = await open(this.path, 'r');
    } catch (e) {
      if (isMissing(e)) return null;
      throw e;
    }
    try {
      const key = await this.#key();
      if (key === null) throw new SnapshotError('mac', 'its key is missing');
      return await decodeSnapshot(store, (into, at) => readFully(file, into, at), {
        ...moment,
        key,
        macs,
      });
    } catch (e) {
      if (e instanceof SnapshotError) await rename(this.path, `${this.path}.refused`);
      throw e;
    } finally {
      await file.close();
    }
  }

  /**
   * Writes the store, a megabyte at a time with the thread free in between, and puts it in the place of the
   * file before. A call while another is at work waits for that one. Resolves to the bytes written.
   *
   * @param restPerWork after each megabyte, so many times as long as it took is rested: with 0 a million
   * presences keep a core busy for seconds, which whoever needs it for signatures notices
   */
  save(store: SnapshotSource, moment: SnapshotMoment, restPerWork = 0): Promise<number> {
    this.#saving ??= this.#save(store, moment, restPerWork).finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  /** Ends a save that is at work, leaving the file before in place; it rejects with {@link SnapshotInterrupted}. */
  async interrupt(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#saving?.catch(() => undefined);
    this.#stopped = false;
  }

  /** Until the time is over, or the save is interrupted. */
  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #save(store: SnapshotSource, moment: SnapshotMoment, restPerWork: number): Promise<number> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const key = await this.#keyOrNew();
    let end = 0;
    await replaceFile(this.path, async (file) => {
      let beganMs = performance.now();
      for await (const { at, bytes } of encodeSnapshot(store, { ...moment, key, macs, pause })) {
        if (this.#stopped) throw new SnapshotInterrupted();
        await writeFully(file, bytes, at);
        end = at + bytes.length;
        if (restPerWork === 0) continue;
        await this.#rest(Math.min(restMsMax, restPerWork * (performance.now() - beganMs)));
        beganMs = performance.now();
      }
    });
    return end;
  }
}

/** A save was ended by {@link SnapshotFile.interrupt}. */
export class SnapshotInterrupted extends Error {
  override readonly name = 'SnapshotInterrupted';
  constructor() {
    super('the presence snapshot was interrupted');
  }
}

async function readFully(file: FileHandle, into: Uint8Array, at: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

async function writeFully(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
