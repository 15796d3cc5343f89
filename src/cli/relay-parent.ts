import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type GateSpec, Supervisor, WorkerFailed } from '../cluster/index.js';
import { Counters } from '../counters/index.js';
import { addressText, createSigner } from '../identity/index.js';
import { saveWalletFile } from '../identity/node/index.js';
import { type Config, type EventLog, parseBind } from '../operator/index.js';
import { Bye, Code, encodeBye, encodeFrame } from '../wire/index.js';
import { CliError, Exit, usageError } from './exit.js';
import { apiGate, bindsOf } from './relay-api.js';
import { Life, networkOf, openLog, passwordOf, portTaken, takeDataFolder, wsPortOf } from './relay-serve.js';
import type { WorkerInit } from './relay-worker.js';
import { jsonLine } from './service.js';
import { CONTROL_FILE, ControlServer } from './upgrade-control.js';
import { askSecret, givenPassword, newPassword, openWalletAt } from './wallet-open.js';

/** Beyond the time a worker may take for its clients: files, byes, the rest. */
const stopSlackMs = 30_000;

const text = (t: string): Uint8Array => new TextEncoder().encode(t);
const full = 'Too many connections';
const httpFull = text(
  `HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
);

function gatesOf(c: Config): { readonly spec: GateSpec; readonly optional: boolean }[] {
  const host = c.text('p2pBind') ?? '0.0.0.0';
  const port = c.whole('s2Port');
  const bye = encodeFrame(Code.bye, encodeBye({ code: Bye.rejected, text: full, data: '' }));
  const out: { spec: GateSpec; optional: boolean }[] = [
    { spec: { name: 'tcp', host, port, to: 'workers', refusal: bye }, optional: false },
  ];
  const wsPort = wsPortOf(c, port);
  if (wsPort !== null)
    out.push({ spec: { name: 'ws', host, port: wsPort, to: 'workers', refusal: httpFull }, optional: false });
  const ops = c.text('opsBind') ?? 'off';
  if (ops !== 'off') {
    let bind: ReturnType<typeof parseBind>;
    try {
      bind = parseBind(ops);
    } catch (e) {
      throw usageError(`opsBind: ${(e as Error).message}`);
    }
    const optional = c.origin('opsBind').from === 'default';
    out.push({ spec: { name: 'ops', ...bind, to: 'leader', refusal: httpFull }, optional });
  }
  const optional = c.origin('apiPort').from === 'default' && c.origin('apiBind').from === 'default';
  for (const [i, bind] of bindsOf(c).entries())
    out.push({
      spec: {
        name: apiGate(i),
        host: listenHost(bind.host),
        port: bind.port,
        to: 'leader',
        refusal: httpFull,
      },
      optional,
    });
  return out;
}

function listenHost(host: string): string {
  if (host === '+' || host === '*') return '0.0.0.0';
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : host.replace(/^\[|\]$/g, '');
}

async function openGates(s: Supervisor, c: Config, log: EventLog): Promise<void> {
  for (const { spec, optional } of gatesOf(c))
    try {
      await s.addGate(spec);
    } catch (e) {
      const taken = portTaken(e);
      if (taken === null || !optional) throw taken ?? e;
      log.log('warn', 'default_port_taken', { service: spec.name, error: taken.message });
    }
}

/** The password of the wallet, which is opened to see that it is right and to know the address. */
async function unlocked(c: Config): Promise<{ readonly password: string; readonly address: Uint8Array }> {
  const path = c.text('wallet') ?? 'ixian.wal';
  const source = passwordOf(c);
  const password =
    (await givenPassword(source)) ??
    (existsSync(path) ? await askSecret(`Password of ${path}: `) : await newPassword({}, path));
  const wallet = await openWalletAt(path, { literal: password }, { create: true });
  const { address } = await createSigner(wallet.exportPrivateKey());
  if (!c.on('changepass')) return { password, address };
  const next = await newPassword({}, path);
  await saveWalletFile(path, wallet, next);
  return { password: next, address };
}

/**
 * Runs the parent of a relay of several processes: it holds the ports, the data folder and the workers, and serves
 * no connection itself (docs/cluster.md).
 */
export async function serveParent(c: Config, args: readonly string[]): Promise<number> {
  const dataDir = resolve(c.text('dataFolderPath') ?? '.');
  const lock = await takeDataFolder(dataDir);
  const counters = new Counters();
  const log = openLog(c, counters);
  const life = new Life();
  const processes = c.whole('processes');
  let supervisor: Supervisor | null = null;
  let control: ControlServer | null = null;
  try {
    const { password, address } = await unlocked(c);
    if (c.on('clean')) {
      const test = networkOf(c).name === 'main' ? '' : 'testnet-';
      await rm(`${dataDir}/${test}peers.ixi`, { force: true });
      await rm(`${dataDir}/${test}headers`, { force: true, recursive: true });
    }
    const seconds = Math.max(c.whole('drainSeconds'), c.whole('stopDrainSeconds'));
    const s = await Supervisor.open(
      {
        module: process.argv[1]!,
        args: ['relay', ...args],
        processes,
        start: (ports): WorkerInit => ({ password, processes, ports: Object.fromEntries(ports) }),
        counters,
        log: (level, event, fields) => log.log(level, event, fields),
        stopMs: seconds * 1000 + stopSlackMs,
        onAsk: (what, why) => {
          if (what === 'stop') life.end(why);
          else if (what === 'reload') s.reload();
          else if (what === 'drain') s.drain();
          else if (what === 'resume') s.resume();
          else void upgrade(s, log, () => undefined);
        },
        onDrained: () => {
          if (c.text('drainThen') === 'exit') life.end('drained');
        },
      },
      [],
    );
    supervisor = s;
    await openGates(s, c, log);
    const path = join(s.folder, 'control.sock');
    control = await ControlServer.open(path, (tell) => upgrade(s, log, tell));
    await writeFile(join(dataDir, CONTROL_FILE), `${path}\n`, { mode: 0o600 });
    for (const [name, port] of s.ports)
      if (name === 'ops') log.log('info', 'ops_listening', { port });
      else if (name.startsWith('api')) log.log('info', 'api_listening', { port });
    await s.start();
    tell(c, address, s);
    life.onReload = () => s.reload();
    life.onDrain = () => s.drain();
    const why = await life.ended;
    log.log('info', 'stopping', { why });
    await s.stop(why);
    log.log('info', 'stopped');
    return Exit.ok;
  } catch (e) {
    if (e instanceof WorkerFailed) throw new CliError(e.message, e.code);
    throw e;
  } finally {
    life.close();
    await supervisor?.stop('failed');
    await control?.close();
    await rm(join(dataDir, CONTROL_FILE), { force: true });
    await lock.release();
  }
}

async function upgrade(
  s: Supervisor,
  log: EventLog,
  tellProgress: (event: string, fields: Readonly<Record<string, unknown>>) => void,
): Promise<void> {
  try {
    await s.upgrade(tellProgress);
  } catch (e) {
    const error = (e as Error).message;
    log.log('error', 'upgrade_failed', { error });
    tellProgress('upgrade_failed', { error });
  }
}

function tell(c: Config, address: Uint8Array, s: Supervisor): void {
  const [port, wsPort] = [s.ports.get('tcp') ?? 0, s.ports.get('ws') ?? null];
  const ip = c.text('externalIp');
  const started = {
    role: 'relay',
    pid: process.pid,
    address: addressText(address),
    endpoint: ip === null ? '' : `${ip}:${port}`,
    port,
    wsPort,
    processes: c.whole('processes'),
  };
  if (c.on('json')) jsonLine({ event: 'started', ...started });
  else
    process.stdout.write(
      `relay ${started.address}\n${started.processes} processes, TCP port ${port}, ${wsPort === null ? 'no WebSocket' : `WebSocket port ${wsPort}`}, public endpoint ${started.endpoint || 'not known yet'}\n`,
    );
}
