import { encodePublicKey } from '../rsa-key.js';
import { randomBytes } from '../runtime.js';
import { EngineUnavailable } from './create.js';
import type { VerifyEngine, VerifyEngineName, VerifyItem } from './engine.js';

/** All engines together are measured no longer than this, so that nobody notices it. */
export const measureBudgetMs = 300;
/** Items of one turn of an engine: what the kernels' batches and the pool's are made of. */
const turnItems = 32;
/** The first turn compiles and warms up; it is short, because a slow engine may need milliseconds for one item. */
const warmUpItems = 2;
/** And repeated, so that what is lost to compiling alone makes nobody look hopeless. */
const warmUpTurns = 2;
/** An engine so many times slower than the fastest in its warm-up cannot win, and is not asked again. */
const hopelessRatio = 16;
/** Turns of an engine at most: the least of so many is not disturbed any more. */
const roundsMax = 12;

/** What time is taken from while engines are compared. */
export interface MeasureClock {
  /** Milliseconds from any beginning. May stand still during work, as in edge runtimes: then nothing is concluded from it. */
  nowMs(): number;
}

export const systemMeasureClock: MeasureClock = { nowMs: () => performance.now() };

/** What one engine took. */
export interface EngineCost {
  readonly engine: VerifyEngineName;
  /** Per verification with a key not seen before, of the least disturbed turn; null when not measured. */
  readonly microseconds: number | null;
  /** Why there is no number, else null. */
  readonly absent: 'missing' | 'self-test' | 'time' | null;
}

/** `clock`: it stood still or went back during work. `time`: the budget was used up before every engine had a turn. */
export type MeasureProblem = 'clock' | 'time';

export interface EngineCosts {
  /** In the order of the names asked for. */
  readonly costs: readonly EngineCost[];
  /** Why the numbers cannot be compared, else null. */
  readonly problem: MeasureProblem | null;
}

export interface MeasureOptions {
  readonly names: readonly VerifyEngineName[];
  readonly make: (name: VerifyEngineName) => Promise<VerifyEngine>;
  readonly clock?: MeasureClock;
  /** Milliseconds for all engines together; default {@link measureBudgetMs}. */
  readonly budgetMs?: number;
}

/**
 * Questions about keys never seen before, as a relay meets them: an engine cannot have prepared any. The modulus is a
 * random odd number and the signature a random smaller one, so every verdict is false, and costs the same arithmetic
 * as a true one.
 *
 * @param bits of the modulus, a multiple of 8
 */
export function measureItems(count: number, bits = 4096): VerifyItem[] {
  return Array.from({ length: count }, () => {
    const n = randomBytes(bits / 8);
    n[0]! |= 0x80;
    n[n.length - 1]! |= 1;
    const signature = randomBytes(n.length);
    signature[0]! &= 0x7f;
    return {
      key: encodePublicKey({ addressVersion: 1, n, e: Uint8Array.of(1, 0, 1) }),
      message: randomBytes(44),
      signature,
    };
  });
}

interface Runner {
  readonly engine: VerifyEngine;
  /** Milliseconds per item of the warm-up. */
  warmUpMs: number;
  /** The least milliseconds per item over the rounds. */
  leastMs: number;
}

/**
 * Measures engines beside each other, in rounds, so that what the machine does meanwhile falls on all alike; what
 * counts is each one's least disturbed turn, which for work on the calling thread is its CPU time. Engines are closed
 * again.
 */
export async function measureEngines(options: MeasureOptions): Promise<EngineCosts> {
  const clock = options.clock ?? systemMeasureClock;
  const until = clock.nowMs() + (options.budgetMs ?? measureBudgetMs);
  const runners: Runner[] = [];
  const absent = new Map<VerifyEngineName, 'missing' | 'self-test'>();
  try {
    for (const name of options.names)
      try {
        const engine = await options.make(name);
        runners.push({ engine, warmUpMs: Number.POSITIVE_INFINITY, leastMs: Number.POSITIVE_INFINITY });
      } catch (error) {
        if (!(error instanceof EngineUnavailable)) throw error;
        absent.set(name, error.reason);
      }
    const problem = await compare(runners, clock, until);
    const costs = options.names.map((engine): EngineCost => {
      const runner = runners.find((r) => r.engine.name === engine);
      if (runner === undefined)
        return { engine, microseconds: null, absent: absent.get(engine) ?? 'missing' };
      const ms = Math.min(runner.leastMs, runner.warmUpMs);
      return Number.isFinite(ms)
        ? { engine, microseconds: ms * 1000, absent: null }
        : { engine, microseconds: null, absent: 'time' };
    });
    return { costs, problem };
  } finally {
    for (const r of runners) await r.engine.close();
  }
}

async function compare(
  runners: readonly Runner[],
  clock: MeasureClock,
  until: number,
): Promise<MeasureProblem | null> {
  for (const r of runners)
    for (let i = 0; i < warmUpTurns; i++) {
      if (clock.nowMs() >= until) return 'time';
      const ms = await turn(r.engine, measureItems(warmUpItems), clock);
      if (ms === null) return 'clock';
      r.warmUpMs = Math.min(r.warmUpMs, ms);
    }
  const fastest = Math.min(...runners.map((r) => r.warmUpMs));
  const hopeful = runners.filter((r) => r.warmUpMs < hopelessRatio * fastest);
  for (let round = 0; round < roundsMax; round++) {
    // Fresh for everybody, and the same for all of one round.
    const items = measureItems(turnItems);
    for (let i = 0; i < hopeful.length; i++) {
      const r = hopeful[(i + round) % hopeful.length]!;
      if (clock.nowMs() >= until) return round === 0 ? 'time' : null;
      const ms = await turn(r.engine, items, clock);
      if (ms === null) return 'clock';
      r.leastMs = Math.min(r.leastMs, ms);
    }
  }
  return null;
}

/** Milliseconds per item of one call; null when the clock did not move with the work. */
async function turn(
  engine: VerifyEngine,
  items: readonly VerifyItem[],
  clock: MeasureClock,
): Promise<number | null> {
  const start = clock.nowMs();
  await engine.verify(items);
  const ms = (clock.nowMs() - start) / items.length;
  return ms > 0 && Number.isFinite(ms) ? ms : null;
}
