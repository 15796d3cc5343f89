import { hashPassword, SETTINGS, sampleConfig, showConfig } from '../operator/index.js';
import { parseArgs, renderHelp } from './args.js';
import { Exit, usageError } from './exit.js';
import { RELAY_FLAGS, relayConfig } from './relay.js';
import { type Output, processOutput, table } from './terminal.js';
import { askSecret, newPassword } from './wallet-open.js';

const ACTIONS: Readonly<Record<string, string>> = {
  check: 'Validates switches, environment and file; exit code 0 or 2.',
  show: 'Prints every value in force and where it came from; secrets are masked.',
  sample: 'Prints a configuration file with every setting and its default.',
  hash: 'Asks for a password and prints the hash of it that addApiUser takes; - reads it from standard input.',
};

function help(): string {
  const lines = Object.entries(ACTIONS).map(([name, about]) => `  ${name.padEnd(6)} ${about}`);
  return renderHelp({
    usage: 'starling config check|show|sample|hash [SWITCHES OF starling relay] [--json]',
    about: lines.join('\n'),
    flags: RELAY_FLAGS,
  });
}

/** `starling config hash [-]`. */
async function hash(args: readonly string[], o: Output): Promise<number> {
  if (args.length > 1 || (args.length === 1 && args[0] !== '-'))
    throw usageError('config hash takes nothing, or -');
  const password =
    args[0] === '-' ? await newPassword({ file: '-' }, 'the API') : await askSecret('Password: ');
  if (password === '') throw usageError('the password is empty');
  o.out(`${await hashPassword(password)}\n`);
  return Exit.ok;
}

/** `starling config`: the relay's configuration without starting it (docs/protocol/11 §1.5). */
export async function run(args: readonly string[], o: Output = processOutput()): Promise<number> {
  const [action, ...rest] = args;
  if (action === undefined) throw usageError('config wants check, show, sample or hash');
  if (action === '--help' || action === '-h') {
    o.out(help());
    return Exit.ok;
  }
  if (!Object.hasOwn(ACTIONS, action)) throw usageError(`unknown action config ${action}`, help());
  if (action === 'hash') return hash(rest, o);
  const a = parseArgs(rest, RELAY_FLAGS);
  if (a.has('help')) {
    o.out(help());
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  if (action === 'sample') {
    o.out(sampleConfig());
    return Exit.ok;
  }
  const config = relayConfig(a);
  for (const w of config.warnings) o.err(`starling: warning: ${w}\n`);
  if (action === 'check') {
    o.out(`configuration is valid: ${SETTINGS.length} settings, ${config.warnings.length} warnings\n`);
    return Exit.ok;
  }
  const rows = showConfig(config);
  if (a.has('json')) o.out(`${JSON.stringify(rows)}\n`);
  else
    o.out(
      table(
        ['setting', 'value', 'from'],
        rows.map((r) => [r.key, r.value, r.origin]),
      ),
    );
  return Exit.ok;
}
