import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child, ChildEvent } from '../../src/cli/devnet/child.js';
import { LocalNetwork, type RelayPlace } from '../../src/cli/devnet/network.js';

// Real processes, real signals. Full measure: FAILOVER_RUNS=10 FAILOVER_SECONDS=60 npm run test:slow -- failover
const RUNS = Number(process.env.FAILOVER_RUNS ?? 1);
const SECONDS = Number(process.env.FAILOVER_SECONDS ?? 20);
const SEED = Number(process.env.FAILOVER_SEED ?? Date.now() % 1_000_000);
const PER_SECOND = 20;
const MAIN = resolve(import.meta.dirname, '../../dist/bin/main.js');

let dir = '';
beforeAll(async () => {
  // Keys are made once and kept for all runs.
  dir = await mkdtemp(join(tmpdir(), 'starling-failover-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function random(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (Math.imul(s, 1_664_525) + 1_013_904_223) >>> 0;
    return s / 2 ** 32;
  };
}

interface Pair {
  readonly network: LocalNetwork;
  readonly a: Child;
  readonly b: Child;
  readonly addressA: string;
  readonly addressB: string;
}

const sleep = (ms: number): Promise<void> => new Promise((r) => setTimeout(r, ms));

async function startPair(): Promise<Pair> {
  // Strangers again in every run; only their keys are kept.
  for (const e of await readdir(dir, { withFileTypes: true }))
    if (e.isDirectory()) await rm(join(dir, e.name), { recursive: true });
  const network = await LocalNetwork.start({ main: MAIN, dir, relays: 3, port: 0, onEvent: () => undefined });
  try {
    return await acquaint(network);
  } catch (e) {
    await network.stop();
    throw e;
  }
}

/** Two clients that have agreed keys. */
async function acquaint(network: LocalNetwork): Promise<Pair> {
  const a = network.client('A');
  const b = network.client('B');
  for (const c of [a, b])
    c.on((e) => {
      if (e.event === 'contactRequest') c.command({ cmd: 'accept', address: e.address });
    });
  const [sa, sb] = await Promise.all(
    [a, b].map((c) => c.waitFor('start', 60_000, (e) => e.event === 'started')),
  );
  const [addressA, addressB] = [String(sa!.address), String(sb!.address)];
  for (const c of [a, b])
    await c.waitFor('a relay', 30_000, (e) => e.event === 'relay' && e.endpoint !== null);
  a.command({ cmd: 'add', address: addressB });
  const established = (address: string) => (e: ChildEvent) =>
    e.event === 'contact' && e.address === address && e.established === true;
  await Promise.all([
    a.waitFor('keys', 45_000, established(addressB)),
    b.waitFor('keys', 45_000, established(addressA)),
  ]);
  return { network, a, b, addressA, addressB };
}

/** The relay a client is reached at now. */
function primaryOf(network: LocalNetwork, c: Child): RelayPlace {
  const endpoint = c.events.filter((e) => e.event === 'relay' && e.endpoint !== null).at(-1)?.endpoint;
  const place = network.relays.find((r) => r.tcp === endpoint);
  if (place === undefined) throw new Error(`no relay at ${String(endpoint)}`);
  return place;
}

interface Direction {
  readonly sent: Map<string, number>;
  readonly got: Map<string, number>;
  readonly confirmed: Map<string, number>;
}

/** Watches one direction: when each text was sent, how often it arrived, when it was confirmed. */
function watch(from: Child, to: Child): Direction {
  const d: Direction = { sent: new Map(), got: new Map(), confirmed: new Map() };
  const textOf = new Map<string, string>();
  const early = new Map<string, number>();
  from.on((e) => {
    if (e.event === 'queued') {
      textOf.set(String(e.id), String(e.text));
      const at = early.get(String(e.id));
      if (at !== undefined) d.confirmed.set(String(e.text), at);
    }
    if (e.event === 'delivered') {
      const text = textOf.get(String(e.id));
      if (text === undefined) early.set(String(e.id), Date.now());
      else d.confirmed.set(text, Date.now());
    }
  });
  to.on((e) => {
    if (e.event === 'message') d.got.set(String(e.text), (d.got.get(String(e.text)) ?? 0) + 1);
  });
  return d;
}

/** Sends numbered texts both ways, strikes a relay at a random moment, and waits until everything is settled. */
async function conversation(
  p: Pair,
  rnd: () => number,
  strike: () => void,
): Promise<{ resumedMs: number[]; lost: string[]; repeated: string[]; unconfirmed: string[] }> {
  const ab = watch(p.a, p.b);
  const ba = watch(p.b, p.a);
  const strikeAt = Date.now() + 1000 * (3 + rnd() * (SECONDS / 2 - 3));
  const end = Date.now() + SECONDS * 1000;
  let struck = 0;
  const tag = Math.floor(rnd() * 1e9).toString(36);
  for (let n = 0; Date.now() < end; n++) {
    for (const [d, from, address, name] of [
      [ab, p.a, p.addressB, 'A'],
      [ba, p.b, p.addressA, 'B'],
    ] as const) {
      const text = `${tag} ${name} ${n}`;
      d.sent.set(text, Date.now());
      from.command({ cmd: 'send', address, text });
    }
    if (struck === 0 && Date.now() >= strikeAt) {
      strike();
      struck = Date.now();
    }
    await sleep(1000 / PER_SECOND);
  }
  const settled = (): boolean => [ab, ba].every((d) => d.confirmed.size >= d.sent.size);
  for (const until = Date.now() + 60_000; !settled() && Date.now() < until; ) await sleep(100);
  await sleep(1000); // a late second copy would come now
  const resumedMs = [ab, ba].map((d) => {
    const after = [...d.sent].filter(([, at]) => at > struck).map(([text]) => d.confirmed.get(text));
    return Math.min(...after.map((at) => (at === undefined ? Number.POSITIVE_INFINITY : at - struck)));
  });
  const all = [ab, ba].flatMap((d) => [...d.sent.keys()].map((text) => ({ d, text })));
  return {
    resumedMs,
    lost: all.filter(({ d, text }) => !d.got.has(text)).map((x) => x.text),
    repeated: all.filter(({ d, text }) => (d.got.get(text) ?? 0) > 1).map((x) => x.text),
    unconfirmed: all.filter(({ d, text }) => !d.confirmed.has(text)).map((x) => x.text),
  };
}

describe.each([
  ['receiver’s', (p: Pair) => primaryOf(p.network, p.b)],
  ['sender’s', (p: Pair) => primaryOf(p.network, p.a)],
] as const)('the %s primary relay dies', (whose, victim) => {
  it(
    `every message arrives once, confirmations flow again within 15 s (${RUNS} runs of ${SECONDS} s)`,
    async () => {
      const rnd = random(SEED + (whose === 'sender’s' ? 1 : 0));
      for (let i = 0; i < RUNS; i++) {
        const p = await startPair();
        try {
          const r = await conversation(p, rnd, () => victim(p).child.signal('SIGKILL'));
          process.stdout.write(
            `${whose} primary killed, run ${i + 1}/${RUNS} (seed ${SEED}): confirmations again after ${r.resumedMs.join(' and ')} ms\n`,
          );
          expect({ lost: r.lost, repeated: r.repeated, unconfirmed: r.unconfirmed }).toEqual({
            lost: [],
            repeated: [],
            unconfirmed: [],
          });
          for (const ms of r.resumedMs) expect(ms).toBeLessThanOrEqual(15_000);
        } finally {
          await p.network.stop();
        }
      }
    },
    RUNS * (SECONDS + 180) * 1000,
  );
});

it('a frozen relay is left within 30 s, and nothing is lost', async () => {
  const p = await startPair();
  const frozen = primaryOf(p.network, p.b);
  try {
    const before = p.b.events.length;
    const start = Date.now();
    frozen.child.signal('SIGSTOP');
    p.a.command({ cmd: 'send', address: p.addressB, text: 'through the ice' });
    const left = (): boolean =>
      p.b.events
        .slice(before)
        .some((e) => e.event === 'relay' && e.endpoint !== null && e.endpoint !== frozen.tcp);
    while (!left() && Date.now() - start < 40_000) await sleep(50);
    const ms = Date.now() - start;
    process.stdout.write(`frozen relay left after ${ms} ms\n`);
    expect(ms).toBeLessThanOrEqual(30_000);
    await p.b.waitFor('the message', 45_000, (e) => e.event === 'message' && e.text === 'through the ice');
  } finally {
    frozen.child.signal('SIGCONT');
    await p.network.stop();
  }
}, 240_000);
