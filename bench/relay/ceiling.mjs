// The highest rate without a loss, the latency at half of it, and what happens when every sender pushes.

import { armsOf } from './forwarding.mjs';
import { atLeast, atMost, median, spreadOf } from './judge.mjs';

export const about = 'highest clean rate, latency at half of it, overload';

/** Rates tried upwards grow by this factor; then the gap is halved so often. */
const step = 1.5;
const halvings = 4;
const firstRate = 24_000;
/** A server that does not even carry this has no clean rate. */
const lowestRate = 1_500;
const highestRate = 1_500_000;
/**
 * A rate is called clean once it was carried as long as overload is: in a second and a half a queue that grows by an
 * eighth of what comes is still within {@link cleanP99Ms}, in ten it is not. In smaller steps down or up from what the
 * short runs found.
 */
const cleanSeconds = 10;
const cleanStep = 1.03;
/** Clean: nothing lost, and no queue that grows. */
const cleanShare = 0.99;
const cleanP99Ms = 250;
/** Ten seconds of overload so often: the ratio in the middle counts, and their spread is its noise. */
const overloads = 3;
/** Rates whose latency is shown beside that at half of the highest: what a relay that is not full adds. */
const shownRates = [15_000, 30_000];

const isClean = (r) =>
  r.lost === 0 && r.wrong === 0 && r.delivered >= cleanShare * r.intended && r.latencyMs.p99 <= cleanP99Ms;

/** A run at that rate; a second one where the first was not clean, so that one hiccup of the machine does not decide. */
async function attempt(arm, rate, seconds = 1.5) {
  const run = () => arm.ask({ rate: Math.round(rate), seconds, warmSeconds: 0.7 });
  const first = await run();
  return isClean(first) ? first : run();
}

/** The highest rate that one arm carries for ten seconds, with the run that showed it. */
async function highestClean(arm, from) {
  const short = (await ceilingOf(arm, from)).rate;
  return { short, ...(await sustained(arm, short)) };
}

/** As {@link highestClean}, looked for from `rate` up- or downwards. */
async function sustained(arm, rate) {
  let at = rate;
  const next = () => attempt(arm, at, cleanSeconds);
  let run = at < lowestRate ? null : await next();
  if (run !== null && isClean(run)) {
    let above = run;
    while (isClean(above) && at <= highestRate) {
      run = above;
      at *= cleanStep;
      above = await next();
    }
  } else
    while (run !== null && !isClean(run)) {
      // What it carried at all is worth the next try.
      at = Math.min(at / cleanStep, Math.max(run.deliveredPerSecond, at / 2));
      run = at < lowestRate ? null : await next();
    }
  return { rate: run?.rate ?? 0, run };
}

/** The highest rate that one arm carries for a second and a half; looked for from `from` upwards. */
async function ceilingOf(arm, from = firstRate) {
  let low = null;
  let rate = Math.round(from);
  let high = null;
  for (; rate <= highestRate; rate = Math.round(rate * step)) {
    const run = await attempt(arm, rate);
    if (!isClean(run)) {
      high = rate;
      break;
    }
    low = run;
  }
  // Not even that: from further down, until there is nothing left to try.
  if (low === null) return from / 2 >= lowestRate ? ceilingOf(arm, from / 2) : { rate: 0, run: null };
  for (let i = 0; i < halvings && high !== null; i++) {
    const middle = Math.round((low.rate + high) / 2);
    const run = await attempt(arm, middle);
    if (isClean(run)) low = run;
    else high = middle;
  }
  return { rate: low.rate, run: low };
}

export async function run(settings) {
  const bars = [];
  const rows = [];
  for (const pairs of [50, 500]) {
    const arms = (await armsOf('tcp', pairs, { ...settings, target: null })).slice(0);
    const [floor, relay, ...others] = arms;
    // No bar here compares with them.
    for (const a of others) await a.stop();
    try {
      settings.say(`highest clean rate, ${pairs} pairs`);
      const first = await highestClean(floor);
      const own = await highestClean(relay);
      // Where the first one was, so that it takes a few runs instead of a dozen.
      const again = await highestClean(floor, Math.max(firstRate, first.rate / step));
      const spread = Math.abs(again.rate / first.rate - 1);
      const best = Math.max(first.rate, again.rate);
      const group = `highest clean rate, ${pairs} pairs`;
      for (const [name, c] of [
        [floor.name, first],
        [`${floor.name} again`, again],
        [relay.name, own],
      ])
        rows.push({ group, name, short: c.short, ...figures(c.run) });
      const limit = own.run !== null && own.run.generatorLoad > 0.95;
      const more = { unit: '×', generatorWasTheLimit: limit };
      bars.push(
        atLeast(`highest clean rate, TCP, ${pairs} pairs : floor`, 0.7, own.rate / best, spread, more),
      );
      const least = pairs === 50 ? 50_000 : 30_000;
      bars.push(
        atLeast(`highest clean rate, TCP, ${pairs} pairs`, least, own.rate, spread, {
          unit: '/s',
          generatorWasTheLimit: limit,
        }),
      );
      await overload(settings, pairs, relay, own.rate, bars, rows);
      if (pairs === 500) await latency(settings, floor, relay, own.rate / 2, bars, rows);
    } finally {
      await floor.stop();
      await relay.stop();
    }
  }
  return {
    title: 'How much at most',
    bars,
    rows,
    columns: {
      short: 'carried for 1.5 s, /s',
      perSecond: 'delivered/s',
      sent: 'written',
      delivered: 'delivered',
      lost: 'lost',
      p50: 'p50 ms',
      p99: 'p99 ms',
      late: 'of it late at the generator, p50 ms',
      generator: 'generator load',
      residentMiB: 'resident MiB, most',
    },
    chart: { value: 'perSecond', unit: '/s' },
  };
}

