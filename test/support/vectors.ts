import { resolve } from 'node:path';
import type {
  Family,
  Json,
  JsonObject,
  Outcome,
  VectorCase,
  VectorContext,
} from '../../src/cli/vectors/case.js';
import { expectsRefusal, hasParts } from '../../src/cli/vectors/case.js';
import { assignFamily, folderContext, loadFolder, type VectorFile } from '../../src/cli/vectors/load.js';
import { runCase } from '../../src/cli/vectors/run.js';

/** The golden vectors of this repository. */
export const VECTOR_FOLDER = resolve(import.meta.dirname, '../vectors');

let loaded: readonly VectorFile[] | undefined;

/** All files of {@link VECTOR_FOLDER}, read once. */
export function vectorFiles(): readonly VectorFile[] {
  loaded ??= loadFolder(VECTOR_FOLDER);
  return loaded;
}

/** The context a family gets when it runs over {@link VECTOR_FOLDER}. */
export function vectorContext(engine?: string): VectorContext {
  return folderContext(VECTOR_FOLDER, vectorFiles(), engine);
}

/** One case with what became of it. */
export interface FamilyOutcome {
  readonly file: string;
  readonly case: VectorCase;
  readonly outcome: Outcome;
}

function familyCases(family: Family): { file: string; case: VectorCase }[] {
  const out: { file: string; case: VectorCase }[] = [];
  for (const f of vectorFiles()) {
    if (f.kind !== 'cases') continue;
    const a = assignFamily([family], f);
    if (a !== null) for (const c of f.cases) out.push({ file: a.file, case: c });
  }
  return out;
}

/** Runs every golden case of a family; `only` keeps cases whose name contains it. */
export async function runFamily(family: Family, only?: string): Promise<FamilyOutcome[]> {
  const ctx = vectorContext();
  const out: FamilyOutcome[] = [];
  for (const x of familyCases(family)) {
    if (only !== undefined && !x.case.name.includes(only)) continue;
    out.push({ ...x, outcome: await runCase(family, x.case, ctx, x.file) });
  }
  if (out.length === 0) throw new Error(`no golden case for ${family.name}`);
  return out;
}

/** Cases that did not pass and were not marked `skip`, as lines a person can read; empty when all is well. */
export function notPassed(outcomes: readonly FamilyOutcome[]): string[] {
  return outcomes
    .filter((o) => o.outcome.kind === 'failed' || o.outcome.kind === 'uncovered')
    .map((o) => {
      const detail = 'detail' in o.outcome ? o.outcome.detail : '';
      return `${o.file} ${o.case.name} [${o.case.line}]: ${o.outcome.kind}: ${detail}`;
    });
}

/** Which leaves to damage, and of how many cases. */
export interface DamageOptions {
  /** Every n-th case of the family, default so that about 40 remain. */
  readonly every?: number;
  /** Leaves per case, spread over its `out`; default 4. */
  readonly leaves?: number;
  /** Paths README calls observations: `*` stands for one key or index, `**` for any rest. */
  readonly observations?: readonly string[];
  /** Only cases whose name contains this. */
  readonly only?: string;
}

/** A damaged copy that was taken for good. */
export interface Survivor {
  readonly name: string;
  readonly line: string;
  readonly path: string;
}

/** How many cases are damaged when nothing is said: enough for each group, quick enough for every run. */
const damagedCasesMax = 40;
const damagedLeavesMax = 4;

type Path = readonly (string | number)[];

function leavesOf(v: Json, at: Path = []): Path[] {
  if (Array.isArray(v)) return v.flatMap((x, i) => leavesOf(x as Json, [...at, i]));
  if (v !== null && typeof v === 'object')
    return Object.entries(v).flatMap(([k, x]) => leavesOf(x as Json, [...at, k]));
  return [at];
}

function damagedLeaf(v: Json): Json {
  if (typeof v === 'boolean') return !v;
  if (typeof v === 'number') return v + 1;
  if (v === null) return '00';
  if (typeof v !== 'string') throw new TypeError('not a leaf');
  if (v === '') return '00';
  // The last character, so that hex stays hex, digits stay digits and text stays text of the same length.
  const last = v[v.length - 1]!;
  return v.slice(0, -1) + (last === '1' ? '2' : '1');
}

function withLeaf(v: Json, path: Path, change: (leaf: Json) => Json): Json {
  if (path.length === 0) return change(v);
  const [head, ...rest] = path;
  if (Array.isArray(v))
    return v.map((x, i) => (i === head ? withLeaf(x as Json, rest, change) : (x as Json)));
  const object = v as JsonObject;
  return { ...object, [head!]: withLeaf(object[head!]!, rest, change) };
}

const show = (path: Path): string =>
  path.map((p, i) => (typeof p === 'number' ? `[${p}]` : i === 0 ? p : `.${p}`)).join('');

function isObservation(patterns: readonly string[], path: string): boolean {
  return patterns.some((p) => {
    const rx = p
      .split('**')
      .map((part) =>
        part
          .split('*')
          .map((s) => s.replace(/[.[\]\\^$+?(){}|]/g, '\\$&'))
          .join('[^.\\[\\]]*'),
      )
      .join('.*');
    return new RegExp(`^${rx}$`).test(path);
  });
}

/** Single-leaf damages of a case that no implementation may pass. */
function damages(
  c: VectorCase,
  leaves: number,
  observations: readonly string[],
): { path: string; c: VectorCase }[] {
  const s = c.strict;
  if (s !== undefined) {
    if (typeof s.accept === 'boolean' && !hasParts(s) && s.optional !== true && s.note === undefined)
      return [{ path: 'strict.accept', c: { ...c, strict: { ...s, accept: !s.accept } } }];
    // Notes, parts and optional refusals replace `out` in words: only their family knows which leaves count.
    return [];
  }
  if (expectsRefusal(c)) return [{ path: 'out', c: { ...c, out: { unexpectedlyAccepted: '00' } } }];
  const all = leavesOf(c.out).filter((p) => p.length > 0 && !isObservation(observations, show(p)));
  const step = Math.max(1, all.length / leaves);
  const out: { path: string; c: VectorCase }[] = [];
  for (let at = 0; at < all.length && out.length < leaves; at += step) {
    const path = all[Math.floor(at)]!;
    out.push({
      path: `out.${show(path)}`,
      c: { ...c, out: withLeaf(c.out, path, damagedLeaf) as JsonObject },
    });
  }
  return out;
}

/**
 * Damages single compared leaves of a sample of a family's golden cases and returns the copies that still
 * pass. Only cases that pass undamaged are used. Expected: an empty list.
 */
export async function damageSample(family: Family, options: DamageOptions = {}): Promise<Survivor[]> {
  const ctx = vectorContext();
  const cases = familyCases(family).filter(
    (x) => options.only === undefined || x.case.name.includes(options.only),
  );
  const every = options.every ?? Math.max(1, Math.floor(cases.length / damagedCasesMax));
  const survivors: Survivor[] = [];
  let tried = 0;
  for (let i = 0; i < cases.length; i += every) {
    const { file, case: c } = cases[i]!;
    if ((await runCase(family, c, ctx, file)).kind !== 'passed') continue;
    for (const d of damages(c, options.leaves ?? damagedLeavesMax, options.observations ?? [])) {
      tried++;
      if ((await runCase(family, d.c, ctx, file)).kind === 'passed')
        survivors.push({ name: c.name, line: c.line, path: d.path });
    }
  }
  if (tried === 0) throw new Error(`nothing of ${family.name} could be damaged`);
  return survivors;
}
