import {
  bytesKey,
  encodeInventory2,
  encodeInventoryItem,
  type InventoryItem,
  InventoryType,
  inventoryBatches,
  itemKey,
  keepAliveItemHash,
  type ProtocolLine,
} from '../wire/index.js';

/** What an announced keep-alive is known by; the decoded message of src/presence fits. */
export interface AnnouncedKeepAlive {
  readonly wallet: Uint8Array;
  readonly device: Uint8Array;
  /** Unix seconds. */
  readonly timestamp: number;
}

interface Waiting {
  readonly keepAlive: AnnouncedKeepAlive;
  readonly message: Uint8Array;
}

/** Blocks first: an old peer loses everything behind a type 5 item, and a lost block costs it 30 s (04 §3.3). */
const ORDER: readonly number[] = [
  InventoryType.block,
  InventoryType.keepAlive,
  InventoryType.transaction,
  InventoryType.blockSignature2,
  InventoryType.keepAlive2,
];

/**
 * Items that wait for the next inventory2 of one peer (docs/protocol/04 §3.2): each key once, of keep-alives
 * only the newest per wallet and device, and in the form the peer reads.
 */
export class InventoryBatch {
  readonly #items = new Map<string, InventoryItem>();
  readonly #keepAlives = new Map<string, Waiting>();

  constructor(
    /** Items that may wait; more are refused. */
    readonly itemsMax: number,
  ) {}

  get size(): number {
    return this.#items.size + this.#keepAlives.size;
  }

  /** Adds an item. False when full. One already waiting counts as added. */
  add(item: InventoryItem): boolean {
    const key = `${item.type}|${bytesKey(itemKey(item))}`;
    if (!this.#items.has(key) && this.size >= this.itemsMax) return false;
    this.#items.set(key, item);
    return true;
  }

  /** Adds a keep-alive; an older one of the same wallet and device gives way. */
  addKeepAlive(keepAlive: AnnouncedKeepAlive, message: Uint8Array): boolean {
    const key = `${bytesKey(keepAlive.wallet)}|${bytesKey(keepAlive.device)}`;
    const before = this.#keepAlives.get(key);
    if (before === undefined && this.size >= this.itemsMax) return false;
    if (before === undefined || before.keepAlive.timestamp < keepAlive.timestamp)
      this.#keepAlives.set(key, { keepAlive, message });
    return true;
  }

  /**
   * Empties the batch into inventory2 payloads, one type per message. Keep-alives become type 5 for M and H
   * and the 0.9.8 line, type 3 for the rest (04 §3.3).
   */
  take(line: ProtocolLine, nodeType: string): Uint8Array[] {
    const old = line === '0.9.7' && nodeType !== 'M' && nodeType !== 'H';
    const items = [...this.#items.values()];
    for (const { keepAlive, message } of this.#keepAlives.values()) {
      const common = {
        lastSeen: keepAlive.timestamp,
        address: keepAlive.wallet,
        device: keepAlive.device,
      };
      items.push(
        old
          ? { type: InventoryType.keepAlive, hash: keepAliveItemHash(message), ...common }
          : { type: InventoryType.keepAlive2, ...common },
      );
    }
    this.#items.clear();
    this.#keepAlives.clear();
    const out: Uint8Array[] = [];
    for (const type of ORDER) {
      const encoded = items.filter((i) => i.type === type).map((i) => encodeInventoryItem(i, line));
      for (const batch of inventoryBatches(encoded, line)) out.push(encodeInventory2(batch, line));
    }
    return out;
  }
}
