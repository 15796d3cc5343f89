// How many clients one relay holds, connected after a real hello and pinging: one process, or one machine with
// `--processes`. Prints the ramp, memory and processor time of every process of the relay, and who was lost.
//
//   node bench/relay/connections.mjs [--clients 18000] [--processes 1] [--seconds 30] [--generators N] [--rate 400]
//
// 100,000 clients need a file limit of 20,000 in each process and --processes 6; generators are as many as that limit
// asks for. Every hello costs the relay an RSA-4096 signature, here with a key of four primes: on two cores that the
// generators use too 300 to 500 clients connect a second. Stops by itself. Exit code 1 when somebody could not connect,
// or was accepted and lost.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { loadScenario, parseTarget, runLoad } from '../../dist/load/index.js';
import { onePrefix } from './servers.mjs';

const { values: o } = parseArgs({
  options: {
    clients: { type: 'string', default: '18000' },
    processes: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '30' },
    generators: { type: 'string' },
    rate: { type: 'string', default: '400' },
    json: { type: 'string' },
  },
});
const clients = Number(o.clients);
const processes = Number(o.processes);
/** Of 20,000 descriptors of a generator process. */
const CLIENTS_PER_GENERATOR = 17_000;
const generators = Number(o.generators ?? Math.ceil(clients / CLIENTS_PER_GENERATOR));
const main = new URL('../../dist/bin/main.js', import.meta.url).pathname;
const dir = await mkdtemp(join(tmpdir(), 'starling-connections-'));
await writeFile(join(dir, 'password'), 'only for this benchmark');

execFileSync(
  process.execPath,
  [
    main,
    'wallet',
    'create',
    '--relay',
    '--wallet',
    join(dir, 'relay.wal'),
    '--walletPasswordFile',
    join(dir, 'password'),
  ],
  { stdio: 'ignore' },
);
const relay = spawn(
  process.execPath,
  [
    ...[
      main,
      'relay',
      '--json',
      '--networkType',
      'regtest',
      '--standalone',
      '--processes',
      String(processes),
    ],
    ...[
      '--port',
      '0',
      '--wsPort',
      'off',
      '--ip',
      '127.0.0.1',
      '--opsBind',
      '127.0.0.1:0',
      '--apiBind',
      'off',
    ],
    ...['--wallet', join(dir, 'relay.wal'), '--walletPasswordFile', join(dir, 'password')],
    ...['--dataFolderPath', join(dir, 'data'), '--maxClients', String(clients + 1000)],
    ...['--maxConnections', String(clients + 2000)],
    ...onePrefix,
  ],
  { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, STARLING_STOP_WITH_STDIN: '1' } },
);
const events = [];
createInterface({ input: relay.stdout }).on('line', (line) => events.push(JSON.parse(line)));
async function event(name) {
  for (;;) {
    const e = events.find((x) => x.event === name);
    if (e !== undefined) return e;
    if (relay.exitCode !== null) throw new Error(`the relay ended with ${relay.exitCode}`);
    await new Promise((r) => setTimeout(r, 20));
  }
}

/** Resident bytes and processor seconds of a process. */
async function reading(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const f = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { rss: Number(f[21]) * 4096, cpu: (Number(f[11]) + Number(f[12])) / 100 };
}

let failed = true;
try {
  const { port } = await event('started');
  const { port: ops } = await event('ops_listening');
  const pids = [relay.pid, ...events.filter((e) => e.event === 'worker_started').map((e) => e.pid)];
  const empty = await Promise.all(pids.map(reading));
  let scenario = await loadScenario('idle');
  const group = {
    ...scenario.groups[0],
    clients,
    connectPerSecond: Number(o.rate),
    clientsPerSource: 10_000,
  };
  scenario = { ...scenario, windowSeconds: Number(o.seconds), connectSeconds: 1_800, groups: [group] };
  let atStart = [];
  const result = await runLoad(scenario, parseTarget(`127.0.0.1:${port}`, { network: 'reg' }), {
    processes: generators,
    verifyServer: false,
    onSecond: (s) => {
      if (s.second % 10 === 0) process.stderr.write(`${s.second} s: ${s.open} open\n`);
    },
    onPhase: (phase) => {
      if (phase === 'window') void Promise.all(pids.map(reading)).then((r) => (atStart = r));
    },
  });
  const atEnd = await Promise.all(pids.map(reading));
  const page = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text();
  const metric = (name) =>
    page
      .split('\n')
      .filter((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`))
      .reduce((n, l) => n + Number(l.split(' ').at(-1)), 0);
  const out = {
    clients,
    processes,
    connected: result.connected,
    rampSeconds: Math.round(result.rampSeconds * 10) / 10,
    perSecond: Math.round(result.connected / result.rampSeconds),
    total: result.total,
    refusedByRelay: metric('ixian_connections_rejected_total'),
    refusedHandOvers: metric('ixian_handovers_refused_total'),
    acceptPauses: metric('ixian_accept_pauses_total'),
    relay: pids.map((pid, i) => ({
      pid,
      role: i === 0 && processes > 1 ? 'parent' : 'worker',
      rssMiB: Math.round(atEnd[i].rss / 2 ** 20),
      grownKiBPerClient:
        Math.round(((atEnd[i].rss - empty[i].rss) / 1024 / (clients / Math.max(1, processes))) * 10) / 10,
      cpuShare: Math.round(((atEnd[i].cpu - atStart[i].cpu) / result.windowSeconds) * 1000) / 1000,
    })),
    machine: result.machine,
    cpu: cpus()[0].model,
    verdict: result.verdict,
  };
  console.log(JSON.stringify(out, null, 1));
  if (o.json !== undefined) await writeFile(o.json, `${JSON.stringify(out, null, 1)}\n`);
  const lost = Object.entries(result.total).filter(
    ([name, n]) => name.startsWith('connections.lost.') && n > 0,
  );
  for (const [name, n] of lost) console.log(`${n} × ${name}`);
  failed = result.connected < clients || lost.length > 0;
} finally {
  relay.stdin.end();
  await new Promise((r) => (relay.exitCode === null ? relay.once('exit', r) : r()));
  await rm(dir, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