function figures(r) {
  if (r === null) return {};
  return {
    perSecond: r.deliveredPerSecond,
    intended: r.intended,
    sent: r.sent,
    delivered: r.delivered,
    lost: r.lost,
    p50: r.latencyMs.p50,
    p99: r.latencyMs.p99,
    late: r.lateMs.p50,
    generator: r.generatorLoad,
    residentMiB: r.residentMost / 2 ** 20,
  };
}

/** Five runs of each at that rate, in turn, the generator always awake; rows for both. */
async function latencies(settings, floor, relay, rate, group, rows) {
  settings.say(`${group}: ${Math.round(rate)}/s`);
  const own = [];
  const floors = [];
  for (let i = 0; i < 5; i++) {
    floors.push(await floor.ask({ rate, seconds: 1.5, punctual: true }));
    own.push(await relay.ask({ rate, seconds: 1.5, punctual: true }));
  }
  for (const [name, runs] of [
    [floor.name, floors],
    [relay.name, own],
  ]) {
    const middle = [...runs].sort((a, b) => a.latencyMs.p99 - b.latencyMs.p99)[2];
    rows.push({
      group,
      name,
      ...figures(middle),
      p50: latencyOf(runs, 'p50'),
      p99: latencyOf(runs, 'p99'),
      late: lateOf(runs),
    });
  }
  return { own, floors };
}

const latencyOf = (runs, q) => median(runs.map((r) => r.latencyMs[q]));
const lateOf = (runs) => median(runs.map((r) => r.lateMs.p50));

async function latency(settings, floor, relay, rate, bars, rows) {
  const perSecond = (n) => `${Math.round(n).toLocaleString('en-US')}/s`;
  for (const shown of shownRates)
    await latencies(settings, floor, relay, shown, `latency, 500 pairs, ${perSecond(shown)}`, rows);
  const at = `latency at half of it, 500 pairs, ${perSecond(rate)}`;
  const { own, floors } = await latencies(settings, floor, relay, rate, at, rows);
  const spread = (q) => spreadOf(floors.map((r) => r.latencyMs[q]));
  const floorP99 = latencyOf(floors, 'p99');
  const more = { unit: 'ms', floorP50: latencyOf(floors, 'p50'), floorP99, lateP50: lateOf(own) };
  bars.push(
    atMost(`${at}, p50`, 1, latencyOf(own, 'p50'), spread('p50'), more),
    atMost(
      `${at}, p99 (twice the floor's and a millisecond)`,
      2 * floorP99 + 1,
      latencyOf(own, 'p99'),
      spread('p99'),
      more,
    ),
  );
}

/** Overload and, in turn with it, the highest clean rate: a machine that is slower for a minute is so for both. */
async function overload(settings, pairs, relay, rate, bars, rows) {
  const runs = [];
  const clean = [];
  for (let i = 1; i <= overloads; i++) {
    settings.say(`overload and what is clean, ${pairs} pairs, ${i} of ${overloads}`);
    const run = await relay.ask({ rate: 0, seconds: cleanSeconds, warmSeconds: 1 });
    runs.push(run);
    clean.push((await sustained(relay, clean.at(-1) ?? rate)).rate);
  }
  const ratios = runs.map((r, i) => r.deliveredPerSecond / clean[i]);
  const ratio = median(ratios);
  const r = runs[ratios.indexOf(ratio)];
  bars.push(
    atLeast(`overload, ${pairs} pairs: delivered : highest clean rate`, 0.95, ratio, spreadOf(ratios), {
      unit: '×',
      lost: runs.reduce((n, x) => n + x.lost, 0),
      written: r.sent,
      delivered: r.delivered,
      residentMost: Math.max(...runs.map((x) => x.residentMost)),
      rates: runs.map((x) => x.deliveredPerSecond),
      clean,
    }),
  );
  rows.push({ group: `overload, ${pairs} pairs`, name: relay.name, ...figures(r) });
}
