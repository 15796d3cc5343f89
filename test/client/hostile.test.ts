import { afterEach, describe, expect, it } from 'vitest';
import { type ClientEvents, MemoryStorage, StarlingClient } from '../../src/client/index.js';
import { addressText } from '../../src/identity/index.js';
import { encodeRelayError } from '../../src/messages/index.js';
import { addressOf, type Presence } from '../../src/presence/index.js';
import { Code, NETWORKS, type Network } from '../../src/wire/index.js';
import { engine } from '../link/support.js';
import { claim, encodeKeepAlive, LyingRelay, presenceOf } from './lying-relay.js';
import { until } from './suite.js';
import { testWallet } from './world.js';

const endpoint = '127.0.0.1:7001';
const network = NETWORKS.reg;
const open: StarlingClient[] = [];
afterEach(async () => {
  for (const c of open.splice(0)) await c.stop();
});

async function liar(answer: (wallet: Uint8Array) => Promise<Presence | null>): Promise<LyingRelay> {
  return new LyingRelay({
    network,
    signer: await testWallet('w2'),
    engine: await engine(),
    endpoint,
    answer,
  });
}

async function client(relay: LyingRelay, on: Network = network): Promise<StarlingClient> {
  const c = await StarlingClient.open({
    wallet: await testWallet('w3'),
    network: on,
    relays: [{ host: endpoint }],
    storage: new MemoryStorage(),
    dial: relay.dial,
    engine: await engine(),
    limits: { presenceAnswerMs: 300 },
  });
  open.push(c);
  await c.start();
  return c;
}

const at = async (hostname: string, device: number, timestamp?: number) =>
  claim(await testWallet('w4'), network, {
    hostname,
    device: Uint8Array.of(device),
    ...(timestamp === undefined ? {} : { timestamp }),
  });

/** A number once it has stood still for a while: the first look-up may verify more than one answer. */
async function settled(read: () => Promise<number>): Promise<number> {
  for (let last = await read(), still = 0; ; ) {
    await new Promise((r) => setTimeout(r, 100));
    const now = await read();
    still = now === last ? still + 1 : 0;
    last = now;
    if (still >= 5) return now;
  }
}

describe('a relay that lies', () => {
  it('one forged endpoint among valid ones costs just that one, and the reason is told', async () => {
    const signer = await testWallet('w4');
    const now = Math.floor(Date.now() / 1000);
    const [good, moved, alsoGood, stale, future] = await Promise.all([
      at('127.0.0.1:1001', 1),
      at('127.0.0.1:1002', 2),
      at('127.0.0.1:1003', 3, now - 5),
      at('127.0.0.1:1004', 4, now - 400),
      at('127.0.0.1:1005', 5, now + 60),
    ]);
    // The attacker sends the wallet's contacts to a relay of his own.
    const forged = { ...moved, hostname: '127.0.0.1:6666' };
    const claims = [good, forged, alsoGood, stale, future].map((k) => addressOf(k, 'x'));
    const relay = await liar(() => Promise.resolve(presenceOf(signer, claims)));
    const c = await client(relay);
    const found = await c.find(addressText(signer.address));
    expect(found.endpoints.map((e) => e.hostname)).toEqual(['127.0.0.1:1001', '127.0.0.1:1003']);
    expect(found.dropped).toEqual([
      { endpoint: '127.0.0.1:6666', reason: 'signature' },
      { endpoint: '127.0.0.1:1004', reason: 'stale' },
      { endpoint: '127.0.0.1:1005', reason: 'future' },
    ]);
    expect(found.publicKey).toEqual(signer.publicKey);
  });

  it('a presence under a key that is not the wallet’s is refused as a whole', async () => {
    const [victim, thief] = [await testWallet('w4'), await testWallet('w5')];
    const ka = await claim(thief, network, { hostname: '127.0.0.1:6666' });
    const stolen = { ...presenceOf(thief, [addressOf(ka, 'x')]), wallet: victim.address };
    const c = await client(await liar(() => Promise.resolve(stolen)));
    const found = await c.find(addressText(victim.address));
    expect([found.publicKey, found.endpoints, found.dropped]).toEqual([null, [], []]);
  });

  it('an answer about another wallet is no answer', async () => {
    const [asked, other] = [await testWallet('w4'), await testWallet('w5')];
    const ka = await claim(other, network);
    const relay = await liar(() => Promise.resolve(presenceOf(other, [addressOf(ka, 'x')])));
    const c = await client(relay);
    const found = await c.find(addressText(asked.address));
    expect(found.endpoints).toEqual([]);
  });

  it('a relay error is believed only about what went through that relay to that contact', async () => {
    const signer = await testWallet('w4');
    const ka = await claim(signer, network, { hostname: endpoint });
    const relay = await liar(() => Promise.resolve(presenceOf(signer, [addressOf(ka, 'x')])));
    const c = await client(relay);
    await c.addContact(addressText(signer.address));
    await until('request sent', () => relay.given.length === 1);
    const self = (await testWallet('w3')).address;
    const error = (failedId: Uint8Array) =>
      encodeRelayError({ failedId, failedRecipient: signer.address, failedSender: self, timestamp: 0 });
    relay.say(Code.s2data, error(new Uint8Array(16).fill(7))); // never sent
    await new Promise((r) => setTimeout(r, 50));
    expect((await c.find(c.contacts()[0]!.address)).endpoints.length).toBe(1);
    let lookups = 0;
    c.on('stage', (s) => {
      if (s.stage === 4) lookups++;
    });
    await new Promise((r) => setTimeout(r, 3_000)); // look-ups of one contact are 3 s apart
    relay.say(Code.s2data, error(Uint8Array.of(0))); // the request has this id
    await until('looked up again', () => lookups > 0);
  });

  it('keep-alives of contacts are checked: forged, stale and replayed ones change nothing', async () => {
    const signer = await testWallet('w4');
    const now = Math.floor(Date.now() / 1000);
    const first = await at('127.0.0.1:1001', 1, now - 50);
    const relay = await liar(() => Promise.resolve(presenceOf(signer, [addressOf(first, 'x')])));
    const c = await client(relay);
    const seen: ClientEvents['presence'][] = [];
    c.on('presence', (p) => seen.push(p));
    await c.addContact(addressText(signer.address));
    await until('known', () => seen.length === 1);
    const operations = await settled(async () => (await engine()).operations);
    relay.say(Code.keepAlivePresence, encodeKeepAlive(first));
    relay.say(Code.keepAlivePresence, encodeKeepAlive(await at('127.0.0.1:1002', 1, now - 60)));
    relay.say(Code.keepAlivePresence, encodeKeepAlive(await at('127.0.0.1:1003', 1, now + 90)));
    await new Promise((r) => setTimeout(r, 100));
    expect((await engine()).operations).toBe(operations);
    const forged = { ...(await at('127.0.0.1:1004', 1, now)), hostname: '127.0.0.1:6666' };
    relay.say(Code.keepAlivePresence, encodeKeepAlive(forged));
    relay.say(Code.keepAlivePresence, encodeKeepAlive(await at('127.0.0.1:1005', 1, now)));
    await until('the true one', () => seen.length === 2);
    expect(seen[1]!.endpoints.map((e) => e.hostname)).toEqual(['127.0.0.1:1005']);
  });
});
