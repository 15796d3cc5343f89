import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { equalSecrets, hmacSha256, randomBytes } from '../identity/index.js';
import { ByteReader, ByteWriter, DecodeError } from '../wire/index.js';

/** A new key is made this often; the one before stays for as long as its tickets live. */
export const ticketKeySeconds = 3_600;
/** Keys kept: the current one and the one before, whose last tickets expire long before the next change. */
export const ticketKeysMax = 2;
/** `STK` and 1. */
const FILE_MARK = 0x014b5453;
const KEY_BYTES = 32;

/** One local key. It never leaves this machine. */
export interface TicketKey {
  readonly id: number;
  /** Unix seconds. */
  readonly createdSeconds: number;
  readonly bytes: Uint8Array;
}

function encodeFile(keys: readonly TicketKey[]): Uint8Array {
  const w = new ByteWriter(128).u32(FILE_MARK).u8(keys.length);
  for (const k of keys) w.u32(k.id).i64(k.createdSeconds).raw(k.bytes);
  return w.raw(hmacSha256(keys[0]!.bytes, w.bytes())).bytes();
}

function decodeFile(file: Uint8Array): TicketKey[] {
  const r = new ByteReader(file);
  if (r.u32('keys.mark') !== FILE_MARK) throw new DecodeError('FORMAT', 'keys.mark', 0);
  const n = r.u8('keys.count');
  if (n < 1 || n > ticketKeysMax) throw new DecodeError('RANGE', 'keys.count', 4);
  const keys: TicketKey[] = [];
  for (let i = 0; i < n; i++)
    keys.push({
      id: r.u32('keys.id'),
      createdSeconds: Number(r.i64('keys.created')),
      bytes: r.raw(KEY_BYTES, 'keys.key').slice(),
    });
  // Against torn writes and bit rot, not against whoever may write here.
  const end = r.offset;
  const sum = r.raw(32, 'keys.sum');
  r.done('keys');
  if (!equalSecrets(sum, hmacSha256(keys[0]!.bytes, file.subarray(0, end))))
    throw new DecodeError('CHECKSUM', 'keys.sum', end);
  return keys;
}

/**
 * The keys that tickets are made with, newest first. With a path they survive a restart, in a file that its owner
 * alone can read; without one, or when the file is damaged, tickets of an earlier run are unknown and their
 * clients say a full hello.
 */
export class TicketKeys {
  #keys: TicketKey[] = [];
  #saving: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string | null,
    private readonly nowSeconds: () => number,
    private readonly onError: (error: unknown) => void,
  ) {}

  static async open(
    path: string | null,
    nowSeconds: () => number,
    onError: (error: unknown) => void,
  ): Promise<TicketKeys> {
    const keys = new TicketKeys(path, nowSeconds, onError);
    if (path !== null)
      try {
        const now = nowSeconds();
        // A key from the future is of a clock that was wrong: its age cannot be told.
        keys.#keys = decodeFile(await readFile(path)).filter(
          (k) => k.createdSeconds <= now + 60 && now - k.createdSeconds < ticketKeysMax * ticketKeySeconds,
        );
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onError(error);
      }
    keys.current();
    return keys;
  }

  /** The key for new tickets; makes a new one when the last is old. */
  current(): TicketKey {
    const now = this.nowSeconds();
    const newest = this.#keys[0];
    const age = newest === undefined ? Number.POSITIVE_INFINITY : now - newest.createdSeconds;
    if (newest !== undefined && age < ticketKeySeconds && age >= -60) return newest;
    const id = new DataView(randomBytes(4).buffer).getUint32(0);
    const key = { id, createdSeconds: now, bytes: randomBytes(KEY_BYTES) };
    this.#keys = [key, ...this.#keys].slice(0, ticketKeysMax);
    if (this.path !== null) this.#saving = this.#saving.then(() => this.#save()).catch(this.onError);
    return key;
  }

  byId(id: number): TicketKey | null {
    return this.#keys.find((k) => k.id === id) ?? null;
  }

  /** Resolves when what was to be written is written. */
  settled(): Promise<void> {
    return this.#saving;
  }

  async #save(): Promise<void> {
    const path = this.path!;
    const temporary = `${path}.tmp`;
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(encodeFile(this.#keys));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await chmod(path, 0o600);
  }
}
