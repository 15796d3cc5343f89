import { cryptoRuntime } from '../runtime.js';
import type { VerifyEngine, VerifyEngineName } from './engine.js';
import { ForgeEngine } from './forge.js';
import { NativeEngine, NativeSyncEngine } from './native.js';
import { passesSelfTest } from './self-test.js';
import { WasmEngine } from './wasm.js';
import { WebCryptoEngine } from './webcrypto.js';

/** Thrown when an engine cannot run here, or failed its self-test. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';
  constructor(
    readonly engine: VerifyEngineName | 'auto',
    readonly reason: 'missing' | 'self-test',
  ) {
    super(
      reason === 'missing'
        ? `verify engine ${engine} is not available in this runtime`
        : `verify engine ${engine} failed its self-test`,
    );
  }
}

/** Engine names, best first for a thread that must stay responsive: the first two leave it free. */
export const verifyEngineNames: readonly VerifyEngineName[] = [
  'native',
  'webcrypto',
  'wasm-relaxed',
  'wasm-simd',
  'wasm-scalar',
  'forge',
  'native-sync',
];

async function make(name: VerifyEngineName): Promise<VerifyEngine | null> {
  const { node, subtle } = cryptoRuntime();
  if (name === 'native') return node === null ? null : new NativeEngine(node);
  if (name === 'native-sync') return node === null ? null : new NativeSyncEngine(node);
  if (name === 'webcrypto') return subtle === null ? null : new WebCryptoEngine(subtle);
  if (name === 'forge') return await ForgeEngine.create();
  return await WasmEngine.create(name);
}

/** Self-test results: one instance is tried and thrown away, so that a new engine has counted nothing yet. */
const tested = new Map<VerifyEngineName, Promise<boolean>>();

async function selfTest(name: VerifyEngineName): Promise<boolean> {
  const trial = await make(name);
  if (trial === null) return false;
  const passed = await passesSelfTest(trial);
  await trial.close();
  return passed;
}

async function makeTested(name: VerifyEngineName): Promise<VerifyEngine | EngineUnavailable> {
  const engine = await make(name);
  if (engine === null) return new EngineUnavailable(name, 'missing');
  let passed = tested.get(name);
  if (passed === undefined) {
    passed = selfTest(name);
    tested.set(name, passed);
  }
  if (await passed) return engine;
  await engine.close();
  return new EngineUnavailable(name, 'self-test');
}

/**
 * The engine of that name, or with `auto` the first of {@link verifyEngineNames} that runs here and passes
 * its self-test; nothing is measured, see `chooseVerifyEngine` for that. Rejects with {@link EngineUnavailable}.
 */
export async function createVerifyEngine(name: VerifyEngineName | 'auto' = 'auto'): Promise<VerifyEngine> {
  if (name !== 'auto') {
    const made = await makeTested(name);
    if (made instanceof EngineUnavailable) throw made;
    return made;
  }
  for (const candidateName of verifyEngineNames) {
    const made = await makeTested(candidateName);
    if (!(made instanceof EngineUnavailable)) return made;
  }
  throw new EngineUnavailable('auto', 'self-test');
}
