// How many clients one relay holds, connected after a real hello and pinging: one process on one core, and one machine
// with `--processes` on all cores.
//
// The machine needs a file limit of 20,000 in each process, and source addresses of 127.0.0.0/8. Every hello costs the relay
// an RSA-4096 signature, here with a key of four primes, and the generators share the cores: 500 to 800 clients connect a
// second. Nobody may be accepted and then lost.

import { readFileSync } from 'node:fs';
import { loadScenario, parseTarget, runLoad } from '../../dist/load/index.js';
import { counted } from './judge.mjs';
import { cpuNanoseconds, residentBytes } from './machine.mjs';
import { freePort, moveTo, onePrefix, startRelay } from './servers.mjs';

export const about = 'clients connected and pinging: one process, and one machine with --processes';

export const sizes = {
  full: { one: 18_000, machine: 100_000, processes: 6, perSecond: 800, windowSeconds: 30 },
  short: { one: 6_000, machine: 12_000, processes: 2, perSecond: 800, windowSeconds: 10 },
};

/** Of 20,000 descriptors of a generator process. */
const clientsPerGenerator = 17_000;
const connectSecondsMax = 900;

/** The process and those it started. */
function familyOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(children === '' ? [] : children.split(' ').flatMap((c) => familyOf(Number(c))))];
}

async function arm(settings, clients, processes) {
  const { perSecond, windowSeconds } = settings.size;
  const ops = await freePort();
  const relay = await startRelay({
    fourPrimes: true,
    settings: [
      `--processes=${processes}`,
      `--opsBind=127.0.0.1:${ops}`,
      `--maxClients=${clients + 1_000}`,
      `--maxConnections=${clients + 2_000}`,
      ...onePrefix,
    ],
  });
  const name = `relay, ${processes === 1 ? 'one process' : `${processes} processes`}`;
  try {
    const pids = familyOf(relay.pid);
    for (const pid of pids) moveTo('0-1', pid);
    const empty = pids.map(residentBytes);
    const idle = await loadScenario('idle');
    const scenario = {
      ...idle,
      windowSeconds,
      connectSeconds: connectSecondsMax,
      groups: [{ ...idle.groups[0], clients, connectPerSecond: perSecond, clientsPerSource: 10_000 }],
    };
    const cpu = { from: null, cores: Number.NaN };
    const spent = () => pids.reduce((n, pid) => n + cpuNanoseconds(pid), 0);
    const result = await runLoad(scenario, parseTarget(`127.0.0.1:${relay.port}`, { network: 'reg' }), {
      processes: Math.ceil(clients / clientsPerGenerator),
      verifyServer: false,
      onSecond: (s) => {
        if (Math.round(s.second) % 10 === 0) settings.say(`${name}: ${s.open} open`);
      },
      onPhase: (phase) => {
        if (phase === 'window') cpu.from = { at: performance.now(), used: spent() };
        if (phase === 'drain')
          cpu.cores = (spent() - cpu.from.used) / 1e6 / (performance.now() - cpu.from.at);
      },
    });
    const resident = pids.map(residentBytes);
    const page = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text();
    const metric = (metricName) =>
      page
        .split('\n')
        .filter((l) => l.startsWith(`${metricName} `) || l.startsWith(`${metricName}{`))
        .reduce((n, l) => n + Number(l.split(' ').at(-1)), 0);
    const lost = Object.entries(result.total)
      .filter(([what]) => what.startsWith('connections.lost.'))
      .reduce((n, [, many]) => n + many, 0);
    const sum = (list) => list.reduce((a, b) => a + b, 0);
    return {
      group: `${clients.toLocaleString('en-US')} clients, a ping every 3 s each way`,
      name,
      connected: result.connected,
      lost,
      rampSeconds: result.rampSeconds,
      perSecond: result.connected / result.rampSeconds,
      cores: cpu.cores,
      residentMiB: sum(resident) / 2 ** 20,
      grown: (sum(resident) - sum(empty)) / 1_000 / clients,
      fullest: Math.max(...resident.slice(processes > 1 ? 1 : 0)) / 2 ** 20,
      refused: metric('ixian_connections_rejected_total'),
      handOversRefused: metric('ixian_handovers_refused_total'),
      acceptPauses: metric('ixian_accept_pauses_total'),
      total: result.total,
    };
  } finally {
    await relay.stop();
  }
}

export async function run(settings) {
  const { one, machine, processes } = settings.size;
  const rows = [await arm(settings, one, 1), await arm(settings, machine, processes)];
  return {
    title: 'Connections',
    bars: rows.flatMap((r, i) => [
      counted(`clients connected and pinging, ${r.name}`, i === 0 ? one : machine, r.connected, { unit: '' }),
      // None: the bar lies below one.
      counted(`clients not lost after they were accepted, ${r.name}`, r.connected, r.connected - r.lost, {
        unit: '',
      }),
    ]),
    rows,
    columns: {
      connected: 'connected',
      lost: 'lost',
      rampSeconds: 'ramp s',
      perSecond: 'connects/s',
      cores: 'relay cores',
      residentMiB: 'resident MiB',
      grown: 'KB per client',
      handOversRefused: 'hand-overs refused',
      acceptPauses: 'accept pauses',
    },
    chart: { value: 'connected', unit: 'clients' },
  };
}
