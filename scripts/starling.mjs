#!/usr/bin/env node
// `npx starling …` inside a clone: builds what is missing, then is the command. Installed packages use dist/ directly.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The link in node_modules/.bin must not decide where we are.
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'dist', 'bin', 'main.js');
if (!existsSync(main)) {
  const built = spawnSync(process.execPath, [join(root, 'scripts', 'run.mjs'), 'build'], {
    stdio: ['ignore', 2, 2],
  });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
await import(main);
