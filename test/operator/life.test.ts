import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import { Drain, limitsPart, Reloader, resolveConfig, stopGracefully } from '../../src/operator/index.js';
import { Bye } from '../../src/wire/index.js';
import { connect, connected, until } from '../relay/support.js';
import { startNode } from './support.js';

const ups: Awaited<ReturnType<typeof startNode>>[] = [];
async function up(): Promise<Awaited<ReturnType<typeof startNode>>> {
  const u = await startNode();
  ups.push(u);
  return u;
}
afterEach(async () => {
  for (const u of ups.splice(0)) await u.stop();
});

const config = (text: string) =>
  resolveConfig({ flags: new Map(), environment: {}, file: { path: 'ixian.cfg', text } });

describe('stop', () => {
  it('every client gets bye 200, then the relay is gone', async () => {
    const { relay } = await up();
    const clients = await Promise.all(['w1', 'w2', 'w3'].map((wallet) => connected(relay, { wallet })));
    await stopGracefully(relay, 10);
    for (const c of clients) {
      await until('closed', () => c.closed !== null);
      expect(c.closed).toMatchObject({ why: 'bye-received', byeCode: Bye.bye });
    }
    await expect(connect(relay, { wallet: 'w4' })).rejects.toThrow();
  });
});

describe('drain', () => {
  it('sends newcomers away, leaves clients alone for the grace, then asks them to go', async () => {
    const { relay, node } = await up();
    const client = await connected(relay, { wallet: 'w1' });
    const clock = new ManualClock();
    const drain = new Drain(relay, clock);
    const over = drain.start({ graceSeconds: 10, seconds: 120, minClients: 0 });
    expect([drain.state, node.draining]).toEqual(['grace', true]);
    const late = await connect(relay, { wallet: 'w2' });
    await until('refused', () => late.closed !== null);
    expect(late.closed).toMatchObject({ byeCode: Bye.notReady, opened: false });
    clock.advance(9_900);
    expect(client.closed).toBeNull();
    clock.advance(200);
    await until('evicting', () => drain.state === 'evicting');
    clock.advance(1_000);
    await until('told', () => client.closed !== null);
    clock.advance(1_000);
    expect(await over).toBe(true);
    expect(drain.state).toBe('drained');
    drain.cancel();
    await connected(relay, { wallet: 'w3' });
  });
  it('ends at once with few enough clients, and can be called off', async () => {
    const { relay } = await up();
    const client = await connected(relay, { wallet: 'w1' });
    const first = new Drain(relay);
    expect(await first.start({ graceSeconds: 10, seconds: 120, minClients: 1 })).toBe(true);
    expect(client.closed).toBeNull();
    const second = new Drain(relay, new ManualClock());
    const over = second.start({ graceSeconds: 10, seconds: 120, minClients: 0 });
    second.cancel();
    expect(await over).toBe(false);
    expect(relay.control.draining).toBe(false);
  });
});

describe('reload', () => {
  it('applies limits to open connections and names what needs a restart', async () => {
    const { relay } = await up();
    await connected(relay, { wallet: 'w1' });
    const counters = new Counters();
    const before = config('messagesPerSecond = 7\ns2Port = 10235');
    const after = config('messagesPerSecond = 9\nmaxClients = 3\ns2Port = 10236');
    const r = new Reloader(before, { counters, read: () => after, parts: [limitsPart(() => relay.control)] });
    expect(r.reload()).toEqual({
      ok: true,
      changed: ['maxClients', 'messagesPerSecond'],
      restart: ['s2Port'],
      error: null,
    });
    expect(relay.control.limits()).toMatchObject({ messagesPerSecond: 9, clientsMax: 3 });
    expect(relay.status().connections).toBe(1);
    expect(r.reload().changed).toEqual([]);
    expect(counters.total('ixian_config_reloads_total')).toBe(2);
  });
  it('a wrong file changes nothing and counts as failed (11 §13.7)', async () => {
    const { relay } = await up();
    const counters = new Counters();
    const before = config('');
    const limits = relay.control.limits();
    const r = new Reloader(before, {
      counters,
      read: () => config('maxClients = 5\nmessagesPerSecond = many'),
      parts: [limitsPart(() => relay.control)],
    });
    const result = r.reload();
    expect([result.ok, result.error]).toEqual([
      false,
      expect.stringContaining('ixian.cfg:2: messagesPerSecond'),
    ]);
    expect(relay.control.limits()).toEqual(limits);
    expect(r.config).toBe(before);
    expect(counters.samples().find((s) => s.name === 'ixian_config_reloads_total')?.labels).toEqual({
      result: 'failed',
    });
  });
  it('one part that refuses keeps all others from changing', async () => {
    const { relay } = await up();
    const limits = relay.control.limits();
    const r = new Reloader(config(''), {
      counters: new Counters(),
      read: () => config('maxClients = 5'),
      parts: [
        limitsPart(() => relay.control),
        {
          keys: ['ban'],
          prepare: () => {
            throw new Error('no such range');
          },
        },
      ],
    });
    expect(r.reload()).toMatchObject({ ok: false, error: 'no such range' });
    expect(relay.control.limits()).toEqual(limits);
  });
});

describe('bans', () => {
  it('end the connections they cover and refuse new ones; a wrong entry changes nothing', async () => {
    const { relay } = await up();
    const client = await connected(relay, { wallet: 'w1' });
    expect(() => relay.control.setBans(['10.0.0.0/99'])).toThrow();
    expect(relay.control.bans()).toEqual([]);
    expect(relay.control.setBans(['127.0.0.0/8'])).toBe(1);
    await until('ended', () => client.closed !== null);
    expect(client.closed?.byeCode).toBe(Bye.rejected);
    const again = await connect(relay, { wallet: 'w1' });
    await until('refused', () => again.closed !== null);
    relay.control.setBans([]);
    await connected(relay, { wallet: 'w1' });
  });
});
