// A legitimate hello while a thousand hostile connections do their worst before theirs.

import { createCrowd } from './generator/crowd.mjs';
import { atMost, median } from './judge.mjs';
import { residentBytes } from './machine.mjs';
import { startGenerator, startRelay } from './servers.mjs';
import { firstHello } from './start.mjs';

export const about = 'a legitimate hello beside 1,000 hostile connections of four kinds';

const connections = 1_000;
const hellos = 15;
const kinds = {
  none: 'nobody hostile',
  silent: 'say nothing',
  slow: 'send a byte a second',
  huge: 'announce 50 MB',
  random: 'send random bytes flat out',
};

export async function run(settings) {
  const relay = await startRelay();
  const generator = startGenerator('hostile');
  const crowd = createCrowd(relay.endpoint);
  const rows = [];
  const bars = [];
  let id = 0;
  try {
    for (const [kind, text] of Object.entries(kinds)) {
      settings.say(text);
      await generator.ask({ kind, port: relay.port, connections });
      const before = residentBytes(relay.pid);
      const times = [];
      for (let i = 0; i < hellos; i++) times.push(await firstHello(relay.port, crowd.hello(id++), crowd));
      const most = Math.max(...times);
      rows.push({
        group: 'a legitimate hello',
        name: text,
        ms: median(times),
        most,
        residentMiB: residentBytes(relay.pid) / 2 ** 20,
        grownMiB: (residentBytes(relay.pid) - before) / 2 ** 20,
      });
      if (kind === 'none') continue;
      // Every one of them counts, so the worst is judged.
      bars.push(
        atMost(`a legitimate hello while 1,000 ${text}`, 250, most, 0, {
          unit: 'ms',
        }),
      );
      await generator.ask({ kind: 'none', port: relay.port, connections });
    }
  } finally {
    await generator.stop();
    await relay.stop();
  }
  return {
    title: 'Hostile connections',
    bars,
    rows,
    columns: { ms: 'p50 ms', most: 'worst ms', residentMiB: 'resident MiB', grownMiB: 'grown MiB' },
    chart: { value: 'most', unit: 'ms' },
  };
}
