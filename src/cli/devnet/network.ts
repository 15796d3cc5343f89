import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressFromText } from '../../identity/index.js';
import { createWalletFile } from '../../identity/node/index.js';
import { toHex } from '../../wire/index.js';
import { Child, type ChildEvent } from './child.js';
import { freePort } from './free-port.js';

/** Host the coordinator is known by. Reference nodes refuse 127.0.0.1 as a seed (docs/protocol/09 §14.1). */
export const COORDINATOR_HOST = '127.0.0.2';
/** Host of everything that dials: connections on loopback leave from 127.0.0.1. */
export const RELAY_HOST = '127.0.0.1';
/** A process whose wallet is there is up within a second; a busy machine gets its time. */
const startMs = 60_000;
/** Names of the two clients of the story. */
export const CLIENT_NAMES = ['A', 'B'] as const;

export interface NetworkOptions {
  /** The `starling` entry file. */
  readonly main: string;
  /** Folder for wallets and data; a temporary one, removed at the end, when null. */
  readonly dir: string | null;
  readonly relays: number;
  /** First port; the coordinator takes it, relays two each behind it, then one each for their dashboards. 0 = any free ones. */
  readonly port: number;
  readonly onEvent: (from: string, event: ChildEvent) => void;
  /** How many of the keys are made: they take most of the time of a start. */
  readonly onKeys?: (made: number, wanted: number) => void;
}

/** Where one relay of the network is. */
export interface RelayPlace {
  readonly child: Child;
  readonly address: string;
  readonly tcp: string;
  readonly ws: string;
  /** URL of its dashboard. */
  readonly dashboard: string;
  /** URL of the messenger it serves. */
  readonly app: string;
}

/**
 * A coordinator and relays on this machine, each a process of its own with a fresh key. Clients are added by
 * {@link LocalNetwork.client}.
 */
export class LocalNetwork {
  readonly relays: RelayPlace[] = [];
  readonly clients: Child[] = [];
  coordinator: Child | null = null;
  coordinatorAt = '';
  coordinatorAddress = '';

  private constructor(
    private readonly options: NetworkOptions,
    readonly dir: string,
    private readonly passwordFile: string,
    private readonly temporary: boolean,
  ) {}

