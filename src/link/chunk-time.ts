import type { Clock } from '../clock/index.js';

/**
 * While a received chunk is handled: when it came, and by whose clock. A chunk brings hundreds of messages, and reading
 * the clock for each, once against its sender's allowance and once for the link it leaves by, is a twentieth of what
 * forwarding it costs.
 */
let chunkClock: Clock | null = null;
let chunkMs = 0;

/** A chunk is handled from now on. Never more than one call deep: within another it ends that one's too, which is only slower. */
export function chunkBegins(clock: Clock, nowMs: number): void {
  chunkClock = clock;
  chunkMs = nowMs;
}

/** The chunk has been handled, or could not be. */
export function chunkEnds(): void {
  chunkClock = null;
}

/** The clock's time: within a chunk, that of its arrival. For what a few milliseconds make no difference to. */
export function chunkTime(clock: Clock): number {
  return clock === chunkClock ? chunkMs : clock.nowMs();
}
