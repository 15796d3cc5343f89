import type { Core } from './api.js';
import { fromBase64 } from './base64.js';
import { scalarWasm } from './generated/scalar.js';
import { simdWasm } from './generated/simd.js';
import { JsCore } from './js-core.js';
import { WasmCore } from './wasm-core.js';

/** The one core of this thread, once something asked for it. */
let loaded: Core | null = null;
let loading: Promise<Core> | null = null;
/** What answers where the module could not be compiled at once; {@link loadCore} may still replace it. */
let fallback: Core | null = null;

/** The SIMD module, or null where the runtime does not know its instructions. */
function simdBytes(): Uint8Array<ArrayBuffer> | null {
  const bytes = fromBase64(simdWasm);
  return WebAssembly.validate(bytes) ? bytes : null;
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
  if (loaded !== null) return Promise.resolve(loaded);
  loading ??= compile();
  return loading;
}

async function compile(): Promise<Core> {
  let core: Core;
  try {
    const simd = simdBytes();
    const [scalarModule, simdModule] = await Promise.all([
      WebAssembly.compile(fromBase64(scalarWasm)),
      simd === null ? null : WebAssembly.compile(simd),
    ]);
    core = new WasmCore(scalarModule, simdModule);
  } catch {
    // Missing, forbidden by policy, or failing its self-test: the answer is the same.
    core = jsCore();
  }
  loaded ??= core;
  return loaded;
}

/**
 * The core of this thread at once. Where compiling at once is refused (a browser's main thread for a large module,
 * an edge runtime), this is the JavaScript core, until {@link loadCore} has brought the compiled one.
 */
export function loadCoreSync(): Core {
  if (loaded !== null) return loaded;
  if (fallback !== null) return fallback;
  try {
    const simd = simdBytes();
    loaded = new WasmCore(
      new WebAssembly.Module(fromBase64(scalarWasm)),
      simd === null ? null : new WebAssembly.Module(simd),
    );
    return loaded;
  } catch {
    return jsCore();
  }
}
