import { readdirSync, readFileSync } from 'node:fs';
import { spareDescriptors } from './limits.js';

/** What is assumed where the system does not say: the limit most systems begin with. */
const unknownLimit = 1_024;

/** Descriptors this process may have open. */
export function descriptorLimit(): number {
  try {
    const m = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    if (m !== null) return m[1] === 'unlimited' ? 1_000_000 : Number(m[1]);
  } catch {
    // Not Linux: the report below says.
  }
  const report = process.report?.getReport() as
    | { userLimits?: { open_files?: { soft?: number | string } } }
    | undefined;
  const soft = Number(report?.userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : unknownLimit;
}

/** Descriptors this process has open; 64 where the system does not say. */
export function descriptorsOpen(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 64;
  }
}

/**
 * Connections this process may hold: its limit without what it has open already and without {@link spareDescriptors}.
 * With a limit so small that nothing would be left, half of it.
 */
export function connectionCapacity(limit = descriptorLimit(), open = descriptorsOpen()): number {
  const left = limit - open - spareDescriptors;
  return left > 0 ? left : Math.max(1, Math.floor((limit - open) / 2));
}
