import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { equalSecrets, hmacSha256, randomBytes } from '../identity/index.js';
import { ByteReader, ByteWriter, DecodeError } from '../wire/index.js';

/** A new key is made this often; the one before stays for as long as its tickets live. */
export const ticketKeySeconds = 3_600;
/** A key is known for so long: its last tickets expire long before. */
export const ticketKeyKeptSeconds = 2 * ticketKeySeconds;
/**
 * Keys kept, newest first: the current one and the one before, and more where several processes of one relay made one
 * at the same moment.
 */
export const ticketKeysMax = 8;
/** A clock of another process, or one that was stepped, may be so far ahead. */
const skewSeconds = 60;
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

/** Keys as they lie in the file and travel between the processes of one relay. */
export function encodeTicketKeys(keys: readonly TicketKey[]): Uint8Array {
  const w = new ByteWriter(512).u32(FILE_MARK).u8(keys.length);
  for (const k of keys) w.u32(k.id).i64(k.createdSeconds).raw(k.bytes);
  return w.raw(hmacSha256(keys[0]!.bytes, w.bytes())).bytes();
}

/** Throws DecodeError for anything else than what {@link encodeTicketKeys} made. */
export function decodeTicketKeys(file: Uint8Array): TicketKey[] {
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

export interface TicketKeysOptions {
  /** Null: nothing is kept on disk. */
  readonly path: string | null;
  nowSeconds(): number;
  /** A file that could not be read or written. */
  onError(error: unknown): void;
  /**
   * Seconds for which a key that is due is waited for from another process of this relay; absent where there is none.
   */
  patienceSeconds?(): number;
}

/**
 * The keys that tickets are made with, newest first. With a path they survive a restart, in a file that its owner
 * alone can read; without one, or when the file is damaged, tickets of an earlier run are unknown and their
 * clients say a full hello. Processes of one relay tell each other what they make, so that a ticket of one is good at
 * all ({@link TicketKeys.learn}).
 */
export class TicketKeys {
  #keys: TicketKey[] = [];
  #saving: Promise<void> = Promise.resolve();
  /** Told of every key made here. */
  onMade: ((key: TicketKey) => void) | null = null;

  private constructor(private readonly options: TicketKeysOptions) {}

  /** Reads the file, and makes a key where there is none. */
  static async open(
    path: string | null,
    nowSeconds: () => number,
    onError: (error: unknown) => void,
  ): Promise<TicketKeys> {
    const keys = await TicketKeys.read({ path, nowSeconds, onError });
    keys.current();
    return keys;
  }

  /** Reads the file; nothing is made before {@link TicketKeys.current} is called. */
  static async read(options: TicketKeysOptions): Promise<TicketKeys> {
    const keys = new TicketKeys(options);
    if (options.path !== null)
      try {
        keys.learn(decodeTicketKeys(await readFile(options.path)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') options.onError(error);
      }
    return keys;
  }

  /** Every key that is not too old, newest first. */
  get all(): readonly TicketKey[] {
    return this.#keys;
  }

  /** The key for new tickets; makes a new one when the last is old. */
  current(): TicketKey {
    const now = this.options.nowSeconds();
    const newest = this.#keys[0];
    const age = newest === undefined ? Number.POSITIVE_INFINITY : now - newest.createdSeconds;
    const due = ticketKeySeconds + (this.options.patienceSeconds?.() ?? 0);
    if (newest !== undefined && age < due && age >= -skewSeconds) return newest;
    const id = new DataView(randomBytes(4).buffer).getUint32(0);
    const key = { id, createdSeconds: now, bytes: randomBytes(KEY_BYTES) };
    // In front whatever the others say: a clock set back makes all of them look younger.
    const young = this.#keys.filter((k) => now - k.createdSeconds < ticketKeyKeptSeconds);
    this.#keys = [key, ...young].slice(0, ticketKeysMax);
    if (this.options.path !== null)
      this.#saving = this.#saving.then(() => this.#save()).catch(this.options.onError);
    this.onMade?.(key);
    return key;
  }

  /** Takes over keys of the file or of another process; those too old or from the future are left out. */
  learn(keys: readonly TicketKey[]): void {
    const now = this.options.nowSeconds();
    const all = new Map(
      [...this.#keys, ...keys]
        // A key from the future is of a clock that was wrong: its age cannot be told.
        .filter((k) => k.createdSeconds <= now + skewSeconds && now - k.createdSeconds < ticketKeyKeptSeconds)
        .map((k) => [k.id, k]),
    );
    // The same order in every process, also of two made in the same second.
    this.#keys = [...all.values()]
      .sort((a, b) => b.createdSeconds - a.createdSeconds || b.id - a.id)
      .slice(0, ticketKeysMax);
  }

  byId(id: number): TicketKey | null {
    return this.#keys.find((k) => k.id === id) ?? null;
  }

  /** Resolves when what was to be written is written. */
  settled(): Promise<void> {
    return this.#saving;
  }

  async #save(): Promise<void> {
    const path = this.options.path!;
    // Two processes of one relay may write at the same time.
    const temporary = `${path}.${process.pid}.tmp`;
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(encodeTicketKeys(this.#keys));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await chmod(path, 0o600);
  }
}
