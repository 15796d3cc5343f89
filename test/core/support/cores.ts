import type { Core } from '../../../src/core/api.js';
import { scalarWasm } from '../../../src/core/generated/scalar.js';
import { simdWasm } from '../../../src/core/generated/simd.js';
import { JsCore } from '../../../src/core/js-core.js';
import { type ScalarExports, WasmCore } from '../../../src/core/wasm-core.js';

/** The compiled scalar module. */
export const scalarModule = new WebAssembly.Module(Buffer.from(scalarWasm, 'base64'));

/** The compiled SIMD module. */
export const simdModule = new WebAssembly.Module(Buffer.from(simdWasm, 'base64'));

/** Every implementation of the core: each test of behaviour runs over this table. */
export const cores: readonly (readonly [string, Core])[] = [
  ['wasm-scalar', new WasmCore(scalarModule)],
  ['wasm with SIMD', new WasmCore(scalarModule, simdModule)],
  ['js', new JsCore()],
];

const PAGE_BYTES = 65536;

/**
 * The bare module over a memory of exactly `pages` pages that cannot grow: whoever reads or writes behind its range
 * when that range ends with the memory gets a trap.
 */
export function bareModule(pages: number): { x: ScalarExports; bytes: Uint8Array; words: Uint32Array } {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(scalarModule, { env: { memory } });
  const bytes = new Uint8Array(memory.buffer);
  if (bytes.length !== pages * PAGE_BYTES) throw new Error('memory has another size');
  return {
    x: instance.exports as unknown as ScalarExports,
    bytes,
    words: new Uint32Array(memory.buffer),
  };
}
