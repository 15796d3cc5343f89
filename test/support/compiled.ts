import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

/** How sources are made into one module that Node runs. */
export const bundled = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  // A CommonJS package asks for Node's own modules.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
} as const;

/** Threads run compiled code: a module of the verify pool, from these very sources, as `folder/name.mjs`. */
export async function compiledWorker(
  folder: string,
  name: 'verify-worker' | 'verify-measure-worker',
): Promise<URL> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    entryPoints: [new URL(`../../src/identity/node/${name}.ts`, import.meta.url).pathname],
    outfile,
    ...bundled,
  });
  return pathToFileURL(outfile);
}
