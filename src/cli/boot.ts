#!/usr/bin/env node
// What `starling` starts with: runs the bundled command from code that an earlier relay left compiled beside it, since
// reading and compiling it cost a relay a third of its start. Bundled alone (scripts/build-cli.mjs).

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { enableRelaxedSimd } from '../core/node/index.js';
import { readCodeCache, writeCodeCache } from './code-cache.js';
import { SERVING } from './serving.js';

/** Name of the bundle, set when this file is bundled. */
declare const BUNDLE_NAME: string;

/** A relay has found its place by then, and V8 has not yet thrown away what only the start needed. */
const keepAfterMs = 10_000;

const bundle = join(import.meta.dirname, BUNDLE_NAME);

// Before anything is compiled: V8 takes compiled code only under the flags it was compiled with.
enableRelaxedSimd();
const compiled = readCodeCache(bundle);
const parameters = 'exports, require, module, __filename, __dirname, __import';
// The bundle is ASCII, and this is the form V8 need not widen.
const script = new Script(`(function (${parameters}) {${readFileSync(bundle, 'latin1')}\n})`, {
  filename: bundle,
  ...(compiled === null ? {} : { cachedData: compiled }),
});

// Once, from a relay that serves: then all that a start needs has been compiled.
if (compiled === null)
  process.once(SERVING, () => {
    const keep = (): void => {
      process.off('exit', atExit);
      writeCodeCache(bundle, script.createCachedData());
    };
    const atExit = (code: number): void => {
      if (code === 0) keep();
    };
    process.once('exit', atExit);
    setTimeout(keep, keepAfterMs).unref();
  });

type Bundle = (...values: readonly unknown[]) => void;
const own = { exports: {} };
const run = script.runInThisContext() as Bundle;
// Import from here: a script of `vm` has none of its own.
run(own.exports, createRequire(bundle), own, bundle, dirname(bundle), (name: string) => import(name));
