import { HdrHistogram, type HistogramData, type HistogramSummary } from '../histogram.js';
import type { LoadResult, SecondFigures } from '../result.js';
import { escapeHtml, lineChart, type Series, shortNumber } from './chart.js';

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #59636e; --rule: #d1d9e0; --paper: #fff; --window: #eef4ff;
  --a: #0969da; --b: #cf222e; --c: #1a7f37; --d: #8250df; --e: #9a6700; --f: #57606a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --rule: #3d444d; --paper: #0d1117;
  --window: #14233b; --a: #4493f8; --b: #f85149; --c: #3fb950; --d: #ab7df8; --e: #d29922; --f: #9198a1; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.dim, small { color: var(--dim); } .bad { color: var(--b); font-weight: 600; } .good { color: var(--c); font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; } th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; } svg { width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: var(--dim); } .grid { stroke: var(--rule); } .window { fill: var(--window); }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.key::before { content: '● '; }
.line.a { stroke: var(--a) } .line.b { stroke: var(--b) } .line.c { stroke: var(--c) } .line.d { stroke: var(--d) }
.line.e { stroke: var(--e) } .line.f { stroke: var(--f) }
.key.a::before { color: var(--a) } .key.b::before { color: var(--b) } .key.c::before { color: var(--c) }
.key.d::before { color: var(--d) } .key.e::before { color: var(--e) } .key.f::before { color: var(--f) }
details pre { overflow: auto; font-size: 12px; }
`;

const number = (n: number): string =>
  n.toLocaleString('en-US', { maximumFractionDigits: Math.abs(n) < 10 ? 2 : 0 });
const ms = (us: number): string => number(us / 1000);
const percent = (share: number | null): string => (share === null ? '–' : `${(share * 100).toFixed(1)} %`);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (r: readonly string[], tag: string): string =>
    `<tr>${r.map((c) => `<${tag}>${escapeHtml(c)}</${tag}>`).join('')}</tr>`;
  return `<table><thead>${cells(head, 'th')}</thead><tbody>${rows.map((r) => cells(r, 'td')).join('')}</tbody></table>`;
}

const NAMES: Readonly<Record<string, string>> = {
  messages: 'message, from its intended send time',
  sendLag: 'send lag of the generator',
  handshake: 'handshake',
  comeback: 'back after a lost connection',
  storm: 'back after the storm',
  lookups: 'lookup',
  keepAlives: 'keep-alive, until the relay answers with it',
};
const nameOf = (name: string): string => NAMES[name] ?? name;

/** Points of the percentile curve: 1 / (1 − q) is the horizontal axis, so that the tail has room. */
const curvePoints = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999];

function percentileChart(histograms: Readonly<Record<string, HistogramData>>): string {
  const used = Object.entries(histograms).filter(([, h]) => h.count > 0);
  if (used.length === 0) return '';
  const series: Series[] = used.map(([name, data]) => {
    const h = new HdrHistogram();
    h.add(data);
    // A quantile that fewer than one value decides says nothing.
    return {
      name: nameOf(name),
      values: curvePoints.map((q) => (data.count * (1 - q) < 1 ? null : h.quantile(q) / 1000)),
    };
  });
  return lineChart({
    title: 'Latency by share of events that were slower',
    unit: 'ms',
    x: curvePoints.map((q) => Math.log10(1 / (1 - q))),
    xUnit: 'was slower',
    xText: (x) => `1 in ${shortNumber(10 ** x)}`,
    series,
    log: true,
  });
}

/** Where the steady window lies among the seconds: the warm-up begins when the ramp is over. */
function windowOf(r: LoadResult): { readonly from: number; readonly to: number } {
  const from = r.rampSeconds + r.scenario.warmUpSeconds;
  return { from, to: from + r.windowSeconds };
}

function timeCharts(r: LoadResult): string[] {
  const s = r.seconds;
  const x = s.map((f) => f.second);
  const shaded = windowOf(r);
  const of = (name: string, pick: (f: SecondFigures) => number | null): Series => ({
    name,
    values: s.map(pick),
  });
  const chart = (title: string, unit: string, series: readonly Series[], log = false): string =>
    lineChart({ title, unit, x, xUnit: 'seconds', shaded, log, series });
  const counted = (...names: string[]): Series[] =>
    names
      .filter((n) => (r.total[n] ?? 0) > 0)
      .map((n) => of(n.slice(n.indexOf('.') + 1), (f) => f.counts[n] ?? 0));
  const charts = [
    chart('Messages', 'a second', counted('messages.intended', 'messages.delivered', 'messages.refused')),
    chart('Keep-alives', 'a second', counted('keepAlives.intended', 'keepAlives.sent')),
    chart('Lookups', 'a second', counted('lookups.asked', 'lookups.answered')),
  ];
  for (const name of ['messages', 'lookups', 'keepAlives', 'handshake'])
    if ((r.histograms[name]?.count ?? 0) > 0) {
      const pick = (key: keyof HistogramSummary) => (f: SecondFigures) => {
        const l = f.latencies[name];
        return l === undefined || l.count === 0 ? null : l[key] / 1000;
      };
      charts.push(
        chart(
          `Latency: ${nameOf(name)}`,
          'ms',
          [of('p50', pick('p50')), of('p99', pick('p99')), of('max', pick('max'))],
          true,
        ),
      );
    }
  charts.push(
    chart('Connections', 'open', [of('open', (f) => f.open)]),
    chart('Processor', '% of a core', [
      ...(s.some((f) => f.targetCpuShare !== null)
        ? [of('target', (f) => (f.targetCpuShare === null ? null : f.targetCpuShare * 100))]
        : []),
      ...r.generator.map((_, i) => of(`generator ${i + 1}`, (f) => (f.cpuShares[i] ?? 0) * 100)),
    ]),
    chart('Memory of the target', 'MB', [
      of('resident', (f) => (f.targetRssBytes === null ? null : f.targetRssBytes / 1e6)),
    ]),
    chart('Open files of the target', '', [of('open files', (f) => f.targetOpenFiles)]),
    percentileChart(r.histograms),
  );
  return charts.filter((c) => c !== '');
}

function calibrationPart(r: LoadResult): string {
  const c = r.calibration;
  if (c === null) return '';
  const row = (name: string, of: (x: LoadResult) => string): string[] => [name, of(r), of(c)];
  return [
    '<h2>The same load against a bare sink</h2>',
    '<p class="dim">The sink hands messages on and checks nothing. What the generator reaches there and not at the target is the target’s limit.</p>',
    table(
      ['', 'target', 'sink'],
      [
        row('messages delivered a second', (x) => number(x.perSecond['messages.delivered'] ?? 0)),
        row('message p50, ms', (x) => ms(x.latencies.messages?.p50 ?? 0)),
        row('message p99, ms', (x) => ms(x.latencies.messages?.p99 ?? 0)),
        row('send lag p99, ms', (x) => ms(x.latencies.sendLag?.p99 ?? 0)),
        row('processor of the generator', (x) => x.generator.map((g) => percent(g.cpuShare)).join(', ')),
        row('processor of the other side', (x) => percent(x.targetProcess?.cpuShare ?? null)),
      ],
    ),
  ].join('\n');
}

/** A page that holds everything it shows: no script, no font, no picture from elsewhere. */
export function htmlReport(r: LoadResult): string {
  const m = r.messages;
  const wrong = m.lost + m.duplicated + m.corrupted + m.misdelivered;
  const fates = Object.entries(m).filter(([, n]) => n > 0);
  const timed = Object.entries(r.latencies).filter(([, l]) => l.count > 0);
  const counts = Object.entries(r.total).filter(([name, n]) => n > 0 && !name.startsWith('messages.'));
  const verdict = r.verdict.generatorIsLimit
    ? '<span class="bad">The generator may be the limit</span>'
    : '<span class="good">The generator is not the limit</span>';
  const body = [
    `<h1>${escapeHtml(r.scenario.name)}</h1>`,
    `<p>${escapeHtml(r.scenario.about)}</p>`,
    `<p class="dim">Against ${escapeHtml(r.target)}, ${escapeHtml(r.startedAt)}; ${shortNumber(r.connected)} clients connected in ${r.rampSeconds.toFixed(1)} s, measured over ${r.windowSeconds} s${r.interrupted ? ', interrupted' : ''}. ${escapeHtml(r.machine.cpuModel)}, ${r.machine.cpus} cores, kernel ${escapeHtml(r.machine.kernel)}, Node ${escapeHtml(r.machine.node)}, load average before: ${r.machine.loadBefore.toFixed(1)}. Keys from seed ${escapeHtml(r.seed)}.</p>`,
    m.intended > 0
      ? wrong === 0
        ? '<p class="good">No message was lost, repeated, altered or misdelivered.</p>'
        : `<p class="bad">${number(m.lost)} messages lost, ${number(m.duplicated)} repeated, ${number(m.corrupted)} altered, ${number(m.misdelivered)} misdelivered.</p>`
      : '',
    `<p>${verdict}: ${escapeHtml(r.verdict.reasons.join('; '))}.</p>`,
    fates.length > 0 ? '<h2>Messages</h2>' : '',
    fates.length > 0
      ? table(
          ['', 'in all', 'a second, measured'],
          fates.map(([k, n]) => [k, number(n), number(r.perSecond[`messages.${k}`] ?? 0)]),
        )
      : '',
    timed.length > 0 ? '<h2>Times, in milliseconds</h2>' : '',
    timed.length > 0
      ? table(
          ['', 'count', 'min', 'p50', 'p90', 'p99', 'p99.9', 'max'],
          timed.map(([name, l]) => [
            nameOf(name),
            number(l.count),
            ...[l.min, l.p50, l.p90, l.p99, l.p999, l.max].map(ms),
          ]),
        )
      : '',
    '<h2>Course</h2>',
    '<p class="dim">Shaded: the steady window that figures are taken from.</p>',
    `<div class="charts">${timeCharts(r).join('\n')}</div>`,
    calibrationPart(r),
    '<h2>Processes</h2>',
    table(
      ['', 'processor', 'busy', 'resident, MB'],
      [
        ...r.generator.map((g, i) => [
          `generator ${i + 1}`,
          percent(g.cpuShare),
          percent(g.busyShare),
          number(g.rssBytes / 1e6),
        ]),
        ...(r.targetProcess === null
          ? []
          : [
              ['target', percent(r.targetProcess.cpuShare), '–', number(r.targetProcess.rssBytesAtEnd / 1e6)],
            ]),
      ],
    ),
    counts.length > 0 ? '<h2>Everything counted</h2>' : '',
    counts.length > 0
      ? table(
          ['', 'in all', 'a second, measured'],
          counts.map(([name, n]) => [name, number(n), number(r.perSecond[name] ?? 0)]),
        )
      : '',
    `<details><summary>The scenario</summary><pre>${escapeHtml(JSON.stringify(r.scenario, null, 2))}</pre></details>`,
  ];
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>${escapeHtml(r.scenario.name)}: load test of ${escapeHtml(r.target)}</title><style>${STYLE}</style></head>`,
    `<body>${body.filter((x) => x !== '').join('\n')}</body></html>`,
    '',
  ].join('\n');
}
