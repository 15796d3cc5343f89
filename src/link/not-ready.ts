/** The words the reference uses in its bye 700, so that this whole payload is the same (docs/protocol/03 §3.3). */
export const notReadyText = "The node isn't ready yet, please try again later.";

/** Longest wait that a bye 700 can ask for; a peer may not send us away for good. */
const retryAfterMsMax = 60_000;

/**
 * Data of a bye 700: after how many milliseconds the peer should try again, in decimal, or nothing. The reference
 * looks at no data of this code (03 §5.2), so only those that know read it.
 */
export function retryData(retryAfterMs: number | null): string {
  return retryAfterMs === null ? '' : String(Math.min(retryAfterMsMax, Math.max(0, Math.ceil(retryAfterMs))));
}

/** Milliseconds of {@link retryData}; null when there is nothing we understand. */
export function retryAfterOf(data: string): number | null {
  return /^\d{1,6}$/.test(data) ? Math.min(retryAfterMsMax, Number(data)) : null;
}
