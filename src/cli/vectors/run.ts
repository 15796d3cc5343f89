import { DecodeError } from '../../wire/index.js';
import { type Family, judge, type Outcome, type VectorCase, type VectorContext } from './case.js';
import { assignFamily, MissingVectorError, stem, type VectorFile } from './load.js';

/** What became of one case. */
export interface CaseResult {
  readonly family: string;
  readonly file: string;
  readonly name: string;
  readonly line: string;
  readonly outcome: Outcome;
}

/** Counts by outcome. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly uncovered: number;
  readonly skipped: number;
}

/** Errors of the language itself are defects of ours, never a verdict on the input. */
const DEFECTS: ReadonlySet<string> = new Set([
  'Error',
  'TypeError',
  'ReferenceError',
  'SyntaxError',
  'RangeError',
  'EvalError',
  'URIError',
  'AggregateError',
  'AssertionError',
]);

const isRefusal = (e: unknown): e is Error =>
  e instanceof DecodeError || (e instanceof Error && !DEFECTS.has(e.name));

/** Runs one case of a family and judges the answer. Never throws. */
export async function runCase(
  family: Family,
  c: VectorCase,
  ctx: VectorContext,
  file: string,
): Promise<Outcome> {
  if (c.strict?.skip === true) return { kind: 'skipped', detail: String(c.strict.rule ?? '') };
  try {
    return judge(c, await family.run(c, ctx, file));
  } catch (e) {
    if (e instanceof MissingVectorError) return { kind: 'uncovered', detail: e.message };
    if (isRefusal(e)) return judge(c, { refused: `${e.name}: ${e.message}` });
    const at = e instanceof Error ? (e.stack ?? '').split('\n')[1]?.trim() : undefined;
    return { kind: 'failed', detail: `threw ${String(e)}${at === undefined ? '' : ` ${at}`}` };
  }
}

/** What a run is asked to do. */
export interface RunOptions {
  readonly families: readonly Family[];
  readonly files: readonly VectorFile[];
  readonly context: VectorContext;
  /** Only cases whose `family/name [line]` contains this text. */
  readonly filter?: string;
  /** Turns a recorded session into cases of its own; null while nothing can. */
  readonly sessions?: SessionRunner;
}

/** Answers a recorded session: which checks it makes of it, each under a name. */
export type SessionRunner = (f: Extract<VectorFile, { kind: 'session' }>) => Promise<readonly CaseResult[]>;

const label = (r: Omit<CaseResult, 'outcome'>): string => `${r.family}/${r.name} [${r.line}]`;

/** A recording that is not even one counts as one failed case, so that the other files still run. */
async function sessionResults(
  run: SessionRunner,
  f: Extract<VectorFile, { kind: 'session' }>,
): Promise<readonly CaseResult[]> {
  try {
    return await run(f);
  } catch (e) {
    const outcome: Outcome = { kind: 'failed', detail: e instanceof Error ? e.message : String(e) };
    return [{ family: stem(f.path), file: f.path, name: 'recording', line: 'both', outcome }];
  }
}

/** Runs every case of every file; a file nobody knows counts its cases as not covered. */
export async function runFiles(o: RunOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  const wanted = (r: Omit<CaseResult, 'outcome'>): boolean =>
    o.filter === undefined || label(r).includes(o.filter) || r.file.includes(o.filter);
  for (const f of o.files) {
    if (f.kind === 'session') {
      const found = o.sessions === undefined ? [] : await sessionResults(o.sessions, f);
      results.push(...found.filter(wanted));
      continue;
    }
    const assigned = assignFamily(o.families, f);
    for (const c of f.cases) {
      const id = { family: f.family, file: f.path, name: c.name, line: c.line };
      if (!wanted(id)) continue;
      const outcome: Outcome =
        assigned === null
          ? { kind: 'uncovered', detail: `no family ${f.family}` }
          : await runCase(assigned.family, c, o.context, assigned.file);
      results.push({ ...id, outcome });
    }
  }
  return results;
}

/** Counts results. */
export function tally(results: readonly CaseResult[]): Tally {
  const t = { passed: 0, failed: 0, uncovered: 0, skipped: 0 };
  for (const r of results) t[r.outcome.kind]++;
  return t;
}

/** Results by family, in order of appearance. */
export function byFamily(results: readonly CaseResult[]): Map<string, CaseResult[]> {
  const out = new Map<string, CaseResult[]>();
  for (const r of results) {
    const list = out.get(r.family);
    if (list === undefined) out.set(r.family, [r]);
    else list.push(r);
  }
  return out;
}
