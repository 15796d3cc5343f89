import { writeFile } from 'node:fs/promises';
import {
  builtInScenarios,
  calibrate,
  htmlReport,
  LoadError,
  loadScenario,
  parseTarget,
  processesMax,
  type RunOptions,
  runLoad,
  type Scenario,
  withCalibration,
} from '../load/index.js';
import { type FlagSpec, type ParsedArgs, parseArgs, parseWhole, renderHelp } from './args.js';
import { CliError, Exit, usageError } from './exit.js';
import { liveProgress } from './load/progress.js';
import { failuresOf, resultText } from './load/summary.js';
import { type Output, processOutput, table } from './terminal.js';

const FLAGS: readonly FlagSpec[] = [
  { name: 'target', short: 't', value: 'HOST:PORT', help: 'the relay to load' },
  { name: 'iOwnThisTarget', help: 'needed for a target that is not this machine: you may load it' },
  { name: 'wsPort', value: 'PORT', help: 'its WebSocket port (default: the next one)' },
  { name: 'network', value: 'NAME', help: 'main, test or reg (default reg)' },
  { name: 'line', value: 'LINE', help: 'speak as a client of 0.9.7 or 0.9.8 (default 0.9.8)' },
  { name: 'set', short: 's', value: 'PATH=VALUE', repeat: true, help: 'replace a value of the scenario' },
  { name: 'clients', value: 'N', help: 'the same as --set groups.0.clients=N' },
  { name: 'perSecond', value: 'N', help: 'the same as --set groups.0.activities.0.perSecond=N' },
  { name: 'seconds', value: 'N', help: 'the same as --set windowSeconds=N' },
  { name: 'processes', short: 'p', value: 'N', help: 'generator processes (default 1)' },
  { name: 'cpus', value: 'LIST', help: 'their processor cores, e.g. 1 or 2,3 (Linux)' },
  { name: 'spin', help: 'take a whole core per process and send within microseconds' },
  { name: 'seed', value: 'TEXT', help: 'what all keys are made from (default 1)' },
  { name: 'pid', value: 'PID', help: 'process of the target, to measure its processor time and memory' },
  { name: 'calibrate', help: 'run the same load against a bare sink too, to show what the generator can do' },
  { name: 'sinkCpu', value: 'N', help: 'processor core of that sink, best the one the target has (Linux)' },
  { name: 'html', value: 'FILE', help: 'write a report with charts, one file that needs nothing else' },
  { name: 'json', value: 'FILE', help: 'write the whole result as JSON; - for standard output' },
  { name: 'list', help: 'list the scenarios that come with Starling' },
];

const HELP = renderHelp({
  usage: 'starling load SCENARIO --target HOST:PORT [--set PATH=VALUE]…',
  about: `Loads an S2 relay with many clients and says what became of every message, how long it took from the
moment it was due, and whether the figures are the relay's or the generator's.`,
  flags: FLAGS,
  notes: [
    'SCENARIO is a name from --list or a JSON file (docs/load.md describes the format).',
    `Its clients' keys are made from the seed and can be broken by anybody: they are for tests only. A relay that is
not on this machine is refused without --iOwnThisTarget.`,
    `Ctrl-C ends a test in order, with its report. Exit code: 0 when no message was lost, repeated, altered or
misdelivered, 1 otherwise, 2 for wrong use.`,
  ],
});

