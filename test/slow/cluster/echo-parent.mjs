// A supervisor over echo workers; tells its ports and loads as lines of JSON, obeys lines on standard input.
import { createInterface } from 'node:readline';
import { Supervisor } from '../../../dist/cluster/index.js';
import { Counters } from '../../../dist/counters/index.js';

const o = JSON.parse(process.argv[2]);
const counters = new Counters();
const say = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const gate = (name, to) => ({
  name,
  host: '127.0.0.1',
  port: 0,
  to,
  refusal: new TextEncoder().encode('full\n'),
});
const s = await Supervisor.open(
  {
    module: new URL('./echo-worker.mjs', import.meta.url).pathname,
    args: [],
    processes: o.processes,
    start: () => o.start ?? {},
    counters,
    log: (_level, event, fields) => say(event, fields),
    stopMs: 5_000,
    waitMs: o.waitMs ?? 8_000,
    onDrained: () => say('drained'),
  },
  [gate('tcp', 'workers'), gate('ws', 'workers'), gate('api', 'leader')],
);
try {
  await s.start();
} catch (e) {
  say('failed', { code: e.code, text: e.message });
  await s.stop('failed');
  process.exit(1);
}
say('started', { ports: Object.fromEntries(s.ports) });
createInterface({ input: process.stdin }).on('line', async (line) => {
  if (line === 'loads')
    say('loads', {
      loads: Object.fromEntries(s.loads),
      leader: s.leader,
      pids: Object.fromEntries(s.workers),
      counted: counters.samples().map((x) => [x.name, Object.values(x.labels).join(' '), x.metric.value]),
    });
  else if (line === 'upgrade') await s.upgrade(say).catch((e) => say('upgrade_failed', { text: e.message }));
  else if (line === 'drain') s.drain();
  else if (line === 'stop') {
    await s.stop('asked');
    say('stopped');
    process.exit(0);
  }
});
