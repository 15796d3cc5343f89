// The floors beside nats-server: their relation must be that of the table made when the floors were chosen, within 15 %.
// Where it is not, ratios to a floor say something else than they were meant to.

import { arm } from './forwarding.mjs';
import { atMost, median, noiseOf } from './judge.mjs';
import { startFloor, startNats } from './servers.mjs';

export const about = 'the floors against nats-server, and against the table they were chosen by';

/** CPU of a floor : CPU of nats-server 2.9, on a 2-core Intel Xeon with Node 20.20. */
const expected = {
  tcp: { 10: { 30000: 212 / 240, 60000: 307 / 325 }, 500: { 30000: 229 / 316, 60000: 359 / 404 } },
  ws: { 10: { 30000: 146 / 240, 60000: 263 / 325 }, 500: { 30000: 162 / 316, 60000: 264 / 404 } },
};
const deviationMax = 0.15;

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
  for (const pairs of [10, 500]) {
    const arms = [
      await arm('nats-server', 'nats', await startNats(), pairs),
      await arm('node:net floor', 'floor', await startFloor('tcp-forward'), pairs),
      await arm('uWebSockets.js floor', 'ws-floor', await startFloor('ws-forward'), pairs),
    ];
    try {
      for (const rate of [30_000, 60_000]) {
        settings.say(`floors, ${pairs} pairs, ${rate}/s`);
        const costs = [[], [], []];
        const again = [];
        for (let r = 0; r < settings.rounds; r++) {
          for (let k = 0; k < 3; k++) {
            const i = (k + r) % 3;
            costs[i].push((await arms[i].ask({ rate, seconds: settings.seconds, punctual: true })).cpuMicrosecondsPerMessage);
          }
          again.push((await arms[0].ask({ rate, seconds: settings.seconds, punctual: true })).cpuMicrosecondsPerMessage);
        }
        const spread = noiseOf(again.map((v, i) => v / costs[0][i]));
        for (const [i, transport] of [
          [1, 'tcp'],
          [2, 'ws'],
        ]) {
          const ratio = median(costs[i].map((v, r) => v / costs[0][r]));
          const want = expected[transport][pairs][rate];
          const n = rate.toLocaleString('en-US');
          bars.push(
            atMost(
              `${arms[i].name} : nats-server, ${pairs} pairs, ${n}/s, deviation from the table's ${want.toFixed(2)}`,
              deviationMax,
              Math.abs(ratio / want - 1),
              // The bar is itself a tolerance: noise widens it by its own size.
              spread / deviationMax,
              { ratio, unit: '' },
            ),
          );
        }
        for (const [i, a] of arms.entries())
          rows.push({
            group: `${pairs} pairs, ${rate}/s`,
            name: a.name,
            us: median(costs[i]),
            ratio: median(costs[i].map((v, r) => v / costs[0][r])),
          });
      }
    } finally {
      for (const a of arms) await a.stop();
    }
  }
  return {
    title: 'Floors',
    bars,
    rows,
    columns: { us: 'µs of CPU per message', ratio: '× nats-server' },
    chart: { value: 'us', unit: 'µs' },
  };
}