  /** Starts coordinator and relays; resolves when every relay serves. */
  static async start(options: NetworkOptions): Promise<LocalNetwork> {
    const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'starling-devnet-')));
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const passwordFile = join(dir, 'password');
    const password = await ensurePassword(passwordFile);
    await ensureWallets(dir, password, options);
    const network = new LocalNetwork(options, dir, passwordFile, options.dir === null);
    try {
      await network.#start();
    } catch (e) {
      await network.stop();
      throw e;
    }
    return network;
  }

  async #start(): Promise<void> {
    const first = this.options.port;
    const coordinatorPort = first === 0 ? await freePort(COORDINATOR_HOST) : first;
    this.coordinatorAt = `${COORDINATOR_HOST}:${coordinatorPort}`;
    this.coordinator = this.#spawn('coordinator', [
      'coordinator',
      '--json',
      ...this.#files('coordinator'),
      ...['--host', COORDINATOR_HOST, '--port', String(coordinatorPort)],
    ]);
    const up = started(this.coordinator);
    const relays: Promise<void>[] = [];
    for (let i = 0; i < this.options.relays; i++) {
      const name = `relay-${i + 1}`;
      const port = first === 0 ? await freePort(RELAY_HOST) : first + 1 + 2 * i;
      const wsPort = first === 0 ? await freePort(RELAY_HOST) : port + 1;
      const apiPort = first === 0 ? await freePort(RELAY_HOST) : first + 1 + 2 * this.options.relays + i;
      const child = this.#spawn(name, [
        'relay',
        '--json',
        ...['--networkType', 'regtest', '--port', String(port), '--ip', RELAY_HOST],
        ...['--node', this.coordinatorAt, '--wsPort', String(wsPort)],
        ...['--apiport', String(apiPort), '--opsBind', 'off'],
        ...['--wallet', join(this.dir, `${name}.wal`), '--walletPasswordFile', this.passwordFile],
        ...['--dataFolderPath', join(this.dir, name)],
      ]);
      relays.push(
        started(child).then((e) => {
          this.relays.push({
            child,
            address: String(e.address),
            tcp: String(e.endpoint),
            ws: `ws://${RELAY_HOST}:${String(e.wsPort)}/ixian`,
            dashboard: `http://${RELAY_HOST}:${apiPort}/`,
            app: `http://${RELAY_HOST}:${String(e.wsPort)}/app`,
          });
        }),
      );
    }
    this.coordinatorAddress = String((await up).address);
    await Promise.all(relays);
    // Found by whoever asks the ledger's side: before that a client would look in vain.
    for (const r of this.relays) await this.#listed(r);
    this.relays.sort((a, b) => a.child.name.localeCompare(b.child.name));
  }

  #listed(relay: RelayPlace): Promise<ChildEvent> {
    const known = toHex(addressFromText(relay.address));
    return this.coordinator!.waitFor(
      `listing of ${relay.child.name}`,
      startMs,
      (e) => e.event === 'relay-listed' && e.address === known,
    );
  }

  #files(name: string): string[] {
    return [
      ...['--wallet', join(this.dir, `${name}.wal`)],
      ...['--walletPasswordFile', this.passwordFile],
      ...['--dataFolderPath', join(this.dir, name)],
    ];
  }

  #spawn(name: string, args: readonly string[]): Child {
    const child = new Child(name, this.options.main, args);
    child.on((e) => this.options.onEvent(name, e));
    return child;
  }

  /** Starts a terminal client in script mode, with all relays of this network to choose from. */
  client(name: string, extra: readonly string[] = []): Child {
    const child = this.#spawn(name, [
      'client',
      '--json',
      ...['--network', 'reg', '--wallet', join(this.dir, `${name}.wal`)],
      ...['--walletPasswordFile', this.passwordFile, '--data', join(this.dir, name)],
      ...this.relays.flatMap((r) => ['--relay', r.tcp]),
      ...extra,
    ]);
    this.clients.push(child);
    return child;
  }

  /** Every process of this network. */
  get children(): readonly Child[] {
    const head = this.coordinator === null ? [] : [this.coordinator];
    return [...head, ...this.relays.map((r) => r.child), ...this.clients];
  }

  /** Ends every process and removes a temporary folder. */
  async stop(): Promise<void> {
    await Promise.all(this.clients.map((c) => c.stop()));
    await Promise.all(this.children.map((c) => c.stop()));
    if (this.temporary) await rm(this.dir, { recursive: true, force: true });
  }
}

function started(child: Child): Promise<ChildEvent> {
  return child.waitFor('start', startMs, (e) => e.event === 'started');
}

/** The local network's password: random, readable by this user alone, kept as long as the folder. */
async function ensurePassword(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    const password = randomBytes(24).toString('base64url');
    await writeFile(file, password, { mode: 0o600 });
    return password;
  }
}

/** Fresh keys for everybody, several at a time off the main thread, before anything else competes for the cores. */
async function ensureWallets(dir: string, password: string, options: NetworkOptions): Promise<void> {
  const names = ['coordinator', ...CLIENT_NAMES];
  for (let i = 1; i <= options.relays; i++) names.push(`relay-${i}`);
  const missing = names.filter((n) => !existsSync(join(dir, `${n}.wal`)));
  let made = 0;
  options.onKeys?.(made, missing.length);
  await Promise.all(
    missing.map(async (name) => {
      const wallet = await createWalletFile(join(dir, `${name}.wal`), password);
      wallet.wipe();
      options.onKeys?.(++made, missing.length);
    }),
  );
}
