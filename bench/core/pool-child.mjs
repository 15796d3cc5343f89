// One verify pool in a process of its own, worked by its parent's messages: {ms} → {items, wallMs, cpuMs}, {lone} → waits.

import { performance } from 'node:perf_hooks';
import { loadRsaCoreSync } from '../../dist/core/index.js';
import { createVerifyPool } from '../../dist/identity/node/index.js';
import { must } from './checks.mjs';

const workers = Number(process.argv[2]);
/** Items handed over at a time. */
const HANDFUL = 512;
let items = [];
let pool;

async function work(ms) {
  const handful = Array.from({ length: HANDFUL }, (_, i) => items[i % items.length]);
  const cpu = process.cpuUsage();
  const start = performance.now();
  let done = 0;
  do {
    const verdicts = await pool.verify(handful);
    must(verdicts.every(Boolean), 'pool');
    done += HANDFUL;
  } while (performance.now() - start < ms);
  const used = process.cpuUsage(cpu);
  return { items: done, wallMs: performance.now() - start, cpuMs: (used.user + used.system) / 1000 };
}

/** What a lone item waits beyond its own verification on this thread, in milliseconds. */
async function lone(count) {
  const core = loadRsaCoreSync(pool.name) ?? loadRsaCoreSync();
  const waits = [];
  for (let i = 0; i < count; i++) {
    const one = [items[i % items.length]];
    const start = performance.now();
    const [verdict] = await pool.verify(one);
    const there = performance.now();
    must(verdict && core.verifyKeys(one)[0] === 1, 'lone item');
    waits.push(there - start - (performance.now() - there));
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return waits;
}

process.on('message', async (ask) => {
  try {
    if (ask.items !== undefined) {
      items = ask.items.map((item) =>
        Object.fromEntries(
          Object.entries(item).map(([name, b64]) => [name, new Uint8Array(Buffer.from(b64, 'base64'))]),
        ),
      );
      pool = await createVerifyPool({ workers });
      const wrong = { ...items[0], message: items[1].message };
      must((await pool.verify([wrong]))[0] === false, 'pool, wrong message');
      process.send({ engine: pool.name });
    } else if (ask.ms !== undefined) process.send(await work(ask.ms));
    else if (ask.lone !== undefined) process.send({ waits: await lone(ask.lone) });
    else {
      await pool.close();
      process.disconnect();
    }
  } catch (error) {
    process.send({ error: String(error) });
    process.exitCode = 1;
    process.disconnect();
  }
});
