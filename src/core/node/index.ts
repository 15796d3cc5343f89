/** What the core can do in Node only. Import it before anything is verified. */
import { setFlagsFromString } from 'node:v8';

/** The first Node in which relaxed SIMD is on by itself. */
const RELAXED_SIMD_MAJOR = 22;

/**
 * Turns relaxed SIMD on where Node has it behind a flag (Node 20), so that `wasm-relaxed` may be used. Does nothing
 * elsewhere. The flag is the process's: call it at start, before the module is first asked for.
 */
export function enableRelaxedSimd(): void {
  const [major] = process.versions.node.split('.').map(Number);
  if (major! < RELAXED_SIMD_MAJOR) setFlagsFromString('--experimental-wasm-relaxed-simd');
}
