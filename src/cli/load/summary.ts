import type { HistogramSummary, LoadResult } from '../../load/index.js';
import { type Output, paint, table } from '../terminal.js';
import { ms } from './progress.js';

const number = (n: number): string =>
  n.toLocaleString('en-US', { maximumFractionDigits: Math.abs(n) < 10 ? 1 : 0 });

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function latencyRow(name: string, s: HistogramSummary): (string | number)[] {
  return [name, number(s.count), ...[s.min, s.p50, s.p90, s.p99, s.p999, s.max].map(ms)];
}

const LATENCY_NAMES: Readonly<Record<string, string>> = {
  messages: 'message, from its intended send time',
  sendLag: 'send lag: how late the generator was',
  handshake: 'handshake, from connect to helloData',
  comeback: 'back after a lost connection',
  storm: 'back after the storm',
  lookups: 'lookup answered',
  keepAlives: 'keep-alive seen in the store',
};

/** What must never happen: a test in which it did is a failed one. */
export function failuresOf(r: LoadResult): string[] {
  const m = r.messages;
  const bad: [number, string][] = [
    [m.lost, 'lost'],
    [m.duplicated, 'delivered twice'],
    [m.corrupted, 'altered'],
    [m.misdelivered, 'delivered to somebody else'],
  ];
  return bad.filter(([n]) => n > 0).map(([n, what]) => `${number(n)} messages ${what}`);
}

/** The result of a test as text. */
export function resultText(r: LoadResult, o: Output): string {
  const out: string[] = [];
  const { messages: m } = r;
  out.push(
    `${paint(o, 'bold', r.scenario.name)} against ${r.target}: ${number(r.connected)} clients connected in ` +
      `${r.rampSeconds.toFixed(1)} s, measured over ${r.windowSeconds} s${r.interrupted ? ' (interrupted)' : ''}\n`,
  );
  if (m.intended > 0)
    out.push(
      table(
        ['messages', 'in all', 'a second, measured'],
        (
          ['intended', 'written', 'delivered', 'refused', 'lost', 'inDoubt', 'unsent', 'unready'] as const
        ).map((k) => [k, number(m[k]), number(r.perSecond[`messages.${k}`] ?? 0)]),
      ),
    );
  const timed = Object.entries(r.latencies).filter(([, s]) => s.count > 0);
  if (timed.length > 0)
    out.push(
      table(
        ['milliseconds', 'count', 'min', 'p50', 'p90', 'p99', 'p99.9', 'max'],
        timed.map(([name, s]) => latencyRow(LATENCY_NAMES[name] ?? name, s)),
      ),
    );
  const others = Object.entries(r.total).filter(([name, n]) => !name.startsWith('messages.') && n > 0);
  if (others.length > 0)
    out.push(
      table(
        ['counted', 'in all', 'a second, measured'],
        others.map(([name, n]) => [name, number(n), number(r.perSecond[name] ?? 0)]),
      ),
    );
  const generator = r.generator
    .map((p) => percent(p.cpuShare) + (p.busyShare === null ? '' : ` (busy ${percent(p.busyShare)})`))
    .join(', ');
  out.push(`generator: ${generator} of a core\n`);
  const t = r.targetProcess;
  if (t !== null)
    out.push(
      `target: ${percent(t.cpuShare)} of a core, ${number(t.rssBytesAtEnd / 1e6)} MB resident ` +
        `(${number((t.rssBytesAtEnd - t.rssBytesAtStart) / 1e6)} MB more than before)${t.openFilesAtEnd === null ? '' : `, ${t.openFilesAtEnd} open files`}\n`,
    );
  const limit = r.verdict.generatorIsLimit
    ? paint(o, 'yellow', 'the generator may be the limit')
    : paint(o, 'green', 'the generator is not the limit');
  out.push(`${limit}: ${r.verdict.reasons.join('; ')}\n`);
  const failures = failuresOf(r);
  if (failures.length > 0) out.push(`${paint(o, 'red', 'FAILED')}: ${failures.join(', ')}\n`);
  return `\n${out.join('\n')}`;
}
