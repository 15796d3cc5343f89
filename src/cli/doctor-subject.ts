import { resolve } from 'node:path';
import {
  type Config,
  findRunning,
  Greeter,
  type PortUse,
  parseBind,
  type Running,
  type Subject,
  seedGreetings,
  thisMachine,
} from '../operator/index.js';
import { bindsOf } from './relay-api.js';
import { networkOf, passwordOf, wsPortOf } from './relay-serve.js';
import { seedPeers } from './seeds.js';
import { givenPassword } from './wallet-open.js';

/** Every port the relay of a configuration would open. */
function portsOf(c: Config): PortUse[] {
  const host = c.text('p2pBind') ?? '0.0.0.0';
  const port = c.whole('s2Port');
  const wsPort = wsPortOf(c, port);
  const isDefault = (...keys: string[]): boolean => keys.every((k) => c.origin(k).from === 'default');
  const out: PortUse[] = [{ name: 's2Port', host, port, isDefault: false }];
  if (wsPort !== null) out.push({ name: 'wsPort', host, port: wsPort, isDefault: false });
  for (const b of bindsOf(c)) {
    const local = b.host.toLowerCase() === 'localhost' ? '127.0.0.1' : b.host.replace(/^\[|\]$/g, '');
    out.push({
      name: c.list('apiBind').length > 0 ? 'apiBind' : 'apiPort',
      host: local === '+' || local === '*' ? '0.0.0.0' : local,
      port: b.port,
      isDefault: isDefault('apiPort', 'apiBind'),
    });
  }
  const ops = c.text('opsBind') ?? 'off';
  if (ops !== 'off') out.push({ name: 'opsBind', ...parseBind(ops), isDefault: isDefault('opsBind') });
  return out;
}

/** The public document of the relay on this machine, null where it serves none. */
function infoUrlOf(c: Config, ports: readonly PortUse[]): string | null {
  const ws = ports.find((p) => p.name === 'wsPort');
  if (ws === undefined || ws.port === 0) return null;
  const host = ws.host === '0.0.0.0' ? '127.0.0.1' : ws.host;
  return `${c.text('wsTlsCert') === null ? 'http' : 'https'}://${host}:${ws.port}/v1/info`;
}

/**
 * What the doctor looks at, by a configuration. `inside` tells of the relay that this process runs; without it a running
 * one is looked for. Throws a CliError for settings that cannot be used.
 */
export async function subjectOf(c: Config, inside: Running | null = null): Promise<Subject> {
  const network = networkOf(c);
  const seeds = c.on('standalone') ? [] : seedPeers(network, c.list('addPeer'));
  const ports = portsOf(c);
  const dataDir = resolve(c.text('dataFolderPath') ?? '.');
  const greeter = new Greeter(network);
  const source = passwordOf(c);
  return {
    config: c,
    network,
    seeds,
    ports,
    dataDir,
    walletPath: resolve(c.text('wallet') ?? 'ixian.wal'),
    password: () => givenPassword(source),
    passwordFile: source.file === undefined || source.file === '-' ? null : source.file,
    running: inside ?? (await findRunning(dataDir, c.text('opsBind') ?? 'off', infoUrlOf(c, ports))),
    greeter,
    greetings: seedGreetings(greeter, seeds),
    machine: thisMachine,
  };
}
