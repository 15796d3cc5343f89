import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RelayContext } from './context.js';
import type { PeerStorage } from './peer-storage.js';

/** The list of ledger nodes on disk, in the data folder under the reference's name (docs/protocol/03 §5.6). */
export class PeerFile {
  readonly #path: string | null;
  #saved = '';

  /** @param dataDir null keeps the list in memory alone */
  constructor(
    private readonly ctx: RelayContext,
    private readonly storage: PeerStorage,
    dataDir: string | null,
  ) {
    const name = ctx.network.name === 'main' ? 'peers.ixi' : 'testnet-peers.ixi';
    this.#path = dataDir === null ? null : join(dataDir, name);
  }

  /** Adds what the file lists. Rejects when it is there and cannot be read. */
  async load(): Promise<void> {
    const file = this.#path;
    if (file === null) return;
    try {
      const refused = this.storage.load(await readFile(file, 'utf8'));
      if (refused > 0) this.ctx.log('warn', 'peer_file_lines_refused', { file, lines: refused });
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
    }
  }

  /** Writes the list when it changed; a failure is logged and the old file stays. */
  async save(): Promise<void> {
    const file = this.#path;
    const text = this.storage.serialize();
    if (file === null || text === null || text === this.#saved) return;
    try {
      await writeFile(`${file}.tmp`, text, { mode: 0o600 });
      await rename(`${file}.tmp`, file);
      this.#saved = text;
    } catch (e) {
      this.ctx.log('error', 'peer_file_not_saved', { file, error: String(e) });
    }
  }
}
