// Results as JSON, as a Markdown table, and as one bar chart (SVG) per table.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

const number = (v) => (v >= 100 ? Math.round(v).toLocaleString('en-US') : v.toPrecision(3));
const percent = (v) => `${(100 * v).toFixed(1)} %`;
const escapeText = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function commit(root) {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

export function environment(root) {
  return {
    date: new Date().toISOString(),
    node: process.versions.node,
    v8: process.versions.v8,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    commit: commit(root),
  };
}

function chart(table) {
  const width = 760;
  const rows = table.rows;
  // Rows of different functions share a chart, but not a scale.
  const mostOf = (group) => Math.max(...rows.filter((r) => r.group === group).map((r) => r.most));
  const lines = rows.map((r, i) => {
    const y = 48 + 26 * i;
    const most = mostOf(r.group);
    const scale = (v) => (v / most) * 360;
    return [
      `<text x="8" y="${y + 13}">${escapeText(r.name)}</text>`,
      `<rect x="240" y="${y}" width="${scale(r.perSecond).toFixed(1)}" height="18" rx="2" fill="#2f6f8f"/>`,
      `<line x1="${(240 + scale(r.least)).toFixed(1)}" x2="${(240 + scale(r.most)).toFixed(1)}" y1="${y + 9}" y2="${y + 9}" stroke="#111" stroke-width="1.5"/>`,
      `<text x="612" y="${y + 13}">${number(r.perSecond)}/s, × ${r.ratio.toFixed(2)}</text>`,
    ].join('');
  });
  const height = 60 + 26 * rows.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escapeText(table.title)}</title><rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="8" y="24" font-size="15">${escapeText(table.title)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n');
}

function tableText(table, svg) {
  const wall = table.rows.some((r) => r.p99Microseconds !== undefined);
  const times = (r) =>
    wall
      ? `${r.wallMicroseconds.toPrecision(3)} | ${r.p99Microseconds.toPrecision(3)}`
      : r.cpuMicroseconds.toPrecision(3);
  // The widest is the table's.
  const byFunction = (table.intervals ?? [])
    .map((i, k) => `${k === 0 ? ': ' : ''}${i.name} ±${percent(i.interval)}`)
    .join('; ');
  const lines = [
    `## ${table.title}`,
    '',
    ...(table.note === undefined ? [] : [table.note, '']),
    `| | per second | least … most | µs | ${wall ? 'p99, µs | ' : ''}× |`,
    `|---|---:|---:|---:|${wall ? '---:|' : ''}---:|`,
    ...table.rows.map(
      (r) =>
        `| ${r.name} | ${number(r.perSecond)} | ${number(r.least)} … ${number(r.most)} | ${times(r)} | ${r.ratio.toFixed(3)} |`,
    ),
    '',
    `A/A interval ±${percent(table.interval)}${byFunction}.${table.left.length > 0 ? ` Left out: ${table.left.join(', ')}.` : ''}`,
    '',
    `![${table.title}](${svg})`,
    '',
  ];
  return lines.join('\n');
}

function barsText(bars) {
  return [
    '## Bars',
    '',
    '| Measure | bar | measured | A/A | verdict |',
    '|---|---:|---:|---:|---|',
    ...bars.map(
      (b) =>
        `| ${b.name} | ${b.bar ?? '—'} | ${b.measured === null ? 'not measured' : b.measured.toFixed(3)} | ±${percent(b.spread)} | ${b.verdict} |`,
    ),
    '',
  ].join('\n');
}

/** Writes everything under `folder`; the path of the JSON file. */
export function write(root, folder, name, result) {
  mkdirSync(folder, { recursive: true });
  const { env, tables, bars } = result;
  const parts = tables.map((table) => {
    const svg = `${name}-${table.key}.svg`;
    writeFileSync(join(folder, svg), chart(table));
    return tableText(table, svg);
  });
  const head = [
    `# Core benchmarks, Node ${env.node}`,
    '',
    `${env.cpu}, ${env.cores} cores; ${env.date}; commit ${env.commit}. Medians of ${result.rounds} rounds, ${result.ms} ms per arm and round in slices of 1 ms, arms interleaved (bench/core/measure.mjs); processor time, one core, where a title does not say wall time; × is against the first row, within a round.`,
    '',
  ].join('\n');
  writeFileSync(
    join(folder, `${name}.md`),
    [head, ...(bars.length === 0 ? [] : [barsText(bars)]), ...parts].join('\n'),
  );
  const path = join(folder, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  // Kept files look like every other file of the repository.
  spawnSync(process.execPath, [
    join(root, 'node_modules/@biomejs/biome/bin/biome'),
    'format',
    '--write',
    path,
  ]);
  return path;
}
