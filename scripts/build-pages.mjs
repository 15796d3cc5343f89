// Bundles the pages that a relay serves: src/pages/<name>/page.ts with what it imports, and the files beside it, into
// dist/pages/<name>/. Run by the build; prints each bundle's size.
//
//   node scripts/build-pages.mjs

import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const from = join(root, 'src', 'pages');
const to = join(root, 'dist', 'pages');
/** Files that go out as they are; style sheets are bundled with what they import. */
const COPIED = new Set(['.html', '.svg', '.webmanifest']);

/** What every page has: its modules and styles are imported, its pictures copied. */
const common = join(from, 'common');

for (const entry of await readdir(from, { withFileTypes: true })) {
  if (!entry.isDirectory() || entry.name === 'common') continue;
  const folder = join(from, entry.name);
  const out = join(to, entry.name);
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const names = await readdir(folder);
  for (const source of [common, folder])
    for (const name of await readdir(source))
      if (COPIED.has(extname(name))) await cp(join(source, name), join(out, name));
  await build({
    entryPoints: [
      join(folder, 'page.ts'),
      ...names.filter((n) => n.endsWith('.css')).map((n) => join(folder, n)),
    ],
    outdir: out,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    legalComments: 'linked',
    logLevel: 'warning',
  });
  const sizes = [];
  for (const name of await readdir(out)) sizes.push(`${name} ${(await stat(join(out, name))).size}`);
  console.log(`page ${entry.name}: ${sizes.join(', ')} bytes`);
}
