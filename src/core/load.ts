import type { Core } from './api.js';
import { compileModule, compileModuleSync } from './compile.js';
import { scalarWasm } from './generated/scalar.js';
import { simdWasm } from './generated/simd.js';
import { JsCore } from './js-core.js';
import { loadedCore, setLoadedCore } from './loaded.js';
import { CoreUnusable, WasmCore } from './wasm-core.js';

let loading: Promise<Core> | null = null;
/** What answers where the module could not be compiled at once; {@link loadCore} may still replace it. */
let fallback: Core | null = null;

/** Throws {@link CoreUnusable} without a scalar module; without the SIMD one the core does with the scalar. */
function wasmCore(scalar: WebAssembly.Module | null, simd: WebAssembly.Module | null): Core {
  if (scalar === null) throw new CoreUnusable('scalar module: not valid here');
  return new WasmCore(scalar, simd);
}

function jsCore(): Core {
  fallback ??= new JsCore();
  return fallback;
}

/**
 * The core of this thread: compiled without blocking where WebAssembly exists, else JavaScript. Never rejects for a
 * runtime that refuses WebAssembly. Every call returns the same core.
 */
export function loadCore(): Promise<Core> {
  const loaded = loadedCore();
  if (loaded !== null) return Promise.resolve(loaded);
  loading ??= compile();
  return loading;
}

async function compile(): Promise<Core> {
  let core: Core;
  try {
    core = wasmCore(...(await Promise.all([compileModule(scalarWasm), compileModule(simdWasm)])));
  } catch {
    // Missing, forbidden by policy, or failing its self-test: the answer is the same.
    core = jsCore();
  }
  const meanwhile = loadedCore();
  if (meanwhile !== null) return meanwhile;
  setLoadedCore(core);
  return core;
}

/**
 * The core of this thread at once. Where compiling at once is refused (a browser's main thread for a large module,
 * an edge runtime), this is the JavaScript core, until {@link loadCore} has brought the compiled one.
 */
export function loadCoreSync(): Core {
  const loaded = loadedCore();
  if (loaded !== null) return loaded;
  if (fallback !== null) return fallback;
  try {
    const core = wasmCore(compileModuleSync(scalarWasm), compileModuleSync(simdWasm));
    setLoadedCore(core);
    return core;
  } catch {
    return jsCore();
  }
}
