/** Seconds between two blocks of a healthy chain. */
export const BLOCK_INTERVAL_SECONDS = 30;

/** What the rule looks at besides the peers' heights. */
export interface OwnChain {
  /** Own last block, 0 without one. */
  readonly height: number;
  /** Timestamp of that block in Unix seconds, 0 without one. */
  readonly timestamp: number;
  /** Network time in Unix seconds. */
  readonly now: number;
}

/** How many announced heights the strict rule wants before it believes any of them (docs/protocol/09 §12). */
export const HEIGHT_VOTERS_MIN = 3;

/**
 * Height of the network by the peers' word (09 §12): of the sorted non-zero heights the middle third's
 * largest, capped by the blocks that can have been made since the own last one, never below the own height.
 *
 * Strict use: pass heights of outbound M and H connections only, and leave `votersMin` at 3; with fewer voices
 * the own height stands. The reference takes every connection and `votersMin` 1.
 */
export function networkHeight(
  heights: readonly number[],
  own: OwnChain,
  votersMin: number = HEIGHT_VOTERS_MIN,
): number {
  const known = heights.filter((h) => h > 0).sort((a, b) => a - b);
  if (known.length === 0 || known.length < votersMin) return own.height;
  const third = Math.floor(known.length / 3);
  const kept = third >= 1 ? known.slice(third, 2 * third) : known;
  let candidate = kept[kept.length - 1]!;
  const elapsed = own.now - own.timestamp;
  // A last block from the future makes the reference's unsigned difference huge: no cap then either.
  if (own.timestamp > 0 && elapsed >= 0)
    candidate = Math.min(candidate, own.height + Math.floor(elapsed / BLOCK_INTERVAL_SECONDS));
  return Math.max(own.height, candidate);
}
