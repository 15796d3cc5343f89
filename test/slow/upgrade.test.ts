import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askUpgrade } from '../../src/cli/upgrade-control.js';
import { createVerifyEngine, type VerifyEngine } from '../../src/identity/index.js';
import { Identities } from '../../src/load/index.js';
import {
  type Client,
  crowd,
  endsOf,
  metric,
  startRelay,
  sum,
  Traffic,
  type Up,
  until,
} from './cluster/crowd.js';

/** Clients that talk; others on request, e.g. STARLING_CLIENTS=200. */
const CLIENTS = Number(process.env.STARLING_CLIENTS ?? 2_000);

let dir: string;
let engine: VerifyEngine;
const ups: Up[] = [];
const clients: Client[] = [];
const identities = new Identities('upgrade test');

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-upgrade-'));
  await writeFile(join(dir, 'password'), 'correct horse battery staple');
  engine = await createVerifyEngine('native-sync');
});
afterAll(async () => {
  for (const c of clients) c.end();
  for (const u of ups) await u.child.stop();
  await rm(dir, { recursive: true, force: true });
});

async function relay(name: string, ...args: readonly string[]): Promise<Up> {
  const up = await startRelay(join(dir, name), join(dir, `${name}.wal`), [
    ...['--walletPasswordFile', join(dir, 'password'), ...args],
  ]);
  ups.push(up);
  return up;
}

const seconds = (sinceMs: number): string => `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;

describe(`${CLIENTS} clients that send all the time`, () => {
  let up: Up;
  let all: Client[];
  let traffic: Traffic;

  it('are in', async () => {
    const began = Date.now();
    up = await relay('one', '--processes', '2', '--drainGraceSeconds', '0');
    all = await crowd(up, CLIENTS, clients, { engine, identities });
    console.log(`${CLIENTS} clients connected in ${seconds(began)}`);
    for (const c of all) c.closes.length = 0;
    traffic = new Traffic(all);
    await until('it flows', () => traffic.total > CLIENTS);
  });

  it('notice nothing of a reload', async () => {
    const answer = await fetch(`http://127.0.0.1:${up.api}/v1/reload`, { method: 'POST' });
    expect(answer.status).toBe(200);
    const before = traffic.total;
    await until('it goes on', () => traffic.total > before + CLIENTS);
    expect(endsOf(all)).toEqual({});
  });

  it('lose nothing and get nothing twice in an upgrade, and nobody is refused', async () => {
    const began = Date.now();
    const steps: string[] = [];
    const last = await askUpgrade(up.folder, (p) => void steps.push(p.event));
    expect(last.event).toBe('upgrade_ended');
    expect(steps.filter((s) => s === 'worker_replaced').length).toBe(2);
    const took = seconds(began);
    await until('all are back', () => all.every((c) => c.open));
    await traffic.stop();
    console.log(`upgrade in ${took}, ${traffic.total} messages, ${sum(all, (c) => c.closes.length)} moves`);
    expect(traffic.missing()).toEqual([]);
    expect(traffic.repeated()).toBe(0);
    expect(sum(all, (c) => c.refused)).toBe(0);
    expect(Object.keys(endsOf(all))).toEqual(['bye-received 200']);
    expect(await metric(up, 'ixian_handovers_refused_total')).toBe(0);
    const status = (await (await fetch(`http://127.0.0.1:${up.api}/v1/status`)).json()) as {
      clients: number;
    };
    expect(status.clients).toBe(CLIENTS);
  });

  it('go to another relay in a drain: what was sent arrives, or is still with its sender', async () => {
    const began = Date.now();
    const other = await relay('two');
    const closesBefore = all.map((c) => c.closes.length);
    // Between relays nothing is passed on, so a sender knows by the receiver's word alone, as apps do.
    for (const c of all) {
      c.unconfirmed = new Map();
      c.moveTo(other);
    }
    traffic = new Traffic(all);
    await until('it flows', () => traffic.total > CLIENTS);
    const answer = await fetch(`http://127.0.0.1:${up.api}/v1/drain`, { method: 'POST' });
    expect(answer.status).toBe(200);
    await until('drained', () => !up.child.alive, 150_000);
    await until('all are there', () => all.every((c) => c.open && c.connectedTo === other));
    await traffic.stop();
    const repeats = sum(all, (c) => c.repeats);
    console.log(`drained in ${seconds(began)}, ${traffic.total} messages, ${repeats} sent again`);
    expect(traffic.missing()).toEqual([]);
    expect(traffic.repeated()).toBeLessThanOrEqual(repeats);
    // What was under way when its sender or receiver left, and its receipt: some messages per client.
    expect(repeats).toBeLessThan(3 * CLIENTS);
    expect(sum(all, (c) => c.refused)).toBe(0);
    expect(all.every((c, i) => c.closes.length === closesBefore[i]! + 1)).toBe(true);
    expect(Object.keys(endsOf(all))).toEqual(['bye-received 200']);
  });
});
