import { type Output, paint, table } from '../terminal.js';
import {
  BATCH_SIZES,
  type EngineRow,
  HASHERS,
  type HashRow,
  RSA_BITS,
  type ThreadRow,
  type TuneReport,
} from './measure.js';

/** Figures within this of the best are as good: a second run may order them otherwise. */
const asGood = 1.02;

const REASONS = { missing: 'not in this runtime', 'self-test': 'fails its self-test here' } as const;

/** Three digits, whatever the size. */
const three = (n: number): string => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2));
const grouped = (n: number): string =>
  Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');

/** The figure with a star where it wins its column or row. */
function marked(o: Output, value: number | undefined | null, best: number): string {
  if (value === undefined || value === null) return '–';
  return value <= best * asGood ? paint(o, 'green', `${three(value)} *`) : `${three(value)}  `;
}

/** Right-aligned text columns: figures carry a mark, so they are padded here and not by the table. */
function aligned(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const plain = (s: string): string =>
    s.replace(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '');
  const width = (i: number): number => Math.max(...[head, ...rows].map((r) => [...plain(r[i] ?? '')].length));
  const pad = (s: string, i: number): string => ' '.repeat(width(i) - [...plain(s)].length) + s;
  return table(
    head.map((h, i) => (i === 0 ? h : pad(h, i))),
    rows.map((r) => r.map((cell, i) => (i === 0 ? cell : pad(cell, i)))),
  );
}

function engineText(o: Output, rows: readonly EngineRow[]): string {
  const columns = RSA_BITS.flatMap((bits) => BATCH_SIZES.map((batch) => ({ bits, batch })));
  const at = (row: EngineRow, c: { bits: number; batch: number }): number | undefined =>
    row.cells.find((x) => x.bits === c.bits && x.batch === c.batch)?.microseconds;
  const best = columns.map((c) => Math.min(...rows.map((r) => at(r, c) ?? Number.POSITIVE_INFINITY)));
  const native = rows.find((r) => r.engine === 'native');
  const ratio = (row: EngineRow): string => {
    const [mine, theirs] = [row, native].map((r) => (r === undefined ? undefined : at(r, columns.at(-1)!)));
    return mine === undefined || theirs === undefined ? '–' : `${(theirs / mine).toFixed(2)} ×`;
  };
  const here = rows.filter((r) => r.absent === null);
  const text = aligned(
    ['engine', ...columns.map((c) => `${c.bits} by ${c.batch}`), 'to native'],
    here.map((r) => [r.engine, ...columns.map((c, i) => marked(o, at(r, c), best[i]!)), ratio(r)]),
  );
  const absent = rows.filter((r) => r.absent !== null).map((r) => `${r.engine}: ${REASONS[r.absent!]}`);
  return [text.trimEnd(), ...absent, ''].join('\n');
}

function threadText(rows: readonly ThreadRow[], absent: string | null): string {
  if (rows.length === 0) return `${absent ?? 'not measured'}\n`;
  const one = rows[0]!.perSecond;
  return aligned(
    ['threads', 'signatures/s', 'to one', 'lone p50', 'lone p99'],
    rows.map((r) => [
      String(r.threads),
      grouped(r.perSecond),
      `${(r.perSecond / one).toFixed(2)} ×`,
      `${r.loneMsP50.toFixed(2)} ms`,
      `${r.loneMsP99.toFixed(2)} ms`,
    ]),
  );
}

function hashText(o: Output, rows: readonly HashRow[]): string {
  return aligned(
    ['bytes', ...HASHERS, 'auto to createHash'],
    rows.map(({ bytes, nanoseconds: ns }) => {
      const best = Math.min(...HASHERS.map((h) => ns[h] ?? Number.POSITIVE_INFINITY));
      const ratio =
        ns.createHash === null || ns.auto === null ? '–' : `${(ns.createHash / ns.auto).toFixed(2)} ×`;
      return [grouped(bytes), ...HASHERS.map((h) => marked(o, ns[h], best)), ratio];
    }),
  );
}

/** The report as a person reads it; `*` marks the best of a column of engines and of a row of hashes. */
export function tuneText(o: Output, r: TuneReport): string {
  const { machine, choice } = r;
  const title = (text: string): string => paint(o, 'bold', text);
  return [
    `${machine.cpu}, ${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}, Node ${machine.node}, ${machine.platform}`,
    '',
    title('RSA verification, microseconds of CPU time, keys not seen before (size by batch)'),
    engineText(o, r.engines),
    title(`Verify pool, RSA-4096, ${choice.verifyEngine}`),
    threadText(r.threads, r.threadsAbsent),
    title('SHA3-512, nanoseconds of CPU time by length'),
    hashText(o, r.hashes),
    '* the best, or within 2 % of it',
    '',
    title('For a relay on this machine'),
    `verifyEngine = ${choice.verifyEngine}`,
    `verifyThreads = ${choice.verifyThreads}`,
    '',
  ].join('\n');
}
