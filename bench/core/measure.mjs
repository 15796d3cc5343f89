// Arms measured beside each other, so that what the machine does meanwhile falls on all of them alike.
//
// A round is many passes; in a pass each arm runs once for a slice of about a millisecond, in an order drawn anew, because
// an arm runs a few per cent slower behind another one than behind itself. A machine that changes its pace does so for
// longer than a pass, hence for every arm: what is compared are ratios of processor time within a pass. A round's ratio is
// the mean of its passes' without the lowest and the highest quarter: a pass that another program or a garbage collection
// fell on does not count. (That flatters whoever makes the most garbage, which is never the core.) Waste is collected
// before each round. The measured value is the median over the rounds.
//
// The A/A interval. The reference runs a second time as an arm of its own, the same function, in every pass. In each round
// its ratio to itself would be 1 on a machine without noise; the interval is how far it strays from 1, over the rounds, on
// the wider side of its central 80 %. A single round is that uncertain, and a median of rounds less: the interval is not
// divided by anything. A bar holds when the median meets it by more than that.

import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Collects the garbage of what ran before, all of it, now. */
export const collect = runInNewContext('gc');

/** Wall milliseconds of a slice, or one call where that takes longer. Reading the processor's clock takes 6 µs. */
const SLICE_MS = 1;
/** Fewer make no middle half. */
const PASSES_MIN = 8;

export const median = (values) => {
  const s = [...values].sort((a, b) => a - b);
  const middle = s.length >> 1;
  return s.length % 2 === 1 ? s[middle] : (s[middle - 1] + s[middle]) / 2;
};

/** The value below which the share `p` of the values lies. */
export const percentile = (values, p) => {
  const s = [...values].sort((a, b) => a - b);
  return s[Math.min(s.length - 1, Math.max(0, Math.round(p * (s.length - 1))))];
};

/** Mean of the middle half. */
export const middleMean = (values) => {
  const s = [...values].sort((a, b) => a - b);
  const cut = s.length >> 2;
  const middle = s.slice(cut, s.length - cut);
  return middle.reduce((sum, v) => sum + v, 0) / middle.length;
};

/** The A/A interval: how far the ratios of a thing to itself stray from 1, on the wider side of their central 80 %. */
export function noiseOf(ratios) {
  if (ratios.length === 0) return 0;
  return Math.max(1 - percentile(ratios, 0.1), percentile(ratios, 0.9) - 1, 0);
}

/** 0 … count − 1 in a random order. */
export function shuffled(count) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Milliseconds of a call, found by doing for `ms`; what a kernel needs to reach its last tier is run on the way. */
function callMs(arm, ms) {
  const half = performance.now() + ms / 2;
  do arm.run();
  while (performance.now() < half);
  const from = performance.now();
  let calls = 0;
  do {
    arm.run();
    calls++;
  } while (performance.now() < from + ms / 2);
  return (performance.now() - from) / calls;
}

/** Processor microseconds of `calls` calls. */
function slice(arm, calls) {
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i++) arm.run();
  const used = process.cpuUsage(before);
  return used.user + used.system;
}

/**
 * Rows and interval from what each arm did in each round; arm 0 is the reference, arm 1 is it again.
 * @param rates operations per second, by arm and round
 * @param ratios of those to the reference's, by arm and round
 * @param cpuMicroseconds processor time of an operation, by arm and round
 */
export function summarise(names, rates, ratios, cpuMicroseconds) {
  const rows = names.map((name, k) => ({
    name,
    perSecond: median(rates[k]),
    least: Math.min(...rates[k]),
    most: Math.max(...rates[k]),
    cpuMicroseconds: median(cpuMicroseconds[k]),
    rates: rates[k],
    ratio: median(ratios[k]),
    ratios: ratios[k],
  }));
  return { rows, interval: noiseOf(ratios[1]) };
}

/**
 * @param arms `{name, run, operations?}`; the first is the reference, and runs a second time as `A/A`
 * @param settings rounds, and `ms` per arm and round, on average over the arms
 * @returns per arm: operations per second of processor time (median, least, most), and its ratio to the reference in
 *   every round; and the A/A interval
 */
export function measure(arms, { rounds, ms }) {
  const all = [arms[0], { ...arms[0], name: 'A/A' }, ...arms.slice(1)];
  const times = all.map((arm) => callMs(arm, Math.max(60, ms / 2)));
  times[1] = times[0];
  const calls = times.map((t) => Math.max(1, Math.round(SLICE_MS / t)));
  const passMs = times.reduce((sum, t, k) => sum + t * calls[k], 0);
  const passes = Math.max(PASSES_MIN, Math.round((ms * all.length) / passMs));
  const operations = all.map((arm, k) => calls[k] * (arm.operations ?? 1));
  const rates = all.map(() => []);
  const ratios = all.map(() => []);
  for (let round = 0; round < rounds; round++) {
    collect();
    const used = all.map(() => []);
    for (let pass = 0; pass < passes; pass++)
      for (const k of shuffled(all.length)) used[k].push(slice(all[k], calls[k]));
    all.forEach((_, k) => {
      rates[k].push((1e6 * operations[k]) / middleMean(used[k]));
      const perOperation = operations[k] / operations[0];
      ratios[k].push(middleMean(used[k].map((us, pass) => (perOperation * used[0][pass]) / us)));
    });
  }
  return summarise(
    all.map((arm) => arm.name),
    rates,
    ratios,
    rates.map((of) => of.map((rate) => 1e6 / rate)),
  );
}

/** Median over the rounds of arm against reference, by name; null when one was not measured. */
export function ratioOf(result, name, reference) {
  const of = (wanted) => result.rows.find((r) => r.name === wanted);
  const arm = of(name);
  const base = of(reference);
  if (arm === undefined || base === undefined) return null;
  return median(arm.ratios.map((r, i) => r / base.ratios[i]));
}

/**
 * `holds` when the measured value meets the bar by more than the A/A interval of its run, `missed` when it fails it by
 * more, else `undecided`. `below` turns the comparison round, for times.
 */
export function judge({ name, bar, measured, interval, below = false }) {
  if (measured === null || bar === null)
    return { name, bar, measured, spread: interval, verdict: 'undecided' };
  const margin = below ? (bar - measured) / bar : (measured - bar) / bar;
  const verdict = margin > interval ? 'holds' : margin < -interval ? 'missed' : 'undecided';
  return { name, bar, measured, spread: interval, verdict };
}
