import { type LinkClose, retryAfterOf } from '../link/index.js';
import { Bye } from '../wire/index.js';

/** First wait after a failed dial; doubles. */
export const retryMsMin = 500;
export const retryMsMax = 60_000;
/** A relay that says it is full, or refuses us, is left alone for this long. */
export const refusedMs = 30_000;

/**
 * How long to leave a relay alone after its `failures`-th failure (0 for the first), in milliseconds. Always
 * jittered, because a dead relay sends all its clients elsewhere, and back, at once. A relay that is too busy for
 * our hello (bye 700) says when it will have time: then nearly so long, because it calls its clients back one
 * after the other, and a doubled wait would leave it idle. `random`: 0…1.
 */
export function retryWaitMs(
  failures: number,
  close: Pick<LinkClose, 'why' | 'byeCode' | 'data'> | null,
  random: () => number = Math.random,
): number {
  const bye = close?.why === 'bye-received' || close?.why === 'bye-sent' ? close.byeCode : null;
  if (bye === Bye.notReady && close !== null) {
    const asked = retryAfterOf(close.data);
    if (asked !== null) return Math.max(retryMsMin, asked) * (1 + 0.1 * random());
  }
  const refused = bye !== null && bye !== Bye.bye && bye !== Bye.notReady;
  const wait = refused ? refusedMs : Math.min(retryMsMin * 2 ** Math.min(failures, 20), retryMsMax);
  return wait * (0.5 + random());
}
