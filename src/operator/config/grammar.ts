/** One `key = value` of a configuration file. */
export interface FileEntry {
  readonly key: string;
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

/** Keys whose values are taken literally: a `#` may be part of a password. */
export type IsSecret = (key: string) => boolean;

/** Cuts a comment that follows white space, except inside double quotes (docs/protocol/11 §1.1, mended). */
function withoutComment(value: string): string {
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    if (value[i] === '"') quoted = !quoted;
    if (value[i] === '#' && !quoted && i > 0 && /\s/.test(value[i - 1]!)) return value.slice(0, i).trimEnd();
  }
  return value;
}

/** Double quotes around a whole value are not part of it. */
function withoutQuotes(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/**
 * Reads the reference's `ixian.cfg` grammar: one `key = value` per line, keys case-sensitive, lines without `=`
 * ignored, `;` and `#` start comment lines. Everything behind the first `=` belongs to the value.
 */
export function parseConfigText(text: string, isSecret: IsSecret = () => false): FileEntry[] {
  const out: FileEntry[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  lines.forEach((raw, i) => {
    const line = raw.trim();
    if (line === '' || line.startsWith(';') || line.startsWith('#')) return;
    const at = line.indexOf('=');
    if (at < 0) return;
    const key = line.slice(0, at).trim();
    const value = line.slice(at + 1).trim();
    out.push({ key, value: isSecret(key) ? value : withoutQuotes(withoutComment(value)), line: i + 1 });
  });
  return out;
}
