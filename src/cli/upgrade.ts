import { resolve } from 'node:path';
import { parseArgs, renderHelp } from './args.js';
import { CliError, Exit, usageError } from './exit.js';
import { RELAY_FLAGS, relayConfig } from './relay.js';
import { jsonLine } from './service.js';
import { askUpgrade, NoParent, type Progress } from './upgrade-control.js';

function lineOf(p: Progress): string {
  switch (p.event) {
    case 'upgrade_started':
      return `replacing ${p.workers} processes`;
    case 'worker_ready':
      return `  ${p.worker} (process ${p.pid}) serves`;
    case 'worker_replaced':
      return `  ${p.worker} has moved its clients on and ended, ${p.done} of ${p.of}`;
    case 'upgrade_ended':
      return 'done: all processes are new';
    case 'upgrade_failed':
      return `failed: ${p.error}; what served before goes on serving`;
    default:
      return p.event;
  }
}

/** `starling upgrade`: replaces the processes of a running relay one by one. */
export async function run(args: string[]): Promise<number> {
  const a = parseArgs(args, RELAY_FLAGS);
  if (a.has('help')) {
    process.stdout.write(
      renderHelp({
        usage: 'starling upgrade [--config FILE] [--dataFolderPath PATH]',
        about:
          'Replaces the processes of the relay that runs in that data folder one by one, with the program as it is\non disk now, while its parent holds the ports: no connection is refused. Needs a relay that was started with\n--processes N or --supervised.',
        flags: RELAY_FLAGS.filter((f) => ['config', 'dataFolderPath', 'json'].includes(f.name)),
        notes: [],
      }),
    );
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  const c = relayConfig(a);
  const dataDir = resolve(c.text('dataFolderPath') ?? '.');
  const json = c.on('json');
  let last: Progress;
  try {
    last = await askUpgrade(dataDir, (p) => {
      if (json) jsonLine({ ...p });
      else process.stdout.write(`${lineOf(p)}\n`);
    });
  } catch (e) {
    if (!(e instanceof NoParent)) throw e;
    throw new CliError(
      e.message,
      Exit.failed,
      'a relay that is one process alone cannot be replaced while it serves: start it with --supervised, or restart it',
    );
  }
  return last.event === 'upgrade_ended' ? Exit.ok : Exit.failed;
}
