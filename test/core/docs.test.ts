import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import * as core from '../../src/core/index.js';
import * as node from '../../src/core/node/index.js';

const ROOT = resolve(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/core.md'), 'utf8');

/** Inside the package, so that its own name resolves to the build. */
mkdirSync(join(ROOT, 'build'), { recursive: true });
const folder = mkdtempSync(join(ROOT, 'build', 'snippets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const snippets = [...page.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map((m) => m[1]!);

describe('docs/core.md', () => {
  it('has programs, each with something to see', () => {
    expect(snippets.length).toBeGreaterThan(5);
    for (const snippet of snippets) expect(snippet).toContain('// → ');
  });

  it.each(snippets.map((s, i) => [i + 1, s] as const))('program %i prints what it says', async (i, text) => {
    const file = join(folder, `${i}.mjs`);
    writeFileSync(file, text.replaceAll("'starling-core'", "'starling-relay/core'"));
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 15_000 });
    const wanted = [...text.matchAll(/\/\/ → (.*)$/gm)].map((m) => m[1]);
    expect(stdout.trimEnd().split('\n')).toEqual(wanted);
  });

  const rows = [...page.matchAll(/^\| `(\w+)` \| (function|value|class|type) \|/gm)];

  it('lists every value that is exported, and no other', () => {
    const listed = rows.filter((r) => r[2] !== 'type').map((r) => r[1]!);
    expect(listed.toSorted()).toEqual([...Object.keys(core), ...Object.keys(node)].toSorted());
  });

  it('lists every type that is exported, and no other', () => {
    const index = readFileSync(join(ROOT, 'src/core/index.ts'), 'utf8');
    const names = [
      ...[...index.matchAll(/export type \{([^}]*)\}/g)].flatMap((m) =>
        m[1]!.split(',').map((n) => n.trim()),
      ),
      ...[...index.matchAll(/\btype (\w+),/g)].map((m) => m[1]!),
    ].filter((n) => n !== '');
    const listed = rows.filter((r) => r[2] === 'type').map((r) => r[1]!);
    expect(names.length).toBeGreaterThan(7);
    expect(listed.toSorted()).toEqual(names.toSorted());
  });

  it('is about exports that are all documented where they are declared', () => {
    const sources = readdirSync(join(ROOT, 'src/core'))
      .filter((f) => f.endsWith('.ts'))
      .map((f) => readFileSync(join(ROOT, 'src/core', f), 'utf8'))
      .concat(readFileSync(join(ROOT, 'src/core/node/index.ts'), 'utf8'))
      .join('\n');
    const bare = rows
      .map((r) => r[1]!)
      .filter((name) => {
        const declared = new RegExp(
          `(\\*/\\n)?export (?:async )?(?:function|const|class|interface|type) ${name}\\b`,
        ).exec(sources);
        return declared?.[1] === undefined;
      });
    expect(bare).toEqual([]);
  });
});
