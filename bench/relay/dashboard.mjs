// What looking at a busy relay costs it: the dashboard open beside closed, and a metrics scrape, with 10,000 idle clients
// and 1,000 messages a second.

import { setPriority } from 'node:os';
import { percentile } from '../core/measure.mjs';
import { unlimited } from './forwarding.mjs';
import { atMost, median } from './judge.mjs';
import { freePort, moveTo, serverCore, startGenerator, startRelay } from './servers.mjs';

export const about = 'an open dashboard and a metrics scrape, with 10,000 idle clients and 1,000 messages/s';

const clients = 10_000;
const pairs = 100;
const messagesPerSecond = 1_000;
const dashboardPercentMax = 2;
const scrapeMsMax = 20;
/** Windows are in groups of four: closed, open, open, closed; a drift falls out of the difference. */
const groups = 3;
const windowSeconds = 5;
const scrapes = 100;

export async function run(settings) {
  const [ops, api] = [await freePort(), await freePort()];
  const server = await startRelay({
    settings: [
      '--maxConnections=19000',
      '--maxClients=19000',
      `--opsBind=127.0.0.1:${ops}`,
      `--apiBind=http://127.0.0.1:${api}/`,
      ...unlimited,
    ],
    env: { UV_THREADPOOL_SIZE: '4' },
  });
  const idlers = startGenerator('idlers');
  const senders = startGenerator('pairs');
  const viewer = startGenerator('viewer');
  try {
    // It shares a core with the generators, and what is measured is the relay, not the wait for that core.
    setPriority(viewer.pid, -15);
  } catch {
    settings.say('not allowed to let the asking program go first: a scrape’s time holds waits for its core');
  }
  try {
    settings.say(`${clients} clients connect`);
    moveTo('0,1', server.pid);
    // In small shares: clients of the world do not ping together, and whoever asks for a page would wait for them.
    await idlers.ask({ what: 'tcp', port: server.port, endpoint: server.endpoint, clients, turnMs: 10 });
    const { port, pid: serverPid, endpoint } = server;
    await senders.ask({ dialect: 'tcp', port, pairs, serverPid, endpoint });
    moveTo(serverCore, server.pid);
    await new Promise((r) => setTimeout(r, 3_000));

    let lost = 0;
    /** Percent of a core over one window, messages flowing. */
    const window = async () => {
      const [load, sent] = await Promise.all([
        idlers.ask({ serverPid, seconds: windowSeconds }),
        senders.ask({ rate: messagesPerSecond, seconds: windowSeconds, warmSeconds: 0 }),
      ]);
      lost += load.lost + sent.lost + sent.wrong;
      return 100 * load.serverLoad;
    };
    const [closed, open, feeds] = [[], [], []];
    await window();
    for (let g = 0; g < groups; g++) {
      settings.say(`windows ${4 * g + 1} to ${4 * g + 4} of ${4 * groups}`);
      closed.push(await window());
      await viewer.ask({ live: `ws://127.0.0.1:${api}/v1/live` });
      open.push(await window(), await window());
      feeds.push(await viewer.ask({ close: true }));
      closed.push(await window());
    }
    const differences = open.map((v, i) => v - closed[i]);
    // Two closed windows of one group differ by nothing but noise.
    const noise = median(
      Array.from({ length: groups }, (_, g) => Math.abs(closed[2 * g] - closed[2 * g + 1])),
    );

    settings.say(`${scrapes} scrapes`);
    // The first ones pay for what the asking program compiles.
    await viewer.ask({ metrics: `http://127.0.0.1:${ops}/metrics`, scrapes: 20, everyMs: 50 });
    const [taken] = await Promise.all([
      viewer.ask({ metrics: `http://127.0.0.1:${ops}/metrics`, scrapes, everyMs: 50 }),
      senders.ask({ rate: messagesPerSecond, seconds: windowSeconds, warmSeconds: 0 }),
    ]);
    const halves = [taken.ms.slice(0, scrapes / 2), taken.ms.slice(scrapes / 2)].map((h) =>
      percentile(h, 0.99),
    );
    const seconds = feeds.length * 2 * windowSeconds;
    return {
      title: 'An open dashboard and a metrics scrape',
      bars: [
        atMost(
          'CPU of an open dashboard, 10,000 idle clients, 1,000 messages/s',
          dashboardPercentMax,
          median(differences),
          noise / dashboardPercentMax,
          { unit: '% of a core', lost },
        ),
        atMost(
          'metrics scrape, median',
          scrapeMsMax,
          median(taken.ms),
          Math.abs(median(taken.ms.slice(0, scrapes / 2)) - median(taken.ms.slice(scrapes / 2))) /
            scrapeMsMax,
          { unit: 'ms' },
        ),
        atMost(
          'metrics scrape, p99',
          scrapeMsMax,
          percentile(taken.ms, 0.99),
          Math.abs(halves[0] - halves[1]) / scrapeMsMax,
          { unit: 'ms', bytes: taken.bytes },
        ),
      ],
      rows: [
        { group: 'CPU', name: 'relay, dashboard closed', percent: median(closed) },
        {
          group: 'CPU',
          name: 'relay, dashboard open',
          percent: median(open),
          feedBytes: feeds.reduce((n, f) => n + f.bytes, 0) / seconds,
        },
        {
          group: 'scrape',
          name: 'relay, metrics page',
          p50: median(taken.ms),
          p99: percentile(taken.ms, 0.99),
          most: Math.max(...taken.ms),
          pageBytes: taken.bytes,
        },
      ],
      columns: {
        percent: '% of a core',
        feedBytes: 'feed, bytes/s',
        p50: 'p50 ms',
        p99: 'p99 ms',
        most: 'most ms',
        pageBytes: 'page bytes',
      },
      chart: { value: 'percent', unit: '%' },
    };
  } finally {
    for (const g of [viewer, senders, idlers]) await g.stop();
    await server.stop();
  }
}
