/**
 * The network's time from what peers say (docs/protocol/03 §2.4, §5.3). Differences are whole seconds,
 * positive when the local clock is ahead: network time = local time − difference.
 */

export { timeDifferenceSeconds, timeSamplesMs } from '../wire/index.js';

/** Differences this small are jitter, not disagreement (03 §5.3). */
export const timeDifferenceSquashSeconds = 2;

/**
 * Largest correction ever applied. The reference clamps for M and H only; three dishonest peers move an R's
 * clock at will there, which invalidates every presence it holds (03 §5.3 Weakness), so it holds for all here.
 */
export const timeDifferenceClampSeconds = 30;

/** What an outbound connection contributes: small differences count as none. */
export function squashDifference(seconds: number): number {
  return Math.abs(seconds) <= timeDifferenceSquashSeconds ? 0 : seconds;
}

/** Result of {@link aggregateDifference}. */
export interface NetworkTimeDifference {
  /** To be used: within ±{@link timeDifferenceClampSeconds}. */
  readonly seconds: number;
  /** Before the clamp, to be shown to the operator. */
  readonly unclampedSeconds: number;
}

/**
 * The node-wide difference from those of the handshaken outbound connections (03 §5.3): of the sorted values
 * the middle third, averaged and cut towards zero. Null: nothing changes, with fewer than three values always.
 *
 * @param outbound outbound connections in any state; M and H need three of them, others one.
 */
export function aggregateDifference(
  differencesSeconds: readonly number[],
  nodeType: string,
  outbound = differencesSeconds.length,
): NetworkTimeDifference | null {
  const needed = nodeType === 'M' || nodeType === 'H' ? 3 : 1;
  if (outbound < needed) return null;
  const k = Math.floor(differencesSeconds.length / 3);
  if (k === 0) return null;
  const middle = [...differencesSeconds].sort((a, b) => a - b).slice(k, 2 * k);
  const mean = Math.trunc(middle.reduce((sum, d) => sum + d, 0) / k);
  const unclampedSeconds = mean === 0 ? 0 : mean; // never −0
  const seconds = Math.max(
    -timeDifferenceClampSeconds,
    Math.min(timeDifferenceClampSeconds, unclampedSeconds),
  );
  return { seconds, unclampedSeconds };
}
