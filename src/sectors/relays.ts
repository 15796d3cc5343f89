import { sha3_512 } from '../identity/index.js';
import { concatBytes, EMPTY_BYTES } from '../wire/index.js';
import { SECTOR_LEVELS } from './select.js';
import { PrefixTree } from './tree.js';

/** The randomizer of the whole network: none (06 §2). Any other value disagrees with every peer. */
export const EMPTY_RANDOMIZER: Uint8Array = EMPTY_BYTES;

/**
 * Position of a relay on the line: SHA3-512 over randomizer and wallet without checksum, 64 bytes (06 §2).
 *
 * @param wallet raw address, 33 or 45 bytes
 */
export function relayKey(wallet: Uint8Array, randomizer: Uint8Array = EMPTY_RANDOMIZER): Uint8Array {
  return sha3_512(randomizer.length === 0 ? wallet : concatBytes(randomizer, wallet));
}

/**
 * The relays this node knows, by position. Membership is derived from the presence store, one entry per
 * wallet with at least one verified relay address (06 §3 Strict); see {@link followPresences}.
 */
export class RelayTree {
  readonly #tree: PrefixTree<Uint8Array>;
  readonly #randomizer: Uint8Array;

  constructor(
    options: {
      /** Index levels; 4 everywhere. */
      readonly levels?: number;
      /** Network-wide randomizer; empty everywhere today, a parameter so that a later rule can set it. */
      readonly randomizer?: Uint8Array;
    } = {},
  ) {
    this.#tree = new PrefixTree(options.levels ?? SECTOR_LEVELS);
    this.#randomizer = options.randomizer ?? EMPTY_RANDOMIZER;
  }

  /** Number of relays. */
  get size(): number {
    return this.#tree.size;
  }

  /** Wallets of all relays in key order. */
  get wallets(): readonly Uint8Array[] {
    return this.#tree.values;
  }

  /** Adds a relay; false when it was there already. */
  add(wallet: Uint8Array): boolean {
    return this.#tree.add(relayKey(wallet, this.#randomizer), wallet.slice());
  }

  /** Removes a relay; false when it was not there. */
  remove(wallet: Uint8Array): boolean {
    return this.#tree.remove(relayKey(wallet, this.#randomizer)).existed;
  }

  has(wallet: Uint8Array): boolean {
    return this.#tree.has(relayKey(wallet, this.#randomizer));
  }

  /**
   * The relays responsible for a position: at most `max` wallets in ascending key order (06 §4).
   *
   * @param prefix sector prefix, normally 10 bytes
   * @throws SelectionError when `max` is below 2
   */
  select(prefix: Uint8Array | null, max: number): Uint8Array[] {
    return this.#tree.select(prefix, max);
  }

  /** {@link select} as a range of {@link wallets}. */
  window(prefix: Uint8Array | null, max: number): { readonly from: number; readonly to: number } {
    return this.#tree.range(prefix, max);
  }
}

/** The part of a presence store that a relay tree follows. */
export interface RelayMembership {
  /** Wallets that have a relay address right now. */
  relayWallets(): Iterable<Uint8Array>;
  /** Tells of later changes; the returned call ends it. */
  subscribe(listener: {
    relayAdded?(wallet: Uint8Array): void;
    relayRemoved?(wallet: Uint8Array): void;
  }): () => void;
}

/**
 * Keeps `tree` equal to the store's relays from now on (06 §3 Strict: derive membership, never set it from
 * a message). Returns a call that stops following.
 */
export function followPresences(tree: RelayTree, store: RelayMembership): () => void {
  for (const wallet of store.relayWallets()) tree.add(wallet);
  return store.subscribe({
    relayAdded: (wallet) => void tree.add(wallet),
    relayRemoved: (wallet) => void tree.remove(wallet),
  });
}
