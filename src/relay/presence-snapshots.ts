import type { Timer } from '../clock/index.js';
import { SnapshotError, type SnapshotSource, type SnapshotTarget } from '../presence/index.js';
import { SnapshotFile, SnapshotInterrupted } from '../presence/node/index.js';
import type { RelayContext } from './context.js';

/** The presences are written to disk this often: a restart loses at most what a keep-alive brings back. */
export const snapshotEveryMs = 60_000;
/**
 * Rest after each megabyte, in times of what it took. Written without, 700,000 presences took both cores for three
 * seconds of every minute, in which keep-alives waited for their signatures and were refused in the end.
 */
const restPerWork = 9;

/**
 * Presences across a restart: read before the relay serves, written every minute and when it stops. Neither a
 * damaged file nor a full disk keeps the relay from serving; both are told to the operator.
 */
export class PresenceSnapshots {
  readonly #file: SnapshotFile;
  #timer: Timer | null = null;
  #saving: Promise<void> | null = null;

  /** @param path where the snapshot lies; its key lies beside it */
  constructor(
    private readonly ctx: RelayContext,
    private readonly store: SnapshotSource & SnapshotTarget,
    path: string,
  ) {
    this.#file = new SnapshotFile(path);
  }

  get #moment(): { readonly lock: Uint8Array; readonly now: number } {
    return { lock: this.ctx.network.lock, now: this.ctx.networkSeconds() };
  }

  /** Fills the still empty store. Rejects only when the folder cannot be read at all. */
  async load(): Promise<void> {
    try {
      const read = await this.#file.load(this.store, this.#moment);
      if (read === null) return;
      const { addresses, skipped, savedAt } = read;
      this.ctx.log('info', 'presences_loaded', { addresses, skipped, savedAt });
    } catch (e) {
      if (!(e instanceof SnapshotError)) throw e;
      this.ctx.log('warn', 'presences_refused', { file: this.#file.path, problem: e.problem });
    }
  }

  /** Writes every minute from now on. */
  start(): void {
    this.#timer = this.ctx.clock.every(snapshotEveryMs, () => void this.save());
  }

  /** Writes now, at ease; a failure is logged. A call while one is at work waits for that one. */
  save(): Promise<void> {
    return this.#begin(restPerWork);
  }

  #begin(rest: number): Promise<void> {
    this.#saving ??= this.#save(rest).finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  async #save(rest: number): Promise<void> {
    try {
      await this.#file.save(this.store, this.#moment, rest);
    } catch (e) {
      // By the one that follows at the end.
      if (e instanceof SnapshotInterrupted) return;
      this.ctx.log('error', 'presences_not_saved', { file: this.#file.path, error: String(e) });
    }
  }

  /** Ends the timer and writes what is there at the end. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    if (this.#timer === null) return;
    this.#timer = null;
    // The one at work began before the last presences came.
    await this.#file.interrupt();
    await this.#saving;
    await this.#begin(0);
  }
}
