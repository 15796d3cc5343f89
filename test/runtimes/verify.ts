/**
 * The second half of the suite of every runtime: the engines that verify signatures, as `createVerifyEngine` gives them.
 * Plain modules, like suite.ts, and the same vectors. Which engine is on and which off is part of the report.
 */
import {
  createVerifyEngine,
  EngineUnavailable,
  type VerifyEngine,
  type VerifyEngineName,
  type VerifyItem,
  verifyEngineNames,
} from 'starling-relay/identity';
import { fromHex } from './hex.js';
import type { Vectors } from './suite.js';

/** `on`: it runs here and passed its self-test; else why `createVerifyEngine` refused it. */
export type EngineState = 'on' | EngineUnavailable['reason'];

export interface VerifyReport {
  /** Every one of `verifyEngineNames`. */
  readonly engines: Readonly<Record<string, EngineState>>;
  /** The first that `auto` takes, or why there is none. */
  readonly auto: string;
  /** One per engine that is on. */
  readonly cases: readonly { readonly name: string; readonly error: string | null }[];
}

interface Question extends VerifyItem {
  readonly name: string;
  readonly valid: boolean;
}

function questionsOf({ rsa, otherExponents }: Vectors): Question[] {
  const ofCore = rsa.map((v) => ({ ...v, valid: v.valid && v.keyVerdict === 1 }));
  return [...ofCore, ...otherExponents].map(({ name, key, message, signature, valid }) => ({
    name,
    key: fromHex(key),
    message: fromHex(message),
    signature: fromHex(signature),
    valid,
  }));
}

function judge(questions: readonly Question[], verdicts: readonly boolean[], how: string): void {
  if (verdicts.length !== questions.length) throw new Error(`${verdicts.length} verdicts ${how}`);
  questions.forEach((q, i) => {
    if (verdicts[i] !== q.valid) throw new Error(`${q.name} ${how}: ${verdicts[i]} instead of ${q.valid}`);
  });
}

/** In one batch, and one by one; tens of milliseconds per signature are too slow to ask node-forge twice. */
async function verdictsOf(engine: VerifyEngine, questions: readonly Question[]): Promise<void> {
  judge(questions, await engine.verify(questions), 'in the batch');
  if (engine.operations === 0) throw new Error('no operation counted');
  if (engine.name === 'forge') return;
  const alone: boolean[] = [];
  for (const q of questions) alone.push(...(await engine.verify([q])));
  judge(questions, alone, 'alone');
}

async function tried(name: VerifyEngineName | 'auto'): Promise<VerifyEngine | EngineUnavailable['reason']> {
  try {
    return await createVerifyEngine(name);
  } catch (e) {
    // Any other error is a mistake of the package, and fails the run.
    if (e instanceof EngineUnavailable) return e.reason;
    throw e;
  }
}

/** Every engine by its name. Never rejects for a case that fails. */
export async function runVerifySuite(vectors: Vectors): Promise<VerifyReport> {
  const questions = questionsOf(vectors);
  const engines: Record<string, EngineState> = {};
  const cases: { name: string; error: string | null }[] = [];
  for (const name of verifyEngineNames) {
    const engine = await tried(name);
    engines[name] = typeof engine === 'string' ? engine : 'on';
    if (typeof engine === 'string') continue;
    let error: string | null = null;
    try {
      if (engine.name !== name) throw new Error(`${engine.name} instead of ${name}`);
      await verdictsOf(engine, questions);
    } catch (e) {
      error = e instanceof Error ? e.message : String(e);
    }
    await engine.close();
    cases.push({ name: `verify engine ${name}`, error });
  }
  const auto = await tried('auto');
  if (typeof auto !== 'string') await auto.close();
  return { engines, auto: typeof auto === 'string' ? auto : auto.name, cases };
}
