import { fileURLToPath } from 'node:url';
import { type FlagSpec, parseArgs, parseWhole, renderHelp } from './args.js';
import { LocalNetwork } from './devnet/network.js';
import { Story, tellLifecycle } from './devnet/story.js';
import { Exit, usageError } from './exit.js';
import { jsonLine, untilSignal } from './service.js';
import { paint, processOutput, progressLine } from './terminal.js';

const FLAGS: readonly FlagSpec[] = [
  { name: 'once', help: 'end after the story; exit code 0 only if every stage was verified' },
  { name: 'json', help: 'print pids, ports, addresses and every client’s events as JSON lines' },
  { name: 'relays', value: 'N', help: 'relays to start (default 3)' },
  { name: 'port', short: 'p', value: 'PORT', help: 'first TCP port (default 11240, 0 = any free ones)' },
  { name: 'dir', value: 'DIR', help: 'keep wallets and data here (default: a temporary folder)' },
  { name: 'quiet', help: 'no clients, only coordinator and relays' },
];

/** First port of a local network: the coordinator’s; three relays take the six behind it. */
const DEFAULT_PORT = 11_240;

/** `starling devnet`: a whole network on this machine, and the discovery lifecycle told on it. */
export async function run(args: string[]): Promise<number> {
  const a = parseArgs(args, FLAGS);
  if (a.has('help')) {
    process.stdout.write(
      renderHelp({
        usage: 'starling devnet [SWITCHES]',
        about:
          'Starts a coordinator, relays and two clients, each in a process of its own with a fresh key, and tells\nhow the clients find each other, check the proof and talk encrypted. Stays up until Ctrl-C.',
        flags: FLAGS,
      }),
    );
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  const relays = a.has('relays') ? parseWhole(a.get('relays')!, '--relays', 1, 32) : 3;
  const once = a.has('once');
  // A story told once must not collide with a network that is up.
  const port = a.has('port') ? parseWhole(a.get('port')!, '--port', 0, 65_000) : once ? 0 : DEFAULT_PORT;
  const json = a.has('json');
  const o = processOutput();
  const story = new Story(o, !json);
  story.say('making a fresh RSA-4096 key for everybody …');
  const bar = progressLine(o);
  const network = await LocalNetwork.start({
    main: fileURLToPath(new URL('./main.js', import.meta.url)),
    dir: a.get('dir') ?? null,
    relays,
    port,
    onKeys: (made, wanted) => {
      if (json) return;
      bar.show(`           ${made} of ${wanted} keys`);
      if (made === wanted) {
        bar.done();
        story.say(`starting a coordinator and ${relays} relays, each a process of its own`);
      }
    },
    onEvent: (from, event) => {
      if (json) jsonLine({ ...event, event: event.event, from });
    },
  });
  // Asked for before anything can take long, so that Ctrl-C always ends the processes too.
  const over = new AbortController();
  const asked = untilSignal(over.signal);
  try {
    if (json)
      jsonLine({
        event: 'network',
        coordinator: {
          pid: network.coordinator!.pid,
          address: network.coordinatorAddress,
          tcp: network.coordinatorAt,
        },
        relays: network.relays.map((r) => ({
          name: r.child.name,
          pid: r.child.pid,
          address: r.address,
          tcp: r.tcp,
          ws: r.ws,
        })),
      });
    for (const c of network.children)
      c.onDeath = () => story.check(`${c.name} runs`, false, c.lastWords.split('\n').at(-1) ?? '');
    const told = a.has('quiet') ? Promise.resolve() : tell(network, story, json);
    const first = await Promise.race([told.then(() => 'told' as const), asked]);
    if (first !== 'told') return Exit.ok;
    if (!once) {
      if (!json) invite(network, story);
      await asked;
    }
    return story.verified || (a.has('quiet') && story.checks.length === 0) ? Exit.ok : Exit.failed;
  } finally {
    story.say('ending every process of this network');
    await network.stop();
    over.abort();
  }
}

async function tell(network: LocalNetwork, story: Story, json: boolean): Promise<void> {
  await tellLifecycle(network, story);
  const failed = story.checks.filter((c) => !c.ok);
  if (json)
    jsonLine({
      event: 'verdict',
      verified: story.verified,
      checks: story.checks,
      clients: network.clients.map((c) => ({ name: c.name, pid: c.pid })),
    });
  else if (failed.length === 0) story.say(`all ${story.checks.length} checks hold`);
  else story.say(`${failed.length} of ${story.checks.length} checks failed`);
}

function invite(network: LocalNetwork, story: Story): void {
  const o = processOutput();
  const relays = network.relays.map((r) => `--relay ${r.tcp}`).join(' ');
  story.say('the network stays up; see it live, each relay on its own page:');
  o.out(
    `\n${network.relays.map((r) => `  ${r.child.name}  ${paint(o, 'bold', r.dashboard)}`).join('\n')}\n\n`,
  );
  const [one, two] = [network.relays[0], network.relays[1] ?? network.relays[0]];
  story.say('chat in your browser, as two people on two relays:');
  o.out(`\n  ${paint(o, 'bold', `${one?.app}#one`)}\n  ${paint(o, 'bold', `${two?.app}#two`)}\n\n`);
  story.say('join it from another terminal:');
  o.out(
    `\n  ${paint(o, 'bold', `npx starling client --network reg --wallet me.wal --data me ${relays}`)}\n\n`,
  );
  const [a, b] = ['A', 'B'].map((n) => network.clients.find((c) => c.name === n));
  const address = (c: typeof a): string =>
    String(c?.events.find((e) => e.event === 'started')?.address ?? 'unknown');
  o.out(`  A  ${address(a)}\n  B  ${address(b)}  (accepts every request)\n\n  Ctrl-C ends it.\n\n`);
}
