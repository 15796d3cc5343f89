import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** The reference's name of the log (docs/protocol/11 §8). */
export const LOG_FILE = 'ixian.log';
/** The owner alone: a log names addresses. */
const LOG_MODE = 0o600;
/** Whether the file was moved away or grew by other hands is looked at this often. */
const lookMs = 1_000;

export interface LogFileOptions {
  readonly path: string;
  /** A file that has grown to this many bytes is put aside. */
  readonly bytesMax: number;
  /** Files put aside that are kept. */
  readonly countMax: number;
  /** False where another process of this relay puts the file aside: then its successor is only followed. */
  readonly rotates?: boolean;
  /** The file cannot be written: told once, and once more after it could be written again. */
  onTrouble?(error: Error): void;
  nowMs?(): number;
}

/**
 * The log as a file: `ixian.log`, older ones `ixian.0.log`, `ixian.1.log` and so on, the highest number oldest. Lines
 * are appended whole, so that several processes may share it. A disk that is full loses lines, never the relay.
 */
export class LogFile {
  readonly #o: LogFileOptions;
  #fd: number | null = null;
  #inode = 0;
  #bytes = 0;
  #lookedMs = 0;
  #troubled = false;

  constructor(options: LogFileOptions) {
    this.#o = options;
  }

  /** Appends one line. Never throws. */
  write(line: string): void {
    try {
      this.#look();
      const bytes = Buffer.from(line);
      if (this.#o.rotates !== false && this.#bytes > 0 && this.#bytes + bytes.length > this.#o.bytesMax)
        this.#rotate();
      this.#bytes += writeSync(this.#open(), bytes);
      this.#troubled = false;
    } catch (e) {
      this.close();
      if (!this.#troubled) this.#o.onTrouble?.(e as Error);
      this.#troubled = true;
    }
  }

  /** Lets go of the file and makes it anew at its name: for logrotate and the like, after SIGHUP. */
  reopen(): void {
    this.close();
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #open(): number {
    if (this.#fd !== null) return this.#fd;
    mkdirSync(dirname(this.#o.path), { recursive: true, mode: 0o700 });
    this.#fd = openSync(this.#o.path, 'a', LOG_MODE);
    const { ino, size } = fstatSync(this.#fd);
    this.#inode = ino;
    this.#bytes = size;
    return this.#fd;
  }

  /** Now and then: does the name still lead to the open file, and how large is that? */
  #look(): void {
    const now = this.#o.nowMs?.() ?? Date.now();
    if (this.#fd !== null && now - this.#lookedMs < lookMs) return;
    this.#lookedMs = now;
    const there = statSync(this.#o.path, { throwIfNoEntry: false });
    if (this.#fd !== null && there?.ino !== this.#inode) this.close();
    this.#open();
    if (there !== undefined && there.ino === this.#inode) this.#bytes = there.size;
  }

  /** By number, not by text: ten comes after nine (the reference mixes them up, 11 §8). */
  #rotate(): void {
    const { path, countMax } = this.#o;
    this.close();
    const dir = dirname(path);
    const stem = path.slice(dir.length + 1).replace(/\.log$/, '');
    const name = (n: number): string => join(dir, `${stem}.${n}.log`);
    for (const file of readdirSync(dir)) {
      const n = file.startsWith(`${stem}.`)
        ? /^(\d{1,6})\.log$/.exec(file.slice(stem.length + 1))?.[1]
        : undefined;
      if (n !== undefined && Number(n) >= countMax - 1) rmSync(join(dir, file), { force: true });
    }
    for (let n = countMax - 2; n >= 0; n--) if (existsSync(name(n))) renameSync(name(n), name(n + 1));
    renameSync(path, name(0));
  }
}
