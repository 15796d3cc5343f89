// The verify pool: two threads against one, each pool in a process of its own that works only while it is asked.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median, middleMean, percentile, summarise } from './measure.mjs';
import { rsaItems } from './rsa.mjs';

const CHILD = fileURLToPath(new URL('pool-child.mjs', import.meta.url));
/** Slices of a round and their part of its time: as in measure.mjs, what the machine does must fall on every arm. */
const PASSES = 16;
const SLICE_OF_MS = 1;
/** Lone items of a round, and before the first one, until what handles them has reached its last tier. */
const LONE_ITEMS = 400;
const LONE_WARM_UP = 1500;
/** Before the first round: a kernel reaches its last tier on Node 20 after half a second on each thread. */
const WARM_UP_MS = 1000;

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
    for (const pool of pools) await pool.ask({ ms: WARM_UP_MS });
    await pools[0].ask({ lone: LONE_WARM_UP });
    const rates = pools.map(() => []);
    const ratios = pools.map(() => []);
    const cpu = pools.map(() => []);
    const waits = { p50: [], p99: [] };
    for (let round = 0; round < rounds; round++) {
      const passes = pools.map(() => []);
      for (let pass = 0; pass < PASSES; pass++)
        for (let i = 0; i < pools.length; i++) {
          const k = (i + round + pass) % pools.length;
          const did = await pools[k].ask({ ms: SLICE_OF_MS * ms });
          passes[k].push({ rate: (1000 * did.items) / did.wallMs, us: (1000 * did.cpuMs) / did.items });
        }
      passes.forEach((of, k) => {
        rates[k].push(middleMean(of.map(({ rate }) => rate)));
        ratios[k].push(middleMean(of.map(({ rate }, pass) => rate / passes[0][pass].rate)));
        cpu[k].push(middleMean(of.map(({ us }) => us)));
      });
      const lone = (await pools[0].ask({ lone: LONE_ITEMS })).waits;
      waits.p50.push(percentile(lone, 0.5));
      waits.p99.push(percentile(lone, 0.99));
    }
    return {
      title: `Verify pool (${engine}), 512 items at a time, wall time`,
      left: [],
      ...summarise(names, rates, ratios, cpu),
      addedWait: { p50: median(waits.p50), p99: median(waits.p99), rounds: waits },
    };
  } finally {
    for (const pool of pools) await pool.close();
  }
}
