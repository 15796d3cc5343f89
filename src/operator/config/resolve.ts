import { parseConfigText } from './grammar.js';
import { nearest } from './nearest.js';
import { environmentName, flagOf, SETTINGS, type Setting } from './settings.js';

/** Where a value came from. */
export type Origin =
  | { readonly from: 'flag' }
  | { readonly from: 'environment'; readonly name: string }
  | { readonly from: 'file'; readonly file: string; readonly line: number }
  | { readonly from: 'default' };

/** One setting with the value in force. */
export interface Resolved {
  readonly setting: Setting;
  /** Several for repeatable settings, none when absent. */
  readonly values: readonly string[];
  readonly origin: Origin;
}

/** A configuration that cannot be used; names the place, the key and what would be allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Everything a configuration is made of. The caller reads files and the command line. */
export interface ConfigSources {
  /** Switches given, by name without dashes. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Path and text of the file, null when there is none. */
  readonly file: { readonly path: string; readonly text: string } | null;
  /** Unknown keys are errors instead of warnings. */
  readonly strict?: boolean;
  /** Reads the `…File` twin of a secret. Throws when it cannot. */
  readonly readSecret?: (path: string) => string;
}

/** The configuration in force, with what should be told to the operator. */
export class Config {
  readonly #values: ReadonlyMap<string, Resolved>;
  constructor(
    values: ReadonlyMap<string, Resolved>,
    readonly warnings: readonly string[],
  ) {
    this.#values = values;
  }

  /** Every setting in the order of the sample file. */
  all(): readonly Resolved[] {
    return [...this.#values.values()];
  }

  #get(key: string): Resolved {
    const r = this.#values.get(key);
    if (r === undefined) throw new TypeError(`no setting ${key}`);
    return r;
  }

  /** The last value, null when there is none. */
  text(key: string): string | null {
    return this.#get(key).values.at(-1) ?? null;
  }

  list(key: string): readonly string[] {
    return this.#get(key).values;
  }

  whole(key: string): number {
    return Number(this.text(key));
  }

  on(key: string): boolean {
    return isOn(this.text(key) ?? '0');
  }

  origin(key: string): Origin {
    return this.#get(key).origin;
  }
}

const isOn = (value: string): boolean => !['0', 'false', 'no', 'off'].includes(value.toLowerCase());

/** What a value may be, for error messages. */
export function allowed(s: Setting): string {
  switch (s.value.kind) {
    case 'whole':
      return [
        `a whole number from ${s.value.min} to ${s.value.max}${s.value.unit === '' ? '' : ` (${s.value.unit})`}`,
        ...(s.value.or ?? []),
      ].join(' or ');
    case 'choice':
      return s.value.values.join(' or ');
    case 'switch':
      return '0 or 1';
    case 'text':
    case 'path':
      return 'text';
  }
}

function fits(s: Setting, value: string): boolean {
  switch (s.value.kind) {
    case 'whole':
      return (
        s.value.or?.includes(value.toLowerCase()) === true ||
        (/^\d+$/.test(value) && Number(value) >= s.value.min && Number(value) <= s.value.max)
      );
    case 'choice':
      return s.value.values.some((v) => v.toLowerCase() === value.toLowerCase());
    case 'switch':
      return /^(0|1|true|false|yes|no|on|off|)$/i.test(value);
    case 'text':
    case 'path':
      return true;
  }
}

const TEST_NETWORKS: readonly string[] = ['testnet', 'regtest'];

/** Keys a file may hold, with the setting each belongs to and whether it counts on this network. */
function fileKeys(isTest: boolean): Map<string, { setting: Setting; counts: boolean }> {
  const out = new Map<string, { setting: Setting; counts: boolean }>();
  for (const s of SETTINGS) {
    if (s.commandLineOnly === true) continue;
    out.set(s.key, { setting: s, counts: s.testKey === undefined || !isTest });
    if (s.testKey !== undefined) out.set(s.testKey, { setting: s, counts: isTest });
    if (s.secret === true) out.set(`${s.key}File`, out.get(`${s.key}File`) ?? { setting: s, counts: true });
  }
  return out;
}

/**
 * Flag before environment before file before default (docs/protocol/11 §1.5).
 *
 * @throws ConfigError for a value outside its range, and in strict mode for an unknown key.
 */
