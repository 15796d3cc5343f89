import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WorkerPort } from '../cluster/index.js';
import { Counters } from '../counters/index.js';
import {
  addressText,
  createSigner,
  type Signer,
  type VerifyEngine,
  type VerifyEngineName,
} from '../identity/index.js';
import {
  openVerifier,
  poolGivesWay,
  saveWalletFile,
  type Verifier,
  type VerifierChoice,
} from '../identity/node/index.js';
import {
  type ApiBackend,
  addAppRoutes,
  Bans,
  type ClusterOperator,
  type Config,
  DataFolderLock,
  DataFolderLocked,
  Drain,
  EventLog,
  isLogLevel,
  type LogLevel,
  levelsFrom,
  levelsOfBits,
  limitsOf,
  limitsPart,
  type ModuleLevels,
  measuredEngine,
  moduleLevels,
  OpsServer,
  parseBind,
  RelayNode,
  Reloader,
  type ReloadPart,
  type ReloadResult,
  stopGracefully,
  UpdateCheck,
} from '../operator/index.js';
import { AllowList, Blacklist, Relay } from '../relay/index.js';
import { NETWORKS, type Network } from '../wire/index.js';
import { selfTest } from './doctor-inside.js';
import { CliError, Exit, usageError } from './exit.js';
import { HeapGrowth } from './heap-growth.js';
import { logOutput } from './log-output.js';
import { checkApi, type RunningApi, startApi } from './relay-api.js';
import { serveParent } from './relay-parent.js';
import { RETIRED, Worker } from './relay-worker.js';
import { seedPeers } from './seeds.js';
import { jsonLine } from './service.js';
import { tellServing } from './serving.js';
import { packageVersion } from './version.js';
import { newPassword, openWalletAt, type PasswordSource } from './wallet-open.js';

/** The network a configuration names, with its lock replaced where one is set. */
export function networkOf(c: Config): Network {
  const name = ({ mainnet: 'main', testnet: 'test', regtest: 'reg' } as const)[
    c.text('networkType') as 'mainnet' | 'testnet' | 'regtest'
  ];
  const lock = c.text('checksumLock');
  return lock === null ? NETWORKS[name] : { ...NETWORKS[name], lock: new TextEncoder().encode(lock) };
}

export function passwordOf(c: Config): PasswordSource {
  const literal = c.text('walletPassword');
  return { file: c.text('walletPasswordFile') ?? undefined, literal: literal ?? undefined };
}

export function wsPortOf(c: Config, port: number): number | null {
  const text = c.text('wsPort') ?? 'next';
  if (text === 'off') return null;
  if (text === 'next') return port === 0 ? 0 : port + 1;
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0 || n > 65_535)
    throw usageError(`wsPort must be a port number, next or off, not ${text}`);
  return n;
}

function levelsOf(c: Config): ReadonlySet<LogLevel> {
  const level = c.text('logLevel')?.toLowerCase() ?? '';
  if (isLogLevel(level)) return levelsFrom(level);
  return levelsOfBits(c.on('verboseOutput') ? 15 : c.whole('logVerbosity'));
}

function modulesOf(c: Config): ModuleLevels {
  try {
    return moduleLevels(c.list('logModule'));
  } catch (e) {
    throw usageError(`logModule: ${(e as Error).message}`);
  }
}

/** One of several processes follows the file that their parent puts aside. */
export function openLog(c: Config, counters: Counters): EventLog {
  return new EventLog({
    ...logOutput(c, !WorkerPort.isWorker),
    levels: levelsOf(c),
    modules: modulesOf(c),
    fullAddresses: c.text('logAddresses') === 'full',
    counters,
  });
}

/** Looks for newer versions, where somebody said where and whom to believe. */
async function updatesOf(c: Config, log: EventLog): Promise<UpdateCheck | null> {
  if (!c.on('updateCheck')) return null;
  const [url, keyFile] = [c.text('updateUrl'), c.text('updateKey')];
  if (url === null || keyFile === null || !URL.canParse(url))
    throw usageError('updateCheck wants updateUrl, a URL, and updateKey');
  try {
    return await UpdateCheck.start({ url, keyFile, version: packageVersion(), log });
  } catch (e) {
    throw usageError(`updateKey: ${(e as Error).message}`);
  }
}

/** What verifies signatures: works at once, and moves to threads when it has found out what is fastest here. */
function verifierOf(c: Config, log: EventLog): Promise<Verifier> {
  const threads = (c.text('verifyThreads') ?? 'auto').toLowerCase();
  return openVerifier({
    // The setting knows no other values.
    engine: (c.text('verifyEngine') ?? 'auto').toLowerCase() as VerifyEngineName | 'auto',
    threads: threads === 'auto' ? 'auto' : Number(threads),
    onChoice: ({ engine, place, threads: count, why, reason }: VerifierChoice) => {
      const facts = { engine, place, threads: count, why, reason };
      if (why === 'fallback') log.log('warn', 'verify_engine', facts);
      else log.log('info', 'verify_engine', facts);
    },
  });
}

