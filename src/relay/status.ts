/** What a relay reports of itself. */
export interface RelayStatus {
  readonly address: Uint8Array;
  readonly endpoint: string;
  readonly connections: number;
  readonly sessions: number;
  readonly ledgerPeers: number;
  readonly sectorPeers: number;
  readonly presences: number;
  readonly relaysKnown: number;
  readonly height: number;
  /** Height of the network by the ledger nodes' word, the own one with fewer than three of them (09 §12). */
  readonly networkHeight: number;
  /** Unix seconds of the last header, 0 without one; its block version, 0 without one. */
  readonly headerSeconds: number;
  readonly blockVersion: number;
  /** Network second of the own keep-alive that was sent last, 0 before the first. */
  readonly announcedSeconds: number;
  /** Seconds by which the machine's clock is ahead of the network's, as applied (03 §5.3). */
  readonly timeDifferenceSeconds: number;
  /** The same before it is clamped, for the operator. */
  readonly unclampedTimeDifferenceSeconds: number;
}
