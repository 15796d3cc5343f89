// From the start of the process to the first hello served, also when it was stopped a moment before.

import { rmSync } from 'node:fs';
import { createCrowd } from './generator/crowd.mjs';
import { openSocket } from './generator/wire-socket.mjs';
import { atMost, median, noiseOf } from './judge.mjs';
import { freePort, pinned, relayArgs, relayFolder, serverCore } from './servers.mjs';

export const about = 'start to first hello served, also when restarted at once';

const retryMs = 4;

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

export async function run(settings) {
  const folder = relayFolder();
  const port = await freePort();
  const crowd = createCrowd(`127.0.0.1:${port}`);
  const args = ['dist/bin/main.js', ...relayArgs(folder, port)];
  const fresh = [];
  const again = [];
  try {
    // The first start makes the wallet.
    const first = pinned(serverCore, process.execPath, args);
    await first.line();
    await first.stop();
    for (let i = 0; i < 5; i++) {
      settings.say(`start ${i + 1} of 5`);
      await new Promise((r) => setTimeout(r, 500));
      const a = pinned(serverCore, process.execPath, args);
      fresh.push(await firstHello(port, crowd.hello(i), crowd));
      await a.stop();
      const b = pinned(serverCore, process.execPath, args);
      again.push(await firstHello(port, crowd.hello(i), crowd));
      await b.stop();
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
  const bar = (name, list) =>
    atMost(name, 500, median(list), noiseOf(list.map((v) => v / median(list))), { unit: 'ms' });
  return {
    title: 'Start',
    bars: [
      bar('start to first hello served', fresh),
      bar('start to first hello served, restarted at once', again),
    ],
    rows: [row('started', fresh), row('restarted at once', again)],
    columns: { ms: 'ms, median of 5', least: 'least', most: 'most' },
    chart: { value: 'ms', unit: 'ms' },
  };
}
