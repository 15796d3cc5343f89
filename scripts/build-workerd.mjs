// Builds dist/workerd/: the entries of package.json that have a `workerd` condition, for Cloudflare's runtime and its
// like. That runtime refuses to compile WebAssembly from bytes; it compiles `.wasm` files that a module imports. So
// this is dist/ once more, with the base64 of src/core/generated/ replaced by imports of the .wasm files beside it. The
// entries share chunks, so that a program which uses several of them has one core.

import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const outdir = join(root, 'dist', 'workerd');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const entryPoints = Object.values(manifest.exports)
  .map((e) => e.workerd)
  .filter((path) => path !== undefined)
  .map((path) => join(root, path.replace('/workerd/', '/')));

/** dist/core/generated/NAME.js: the module itself instead of its base64, under the same name. */
const compiledModules = {
  name: 'compiled-modules',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]core[\\/]generated[\\/]\w+\.js$/ }, ({ path }) => {
      const [, name] = /(\w+)\.js$/.exec(path);
      return {
        contents: `import module from './${name}.wasm';\nexport const ${name}Wasm = module;\n`,
        resolveDir: join(root, 'build'),
      };
    });
  },
};

rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints,
  outdir,
  outbase: join(root, 'dist'),
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'neutral',
  target: 'es2023',
  loader: { '.wasm': 'copy' },
  assetNames: '[name]',
  chunkNames: 'shared-[hash]',
  plugins: [compiledModules],
  logLevel: 'warning',
});
