// Benchmarks of the core: npm run bench:core -- [OPTIONS]
//
//   --rounds N      rounds per table (default 9)
//   --ms N          milliseconds per arm and round (default 120)
//   --only TEXT     only tables whose name contains TEXT: rsa, sha3, auto, keepalive, pool
//   --node PATH     run under another Node
//   --compare FILE  an earlier JSON result: what moved beyond the noise of both
//   --out FOLDER    where results go (default bench/results)
//
// Exit code 1 when a bar is missed.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { judge, ratioOf } from './measure.mjs';
import { environment, write } from './report.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    ms: { type: 'string', default: '120' },
    only: { type: 'string', default: '' },
    node: { type: 'string' },
    compare: { type: 'string' },
    out: { type: 'string', default: join(root, 'bench', 'results') },
  },
});

if (values.node !== undefined) {
  const rest = process.argv.slice(2).filter((a, i, all) => a !== '--node' && all[i - 1] !== '--node');
  const child = spawnSync(values.node, [fileURLToPath(import.meta.url), ...rest], { stdio: 'inherit' });
  process.exit(child.status ?? 1);
}

const { enableRelaxedSimd } = await import('../../dist/core/node/index.js');
enableRelaxedSimd();
const { autoTable, keepAliveTable, poolTable, rsaTable, sha3Table } = await import('./tables.mjs');

const rounds = Number(values.rounds);
if (!(rounds >= 9)) throw new RangeError('at least 9 rounds');
const settings = { rounds, ms: Number(values.ms) };
const [major] = process.versions.node.split('.').map(Number);
/** Bars differ between Node 20 and 24; what lies between is judged by the older ones. */
const byNode = (on20, on24) => (major >= 24 ? on24 : on20);

const tables = [];
const bars = [];
const wanted = (name) => name.includes(values.only);
const bar = (table, name, limit, arm, reference) =>
  bars.push(judge({ name, bar: limit, measured: ratioOf(table, arm, reference), interval: table.interval }));

if (wanted('rsa')) {
  const t = await rsaTable(settings);
  tables.push(t);
  const cached = 'node:crypto, cached key';
  bar(t, 'RSA-4096, wasm-relaxed : node:crypto cached', byNode(1.1, 1.03), 'wasm-relaxed', cached);
  bar(
    t,
    'RSA-4096, wasm-relaxed : node:crypto fresh JWK',
    byNode(1.4, 1.7),
    'wasm-relaxed',
    'node:crypto, fresh key from JWK',
  );
  bar(t, 'RSA-4096, wasm-simd : node:crypto cached', byNode(0.62, 0.6), 'wasm-simd', cached);
  bar(t, 'RSA-4096, wasm-scalar : V8 BigInt', 1.5, 'wasm-scalar', 'V8 BigInt');
}
if (wanted('sha3')) {
  const short = await sha3Table(45, settings);
  const long = await sha3Table(600, settings);
  tables.push(short, long);
  bar(short, 'SHA3-512, 45 bytes, batch of 64 : createHash', 4, 'core, batch of 64', 'createHash');
  bar(short, 'SHA3-512, 45 bytes, batch of 64 : hash-wasm', 1.7, 'core, batch of 64', 'hash-wasm');
  bar(long, 'SHA3-512, 600 bytes, batch of 64 : createHash', 1.3, 'core, batch of 64', 'createHash');
}
if (wanted('auto')) {
  for (const bytes of [1, 45, 71, 72, 143, 144, 600, 2048, 8192, 65_536]) {
    const t = autoTable(bytes, { ...settings, ms: settings.ms / 2 });
    tables.push(t);
    bars.push(
      judge({
        name: `SHA3-512 auto : best, ${bytes} bytes`,
        bar: 0.95,
        measured: t.toBest,
        interval: t.interval,
      }),
    );
  }
}
if (wanted('keepalive')) {
  const t = keepAliveTable(settings);
  tables.push(t);
  bar(t, 'keep-alive bytes to rows, core : JS path', 1.4, 'core', 'JS path');
}

if (wanted('pool')) {
  const t = await poolTable(settings);
  tables.push(t);
  bar(t, 'verify pool, 2 threads : 1', 1.8, '2 threads', '1 thread');
  const { interval } = t;
  const wait = (name, limit, measured) =>
    bars.push(judge({ name, bar: limit, measured, interval, below: true }));
  wait('verify pool, added wait of a lone item, p50, ms', 0.2, t.addedWait.p50);
  wait('verify pool, added wait of a lone item, p99, ms', 1, t.addedWait.p99);
}

const result = { env: environment(root), ...settings, bars, tables };
const name = `core-node${major}${values.only === '' ? '' : `-${values.only}`}`;
const path = write(root, values.out, name, result);
for (const b of bars)
  console.log(
    `${b.verdict.padEnd(10)} ${b.name}: ${b.measured === null ? 'not measured' : b.measured.toFixed(3)} (bar ${b.bar}, A/A ±${(100 * b.spread).toFixed(1)} %)`,
  );
console.log(path);

if (values.compare !== undefined) {
  const before = JSON.parse(readFileSync(values.compare, 'utf8'));
  for (const table of tables) {
    const old = before.tables.find((t) => t.title === table.title);
    if (old === undefined) continue;
    const noise = table.interval + old.interval;
    for (const row of table.rows) {
      const was = old.rows.find((r) => r.name === row.name);
      // Ratios to the reference: machines differ from day to day, their ratios less.
      const moved = was === undefined ? 0 : row.ratio / was.ratio - 1;
      if (Math.abs(moved) > noise)
        console.log(
          `moved ${(100 * moved).toFixed(1)} % (noise ${(100 * noise).toFixed(1)} %): ${row.name}, ${table.title}`,
        );
    }
  }
}
process.exitCode = bars.some((b) => b.verdict === 'missed') ? 1 : 0;
