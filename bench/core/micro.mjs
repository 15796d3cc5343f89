// Latencies of single calls through the public API, each beside what one would call instead, by tinybench: wall time.
//
// tinybench runs one arm to its end before the next. So every arm runs once in each of the rounds, in an order drawn anew
// within its group, and the first of a group twice: how far it strays from itself is the interval, as in measure.mjs. No bar
// hangs on these figures. A call shorter than the clock's own cost cannot be timed alone: a sample is the mean of as many
// calls as fill ten microseconds, hence the p99 of quick calls is a p99 of such means.
//
// All calls go through one loop that sees many functions, so none is inlined into it; the row "the loop alone" is its cost.

import { createHash, randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { Bench } from 'tinybench';
import { crc32c, FrameKind, loadCoreSync, sha3_512 } from '../../dist/core/index.js';
import { crc32cJs } from '../../dist/core/js/crc32c.js';
import { JsCore } from '../../dist/core/js-core.js';
import { FRAME_HEADER_BYTES } from '../../dist/wire/frame.js';
import { ByteReader, ByteWriter, readFrameHeader } from '../../dist/wire/index.js';
import { equal, must, optional } from './checks.mjs';
import { sha3Alternatives } from './hashes.mjs';
import { collect, median, noiseOf, shuffled } from './measure.mjs';
import { keepAliveFrame } from './scans.mjs';

/** Inputs per function, taken in turns; a power of two. */
const INPUTS = 64;
/** Milliseconds of one sample, at least one call. */
const SAMPLE_MS = 0.01;
/** Of the milliseconds per arm and round of the other tables: there are four times as many arms here. */
const SHARE = 0.25;

const random = (bytes) => Array.from({ length: INPUTS }, () => new Uint8Array(randomBytes(bytes)));

/** Keeps the last answer of a sample, so that no call is without effect. */
let last = null;

/** Milliseconds that `calls` calls take, one by one over the inputs. */
function spend(call, inputs, calls) {
  const from = performance.now();
  for (let i = 0; i < calls; i++) last = call(inputs[i & (INPUTS - 1)]);
  return performance.now() - from;
}

/** @param same compares an answer with the first arm's, and throws */
function group(name, inputs, arms, same) {
  for (const [arm, call] of arms)
    for (const input of inputs) same(call(input), arms[0][1](input), `${name}: ${arm}`);
  return { name, inputs, arms };
}

const sameNumber = (a, b, what) => must(a === b, what);

async function crcGroup(bytes, left) {
  const core = loadCoreSync();
  const arms = [
    ['JavaScript', (m) => crc32cJs(m, 0)],
    ['crc32c', (m) => crc32c(m)],
    ['core.crc32c', (m) => core.crc32c(m)],
  ];
  const hashWasm = await optional('hash-wasm');
  if (hashWasm === null) left.add('hash-wasm');
  else {
    const hasher = await hashWasm.createCRC32(0x82f63b78);
    arms.push([
      'hash-wasm',
      (m) => {
        const d = hasher.init().update(m).digest('binary');
        return ((d[0] << 24) | (d[1] << 16) | (d[2] << 8) | d[3]) >>> 0;
      },
    ]);
  }
  return group(`CRC-32C, ${bytes} B`, random(bytes), arms, sameNumber);
}

async function sha3Group(left) {
  const core = loadCoreSync();
  const alternatives = await sha3Alternatives();
  for (const name of alternatives.left) left.add(name);
  const [reference, ...others] = alternatives.hashes;
  const arms = [
    reference,
    ['sha3_512', (m) => sha3_512(m)],
    ['core.sha3_512', (m) => core.sha3_512(m)],
    ...others,
  ];
  const inputs = random(45);
  // As in a process that has hashed for a while: the façade has measured its crossover.
  for (let i = 0; i < 2000; i++) sha3_512(inputs[i & (INPUTS - 1)]);
  return group('SHA3-512, 45 B', inputs, arms, equal);
}

function sectorGroup() {
  const core = loadCoreSync();
  const js = new JsCore();
  const arms = [
    ['createHash', (a) => new Uint8Array(createHash('sha3-512').update(a).digest().subarray(0, 10))],
    ['core.sectorPrefix', (a) => core.sectorPrefix(a)],
    ['JavaScript', (a) => js.sectorPrefix(a)],
  ];
  return group('Sector prefix, 45 B', random(45), arms, equal);
}

/** The shortest code that writes what an unsigned number below 2^53 becomes, to compare with. */
function writeByHand(value) {
  if (value <= 0xf7) return Uint8Array.of(value);
  const bytes = value <= 0xffff ? 2 : value <= 0xffff_ffff ? 4 : 8;
  const out = new Uint8Array(1 + bytes);
  const view = new DataView(out.buffer);
  if (bytes === 2) view.setUint16(1, value, true);
  else if (bytes === 4) view.setUint32(1, value, true);
  else view.setBigUint64(1, BigInt(value), true);
  out[0] = bytes === 2 ? 0xfc : bytes === 4 ? 0xfd : 0xfe;
  return out;
}

function readByHand(bytes) {
  const lead = bytes[0];
  if (lead <= 0xf7) return lead;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (lead === 0xfc) return view.getUint16(1, true);
  return lead === 0xfd ? view.getUint32(1, true) : Number(view.getBigUint64(1, true));
}

/** Of one, three, five and nine bytes in turns. */
const integers = Array.from({ length: INPUTS }, (_, i) => [i, 0x100 + i, 0x1_0000 + i, 2 ** 33 + i][i & 3]);

function varIntGroups() {
  const core = loadCoreSync();
  const js = new JsCore();
  const one = { maxRows: 1 };
  const write = [
    ['by hand, DataView', writeByHand],
    ['ByteWriter.var', (v) => new ByteWriter(9).var(v).bytes()],
  ];
  const read = [
    ['by hand, DataView', readByHand],
    ['ByteReader.uvarSafe', (b) => new ByteReader(b).uvarSafe('n')],
    ['core.decodeVarInts', (b) => Number(core.decodeVarInts(b, one).value(0))],
    ['JavaScript', (b) => Number(js.decodeVarInts(b, one).value(0))],
  ];
  return [
    group('IxiVarInt read', integers.map(writeByHand), read, sameNumber),
    group('IxiVarInt write', integers, write, equal),
  ];
}

function frameGroup() {
  const core = loadCoreSync();
  const js = new JsCore();
  const scan = (of) => (frame) => {
    const table = of.scanFrames(frame);
    return table.kind(0) === FrameKind.frame && table.crcHolds(0) ? table.payloadBytes(0) : -1;
  };
  const arms = [
    ['JavaScript', scan(js)],
    ['core.scanFrames', scan(core)],
    [
      'header and crc32c',
      (frame) => {
        const header = readFrameHeader(frame);
        return header !== null && crc32c(frame.subarray(FRAME_HEADER_BYTES)) === header.crc
          ? header.length
          : -1;
      },
    ],
  ];
  const frames = Array.from({ length: INPUTS }, () => new Uint8Array(keepAliveFrame()));
  must(scan(core)(frames[0]) === frames[0].length - FRAME_HEADER_BYTES, 'scanFrames');
  return group(`Frame scan, ${frames[0].length} B`, frames, arms, sameNumber);
}

/** A task for tinybench: as many calls as fill a sample, and their mean as its duration. */
function task(arm) {
  return () => {
    const ms = spend(arm.call, arm.inputs, arm.calls);
    return { overriddenDuration: ms / arm.calls, overriddenIterationCost: ms };
  };
}

/** Runs the arms of one group once, and notes what tinybench says of each. */
function round(arms, ms) {
  collect();
  const bench = new Bench({ time: ms, warmupTime: ms / 4, iterations: 8, warmupIterations: 1, throws: true });
  for (const k of shuffled(arms.length)) bench.add(String(k), task(arms[k]));
  for (const { name, result } of bench.runSync()) arms[Number(name)].latencies.push(result.latency);
}

export async function microTable({ rounds, ms }) {
  const left = new Set();
  const groups = [
    group('Nothing', integers, [['the loop alone', (v) => v]], sameNumber),
    await crcGroup(45, left),
    await crcGroup(1100, left),
    ...varIntGroups(),
    await sha3Group(left),
    sectorGroup(),
    frameGroup(),
  ];
  const prepared = groups.map(({ name, inputs, arms }) => {
    const all = [arms[0], ['A/A', arms[0][1]], ...arms.slice(1)];
    return all.map(([arm, call]) => ({ name: `${name}: ${arm}`, group: name, call, inputs, latencies: [] }));
  });
  // Every function has reached its last tier, and all have passed the loop, before a sample's size is chosen.
  for (let turn = 0; turn < 2; turn++)
    for (const arm of prepared.flat()) {
      let calls = 0;
      let spent = 0;
      for (; spent < 30; calls += INPUTS) spent += spend(arm.call, arm.inputs, INPUTS);
      arm.calls = Math.max(1, Math.round((SAMPLE_MS * calls) / spent));
    }
  for (const arms of prepared) arms[1].calls = arms[0].calls;
  for (let i = 0; i < rounds; i++) for (const k of shuffled(prepared.length)) round(prepared[k], ms * SHARE);
  must(last !== null, 'the loop');
  const rows = prepared.flatMap((arms) => arms.map((arm) => rowOf(arm, arms[0])));
  const intervals = prepared.map((arms) => {
    const { ratios } = rows.find((r) => r.name === arms[1].name);
    return { name: arms[0].group, interval: noiseOf(ratios) };
  });
  return {
    title: 'Single calls, wall time (tinybench)',
    left: [...left],
    note: `Each arm runs for ${ms * SHARE} ms in each round, in an order drawn anew. µs: the median sample, which is the mean of several calls where one takes less than 10 µs, and p99 is of such samples. × is against the first row of the same function.`,
    rows,
    intervals,
    interval: Math.max(...intervals.map((i) => i.interval)),
  };
}

/** The row of an arm: medians over the rounds of each round's median. */
function rowOf(arm, reference) {
  const microseconds = arm.latencies.map((l) => 1000 * l.p50);
  const rates = microseconds.map((us) => 1e6 / us);
  const ratios = microseconds.map((us, i) => (1000 * reference.latencies[i].p50) / us);
  return {
    name: arm.name,
    group: arm.group,
    perSecond: median(rates),
    least: Math.min(...rates),
    most: Math.max(...rates),
    wallMicroseconds: median(microseconds),
    p99Microseconds: median(arm.latencies.map((l) => 1000 * l.p99)),
    callsPerSample: arm.calls,
    rates,
    ratio: median(ratios),
    ratios,
  };
}