/** Replacements of scenario values: the short forms first, then `--set` in order. */
function settingsOf(a: ParsedArgs): [string, unknown][] {
  const out: [string, unknown][] = [];
  const short: [string, string][] = [
    ['clients', 'groups.0.clients'],
    ['perSecond', 'groups.0.activities.0.perSecond'],
    ['seconds', 'windowSeconds'],
  ];
  for (const [flag, path] of short) {
    const v = a.get(flag);
    if (v !== undefined) out.push([path, jsonOrText(v)]);
  }
  for (const text of a.all('set')) {
    const equals = text.indexOf('=');
    if (equals < 1) throw usageError(`--set wants PATH=VALUE, not ${text}`);
    out.push([text.slice(0, equals), jsonOrText(text.slice(equals + 1))]);
  }
  return out;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function choice<T extends string>(a: ParsedArgs, flag: string, values: readonly T[]): T | undefined {
  const v = a.get(flag);
  if (v === undefined) return undefined;
  const found = values.find((x) => x === v);
  if (found === undefined) throw usageError(`--${flag} must be one of ${values.join(', ')}`);
  return found;
}

const whole = (a: ParsedArgs, flag: string, min: number, max: number): number | undefined => {
  const v = a.get(flag);
  return v === undefined ? undefined : parseWhole(v, `--${flag}`, min, max);
};

function list(o: Output): number {
  const rows = builtInScenarios().map((name) => [name, loadScenario(name).about]);
  o.out(table(['scenario', 'what it does'], rows));
  return Exit.ok;
}

function coresOf(a: ParsedArgs): string[] {
  const text = a.get('cpus');
  if (text === undefined) return [];
  if (!/^\d+(,\d+)*$/.test(text)) throw usageError('--cpus wants core numbers, e.g. 1 or 2,3');
  return text.split(',');
}

async function test(scenario: Scenario, a: ParsedArgs, o: Output): Promise<number> {
  const targetText = a.get('target');
  if (targetText === undefined) throw usageError('load wants a --target HOST:PORT', HELP);
  const target = parseTarget(targetText, {
    wsPort: whole(a, 'wsPort', 1, 65_535),
    network: choice(a, 'network', ['main', 'test', 'reg']),
    line: choice(a, 'line', ['0.9.7', '0.9.8']),
    iOwnThisTarget: a.has('iOwnThisTarget'),
  });
  const abort = new AbortController();
  const progress = liveProgress(o);
  const interrupt = (): void => {
    // A second one is not ours any more: it ends the process.
    process.off('SIGINT', interrupt);
    progress.note('ending the test in order; once more to end it at once');
    abort.abort();
  };
  process.on('SIGINT', interrupt);
  try {
    progress.note(`${scenario.name}: keys from seed ${a.get('seed') ?? '1'}, for tests only`);
    const options: RunOptions = {
      processes: whole(a, 'processes', 1, processesMax) ?? 1,
      cpus: coresOf(a),
      pacing: a.has('spin') ? 'spin' : 'timer',
      seed: a.get('seed') ?? '1',
      targetPid: whole(a, 'pid', 1, 2 ** 31) ?? null,
      signal: abort.signal,
      onSecond: progress.second,
    };
    const sinkCpu = whole(a, 'sinkCpu', 0, 4095);
    let result = await runLoad(scenario, target, options);
    if (a.has('calibrate') && !abort.signal.aborted) {
      progress.note('the same against a bare sink');
      result = withCalibration(
        result,
        await calibrate(scenario, target, options, sinkCpu === undefined ? null : String(sinkCpu)),
      );
    }
    progress.done();
    const html = a.get('html');
    if (html !== undefined) await writeFile(html, htmlReport(result));
    const json = a.get('json');
    if (json === '-') o.out(`${JSON.stringify(result, null, 1)}\n`);
    else {
      if (json !== undefined) await writeFile(json, `${JSON.stringify(result, null, 1)}\n`);
      o.out(resultText(result, o));
    }
    return failuresOf(result).length === 0 ? Exit.ok : Exit.failed;
  } finally {
    progress.done();
    process.off('SIGINT', interrupt);
  }
}

/** `starling load`. */
export async function run(args: readonly string[], o: Output = processOutput()): Promise<number> {
  const a = parseArgs(args, FLAGS);
  if (a.has('help')) {
    o.out(HELP);
    return Exit.ok;
  }
  if (a.has('list')) return list(o);
  const [name, ...rest] = a.positionals;
  if (name === undefined || rest.length > 0) throw usageError('load wants one scenario', HELP);
  try {
    return await test(loadScenario(name, settingsOf(a)), a, o);
  } catch (e) {
    if (!(e instanceof LoadError)) throw e;
    if (e.kind === 'scenario') throw usageError(e.message);
    if (e.kind === 'target')
      throw usageError(e.message, 'add --iOwnThisTarget if the relay is yours to overload');
    throw new CliError(e.message);
  }
}
