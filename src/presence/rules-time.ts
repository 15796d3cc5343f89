import { futureToleranceSeconds, presenceLifetimeSeconds } from './constants.js';

/** Why a claim's timestamp is refused. */
export type TimeProblem = 'stale' | 'future';

/**
 * The window of docs/protocol/05 §7.4 and §8.3 rule 5: age at most 300 s, at most 30 s ahead, both ends
 * inclusive. Null when the claim lies inside.
 *
 * @param timestamp network seconds of the claim
 * @param now network seconds here
 */
export function timeProblem(timestamp: number, now: number): TimeProblem | null {
  if (now - timestamp > presenceLifetimeSeconds) return 'stale';
  if (now - timestamp < -futureToleranceSeconds) return 'future';
  return null;
}

/** Newest timestamp that the clean-up takes away: age 300 s exactly goes, although still accepted (05 §8.4). */
export function expiryThreshold(now: number): number {
  return now - presenceLifetimeSeconds;
}

/** True when a stored claim lies so far ahead that it goes with an expired one of its type (05 §8.4). */
export function isOverdrawn(timestamp: number, now: number): boolean {
  return timestamp >= now + futureToleranceSeconds;
}
