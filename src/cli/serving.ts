import type { EventEmitter } from 'node:events';

/** Event of the process: this relay serves. What started the process may wait for it (boot.ts). */
export const SERVING = 'starling:serving';

/** Tells that this relay serves. */
export function tellServing(): void {
  (process as EventEmitter).emit(SERVING);
}
