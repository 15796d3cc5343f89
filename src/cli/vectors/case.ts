/** JSON as it stands in a conformance file. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** One question with the observed answer; its key is name + line (test/vectors/README.md §1). */
export interface VectorCase {
  readonly name: string;
  /** `both`, `0.9.7`, `0.9.8`, or one line per party. */
  readonly line: string;
  readonly in: JsonObject;
  readonly out: JsonObject;
  /** Where we are stricter than the reference (README §6). */
  readonly strict?: JsonObject;
}

/** What a family may look at besides the case: the other files of the same folder. */
export interface VectorContext {
  /** Verify engine that the run asks for; undefined = the default one. */
  readonly engine?: string;
  /** All cases of another file of the folder, e.g. `wallets.json`. Throws when the file is missing. */
  cases(file: string): readonly VectorCase[];
  /** The case of that name in that file. Throws when it is missing. */
  find(file: string, name: string): VectorCase;
  /** A whole file as JSON (recorded sessions). */
  file(file: string): JsonObject;
}

/** What our implementation answered to a case. */
export type Answer =
  /** The computed `out`. Every member the file expects must be in it and equal, unless listed in `ignore`. */
  | { readonly out: JsonObject; readonly ignore?: readonly string[] }
  /** Our decoder or verifier refused the input; passes only where refusal is expected. */
  | { readonly refused: string }
  /** Nothing here can run this case. */
  | { readonly uncovered: string };

export type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly detail: string }
  | { readonly kind: 'uncovered'; readonly detail: string }
  | { readonly kind: 'skipped'; readonly detail: string };

/** A conformance family: which files it reads and how it answers their cases. */
export interface Family {
  /** Shown in the table, e.g. `01-encoding`. */
  readonly name: string;
  readonly files: readonly string[];
  /**
   * Runs one case. Normally returns an {@link Answer}, which {@link judge} compares; may return an
   * {@link Outcome} itself where the comparison is not field by field (multi-step and strict cases).
   * A typed error thrown here counts as `refused`.
   */
  run(c: VectorCase, ctx: VectorContext, file: string): Promise<Answer | Outcome> | Answer | Outcome;
}

/** True when the file expects this case to fail in strict mode (README §1 "Errors" and §6). */
export function expectsRefusal(c: VectorCase): boolean {
  if (c.strict !== undefined && typeof c.strict.accept === 'boolean' && !hasParts(c.strict))
    return !c.strict.accept;
  return 'error' in c.out || c.out.accept === false;
}

/** A strict mark that names only some steps or members judges just those; the family must do it. */
export function hasParts(strict: JsonObject): boolean {
  return 'steps' in strict || 'field' in strict;
}

export interface Mismatch {
  readonly path: string;
  readonly detail: string;
}

const isHex = (s: string): boolean => s.length % 2 === 0 && /^[0-9a-f]*$/.test(s);

function describe(expected: Json, actual: Json | undefined): string {
  if (typeof expected === 'string' && typeof actual === 'string') {
    if (isHex(expected) && isHex(actual) && expected.length > 2) {
      let i = 0;
      while (i < expected.length && expected[i] === actual[i]) i++;
      const at = i >> 1;
      const cut = (s: string): string => s.slice(at * 2, at * 2 + 16) || '(end)';
      return `first differing byte ${at}: expected ${cut(expected)}…, got ${cut(actual)}…`;
    }
    let i = 0;
    while (i < expected.length && expected[i] === actual[i]) i++;
    return `differs at character ${i}: expected ${JSON.stringify(expected.slice(0, 80))}, got ${JSON.stringify(actual.slice(0, 80))}`;
  }
  const text = (v: Json | undefined): string =>
    v === undefined ? 'nothing' : JSON.stringify(v).slice(0, 80);
  return `expected ${text(expected)}, got ${text(actual)}`;
}

/**
 * Deep comparison of what the file expects with what we computed. Every expected member must be computed;
 * members we compute beyond that are fine. `ignore` holds paths with `*` for any array index or key.
 */
export function compareOut(
  expected: Json,
  actual: Json | undefined,
  ignore: readonly string[] = [],
  path = '',
): Mismatch | null {
  if (path !== '' && ignore.some((p) => matches(p, path))) return null;
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return { path, detail: describe(expected, actual) };
    if (expected.length !== actual.length)
      return { path, detail: `expected ${expected.length} entries, got ${actual.length}` };
    for (let i = 0; i < expected.length; i++) {
      const m = compareOut(expected[i]!, actual[i], ignore, `${path}[${i}]`);
      if (m !== null) return m;
    }
    return null;
  }
  if (expected !== null && typeof expected === 'object') {
    if (actual === null || actual === undefined || typeof actual !== 'object' || Array.isArray(actual))
      return { path, detail: describe(expected as Json, actual) };
    for (const [key, value] of Object.entries(expected)) {
      const at = path === '' ? key : `${path}.${key}`;
      const m = compareOut(value, (actual as JsonObject)[key], ignore, at);
      if (m !== null) return m;
    }
    return null;
  }
  return expected === actual ? null : { path, detail: describe(expected, actual) };
}

function matches(pattern: string, path: string): boolean {
  const rx = pattern
    .split('*')
    .map((s) => s.replace(/[.[\]\\^$+?(){}|]/g, '\\$&'))
    .join('[^.\\[\\]]*');
  return new RegExp(`^${rx}$`).test(path);
}

/** Turns an answer into the verdict on the case. */
export function judge(c: VectorCase, answer: Answer | Outcome): Outcome {
  if ('kind' in answer) return answer;
  if ('uncovered' in answer) return { kind: 'uncovered', detail: answer.uncovered };
  if (c.strict?.skip === true) return { kind: 'skipped', detail: String(c.strict.rule ?? '') };
  const refusalWanted = expectsRefusal(c);
  if ('refused' in answer) {
    if (refusalWanted || c.strict?.optional === true) return { kind: 'passed' };
    return { kind: 'failed', detail: `refused (${answer.refused}), but acceptance is expected` };
  }
  if (refusalWanted) return { kind: 'failed', detail: 'accepted, but refusal is expected' };
  const m = compareOut(c.out, answer.out, answer.ignore);
  if (m === null) return { kind: 'passed' };
  return { kind: 'failed', detail: `${m.path}: ${m.detail}` };
}
