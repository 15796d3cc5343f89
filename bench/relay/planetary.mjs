// The share of one relay in a network of the whole planet, both cores: presences kept alive by distinct signed
// keep-alives, while clients send messages and ask for presences.
//
//   node bench/relay/planetary.mjs [--wallets 700000] [--perSecond 7000] [--seconds 600] [--clients 2000]
//                                  [--messages 2000] [--lookups 500] [--fill 7000] [--generators 1] [--json FILE]
//
// The whole takes about 16 minutes: 3 to connect and to fill, 10 measured, 1 to compare. A short look:
// --wallets 100000 --seconds 60, under 3 minutes. Every wallet has an RSA-4096 modulus of its own, made from the seed
// like its claims while the test runs, so every keep-alive is one that nobody saw before; what that costs the generator
// is printed. Relay and generator share all cores. At the end the relay's whole store is asked for and compared with
// what was sent. Exit code 1 when a bar is missed.

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { parseScenario, parseTarget, runLoad } from '../../dist/load/index.js';
import { unlimited } from './forwarding.mjs';
import { atLeast, atMost } from './judge.mjs';
import { cpuNanoseconds, residentBytes } from './machine.mjs';
import { moveTo, startRelay } from './servers.mjs';

const { values: o } = parseArgs({
  options: {
    wallets: { type: 'string', default: '700000' },
    perSecond: { type: 'string', default: '7000' },
    seconds: { type: 'string', default: '600' },
    clients: { type: 'string', default: '2000' },
    messages: { type: 'string', default: '2000' },
    lookups: { type: 'string', default: '500' },
    fill: { type: 'string', default: '7000' },
    generators: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const n = Object.fromEntries(
  Object.entries(o).flatMap(([name, v]) => (name === 'json' ? [] : [[name, Number(v)]])),
);
/** Connections that bring the keep-alives, like those of other relays. */
const CARRIERS = 32;
/** Wallets that are asked for: more than any cache holds. */
const ASKED = 50_000;
const SETTLE_SECONDS = 3;

const scenario = parseScenario({
  name: 'planetary',
  about: 'The share of one relay in the planetary case.',
  warmUpSeconds: 10,
  windowSeconds: n.seconds,
  drainSeconds: 600,
  connectSeconds: 600,
  groups: [
    {
      name: 'relays',
      clients: CARRIERS,
      activities: [
        {
          do: 'keepAlives',
          wallets: n.wallets,
          perSecond: n.perSecond,
          fillPerSecond: n.fill,
          watchPerSecond: 50,
        },
      ],
    },
    {
      name: 'clients',
      clients: n.clients,
      activities: [
        { do: 'messages', to: 'pair', bothWays: true, perSecond: n.messages },
        { do: 'lookups', of: 'keepAlives', wallets: Math.min(ASKED, n.wallets), perSecond: n.lookups },
      ],
    },
  ],
});

const relay = await startRelay({ settings: [...unlimited, '--maxPresences=1000000'] });
let failed = true;
try {
  moveTo('0-1', relay.pid);
  await new Promise((r) => setTimeout(r, 1_000 * SETTLE_SECONDS));
  const from = {};
  let relayCpu = Number.NaN;
  let phase = 'connect';
  const startedMs = Date.now();
  const result = await runLoad(scenario, parseTarget(`127.0.0.1:${relay.port}`, { network: 'reg' }), {
    targetPid: relay.pid,
    processes: n.generators,
    onPhase: (p) => {
      phase = p;
      if (p === 'window') Object.assign(from, { cpu: cpuNanoseconds(relay.pid), at: performance.now() });
      if (p === 'drain')
        relayCpu = (cpuNanoseconds(relay.pid) - from.cpu) / 1e6 / (performance.now() - from.at);
    },
    onSecond: (s) => {
      if (Math.round(s.second) % 10 === 0)
        process.stderr.write(
          `${s.second} s ${phase}: ${Math.round(residentBytes(relay.pid) / 2 ** 20)} MiB\n`,
        );
    },
  });
  const { total, window, latencies } = result;
  const ms = (name, at) => latencies[name][at] / 1_000;
  const count = (name) => total[name] ?? 0;
  const kept = count('keepAlives.stored');
  const bars = [
    // Every one of them: the bar lies half a wallet below.
    atLeast('keep-alives stored as sent', 1 - 0.5 / n.wallets, kept / n.wallets, 0, { unit: '×' }),
    // None: the bar lies below one.
    atMost(
      'keep-alives not sent, or never seen',
      0.5,
      count('keepAlives.unsent') + count('keepAlives.unseen'),
      0,
    ),
    atMost(
      'messages lost',
      0.5,
      count('messages.lost') + count('messages.refused') + count('messages.inDoubt'),
      0,
    ),
    atMost('lookups without an answer', 0.5, count('lookups.unanswered') + count('lookups.unsent'), 0),
    atMost('keep-alive applied, p99', 1_000, ms('keepAlives', 'p99'), 0, { unit: 'ms' }),
    atMost('lookup answered, p99', 20, ms('lookups', 'p99'), 0, { unit: 'ms' }),
    atLeast('keep-alives a second', 0.99 * n.perSecond, window['keepAlives.sent'] / n.seconds, 0, {
      unit: '/s',
    }),
    atLeast('messages a second', 0.99 * n.messages, window['messages.delivered'] / n.seconds, 0, {
      unit: '/s',
    }),
    atLeast('lookups a second', 0.99 * n.lookups, window['lookups.answered'] / n.seconds, 0, { unit: '/s' }),
  ];
  for (const b of bars)
    console.log(
      `${b.verdict.padEnd(10)}${b.name.padEnd(38)}${b.measured.toFixed(3)} (at ${b.at} ${b.bar.toFixed(3)})`,
    );
  const figures = {
    node: process.version,
    date: new Date().toISOString(),
    cpu: result.machine.cpuModel,
    asked: n,
    latenciesMicroseconds: latencies,
    relayCores: relayCpu,
    relayResidentMiB: Math.round(residentBytes(relay.pid) / 2 ** 20),
    generatorCores: result.generator.map((g) => g.cpuShare),
    fillSeconds: result.rampSeconds,
    wholeSeconds: (Date.now() - startedMs) / 1_000,
    window,
    total,
    bars,
    verdict: result.verdict,
  };
  console.log(JSON.stringify(figures, null, 1));
  if (o.json !== undefined) await writeFile(o.json, `${JSON.stringify(figures, null, 1)}\n`);
  failed = bars.some((b) => b.verdict === 'missed');
} finally {
  await relay.stop();
}
process.exit(failed ? 1 : 0);
