// Resident memory per idle client after a real hello: the slope from 5,000 to 15,000 clients, in several processes.

import { atMost, median, spreadOf } from './judge.mjs';
import { collectSignal, residentBytes, slabBytes } from './machine.mjs';
import { moveTo, onePrefix, serverCore, startFloor, startGenerator, startRelay } from './servers.mjs';

export const about = 'resident memory per idle client, TCP and WebSocket, 5,000 to 15,000';

/** How far its halves may be from a straight line. */
const straightWithin = 0.1;
const steps = [5_000, 10_000, 15_000];
/** Connections settle, then what the handshakes left behind is collected, in the floors too: else a step tells when a
 * collection happened to run, and not what a client costs. */
const settleMs = 6_000;
const collectMs = 4_000;
const collecting = ['--import', './bench/relay/collect.mjs'];

async function slope(settings, name, what, server) {
  const generator = startGenerator('idlers');
  const port = what === 'ws' ? server.wsPort : server.port;
  const resident = [];
  const slab = [];
  try {
    for (const clients of steps) {
      settings.say(`${name}, ${clients} clients`);
      moveTo('0,1', server.pid);
      await generator.ask({ what, port, endpoint: server.endpoint, clients });
      moveTo(serverCore, server.pid);
      await new Promise((r) => setTimeout(r, settleMs));
      process.kill(server.pid, collectSignal);
      await new Promise((r) => setTimeout(r, collectMs));
      resident.push(residentBytes(server.pid));
      slab.push(slabBytes());
    }
  } finally {
    await generator.stop();
    await server.stop();
  }
  const per = (list, a, b) => (list[b] - list[a]) / (steps[b] - steps[a]) / 1_000;
  return {
    kilobytes: per(resident, 0, 2),
    first: per(resident, 0, 1),
    second: per(resident, 1, 2),
    slab: per(slab, 0, 2),
    residentMiB: resident[2] / 2 ** 20,
  };
}

/**
 * The middle one of several processes in each figure: what an allocator keeps for later is 2 MB more or less at a step,
 * 0.4 KB per client of a half.
 */
function together(slopes) {
  const row = {};
  for (const key of Object.keys(slopes[0])) row[key] = median(slopes.map((s) => s[key]));
  // How far the halves are from the line through both.
  row.bend = Math.abs(row.second - row.first) / Math.abs(row.first + row.second);
  return row;
}

export async function run(settings) {
  const rows = [];
  const bars = [];
  const relay = () =>
    startRelay({
      nodeArgs: collecting,
      settings: ['--maxConnections=19000', '--maxClients=19000', ...onePrefix],
      fourPrimes: true,
    });
  for (const [name, what, start, bar] of [
    ['node:net floor', 'floor', () => startFloor('tcp-idle', [], collecting), null],
    ['relay', 'tcp', relay, 8],
    ['uWebSockets.js floor', 'ws-floor', () => startFloor('ws-idle', [], collecting), null],
    ['relay', 'ws', relay, 3],
  ]) {
    const slopes = [];
    const rounds = bar === null ? 1 : settings.rounds;
    while (slopes.length < rounds) slopes.push(await slope(settings, name, what, await start()));
    const row = { group: what.startsWith('ws') ? 'WebSocket' : 'TCP', name, ...together(slopes) };
    rows.push(row);
    if (bar === null) continue;
    // Where the line is not straight, its steeper half is judged.
    const steeper = row.first > row.second ? 'first' : 'second';
    const judged = row.bend <= straightWithin ? 'kilobytes' : steeper;
    const noise = Math.max(Math.min(row.bend, straightWithin), spreadOf(slopes.map((s) => s[judged])));
    bars.push(
      atMost(`memory per idle client, ${row.group}`, bar, row[judged], noise, {
        unit: 'KB',
        slope: row.kilobytes,
        straightWithin: row.bend,
        processes: slopes,
      }),
    );
  }
  return {
    title: 'Memory per idle client',
    bars,
    rows,
    columns: {
      kilobytes: 'KB per client',
      first: '5,000 to 10,000',
      second: '10,000 to 15,000',
      slab: 'kernel slab KB per client, both ends',
      residentMiB: 'resident MiB at 15,000',
    },
    chart: { value: 'kilobytes', unit: 'KB' },
  };
}
