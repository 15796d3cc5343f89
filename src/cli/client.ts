import { ClientError, type Dial, type RelaySeed, StarlingClient } from '../client/index.js';
import {
  dialTcpRelay,
  dialWsRelay,
  FileStorage,
  FileStorageError,
  storageSecret,
} from '../client/node/index.js';
import { createSigner, createVerifyEngine, wipe } from '../identity/index.js';
import { NETWORKS, type Network } from '../wire/index.js';
import { type FlagSpec, type ParsedArgs, parseArgs, renderHelp } from './args.js';
import { chat } from './client-chat.js';
import { script } from './client-script.js';
import { CliError, Exit, usageError } from './exit.js';
import { seedPeers } from './seeds.js';
import { openWallet, WALLET_FLAGS } from './wallet-open.js';

const FLAGS: readonly FlagSpec[] = [
  ...WALLET_FLAGS,
  { name: 'data', value: 'DIR', help: 'contacts, keys and messages are kept here (default client-data)' },
  {
    name: 'relay',
    short: 'r',
    value: 'HOST:PORT',
    repeat: true,
    help: 'relay to begin with, or its ws:// or wss:// URL; may be repeated',
  },
  { name: 'network', short: 'n', value: 'NAME', help: 'main, test or reg (default main)' },
  { name: 'nick', value: 'NAME', help: 'name that contacts see' },
  { name: 'autoAccept', help: 'accept every request without asking' },
  { name: 'json', help: 'commands and events as JSON lines, for scripts' },
];

const NOTES: readonly string[] = [
  [
    'In the chat: /find ADDRESS, /add ADDRESS, /accept WHO, /contacts, /msg WHO TEXT, /to WHO, /quit; /help shows all.',
    'WHO is a nick or the beginning of an address. A line without / goes to the contact chosen with /to.',
  ].join('\n'),
  [
    'With --json: one command per line on standard input, {"cmd":"add","address":"…"}, with cmd find, add, accept,',
    'remove, send (address, text), read (address, id), contacts, history (address), status, quit. One event per line',
    'on standard output: started, stage, relay, state, presence, contactRequest, contact, queued, message, delivered,',
    'read, found, contacts, history, status, error. A member ref of a command comes back in its answer.',
  ].join('\n'),
];

/** Largest data a nick may have in one message; longer ones are cut by nobody but refused here. */
const nickCharsMax = 64;

/** `starling client`: chat from a terminal, or from a script with `--json`. */
export async function run(args: string[]): Promise<number> {
  const a = parseArgs(args, FLAGS);
  if (a.has('help')) {
    process.stdout.write(
      renderHelp({
        usage: 'starling client [SWITCHES]',
        about:
          'Finds people and devices by their address and exchanges end-to-end encrypted messages with them.\nThe wallet is made when there is none yet.',
        flags: FLAGS,
        notes: NOTES,
      }),
    );
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  const network = networkOf(a.get('network') ?? 'main');
  const relays = relaysOf(a, network);
  const nick = a.get('nick') ?? '';
  if (nick.length > nickCharsMax) throw usageError(`--nick has at most ${nickCharsMax} characters`);
  const wallet = await openWallet(a, { create: true });
  const key = wallet.exportPrivateKey();
  const signer = await createSigner(key).finally(() => {
    wipe(key);
    wallet.wipe();
  });
  const storage = await openStorage(a.get('data') ?? 'client-data', await storageSecret(signer));
  const engine = await createVerifyEngine();
  try {
    const client = await StarlingClient.open({
      wallet: signer,
      network,
      relays,
      storage,
      engine,
      dial: dialEither(),
      nick,
      autoAccept: a.has('autoAccept'),
    });
    try {
      return a.has('json') ? await script(client) : await chat(client);
    } finally {
      await client.stop();
    }
  } catch (e) {
    if (e instanceof ClientError) throw new CliError(e.message, Exit.dataFolder);
    throw e;
  } finally {
    await storage.close();
    await engine.close();
  }
}

function networkOf(name: string): Network {
  if (name !== 'main' && name !== 'test' && name !== 'reg')
    throw usageError(`unknown network ${name}`, 'it is main, test or reg');
  return NETWORKS[name];
}

/** The relays given, else the network's seeds: ledger nodes, which name the relays of the own sector. */
function relaysOf(a: ParsedArgs, network: Network): RelaySeed[] {
  const given = a.all('relay');
  if (given.length > 0)
    return given.map((text) => {
      if (/^wss?:\/\/\S+$/.test(text)) return { wsUrl: text };
      if (!/^[^\s:]+:\d{1,5}$/.test(text))
        throw usageError(`--relay ${text} is neither HOST:PORT nor a ws URL`);
      return { host: text };
    });
  return seedPeers(network, []).map(({ host, wallet }) => (wallet === null ? { host } : { host, wallet }));
}

/** TCP, except for relays that were given by their WebSocket URL. */
function dialEither(): Dial {
  const tcp = dialTcpRelay();
  const ws = dialWsRelay();
  return (target) => {
    const place = target.endpoint ?? target.host;
    return target.wsUrl !== undefined && place === undefined ? ws(target) : tcp(target);
  };
}

async function openStorage(folder: string, secret: Uint8Array): Promise<FileStorage> {
  try {
    return await FileStorage.open(folder, { secret });
  } catch (e) {
    if (e instanceof FileStorageError) throw new CliError(e.message, Exit.dataFolder);
    throw new CliError(`cannot use the folder ${folder}: ${(e as Error).message}`, Exit.dataFolder);
  }
}
