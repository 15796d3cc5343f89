import type { Clock, Timer } from '../clock/index.js';
import { InventoryBatch } from './inventory-batch.js';
import type { LinkLimits } from './limits.js';
import type { PeerInfo } from './types.js';

/** What one link announces: the batch that gathers, and when it goes (docs/protocol/04 §3.2). */
export class Announcements {
  /** Null while nothing waits. */
  #batch: InventoryBatch | null = null;
  #timer: Timer | null = null;
  #takenMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly clock: Clock,
    private readonly limits: Pick<
      LinkLimits,
      'inventoryItemsMax' | 'inventoryDelayMs' | 'inventoryIntervalMs'
    >,
    /** Called when a batch is due. */
    private readonly due: () => void,
  ) {}

  /** Adds to the next batch. False when `add` was refused. */
  offer(add: (batch: InventoryBatch) => boolean): boolean {
    this.#batch ??= new InventoryBatch(this.limits.inventoryItemsMax);
    if (!add(this.#batch)) return false;
    if (this.#timer === null) {
      const { inventoryDelayMs, inventoryIntervalMs } = this.limits;
      const sinceLast = this.clock.nowMs() - this.#takenMs;
      this.#timer = this.clock.after(Math.max(inventoryDelayMs, inventoryIntervalMs - sinceLast), () => {
        this.#timer = null;
        this.due();
      });
    }
    return true;
  }

  /** Something waits whose time has come. */
  get isDue(): boolean {
    return this.#batch !== null && this.#timer === null;
  }

  /** The payloads of what waits, in the form that peer reads. */
  take(peer: Pick<PeerInfo, 'line' | 'nodeType'>): Uint8Array[] {
    const batch = this.#batch;
    if (batch === null) return [];
    this.#batch = null;
    this.#takenMs = this.clock.nowMs();
    return batch.take(peer.line, peer.nodeType);
  }

  /** The link has ended. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#batch = null;
  }
}
