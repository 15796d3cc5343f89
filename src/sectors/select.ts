import { compareBytes } from '../wire/index.js';

/** Levels of the prefix index used by every node of the network (docs/protocol/06 §2). */
export const SECTOR_LEVELS = 4;

/** A selection asked for fewer than two keys, or a tree with an impossible shape (06 §4). */
export class SelectionError extends Error {
  override readonly name = 'SelectionError';
}

/** First index in `[lo, hi)` whose key has a byte of at least `b` at position `at`; `hi` if none. */
function lowerBoundByte(keys: readonly Uint8Array[], lo: number, hi: number, at: number, b: number): number {
  let l = lo;
  let h = hi;
  while (l < h) {
    const mid = (l + h) >>> 1;
    if (keys[mid]![at]! < b) l = mid + 1;
    else h = mid;
  }
  return l;
}

/** First index in `[lo, hi)` whose key is greater than `q`; `hi` if none. */
function upperBound(keys: readonly Uint8Array[], lo: number, hi: number, q: Uint8Array): number {
  let l = lo;
  let h = hi;
  while (l < h) {
    const mid = (l + h) >>> 1;
    if (compareBytes(keys[mid]!, q) > 0) h = mid;
    else l = mid + 1;
  }
  return l;
}

/**
 * The start bucket of 06 §4.2 as a range of the sorted keys. Rule 1 (an exact byte wins even after the
 * path has left the query) is what makes the result depend on the number of levels.
 */
export function startBucket(
  keys: readonly Uint8Array[],
  query: Uint8Array,
  levels: number,
): { readonly lo: number; readonly hi: number } {
  let lo = 0;
  let hi = keys.length;
  let dir: 'none' | 'left' | 'right' = 'none';
  for (let level = 0; level < levels; level++) {
    let chosen: number;
    if (level >= query.length) chosen = keys[lo]![level]!;
    else {
      const b = query[level]!;
      const at = lowerBoundByte(keys, lo, hi, level, b);
      const above = at < hi ? keys[at]![level]! : -1;
      if (above === b) chosen = b;
      else if (dir === 'left') chosen = keys[hi - 1]![level]!;
      else if (dir === 'right') chosen = keys[lo]![level]!;
      else {
        const below = at > lo ? keys[at - 1]![level]! : -1;
        // Rule 4: nearest by absolute difference, a tie goes to the smaller byte.
        const left = below >= 0 && (above < 0 || b - below <= above - b);
        chosen = left ? below : above;
        dir = left ? 'left' : 'right';
      }
    }
    const from = lowerBoundByte(keys, lo, hi, level, chosen);
    hi = lowerBoundByte(keys, from, hi, level, chosen + 1);
    lo = from;
  }
  return { lo, hi };
}

/**
 * Index range of the selected keys by the closed form of 06 §4.3: always one contiguous run of
 * `min(max, keys.length)` keys, never wrapping around. Cost O(levels · log N).
 *
 * @param keys ascending, without duplicates, each at least `levels` bytes long
 * @param query any length, even 0; normally the 10-byte sector prefix. `null` is an error unless there
 *   are no keys
 * @param max most keys wanted
 * @throws SelectionError when `max` is below 2 (tested first), `levels` below 1, or the query missing
 */
export function selectRange(
  keys: readonly Uint8Array[],
  query: Uint8Array | null,
  max: number,
  levels: number = SECTOR_LEVELS,
): { readonly from: number; readonly to: number } {
  if (!(max >= 2)) throw new SelectionError(`a selection needs at least 2 keys, not ${max}`);
  if (!(levels >= 1)) throw new SelectionError(`a tree needs at least 1 level, not ${levels}`);
  const total = keys.length;
  if (total === 0) return { from: 0, to: 0 };
  if (query === null) throw new SelectionError('no query');
  const { lo, hi } = startBucket(keys, query, levels);
  const half = Math.floor(max / 2);
  const g = upperBound(keys, lo, hi, query);
  // 06 §4.3: no stop test runs at the first greater key, hence max(2, half).
  const inBucket = Math.max(g + Math.max(2, half), max);
  let to: number;
  if (g < hi && inBucket <= hi) to = inBucket;
  else {
    const after = hi - g;
    to = after >= half && hi >= max ? hi : Math.min(total, Math.max(hi + Math.max(0, half - after), max));
  }
  return { from: Math.max(0, to - max), to };
}

/** The selected keys themselves, ascending. Pure; see {@link selectRange}. */
export function selectKeys(
  sortedKeys: readonly Uint8Array[],
  query: Uint8Array | null,
  max: number,
  levels: number = SECTOR_LEVELS,
): Uint8Array[] {
  const { from, to } = selectRange(sortedKeys, query, max, levels);
  return sortedKeys.slice(from, to);
}
