import { createVerifyEngine, EngineUnavailable } from './create.js';
import type { VerifyEngine, VerifyEngineName } from './engine.js';
import {
  type EngineCost,
  type MeasureClock,
  type MeasureProblem,
  measureBudgetMs,
  measureEngines,
} from './measure.js';

/**
 * Engines for a thread whose whole work is verifying, best first, by measurement: relaxed SIMD where its multiply-add is
 * fused, then OpenSSL on the thread itself, then what is left. The ranking where nothing can be measured.
 */
export const threadEngineNames: readonly VerifyEngineName[] = [
  'wasm-relaxed',
  'native-sync',
  'wasm-simd',
  'wasm-scalar',
];

/** `ranked`: by the fixed order, for the reason given. */
export type WhyChosen = 'measured' | 'ranked';

/** An engine, and how it came to be chosen. */
export interface EngineChoice {
  readonly engine: VerifyEngineName;
  readonly why: WhyChosen;
  /** Why nothing was measured or its numbers did not count; null when the engine was chosen by them. */
  readonly problem: MeasureProblem | null;
  /** One per engine asked about, where one was measured at all. */
  readonly costs: readonly EngineCost[];
}

export interface EngineChoiceOptions {
  /** Who may be chosen, best first where nothing can be measured; default {@link threadEngineNames}. */
  readonly names?: readonly VerifyEngineName[];
  /** Milliseconds for measuring; 0 = no time, take the ranking. Default {@link measureBudgetMs}. */
  readonly budgetMs?: number;
  readonly clock?: MeasureClock;
  /** How engines are made; replaced in tests. */
  readonly make?: (name: VerifyEngineName) => Promise<VerifyEngine>;
}

/** What this process found out already, by the names it was about. */
const known = new Map<string, Promise<EngineChoice>>();

/**
 * The fastest of the engines on this machine: each is checked for its features, tested against known signatures and
 * measured for a fraction of a second. Where the clock stands still during work or there is no time, the first in
 * order that works. With its own clock and budget the answer is found once per process.
 *
 * Rejects with {@link EngineUnavailable} when none of them works here.
 */
export function chooseVerifyEngine(options: EngineChoiceOptions = {}): Promise<EngineChoice> {
  const names = options.names ?? threadEngineNames;
  if (options.clock !== undefined || options.make !== undefined || options.budgetMs !== undefined)
    return choose(names, options);
  const key = names.join(' ');
  let choice = known.get(key);
  if (choice === undefined) {
    choice = choose(names, options);
    known.set(key, choice);
    // A failure is not remembered.
    choice.catch(() => known.delete(key));
  }
  return choice;
}

async function choose(
  names: readonly VerifyEngineName[],
  options: EngineChoiceOptions,
): Promise<EngineChoice> {
  const make = options.make ?? ((name: VerifyEngineName) => createVerifyEngine(name));
  const budgetMs = options.budgetMs ?? measureBudgetMs;
  if (budgetMs <= 0) return await firstThatWorks(names, make, 'time', []);
  const clock = options.clock === undefined ? {} : { clock: options.clock };
  const { costs, problem } = await measureEngines({ names, make, budgetMs, ...clock });
  if (problem !== null) return await firstThatWorks(names, make, problem, costs);
  let best: EngineCost | null = null;
  for (const c of costs)
    if (c.microseconds !== null && (best === null || c.microseconds < best.microseconds!)) best = c;
  if (best === null) throw new EngineUnavailable('auto', 'missing');
  return { engine: best.engine, why: 'measured', problem: null, costs };
}

async function firstThatWorks(
  names: readonly VerifyEngineName[],
  make: (name: VerifyEngineName) => Promise<VerifyEngine>,
  problem: MeasureProblem,
  costs: readonly EngineCost[],
): Promise<EngineChoice> {
  for (const name of names)
    try {
      await (await make(name)).close();
      return { engine: name, why: 'ranked', problem, costs };
    } catch (error) {
      // Not here, or not trustworthy here: the next one.
      if (!(error instanceof EngineUnavailable)) throw error;
    }
  throw new EngineUnavailable('auto', 'missing');
}
