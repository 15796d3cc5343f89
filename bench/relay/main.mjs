// Benchmarks of the relay: npm run bench:relay -- [OPTIONS]. See --help.
//
// A table is a file beside this one that exports `about` and `run(settings)`, and `sizes` where it has a short form; adding
// its name below adds it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { environment } from '../core/report.mjs';
import { busyNanoseconds } from './machine.mjs';
import { write } from './report.mjs';
import { endAll, parseTarget, root } from './servers.mjs';

/** In the order in which they are run and shown. */
const NAMES = [
  'cores',
  'floors',
  'forwarding',
  'websocket',
  'ceiling',
  'lookups',
  'keep-alives',
  'planetary',
  'handshakes',
  'storm',
  'connections',
  'memory',
  'idle',
  'presences',
  'start',
  'hostile',
  'dashboard',
];

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    only: { type: 'string', default: NAMES.join(',') },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    short: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
    target: { type: 'string' },
    out: { type: 'string', default: join(root, 'bench', 'results', 'relay') },
  },
});

const tables = new Map();
for (const name of NAMES) tables.set(name, await import(`./${name}.mjs`));

const sizeText = ({ sizes }) =>
  sizes === undefined
    ? ''
    : `\n${''.padEnd(16)}${Object.entries(sizes.full)
        .map(([k, v]) => `${k}=${v}${v === sizes.short[k] ? '' : ` (short: ${sizes.short[k]})`}`)
        .join(', ')}`;

if (values.help) {
  console.log(`npm run bench:relay -- [OPTIONS]

  --only A,B      only these tables
  --rounds N      rounds per condition (default 3); every round runs every server once, the floor twice
  --seconds N     steady window of a round in seconds (default 2)
  --short         the short form of the tables that have one, marked so in the results
  --set NAME=N    another size for the tables chosen with --only; TABLE.NAME=N for one of them; may be repeated
  --target T      host:port[,pid] of another relay on this machine, measured beside ours in "forwarding"
  --out FOLDER    where results go (default bench/results/relay)

Tables:
${[...tables].map(([name, t]) => `  ${name.padEnd(14)}${t.about}${sizeText(t)}`).join('\n')}

The whole takes about 80 minutes, with --short about 45.

Linux with two cores; nats-server is measured where it is installed. Exit code 1 when a bar is missed.`);
  process.exit(0);
}

const wanted = values.only.split(',');
for (const name of wanted)
  if (!tables.has(name)) {
    console.error(`no table ${name}; there are ${NAMES.join(', ')}`);
    process.exit(2);
  }
/** The sizes that one table runs with. */
function sizeOf(name) {
  const { sizes } = tables.get(name);
  const size = { ...sizes?.[values.short ? 'short' : 'full'] };
  for (const pair of values.set) {
    const [path, value] = pair.split('=');
    const [key, table] = path.split('.').reverse();
    if (table !== undefined && !wanted.includes(table)) {
      console.error(`--set ${pair}: no table ${table} is run`);
      process.exit(2);
    }
    if (table !== undefined && table !== name) continue;
    if (!(key in size) || !(Number(value) > 0)) {
      console.error(`--set ${pair}: the sizes of ${name} are ${Object.keys(size).join(', ') || 'none'}`);
      process.exit(2);
    }
    size[key] = Number(value);
  }
  return size;
}
const size = new Map(wanted.map((name) => [name, sizeOf(name)]));
const settings = {
  rounds: Number(values.rounds),
  seconds: Number(values.seconds),
  target: values.target === undefined ? null : parseTarget(values.target),
  say: (text) => process.stderr.write(`  ${text}\n`),
};
if (!(settings.rounds >= 2 && settings.seconds >= 1)) throw new RangeError('at least 2 rounds of 1 second');

/** The switches that make a run another one than the table's own. */
const changesOf = (name) =>
  [
    ...(values.short && tables.get(name).sizes !== undefined ? ['--short'] : []),
    ...values.set
      .filter((pair) => !pair.includes('.') || pair.startsWith(`${name}.`))
      .map((pair) => `--set ${pair}`),
  ].join(' ');

/** Cores in use by others while nothing of ours runs. */
async function restlessness() {
  const before = { at: performance.now(), busy: busyNanoseconds() };
  await new Promise((r) => setTimeout(r, 2_000));
  return (busyNanoseconds() - before.busy) / 1e6 / (performance.now() - before.at);
}

/** Ports in TIME_WAIT with which there are surely enough for the next table's clients. */
const waitingPortsMax = 2_000;
/** Linux's time for it, and some more. */
const waitingPortsSeconds = 75;

/**
 * Until the ports of the table before are free again: one that a client was bound to is taken by no other client for a
 * minute after its connection, whatever address that comes from.
 */
async function portsFree() {
  const waiting = () =>
    Number(/^TCP:.* tw (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))?.[1] ?? 0);
  for (let s = 0; s < waitingPortsSeconds && waiting() > waitingPortsMax; s++) {
    if (s === 0) settings.say(`waiting for ${waiting()} ports`);
    await new Promise((r) => setTimeout(r, 1_000));
  }
}

const verdicts = [];
for (const name of wanted) {
  process.stderr.write(`${name}\n`);
  await portsFree();
  const before = await restlessness();
  const began = performance.now();
  let result;
  try {
    result = await tables.get(name).run({ ...settings, size: size.get(name) });
  } catch (e) {
    // The others are no worse for it; what an earlier run found stays as it is, with its commit.
    endAll();
    verdicts.push('missed');
    console.log(`missed     ${name} came to no end: ${e.stack ?? e}`);
    continue;
  }
  const minutes = (performance.now() - began) / 60_000;
  const after = await restlessness();
  const quiet = `Other programs used ${before.toFixed(2)} cores before and ${after.toFixed(2)} after.`;
  write(
    root,
    values.out,
    name,
    {
      env: environment(root),
      quiet,
      minutes: Number(minutes.toFixed(1)),
      settings: { ...settings, say: undefined, size: size.get(name), changed: changesOf(name) },
      ...result,
    },
    NAMES,
  );
  for (const b of result.bars) {
    verdicts.push(b.verdict);
    const unit = b.unit === undefined || b.unit === '' ? '' : ` ${b.unit}`;
    const measured = b.measured === null ? 'not measured' : `${Number(b.measured.toPrecision(4))}${unit}`;
    console.log(
      `${b.verdict.padEnd(10)} ${b.name}: ${measured} (bar ${b.at === 'most' ? '≤' : '≥'} ${Number(b.bar.toPrecision(4))}${unit}, A/A ±${(100 * b.spread).toFixed(1)} %)`,
    );
  }
  console.log(`           ${quiet}`);
}
process.exitCode = verdicts.includes('missed') ? 1 : 0;
