// The share of one relay in a network of the whole planet, both cores: presences kept alive by distinct signed
// keep-alives, while clients send messages and ask for presences.
//
// Every wallet has an RSA-4096 modulus of its own, made from the seed like its claims while the test runs, so every
// keep-alive is one that nobody saw before; what that costs the generator is in the figures. Relay and generator share all
// cores. The window begins when the relay has answered with every presence; those that were brought first are renewed by
// keep-alives meanwhile, because a relay forgets a presence 300 seconds after its last claim. At the end the relay's whole
// store is asked for and compared with what was sent.

import { parseScenario, parseTarget, runLoad } from '../../dist/load/index.js';
import { unlimited } from './forwarding.mjs';
import { atMost, counted } from './judge.mjs';
import { cpuNanoseconds, residentBytes } from './machine.mjs';
import { moveTo, startRelay } from './servers.mjs';

export const about = 'the share of one relay in the planetary case, both cores';

export const sizes = {
  full: {
    wallets: 700_000,
    perSecond: 7_000,
    windowSeconds: 600,
    clients: 2_000,
    messages: 2_000,
    lookups: 500,
    generators: 2,
  },
  short: {
    wallets: 100_000,
    perSecond: 1_000,
    windowSeconds: 60,
    clients: 500,
    messages: 500,
    lookups: 100,
    generators: 2,
  },
};

/** Connections that bring the keep-alives, like those of other relays. */
const CARRIERS = 32;
/** Wallets that are asked for: more than any cache holds. */
const ASKED = 50_000;
const SETTLE_SECONDS = 3;
/** Two cores do everything here: signing waits while an answer is there to be timed. */
const MAKING_NICENESS = 5;
/** Less than a relay takes that shares two cores with its generators: what it refuses has to be brought again. */
const FILL_PER_SECOND = 4_000;

const scenarioOf = (n) =>
  parseScenario({
    name: 'planetary',
    about: 'The share of one relay in the planetary case.',
    warmUpSeconds: 10,
    windowSeconds: n.windowSeconds,
    drainSeconds: 300,
    connectSeconds: 600,
    // Making seven thousand signatures a second must not delay what is timed.
    groupsApart: true,
    groups: [
      {
        name: 'relays',
        clients: CARRIERS,
        niceness: MAKING_NICENESS,
        activities: [
          {
            do: 'keepAlives',
            wallets: n.wallets,
            perSecond: n.perSecond,
            fillPerSecond: FILL_PER_SECOND,
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

export async function run(settings) {
  const n = settings.size;
  const relay = await startRelay({ settings: [...unlimited, '--maxPresences=1000000'] });
  try {
    moveTo('0-1', relay.pid);
    await new Promise((r) => setTimeout(r, 1_000 * SETTLE_SECONDS));
    const from = {};
    let relayCores = Number.NaN;
    let phase = 'connect';
    const result = await runLoad(scenarioOf(n), parseTarget(`127.0.0.1:${relay.port}`, { network: 'reg' }), {
      targetPid: relay.pid,
      processes: n.generators,
      onPhase: (p) => {
        phase = p;
        if (p === 'window') Object.assign(from, { cpu: cpuNanoseconds(relay.pid), at: performance.now() });
        if (p === 'drain')
          relayCores = (cpuNanoseconds(relay.pid) - from.cpu) / 1e6 / (performance.now() - from.at);
      },
      onSecond: (s) => {
        if (Math.round(s.second) % 20 === 0)
          settings.say(`${phase}: ${Math.round(residentBytes(relay.pid) / 2 ** 20)} MiB`);
      },
    });
    const { total, window, latencies } = result;
    const ms = (name, at) => latencies[name][at] / 1_000;
    const count = (name) => total[name] ?? 0;
    const rate = (name) => window[name] / n.windowSeconds;
    /** Things of which there must be none: the bar lies below one. */
    const none = (name, ...counts) =>
      atMost(
        name,
        0.5,
        counts.map(count).reduce((a, b) => a + b, 0),
        0,
        { unit: '' },
      );
    const generatorCores = result.generator.map((g) => g.cpuShare).reduce((a, b) => a + b, 0);
    const group = `${n.wallets.toLocaleString('en-US')} presences, ${n.perSecond.toLocaleString('en-US')} keep-alives/s`;
    const row = (name, latency, perSecond) => ({
      group,
      name,
      perSecond,
      p50: ms(latency, 'p50'),
      p99: ms(latency, 'p99'),
    });
    return {
      title: 'The share of one relay in the planetary case',
      bars: [
        counted('presences stored as sent', n.wallets, count('keepAlives.stored'), { unit: '' }),
        none('keep-alives not sent, or never seen', 'keepAlives.unsent', 'keepAlives.unseen'),
        none('messages lost', 'messages.lost', 'messages.refused', 'messages.inDoubt'),
        none('lookups without an answer', 'lookups.unanswered', 'lookups.unsent'),
        atMost('keep-alive applied, p99', 1_000, ms('keepAlives', 'p99'), 0, { unit: 'ms' }),
        atMost('lookup answered, p99', 20, ms('lookups', 'p99'), 0, { unit: 'ms' }),
        counted('keep-alives a second', 0.99 * n.perSecond, rate('keepAlives.sent'), { unit: '/s' }),
        counted('messages a second', 0.99 * n.messages, rate('messages.delivered'), { unit: '/s' }),
        counted('lookups a second', 0.99 * n.lookups, rate('lookups.answered'), { unit: '/s' }),
      ],
      rows: [
        row('relay, keep-alives', 'keepAlives', rate('keepAlives.sent')),
        row('relay, messages', 'messages', rate('messages.delivered')),
        row('relay, lookups', 'lookups', rate('lookups.answered')),
        { group: 'processor', name: 'relay', cores: relayCores },
        { group: 'processor', name: 'load generator', cores: generatorCores },
      ],
      columns: { perSecond: 'a second', p50: 'p50 ms', p99: 'p99 ms', cores: 'cores' },
      chart: { value: 'p99', unit: 'ms' },
      relayResidentMiB: Math.round(residentBytes(relay.pid) / 2 ** 20),
      fillSeconds: result.rampSeconds,
      latenciesMicroseconds: latencies,
      window,
      total,
      load: result.verdict,
    };
  } finally {
    await relay.stop();
  }
}
