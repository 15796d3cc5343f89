import { statSync } from 'node:fs';
import { type FlagSpec, parseArgs, renderHelp } from '../args.js';
import { Exit, usageError } from '../exit.js';
import { type Output, processOutput } from '../terminal.js';
import { ENGINE_NAMES } from './engine.js';
import { FAMILIES } from './families.js';
import { runSession } from './family-sessions.js';
import { folderContext, loadFolder, VectorFileError } from './load.js';
import { jsonReport, renderReport } from './report.js';
import { runFiles, tally } from './run.js';

const FLAGS: readonly FlagSpec[] = [
  { name: 'filter', short: 'f', value: 'TEXT', help: 'only cases whose family/name or file contains TEXT' },
  { name: 'engine', short: 'e', value: 'NAME', help: `RSA verify engine: ${ENGINE_NAMES.join(', ')}` },
  { name: 'json', help: 'one JSON object instead of the table' },
];

const HELP = renderHelp({
  usage: 'starling vectors DIR [--filter TEXT] [--engine NAME] [--json]',
  about: `Runs every conformance file found in DIR against this implementation, both protocol lines, and prints
by family how many cases passed, failed, are not covered, or are marked skip; every failure with its case
name and first differing byte. The last line holds the totals.`,
  flags: FLAGS,
  notes: ['Exit code: 0 when every case passed or is marked skip, 1 otherwise, 2 for wrong use.'],
});

/** `starling vectors DIR`. */
export async function run(args: readonly string[], o: Output = processOutput()): Promise<number> {
  const a = parseArgs(args, FLAGS);
  if (a.has('help')) {
    o.out(HELP);
    return Exit.ok;
  }
  const [folder, ...rest] = a.positionals;
  if (folder === undefined || rest.length > 0) throw usageError('vectors wants one folder', HELP);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw usageError(`${folder} is not a folder`);
  const engine = a.get('engine');
  if (engine !== undefined && !(ENGINE_NAMES as readonly string[]).includes(engine))
    throw usageError(`unknown engine ${engine}`, `engines: ${ENGINE_NAMES.join(', ')}`);

  let files: ReturnType<typeof loadFolder>;
  try {
    files = loadFolder(folder);
  } catch (e) {
    if (e instanceof VectorFileError) throw usageError(e.message);
    throw e;
  }
  if (files.length === 0) throw usageError(`${folder} holds no conformance file`);
  const filter = a.get('filter');
  const results = await runFiles({
    families: FAMILIES,
    files,
    context: folderContext(folder, files, engine),
    sessions: runSession,
    ...(filter === undefined ? {} : { filter }),
  });
  o.out(a.has('json') ? jsonReport(results) : renderReport(o, results));
  const t = tally(results);
  return t.failed === 0 && t.uncovered === 0 && results.length > 0 ? Exit.ok : Exit.failed;
}
