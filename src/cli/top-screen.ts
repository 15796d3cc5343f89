import {
  bytes,
  count,
  duration,
  type LivePeer,
  type LiveSeries,
  type LiveStore,
  latency,
  rate,
  shortAddress,
} from '../operator/live/index.js';
import { type Output, paint, table, visibleWidth } from './terminal.js';

/** Blocks of eight heights. */
const BARS = '▁▂▃▄▅▆▇█';

/** The last values as a line of blocks, scaled to the largest; nothing before the first value. */
export function sparkline(values: readonly (number | null)[], width: number): string {
  const shown = values.slice(-width).map((v) => v ?? 0);
  const most = Math.max(...shown, 0);
  return shown
    .map((v) => BARS[most === 0 ? 0 : Math.min(7, Math.floor((8 * v) / most))])
    .join('')
    .padStart(width);
}

interface Row {
  readonly name: string;
  readonly value: string;
  readonly line: readonly (number | null)[];
}

function rowsOf(s: LiveStore): Row[] {
  const flat = (name: string, series: LiveSeries, show: (v: number) => string): Row => ({
    name,
    value: show(s.value(series)),
    line: s.column(series),
  });
  const per = (name: string, series: LiveSeries, show: (v: number) => string): Row => ({
    name,
    value: `${show(s.rate(series))}/s`,
    line: s.rates(series),
  });
  return [
    flat('clients', 'clients', count),
    flat('presences', 'presences', count),
    per('forwarded', 'forwardedTotal', rate),
    per('offline', 'offlineTotal', rate),
    per('in', 'bytesInTotal', bytes),
    per('out', 'bytesOutTotal', bytes),
    per('drops', 'droppedTotal', rate),
    flat('waiting', 'queueBytes', bytes),
    per('verified', 'verifiedTotal', rate),
    flat('loop p99', 'loopDelaySeconds', latency),
    flat('memory', 'residentBytes', bytes),
  ];
}

/** State in one word, with the checks that fail. */
function stateOf(s: LiveStore, o: Output): string {
  const { tick } = s;
  if (tick === null) return paint(o, 'yellow', 'connecting');
  if (tick.phase === 'stopping') return paint(o, 'yellow', 'stopping');
  if (tick.draining) return paint(o, 'yellow', 'draining');
  const failing = Object.entries(tick.checks)
    .filter(([, c]) => !c.ok)
    .map(([name, c]) => `${name} ${String(c.value)}`);
  return failing.length === 0
    ? paint(o, 'green', 'ready')
    : paint(o, 'red', `not ready: ${failing.join(', ')}`);
}

const peerRow = (p: LivePeer, nowMs: number): string[] => [
  p.type,
  shortAddress(p.address),
  p.remote,
  p.version,
  duration((nowMs - p.sinceMs) / 1000),
  bytes(p.bytes),
  bytes(p.queuedBytes),
];

const peerHead = ['type', 'wallet', 'endpoint', 'version', 'since', 'moved', 'waiting'];

/** Cuts a line to the terminal's width; colour codes do not count. */
function cut(line: string, width: number): string {
  if (visibleWidth(line) <= width) return line;
  // Lines with colour are short by design: the long ones are tables of plain text.
  return [...line].slice(0, width).join('');
}

/** One screen of `starling top`: pure, so that it can be looked at in a test. */
export function topScreen(s: LiveStore, size: { width: number; height: number }, o: Output): string {
  const { hello, tick, detail } = s;
  const now = tick?.atMs ?? 0;
  const head =
    hello === null
      ? ['connecting …']
      : [
          `${paint(o, 'bold', 'starling relay')} ${hello.version}  ${stateOf(s, o)}  up ${duration((now - hello.startedMs) / 1000)}  header ${count(s.value('height'))} of ${count(s.value('networkHeight'))}`,
          `${shortAddress(hello.address)}  ${tick?.endpoint || 'endpoint not known yet'}  ${hello.network} network  ${count(s.value('relays'))} relays, ${count(s.value('ledgerNodes'))} ledger nodes connected, ${count(s.value('relaysKnown'))} relays known`,
        ];
  const room = Math.max(10, Math.min(60, size.width - 26));
  const lines = [
    ...head,
    '',
    ...rowsOf(s).map(
      (r) => `${r.name.padEnd(10)} ${r.value.padStart(13)} ${paint(o, 'cyan', sparkline(r.line, room))}`,
    ),
    '',
  ];
  const drops = [...(tick?.drops ?? [])].sort((a, b) => b.total - a.total).slice(0, 6);
  lines.push(paint(o, 'bold', 'drops since the start'));
  if (drops.length === 0) lines.push('none');
  else
    lines.push(
      ...table(
        ['what', 'reason', 'total'],
        drops.map((d) => [d.counter.replaceAll('_', ' '), d.reason || '–', d.total]),
      )
        .trimEnd()
        .split('\n'),
    );
  lines.push('', paint(o, 'bold', 'ledger nodes, relays, busiest clients'));
  const peers = [...(detail?.peers ?? []), ...(detail?.busiest ?? [])];
  lines.push(
    ...table(
      peerHead,
      peers.map((p) => peerRow(p, now)),
    )
      .trimEnd()
      .split('\n'),
  );
  return lines
    .slice(0, Math.max(5, size.height - 1))
    .map((line) => cut(line, size.width))
    .join('\n');
}
