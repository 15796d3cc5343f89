import { existsSync, readFileSync } from 'node:fs';
import { enableRelaxedSimd } from '../core/node/index.js';
import {
  type ConfigChange,
  ConfigError,
  replaceFile,
  resolveConfig,
  setConfigValues,
} from '../operator/index.js';
import { type FlagSpec, parseArgs, parseWhole, renderHelp } from './args.js';
import { CliError, Exit, usageError } from './exit.js';
import { type Output, processOutput, progressLine } from './terminal.js';
import { type TuneReport, tune } from './tune/measure.js';
import { tuneText } from './tune/text.js';

/** Enough for each of about eighty figures to be measured in several rounds. */
const secondsDefault = 8;
const secondsMin = 0.2;
const secondsMax = 600;

const FLAGS: readonly FlagSpec[] = [
  { name: 'json', help: 'print one JSON object instead of tables' },
  { name: 'write', value: 'FILE', help: 'set verifyEngine and verifyThreads in this configuration file' },
  {
    name: 'seconds',
    value: 'S',
    help: `time for all measuring, ${secondsMin} to ${secondsMax} (default ${secondsDefault})`,
  },
  { name: 'threads', value: 'N', help: 'try up to so many threads (default: the cores, at most 4)' },
];

function parseSeconds(text: string | undefined): number {
  if (text === undefined) return secondsDefault;
  const n = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(n >= secondsMin && n <= secondsMax))
    throw usageError(`--seconds must be a number from ${secondsMin} to ${secondsMax}`);
  return n;
}

/** The text of a configuration file that a relay could read; '' for one that is still to be made. */
function readable(path: string): string {
  try {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    check(path, text);
    return text;
  } catch (e) {
    if (e instanceof ConfigError) throw usageError(e.message);
    throw usageError(`cannot read ${path}: ${(e as Error).message}`);
  }
}

function check(path: string, text: string): void {
  resolveConfig({ flags: new Map(), environment: {}, file: { path, text }, readSecret: () => '' });
}

async function write(
  path: string,
  before: string,
  choice: TuneReport['choice'],
): Promise<readonly ConfigChange[]> {
  const { text, changes } = setConfigValues(before, {
    verifyEngine: choice.verifyEngine,
    verifyThreads: String(choice.verifyThreads),
  });
  if (changes.length === 0) return changes;
  check(path, text);
  if (existsSync(path) && readFileSync(path, 'utf8') !== before)
    throw new CliError(`${path} was changed meanwhile; nothing was written`, Exit.failed);
  try {
    await replaceFile(path, text);
  } catch (e) {
    throw new CliError(`cannot write ${path}: ${(e as Error).message}`, Exit.failed);
  }
  return changes;
}

function changesText(path: string, changes: readonly ConfigChange[]): string {
  if (changes.length === 0) return `${path} says so already; nothing was written\n`;
  const lines = changes.map(
    (c) =>
      `${path}:${c.line}: ${c.key} = ${c.after} (${c.before === null ? 'was not set' : `was ${c.before}`})`,
  );
  return `${lines.join('\n')}\nA running relay takes it with its next start.\n`;
}

/** What a test may replace. */
export interface TuneWorld {
  readonly workerUrl?: URL;
}

/** `starling tune`: measures what a choice depends on, shows it, and writes the choice on request. */
export async function run(
  args: readonly string[],
  o: Output = processOutput(),
  world: TuneWorld = {},
): Promise<number> {
  const a = parseArgs(args, FLAGS);
  if (a.has('help')) {
    o.out(
      renderHelp({
        usage: 'starling tune [--json] [--write FILE] [--seconds S]',
        about:
          'Measures the verify engines by key size and batch, threads, and SHA3-512 by length on this machine,\nand names what suits a relay here. Run it on a quiet machine.',
        flags: FLAGS,
        notes: [
          'A relay with verifyEngine = auto measures by itself when it starts: docs/tune.md says when to set it by hand.',
        ],
      }),
    );
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  const seconds = parseSeconds(a.get('seconds'));
  const threads = a.get('threads');
  const path = a.get('write');
  // A file that cannot be used is told before anything is measured.
  const before = path === undefined ? '' : readable(path);
  enableRelaxedSimd();
  const line = progressLine(o);
  const report = await tune({
    seconds,
    progress: (text) => line.show(text),
    ...(threads === undefined ? {} : { threadsMax: parseWhole(threads, '--threads', 1, 64) }),
    ...world,
  });
  line.done();
  const changes = path === undefined ? null : await write(path, before, report.choice);
  if (a.has('json')) o.out(`${JSON.stringify({ ...report, ...(changes === null ? {} : { changes }) })}\n`);
  else {
    o.out(tuneText(o, report));
    if (changes !== null) o.out(`\n${changesText(path!, changes)}`);
  }
  return Exit.ok;
}
