import { existsSync, readFileSync } from 'node:fs';
import {
  type Config,
  ConfigError,
  environmentName,
  flagOf,
  resolveConfig,
  SETTINGS,
} from '../operator/index.js';
import { type FlagSpec, type ParsedArgs, parseArgs, renderHelp } from './args.js';
import { Exit, usageError } from './exit.js';
import { serve } from './relay-serve.js';
import { versionText } from './version.js';

/** The reference's file name, in the working directory. */
const DEFAULT_CONFIG_FILE = 'ixian.cfg';

/** Switches of `starling relay`: every setting of the configuration has one. */
export const RELAY_FLAGS: readonly FlagSpec[] = [
  {
    name: 'config',
    value: 'FILE',
    help: `configuration file (default ${DEFAULT_CONFIG_FILE}, may be missing)`,
  },
  { name: 'strict-config', help: 'unknown keys in the file are errors' },
  ...SETTINGS.map((s): FlagSpec => {
    const base = { name: flagOf(s), help: s.about, ...(s.short === undefined ? {} : { short: s.short }) };
    const value =
      s.value.kind === 'switch'
        ? {}
        : { value: s.value.kind === 'whole' ? 'N' : s.value.kind === 'path' ? 'PATH' : 'TEXT' };
    return { ...base, ...value, ...(s.repeat === true ? { repeat: true } : {}) };
  }),
];

/** Reads configuration file, environment and switches of a relay command. */
export function relayConfig(a: ParsedArgs): Config {
  const path = a.get('config') ?? DEFAULT_CONFIG_FILE;
  let file: { path: string; text: string } | null = null;
  if (existsSync(path)) file = { path, text: readFileSync(path, 'utf8') };
  else if (a.has('config')) throw usageError(`there is no configuration file ${path}`);
  const flags = new Map<string, readonly string[]>();
  for (const s of SETTINGS) if (a.has(flagOf(s))) flags.set(flagOf(s), a.all(flagOf(s)));
  try {
    return resolveConfig({
      flags,
      environment: process.env,
      file,
      strict: a.has('strict-config'),
      readSecret: (p) => readFileSync(p, 'utf8'),
    });
  } catch (e) {
    if (e instanceof ConfigError) throw usageError(e.message);
    throw e;
  }
}

/** `starling relay`: an S2 relay with the reference's switches and configuration file. */
export async function run(args: string[]): Promise<number> {
  const a = parseArgs(args, RELAY_FLAGS);
  if (a.has('help')) {
    process.stdout.write(
      renderHelp({
        usage: 'starling relay [SWITCHES]',
        about:
          'Runs an S2 relay: over TCP on the protocol’s port, over WebSocket on the next one.\nSwitches win over environment variables, those over the file, that over the defaults.',
        flags: RELAY_FLAGS,
        notes: [
          `Every setting has an environment variable, e.g. ${environmentName('apiPort')}; lists are separated by commas.`,
        ],
      }),
    );
    return Exit.ok;
  }
  if (a.has('version')) {
    process.stdout.write(`${versionText()}\n`);
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  const config = relayConfig(a);
  for (const w of config.warnings) process.stderr.write(`starling: warning: ${w}\n`);
  return serve(config, () => relayConfig(a), args);
}
