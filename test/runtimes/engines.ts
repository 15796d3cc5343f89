import type { Report } from './suite.js';

/** What must be on and what off in a runtime; a kernel that is not listed must not load. */
export type Engines = Pick<Report, 'kernels' | 'kernelsSync' | 'core' | 'coreSync' | 'simd'>;

const ALL = ['wasm-relaxed', 'wasm-simd', 'wasm-scalar'] as const;
const NOT_RELAXED = ['wasm-simd', 'wasm-scalar'] as const;

const everything: Engines = {
  kernels: ALL,
  kernelsSync: ALL,
  core: 'wasm-scalar',
  coreSync: 'wasm-scalar',
  simd: true,
};
const withoutRelaxed: Engines = { ...everything, kernels: NOT_RELAXED, kernelsSync: NOT_RELAXED };
const javaScript: Engines = { kernels: [], kernelsSync: [], core: 'js', coreSync: 'js', simd: false };

export const engines = {
  /** Relaxed SIMD is behind a flag there. */
  'node 20': withoutRelaxed,
  'node 20 with its flag': everything,
  'node 22': everything,
  'node 24': everything,
  'node without WebAssembly': javaScript,
  deno: everything,
  /** Its relaxed multiply-add is validated and rounds twice: the kernel's proof does not hold, the self-test says so. */
  bun: withoutRelaxed,
  /** The modules come compiled, by the export condition. */
  workerd: everything,
  /** What a bundler for browsers makes of the package there: compiling from bytes is refused. */
  'workerd without the condition': javaScript,
  'chromium, bundled': everything,
  'chromium, unbundled': everything,
  /** A page whose policy lacks 'wasm-unsafe-eval'. */
  'chromium, WebAssembly forbidden by policy': javaScript,
} satisfies Record<string, Engines>;
