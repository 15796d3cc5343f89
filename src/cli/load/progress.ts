import type { Phase, SecondFigures } from '../../load/index.js';
import { type Output, progressLine } from '../terminal.js';

const number = (n: number): string => Math.round(n).toLocaleString('en-US');

/** Microseconds as milliseconds. */
export function ms(us: number): string {
  const v = us / 1000;
  return v < 10 ? v.toFixed(2) : v < 100 ? v.toFixed(1) : number(v);
}

const PHASE_NAMES: Readonly<Record<Phase, string>> = {
  connect: 'connecting',
  warmUp: 'warming up',
  window: 'measuring',
  drain: 'draining',
  done: 'done',
};

/** What happens besides messages, if anything does: counter and how it is called. */
const OTHER_COUNTS: readonly (readonly [name: string, shown: string])[] = [
  ['connections.opened', 'new'],
  ['keepAlives.sent', 'keep-alives'],
  ['lookups.answered', 'lookups'],
  ['messages.refused', 'refused'],
];

/** One second of a test in one line. */
export function secondText(s: SecondFigures, phase: Phase): string {
  const count = (name: string): number => s.counts[name] ?? 0;
  const parts = [
    `${s.second.toFixed(0).padStart(4)} s`,
    PHASE_NAMES[phase].padEnd(10),
    `${number(s.open)} open`,
  ];
  if (count('messages.intended') + count('messages.delivered') > 0)
    parts.push(`${number(count('messages.intended'))} due ${number(count('messages.delivered'))} delivered`);
  for (const [name, shown] of OTHER_COUNTS)
    if (count(name) > 0) parts.push(`${number(count(name))} ${shown}`);
  const latency = s.latencies.messages ?? s.latencies.lookups;
  if (latency !== undefined && latency.count > 0)
    parts.push(`p50 ${ms(latency.p50)} p99 ${ms(latency.p99)} ms`);
  const trouble = Object.entries(s.counts)
    .filter(([name]) => name.startsWith('connections.failed.') || name.startsWith('connections.lost.'))
    .map(([name, n]) => `${n} × ${name.slice('connections.'.length)}`);
  parts.push(...trouble);
  parts.push(`generator ${s.cpuShares.map((c) => `${(c * 100).toFixed(0)} %`).join(' + ')}`);
  if (s.targetCpuShare !== null) parts.push(`target ${(s.targetCpuShare * 100).toFixed(0)} %`);
  return parts.join('  ');
}

/** Shows a test while it runs: a line redrawn in place where a person watches, else a plain line a second. */
export function liveProgress(o: Output): {
  readonly second: (s: SecondFigures, phase: Phase) => void;
  readonly note: (text: string) => void;
  readonly done: () => void;
} {
  const line = progressLine(o);
  return {
    second: (s, phase) => {
      if (o.live) line.show(secondText(s, phase));
      else o.err(`${secondText(s, phase)}\n`);
    },
    note: (text) => line.done(text),
    done: () => line.done(),
  };
}