export function portTaken(e: unknown): CliError | null {
  if ((e as NodeJS.ErrnoException).code !== 'EADDRINUSE') return null;
  return new CliError(`port in use: ${(e as Error).message}`, Exit.portInUse, 'another relay may be running');
}

/**
 * Starts a service of the operator's side. Where its port is taken: an error if it was asked for, a warning if it
 * is only the default, since several relays on one machine are no mistake.
 */
async function orWithout<T>(
  what: string,
  isDefault: boolean,
  log: EventLog,
  start: () => Promise<T>,
): Promise<T | null> {
  try {
    return await start();
  } catch (e) {
    const taken = portTaken(e);
    if (taken === null) throw e;
    if (!isDefault) throw taken;
    log.log('warn', 'default_port_taken', { service: what, error: taken.message });
    return null;
  }
}

async function openOps(
  c: Config,
  node: RelayNode,
  log: EventLog,
  worker: Worker | null,
): Promise<OpsServer | null> {
  const text = c.text('opsBind') ?? 'off';
  const accepted = worker?.accepted('ops');
  if (text === 'off' || (worker !== null && accepted === undefined)) return null;
  let bind: ReturnType<typeof parseBind>;
  try {
    bind = parseBind(text);
  } catch (e) {
    throw usageError(`opsBind: ${(e as Error).message}`);
  }
  const ops = await orWithout('opsBind', c.origin('opsBind').from === 'default', log, () =>
    OpsServer.start(node, {
      bind,
      ...(accepted === undefined ? {} : { accepted }),
      httpEngine: c.text('httpEngine') as 'auto' | 'uws' | 'node',
      onError: (e) => log.log('error', 'http_error', { error: String(e) }),
    }),
  );
  if (ops !== null && worker === null) log.log('info', 'ops_listening', { host: bind.host, port: ops.port });
  return ops;
}

async function startRelay(
  c: Config,
  network: Network,
  signer: Signer,
  dataDir: string,
  counters: Counters,
  engine: VerifyEngine,
  log: EventLog,
  worker: Worker | null,
): Promise<Relay> {
  const port = c.whole('s2Port');
  const [certFile, keyFile] = [c.text('wsTlsCert'), c.text('wsTlsKey')];
  if ((certFile === null) !== (keyFile === null)) throw usageError('wsTlsCert and wsTlsKey go together');
  const limits = limitsOf(c, (config, key) => share(config, key, worker));
  try {
    return await Relay.start({
      network,
      signer,
      ...(worker === null ? {} : { cluster: worker.cluster }),
      host: c.text('p2pBind') ?? '0.0.0.0',
      port,
      wsPort: worker === null ? wsPortOf(c, port) : worker.cluster.wsPort,
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
      counters,
      engine,
      blacklist: bansOf(c),
      log: log.log,
      allowList: allowedOf(c),
      limits,
      linkLimits: limits,
    });
  } catch (e) {
    throw portTaken(e) ?? e;
  }
}

export async function takeDataFolder(dataDir: string): Promise<DataFolderLock> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    return await DataFolderLock.take(dataDir);
  } catch (e) {
    if (e instanceof DataFolderLocked)
      throw new CliError(e.message, Exit.dataFolder, 'one relay per folder: set dataFolderPath');
    throw new CliError(`cannot use the data folder ${dataDir}: ${(e as Error).message}`, Exit.dataFolder);
  }
}

/** Runs a relay until a signal ends it. `reread` reads flags, environment and file again for a reload. */
export async function serve(c: Config, reread: () => Config, args: readonly string[]): Promise<number> {
  const network = networkOf(c);
  if (WorkerPort.isWorker) return runWorker(c, reread, network);
  // Before anything is touched: a configuration that cannot be used is told first.
  checkApi(c);
  bansOf(c);
  allowedOf(c);
  if (c.whole('processes') > 1 || c.on('supervised')) return serveParent(c, args);
  const dataDir = resolve(c.text('dataFolderPath') ?? '.');
  const walletPath = c.text('wallet') ?? 'ixian.wal';
  if (c.on('onlyShowAddresses')) {
    const wallet = await openWalletAt(walletPath, passwordOf(c), { create: true });
    process.stdout.write(`${addressText((await createSigner(wallet.exportPrivateKey())).address)}\n`);
    return Exit.ok;
  }
  const lock = await takeDataFolder(dataDir);
  try {
    const wallet = await openWalletAt(walletPath, passwordOf(c), { create: true });
    if (c.on('changepass')) await saveWalletFile(walletPath, wallet, await newPassword({}, walletPath));
    if (c.on('clean')) {
      const test = network.name === 'main' ? '' : 'testnet-';
      await rm(`${dataDir}/${test}peers.ixi`, { force: true });
      await rm(`${dataDir}/${test}headers`, { force: true, recursive: true });
    }
    return await run(c, reread, network, await createSigner(wallet.exportPrivateKey()), dataDir, null);
  } finally {
    await lock.release();
  }
}

