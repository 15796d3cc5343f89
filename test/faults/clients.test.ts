import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock/index.js';
import { Coordinator } from '../../src/coordinator/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { friends, join, known, type Party } from '../client/suite.js';
import { startWorld, testWallet, type World } from '../client/world.js';
import { engine } from '../link/support.js';
import { addsUp, Conversation, envOf, LossyProxy, liveBytes, memoryIsBack, sleep, until } from './support.js';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function world(n: number, over: Parameters<typeof startWorld>[1] = {}): Promise<World> {
  const w = await startWorld(n, over);
  ends.push(() => w.stop());
  return w;
}

function leave(...parties: readonly Party[]): void {
  ends.push(async () => {
    for (const p of parties) await p.client.stop();
  });
}

/**
 * Lets the talk run a moment and notes the memory then. What it returns is called when the fault is over: nothing is
 * lost, every running relay's counters add up, and memory is what it was.
 */
async function underWay(
  w: World,
  talk: Conversation,
): Promise<(o?: { ms?: number; gone?: readonly number[]; copies?: boolean }) => Promise<void>> {
  await sleep(1_500);
  const before = await liveBytes();
  return async ({ ms = 60_000, gone = [], copies = false } = {}) => {
    await talk.settled(ms);
    for (const [i, { relay }] of w.relays.entries())
      if (!gone.includes(i)) addsUp(relay.counters, { copies });
    await memoryIsBack(before);
  };
}

/** The machine's clock with somebody at its hands. */
class SteppedClock implements Clock {
  offsetMs = 0;
  nowMs = (): number => systemClock.nowMs() + this.offsetMs;
  after: Clock['after'] = (ms, run) => systemClock.after(ms, run);
  every: Clock['every'] = (ms, run) => systemClock.every(ms, run);
}

describe('confirmed messages survive', () => {
  it('the ledger’s side gone and back', async () => {
    const w = await world(2);
    const [a, b] = await friends(await envOf(w));
    leave(a, b);
    const talk = new Conversation(a, b).start(20);
    const over = await underWay(w, talk);
    const { port } = w.coordinator;
    await w.coordinator.stop();
    await until('the relays notice', () => w.relays.every((r) => r.relay.status().ledgerPeers === 0));
    await sleep(2_000);
    const back = new Coordinator({
      network: NETWORKS.reg,
      signer: await testWallet('alice'),
      engine: await engine(),
      host: '127.0.0.1',
      publicIp: '127.0.0.1',
      port,
      genesisBlocks: 1,
    });
    await back.start();
    ends.push(() => back.stop());
    await until(
      'the ledger is followed again',
      () => w.relays.every((r) => r.relay.status().ledgerPeers > 0),
      60_000,
    );
    await over();
    expect(talk.sent).toBeGreaterThan(50);
  });

  it('a relay’s clock stepped by ten minutes, forward and back', async () => {
    const clock = new SteppedClock();
    const w = await world(2, { clock });
    const [a, b] = await friends(await envOf(w));
    leave(a, b);
    const talk = new Conversation(a, b).start(20);
    const over = await underWay(w, talk);
    for (const step of [600_000, 0, -600_000, 0]) {
      clock.offsetMs = step;
      await sleep(2_500);
    }
    await over();
    expect(talk.sent).toBeGreaterThan(100);
    const all = () => w.relays.map((r) => r.relay.status());
    const served = (): boolean =>
      all().every((x) => x.ledgerPeers > 0) && all().reduce((n, x) => n + x.sessions, 0) >= 2;
    await until('the ledger is followed and both clients are served', served, 30_000);
  });

  it('bytes lost in the middle by a proxy, both ways', async () => {
    const w = await world(2);
    const proxies = new Map<string, LossyProxy>();
    for (const r of w.relays) {
      const p = await LossyProxy.to(r.relay.port);
      proxies.set(r.endpoint, p);
      ends.push(() => p.close());
    }
    const env = await envOf(w, (e) => (proxies.has(e) ? `127.0.0.1:${proxies.get(e)!.port}` : e));
    const [a, b] = await friends(env);
    leave(a, b);
    const talk = new Conversation(a, b).start(25);
    const over = await underWay(w, talk);
    for (let i = 0; i < 12; i++) {
      await sleep(300);
      for (const p of proxies.values())
        p.cut = i % 2 === 0 ? { up: 1 + i * 3, down: 0 } : { up: 0, down: 1 + i * 5 };
    }
    await over({ ms: 100_000 });
    expect([...proxies.values()].reduce((n, p) => n + p.cuts, 0)).toBeGreaterThan(5);
  });

  it('two sessions of one wallet: each device gets each message once, and one may go', async () => {
    const w = await world(2);
    const env = await envOf(w);
    const [a, b] = await friends(env);
    leave(a, b);
    const twin = await join(env, 'w4', { relay: 1, autoAccept: true });
    leave(twin);
    await known(a, b, 2);
    const talk = new Conversation(a, b).start(20);
    const over = await underWay(w, talk);
    await twin.client.stop();
    await sleep(1_500);
    await over({ copies: true });
    const got = b.messages.length;
    expect(new Set(b.texts).size).toBe(got);
    expect(twin.errors).toEqual([]);
  });

  it('the relay they talk through killed, then another one', async () => {
    const w = await world(3);
    const [a, b] = await friends(await envOf(w));
    leave(a, b);
    const talk = new Conversation(a, b).start(20);
    const over = await underWay(w, talk);
    await w.relays[0]!.kill();
    await sleep(4_000);
    await over({ gone: [0] });
    expect(talk.sent).toBeGreaterThan(80);
  });
});
