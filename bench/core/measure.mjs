// Arms measured beside each other: every round runs each arm once, in an order that rotates, so that what the machine does
// meanwhile falls on all of them alike. What is compared are ratios within a round.

import { performance } from 'node:perf_hooks';

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

/** Runs `work` for `ms` of wall time; operations per second of processor time, which other programs do not take. */
function once(arm, ms) {
  let calls = 0;
  let step = 1;
  const cpu = process.cpuUsage();
  const start = performance.now();
  let now = start;
  do {
    for (let i = 0; i < step; i++) arm.run();
    calls += step;
    now = performance.now();
    if ((now - start) * step < 0.5 * calls) step *= 2;
  } while (now - start < ms);
  const used = process.cpuUsage(cpu);
  return (calls * (arm.operations ?? 1)) / ((used.user + used.system) / 1e6);
}

/**
 * @param arms `{name, run, operations?}`; the first is the reference, and it is run a second time as `A/A`
 * @returns per arm: operations per second of processor time (median, least, most), and its ratio to the reference in
 *   every round; and the A/A interval: how far the reference's ratio to itself strays, the wider side of its central 80 %
 */
export function measure(arms, { rounds, ms }) {
  const all = [arms[0], { ...arms[0], name: 'A/A' }, ...arms.slice(1)];
  for (const arm of all) once(arm, ms / 4);
  const rates = all.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < all.length; i++) {
      const k = (i + round) % all.length;
      rates[k].push(once(all[k], ms));
    }
  const rows = all.map((arm, k) => {
    const ratios = rates[k].map((r, round) => r / rates[0][round]);
    return {
      name: arm.name,
      perSecond: median(rates[k]),
      least: Math.min(...rates[k]),
      most: Math.max(...rates[k]),
      cpuMicroseconds: 1e6 / median(rates[k]),
      rates: rates[k],
      ratio: median(ratios),
    };
  });
  const self = rates[1].map((r, round) => r / rates[0][round]);
  const interval = Math.max(1 - percentile(self, 0.1), percentile(self, 0.9) - 1, 0);
  return { rows, interval };
}

/** Median over the rounds of arm against reference, by name. */
export function ratioOf(result, name, reference) {
  const of = (wanted) => result.rows.find((r) => r.name === wanted);
  const arm = of(name);
  const base = of(reference);
  if (arm === undefined || base === undefined) return null;
  return median(arm.rates.map((r, i) => r / base.rates[i]));
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
