import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Blacklist, type Relay } from '../../relay/index.js';

/** One refused wallet, endpoint, address or range. */
export interface Ban {
  readonly target: string;
  readonly reason: string;
  /** Unix seconds, null = until it is lifted. */
  readonly expires: number | null;
  /** `config`: of the configuration, not to be lifted here. */
  readonly from: 'config' | 'api';
}

/** Bans kept: an operator's list, not a database. */
export const bansMax = 10_000;

const FILE = 'bans.json';

/** Who is refused: the configuration's entries and those of the API, which survive a restart and may expire. */
export class Bans {
  #configured: readonly string[] = [];
  #added = new Map<string, { reason: string; expires: number | null }>();
  #timer: NodeJS.Timeout | null = null;
  #writes: Promise<void> = Promise.resolve();

  private constructor(
    private readonly relay: Relay,
    /** Null: kept in memory only. */
    private readonly dir: string | null,
  ) {}

  /** Loads what was saved and puts it in force. */
  static async open(relay: Relay, dir: string | null, configured: readonly string[]): Promise<Bans> {
    const bans = new Bans(relay, dir);
    for (const b of await bans.#load()) bans.#added.set(b.target, { reason: b.reason, expires: b.expires });
    bans.configure(configured);
    bans.#timer = setInterval(() => bans.#expire(), 1_000);
    bans.#timer.unref();
    return bans;
  }

  list(): Ban[] {
    return [
      ...this.#configured.map((target): Ban => ({ target, reason: '', expires: null, from: 'config' })),
      ...[...this.#added].map(([target, b]): Ban => ({ target, ...b, from: 'api' })),
    ];
  }

  /** The configuration's entries, which must be valid. */
  configure(entries: readonly string[]): void {
    this.#configured = [...entries];
    this.#apply();
  }

  /**
   * Adds or renews a ban and ends the connections it covers; returns how many.
   *
   * @throws RangeError for what is no wallet, endpoint, address or range, or when there are too many
   */
  add(target: string, reason: string, seconds: number | null): number {
    try {
      new Blacklist([target]);
    } catch {
      throw new RangeError('a ban is a wallet address, host:port, IP address or CIDR range');
    }
    if (this.#added.size >= bansMax && !this.#added.has(target)) throw new RangeError('too many bans');
    const expires = seconds === null ? null : Math.floor(Date.now() / 1000) + seconds;
    this.#added.set(target, { reason, expires });
    this.#save();
    return this.#apply();
  }

  /** False when it was not there, or is one of the configuration's. */
  remove(target: string): boolean {
    if (!this.#added.delete(target)) return false;
    this.#save();
    this.#apply();
    return true;
  }

  /** Lifts all that the API added. */
  clear(): void {
    this.#added.clear();
    this.#save();
    this.#apply();
  }

  /** Called when the file has changed, so that other processes of the relay can read it again. */
  onSaved: () => void = () => undefined;

  /** Reads the file again, which another process has changed, and applies it. */
  async reread(): Promise<void> {
    const entries = await this.#load();
    this.#added.clear();
    for (const { target, reason, expires } of entries) this.#added.set(target, { reason, expires });
    this.#apply();
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#writes;
  }

  #apply(): number {
    return this.relay.control.setBans([...this.#configured, ...this.#added.keys()]);
  }

  #expire(): void {
    const now = Math.floor(Date.now() / 1000);
    const over = [...this.#added].filter(([, b]) => b.expires !== null && b.expires <= now);
    if (over.length === 0) return;
    for (const [target] of over) this.#added.delete(target);
    this.#save();
    this.#apply();
  }

  async #load(): Promise<{ target: string; reason: string; expires: number | null }[]> {
    if (this.dir === null) return [];
    let text: string;
    try {
      text = await readFile(join(this.dir, FILE), 'utf8');
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw e;
    }
    return JSON.parse(text) as { target: string; reason: string; expires: number | null }[];
  }

  #save(): void {
    const { dir } = this;
    if (dir === null) return;
    const text = JSON.stringify([...this.#added].map(([target, b]) => ({ target, ...b })));
    // One after the other: two renames at once could leave the older list.
    this.#writes = this.#writes
      .then(async () => {
        await writeFile(join(dir, `${FILE}.tmp`), text, { mode: 0o600 });
        await rename(join(dir, `${FILE}.tmp`), join(dir, FILE));
        this.onSaved();
      })
      .catch(() => undefined);
  }
}
