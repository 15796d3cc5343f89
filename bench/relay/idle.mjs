// Clients that only ping: what they cost, and how many one process holds.

import { atMost, counted, median, noiseOf } from './judge.mjs';
import { moveTo, onePrefix, serverCore, startFloor, startGenerator, startRelay } from './servers.mjs';

export const about = 'CPU with 1,000 and 18,000 idle pinging clients; 18,000 connected to one process';

const most = 18_000;
/** Windows in which the load is read, and how long each is: whole turns of 3 s, in which everybody pings once. */
const windows = 4;
const windowSeconds = 12;

async function loads(generator, server) {
  const out = [];
  for (let i = 0; i < windows; i++)
    out.push(await generator.ask({ serverPid: server.pid, seconds: windowSeconds }));
  return out;
}

export async function run(settings) {
  const bars = [];
  const rows = [];
  const servers = [
    ['node:net floor', 'floor', await startFloor('tcp-idle')],
    [
      'relay',
      'tcp',
      await startRelay({
        settings: ['--maxConnections=19000', '--maxClients=19000', ...onePrefix],
        env: { UV_THREADPOOL_SIZE: '4' },
        fourPrimes: true,
      }),
    ],
  ];
  const found = {};
  try {
    for (const [name, what, server] of servers) {
      const generator = startGenerator('idlers');
      for (const clients of [1_000, most]) {
        settings.say(`${name}, ${clients} clients`);
        // Signing takes the time of a ramp, and has two cores for it; measured is what comes after.
        moveTo('0,1', server.pid);
        const ramp = await generator.ask({ what, port: server.port, endpoint: server.endpoint, clients });
        moveTo(serverCore, server.pid);
        await new Promise((r) => setTimeout(r, 3_000));
        const taken = await loads(generator, server);
        found[`${what} ${clients}`] = taken;
        rows.push({
          group: `${clients.toLocaleString('en-US')} idle clients`,
          name,
          percent: 100 * median(taken.map((t) => t.serverLoad)),
          connected: taken.at(-1).clients - taken.at(-1).lost,
          lost: taken.at(-1).lost,
          rampSeconds: ramp.seconds,
        });
      }
      await generator.stop();
      await server.stop();
    }
  } finally {
    for (const [, , server] of servers) await server.stop();
  }
  for (const [clients, bar] of [
    [1_000, 1.5],
    [most, 18],
  ]) {
    const load = (what) => found[`${what} ${clients}`].map((t) => 100 * t.serverLoad);
    const spread = noiseOf(load('floor').map((v) => v / median(load('floor'))));
    const n = clients.toLocaleString('en-US');
    bars.push(
      atMost(`CPU with ${n} idle pinging clients`, bar, median(load('tcp')), spread, { unit: '% of a core' }),
    );
    const ratio = median(load('tcp')) / median(load('floor'));
    bars.push(atMost(`CPU with ${n} idle pinging clients : floor`, 1.7, ratio, spread, { unit: '×' }));
  }
  const end = found[`tcp ${most}`].at(-1);
  bars.push(counted('connected and pinging, one process', most, end.clients - end.lost, { unit: 'clients' }));
  return {
    title: 'Idle clients',
    bars,
    rows,
    columns: { percent: '% of a core', connected: 'connected', lost: 'lost', rampSeconds: 'ramp s' },
    chart: { value: 'percent', unit: '%' },
  };
}
