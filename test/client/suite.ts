/**
 * What a client must do, whatever carries its bytes and wherever it runs: these cases import neither a test
 * runner nor anything of Node, so that the very same file runs in a browser. Each case gets a fresh network.
 */
import {
  type ChatMessage,
  type ClientEvents,
  type ClientOptions,
  type ClientStorage,
  type Dial,
  MemoryStorage,
  type RelaySeed,
  StarlingClient,
} from '../../src/client/index.js';
import type { Signer, VerifyEngine } from '../../src/identity/index.js';
import type { Transport, TransportHandlers } from '../../src/link/index.js';
import { Code, type Network } from '../../src/wire/index.js';

/** A network to test on, and the ways to it. */
export interface SuiteEnv {
  readonly network: Network;
  /** At least three relays that share one sector. */
  readonly relays: readonly { readonly endpoint: string; readonly seed: RelaySeed }[];
  readonly dial: Dial;
  readonly engine?: VerifyEngine;
  /** Test wallets w3, w4, w5 and lying relay's w2. */
  wallet(name: string): Promise<Signer>;
  /** An empty storage. */
  storage(): Promise<ClientStorage>;
  /** Ends a relay at once. */
  kill(endpoint: string): Promise<void>;
}

export interface SuiteCase {
  readonly name: string;
  run(env: SuiteEnv): Promise<void>;
}

/** What the cases expect; throws with both sides. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const a = JSON.stringify(actual);
  const e = JSON.stringify(expected);
  if (a !== e) throw new Error(`${what}: got ${a}, expected ${e}`);
}

export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not so: ${what}`);
}

export async function until(what: string, probe: () => boolean, ms = 15_000): Promise<void> {
  const end = Date.now() + ms;
  while (!probe()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((r) => setTimeout(r, 10));
  }
}

/** A client with everything it told. */
export class Party {
  readonly messages: ChatMessage[] = [];
  readonly delivered: { id: string; atMs: number }[] = [];
  readonly stages: ClientEvents['stage'][] = [];
  readonly requests: string[] = [];
  readonly dropped: ClientEvents['dropped'][] = [];
  readonly errors: string[] = [];

  constructor(
    readonly client: StarlingClient,
    readonly storage: ClientStorage,
  ) {
    client.on('message', (m) => this.messages.push(m));
    client.on('delivered', (d) => this.delivered.push({ id: d.id, atMs: Date.now() }));
    client.on('stage', (s) => this.stages.push(s));
    client.on('contactRequest', (r) => this.requests.push(r.address));
    client.on('dropped', (d) => this.dropped.push(d));
    client.on('error', (e) => this.errors.push(`${e.during}: ${String(e.error)}`));
  }

  get address(): string {
    return this.client.address;
  }

  get texts(): string[] {
    return this.messages.map((m) => m.text);
  }

  established(address: string): boolean {
    return this.client.contacts().some((c) => c.address === address && c.established);
  }
}

export async function join(
  env: SuiteEnv,
  wallet: string,
  over: Partial<ClientOptions> & { readonly relay?: number } = {},
): Promise<Party> {
  const { relay = 0, ...options } = over;
  const storage = options.storage ?? (await env.storage());
  const client = await StarlingClient.open({
    wallet: await env.wallet(wallet),
    network: env.network,
    relays: [env.relays[relay]!.seed, ...env.relays.map((r) => r.seed)],
    dial: env.dial,
    ...(env.engine === undefined ? {} : { engine: env.engine }),
    ...options,
    storage,
  });
  const p = new Party(client, storage);
  await client.start();
  return p;
}

/** Looks `of` up until that many devices are found: an announcement takes a moment to reach every relay. */
export async function known(by: Party, of: Party, devices: number): Promise<void> {
  for (let i = 0; i < 50; i++) {
    if ((await by.client.find(of.address)).endpoints.length >= devices) return;
    await new Promise((r) => setTimeout(r, 100));
  }
  throw new Error(`${devices} devices were never found`);
}

/** Two clients that have agreed keys. */
export async function friends(
  env: SuiteEnv,
  a: Partial<ClientOptions> & { readonly relay?: number } = {},
  b: Partial<ClientOptions> & { readonly relay?: number } = {},
): Promise<[Party, Party]> {
  const alice = await join(env, 'w3', a);
  const bob = await join(env, 'w4', { relay: 1, autoAccept: true, ...b });
  await alice.client.addContact(bob.address);
  await until('keys agreed', () => alice.established(bob.address) && bob.established(alice.address));
  return [alice, bob];
}

/** Everything below a storage but what belongs to the device itself. */
export async function cloned(from: ClientStorage, to: ClientStorage): Promise<ClientStorage> {
  const all = await from.list('');
  await to.commit(all.filter(([k]) => !k.startsWith('own/')).map(([key, value]) => ({ key, value })));
  return to;
}

