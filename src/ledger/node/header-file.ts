import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  encodeHeaderRecord,
  HEADER_FILE_MAGIC,
  HEADER_RECORD_PREFIX_BYTES,
  type HeaderStorage,
  readHeaderFile,
} from '../header-storage.js';

/**
 * Headers in one append-only file. Every record carries its own checksum, so a crash in the middle of a write
 * costs the torn record and nothing before it. Node only; the format is that of header-storage.ts.
 */
export class FileHeaderStorage implements HeaderStorage {
  readonly #path: string;
  #file: FileHandle | null = null;
  /** Offset of each record's prefix. */
  #offsets: number[] = [];
  #end = HEADER_FILE_MAGIC.length;

  constructor(path: string) {
    this.#path = path;
  }

  async #open(): Promise<FileHandle> {
    if (this.#file !== null) return this.#file;
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    try {
      this.#file = await open(this.#path, 'r+');
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
      this.#file = await open(this.#path, 'w+', 0o600);
      await this.#file.write(HEADER_FILE_MAGIC, 0, HEADER_FILE_MAGIC.length, 0);
    }
    return this.#file;
  }

  async load(): Promise<readonly Uint8Array[]> {
    let file = await this.#open();
    const content = readHeaderFile(await file.readFile());
    if (content === null) {
      // Not ours, or from another format version: kept aside for whoever wants to look, never overwritten.
      await this.close();
      await rename(this.#path, `${this.#path}.unreadable`);
      file = await this.#open();
      return [];
    }
    this.#offsets = [...content.offsets];
    this.#end = content.validBytes;
    await file.truncate(this.#end);
    return content.records;
  }

  async append(records: readonly Uint8Array[]): Promise<void> {
    const file = await this.#open();
    for (const r of records) {
      const bytes = encodeHeaderRecord(r);
      await file.write(bytes, 0, bytes.length, this.#end);
      this.#offsets.push(this.#end);
      this.#end += bytes.length;
    }
  }

  async truncate(count: number): Promise<void> {
    if (count >= this.#offsets.length) return;
    const file = await this.#open();
    this.#end = this.#offsets[count]!;
    this.#offsets.length = count;
    await file.truncate(this.#end);
  }

  async read(from: number, count: number): Promise<readonly Uint8Array[]> {
    const last = Math.min(from + count, this.#offsets.length);
    if (from < 0 || from >= last) return [];
    const file = await this.#open();
    const begin = this.#offsets[from]!;
    const end = last < this.#offsets.length ? this.#offsets[last]! : this.#end;
    const block = new Uint8Array(end - begin);
    await file.read(block, 0, block.length, begin);
    const out: Uint8Array[] = [];
    for (let i = from; i < last; i++) {
      const at = this.#offsets[i]! - begin + HEADER_RECORD_PREFIX_BYTES;
      const stop = (i + 1 < last ? this.#offsets[i + 1]! : end) - begin;
      out.push(block.subarray(at, stop));
    }
    return out;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }
}
