import { describe, expect, it } from 'vitest';
import { encodeKeepAlive, keepAliveOf, PresenceService } from '../../src/presence/index.js';
import { Gossip } from '../../src/relay/gossip.js';
import { PresenceHandlers } from '../../src/relay/presence-handlers.js';
import { Code, NETWORKS } from '../../src/wire/index.js';
import { address, engine, HeldEngine, packet, signer } from '../presence/support.js';
import { relayStage, START, type Stage, walletOf } from './fakes.js';

const reg = NETWORKS.reg;
const here = { hostname: '8.8.8.8:10235', timestamp: START } as const;

async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!done() && performance.now() < end) await new Promise((r) => setTimeout(r, 2));
  expect(done()).toBe(true);
}

const handlersOf = (stage: Stage): PresenceHandlers =>
  new PresenceHandlers(stage.ctx, new Gossip(stage.ctx, () => undefined));

describe('presences of one turn', () => {
  it('of several connections are taken together, and each is done with once', async () => {
    const stage = await relayStage();
    const handlers = handlersOf(stage);
    const { peer: a } = stage.join('R', 'inbound', walletOf(1));
    const { peer: b } = stage.join('R', 'inbound', walletOf(2));
    const buffer = new Uint8Array(4_096);
    const done: string[] = [];
    for (const [peer, who] of [
      [a, 'w0'],
      [b, 'w1'],
      [a, 'w2'],
    ] as const) {
      const bytes = await packet([await address(here, who, reg)], who);
      buffer.set(bytes);
      // The payload is a view that ends with the call.
      handlers.presence(peer, buffer.subarray(0, bytes.length), () => done.push(who));
      buffer.fill(0);
    }
    handlers.presence(a, Uint8Array.of(1), () => done.push('malformed'));
    await until(() => done.length === 4);
    expect(done.toSorted()).toEqual(['malformed', 'w0', 'w1', 'w2']);
    expect(stage.ctx.store.wallets).toBe(3);
    const received = (labels: Record<string, string>) =>
      stage.counters.counter('presence_updates_total', '', labels).value;
    expect(received({ outcome: 'changed' })).toBe(3);
    expect(received({ outcome: 'refused', reason: 'malformed' })).toBe(1);
  });

  it('a client proves its key by its own presence, nobody by the presence of another', async () => {
    const stage = await relayStage();
    const handlers = handlersOf(stage);
    const { address: wallet } = await signer('w0');
    const { peer: owner, link } = stage.join('C', 'inbound', wallet);
    const { peer: other, link: otherLink } = stage.join('C', 'inbound', walletOf(3));
    const hostname = stage.ctx.endpoint.text;
    const bytes = await packet([await address({ ...here, hostname }, 'w0', reg)]);
    let done = 0;
    handlers.presence(other, bytes, () => done++);
    await until(() => done === 1);
    expect(otherLink.peer?.verified).toBe('signature');
    stage.clock.advance(60_000);
    const newer = await packet([await address({ timestamp: START + 60, hostname }, 'w0', reg)]);
    handlers.presence(owner, newer, () => done++);
    await until(() => done === 2);
    expect(link.peer?.verified).toBe('proven');
  });

  it('a keep-alive beside the first presence of its device: asked for again, and the newest stays', async () => {
    const stage = await relayStage();
    const { store, networkSeconds: now } = stage.ctx;
    // As threads do, it answers later than the turn.
    const held = new HeldEngine(await engine());
    const presences = new PresenceService({ store, network: reg, ownType: 'R', engine: held, now });
    const handlers = handlersOf({ ...stage, ctx: { ...stage.ctx, presences } });
    const { peer, link } = stage.join('R', 'inbound', walletOf(1));
    const { address: wallet } = await signer('w0');
    const newest = await address({ ...here, timestamp: START + 1 }, 'w0', reg);
    let done = 0;
    handlers.presence(peer, await packet([await address(here, 'w0', reg)]), () => done++);
    handlers.keepAlive(peer, encodeKeepAlive(keepAliveOf(wallet, newest)));
    await until(() => link.sent.length === 1);
    expect(link.codes()).toEqual([Code.getPresence2]);
    held.releaseAll();
    await until(() => done === 1);
    // What the peer says next, or answers with, moves it.
    handlers.keepAlive(peer, encodeKeepAlive(keepAliveOf(wallet, newest)));
    await until(() => stage.ctx.store.get(wallet)?.addresses[0]?.lastSeen === START + 1);
  });
});
