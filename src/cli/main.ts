import { nearest } from '../operator/index.js';
import { CliError, Exit } from './exit.js';
import { versionText } from './version.js';

/** A command module: takes the arguments after its name, answers the exit code. */
interface CommandModule {
  run(args: string[]): Promise<number>;
}

interface Command {
  readonly about: string;
  /** Lazy, so that `starling --version` does not load a relay. */
  readonly load: () => Promise<CommandModule>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  relay: { about: 'run an S2 relay', load: () => import('./relay.js') },
  devnet: {
    about: 'a whole network on this machine, and the discovery lifecycle told on it',
    load: () => import('./devnet.js'),
  },
  coordinator: {
    about: 'play the ledger’s part on a local network (development)',
    load: () => import('./coordinator.js'),
  },
  client: { about: 'find people and devices, and talk to them', load: () => import('./client.js') },
  wallet: { about: 'create, show, export, import wallets', load: () => import('./wallet.js') },
  upgrade: {
    about: 'replace the processes of a running relay, new code included',
    load: () => import('./upgrade.js'),
  },
  config: { about: 'check and show a relay’s configuration', load: () => import('./config.js') },
  doctor: {
    about: 'find what keeps a relay from working, and say what to do about it',
    load: () => import('./doctor.js'),
  },
  tune: {
    about: 'measure what is fastest on this machine, and set it',
    load: () => import('./tune.js'),
  },
  load: { about: 'load a relay with many clients and measure it', load: () => import('./load.js') },
  top: { about: 'watch a running relay in the terminal', load: () => import('./top.js') },
  vectors: {
    about: 'run conformance files against this implementation',
    load: () => import('./vectors/command.js'),
  },
};

function help(): string {
  const names = Object.keys(COMMANDS);
  const width = Math.max(...names.map((n) => n.length));
  const lines = names.map((n) => `  ${n.padEnd(width)}  ${COMMANDS[n]!.about}`);
  return [
    'Usage: starling COMMAND [ARGUMENTS]',
    '',
    ...lines,
    '',
    'starling COMMAND --help explains one command; starling --version prints the version.',
    '',
  ].join('\n');
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    process.stderr.write(help());
    return Exit.configuration;
  }
  if (name === '--version' || name === '-v' || name === 'version') {
    process.stdout.write(`${versionText()}\n`);
    return Exit.ok;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const topic = rest[0];
    if (topic !== undefined && Object.hasOwn(COMMANDS, topic))
      return (await COMMANDS[topic]!.load()).run(['--help']);
    process.stdout.write(help());
    return Exit.ok;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const guess = nearest(name, Object.keys(COMMANDS));
    throw new CliError(
      `unknown command ${name}`,
      Exit.configuration,
      guess === null ? help() : `did you mean starling ${guess}?`,
    );
  }
  return (await COMMANDS[name]!.load()).run([...rest]);
}

// A script that starts services as its children gives them a pipe and this variable: when it dies, in whatever
// way, they end in order instead of running on as orphans.
if (process.env.STARLING_STOP_WITH_STDIN === '1')
  process.stdin.resume().on('end', () => process.kill(process.pid, 'SIGTERM'));

// A reader that goes away (`| head`) is no error of ours.
process.stdout.on('error', (e: NodeJS.ErrnoException) => {
  if (e.code === 'EPIPE') process.exit(Exit.ok);
  throw e;
});

/** Runs the command that was asked for, and ends the process with its exit code. */
async function main(): Promise<void> {
  try {
    const code = await dispatch(process.argv.slice(2));
    // A command that has returned is done: idle verify workers must not keep the process.
    process.stdout.write('', () => process.exit(code));
  } catch (e) {
    if (e instanceof CliError) {
      process.stderr.write(`starling: ${e.message}\n`);
      if (e.hint !== '') process.stderr.write(`${e.hint.trimEnd()}\n`);
      process.exitCode = e.exitCode;
    } else {
      process.stderr.write(`starling: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}\n`);
      process.exitCode = Exit.failed;
    }
    // The same holds for one that failed: whatever it had opened must not keep the process.
    process.stderr.write('', () => process.exit());
  }
}

// Not awaited: bundled as a CommonJS script, which has no await at its top (scripts/build-cli.mjs).
void main();