async function run(
  c: Config,
  reread: () => Config,
  network: Network,
  signer: Signer,
  dataDir: string,
  worker: Worker | null,
): Promise<number> {
  const counters = worker?.counters ?? new Counters();
  const log = openLog(c, counters);
  const node = new RelayNode(
    {
      network: network.name,
      version: packageVersion(),
      dataDir,
      ready: {
        mastersMin: c.whole('readyMinMasters'),
        headerAgeMaxSeconds: c.whole('readyMaxHeaderAge'),
        blocksBehindMax: c.whole('readyMaxBlocksBehind'),
        standalone: c.on('standalone'),
      },
    },
    counters,
  );
  const life = new Life(worker !== null);
  const heapGrowth = new HeapGrowth();
  const verifier = await verifierOf(c, log);
  node.verifier = verifier;
  const engine = measuredEngine(verifier, counters);
  let ops: OpsServer | null = null;
  let relay: Relay | null = null;
  let bans: Bans | null = null;
  let cluster: ClusterOperator | null = null;
  let api: RunningApi | null = null;
  try {
    node.updates = await updatesOf(c, log);
    ops = await openOps(c, node, log, worker);
    relay = await startRelay(c, network, signer, dataDir, counters, engine, log, worker);
    node.attach(relay);
    if (c.on('app') && relay.web !== null) await addAppRoutes(relay.web);
    const running = relay;
    const drain = new Drain(relay);
    bans = await Bans.open(relay, dataDir, bansOf(c));
    const parts: ReloadPart[] = [
      limitsPart(
        () => running.control,
        (config, key) => share(config, key, worker),
      ),
      bansPart(bans),
      allowPart(relay),
      logPart(log),
    ];
    const reloader = new Reloader(c, { counters, read: reread, parts });
    cluster = worker?.operate(node, relay, drain, bans, log) ?? null;
    await cluster?.join();
    const backend: ApiBackend = {
      node,
      relay,
      signer,
      engine,
      bans,
      drain,
      log,
      walletPath: resolve(c.text('wallet') ?? 'ixian.wal'),
      config: () => reloader.config,
      startDrain: () => (worker === null ? life.onDrain() : worker.port.ask('drain', 'api')),
      reload: () => {
        worker?.port.ask('reload', 'api');
        return reloaded(reloader, log);
      },
      selfTest: () => selfTest(reloader.config, node, running),
      shutdown: (why) => (worker === null ? life.end(why) : worker.port.ask('stop', why)),
      cluster,
    };
    api = await startApi(
      c,
      backend,
      dataDir,
      log,
      (isDefault, start) => orWithout('apiBind', isDefault, log, start),
      worker === null ? null : (name) => worker.accepted(name),
    );
    parts.push(...api.parts);
    life.onReload = () => void reloaded(reloader, log);
    life.onDrain = () =>
      void drainOn(drain, reloader.config, log, () => {
        // Of several processes the parent ends all, when the last one has drained.
        if (worker !== null) worker.port.drained();
        else if (reloader.config.text('drainThen') === 'exit') life.end('drained');
      });
    if (worker === null) tellStarted(c, relay);
    else worker.serve(relay, life, reloader);
    tellServing();
    void poolGivesWay();
    heapGrowth.start();
    const why = await life.ended;
    node.phase = 'stopping';
    log.log('info', 'stopping', { why });
    drain.cancel();
    if (why === RETIRED) await relay.stop();
    else await stopGracefully(relay, reloader.config.whole('stopDrainSeconds'));
    cluster?.leave();
    log.log('info', 'stopped');
    return Exit.ok;
  } finally {
    heapGrowth.stop();
    life.close();
    await relay?.stop();
    api?.live?.close();
    for (const s of api?.servers ?? []) await s.stop();
    await bans?.close();
    await ops?.stop();
    await engine.close();
    node.close();
  }
}

/** A limit of the whole relay, or this process's share of it. */
function share(c: Config, key: string, worker: Worker | null): number {
  const whole = c.whole(key);
  const counted = key === 'maxClients' || key === 'maxConnections';
  return worker === null || !counted ? whole : Math.ceil(whole / worker.processes);
}

