// From the start of the process to the first hello served, also when it was stopped a moment before, and when it finds a
// snapshot of a million presences: all of them are there when it serves.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createCrowd } from './generator/crowd.mjs';
import { openSocket } from './generator/wire-socket.mjs';
import { atMost, counted, median, spreadOf } from './judge.mjs';
import { presenceStore } from './presences.mjs';
import { freePort, pinned, relayArgs, relayFolder, serverCore } from './servers.mjs';

export const about = 'start to first hello served, also when restarted at once, and with a snapshot';

export const sizes = { full: { presences: 1_000_000 }, short: { presences: 100_000 } };

const retryMs = 4;
const barMs = 500;
const barWarmMs = 5_000;
const starts = 5;
const warmStarts = 3;

/** Milliseconds until helloData is there, trying again until somebody listens. */
export async function firstHello(port, hello, crowd, localAddress = undefined) {
  const began = performance.now();
  for (;;) {
    try {
      const socket = await openSocket({ port, localAddress });
      socket.write(hello);
      await socket.until((bytes) => crowd.greeted(bytes));
      const ms = performance.now() - began;
      socket.close();
      return ms;
    } catch (e) {
      if (performance.now() - began > 20_000) throw e;
      await new Promise((r) => setTimeout(r, retryMs));
    }
  }
}

/** Presences of clients that a relay holds, by its metrics. */
async function held(ops) {
  const page = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text();
  return Number(/^ixian_presences\{type="C"\} (\d+)/m.exec(page)[1]);
}

export async function run(settings) {
  const { presences } = settings.size;
  const folder = relayFolder();
  const port = await freePort();
  const ops = await freePort();
  const crowd = createCrowd(`127.0.0.1:${port}`);
  const args = ['dist/bin/main.js', ...relayArgs(folder, port)];
  const fresh = [];
  const again = [];
  const warm = [];
  let served = Number.POSITIVE_INFINITY;
  try {
    // The first start makes the wallet.
    const first = pinned(serverCore, process.execPath, args);
    await first.line();
    await first.stop();
    for (let i = 0; i < starts; i++) {
      settings.say(`start ${i + 1} of ${starts}`);
      await new Promise((r) => setTimeout(r, 500));
      const a = pinned(serverCore, process.execPath, args);
      fresh.push(await firstHello(port, crowd.hello(i), crowd));
      await a.stop();
      const b = pinned(serverCore, process.execPath, args);
      again.push(await firstHello(port, crowd.hello(i), crowd));
      await b.stop();
    }
    const withMetrics = args.map((a) => (a.startsWith('--opsBind') ? `--opsBind=127.0.0.1:${ops}` : a));
    for (let i = 0; i < warmStarts; i++) {
      settings.say(`start ${i + 1} of ${warmStarts} with ${presences} presences`);
      presenceStore(presences, '--snapshot', join(folder, 'testnet-presences.bin'));
      const w = pinned(serverCore, process.execPath, [...withMetrics, `--maxPresences=${2 * presences}`]);
      warm.push(await firstHello(port, crowd.hello(i), crowd));
      served = Math.min(served, await held(ops));
      await w.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const row = (name, list) => ({
    group: 'start to first hello served',
    name,
    ms: median(list),
    least: Math.min(...list),
    most: Math.max(...list),
  });
  const warmly = `with ${presences.toLocaleString('en-US')} presences`;
  const bar = (name, list, ms = barMs) => atMost(name, ms, median(list), spreadOf(list), { unit: 'ms' });
  return {
    title: 'Start',
    bars: [
      bar('start to first hello served', fresh),
      bar('start to first hello served, restarted at once', again),
      bar(`warm start ${warmly}`, warm, barWarmMs),
      counted('presences there then', presences, served, { unit: '' }),
    ],
    rows: [
      row('relay, started', fresh),
      row('relay, restarted at once', again),
      row(`relay, warm ${warmly}`, warm),
    ],
    columns: { ms: 'ms, median', least: 'least', most: 'most' },
    chart: { value: 'ms', unit: 'ms' },
  };
}
