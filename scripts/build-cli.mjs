// Bundles the command into dist/bin: one script instead of some three hundred modules, which main.js runs from code
// that an earlier relay left compiled beside it (src/cli/boot.ts). Its threads' entry files are bundled beside it,
// where its code looks for them.
//
//   node scripts/build-cli.mjs

import { createHash } from 'node:crypto';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const out = join(dist, 'bin');

const common = {
  bundle: true,
  // CommonJS: Node 20 keeps compiled code of scripts alone.
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  define: { 'import.meta.url': '__importMetaUrl', 'import.meta.dirname': '__dirname' },
  banner: {
    js: '"use strict";var __importMetaUrl=require("node:url").pathToFileURL(__filename).href;',
  },
  // Native code, and what is asked for at run time alone.
  external: ['uWebSockets.js', 'node-forge', 'msgpackr-extract'],
  // Its entry for Node looks for native code, which only strings in what is read would gain from.
  alias: { msgpackr: join(root, 'node_modules', 'msgpackr', 'index.js') },
  logLevel: 'warning',
};

/** The command as one script, for `boot.ts` to wrap. */
async function command() {
  const { outputFiles } = await build({
    ...common,
    entryPoints: [join(dist, 'cli', 'main.js')],
    write: false,
  });
  // A script run by `vm` cannot import by itself: `boot.ts` hands in an import of its own. It reads one byte per
  // character: esbuild leaves others in comments alone, where an escape does as well.
  const text = outputFiles[0].text
    .replace(/\bawait import\(/g, 'await __import(')
    .replace(/[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const line = text.split('\n').find((l) => /(?<![\w.])import\((?!\))/.test(l) && !/^\s*(\/\/|\*)/.test(l));
  if (line !== undefined) throw new Error(`an import that boot.ts does not know of: ${line}`);
  return text;
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const text = await command();
// By its content: compiled code of another bundle must never be taken for this one's.
const name = `starling-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.js`;
await writeFile(join(out, name), text);
await writeFile(join(out, 'package.json'), '{ "type": "commonjs" }\n');
const { define } = common;
await build({
  ...common,
  entryPoints: { main: join(dist, 'cli', 'boot.js') },
  outdir: out,
  define: { ...define, BUNDLE_NAME: JSON.stringify(name) },
});
await build({
  ...common,
  entryPoints: {
    'verify-worker': join(dist, 'identity', 'node', 'verify-worker.js'),
    'verify-measure-worker': join(dist, 'identity', 'node', 'verify-measure-worker.js'),
  },
  outdir: out,
});
await chmod(join(out, 'main.js'), 0o755);