/** Lets a test look at, drop, repeat or hold back what a client sends and receives. */
export function tapped(
  dial: Dial,
  tap: { write?(bytes: Uint8Array): readonly Uint8Array[]; frozen?(remote: string): boolean },
): Dial {
  return async (target) => {
    const dialled = await dial(target);
    const inner = dialled.transport;
    const name = target.endpoint ?? target.host ?? '';
    const frozen = (): boolean => tap.frozen?.(name) === true;
    const transport: Transport = {
      kind: inner.kind,
      chunksStay: true,
      remoteAddress: inner.remoteAddress,
      remotePort: inner.remotePort,
      localAddress: inner.localAddress,
      get bufferedBytes() {
        return inner.bufferedBytes;
      },
      start(h: TransportHandlers) {
        inner.start({
          data: (chunk) => {
            if (!frozen()) h.data(chunk);
          },
          drain: () => h.drain(),
          close: (reason, detail) => h.close(reason, detail),
        });
      },
      write(bytes) {
        if (frozen()) return true;
        let free = true;
        for (const b of tap.write?.(bytes) ?? [bytes]) free = inner.write(b);
        return free;
      },
      pause: () => inner.pause(),
      resume: () => inner.resume(),
      end: () => inner.end(),
      destroy: () => inner.destroy(),
    };
    return { ...dialled, transport };
  };
}

/** True for a frame that carries a stream message. */
export function isStreamFrame(bytes: Uint8Array): boolean {
  return bytes.length > 12 && (bytes[0] === 0xea || bytes[0] === 0xeb) && bytes[1] === Code.s2data;
}

async function stop(...parties: readonly Party[]): Promise<void> {
  for (const p of parties) await p.client.stop();
  for (const p of parties) same(p.errors, [], 'errors of a client');
}

const numbered = (n: number): string[] => Array.from({ length: n }, (_, i) => `message ${i}`);

/** Sends numbered texts at a steady pace, and calls `at` in the middle. */
async function stream(from: Party, to: Party, n: number, at: () => Promise<void>): Promise<void> {
  for (const [i, text] of numbered(n).entries()) {
    if (i === Math.floor(n / 2)) await at();
    await from.client.send(to.address, text);
    await new Promise((r) => setTimeout(r, 20));
  }
}

