// CPU per forwarded 512-byte message: the relay beside the floor and nats-server, at fixed rates.

import { atMost, median, noiseOf } from './judge.mjs';
import { onePrefix, startFloor, startGenerator, startNats, startRelay, startTarget } from './servers.mjs';

export const about = 'CPU per forwarded message over TCP at 30,000/s and 60,000/s, 50 and 500 pairs';

/** No allowance of one connection or wallet may stand in the way of what is measured here. */
export const unlimited = [
  '--messagesPerSecond=1000000',
  '--requestsPerSecond=1000000',
  '--bytesPerSecond=0',
  '--walletMessagesPerSecond=0',
  '--walletRequestsPerSecond=0',
  '--walletBytesPerSecond=0',
  ...onePrefix,
];

/** One server and the generator that talks to it. */
export async function arm(name, dialect, server, pairs) {
  const generator = startGenerator('pairs');
  const port = dialect === 'ws' ? server.wsPort : server.port;
  await generator.ask({ dialect, port, pairs, serverPid: server.pid, endpoint: server.endpoint });
  return {
    name,
    runs: [],
    ask: (command) => generator.ask(command),
    stop: async () => {
      await generator.stop();
      await server.stop();
    },
  };
}

/** The arms of one transport, the floor first. */
export async function armsOf(transport, pairs, { target }) {
  if (transport === 'ws')
    return [
      await arm('uWebSockets.js floor', 'ws-floor', await startFloor('ws-forward'), pairs),
      await arm('relay', 'ws', await startRelay({ settings: unlimited, fourPrimes: true }), pairs),
    ];
  const arms = [
    await arm('node:net floor', 'floor', await startFloor('tcp-forward'), pairs),
    await arm('relay', 'tcp', await startRelay({ settings: unlimited, fourPrimes: true }), pairs),
  ];
  const nats = await startNats();
  if (nats !== null) arms.push(await arm('nats-server', 'nats', nats, pairs));
  if (target !== null) arms.push(await arm(target.text, 'tcp', startTarget(target), pairs));
  return arms;
}

/** A round is taken in so many pieces, so that what the machine does to one arm it does to all: its speed drifts within seconds. */
const pieces = 3;

/** One run of what several pieces were. */
function together(runs) {
  const sum = (pick) => runs.reduce((n, r) => n + pick(r), 0);
  const mid = (pick) => median(runs.map(pick));
  return {
    cpuMicrosecondsPerMessage: (1e6 * sum((r) => r.cpuSeconds)) / sum((r) => r.delivered),
    deliveredPerSecond: sum((r) => r.delivered) / sum((r) => r.windowSeconds),
    latencyMs: { p50: mid((r) => r.latencyMs.p50), p99: mid((r) => r.latencyMs.p99) },
    lost: sum((r) => r.lost),
    wrong: sum((r) => r.wrong),
    segmentsPerMessage: mid((r) => r.segmentsPerMessage),
    lateMs: mid((r) => r.lateMs.p50),
    othersLoad: Math.max(...runs.map((r) => r.othersLoad)),
  };
}

/** Of three rounds the noise is what strayed most. */
const roundsMin = 5;

/** Every arm once per round, the floor twice, in an order that rotates. */
async function rounds(arms, rate, settings) {
  const { seconds } = settings;
  const n = Math.max(settings.rounds, roundsMin);
  const order = [arms[0], ...arms];
  const taken = order.map(() => []);
  for (let r = 0; r < n; r++) {
    const runs = order.map(() => []);
    for (let k = 0; k < order.length * pieces; k++) {
      const i = (k + r) % order.length;
      runs[i].push(await order[i].ask({ rate, seconds: seconds / pieces, warmSeconds: 0.3, punctual: true }));
    }
    for (const [i, of] of runs.entries()) taken[i].push(together(of));
  }
  return taken;
}

export async function run(settings, transport = 'tcp') {
  const bars = [];
  const rows = [];
  for (const pairs of [50, 500]) {
    const arms = await armsOf(transport, pairs, settings);
    try {
      for (const rate of [30_000, 60_000]) {
        settings.say(`${transport}, ${pairs} pairs, ${rate}/s`);
        const [again, ...taken] = await rounds(arms, rate, settings);
        const cost = (runs) => runs.map((r) => r.cpuMicrosecondsPerMessage);
        const ratios = (a, b) => cost(a).map((v, i) => v / cost(b)[i]);
        const spread = noiseOf(ratios(again, taken[0]));
        for (const [i, a] of arms.entries())
          rows.push(rowOf(`${transport}, ${pairs} pairs, ${rate}/s`, a.name, taken[i]));
        const where = `${transport === 'ws' ? 'WebSocket' : 'TCP'}, ${pairs} pairs, ${rate.toLocaleString('en-US')}/s`;
        const lost = taken[1].reduce((n, r) => n + r.lost + r.wrong, 0);
        const more = { unit: '×', lost };
        const floorBar = transport === 'ws' ? 1.6 : 1.4;
        bars.push(
          atMost(
            `CPU per message, ${where} : floor`,
            floorBar,
            median(ratios(taken[1], taken[0])),
            spread,
            more,
          ),
        );
        const nats = arms.findIndex((a) => a.name === 'nats-server');
        if (transport === 'tcp')
          bars.push(
            nats < 0
              ? atMost(`CPU per message, ${where} : nats-server`, 1.25, null, spread, more)
              : atMost(
                  `CPU per message, ${where} : nats-server`,
                  1.25,
                  median(ratios(taken[1], taken[nats])),
                  spread,
                  more,
                ),
          );
      }
    } finally {
      for (const a of arms) await a.stop();
    }
  }
  return {
    title: `CPU per forwarded 512-byte message, ${transport === 'ws' ? 'WebSocket' : 'TCP'}`,
    bars,
    rows,
    columns: {
      us: 'µs of CPU per message',
      perSecond: 'delivered/s',
      p50: 'p50 ms',
      p99: 'p99 ms',
      late: 'of it late at the generator, p50 ms',
      lost: 'lost',
      segments: 'TCP segments per message',
      others: 'other programs, cores',
    },
    chart: { value: 'us', unit: 'µs' },
  };
}

export function rowOf(group, name, runs) {
  const mid = (pick) => median(runs.map(pick));
  return {
    group,
    name,
    us: mid((r) => r.cpuMicrosecondsPerMessage),
    perSecond: mid((r) => r.deliveredPerSecond),
    p50: mid((r) => r.latencyMs.p50),
    p99: mid((r) => r.latencyMs.p99),
    lost: runs.reduce((n, r) => n + r.lost + r.wrong, 0),
    late: mid((r) => r.lateMs),
    segments: mid((r) => r.segmentsPerMessage),
    others: Math.max(...runs.map((r) => r.othersLoad)),
  };
}
