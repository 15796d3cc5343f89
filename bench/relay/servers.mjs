// The programs that are measured, each in a process of its own on the server's core.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The folder of the package. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const serverCore = '0';
export const generatorCore = '1';

/** Everybody comes from one address here, which no relay in the world would see. */
export const onePrefix = [
  '--maxPercentPerSource=100',
  '--maxPercentPerPrefix=100',
  '--prefixConnectsPerSecond=0',
  '--prefixBytesPerSecond=0',
  '--prefixMessagesPerSecond=0',
  '--prefixRequestsPerSecond=0',
];

/** More switches of node for a relay, as STARLING_BENCH_NODE_ARGS has them: for profiles. */
export const profiling = (process.env.STARLING_BENCH_NODE_ARGS ?? '').split(' ').filter((a) => a !== '');

/** Processes of this run. Whatever ends it ends them: none may stay behind and disturb the next run. */
const children = new Set();
export function endAll() {
  for (const c of children) c.kill('SIGKILL');
}
process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

/** Starts a command on one core; its lines of standard output one by one. */
export function pinned(core, command, args, options = {}) {
  const child = spawn('taskset', ['-c', core, command, ...args], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
    ...options,
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  children.add(child);
  const ended = new Promise((resolve) =>
    child.on('close', () => {
      children.delete(child);
      resolve();
    }),
  );
  return {
    pid: child.pid,
    async line() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${command} ${args.join(' ')} ended early`);
      return JSON.parse(value);
    },
    say: (message) => child.stdin.write(`${JSON.stringify(message)}\n`),
    async stop() {
      child.stdin.end();
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** A program under bench/floors. */
export async function startFloor(name, args = [], nodeArgs = []) {
  const p = pinned(serverCore, process.execPath, [...nodeArgs, join('bench/floors', `${name}.mjs`), ...args]);
  const { port } = await p.line();
  return { name, pid: p.pid, port, stop: p.stop };
}

export async function freePort() {
  const s = createServer().listen(0, '127.0.0.1');
  await new Promise((r) => s.once('listening', r));
  const { port } = s.address();
  await new Promise((r) => s.close(r));
  return port;
}

/** Debian's nats-server on one core; null where it is not installed. */
export async function startNats() {
  try {
    execFileSync('nats-server', ['--version'], { stdio: 'ignore' });
  } catch {
    return null;
  }
  const port = await freePort();
  const p = pinned(serverCore, 'nats-server', ['-a', '127.0.0.1', '-p', String(port)], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, GOMAXPROCS: '1' },
  });
  await new Promise((r) => setTimeout(r, 500));
  return { name: 'nats-server', pid: p.pid, port, stop: p.stop };
}

/** Switches that a build knows: an earlier one, measured for comparison, has fewer limits to lift. */
function knownTo(main) {
  const help = execFileSync(process.execPath, [main, 'relay', '--help'], { cwd: root, encoding: 'utf8' });
  return new Set(help.match(/--[A-Za-z0-9]+/g));
}

/**
 * A relay of this tree: alone, no limit in its way that the measure does not name. `fourPrimes`: with a key that signs
 * faster, where many handshakes only prepare what is measured. A `folder` that is given stays, with its wallet.
 */
export async function startRelay({
  nodeArgs = [],
  settings = [],
  main = 'dist/bin/main.js',
  env = {},
  fourPrimes = false,
  folder: kept = null,
} = {}) {
  const folder = kept ?? relayFolder();
  if (fourPrimes) makeWallet(folder, ['--relay'], main);
  const known = knownTo(main);
  const name = (flag) => flag.split('=')[0];
  const given = settings.filter((s) => known.has(name(s)));
  const own = relayArgs(folder).filter((f) => !given.some((g) => name(g) === name(f)));
  const p = pinned(serverCore, process.execPath, [...profiling, ...nodeArgs, main, ...own, ...given], {
    env: { ...process.env, ...env },
  });
  let started;
  // With --processes it tells of each first.
  do started = await p.line();
  while (started.event !== 'started');
  return {
    name: 'relay',
    pid: p.pid,
    port: started.port,
    wsPort: started.wsPort,
    endpoint: started.endpoint,
    stop: async () => {
      await p.stop();
      if (kept === null) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** An empty folder for one relay; its wallet is made at the first start. */
export function relayFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'starling-bench-'));
  writeFileSync(join(folder, 'password'), 'benchmark only');
  return folder;
}

const walletFiles = (folder) => [
  ...['--wallet', join(folder, 'ixian.wal')],
  ...['--walletPasswordFile', join(folder, 'password')],
];

/** Makes the wallet of a relay ahead of its first start; with `--relay` among the flags one of four primes. */
export function makeWallet(folder, flags = [], main = 'dist/bin/main.js') {
  execFileSync(process.execPath, [main, 'wallet', 'create', ...flags, ...walletFiles(folder)], {
    cwd: root,
    stdio: 'ignore',
  });
}

/** Writes a wallet's key as PEM into its folder; the path. */
export function exportKey(folder) {
  const pem = join(folder, 'ixian.pem');
  execFileSync(process.execPath, ['dist/bin/main.js', 'wallet', 'export', pem, ...walletFiles(folder)], {
    cwd: root,
    stdio: 'ignore',
  });
  return pem;
}

/** The switches of a relay that stands alone in that folder. */
export function relayArgs(folder, port = 0) {
  return [
    'relay',
    '--json',
    '--networkType=regtest',
    '--standalone',
    `--port=${port}`,
    '--wsPort=0',
    '--ip=127.0.0.1',
    `--dataFolderPath=${folder}`,
    `--wallet=${join(folder, 'ixian.wal')}`,
    `--walletPasswordFile=${join(folder, 'password')}`,
    '--opsBind=off',
    '--apiBind=off',
    '--logLevel=warn',
  ];
}

/** Lets every thread of a process run on these cores, e.g. `0,1`: set-up may use the whole machine. */
export function moveTo(cores, pid) {
  execFileSync('taskset', ['-a', '-c', '-p', cores, String(pid)], { stdio: 'ignore' });
}
/** A relay that runs already: `host:port` or `host:port,pid`, the second where its processor time can be read. */
export function parseTarget(text) {
  const [endpoint, pid] = text.split(',');
  const [host, port] = endpoint.split(':');
  if (!(Number(port) > 0) || (pid !== undefined && !(Number(pid) > 0)))
    throw new RangeError(`--target HOST:PORT[,PID], not ${text}`);
  return { text, host, port: Number(port), pid: pid === undefined ? null : Number(pid) };
}

export function startTarget({ text, host, port, pid }) {
  return { name: text, pid, host, port, endpoint: `${host}:${port}`, stop: async () => undefined };
}

/** A generator on the other core. Commands are answered one by one. */
export function startGenerator(name) {
  const p = pinned(generatorCore, process.execPath, [join('bench/relay/generator', `${name}.mjs`)]);
  return {
    pid: p.pid,
    async ask(command) {
      p.say(command);
      const answer = await p.line();
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer;
    },
    stop: p.stop,
  };
}
