import { enableRelaxedSimd } from '../../core/node/index.js';
import {
  createVerifyEngine,
  type VerifyEngine,
  type VerifyEngineName,
  verifyEngineNames,
} from '../../identity/index.js';
import type { VectorContext } from './case.js';

/** Names that `--engine` takes. */
export const ENGINE_NAMES: readonly (VerifyEngineName | 'auto')[] = ['auto', ...verifyEngineNames];

const engines = new Map<string, Promise<VerifyEngine>>();

/** The verify engine a run asks for, made once per name: every signature verdict goes through it. */
export function vectorEngine(ctx: VectorContext): Promise<VerifyEngine> {
  const name = ENGINE_NAMES.find((n) => n === (ctx.engine ?? 'auto'));
  if (name === undefined) throw new TypeError(`no engine ${ctx.engine}`);
  let engine = engines.get(name);
  if (engine === undefined) {
    // The kernel of that name must run where Node has relaxed SIMD behind a flag.
    enableRelaxedSimd();
    engine = createVerifyEngine(name);
    engines.set(name, engine);
  }
  return engine;
}
