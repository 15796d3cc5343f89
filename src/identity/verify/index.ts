import { cryptoRuntime } from '../runtime.js';
import type { VerifyEngine, VerifyEngineName } from './engine.js';
import { NativeSyncEngine, nativeEngine } from './native.js';

export {
  EngineClosed,
  type VerifyEngine,
  type VerifyEngineName,
  type VerifyItem,
} from './engine.js';

/** Thrown when an engine cannot run here, or failed its self-test. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';
  constructor(
    readonly engine: string,
    reason: string,
  ) {
    super(`verify engine ${engine}: ${reason}`);
  }
}

/**
 * The engine of that name, or with `auto` the best one of this runtime. Rejects with
 * {@link EngineUnavailable} when it cannot run here.
 */
export async function createVerifyEngine(name: VerifyEngineName | 'auto' = 'auto'): Promise<VerifyEngine> {
  const { node } = cryptoRuntime();
  if (name === 'native-sync' && node !== null) return new NativeSyncEngine(node);
  const native = name === 'auto' || name === 'native' ? nativeEngine() : null;
  if (native !== null) return native;
  throw new EngineUnavailable(name, 'not available in this runtime');
}
