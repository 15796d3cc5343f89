import { fromBase64 } from './base64.js';

/**
 * One of the package's modules: its bytes in base64, or, from the entries built for workerd, compiled already. That
 * runtime refuses to compile bytes and compiles `.wasm` files that are imported instead (scripts/build-workerd.mjs).
 */
export type ModuleSource = string | WebAssembly.Module;

/** The bytes where this runtime knows their instructions, else null. Asked first, so that it logs no failure. */
function validBytes(source: string): Uint8Array<ArrayBuffer> | null {
  const bytes = fromBase64(source);
  return WebAssembly.validate(bytes) ? bytes : null;
}

/** Compiles without blocking; null where the runtime lacks an instruction, rejects where it refuses WebAssembly. */
export async function compileModule(source: ModuleSource): Promise<WebAssembly.Module | null> {
  if (typeof source !== 'string') return source;
  const bytes = validBytes(source);
  return bytes === null ? null : await WebAssembly.compile(bytes);
}

/** As {@link compileModule}, at once; throws where compiling at once is refused. */
export function compileModuleSync(source: ModuleSource): WebAssembly.Module | null {
  if (typeof source !== 'string') return source;
  const bytes = validBytes(source);
  return bytes === null ? null : new WebAssembly.Module(bytes);
}
