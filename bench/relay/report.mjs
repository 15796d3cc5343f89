// Results of the relay's benchmarks: one JSON file and one chart per table, and one page over all of them.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const short = (v) => {
  if (v === null || v === undefined || Number.isNaN(v)) return '—';
  if (!Number.isFinite(v)) return String(v);
  return Math.abs(v) >= 100 ? Math.round(v).toLocaleString('en-US') : String(Number(v.toPrecision(3)));
};
const escapeText = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Horizontal bars, one group under the other. */
function chart({ title, rows, chart: { value, unit } }) {
  const drawn = rows.filter((r) => Number.isFinite(r[value]));
  const most = Math.max(...drawn.map((r) => r[value]), Number.MIN_VALUE);
  const lines = [];
  let y = 40;
  let group = null;
  for (const r of drawn) {
    if (r.group !== group) {
      group = r.group;
      y += 10;
      lines.push(`<text x="8" y="${y + 12}" font-weight="bold">${escapeText(group)}</text>`);
      y += 22;
    }
    const width = ((r[value] / most) * 380).toFixed(1);
    const fill = r.name.startsWith('relay') ? '#2f6f8f' : '#b9c4cb';
    lines.push(
      `<text x="20" y="${y + 13}">${escapeText(r.name)}</text><rect x="220" y="${y}" width="${width}" height="17" rx="2" fill="${fill}"/><text x="${(228 + Number(width)).toFixed(1)}" y="${y + 13}">${short(r[value])} ${escapeText(unit)}</text>`,
    );
    y += 23;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="760" height="${y + 12}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escapeText(title)}</title><rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="8" y="24" font-size="15">${escapeText(title)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n');
}

function barText(b) {
  const unit = b.unit === undefined || b.unit === '' ? '' : ` ${b.unit}`;
  const sign = b.at === 'most' ? '≤' : '≥';
  const measured = b.measured === null ? 'not measured' : `${short(b.measured)}${unit}`;
  return `| ${b.name} | ${sign} ${short(b.bar)}${unit} | ${measured} | ±${(100 * b.spread).toFixed(1)} % | ${b.verdict} |`;
}

function tableText(name, result) {
  const { title, bars, rows, columns, env, quiet } = result;
  const keys = Object.keys(columns);
  const changed = result.settings.changed ? ` ${result.settings.changed}` : '';
  const lines = [
    `## ${title}`,
    '',
    `\`npm run bench:relay -- --only ${name}${changed}\`, ${env.date.slice(0, 16).replace('T', ' ')}, commit ${env.commit}, Node ${env.node}, ${env.cpu}, ${env.cores} cores. ${quiet}`,
    '',
  ];
  if (bars.length > 0)
    lines.push(
      '| Measure | bar | measured | A/A | verdict |',
      '|---|---:|---:|---:|---|',
      ...bars.map(barText),
      '',
    );
  if (rows.length > 0 && keys.length > 0)
    lines.push(
      `| | | ${keys.map((k) => columns[k]).join(' | ')} |`,
      `|---|---|${keys.map(() => '---:|').join('')}`,
      ...rows.map((r) => `| ${r.group} | ${r.name} | ${keys.map((k) => short(r[k])).join(' | ')} |`),
      '',
    );
  if (result.chart !== null) lines.push(`![${title}](${name}.svg)`, '');
  return lines.join('\n');
}

/** Writes one table's result, and the page over all tables that have one. */
export function write(root, folder, name, result, order) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  if (result.chart !== null) writeFileSync(join(folder, `${name}.svg`), chart(result));
  const known = readdirSync(folder)
    .filter((f) => f.endsWith('.json'))
    .map((f) => f.slice(0, -5));
  const parts = order
    .filter((n) => known.includes(n))
    .map((n) => tableText(n, JSON.parse(readFileSync(join(folder, `${n}.json`), 'utf8'))));
  const head = [
    '# Relay benchmarks',
    '',
    'Server on one core, generator on the other, over loopback. A *floor* is a bare program (`bench/floors/`) that does the transport’s part and nothing else. CPU is that of all threads of the server, over the steady window only (beside nats-server under *Floors* over the whole run). A ratio is the median over the rounds of one run; A/A is how far a floor strays from itself in that run, and a bar within it is undecided. Other programs’ use of the two cores is in each table’s figures.',
    '',
  ].join('\n');
  writeFileSync(join(folder, 'README.md'), [head, ...parts].join('\n'));
  spawnSync(process.execPath, [
    join(root, 'node_modules/@biomejs/biome/bin/biome'),
    'format',
    '--write',
    join(folder, `${name}.json`),
  ]);
}
