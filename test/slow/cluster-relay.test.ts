import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { askUpgrade } from '../../src/cli/upgrade-control.js';
import { createVerifyEngine, type VerifyEngine } from '../../src/identity/index.js';
import { Identities } from '../../src/load/index.js';
import { type Client, crowd, metric, startRelay, Traffic, type Up, until } from './cluster/crowd.js';

let dir: string;
let made = 0;
let engine: VerifyEngine;
const ups: Up[] = [];
const clients: Client[] = [];
const identities = new Identities('cluster test');

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-cluster-'));
  await writeFile(join(dir, 'password'), 'correct horse battery staple');
  engine = await createVerifyEngine('native-sync');
});
afterEach(async () => {
  for (const c of clients.splice(0)) c.end();
  for (const u of ups.splice(0)) await u.child.stop();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function relay(processes: number): Promise<Up> {
  const up = await startRelay(join(dir, `d${made++}`), join(dir, 'relay.wal'), [
    ...['--processes', String(processes), '--supervised'],
    ...['--walletPasswordFile', join(dir, 'password')],
  ]);
  ups.push(up);
  return up;
}
const members = (up: Up, n: number): Promise<Client[]> => crowd(up, n, clients, { engine, identities });

/** The first values of the dashboard's feed that know of `clients`. */
function live(up: Up): Promise<Record<string, number>> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${up.api}/v1/live?format=json`);
    let series: string[] = [];
    let ticks = 0;
    socket.on('error', reject);
    socket.on('message', (data: Buffer) => {
      const m = JSON.parse(data.toString()) as { kind: string; series: string[]; values: number[] };
      if (m.kind === 'hello') series = m.series;
      // The processes tell each other once a second.
      if (m.kind !== 'tick' || ++ticks < 4) return;
      socket.close();
      resolve(Object.fromEntries(series.map((name, i) => [name, m.values[i]!])));
    });
  });
}

describe('a relay of several processes', () => {
  it('a killed worker that led: its clients come back, another leads, all talk again', async () => {
    const up = await relay(2);
    const n = 100;
    const all = await members(up, n);
    const traffic = new Traffic(all, 500);
    await until('it flows', () => traffic.total > 20 * n);
    const first = up.child.events.find((e) => e.event === 'worker_started')!;
    process.kill(first.pid as number, 'SIGKILL');
    await up.child.waitFor('worker_ended', 10_000, (e) => e.event === 'worker_ended');
    await up.child.waitFor('leader_appointed', 10_000, (e) => e.event === 'leader_appointed');
    await until('all are back', () => all.every((c) => c.open), 60_000);
    await traffic.stop();
    // Told as perhaps lost, and sent again although it had arrived: receivers know it by its id.
    expect(traffic.repeated()).toBeLessThan(traffic.total / 10);
    // What a dying process had read and not passed on is lost to the relay; senders repeat it for want of a receipt.
    const lost = traffic.missing().length;
    console.log(`${traffic.total} messages, ${lost} lost with the killed process`);
    expect(lost).toBeLessThan(traffic.total / 10);
    const after = new Traffic(all, 500);
    for (const c of all) c.got.clear();
    await until('it flows again', () => after.total > 2 * n);
    await after.stop();
    expect(after.missing()).toEqual([]);
    await until('ready', async () => (await fetch(`http://127.0.0.1:${up.ops}/readyz`)).status === 200);
    expect(await metric(up, 'ixian_worker_restarts_total')).toBe(1);
    await until('two again', async () => (await metric(up, 'ixian_workers')) === 2);
  });

  it('health, metrics and API speak for all processes; a single one can be supervised', async () => {
    const up = await relay(1);
    const all = await members(up, 3);
    expect((await askUpgrade(up.folder, () => undefined)).event).toBe('upgrade_ended');
    await until('back', () => all.every((c) => c.open));
    const two = await relay(2);
    const six = await members(two, 6);
    await until('counted', async () => (await metric(two, 'ixian_sessions')) === 6);
    await until('known', async () => (await metric(two, 'ixian_worker_connections')) === 6);
    const page = await (await fetch(`http://127.0.0.1:${two.ops}/metrics`)).text();
    // Given out by what each holds, which the parent must know.
    for (const worker of ['w1', 'w2'])
      expect(page).toMatch(new RegExp(`ixian_worker_connections\\{worker="${worker}"\\} 3`));
    expect(page).toMatch(/process_resident_memory_bytes\{process="w1"\} \d+/);
    expect(page).toMatch(/process_resident_memory_bytes\{process="w2"\} \d+/);
    const list = async (query: string) =>
      (await (await fetch(`http://127.0.0.1:${two.api}/v1/clients${query}`)).json()) as {
        items: { id: number }[];
        total: number;
        next: string | null;
      };
    const [one, rest] = [await list('?limit=4'), await list('?limit=4&cursor=0')];
    expect([one.items.length, one.total, rest.items.length]).toEqual([4, 6, 4]);
    const tail = await list(`?limit=4&cursor=${one.next}`);
    const ids = [...one.items, ...tail.items].map((x) => x.id);
    expect(new Set(ids).size).toBe(6);
    const tick = await live(two);
    expect([tick.clients, tick.sessions]).toEqual([6, 6]);
    const rpc = async (method: string) =>
      ((await (await fetch(`http://127.0.0.1:${two.api}/${method}`)).json()) as { result: unknown }).result;
    expect((await rpc('clients')) as string[]).toHaveLength(6);
    expect(((await rpc('status')) as { 'Network Clients': string[] })['Network Clients']).toHaveLength(6);
    const ended = await fetch(`http://127.0.0.1:${two.api}/v1/connections/${ids.at(-1)}`, {
      method: 'DELETE',
    });
    expect(ended.status).toBe(200);
    await until('ended', () => six.some((c) => c.closes.length === 1));
    for (const c of clients.splice(0)) c.end();
    await until('gone', async () => (await metric(two, 'ixian_worker_connections')) === 0);
  });
});