export const cases: readonly SuiteCase[] = [
  {
    name: 'walks through the six stages of discovery and exchanges encrypted messages',
    async run(env) {
      const [a, b] = [await join(env, 'w3'), await join(env, 'w4', { relay: 1 })];
      await until('own sector known', () => a.client.relays.length === 3 && b.client.relays.length === 3);
      await known(a, b, 1);
      const found = await a.client.find(b.address);
      same(
        found.endpoints.map((e) => e.hostname),
        [b.client.primaryRelay],
        'endpoints found',
      );
      same(found.dropped, [], 'endpoints dropped');
      holds(found.timings.roundTrips <= 2, 'two round trips with warm connections');
      await a.client.addContact(b.address);
      await until('request', () => b.requests.length === 1);
      same(b.requests, [a.address], 'who asks');
      const id = await a.client.send(b.address, 'Grüße ✉');
      holds(!b.client.contacts()[0]!.established, 'no keys before the user agreed');
      await b.client.accept(a.address);
      await until('message', () => b.messages.length === 1);
      await until('confirmation', () => a.delivered.length === 1);
      same(a.delivered[0]!.id, id, 'which message was confirmed');
      same(b.texts, ['Grüße ✉'], 'text');
      await b.client.send(a.address, 'and back');
      await until('answer', () => a.messages.length === 1 && b.delivered.length === 1);
      const states = a.client.history(b.address).map((m) => [m.direction, m.state]);
      same(
        states,
        [
          ['out', 'delivered'],
          ['in', 'received'],
        ],
        'history',
      );
      const stages = new Set(a.stages.map((s) => s.stage));
      same([...stages].sort(), [1, 2, 3, 4, 5, 6], 'stages narrated');
      await stop(a, b);
    },
  },
  {
    name: 'tells the sender that a text was read, unless that is switched off',
    async run(env) {
      const [a, b] = await friends(env);
      const read: string[] = [];
      a.client.on('read', (r) => read.push(r.id));
      const id = await a.client.send(b.address, 'look');
      await until('message', () => b.messages.length === 1);
      await b.client.markRead(a.address, id);
      await until('read', () => read.length === 1);
      same([read, a.client.history(b.address).at(-1)!.state], [[id], 'read'], 'read mark');
      await stop(a, b);
    },
  },
  {
    name: 'an address nobody knows is offline, after every relay of its sector was asked',
    async run(env) {
      const a = await join(env, 'w3', { limits: { presenceAnswerMs: 200 } });
      await until('own sector known', () => a.client.relays.length === 3);
      const unknown = await StarlingClient.open({
        wallet: await env.wallet('w5'),
        network: env.network,
        relays: [],
        dial: env.dial,
        storage: new MemoryStorage(),
        ...(env.engine === undefined ? {} : { engine: env.engine }),
      });
      const found = await a.client.find(unknown.address);
      same([found.publicKey, found.endpoints], [null, []], 'nothing found');
      same(new Set(found.relaysAsked).size, 3, 'relays asked');
      await stop(a);
    },
  },
  {
    name: 'two devices of one wallet both receive',
    async run(env) {
      const [a, b] = await friends(env);
      const storage = await cloned(b.storage, await env.storage());
      const b2 = await join(env, 'w4', { relay: 2, storage });
      await known(a, b, 2);
      await a.client.send(b.address, 'to all of you');
      await until('both', () => b.texts.length === 1 && b2.texts.length === 1);
      await until('confirmed', () => a.delivered.length === 1);
      same([b.texts, b2.texts], [['to all of you'], ['to all of you']], 'texts');
      await stop(a, b, b2);
    },
  },
  {
    name: 'a restart in the middle of a conversation loses nothing and repeats nothing',
    async run(env) {
      const [a, b] = await friends(env);
      await a.client.send(b.address, 'one');
      await until('one', () => b.texts.length === 1);
      await b.client.stop();
      await a.client.send(b.address, 'two');
      await a.client.send(b.address, 'three');
      await a.client.stop();
      const a2 = await join(env, 'w3', { storage: a.storage });
      const b2 = await join(env, 'w4', { storage: b.storage, relay: 1 });
      await until('the rest', () => b2.texts.length === 2);
      await b2.client.send(a2.address, 'four');
      await until('four', () => a2.texts.length === 1);
      await until('all confirmed', () => a2.client.contacts()[0]!.unconfirmed === 0);
      const texts = b2.client.history(a.address).map((m) => m.text);
      same(texts, ['one', 'two', 'three', 'four'], 'history');
      same([b.texts, b2.texts], [['one'], ['two', 'three']], 'events');
      await stop(a2, b2);
    },
  },
  {
    name: 'a message delivered several times reaches the application once',
    async run(env) {
      const twice = tapped(env.dial, { write: (b) => (isStreamFrame(b) ? [b, b] : [b]) });
      let lost = 0;
      let lossy = false;
      const dropping = tapped(env.dial, {
        write: (b) => {
          if (!lossy || lost >= 5 || !isStreamFrame(b)) return [b];
          lost++;
          return [];
        },
      });
      const [a, b] = await friends(env, { dial: twice }, { dial: dropping });
      lossy = true; // the receipts of the first copies are lost: they come again
      for (const text of numbered(5)) await a.client.send(b.address, text);
      await until('all confirmed', () => a.delivered.length === 5);
      same(b.texts, numbered(5), 'texts');
      same(a.delivered.length, new Set(a.delivered.map((d) => d.id)).size, 'confirmations');
      await stop(a, b);
    },
  },
  {
    name: 'the death of the receiver’s primary relay loses nothing, and confirmations flow again soon',
    async run(env) {
      const [a, b] = await friends(env);
      let killedMs = 0;
      await stream(a, b, 60, async () => {
        killedMs = Date.now();
        await env.kill(b.client.primaryRelay!);
      });
      await until('all arrive', () => b.texts.length >= 60 && a.delivered.length >= 60);
      same([...b.texts].sort(), numbered(60).sort(), 'each text once');
      const after = a.delivered.find((d) => d.atMs > killedMs + 300)!;
      holds(after.atMs - killedMs < 5_000, `flow again after ${after.atMs - killedMs} ms`);
      await stop(a, b);
    },
  },
  {
    name: 'the death of the sender’s primary relay loses nothing',
    async run(env) {
      const [a, b] = await friends(env);
      await stream(a, b, 60, () => env.kill(a.client.primaryRelay!));
      await until('all arrive', () => b.texts.length >= 60 && a.delivered.length >= 60);
      same([...b.texts].sort(), numbered(60).sort(), 'each text once');
      await stop(a, b);
    },
  },
  {
    name: 'a relay that hangs is left, and messages go round it',
    async run(env) {
      let hung = '';
      const dial = tapped(env.dial, { frozen: (remote) => remote === hung });
      const linkLimits = { silenceMs: 1_500, pingIdleMs: 300, tickMs: 100 };
      const [a, b] = await friends(env, { dial }, { dial, linkLimits });
      hung = b.client.primaryRelay!;
      await a.client.send(b.address, 'past the dead');
      await until('left', () => b.client.primaryRelay !== hung, 5_000);
      await until('message', () => b.texts.length === 1);
      same(b.texts, ['past the dead'], 'texts');
      await stop(a, b);
    },
  },
];
