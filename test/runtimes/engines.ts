import type { VerifyEngineName } from 'starling-relay/identity';
import type { Report } from './suite.js';

/** What must be on and what off in a runtime; a kernel that is not listed must not load. */
export interface Engines extends Pick<Report, 'kernels' | 'kernelsSync' | 'core' | 'coreSync' | 'simd'> {
  /** Verify engines that must be on, in the order of `verifyEngineNames`; `auto` is the first. */
  readonly on: readonly VerifyEngineName[];
  /** Those that must be off, and why; together with `on` they are every engine there is. */
  readonly off: Partial<Readonly<Record<VerifyEngineName, string>>>;
}

const ALL = ['wasm-relaxed', 'wasm-simd', 'wasm-scalar'] as const;
const NOT_RELAXED = ['wasm-simd', 'wasm-scalar'] as const;

const everything: Engines = {
  kernels: ALL,
  kernelsSync: ALL,
  core: 'wasm-scalar',
  coreSync: 'wasm-scalar',
  simd: true,
  on: ['native', 'webcrypto', ...ALL, 'forge', 'native-sync'],
  off: {},
};

function withoutRelaxed(why: string): Engines {
  return {
    ...everything,
    kernels: NOT_RELAXED,
    kernelsSync: NOT_RELAXED,
    on: ['native', 'webcrypto', ...NOT_RELAXED, 'forge', 'native-sync'],
    off: { 'wasm-relaxed': why },
  };
}

function withoutNode(why: string): Engines {
  return {
    ...everything,
    on: ['webcrypto', ...ALL, 'forge'],
    off: { native: why, 'native-sync': why },
  };
}

/** The same, in JavaScript alone. */
function javaScript(of: Engines, why: string): Engines {
  const isWasm = (name: VerifyEngineName): boolean => name.startsWith('wasm-');
  return {
    kernels: [],
    kernelsSync: [],
    core: 'js',
    coreSync: 'js',
    simd: false,
    on: of.on.filter((name) => !isWasm(name)),
    off: { ...of.off, 'wasm-relaxed': why, 'wasm-simd': why, 'wasm-scalar': why },
  };
}

const inWorkerd = withoutNode('no node:crypto without the flag nodejs_compat');
const inBrowser = withoutNode('a browser has no node:crypto');

export const engines = {
  'node 20': withoutRelaxed('relaxed SIMD is behind a flag there'),
  'node 20 with its flag': everything,
  'node 22': everything,
  'node 24': everything,
  'node without WebAssembly': javaScript(everything, 'WebAssembly is taken away'),
  deno: everything,
  bun: withoutRelaxed(
    'its relaxed multiply-add is validated and rounds twice: the proof does not hold, the self-test says so',
  ),
  /** The modules come compiled, by the export condition. */
  workerd: inWorkerd,
  /** What a bundler for browsers makes of the package there. */
  'workerd without the condition': javaScript(inWorkerd, 'compiling from bytes is refused'),
  'chromium, bundled': inBrowser,
  'chromium, unbundled': inBrowser,
  'chromium, WebAssembly forbidden by policy': javaScript(
    inBrowser,
    "the page's policy lacks 'wasm-unsafe-eval'",
  ),
} satisfies Record<string, Engines>;
