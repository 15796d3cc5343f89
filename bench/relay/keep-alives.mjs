// Signed keep-alives from the wire into the relay's store, against what verifying alone costs on the same core.
//
// The relay learns the presences, stops, and starts again from its snapshot, so that no modulus was ever seen by the process
// that is measured. Each round renews wallets of its own, all at once; the whole store is compared afterwards.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { unlimited } from './forwarding.mjs';
import { atLeast, counted, median, noiseOf } from './judge.mjs';
import {
  freePort,
  pinned,
  profiling,
  relayArgs,
  relayFolder,
  root,
  serverCore,
  startGenerator,
} from './servers.mjs';

export const about = 'signed keep-alives from wire to store, keys never seen before, against verifying alone';

const connections = 8;
/** All that may be in work at once over these connections. */
const perRound = 3_200;
/**
 * Rounds before those that count: code is compiled by then. A relay's main thread takes 43 µs for each of the first 3,200
 * keep-alives, 20 µs for each after 10,000 and 15 µs after 30,000, which is some five seconds of the traffic it is built for
 * (Node 20, 2-core AMD EPYC). They are written down beside those that count.
 */
const warmRounds = 12;
/** Fewer rounds leave the noise of processes of a second wider than the margin. */
const roundsMin = 9;
/** Seconds until the relay has measured its engines and started its threads. */
const settleSeconds = 5;
const rawItems = 6_400;

/** Microseconds of processor time per signature on the relay's core. */
function raw(engine, first) {
  const text = execFileSync(
    'taskset',
    [
      '-c',
      serverCore,
      process.execPath,
      join(root, 'bench/relay/generator/raw-verify.mjs'),
      engine,
      String(rawItems),
      String(first),
    ],
    { encoding: 'utf8', cwd: root },
  );
  return JSON.parse(text).microseconds;
}

export async function run(settings) {
  const counting = Math.max(settings.rounds, roundsMin);
  const rounds = counting + warmRounds;
  const wallets = rounds * perRound;
  const folder = relayFolder();
  const ops = await freePort();
  const args = [
    ...profiling,
    'dist/bin/main.js',
    ...relayArgs(folder).filter((a) => !a.startsWith('--opsBind')),
    `--opsBind=127.0.0.1:${ops}`,
    ...unlimited,
  ];
  const generator = startGenerator('claims');
  let relay = null;
  const results = [];
  const warming = [];
  /** Microseconds per signature alone, before and after each round that counts. */
  const alone = [];
  const again = [];
  let compared = null;
  let engine = '';
  try {
    const start = async () => {
      relay = pinned(serverCore, process.execPath, args);
      const { port, endpoint } = await relay.line();
      await generator.ask({ what: 'open', port, endpoint, connections, wallets });
    };
    await start();
    settings.say(`${wallets} presences`);
    await generator.ask({ what: 'fill', from: 0, to: wallets, age: 60 });
    await relay.stop();
    await start();
    await new Promise((r) => setTimeout(r, 1_000 * settleSeconds));
    const metrics = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text();
    engine = /^ixian_verify_engine\{engine="([^"]+)"/m.exec(metrics)?.[1] ?? 'native';
    for (let r = 0; r < rounds; r++) {
      settings.say(r < warmRounds ? 'warming' : `round ${r + 1 - warmRounds}, verifying with ${engine}`);
      const from = r * perRound;
      // Right before and after each round, because the machine's own pace changes within minutes.
      if (r >= warmRounds) alone.push(raw(engine, 5_000_000 + 2 * r * rawItems));
      const result = await generator.ask({
        what: 'renew',
        from,
        to: from + perRound,
        serverPid: relay.pid,
      });
      (r < warmRounds ? warming : results).push(result);
      if (r >= warmRounds) again.push(raw(engine, 5_000_000 + (2 * r + 1) * rawItems));
    }
    compared = await generator.ask({ what: 'compare', from: 0, to: wallets });
    await relay.stop();
    relay = null;
  } finally {
    await generator.stop();
    await relay?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const us = (list) => median(list.map((r) => r.cpuMicroseconds));
  const share = median(results.map((r, i) => (alone[i] + again[i]) / 2 / r.cpuMicroseconds));
  const noise = noiseOf(again.map((x, i) => x / alone[i]));
  const group = `keys never seen before, ${engine}, one core for threads and all`;
  return {
    title: 'Signed keep-alives',
    bars: [
      atLeast('keep-alives from wire to store : verifying alone', 0.75, share, noise, { unit: '×' }),
      counted('keep-alives stored as sent', wallets, compared.current, { unit: 'of as many' }),
    ],
    rows: [
      { group, name: 'verifying alone', perSecond: 1e6 / median(alone), us: median(alone) },
      {
        group,
        name: 'relay, wire to store',
        perSecond: median(results.map((r) => r.perSecond)),
        us: us(results),
      },
    ],
    columns: { perSecond: 'keep-alives/s', us: 'µs of CPU each' },
    chart: { value: 'perSecond', unit: '/s' },
    rounds: results,
    warming,
    compared,
  };
}
