import type { StarlingClient } from '../../client/index.js';

/** A gap this long between two ticks means that the machine slept, or the tab was frozen. */
const sleptMs = 15_000;
const tickMs = 2_000;

/**
 * After a sleep the old connections are dead and nobody says so, and relays that were tried in vain just before it are
 * left alone for up to a minute. So each time the machine wakes, the network comes back, or the tab is looked at again
 * after a while, the client starts its connections anew. Nothing is lost meanwhile: what was sent is kept and repeated.
 */
export function keepAwake(client: Pick<StarlingClient, 'reconnect'>): void {
  let last = Date.now();
  const look = (): void => {
    const now = Date.now();
    const slept = now - last > sleptMs;
    last = now;
    if (slept) client.reconnect({ fresh: true });
  };
  setInterval(look, tickMs);
  // Timers of a hidden tab come once a minute: its connections may have been ended for silence.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    look();
    client.reconnect();
  });
  window.addEventListener('online', () => client.reconnect({ fresh: true }));
}
