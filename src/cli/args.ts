import { nearest } from '../operator/index.js';
import { usageError } from './exit.js';

/** One switch of a command. */
export interface FlagSpec {
  /** Name without dashes, e.g. `json`. */
  readonly name: string;
  /** One letter, e.g. `p`. */
  readonly short?: string;
  /** What stands for the value in help; absent = a switch without a value. */
  readonly value?: string;
  /** May be given more than once. */
  readonly repeat?: boolean;
  readonly help: string;
}

/** A parsed command line. */
export interface ParsedArgs {
  readonly positionals: readonly string[];
  /** True when the switch was given, with or without a value. */
  has(name: string): boolean;
  /** The last value given. */
  get(name: string): string | undefined;
  all(name: string): readonly string[];
}

const HELP: FlagSpec = { name: 'help', short: 'h', help: 'show this help' };

/**
 * Parses switches in the four forms of the reference, `-x v`, `--name v`, `--name=v` and `--name:v`
 * (docs/protocol/11 §1.1), and refuses unknown ones, which the reference ignores. `--` ends the switches.
 *
 * @throws CliError with exit code 2.
 */
export function parseArgs(args: readonly string[], specs: readonly FlagSpec[]): ParsedArgs {
  const known = [...specs, HELP];
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  const take = (spec: FlagSpec, shown: string, value: string | undefined): void => {
    const list = values.get(spec.name) ?? [];
    if (spec.value !== undefined && value === undefined)
      throw usageError(`${shown} needs a value (${spec.value})`);
    if (spec.value === undefined && value !== undefined && value !== '')
      throw usageError(`${shown} takes no value`);
    if (list.length > 0 && spec.repeat !== true) throw usageError(`${shown} is given more than once`);
    list.push(value ?? '');
    values.set(spec.name, list);
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--') {
      positionals.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith('-') || arg === '-' || /^-\d/.test(arg)) {
      positionals.push(arg);
      continue;
    }
    const m = /^(--?)([^=:]*)(?:[=:](.*))?$/s.exec(arg)!;
    const long = m[1] === '--';
    const name = m[2]!;
    const spec = known.find((s) => (long ? s.name === name : s.short === name));
    if (spec === undefined) {
      const guess = nearest(
        name,
        known.map((s) => s.name),
      );
      throw usageError(`unknown switch ${m[1]}${name}`, guess === null ? '' : `did you mean --${guess}?`);
    }
    let value = m[3];
    if (value === undefined && spec.value !== undefined && i + 1 < args.length) value = args[++i];
    take(spec, `${m[1]}${name}`, value);
  }
  return {
    positionals,
    has: (n) => values.has(n),
    get: (n) => values.get(n)?.at(-1),
    all: (n) => values.get(n) ?? [],
  };
}

/** Parses a whole number within a range. */
export function parseWhole(text: string, what: string, min: number, max: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(n >= min && n <= max)) throw usageError(`${what} must be a whole number from ${min} to ${max}`);
  return n;
}

/** What `--help` of a command shows. */
export interface HelpText {
  readonly usage: string;
  readonly about: string;
  readonly flags: readonly FlagSpec[];
  /** Further paragraphs, shown as they are. */
  readonly notes?: readonly string[];
}

/** Renders help, switches in one aligned column. */
export function renderHelp(h: HelpText): string {
  const lines = [`Usage: ${h.usage}`, '', h.about];
  const left = (f: FlagSpec): string =>
    `${f.short === undefined ? '   ' : `-${f.short},`} --${f.name}${f.value === undefined ? '' : ` ${f.value}`}`;
  const flags = [...h.flags, HELP];
  const width = Math.max(...flags.map((f) => left(f).length));
  lines.push('');
  for (const f of flags) lines.push(`  ${left(f).padEnd(width)}  ${f.help}`);
  for (const n of h.notes ?? []) lines.push('', n);
  return `${lines.join('\n')}\n`;
}
