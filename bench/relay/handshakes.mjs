// Full handshakes of a relay on one core against the signatures that core can make with the same key.
//
// They count once so many were answered that the relay's code is compiled. The raw signing rate is taken on the relay's
// core before and after every round, the relay having nothing to do then, and a round is held against the mean of both. Of what a resumable session costs more (a ticket and its sealed secret) a row tells.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { atLeast, median, noiseOf } from './judge.mjs';
import {
  exportKey,
  makeWallet,
  relayFolder,
  root,
  serverCore,
  startGenerator,
  startRelay,
} from './servers.mjs';

export const about = 'full handshakes against the raw signing rate, keys of two and of four primes';

export const sizes = {
  full: { clients: 10_000, atOnce: 100, windowSeconds: 8 },
  short: { clients: 3_000, atOnce: 100, windowSeconds: 3 },
};

/** Handshakes before those that count. */
const warm = { plain: 3_000, asking: 1_000 };
/** One hiccup of the machine in three rounds is noise of 8 %. */
const roundsMin = 5;
const kinds = [
  { name: 'two-prime key', flags: [], bar: 0.8 },
  { name: 'four-prime key', flags: ['--relay'], bar: 0.7 },
];

/** Signatures a second of one thread on the relay's core. */
export function rawSigning(pem) {
  const text = execFileSync(
    'taskset',
    ['-c', serverCore, process.execPath, join(root, 'bench/relay/generator/raw-sign.mjs'), pem],
    { encoding: 'utf8', cwd: root },
  );
  return JSON.parse(text).rate;
}

export async function run(settings) {
  const { clients, atOnce, windowSeconds } = settings.size;
  const n = Math.max(settings.rounds, roundsMin);
  const generator = startGenerator('handshakes');
  const rows = [];
  const bars = [];
  try {
    settings.say(`${clients} hellos`);
    await generator.ask({ what: 'prepare', count: clients });
    for (const { name, flags, bar } of kinds) {
      const folder = relayFolder();
      try {
        makeWallet(folder, flags);
        const pem = exportKey(folder);
        const relay = await startRelay({ folder });
        const rates = { plain: [], asking: [] };
        const alone = [];
        const sign = () => {
          settings.say(`${name}: signing alone`);
          alone.push(rawSigning(pem));
        };
        try {
          await generator.ask({ what: 'target', port: relay.port, endpoint: relay.endpoint });
          for (const form of ['plain', 'asking'])
            for (let r = 0; r < n; r++) {
              const round = {
                what: 'rate',
                atOnce,
                ask: form === 'asking',
              };
              if (r === 0) await generator.ask({ ...round, seconds: 0, warm: warm[form] });
              sign();
              settings.say(`${name}: ${form}, round ${r + 1} of ${n}`);
              rates[form].push(await generator.ask({ ...round, seconds: windowSeconds, warm: atOnce }));
            }
          sign();
        } finally {
          await relay.stop();
        }
        const between = alone.slice(1).map((rate, r) => (rate + alone[r]) / 2);
        const ratios = (form) => rates[form].map((r, i) => r.rate / between[form === 'plain' ? i : n + i]);
        const noise = noiseOf(alone.slice(1, n + 1).map((rate, r) => rate / alone[r]));
        const of = (form, key) => median(rates[form].map((r) => r[key]));
        const bad = (form) =>
          rates[form].reduce((n, r) => n + Object.values(r.bad).reduce((a, b) => a + b, 0), 0);
        bars.push(
          atLeast(`full handshakes : signing alone, ${name}`, bar, median(ratios('plain')), noise, {
            unit: '×',
          }),
        );
        rows.push({ group: name, name: 'signing alone', perSecond: median(alone), share: 1 });
        for (const [form, called] of [
          ['plain', 'relay, full handshakes'],
          ['asking', 'relay, with a ticket for resumption'],
        ])
          rows.push({
            group: name,
            name: called,
            perSecond: of(form, 'rate'),
            share: median(ratios(form)),
            generator: of(form, 'generatorBusy'),
            failed: bad(form),
          });
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  } finally {
    await generator.stop();
  }
  return {
    title: 'Handshakes',
    bars,
    rows,
    columns: {
      perSecond: 'a second',
      share: '× signing alone',
      generator: 'generator load',
      failed: 'failed',
    },
    chart: { value: 'perSecond', unit: '/s' },
  };
}
