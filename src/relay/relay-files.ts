import { join } from 'node:path';
import { type HeaderChain, type HeaderStorage, MemoryHeaderStorage } from '../ledger/index.js';
import { FileHeaderStorage } from '../ledger/node/index.js';
import type { SlabPresenceStore } from '../presence/index.js';
import { keyPatienceSeconds } from './cluster-tickets.js';
import type { RelayContext } from './context.js';
import type { RelayOptions } from './options.js';
import { PeerFile } from './peer-file.js';
import { PeerStorage } from './peer-storage.js';
import { PresenceSnapshots } from './presence-snapshots.js';
import { TicketKeys } from './ticket-keys.js';

/** What a relay keeps in its data folder; without one everything stays in memory. */
export class RelayFiles {
  readonly peers: PeerStorage;
  readonly peerFile: PeerFile;
  readonly snapshots: PresenceSnapshots | null;
  #headerFile: FileHeaderStorage | null = null;

  constructor(
    private readonly ctx: RelayContext,
    private readonly options: RelayOptions,
    store: SlabPresenceStore,
  ) {
    const dir = options.dataDir ?? null;
    this.peers = new PeerStorage(ctx.network.name === 'reg');
    this.peerFile = new PeerFile(ctx, this.peers, dir);
    const path = this.#path('presences.bin');
    this.snapshots = path === null ? null : new PresenceSnapshots(ctx, store, path);
  }

  /** Seeds, and the ledger nodes of the last run. */
  async loadPeers(): Promise<void> {
    const now = this.ctx.networkSeconds();
    for (const s of this.options.seeds ?? []) this.peers.add(s.host, s.wallet, now, 1);
    await this.peerFile.load();
  }

  /** Where headers are kept; the file is open until {@link RelayFiles.saveLed}. */
  headerStorage(): HeaderStorage {
    if (this.options.headerStorage !== undefined) return this.options.headerStorage;
    const path = this.#path(join('headers', 'headers.bin'));
    if (path === null) return new MemoryHeaderStorage();
    this.#headerFile = new FileHeaderStorage(path);
    return this.#headerFile;
  }

  /** Kept in the data folder, so that a storm after a restart needs no signatures either. */
  ticketKeys(): Promise<TicketKeys> {
    const { clock, log } = this.ctx;
    const { dataDir = null } = this.options;
    return TicketKeys.read({
      // One name for all networks: the keys say nothing about any.
      path: dataDir === null ? null : join(dataDir, 'tickets.key'),
      nowSeconds: () => Math.floor(clock.nowMs() / 1000),
      onError: (error) => log('error', 'ticket_keys', { error: String(error) }),
      patienceSeconds: () => (this.ctx.cluster?.leads === false ? keyPatienceSeconds : 0),
    });
  }

  /** What the leading process keeps on disk. */
  async saveLed(chain: HeaderChain | null): Promise<void> {
    await this.peerFile.save();
    await this.snapshots?.stop();
    await chain?.settled().catch((e: unknown) => {
      this.ctx.log('error', 'headers_not_saved', { error: String(e) });
    });
    await this.#headerFile?.close();
    this.#headerFile = null;
  }

  /** Test networks have their own files beside the main network's. */
  #path(name: string): string | null {
    const { dataDir = null } = this.options;
    if (dataDir === null) return null;
    return join(dataDir, this.ctx.network.name === 'main' ? name : `testnet-${name}`);
  }
}
