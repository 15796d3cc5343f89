import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Row {
  readonly name: string;
  readonly ratio: number;
}
interface Table {
  readonly key: string;
  readonly title: string;
  readonly interval: number;
  readonly rows: readonly Row[];
}
interface Result {
  readonly env: { readonly node: string; readonly commit: string; readonly date: string };
  readonly tables: readonly Table[];
}

// A script of the benchmarks, which has no types of its own.
const script = new URL('../../bench/core/compare.mjs', import.meta.url).href;
const { comparison } = (await import(script)) as {
  comparison: (file: string) => (tables: readonly Table[]) => string[];
};
const compare = (file: string, tables: readonly Table[]): string[] => comparison(file)(tables);

const kept = new URL('../../bench/results/core-node20.json', import.meta.url).pathname;
const { env, tables } = JSON.parse(readFileSync(kept, 'utf8')) as Result;
const rsa = tables.find((t) => t.key === 'rsa')!;
const heading = (file: string): string =>
  `against ${file}: Node ${env.node}, commit ${env.commit}, ${env.date}`;

/** The RSA table with one of its rows at another ratio. */
const moved = (name: string, by: number): Table => ({
  ...rsa,
  rows: rsa.rows.map((r) => (r.name === name ? { ...r, ratio: r.ratio * (1 + by) } : r)),
});

describe('core benchmarks against an earlier result', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'core-compare-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('a kept result against itself has not moved', () => {
    expect(tables.length).toBeGreaterThan(10);
    expect(compare(kept, tables)).toEqual([heading(kept), 'nothing moved beyond the noise']);
  });

  it('says what moved by more than the noise of both, and in which direction', () => {
    const noise = 2 * rsa.interval;
    const line = (sign: string): RegExp =>
      new RegExp(
        `^moved \\${sign}[\\d.]+ % \\(noise ${(100 * noise).toFixed(1)} %\\): wasm-simd, RSA-4096 verif`,
      );
    const up = compare(kept, [moved('wasm-simd', 1.5 * noise)]);
    expect(up).toHaveLength(2);
    expect(up[1]).toMatch(line('+'));
    expect(compare(kept, [moved('wasm-simd', -1.5 * noise)])[1]).toMatch(line('-'));
    expect(compare(kept, [moved('wasm-simd', 0.9 * noise)])[1]).toBe('nothing moved beyond the noise');
  });

  it('names tables that the earlier result lacks, and leaves out rows that are new', () => {
    const file = join(folder, 'earlier.json');
    writeFileSync(
      file,
      JSON.stringify({
        env,
        tables: [{ ...rsa, rows: rsa.rows.filter((r) => r.name !== 'wasm-simd') }],
      }),
    );
    const other = tables.find((t) => t.key === 'varint')!;
    expect(compare(file, [moved('wasm-simd', 9), other])).toEqual([
      heading(file),
      `not in it: ${other.title}`,
    ]);
    expect(() => compare(join(folder, 'missing.json'), tables)).toThrow(/ENOENT/);
  });

  it('holds against what the file said before the new result was written over it', () => {
    const file = join(folder, 'overwritten.json');
    writeFileSync(file, JSON.stringify({ env, tables: [rsa] }));
    const against = comparison(file);
    const now = moved('wasm-simd', 9);
    writeFileSync(file, JSON.stringify({ env, tables: [now] }));
    expect(against([now])).toHaveLength(2);
    expect(against([rsa])).toEqual([heading(file), 'nothing moved beyond the noise']);
  });
});
