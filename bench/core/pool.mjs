// The verify pool: two threads against one, each pool in a process of its own that works only while it is asked.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { percentile, summarise } from './measure.mjs';
import { rsaItems } from './rsa.mjs';

const CHILD = fileURLToPath(new URL('pool-child.mjs', import.meta.url));
/** Slices of a round: as in measure.mjs, what the machine does must fall on every arm. */
const PASSES = 4;
const LONE_ITEMS = 2000;

class Process {
  #child;

  constructor(workers) {
    this.#child = fork(CHILD, [String(workers)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  ask(message) {
    return new Promise((resolve, reject) => {
      const gone = (code) => reject(new Error(`pool process ended with ${code}`));
      this.#child.once('exit', gone);
      this.#child.once('message', (answer) => {
        this.#child.off('exit', gone);
        if (answer.error === undefined) resolve(answer);
        else reject(new Error(answer.error));
      });
      this.#child.send(message);
    });
  }

  close() {
    return new Promise((resolve) => {
      this.#child.once('exit', resolve);
      if (this.#child.connected) this.#child.send({ close: true });
      else resolve();
    });
  }
}

const quantiles = (values) => ({ p50: percentile(values, 0.5), p99: percentile(values, 0.99) });

export async function poolTable({ rounds, ms }) {
  const items = rsaItems().map(({ key, signature, message }) => ({
    key: Buffer.from(key).toString('base64'),
    signature: Buffer.from(signature).toString('base64'),
    message: Buffer.from(message).toString('base64'),
  }));
  const names = ['1 thread', 'A/A', '2 threads'];
  const pools = [1, 1, 2].map((workers) => new Process(workers));
  try {
    let engine = '';
    for (const pool of pools) engine = (await pool.ask({ items })).engine;
    for (const pool of pools) await pool.ask({ ms: 2 * ms });
    const rates = pools.map(() => []);
    const cpu = pools.map(() => []);
    for (let round = 0; round < rounds; round++) {
      const sums = pools.map(() => ({ items: 0, wallMs: 0, cpuMs: 0 }));
      for (let pass = 0; pass < PASSES; pass++)
        for (let i = 0; i < pools.length; i++) {
          const k = (i + round + pass) % pools.length;
          const did = await pools[k].ask({ ms });
          for (const name of Object.keys(sums[k])) sums[k][name] += did[name];
        }
      sums.forEach((sum, k) => {
        rates[k].push((1000 * sum.items) / sum.wallMs);
        cpu[k].push((1000 * sum.cpuMs) / sum.items);
      });
    }
    const { waits } = await pools[0].ask({ lone: LONE_ITEMS });
    const half = LONE_ITEMS / 2;
    return {
      title: `Verify pool (${engine}), 512 items at a time, wall time`,
      left: [],
      ...summarise(
        names,
        rates,
        rates.map((of) => of.map((rate, round) => rate / rates[0][round])),
        cpu,
      ),
      addedWait: {
        ...quantiles(waits),
        halves: [quantiles(waits.slice(0, half)), quantiles(waits.slice(half))],
      },
    };
  } finally {
    for (const pool of pools) await pool.close();
  }
}
