// Bundles the command into dist/bin: one file to read instead of some three hundred, so that a relay serves its first
// hello 200 ms sooner. Its threads' entry files are bundled beside it, where its code looks for them.
//
//   node scripts/build-cli.mjs

import { chmod, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const out = join(dist, 'bin');

await rm(out, { recursive: true, force: true });
await build({
  entryPoints: {
    main: join(dist, 'cli', 'main.js'),
    'verify-worker': join(dist, 'identity', 'node', 'verify-worker.js'),
    'verify-measure-worker': join(dist, 'identity', 'node', 'verify-measure-worker.js'),
  },
  outdir: out,
  // Flat: files beside a chunk are found by the same relative names as files beside a module.
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Native code, and CommonJS that asks for its parts at run time.
  external: ['uWebSockets.js', 'pino', 'ws', 'node-forge', 'msgpackr'],
  logLevel: 'warning',
});
await chmod(join(out, 'main.js'), 0o755);
