import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { relaxedWasm } from '../../src/core/generated/relaxed.js';
import { scalarWasm } from '../../src/core/generated/scalar.js';
import { simdWasm } from '../../src/core/generated/simd.js';
import type * as CoreModule from '../../src/core/index.js';

const ENTRY = new URL('../../src/core/index.ts', import.meta.url).pathname;
const abc = new TextEncoder().encode('abc');
const SHA3_OF_ABC = 'b751850b1a57168a';

const head = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 8)).toString('hex');

/** The room as another program sees it on its first import. */
async function freshCore(): Promise<typeof CoreModule> {
  vi.resetModules();
  return import('../../src/core/index.js');
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

describe('loading', () => {
  it('brings WebAssembly, the same core for everybody', async () => {
    const core = await freshCore();
    const loaded = await core.loadCore();
    expect(loaded.engine).toBe('wasm-scalar');
    expect(core.loadCoreSync()).toBe(loaded);
    expect(await core.loadCore()).toBe(loaded);
  });

  it('works at once without anything awaited, and the later load gives the same core', async () => {
    const core = await freshCore();
    expect(head(core.sha3_512(abc))).toBe(SHA3_OF_ABC);
    const sync = core.loadCoreSync();
    expect(sync.engine).toBe('wasm-scalar');
    expect(await core.loadCore()).toBe(sync);
  });

  it('two loads at the same time end with one core', async () => {
    const core = await freshCore();
    const [a, b] = await Promise.all([core.loadCore(), core.loadCore()]);
    expect(a).toBe(b);
    expect(core.loadCoreSync()).toBe(a);
  });
});

describe('without WebAssembly', () => {
  it('falls back to JavaScript where it is missing', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    const core = await freshCore();
    expect(head(core.sha3_512(abc))).toBe(SHA3_OF_ABC);
    expect(core.loadCoreSync().engine).toBe('js');
    expect((await core.loadCore()).engine).toBe('js');
  });

  it('answers in JavaScript where compiling at once is refused, until the load is done', async () => {
    const real = WebAssembly;
    // A function, so that it can be called with `new` and refuse.
    const refused = function refuse(): never {
      throw new RangeError('too large for the main thread');
    };
    vi.stubGlobal('WebAssembly', { ...props(real), Module: refused });
    const core = await freshCore();
    expect(core.loadCoreSync().engine).toBe('js');
    expect(head(core.sha3_512(abc))).toBe(SHA3_OF_ABC);
    const loaded = await core.loadCore();
    expect(loaded.engine).toBe('wasm-scalar');
    expect(core.loadCoreSync()).toBe(loaded);
    expect(head(core.sha3_512(abc))).toBe(SHA3_OF_ABC);
  });

  it('falls back when a module compiles and does not pass its self-test', async () => {
    const real = WebAssembly;
    const lying = class {
      readonly exports: object;
      constructor(module: WebAssembly.Module, imports: WebAssembly.Imports) {
        this.exports = { ...new real.Instance(module, imports).exports, selfTest: () => 0 };
      }
    };
    vi.stubGlobal('WebAssembly', { ...props(real), Instance: lying });
    const core = await freshCore();
    expect(core.loadCoreSync().engine).toBe('js');
    expect((await core.loadCore()).engine).toBe('js');
  });
});

/** The members of WebAssembly, which are not enumerable. */
function props(of: typeof WebAssembly): Record<string, unknown> {
  const { Module, Instance, Memory, compile, validate, RuntimeError } = of;
  return { Module, Instance, Memory, compile: compile.bind(of), validate: validate.bind(of), RuntimeError };
}

describe('as a package', () => {
  const bundle = (contents: string) =>
    build({
      stdin: { contents, resolveDir: new URL('../..', import.meta.url).pathname, loader: 'ts' },
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'browser',
      minify: true,
    });

  it('needs nothing but itself: no Node module, no dependency', async () => {
    const { metafile } = await bundle(`export * from '${ENTRY}'`);
    const outside = Object.entries(metafile.inputs).flatMap(([file, input]) => [
      ...(file.startsWith('src/core/') || file === '<stdin>' ? [] : [file]),
      ...input.imports.filter((i) => i.external === true).map((i) => i.path),
    ]);
    expect(outside).toEqual([]);
  });

  it.each([
    ['crc32c', []],
    ['rsaEngineNames, RsaVerdict, ScanStatus, FrameTable, KeepAliveTable', []],
    ['sha3_512', ['scalar', 'simd']],
    ['sha512', ['scalar', 'simd']],
    ['loadCore', ['scalar', 'simd']],
    ['loadRsaCoreSync', ['relaxed', 'scalar', 'simd']],
  ])('a bundle that uses %s alone carries the modules %j', async (names, wanted) => {
    const { outputFiles } = await bundle(`export { ${names} } from '${ENTRY}'`);
    const text = outputFiles[0]!.text;
    const carried = Object.entries({ relaxed: relaxedWasm, scalar: scalarWasm, simd: simdWasm })
      .filter(([, base64]) => text.includes(base64.slice(2000, 2200)))
      .map(([name]) => name);
    expect(carried).toEqual(wanted);
  });

  it('does no work at import: what is not used falls out of a bundle', async () => {
    const unused = await bundle(`import '${ENTRY}'; import { sha3_512 } from '${ENTRY}';`);
    expect(unused.outputFiles[0]!.text.length).toBeLessThan(1000);
    const crcOnly = await bundle(`export { crc32c } from '${ENTRY}'`);
    // The base64 of the module alone has 18 kB.
    expect(crcOnly.outputFiles[0]!.text.length).toBeLessThan(4000);
  });
});

describe('the arena', () => {
  let core: CoreModule.Core;
  beforeEach(async () => {
    core = (await freshCore()).loadCoreSync();
  });

  it('grows for a large batch and works on afterwards', () => {
    expect(core.engine).toBe('wasm-scalar');
    const big = new Uint8Array(3_000_000).fill(1);
    const crc = core.crc32c(big);
    expect([...core.crc32cBatch([big, big, big])]).toEqual([crc, crc, crc]);
    expect(head(core.sha3_512(abc))).toBe(SHA3_OF_ABC);
    expect([...core.crc32cBatch([abc])]).toEqual([core.crc32c(abc)]);
  });

  it('gives back what a failed call had taken', () => {
    const big = new Uint8Array(8_000_000);
    // Each call stages 8 MB before it fails; a leak would exceed the 256 MiB at the 34th.
    for (let i = 0; i < 40; i++) {
      expect(() => core.crc32cBatch([big, 7 as unknown as Uint8Array])).toThrow(TypeError);
    }
    expect(core.crc32cBatch([abc]).length).toBe(1);
  });

  it('gives memory back when asked, and computes the same afterwards', () => {
    const before = core.sha3_512(abc);
    const initial = core.memoryBytes;
    expect(initial).toBe(256 * 1024);
    core.crc32cBatch([new Uint8Array(3_000_000)]);
    expect(core.memoryBytes).toBeGreaterThan(3_000_000);
    core.freeMemory();
    expect(core.memoryBytes).toBe(initial);
    expect(core.simd).toBe(true);
    expect(head(before)).toBe(SHA3_OF_ABC);
    expect(head(core.sha3_512(abc))).toBe(SHA3_OF_ABC);
    expect(core.sha3_512Batch([abc, abc]).length).toBe(128);
  });

  it('refuses a batch above its limit with a RangeError', () => {
    expect(() => core.crc32cBatch([new Uint8Array(257 * 1024 * 1024)])).toThrow(RangeError);
    expect(core.crc32cBatch([abc]).length).toBe(1);
  });
});
