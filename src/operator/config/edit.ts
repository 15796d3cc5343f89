import { parseConfigText } from './grammar.js';

/** What became of one key. */
export interface ConfigChange {
  readonly key: string;
  /** Line in the new text, from 1. */
  readonly line: number;
  /** The value before, null when the file did not set it. */
  readonly before: string | null;
  readonly after: string;
}

/**
 * Sets keys in the text of a configuration file and leaves every other character as it is: comments, order, line
 * ends, spaces around `=`. A key that is set keeps its place (the last one counts, so that one is changed); one that only
 * stands there as a comment of the sample file is set below it; a new one comes last.
 */
export function setConfigValues(
  text: string,
  values: Readonly<Record<string, string>>,
): { readonly text: string; readonly changes: readonly ConfigChange[] } {
  const eol = /\r\n|\n|\r/.exec(text)?.[0] ?? '\n';
  let lines = text.split(/(?<=\r\n|\n|\r(?!\n))/);
  if (lines.at(-1) === '') lines = lines.slice(0, -1);
  const changes: { key: string; before: string | null; after: string }[] = [];
  for (const [key, after] of Object.entries(values)) {
    const entry = parseConfigText(lines.join('')).findLast((e) => e.key === key);
    if (entry !== undefined) {
      if (entry.value === after) continue;
      lines[entry.line - 1] = withValue(lines[entry.line - 1]!, entry.value, after);
    } else {
      const sample = lines.findIndex((l) => new RegExp(`^\\s*[#;]\\s*${key}\\s*=`).test(l));
      const at = sample < 0 ? lines.length : sample + 1;
      const last = lines[at - 1];
      if (last !== undefined && !/[\r\n]$/.test(last)) lines[at - 1] = last + eol;
      lines.splice(at, 0, `${key} = ${after}${eol}`);
    }
    changes.push({ key, before: entry?.value ?? null, after });
  }
  const out = lines.join('');
  const entries = parseConfigText(out);
  return {
    text: out,
    changes: changes.map((c) => ({ ...c, line: entries.findLast((e) => e.key === c.key)!.line })),
  };
}

/** The line with another value: what stands before and behind it stays. */
function withValue(line: string, before: string, after: string): string {
  const start = line.indexOf('=') + 1;
  const at = before === '' ? -1 : line.indexOf(before, start);
  if (at >= 0) return line.slice(0, at) + after + line.slice(at + before.length);
  const [, space = '', rest = ''] = /^([^\S\r\n]*)([\s\S]*)$/.exec(line.slice(start))!;
  return `${line.slice(0, start)}${space === '' ? ' ' : space}${after}${rest.startsWith('#') ? ' ' : ''}${rest}`;
}
