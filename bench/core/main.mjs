// Benchmarks of the core: npm run bench:core -- [OPTIONS]

import { fork, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { comparison } from './compare.mjs';
import { judge, ratioOf } from './measure.mjs';
import { environment, write } from './report.mjs';

const HELP = `Benchmarks of the core.

  npm run bench:core -- [OPTIONS]

  --rounds N      rounds per table, at least 9 (default 11)
  --ms N          milliseconds per arm and round (default 100)
  --only TEXT     only tables whose name contains TEXT, and no bars of others:
                  rsa, sha3-45, sha3-600, auto-1 … auto-65536, keepalive, pool,
                  crc-45, crc-1100, varint, frames, keepalive-scan, sector, micro
  --node PATH     run under another Node
  --compare FILE  an earlier JSON result: what moved beyond the noise of both
  --out FOLDER    where results go (default bench/results)
  --help          this

Each table runs in a process of its own. Results: JSON, a Markdown table, and a chart (SVG) per table.
Exit code 1 when a bar is missed; a bar within the noise of its run is undecided, which is not a miss.
`;

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '11' },
    ms: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
    node: { type: 'string' },
    compare: { type: 'string' },
    out: { type: 'string', default: join(root, 'bench', 'results') },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
if (values.node !== undefined) {
  const rest = process.argv
    .slice(2)
    .filter((a, i, all) => a !== '--node' && all[i - 1] !== '--node' && !a.startsWith('--node='));
  const child = spawnSync(values.node, [fileURLToPath(import.meta.url), ...rest], { stdio: 'inherit' });
  process.exit(child.status ?? 1);
}

const rounds = Number(values.rounds);
const ms = Number(values.ms);
if (!(rounds >= 9)) throw new RangeError('--rounds must be at least 9');
if (!(ms >= 4)) throw new RangeError('--ms must be at least 4');
const settings = { rounds, ms };
// A file that cannot be read is told now, and not after minutes of measuring.
const compare = values.compare === undefined ? null : comparison(values.compare);
const [major] = process.versions.node.split('.').map(Number);
/** Bars differ between Node 20 and 24; what lies between is judged by the older ones. */
const byNode = (on20, on24) => (major >= 24 ? on24 : on20);

const cached = 'node:crypto, cached key';
const fresh = 'node:crypto, fresh key from JWK';
const batch = 'core, batch of 64';
const against = (name, bar, arm, reference) => (table) => ({
  name,
  bar,
  measured: ratioOf(table, arm, reference),
});
const wait = (name, bar, quantile) => (table) => ({
  name: `verify pool, added wait of a lone item, ${name}, ms`,
  bar,
  measured: table.addedWait[quantile],
  below: true,
});
const AUTO_BYTES = [1, 45, 71, 72, 143, 144, 600, 2048, 8192, 65_536];

/** Table by table: its name, what each of its bars says, and settings of its own. */
const plan = [
  [
    'rsa',
    [
      against('RSA-4096, wasm-relaxed : node:crypto cached', byNode(1.1, 1.03), 'wasm-relaxed', cached),
      against('RSA-4096, wasm-relaxed : node:crypto fresh JWK', byNode(1.4, 1.7), 'wasm-relaxed', fresh),
      against('RSA-4096, wasm-simd : node:crypto cached', byNode(0.62, 0.6), 'wasm-simd', cached),
      against('RSA-4096, wasm-scalar : V8 BigInt', 1.5, 'wasm-scalar', 'V8 BigInt'),
    ],
  ],
  [
    'pool',
    [
      against('verify pool, 2 threads : 1', 1.8, '2 threads', '1 thread'),
      wait('p50', 0.2, 'p50'),
      wait('p99', 1, 'p99'),
    ],
  ],
  [
    'sha3-45',
    [
      against('SHA3-512, 45 bytes, batch of 64 : createHash', 4, batch, 'createHash'),
      against('SHA3-512, 45 bytes, batch of 64 : hash-wasm', 1.7, batch, 'hash-wasm'),
    ],
  ],
  ['sha3-600', [against('SHA3-512, 600 bytes, batch of 64 : createHash', 1.3, batch, 'createHash')]],
  ...AUTO_BYTES.map((bytes) => [
    `auto-${bytes}`,
    [(table) => ({ name: `SHA3-512 auto : best, ${bytes} bytes`, bar: 0.95, measured: table.toBest })],
  ]),
  ['keepalive', [against('keep-alive bytes to rows, core : JS path', 1.4, 'core', 'JS path')]],
  ...['crc-45', 'crc-1100', 'varint', 'frames', 'keepalive-scan', 'sector', 'micro'].map((name) => [
    name,
    [],
  ]),
];

/** Short inputs make so much garbage per time that their pace varies by a tenth: more passes even it out. */
const longer = { 'sha3-45': 3, 'sha3-600': 2, 'auto-1': 4, 'auto-45': 3, 'auto-71': 4, 'auto-72': 2 };

/** Runs one table in its own process, under this Node. */
function run(name) {
  const own = { ...settings, ms: ms * (longer[name] ?? 1) };
  return new Promise((resolve, reject) => {
    const child = fork(join(here, 'tables.mjs'), [name, JSON.stringify(own)]);
    let table = null;
    child.once('message', (message) => {
      table = message;
    });
    child.once('exit', (code) => {
      if (code === 0 && table !== null) resolve(table);
      else reject(new Error(`table ${name} ended with ${code}`));
    });
  });
}

const wanted = plan.filter(([name]) => name.includes(values.only));
if (wanted.length === 0) throw new RangeError(`no table is named like ${values.only}; see --help`);
const started = environment(root);
const tables = [];
const bars = [];
for (const [i, [name, judged]] of wanted.entries()) {
  process.stderr.write(`[${i + 1}/${wanted.length}] ${name} …`);
  const before = performance.now();
  const table = await run(name);
  tables.push(table);
  for (const bar of judged) bars.push(judge({ ...bar(table), interval: table.interval }));
  process.stderr.write(
    ` ${((performance.now() - before) / 1000).toFixed(1)} s, A/A ±${(100 * table.interval).toFixed(1)} %\n`,
  );
}

const result = { env: started, ...settings, bars, tables };
const file = `core-node${major}${values.only === '' ? '' : `-${values.only}`}`;
const path = write(root, values.out, file, result);
for (const b of bars)
  console.log(
    `${b.verdict.padEnd(10)} ${b.name}: ${b.measured === null ? 'not measured' : b.measured.toFixed(3)} (bar ${b.bar}, A/A ±${(100 * b.spread).toFixed(1)} %)`,
  );
console.log(path);
if (compare !== null) for (const line of compare(tables)) console.log(line);
process.exitCode = bars.some((b) => b.verdict === 'missed') ? 1 : 0;
