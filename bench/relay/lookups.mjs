// getPresence2 and getSectorNodes: four connections with 32 questions open each.

import { unlimited } from './forwarding.mjs';
import { atLeast, atMost, median, noiseOf } from './judge.mjs';
import { startFloor, startGenerator, startRelay } from './servers.mjs';

export const about = 'getPresence2 and getSectorNodes answered, 4 connections with 32 open each';

const load = { connections: 4, open: 32 };

export async function run(settings) {
  const { seconds, rounds } = settings;
  const bars = [];
  const rows = [];
  const relay = await startRelay({ settings: unlimited });
  const generator = startGenerator('asks');
  try {
    for (const what of ['presence', 'sectors']) {
      settings.say(what);
      const ask = () =>
        generator.ask({
          what,
          port: relay.port,
          endpoint: relay.endpoint,
          serverPid: relay.pid,
          seconds,
          ...load,
        });
      const first = await ask();
      const requestBytes = first.questionBytes;
      const gathers = what === 'presence';
      const floor = await startFloor('tcp-answers', [
        String(first.answerBytes),
        String(requestBytes),
        ...(gathers ? [] : ['--single']),
      ]);
      const askFloor = () =>
        generator.ask({
          what: 'bytes',
          port: floor.port,
          serverPid: floor.pid,
          answerBytes: first.answerBytes,
          requestBytes,
          seconds,
          ...load,
        });
      const own = [first];
      const floors = [];
      const again = [];
      for (let r = 0; r < rounds; r++) {
        floors.push(await askFloor());
        again.push(await askFloor());
        if (r > 0) own.push(await ask());
      }
      await floor.stop();
      const rate = (runs) => median(runs.map((x) => x.answersPerSecond));
      const spread = noiseOf(again.map((x, i) => x.answersPerSecond / floors[i].answersPerSecond));
      if (what === 'presence') {
        bars.push(atLeast('getPresence2 answered', 150_000, rate(own), spread, { unit: '/s' }));
        const p99 = median(own.map((x) => x.latencyMs.p99));
        bars.push(atMost('getPresence2 answered, p99', 3, p99, spread, { unit: 'ms' }));
      } else {
        const ratio = rate(own) / rate(floors);
        bars.push(atLeast('getSectorNodes with 7 presences : floor', 0.5, ratio, spread, { unit: '×' }));
      }
      const group = `${what === 'presence' ? 'getPresence2' : 'getSectorNodes'}, answers of ${first.answerBytes} bytes`;
      for (const [name, runs] of [
        [gathers ? 'node:net floor, gathered' : 'node:net floor, one write each', floors],
        ['relay', own],
      ])
        rows.push({
          group,
          name,
          perSecond: rate(runs),
          us: median(runs.map((x) => x.cpuMicrosecondsPerAnswer)),
          p50: median(runs.map((x) => x.latencyMs.p50)),
          p99: median(runs.map((x) => x.latencyMs.p99)),
          generator: median(runs.map((x) => x.generatorLoad)),
        });
    }
  } finally {
    await generator.stop();
    await relay.stop();
  }
  return {
    title: 'Lookups',
    bars,
    rows,
    columns: {
      perSecond: 'answers/s',
      us: 'µs of CPU per answer',
      p50: 'p50 ms',
      p99: 'p99 ms',
      generator: 'generator load',
    },
    chart: { value: 'perSecond', unit: '/s' },
  };
}
