import type { Check } from '../node.js';
import type { LiveColumns } from './history.js';
import type { LiveDrop, LiveSeries } from './series.js';

/** First message to a viewer: what does not change, and the minutes before. */
export interface LiveHello {
  readonly kind: 'hello';
  readonly version: string;
  readonly network: 'main' | 'test' | 'reg';
  readonly address: string;
  readonly startedMs: number;
  /** Names of the numbers in history and ticks. */
  readonly series: readonly LiveSeries[];
  readonly history: LiveColumns;
  readonly limits: Readonly<Record<string, number>>;
}

/** Every second. */
export interface LiveTick {
  readonly kind: 'tick';
  readonly atMs: number;
  readonly values: readonly number[];
  readonly endpoint: string;
  readonly phase: 'starting' | 'running' | 'stopping';
  readonly draining: boolean;
  /** A newer version that is out. */
  readonly update?: string;
  readonly checks: Readonly<Record<string, Check>>;
  readonly drops: readonly LiveDrop[];
}

/** A relay on the ring of sectors. */
export interface LiveRelay {
  readonly address: string;
  readonly endpoint: string;
  /** Place on the ring, 0 … 1: the sector prefix as a fraction. */
  readonly position: number;
  readonly own: boolean;
  readonly connected: boolean;
}

/** One connection. */
export interface LivePeer {
  readonly id: number;
  readonly role: string;
  readonly type: string;
  readonly address: string;
  readonly remote: string;
  readonly version: string;
  readonly transport: string;
  readonly sinceMs: number;
  readonly bytes: number;
  readonly messages: number;
  readonly queuedBytes: number;
  readonly height: number;
}

/** Every few seconds: lists that are too long for every second. */
export interface LiveDetail {
  readonly kind: 'detail';
  readonly ring: readonly LiveRelay[];
  /** Relays in the tree; `ring` shows at most some hundred of them, evenly. */
  readonly ringTotal: number;
  /** Ledger nodes and relays. */
  readonly peers: readonly LivePeer[];
  /** Clients that moved most bytes since the last detail. */
  readonly busiest: readonly LivePeer[];
  readonly bans: readonly {
    readonly target: string;
    readonly reason: string;
    readonly expires: number | null;
  }[];
  /** The log's last lines, JSON. */
  readonly log: readonly string[];
}

export type LiveMessage = LiveHello | LiveTick | LiveDetail;
