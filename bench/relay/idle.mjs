// Clients that only ping: what they cost, and how many one process holds.

import { atMost, counted, median, noiseOf, spreadOf } from './judge.mjs';
import { moveTo, onePrefix, serverCore, startFloor, startGenerator, startRelay } from './servers.mjs';

export const about = 'CPU with 1,000 and 18,000 idle pinging clients; 18,000 connected to one process';

const most = 18_000;
/** Windows in which the load is read, and how long each is: whole turns of 3 s, in which everybody pings once. */
const windows = 5;
const windowSeconds = 12;
/** What connecting leaves behind, compiling and collecting, is seen in the windows of 24 s after it: 1.8 % instead of 1.3. */
const settleMs = 30_000;

async function loads(generator, server) {
  const out = [];
  for (let i = 0; i < windows; i++)
    out.push(await generator.ask({ serverPid: server.pid, seconds: windowSeconds }));
  return out;
}

const startIdleRelay = () =>
  startRelay({
    settings: ['--maxConnections=19000', '--maxClients=19000', ...onePrefix],
    env: { UV_THREADPOOL_SIZE: '4' },
    fourPrimes: true,
  });

/** A server with so many idle clients that has come to rest. */
async function filled([name, what, start], clients) {
  const server = await start();
  const generator = startGenerator('idlers');
  // Signing takes the time of a ramp, and has two cores for it; measured is what comes after.
  moveTo('0,1', server.pid);
  const ramp = await generator.ask({ what, port: server.port, endpoint: server.endpoint, clients });
  moveTo(serverCore, server.pid);
  await new Promise((r) => setTimeout(r, settleMs));
  return {
    name,
    ramp,
    loads: () => loads(generator, server),
    stop: async () => {
      await generator.stop();
      await server.stop();
    },
  };
}

function rowOf(clients, { name, ramp }, taken) {
  return {
    group: `${clients.toLocaleString('en-US')} idle clients`,
    name,
    percent: 100 * median(taken.map((t) => t.serverLoad)),
    connected: taken.at(-1).clients - taken.at(-1).lost,
    lost: taken.at(-1).lost,
    rampSeconds: ramp.seconds,
  };
}

function barsOf(bars, clients, bar, { percent, ratio, spread, spreadOfPercent }) {
  const name = `CPU with ${clients.toLocaleString('en-US')} idle pinging clients`;
  bars.push(
    atMost(name, bar, percent, spreadOfPercent, { unit: '% of a core' }),
    atMost(`${name} : floor`, 1.7, ratio, spread, { unit: '×' }),
  );
}

export async function run(settings) {
  const bars = [];
  const rows = [];
  const floor = ['node:net floor', 'floor', () => startFloor('tcp-idle')];
  const again = ['node:net floor again', 'floor', floor[2]];
  const relay = ['relay', 'tcp', startIdleRelay];

  // The few in the same windows: a hundredth of a core is as much as what the machine does beside it.
  const few = 1_000;
  settings.say(`${few} clients of the floor, of the floor again and of the relay, all at once`);
  const sides = [];
  let taken;
  try {
    for (const side of [floor, again, relay]) sides.push(await filled(side, few));
    taken = await Promise.all(sides.map((s) => s.loads()));
  } finally {
    for (const s of sides) await s.stop();
  }
  for (const [i, s] of sides.entries()) rows.push(rowOf(few, s, taken[i]));
  const percent = (runs) => runs.map((t) => 100 * t.serverLoad);
  const ratios = (a, b) => percent(a).map((v, i) => v / percent(b)[i]);
  barsOf(bars, few, 1.5, {
    percent: median(percent(taken[2])),
    ratio: median(ratios(taken[2], taken[0])),
    spread: noiseOf(ratios(taken[1], taken[0])),
    spreadOfPercent: spreadOf(percent(taken[0])),
  });

  const many = [];
  for (const side of [floor, relay]) {
    settings.say(`${side[0]}, ${most} clients`);
    const s = await filled(side, most);
    try {
      many.push(await s.loads());
      rows.push(rowOf(most, s, many.at(-1)));
    } finally {
      await s.stop();
    }
  }
  const [floors, own] = many.map((runs) => median(percent(runs)));
  const spread = spreadOf(percent(many[0]));
  barsOf(bars, most, 18, { percent: own, ratio: own / floors, spread, spreadOfPercent: spread });
  const end = many[1].at(-1);
  bars.push(counted('connected and pinging, one process', most, end.clients - end.lost, { unit: 'clients' }));
  return {
    title: 'Idle clients',
    bars,
    rows,
    columns: { percent: '% of a core', connected: 'connected', lost: 'lost', rampSeconds: 'ramp s' },
    chart: { value: 'percent', unit: '%' },
  };
}
