import { Coordinator } from '../coordinator/index.js';
import { addressText, createSigner } from '../identity/index.js';
import { NETWORKS } from '../wire/index.js';
import { type FlagSpec, parseArgs, parseWhole, renderHelp } from './args.js';
import { Exit, usageError } from './exit.js';
import { jsonLine, untilSignal } from './service.js';
import { openWallet, WALLET_FLAGS } from './wallet-open.js';

const FLAGS: readonly FlagSpec[] = [
  { name: 'host', value: 'IP', help: 'address to listen on and to be known by (default 127.0.0.2)' },
  { name: 'port', short: 'p', value: 'PORT', help: 'TCP port (default 11234, 0 = any free one)' },
  { name: 'dataFolderPath', value: 'DIR', help: 'folder for the chain (default: memory only)' },
  { name: 'blockSeconds', value: 'N', help: 'seconds between blocks (default 30)' },
  { name: 'genesisBlocks', value: 'N', help: 'blocks a new chain begins with (default 8)' },
  ...WALLET_FLAGS,
  { name: 'json', help: 'print events as JSON lines' },
];

/** `starling coordinator`: the ledger's part of a local network. */
export async function run(args: string[]): Promise<number> {
  const a = parseArgs(args, FLAGS);
  if (a.has('help')) {
    process.stdout.write(
      renderHelp({
        usage: 'starling coordinator [SWITCHES]',
        about:
          'Plays the ledger’s part on a local regression network, so that relays and clients find each other.\nFor development only: it keeps no coins and proves no work.',
        flags: FLAGS,
      }),
    );
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  const number = (name: string, fallback: number, max: number): number =>
    a.has(name) ? parseWhole(a.get(name)!, `--${name}`, 0, max) : fallback;
  const host = a.get('host') ?? '127.0.0.2';
  const wallet = await openWallet(a, { create: true });
  const json = a.has('json');
  const dataDir = a.get('dataFolderPath');
  const coordinator = new Coordinator({
    network: NETWORKS.reg,
    signer: await createSigner(wallet.exportPrivateKey()),
    host,
    publicIp: host,
    port: number('port', NETWORKS.reg.dltPort, 65_535),
    blockIntervalMs: 1000 * Math.max(1, number('blockSeconds', 30, 86_400)),
    genesisBlocks: number('genesisBlocks', 8, 1000),
    ...(dataDir === undefined ? {} : { dataDir }),
    onEvent: (e) => {
      if (json) jsonLine({ event: e.kind, ...e });
    },
  });
  await coordinator.start();
  const address = addressText(coordinator.address);
  const endpoint = `${host}:${coordinator.port}`;
  if (json) jsonLine({ event: 'started', role: 'coordinator', pid: process.pid, address, endpoint });
  else
    process.stdout.write(`coordinator ${address}\nlistening on ${endpoint}, height ${coordinator.height}\n`);
  await untilSignal();
  await coordinator.stop();
  return Exit.ok;
}
