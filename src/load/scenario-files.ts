import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LoadError } from './errors.js';
import { parseScenario, type Scenario } from './scenario.js';

/** The scenarios that come with the package: the same place seen from the sources and from the built files. */
const folder = fileURLToPath(new URL('../../scenarios/', import.meta.url));

/** Names of the scenarios that come with the package. */
export function builtInScenarios(): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => basename(name, '.json'))
    .sort();
}

/**
 * Reads a scenario: a name of {@link builtInScenarios}, or the path of a JSON file. `settings` replace single values,
 * e.g. `groups.0.clients` → `50`; each value is JSON, or text where it is none.
 *
 * @throws LoadError of kind `scenario`.
 */
export function loadScenario(
  nameOrPath: string,
  settings: readonly (readonly [path: string, value: unknown])[] = [],
): Scenario {
  const isName = /^[\w-]+$/.test(nameOrPath);
  const path = isName ? join(folder, `${nameOrPath}.json`) : nameOrPath;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (e) {
    const known = isName ? `: there are ${builtInScenarios().join(', ')}` : ` (${(e as Error).message})`;
    throw new LoadError('scenario', `no scenario ${nameOrPath}${known}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (e) {
    throw new LoadError('scenario', `${nameOrPath} is not JSON: ${(e as Error).message}`);
  }
  for (const [at, replacement] of settings) value = withSetting(value, at, replacement);
  return parseScenario(value);
}

/** A copy of parsed JSON with the value at a dotted path replaced or added. Throws LoadError where no object is. */
export function withSetting(value: unknown, path: string, replacement: unknown): unknown {
  const copy = structuredClone(value);
  const names = path.split('.');
  const last = names.pop()!;
  let at: unknown = copy;
  for (const name of names) at = isContainer(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  if (!isContainer(at) || last === '' || last === '__proto__')
    throw new LoadError('scenario', `the scenario has no place ${path}`);
  at[last] = replacement;
  return copy;
}

function isContainer(v: unknown): v is Record<string, unknown> {
  return typeof v === 'object' && v !== null;
}
