import type { Clock } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import type { Signer, VerifyEngine } from '../identity/index.js';
import type { HeaderStorage } from '../ledger/index.js';
import type { LinkLimits } from '../link/index.js';
import type { Network } from '../wire/index.js';

/** What a coordinator tells whoever watches it. Times are those of its clock. */
export type CoordinatorEvent =
  | { readonly kind: 'listening'; readonly host: string; readonly port: number }
  | { readonly kind: 'block'; readonly number: number; readonly checksum: Uint8Array }
  | {
      readonly kind: 'peer-open';
      readonly link: number;
      readonly type: string;
      readonly address: Uint8Array;
      readonly product: string;
      readonly endpoint: string;
    }
  | { readonly kind: 'peer-close'; readonly link: number; readonly why: string }
  | { readonly kind: 'relay-listed'; readonly address: Uint8Array }
  | { readonly kind: 'relay-gone'; readonly address: Uint8Array }
  | {
      readonly kind: 'sector-answer';
      readonly link: number;
      readonly prefix: Uint8Array;
      readonly relays: number;
    }
  | { readonly kind: 'malformed'; readonly link: number; readonly code: number; readonly detail: string }
  | { readonly kind: 'trouble'; readonly detail: string };

/** How a development coordinator is set up. */
export interface CoordinatorOptions {
  /**
   * Use the regression network for anything on one machine: the others discard presences with private
   * addresses (docs/protocol/09 §14.1 trap 1).
   */
  readonly network: Network;
  readonly signer: Signer;
  /** Shared with others or its own; made when absent. A given engine is not closed by {@link Coordinator.stop}. */
  readonly engine?: VerifyEngine;
  /** Address to bind. */
  readonly host?: string;
  /** 0 = any free port. */
  readonly port?: number;
  /** IP that others dial and that goes into helloData and the own presence; the bound host when absent. */
  readonly publicIp?: string;
  /** Folder for the chain; without it the chain lives in memory only. */
  readonly dataDir?: string;
  /** Instead of `dataDir`. */
  readonly storage?: HeaderStorage;
  readonly clock?: Clock;
  readonly counters?: Counters;
  /** Milliseconds between blocks; nodes follow blocks faster than one per 30 s by polling only (09 §12). */
  readonly blockIntervalMs?: number;
  /**
   * Height a new chain begins with at once, its blocks dated back 30 s apart, so that nobody waits for the
   * first ones. An existing chain is left as it is.
   */
  readonly genesisBlocks?: number;
  /** `L0`: messaging and discovery only, no headers are served. `L1` (default) adds headers and block news. */
  readonly level?: 'L0' | 'L1';
  readonly productVersion?: string;
  readonly linkLimits?: Partial<LinkLimits>;
  readonly onEvent?: (event: CoordinatorEvent) => void;
}

/** 09 §14 row 12. */
export const BLOCK_INTERVAL_MS = 30_000;
/** Seconds between the back-dated first blocks: those of a healthy chain (09 §14 header recipe). */
export const GENESIS_STEP_SECONDS = 30;
/** Own keep-alive to every peer (09 §14 row 11). */
export const KEEP_ALIVE_MS = 100_000;
/** Expiry of presences: as a reference master does (09 §3.2 rule 6), so killed relays go after 300–310 s. */
export const EXPIRY_MS = 10_000;
/** A coordinator has no device of its own; a master's id is this one byte (03 §3.1). */
export const DEVICE_ID: Uint8Array = Uint8Array.of(0);
/** A proof of work that parses and proves nothing: block 1, one-byte solution, empty key (09 §14). */
export const DUMMY_POW: Uint8Array = Uint8Array.of(1, 1, 0, 0);
/** Shown in hello and presence; at most 20 characters. */
export const PRODUCT_VERSION = 'starling-dev-0.1.0';
/** Connections at once: far more than a network on one machine has, far fewer than descriptors. */
export const connectionsMax = 2_000;