/** One of the processes of a relay: what it needs comes from its parent. */
async function runWorker(c: Config, reread: () => Config, network: Network): Promise<number> {
  const worker = await Worker.open((log) => openLog(c, log));
  try {
    const path = c.text('wallet') ?? 'ixian.wal';
    const wallet = await openWalletAt(path, { literal: worker.password }, { create: false });
    const signer = await createSigner(wallet.exportPrivateKey());
    return await run(c, reread, network, signer, resolve(c.text('dataFolderPath') ?? '.'), worker);
  } catch (e) {
    if (e instanceof CliError) await worker.port.failed(e.exitCode, e.message);
    else await worker.port.failed(Exit.failed, e instanceof Error ? (e.stack ?? e.message) : String(e));
    throw e;
  } finally {
    await worker.close();
  }
}

function reloaded(reloader: Reloader, log: EventLog): ReloadResult {
  log.reopen();
  const r = reloader.reload();
  if (r.ok)
    log.log('info', 'config_reloaded', { changed: r.changed.join(' '), restart: r.restart.join(' ') });
  else log.log('error', 'config_reload_failed', { error: r.error });
  return r;
}

function tellStarted(c: Config, relay: Relay): void {
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
}

/** `onComplete`: what follows when nobody is left. */
async function drainOn(drain: Drain, c: Config, log: EventLog, onComplete: () => void): Promise<void> {
  if (drain.state !== 'idle') return;
  log.log('info', 'drain_started', { seconds: c.whole('drainSeconds') });
  const complete = await drain.start({
    graceSeconds: c.whole('drainGraceSeconds'),
    seconds: c.whole('drainSeconds'),
    minClients: c.whole('drainMinClients'),
  });
  log.log('info', 'drain_ended', { complete });
  if (complete) onComplete();
}

/** Who the configuration refuses, every entry valid. */
export function bansOf(c: Config): readonly string[] {
  const entries = c.list('ban');
  for (const e of entries)
    try {
      new Blacklist([e]);
    } catch {
      throw usageError(`ban must be a wallet address, host:port, IP address or CIDR range, not ${e}`);
    }
  return entries;
}

/** Who may connect at all, every entry valid. */
function allowedOf(c: Config): readonly string[] {
  const entries = c.list('allow');
  for (const e of entries)
    try {
      new AllowList([e]);
    } catch {
      throw usageError(`allow must be an IP address or CIDR range, not ${e}`);
    }
  return entries;
}

function allowPart(relay: Relay): ReloadPart {
  return {
    keys: ['allow'],
    prepare: (c) => {
      const next = allowedOf(c);
      return () => void relay.control.setAllowed(next);
    },
  };
}

function bansPart(bans: Bans): ReloadPart {
  return {
    keys: ['ban'],
    prepare: (c) => {
      const next = bansOf(c);
      return () => bans.configure(next);
    },
  };
}

function logPart(log: EventLog): ReloadPart {
  return {
    keys: ['logLevel', 'logVerbosity', 'logModule'],
    prepare: (c) => {
      const [levels, modules] = [levelsOf(c), modulesOf(c)];
      return () => {
        log.setLevels(levels);
        log.setModules(modules);
      };
    },
  };
}

/**
 * Signals of a relay (docs/protocol/11 §12.4): SIGTERM and SIGINT end it in order, a second one at once; SIGHUP
 * reloads, SIGUSR2 drains.
 */
export class Life {
  onReload: () => void = () => undefined;
  onDrain: () => void = () => undefined;
  /** Why the relay shall end. */
  readonly ended: Promise<string>;
  #end: (why: string) => void = () => undefined;
  #asked = false;
  // The timers of a service do not keep the process alive by themselves.
  readonly #alive = setInterval(() => undefined, 1 << 30);
  readonly #handlers: readonly (readonly [NodeJS.Signals, () => void])[];

  /** @param worker signals go to the parent, whose words count */
  constructor(worker = false) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const stop = (name: string) => (): void => {
      if (this.#asked) process.exit(130);
      this.end(name);
    };
    const ignored = (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const).map(
      (name) => [name, () => undefined] as const,
    );
    if (worker) this.#handlers = ignored;
    else
      this.#handlers = [
        ['SIGINT', stop('SIGINT')],
        ['SIGTERM', stop('SIGTERM')],
        ['SIGHUP', () => this.onReload()],
        ['SIGUSR2', () => this.onDrain()],
      ];
    for (const [name, handler] of this.#handlers) process.on(name, handler);
  }

  end(why: string): void {
    this.#asked = true;
    this.#end(why);
  }

  close(): void {
    clearInterval(this.#alive);
    for (const [name, handler] of this.#handlers) process.off(name, handler);
  }
}
