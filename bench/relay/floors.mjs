// The floors beside nats-server: their relation must be that of the table made when the floors were chosen, within 15 %.
// Where it is not, ratios to a floor say something else than they were meant to.
//
// Measured as that table was: a process of its own for every run, which lasts four seconds, and the processor time of that
// process from its first instruction on. A connection that has been through other runs acknowledges differently.

import { arm } from './forwarding.mjs';
import { atMost, median, noiseOf } from './judge.mjs';
import { cpuNanoseconds } from './machine.mjs';
import { startFloor, startNats } from './servers.mjs';

export const about = 'the floors against nats-server, and against the table they were chosen by';

const deviationMax = 0.15;
const seconds = 4;

/** `table`: hundredths of a second of processor time on a 2-core Intel Xeon with Node 20.20 and nats-server 2.9. */
const servers = {
  'nats-server': {
    dialect: 'nats',
    start: startNats,
    table: { 10: { 30000: 240, 60000: 325 }, 500: { 30000: 316, 60000: 404 } },
  },
  'node:net floor': {
    dialect: 'floor',
    start: () => startFloor('tcp-forward'),
    table: { 10: { 30000: 212, 60000: 307 }, 500: { 30000: 229, 60000: 359 } },
  },
  'uWebSockets.js floor': {
    dialect: 'ws-floor',
    start: () => startFloor('ws-forward'),
    table: { 10: { 30000: 146, 60000: 263 }, 500: { 30000: 162, 60000: 264 } },
  },
};
const names = Object.keys(servers);
/** What the others are compared with. */
const yardstick = names[0];

/** One run of one server, from its start to its end. */
async function whole(name, pairs, rate) {
  const { dialect, start } = servers[name];
  const server = await start();
  const a = await arm(name, dialect, server, pairs);
  try {
    const run = await a.ask({ rate, warmSeconds: 0, seconds, punctual: true });
    return { ...run, ticks: cpuNanoseconds(server.pid) / 1e7 };
  } finally {
    await a.stop();
  }
}

export async function run(settings) {
  const bars = [];
  const rows = [];
  const nats = await startNats();
  if (nats === null) {
    bars.push(
      atMost('floors against nats-server: deviation from the table', deviationMax, null, 0, { unit: '' }),
    );
    return { title: 'Floors', bars, rows, columns: {}, chart: null };
  }
  await nats.stop();
  for (const pairs of [10, 500])
    for (const rate of [30_000, 60_000]) {
      settings.say(`floors, ${pairs} pairs, ${rate}/s`);
      const runs = Object.fromEntries(names.map((name) => [name, []]));
      const again = [];
      for (let r = 0; r < settings.rounds; r++) {
        for (let k = 0; k < names.length; k++) {
          const name = names[(k + r) % names.length];
          runs[name].push(await whole(name, pairs, rate));
        }
        again.push(await whole(yardstick, pairs, rate));
      }
      const ratios = (of) => of.map((run, r) => run.ticks / runs[yardstick][r].ticks);
      const spread = noiseOf(ratios(again));
      for (const name of names) {
        const ratio = median(ratios(runs[name]));
        const table = servers[name].table[pairs][rate];
        const want = table / servers[yardstick].table[pairs][rate];
        rows.push({
          group: `${pairs} pairs, ${rate}/s`,
          name,
          ticks: median(runs[name].map((r) => r.ticks)),
          table,
          ratio,
          segments: median(runs[name].map((r) => r.segmentsPerMessage)),
        });
        if (name === yardstick) continue;
        bars.push(
          atMost(
            `${name} : nats-server, ${pairs} pairs, ${rate.toLocaleString('en-US')}/s, deviation from the table's ${want.toFixed(2)}`,
            deviationMax,
            Math.abs(ratio / want - 1),
            // The bar is itself a tolerance: noise widens it by its own size.
            spread / deviationMax,
            { ratio, unit: '' },
          ),
        );
      }
    }
  return {
    title: 'Floors',
    bars,
    rows,
    columns: {
      ticks: 'CPU of the whole run, 10 ms',
      table: 'in the table',
      ratio: '× nats-server',
      segments: 'TCP segments per message',
    },
    chart: { value: 'ticks', unit: '10 ms of CPU' },
  };
}