export function resolveConfig(sources: ConfigSources): Config {
  const warnings: string[] = [];
  const secretKeys = new Set(SETTINGS.filter((s) => s.secret === true).map((s) => s.key));
  const entries = sources.file === null ? [] : parseConfigText(sources.file.text, (k) => secretKeys.has(k));
  const network = networkOf(sources, entries);
  const isTest = TEST_NETWORKS.includes(network);
  const keys = fileKeys(isTest);
  const fromFile = new Map<string, { values: string[]; line: number }>();
  for (const e of entries) {
    const known = keys.get(e.key);
    if (known === undefined) {
      const guess = nearest(e.key, [...keys.keys()]);
      const where = `${sources.file!.path}:${e.line}: unknown key ${e.key}`;
      const text = guess === null ? where : `${where}, did you mean ${guess}?`;
      if (sources.strict === true) throw new ConfigError(text);
      warnings.push(text);
      continue;
    }
    const { setting } = known;
    const isTwin = setting.secret === true && e.key === `${setting.key}File`;
    if (!isTwin && !fits(setting, e.value))
      throw new ConfigError(
        `${sources.file!.path}:${e.line}: ${e.key} must be ${allowed(setting)}${setting.secret === true ? '' : `, not ${JSON.stringify(e.value)}`}`,
      );
    if (!known.counts) continue;
    if (setting.withoutEffect === true && !fromFile.has(setting.key))
      warnings.push(`${sources.file!.path}:${e.line}: ${e.key} has no effect`);
    const value = isTwin ? secretFromFile(sources, e.value, e.key) : e.value;
    const old = fromFile.get(setting.key);
    if (old === undefined) fromFile.set(setting.key, { values: [value], line: e.line });
    else if (setting.repeat === true) addRepeated(setting, old.values, value, warnings);
    else {
      warnings.push(`${sources.file!.path}:${e.line}: ${e.key} is given again, the last one counts`);
      fromFile.set(setting.key, { values: [value], line: e.line });
    }
  }
  const out = new Map<string, Resolved>();
  for (const s of SETTINGS) out.set(s.key, resolveOne(s, sources, fromFile.get(s.key), isTest));
  const net = out.get('networkType')!;
  out.set('networkType', { ...net, values: [network] });
  return new Config(out, warnings);
}

function secretFromFile(sources: ConfigSources, path: string, key: string): string {
  if (sources.readSecret === undefined)
    throw new ConfigError(`${key}: secrets cannot be read from files here`);
  try {
    return sources.readSecret(path).replace(/\r?\n$/, '');
  } catch (e) {
    throw new ConfigError(`${key}: cannot read ${path}: ${e instanceof Error ? e.message : String(e)}`);
  }
}

/** API users are keyed by name: the last password of a user counts, with a warning (11 §1.1). */
function addRepeated(s: Setting, values: string[], value: string, warnings: string[]): void {
  if (s.key === 'addApiUser') {
    const user = value.split(':')[0]!;
    const at = values.findIndex((v) => v.split(':')[0] === user);
    if (at >= 0) {
      warnings.push(`addApiUser is given again for user ${user}, the last one counts`);
      values.splice(at, 1);
    }
  }
  values.push(value);
}

function networkOf(sources: ConfigSources, entries: readonly { key: string; value: string }[]): string {
  const flagged = sources.flags.get('networkType')?.at(-1);
  if (flagged !== undefined) return flagged.toLowerCase();
  const short = sources.flags.get('testnet');
  if (short !== undefined && isOn(short.at(-1) === '' ? '1' : short.at(-1)!)) return 'testnet';
  const environment = sources.environment[environmentName('networkType')];
  if (environment !== undefined && environment !== '') return environment.toLowerCase();
  const filed = entries.filter((e) => e.key === 'networkType').at(-1)?.value;
  return (filed ?? 'mainnet').toLowerCase();
}

function resolveOne(
  s: Setting,
  sources: ConfigSources,
  filed: { values: readonly string[]; line: number } | undefined,
  isTest: boolean,
): Resolved {
  const flag = sources.flags.get(flagOf(s));
  if (flag !== undefined) {
    const values = s.value.kind === 'switch' ? flag.map((v) => (v === '' ? '1' : v)) : flag;
    check(s, values, `--${flagOf(s)}`);
    return { setting: s, values, origin: { from: 'flag' } };
  }
  const name = environmentName(s.key);
  const given = sources.environment[name];
  if (given !== undefined && given !== '') {
    const values = s.repeat === true ? given.split(',').map((v) => v.trim()) : [given];
    check(s, values, name);
    return { setting: s, values, origin: { from: 'environment', name } };
  }
  if (s.secret === true) {
    const twin = sources.environment[`${name}_FILE`];
    if (twin !== undefined && twin !== '')
      return {
        setting: s,
        values: [secretFromFile(sources, twin, `${name}_FILE`)],
        origin: { from: 'environment', name: `${name}_FILE` },
      };
  }
  if (filed !== undefined)
    return {
      setting: s,
      values: filed.values,
      origin: { from: 'file', file: sources.file!.path, line: filed.line },
    };
  const fallback = isTest ? (s.testDefault ?? s.default) : s.default;
  return { setting: s, values: fallback === null ? [] : [fallback], origin: { from: 'default' } };
}

function check(s: Setting, values: readonly string[], where: string): void {
  for (const v of values)
    if (!fits(s, v))
      throw new ConfigError(
        `${where} must be ${allowed(s)}${s.secret === true ? '' : `, not ${JSON.stringify(v)}`}`,
      );
}
