import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { expect } from 'vitest';
import { MemoryStorage } from '../../src/client/index.js';
import { dialTcpRelay } from '../../src/client/node/index.js';
import { crc32c } from '../../src/core/index.js';
import type { Counters } from '../../src/counters/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { type Party, type SuiteEnv, until } from '../client/suite.js';
import { testWallet, type World } from '../client/world.js';
import { engine } from '../link/support.js';

export { until };
export const sleep = (ms: number): Promise<void> => new Promise((r) => setTimeout(r, ms));
const utf8 = new TextEncoder();

/** The world as the client's suite wants it; `through` replaces the address that clients dial. */
export async function envOf(
  world: World,
  through: (endpoint: string) => string = (e) => e,
): Promise<SuiteEnv> {
  const dial = dialTcpRelay();
  return {
    network: NETWORKS.reg,
    relays: world.relays.map((r) => ({
      endpoint: r.endpoint,
      seed: { host: r.endpoint },
    })),
    dial: (target) => {
      const at = target.endpoint ?? target.host ?? '';
      return dial({
        ...target,
        ...(target.endpoint === undefined ? { host: through(at) } : { endpoint: through(at) }),
      });
    },
    engine: await engine(),
    wallet: testWallet,
    storage: () => Promise.resolve(new MemoryStorage()),
    kill: async (endpoint) => world.relays.find((r) => r.endpoint === endpoint)?.kill(),
  };
}

/** Text with a number and a checksum over both parties, so that neither damage nor misdelivery passes. */
function textOf(from: string, to: string, n: number): string {
  const body = `${n} ${'x'.repeat(n % 200)}`;
  return `${body}|${crc32c(utf8.encode(`${from}>${to}|${body}`)).toString(16)}`;
}

/** Sends numbered messages one way at a steady pace and holds what must be true of them. */
export class Conversation {
  readonly #sent = new Map<string, string>();
  #timer: NodeJS.Timeout | null = null;
  #n = 0;

  constructor(
    readonly from: Party,
    readonly to: Party,
  ) {}

  get sent(): number {
    return this.#n;
  }

  start(perSecond: number): this {
    this.#timer = setInterval(() => void this.#one(), 1000 / perSecond);
    return this;
  }

  async #one(): Promise<void> {
    const text = textOf(this.from.address, this.to.address, this.#n++);
    this.#sent.set(await this.from.client.send(this.to.address, text), text);
  }

  /** Stops sending and waits until every message is confirmed: none lost, none twice, none to anybody else. */
  async settled(ms = 60_000): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await until('all sent', () => this.#sent.size === this.#n, ms);
    const confirmed = (): Set<string> => new Set(this.from.delivered.map((d) => d.id));
    await until(
      'all confirmed',
      () => {
        const c = confirmed();
        return [...this.#sent.keys()].every((id) => c.has(id));
      },
      ms,
    );
    const got = this.to.messages.filter((m) => m.address === this.from.address).map((m) => m.text);
    expect([...got].sort()).toEqual([...this.#sent.values()].sort());
  }
}

/** Value of a counter, all samples with these labels together. */
export function count(
  counters: Counters,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  let sum = 0;
  for (const s of counters.samples())
    if (s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v) && 'value' in s.metric)
      sum += s.metric.value;
  return sum;
}

/**
 * Stream messages: what came in was handed on or dropped with a reason. A message is handed on once per session of its
 * wallet, so with `copies` there may be more of them.
 */
export function addsUp(counters: Counters, { copies = false } = {}): void {
  const dropped = count(counters, 'ixian_messages_dropped_total');
  const forwarded = count(counters, 'ixian_relay_messages_total', { result: 'forwarded' });
  const received = count(counters, 'ixian_messages_received_total');
  if (copies) expect(forwarded + dropped).toBeGreaterThanOrEqual(received);
  else expect(forwarded + dropped).toBe(received);
}

/** Bytes of live objects and buffers after a collection. */
export async function liveBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    await sleep(50);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Memory is back to within 10 % of what it was. */
export async function memoryIsBack(before: number): Promise<void> {
  let now = await liveBytes();
  for (let i = 0; i < 20 && now > 1.1 * before; i++) {
    await sleep(200);
    now = await liveBytes();
  }
  expect(now / before).toBeLessThan(1.1);
}

/** A TCP proxy that damages what passes when told so. */
export class LossyProxy {
  readonly #sockets = new Set<Socket>();
  /** Bytes cut out of the next chunk towards the clients and towards the relay. */
  cut = { down: 0, up: 0 };
  cuts = 0;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async to(port: number): Promise<LossyProxy> {
    let proxy: LossyProxy | null = null;
    const server = createServer((near) => {
      const far = netConnect({ host: '127.0.0.1', port });
      const pass = (from: Socket, into: Socket, way: 'up' | 'down'): void => {
        proxy!.#sockets.add(from);
        from.on('data', (chunk: Buffer) => into.write(proxy!.#through(chunk, way)));
        from.on('error', () => undefined);
        from.on('close', () => {
          proxy!.#sockets.delete(from);
          into.destroy();
        });
      };
      pass(near, far, 'up');
      pass(far, near, 'down');
    });
    await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
    const at = server.address();
    if (at === null || typeof at === 'string') throw new Error('no port');
    proxy = new LossyProxy(server, at.port);
    return proxy;
  }

  /** Loses bytes in the middle of a chunk that is larger than a ping. */
  #through(chunk: Buffer, way: 'up' | 'down'): Buffer {
    const n = this.cut[way];
    if (n === 0 || chunk.length < 40) return chunk;
    this.cut[way] = 0;
    this.cuts++;
    const at = Math.floor(chunk.length / 2);
    return Buffer.concat([chunk.subarray(0, at), chunk.subarray(Math.min(chunk.length, at + n))]);
  }

  close(): void {
    for (const s of this.#sockets) s.destroy();
    this.server.close();
  }
}
