/**
 * What a relay tells of itself every second, in the order of the numbers in a live message. Names that end in
 * `Total` only grow: who shows them takes differences.
 */
export const LIVE_SERIES = [
  'clients',
  'relays',
  'ledgerNodes',
  'greeting',
  'sessions',
  'presences',
  'receivedTotal',
  'forwardedTotal',
  'offlineTotal',
  'refusedTotal',
  'droppedTotal',
  'bytesInTotal',
  'bytesOutTotal',
  'queueFrames',
  'queueBytes',
  'verifiedTotal',
  'verifyPending',
  'signedTotal',
  'openedTotal',
  'loopDelaySeconds',
  'residentBytes',
  'heapBytes',
  'cpuSecondsTotal',
  'height',
  'networkHeight',
  'headerAgeSeconds',
  'relaysKnown',
] as const;

export type LiveSeries = (typeof LIVE_SERIES)[number];
export type LiveValues = Record<LiveSeries, number>;

/** One counter of something not taken, with its reason. */
export interface LiveDrop {
  readonly counter: string;
  readonly reason: string;
  readonly total: number;
}
