import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { LoadClient } from '../../src/load/client.js';
import { Identities } from '../../src/load/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import type { Relay } from '../../src/relay/index.js';
import { Code, NETWORKS } from '../../src/wire/index.js';
import { signerOf } from '../link/support.js';
import { endOf, rawSocket } from '../relay/hostile-support.js';
import { connected, nowSeconds } from '../relay/support.js';
import { sleep, until } from './support.js';

const MAIN = resolve(import.meta.dirname, '../../dist/cli/main.js');
/** Clients of the storm; 10,000 on request. */
const STORM = Number(process.env.FAULT_STORM ?? 500);

let dir = '';
const running: Service[] = [];
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'starling-faults-'));
  writeFileSync(join(dir, 'password'), 'correct horse battery staple');
});
afterEach(() => {
  for (const s of running.splice(0)) s.end();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A relay process; `shell` may do something before it becomes the relay. */
class Service {
  readonly events: Record<string, unknown>[] = [];
  readonly #child: ChildProcess;
  exit: string | null = null;

  constructor(
    folder: string,
    args: readonly string[],
    before = 'true',
    through: readonly string[] = ['bash', '-c'],
  ) {
    const command = [process.execPath, MAIN, 'relay', '--json', '--networkType', 'regtest', '--standalone'];
    command.push('--wsPort', 'off', '--ip', '127.0.0.1', '--opsBind', '127.0.0.1:0', '--apiBind', 'off');
    command.push('--wallet', join(dir, 'relay.wal'), '--walletPasswordFile', join(dir, 'password'));
    command.push('--dataFolderPath', folder, ...args);
    const [program, ...rest] = through;
    this.#child = spawn(program!, [...rest, `${before}; exec "$@"`, 'relay', ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      if (line.startsWith('{')) this.events.push(JSON.parse(line) as Record<string, unknown>);
    });
    this.#child.on('exit', (code, signal) => {
      this.exit = `${code ?? signal}`;
    });
    running.push(this);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async event(name: string, ms = 60_000): Promise<Record<string, unknown>> {
    await until(name, () => this.exit !== null || this.events.some((e) => e.event === name), ms);
    expect(this.exit).toBeNull();
    return this.events.find((e) => e.event === name)!;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<string> {
    await until('the end', () => this.exit !== null, 20_000);
    return this.exit!;
  }

  end(): void {
    if (this.exit === null) this.#child.kill('SIGKILL');
  }

  /** Something to connect to. */
  async at(): Promise<Relay> {
    return { port: Number((await this.event('started')).port) } as Relay;
  }

  async metric(name: string): Promise<number> {
    const { port } = await this.event('ops_listening');
    const page = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
    const line = page.split('\n').find((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`));
    return Number(line?.split(' ').at(-1) ?? Number.NaN);
  }
}

/** Two clients that exchange so many messages through that relay, all of which arrive. */
async function serves(relay: Relay, messages = 20): Promise<void> {
  const a = await connected(relay, { wallet: 'w1', localAddress: '127.0.0.2' });
  const b = await connected(relay, { wallet: 'w2', localAddress: '127.0.0.3' });
  const [sender, recipient] = [(await signerOf('w1')).address, (await signerOf('w2')).address];
  for (let i = 0; i < messages; i++) {
    const id = new Uint8Array(16).fill(i + 1);
    const data = new Uint8Array(300).fill(i);
    const timestamp = BigInt(nowSeconds());
    a.link.send(
      Code.s2data,
      encodeStreamMessage(streamMessage({ version: 1, id, type: 2, sender, recipient, data, timestamp })),
    );
  }
  await until('all arrived', () => b.messages.filter((m) => m.code === Code.s2data).length === messages);
  a.link.destroy();
  b.link.destroy();
}

it('file descriptors exhausted: the relay lives, and serves as soon as there are some again', async () => {
  const s = new Service(join(dir, 'few'), ['--port', '0']);
  const relay = await s.at();
  await serves(relay);
  // Lowered once it runs: loading a program takes more files at once than serving does.
  execFileSync('prlimit', ['--pid', String(s.pid), '--nofile=80:80']);
  const sockets: Socket[] = [];
  for (let i = 0; i < 300; i++) sockets.push(await rawSocket(relay.port, '127.0.0.4'));
  await sleep(1_500);
  expect(s.exit).toBeNull();
  for (const x of sockets) x.destroy();
  await Promise.all(sockets.map((x) => endOf(x)));
  await sleep(500);
  await serves(relay);
  s.kill('SIGTERM');
  expect(await s.ended()).toBe('0');
});

const canMount = ((): boolean => {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

it.skipIf(!canMount)('disk full: messages go on, and the relay says what it could not save', async () => {
  const folder = join(dir, 'small');
  const s = new Service(
    folder,
    ['--port', '0'],
    `mkdir -p ${folder} && mount -t tmpfs -o size=128k tmpfs ${folder}`,
    ['unshare', '-m', 'bash', '-c'],
  );
  const relay = await s.at();
  // The relay's own view of its folder: the mount is nobody else's.
  const inside = `/proc/${s.pid}/root${folder}`;
  try {
    writeFileSync(join(inside, 'filler'), new Uint8Array(1024 * 1024));
  } catch (e) {
    expect((e as NodeJS.ErrnoException).code).toBe('ENOSPC');
  }
  await serves(relay, 200);
  s.kill('SIGTERM');
  expect(await s.ended()).toBe('0');
  expect(s.events.map((e) => e.event)).toContain('presences_not_saved');
});

it(`a relay killed with ${STORM} clients: all are back after it has started again`, async () => {
  const folder = join(dir, 'storm');
  const limits = ['--maxConnections', '20000', '--maxClients', '20000', '--maxPreHelloPerSource', '20000'];
  const first = new Service(folder, ['--port', '0', ...limits]);
  const { port } = await first.at();
  const identities = new Identities('storm');
  let again = true;
  let refused = 0;
  const begin = (c: LoadClient, ms: number): void => {
    setTimeout(() => {
      if (again) c.connect(performance.now());
    }, ms);
  };
  const clients: LoadClient[] = Array.from({ length: STORM }, (_, i) => {
    return new LoadClient(
      i,
      identities.at(i),
      'tcp',
      { host: '127.0.0.1', port, wsPort: 0, network: NETWORKS.reg, line: '0.9.8' },
      {
        onOpen: () => undefined,
        onFrame: () => undefined,
        onFlushed: () => undefined,
        onClose: (c, reason) => {
          if (reason.startsWith('bye')) refused++;
          begin(c, 200 + Math.random() * 1_000);
        },
      },
      `127.0.0.${10 + (i % 50)}`,
    );
  });
  const live = setInterval(() => {
    for (const c of clients) c.live(performance.now());
  }, 500);
  const open = (): number => clients.filter((c) => c.state === 'open').length;
  try {
    for (const c of clients) begin(c, Math.random() * 1_000);
    await until('everybody is there', () => open() === STORM, 60_000);
    expect(await first.metric('ixian_connections{direction="in",peer_type="C"}')).toBe(STORM);
    first.kill('SIGKILL');
    await first.ended();
    const second = new Service(folder, ['--port', String(port), ...limits]);
    const relay = await second.at();
    const restarted = Date.now();
    await until('everybody is back', () => open() === STORM, 100_000);
    console.log(
      `${STORM} clients back ${Date.now() - restarted} ms after the start, ${refused} told to wait`,
    );
    await serves(relay);
    expect(second.exit).toBeNull();
    second.kill('SIGTERM');
    again = false;
    expect(await second.ended()).toBe('0');
  } finally {
    again = false;
    clearInterval(live);
  }
});
