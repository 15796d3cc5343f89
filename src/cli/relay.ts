import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { addressText, createSigner } from '../identity/index.js';
import { saveWalletFile } from '../identity/node/index.js';
import {
  type Config,
  ConfigError,
  environmentName,
  flagOf,
  resolveConfig,
  SETTINGS,
} from '../operator/index.js';
import { Relay, type RelayLog } from '../relay/index.js';
import { NETWORKS, type Network } from '../wire/index.js';
import { type FlagSpec, type ParsedArgs, parseArgs, renderHelp } from './args.js';
import { CliError, Exit, usageError } from './exit.js';
import { seedPeers } from './seeds.js';
import { jsonLine, untilSignal } from './service.js';
import { versionText } from './version.js';
import { newPassword, openWalletAt, type PasswordSource } from './wallet-open.js';

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

/** The network a configuration names, with its lock replaced where one is set. */
function networkOf(c: Config): Network {
  const name = ({ mainnet: 'main', testnet: 'test', regtest: 'reg' } as const)[
    c.text('networkType') as 'mainnet' | 'testnet' | 'regtest'
  ];
  const lock = c.text('checksumLock');
  return lock === null ? NETWORKS[name] : { ...NETWORKS[name], lock: new TextEncoder().encode(lock) };
}

function passwordOf(c: Config): PasswordSource {
  const literal = c.text('walletPassword');
  return { file: c.text('walletPasswordFile') ?? undefined, literal: literal ?? undefined };
}

function wsPortOf(c: Config, port: number): number | null {
  const text = c.text('wsPort') ?? 'next';
  if (text === 'off') return null;
  if (text === 'next') return port === 0 ? 0 : port + 1;
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0 || n > 65_535)
    throw usageError(`wsPort must be a port number, next or off, not ${text}`);
  return n;
}

/** Log bits of the reference: trace 1, info 2, warn 4, error 8. */
const LEVEL_BITS = { debug: 1, info: 2, warn: 4, error: 8 } as const;

function logger(c: Config): RelayLog {
  const json = c.on('json');
  const bits = c.on('verboseOutput') ? 15 : c.whole('logVerbosity');
  return (level, event, fields) => {
    if ((bits & LEVEL_BITS[level]) === 0) return;
    if (json) jsonLine({ event, level, ...fields });
    else {
      const rest = Object.entries(fields).map(([k, v]) => `${k}=${String(v)}`);
      process.stderr.write(`${new Date().toISOString()} ${level} ${event} ${rest.join(' ')}\n`);
    }
  };
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
  return serve(config);
}

async function serve(c: Config): Promise<number> {
  const network = networkOf(c);
  const dataDir = resolve(c.text('dataFolderPath') ?? '.');
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
  } catch (e) {
    throw new CliError(`cannot use the data folder ${dataDir}: ${(e as Error).message}`, Exit.dataFolder);
  }
  const walletPath = c.text('wallet') ?? 'ixian.wal';
  const wallet = await openWalletAt(walletPath, passwordOf(c), { create: true });
  if (c.on('changepass')) await saveWalletFile(walletPath, wallet, await newPassword({}, walletPath));
  const signer = await createSigner(wallet.exportPrivateKey());
  if (c.on('onlyShowAddresses')) {
    process.stdout.write(`${addressText(signer.address)}\n`);
    return Exit.ok;
  }
  if (c.on('clean')) {
    const test = network.name === 'main' ? '' : 'testnet-';
    await rm(`${dataDir}/${test}peers.ixi`, { force: true });
    await rm(`${dataDir}/${test}headers`, { force: true, recursive: true });
  }
  const port = c.whole('s2Port');
  const [certFile, keyFile] = [c.text('wsTlsCert'), c.text('wsTlsKey')];
  if ((certFile === null) !== (keyFile === null)) throw usageError('wsTlsCert and wsTlsKey go together');
  let relay: Relay;
  try {
    relay = await Relay.start({
      network,
      signer,
      host: c.text('p2pBind') ?? '0.0.0.0',
      port,
      wsPort: wsPortOf(c, port),
      wsTls: certFile !== null && keyFile !== null ? { certFile, keyFile } : null,
      wsUrl: c.text('wsUrl'),
      trustedProxies: c.list('trustedProxy'),
      httpEngine: c.text('httpEngine') as 'auto' | 'uws' | 'node',
      externalIp: c.text('externalIp'),
      seeds: seedPeers(network, c.list('addPeer')),
      standalone: c.on('standalone'),
      ledgerConnections: c.whole('ledgerConnections'),
      sectorConnections: c.whole('sectorConnections'),
      unverifiedClients: c.text('unverifiedClients') as 'accept' | 'refuse',
      probePeers: c.on('probePeers'),
      dataDir,
      log: logger(c),
      limits: {
        clientsMax: c.whole('maxClients'),
        connectionsMax: c.whole('maxConnections'),
        messageBytesMax: c.whole('maxMessageBytes'),
        presencesMax: c.whole('maxPresences'),
        messagesPerSecond: c.whole('messagesPerSecond'),
        requestsPerSecond: c.whole('requestsPerSecond'),
      },
    });
  } catch (e) {
    const code = (e as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new CliError(
        `port in use: ${(e as Error).message}`,
        Exit.portInUse,
        'another relay may be running',
      );
    throw e;
  }
  const started = {
    role: 'relay',
    pid: process.pid,
    address: addressText(relay.address),
    endpoint: relay.status().endpoint,
    port: relay.port,
    wsPort: relay.wsPort,
  };
  if (c.on('json')) jsonLine({ event: 'started', ...started });
  else
    process.stdout.write(
      `relay ${started.address}\nTCP port ${started.port}, ${started.wsPort === null ? 'no WebSocket' : `WebSocket port ${started.wsPort}`}, public endpoint ${started.endpoint || 'not known yet'}\n`,
    );
  await untilSignal();
  await relay.stop();
  return Exit.ok;
}
