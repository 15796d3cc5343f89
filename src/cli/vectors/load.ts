import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Family, Json, JsonObject, VectorCase, VectorContext } from './case.js';

/** A file under the folder that cannot be used as a conformance file although it has the shape of one. */
export class VectorFileError extends Error {
  override readonly name = 'VectorFileError';
}

/** Raised when a case refers to a file or a case that is not there; the case then counts as not covered. */
export class MissingVectorError extends Error {
  override readonly name = 'MissingVectorError';
}

/** One conformance file: `{family, source, cases}` (test/vectors/README.md §1). */
export interface CaseFile {
  readonly kind: 'cases';
  /** Path relative to the folder that was asked for. */
  readonly path: string;
  readonly family: string;
  readonly cases: readonly VectorCase[];
}

/** One recorded network session (test/vectors/README.md §5). */
export interface SessionFile {
  readonly kind: 'session';
  readonly path: string;
  readonly session: JsonObject;
}

export type VectorFile = CaseFile | SessionFile;

/** Deepest folder below the one asked for; conformance sets are flat or one level deep. */
const folderDepthMax = 3;

const isObject = (v: Json | undefined): v is JsonObject =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/** File name without folder and `.json`. */
export const stem = (path: string): string => basename(path).replace(/\.json$/, '');

function jsonPaths(folder: string, depth: number): string[] {
  const out: string[] = [];
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const e of entries) {
    const path = join(folder, e.name);
    if (e.isDirectory() && depth > 0 && !e.name.startsWith('.') && e.name !== 'node_modules')
      out.push(...jsonPaths(path, depth - 1));
    else if (!e.isDirectory() && e.name.endsWith('.json')) out.push(path);
  }
  return out;
}

function parseCase(v: Json, path: string, index: number): VectorCase {
  const where = `${path}: case ${index}`;
  if (!isObject(v)) throw new VectorFileError(`${where} is not an object`);
  if (typeof v.name !== 'string') throw new VectorFileError(`${where} has no name`);
  if (!isObject(v.in)) throw new VectorFileError(`${where} (${v.name}) has no object "in"`);
  if (!isObject(v.out)) throw new VectorFileError(`${where} (${v.name}) has no object "out"`);
  if (v.strict !== undefined && !isObject(v.strict))
    throw new VectorFileError(`${where} (${v.name}): "strict" is not an object`);
  const c = { name: v.name, line: typeof v.line === 'string' ? v.line : 'both', in: v.in, out: v.out };
  return v.strict === undefined ? c : { ...c, strict: v.strict };
}

/** Reads one file. Null when it is JSON of another shape; throws {@link VectorFileError} when it is broken. */
export function loadVectorFile(path: string, shownAs = path): VectorFile | null {
  let json: Json;
  try {
    json = JSON.parse(readFileSync(path, 'utf8')) as Json;
  } catch (e) {
    throw new VectorFileError(`${shownAs}: ${e instanceof Error ? e.message : String(e)}`);
  }
  if (!isObject(json)) return null;
  if (Array.isArray(json.cases)) {
    const cases = (json.cases as readonly Json[]).map((c, i) => parseCase(c, shownAs, i));
    const family = typeof json.family === 'string' ? json.family : stem(path);
    return { kind: 'cases', path: shownAs, family, cases };
  }
  if (Array.isArray(json.connections)) return { kind: 'session', path: shownAs, session: json };
  return null;
}

/** Every conformance file and recorded session in a folder and the folders in it, by path. */
export function loadFolder(folder: string): VectorFile[] {
  const root = resolve(folder);
  const out: VectorFile[] = [];
  for (const path of jsonPaths(root, folderDepthMax)) {
    const f = loadVectorFile(path, relative(root, path));
    if (f !== null) out.push(f);
  }
  return out;
}

/** Where wallets are looked up when the folder itself has none: cases may travel without them. */
function fallbackFolders(folder: string): string[] {
  const up = dirname(resolve(folder));
  // The modules lie three levels below the package, the bundled command two.
  const own = ['../../../test/vectors', '../../test/vectors'].map((p) => resolve(import.meta.dirname, p));
  return [up, ...own];
}

/** The context for cases of a folder: other files of it, found by file name or by the family they state. */
export function folderContext(folder: string, files: readonly VectorFile[], engine?: string): VectorContext {
  const borrowed = new Map<string, VectorFile>();
  const borrow = (file: string): VectorFile => {
    const known = borrowed.get(file);
    if (known !== undefined) return known;
    for (const f of fallbackFolders(folder)) {
      const path = join(f, file);
      if (!existsSync(path)) continue;
      const loaded = loadVectorFile(path);
      if (loaded === null) continue;
      borrowed.set(file, loaded);
      return loaded;
    }
    throw new MissingVectorError(`${file} is not in ${folder}`);
  };
  const cases = (file: string): readonly VectorCase[] => {
    const own = files.filter((f): f is CaseFile => f.kind === 'cases');
    const exact = own.filter((f) => basename(f.path) === file);
    const kin = own.filter((f) => basename(f.path) !== file && f.family === stem(file));
    const found = [...exact, ...kin];
    if (found.length > 0) return found.flatMap((f) => f.cases);
    const other = borrow(file);
    return other.kind === 'cases' ? other.cases : [];
  };
  return {
    ...(engine === undefined ? {} : { engine }),
    cases,
    find(file, name) {
      const c = cases(file).find((x) => x.name === name);
      if (c === undefined) throw new MissingVectorError(`${file} has no case ${name}`);
      return c;
    },
    file(file) {
      const f = files.find((x) => basename(x.path) === file) ?? borrow(file);
      return f.kind === 'session' ? f.session : { family: f.family, cases: f.cases as unknown as Json };
    },
  };
}

/** Which family answers a file, and under which of its own file names the family knows it. */
export interface Assignment {
  readonly family: Family;
  readonly file: string;
}

/**
 * Finds the family of a file: by the `family` it states, else by its name. Sets of further cases carry names
 * like `03-wire-more`; the longest known name that starts them wins.
 */
export function assignFamily(families: readonly Family[], f: CaseFile): Assignment | null {
  for (const label of [f.family, stem(f.path)]) {
    let best: Assignment | null = null;
    let bestLength = 0;
    for (const family of families) {
      const names = [...family.files.map((file) => ({ label: stem(file), file }))];
      if (family.files.length === 1) names.push({ label: family.name, file: family.files[0]! });
      for (const n of names) {
        const fits = label === n.label || label.startsWith(`${n.label}-`) || label.startsWith(`${n.label}.`);
        if (fits && n.label.length > bestLength) {
          best = { family, file: n.file };
          bestLength = n.label.length;
        }
      }
    }
    if (best !== null) return best;
  }
  return null;
}
