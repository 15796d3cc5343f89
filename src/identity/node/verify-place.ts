import { measureItems, type VerifyEngine } from '../index.js';

/** Items of one turn: enough for a full batch of a thread. */
const turnItems = 32;
/** Turns of each: about 5 × 2 × 3 ms. */
const rounds = 5;
/**
 * Threads may cost so much more than verifying in place and are still taken: they spare the calling thread the
 * preparation of keys, a third of the work with OpenSSL.
 */
const threadsMayCost = 1.1;

/** CPU time of the process so far, in microseconds, every thread counted. */
export type CpuClock = () => number;

const processCpu: CpuClock = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** What a verification costs on threads and in place, in microseconds of CPU time; null where the clock stood still. */
export interface PlaceCosts {
  readonly threads: number | null;
  readonly inPlace: number | null;
}

/**
 * Measures both beside each other, in rounds, with keys never seen before. CPU time, not elapsed: what spreads over more
 * cores is not cheaper. The least of the rounds counts, because everything the process does meanwhile is in the others.
 */
export async function measurePlaces(
  threads: VerifyEngine,
  inPlace: VerifyEngine,
  cpu: CpuClock = processCpu,
): Promise<PlaceCosts> {
  const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const places = [threads, inPlace];
  for (let round = 0; round < rounds; round++) {
    const items = measureItems(turnItems);
    for (let i = 0; i < places.length; i++) {
      const k = (i + round) % places.length;
      const start = cpu();
      await places[k]!.verify(items);
      least[k] = Math.min(least[k]!, (cpu() - start) / items.length);
    }
  }
  const known = least.every((v) => v > 0 && Number.isFinite(v));
  return known ? { threads: least[0]!, inPlace: least[1]! } : { threads: null, inPlace: null };
}

/** True where threads are the better place; without figures they are. */
export function threadsWin({ threads, inPlace }: PlaceCosts): boolean {
  return threads === null || inPlace === null || threads <= threadsMayCost * inPlace;
}
