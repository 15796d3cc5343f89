import { resolve } from 'node:path';
import { Child } from '../../../src/cli/devnet/child.js';
import { systemClock } from '../../../src/clock/index.js';
import { Counters } from '../../../src/counters/index.js';
import type { VerifyEngine } from '../../../src/identity/index.js';
import {
  type HeldTicket,
  Link,
  type LinkClose,
  type SelfInfo,
  type TicketStore,
} from '../../../src/link/index.js';
import { dialNodeWs, dialTcp } from '../../../src/link/node/index.js';
import type { Identities, Identity } from '../../../src/load/index.js';
import {
  decodeStreamMessage,
  encodeStreamMessage,
  StreamMessageType,
  streamMessage,
} from '../../../src/messages/index.js';
import { Code, NETWORKS } from '../../../src/wire/index.js';

const MAIN = resolve(import.meta.dirname, '../../../dist/cli/main.js');
/** All clients together send at most so many messages a second: the relay under them is not what is measured. */
const messagesPerSecond = Number(process.env.STARLING_MESSAGES ?? 2_000);
const turnMs = 20;
/** What came back undelivered goes out again after so long, doubled each time up to the second value. */
const againMsMin = 100;
const againMsMax = 2_000;
/** Without a receipt a message goes out again after so long. */
const receiptMs = 3_000;
/** Newcomers that say their hello at a time. */
const newcomersMax = 128;

/** A relay in processes of its own. */
export interface Up {
  readonly child: Child;
  readonly folder: string;
  readonly port: number;
  readonly wsPort: number;
  readonly ops: number;
  readonly api: number;
}

export async function startRelay(folder: string, wallet: string, args: readonly string[]): Promise<Up> {
  const child = new Child('relay', MAIN, [
    ...['relay', '--json', '--networkType', 'regtest', '--standalone', '--ip', '127.0.0.1'],
    ...['--port', '0', '--wsPort', '0', '--opsBind', '127.0.0.1:0', '--apiport', '0'],
    ...['--wallet', wallet, '--dataFolderPath', folder, ...args],
  ]);
  const event = (name: string) => child.waitFor(name, 60_000, (e) => e.event === name);
  const started = await event('started');
  const [ops, api] = [(await event('ops_listening')).port, (await event('api_listening')).port];
  return { child, folder, port: started.port, wsPort: started.wsPort, ops, api } as Up;
}

export async function until(
  what: string,
  probe: () => boolean | Promise<boolean>,
  ms = 60_000,
): Promise<void> {
  const end = Date.now() + ms;
  while (!(await probe())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((r) => setTimeout(r, 10));
  }
}

export const metric = async (up: Up, name: string): Promise<number> => {
  const page = await (await fetch(`http://127.0.0.1:${up.ops}/metrics`)).text();
  return page
    .split('\n')
    .filter((l) => l.startsWith(`${name}{`) || l.startsWith(`${name} `))
    .reduce((sum, l) => sum + Number(l.split(' ').at(-1)), 0);
};

const numberOf = (id: Uint8Array): number =>
  new DataView(id.buffer, id.byteOffset, id.byteLength).getUint32(0, true);
/** Last byte of the id of a receipt. */
const RECEIPT = 1;

export interface ClientOptions {
  readonly engine: VerifyEngine;
  /** Over WebSocket instead of TCP. */
  readonly web?: boolean;
  /** Comes back with tickets, as clients of Starling do and others do not. */
  readonly tickets?: boolean;
}

/** A client that comes back whenever its connection ends, and counts what it gets by message. */
export class Client {
  readonly identity: Identity;
  /** How often each message came, by its number. */
  readonly got = new Map<number, number>();
  /** Own messages that nobody took, to be sent again. */
  readonly again: number[] = [];
  readonly closes: LinkClose[] = [];
  /** Own messages without a receipt, and when they went out last; null where receipts are not asked for. */
  unconfirmed: Map<number, number> | null = null;
  /** How often a message went out again for want of a receipt. */
  repeats = 0;
  refused = 0;
  link: Link | null = null;
  /** The relay of its last connection. */
  connectedTo: Up | null = null;
  sent = 0;
  #held: HeldTicket | null = null;
  #ended = false;
  #againAtMs = 0;
  #againMs = againMsMin;

  constructor(
    identities: Identities,
    index: number,
    /** Where it connects; another relay may take the place of the first. */
    public up: Up,
    private readonly options: ClientOptions,
  ) {
    this.identity = identities.at(index);
    void this.#connect();
  }

  get open(): boolean {
    return this.link?.isOpen === true;
  }

  async #connect(): Promise<void> {
    const { up, identity } = this;
    if (this.#ended) return;
    const { engine, web, tickets } = this.options;
    const endpoint = `127.0.0.1:${up.port}`;
    let transport: Awaited<ReturnType<typeof dialTcp>>;
    try {
      transport =
        web === true
          ? await dialNodeWs(`ws://127.0.0.1:${up.wsPort}/ixian`)
          : await dialTcp({ host: '127.0.0.1', port: up.port, timeoutMs: 30_000 });
    } catch {
      this.refused++;
      setTimeout(() => void this.#connect(), 200);
      return;
    }
    const self: SelfInfo = {
      network: NETWORKS.reg,
      nodeType: 'C',
      address: identity.address,
      publicKey: identity.publicKey,
      productVersion: 'test-1.0',
      deviceId: identity.deviceId,
      publicEndpoint: () => ({ ip: '127.0.0.1', port: up.port }),
      networkTimeMs: () => Date.now(),
      tip: () => null,
      sign: (r) => Promise.resolve(identity.sign(r.message)),
    };
    this.connectedTo = up;
    this.link = new Link(transport, {
      direction: 'out',
      self,
      clock: systemClock,
      engine,
      counters: new Counters(),
      policy: { expectedEndpoints: [endpoint] },
      ...(tickets === true ? { tickets: this.#tickets() } : {}),
      handlers: {
        onMessage: (_link, code, payload) => this.#message(code, payload),
        onClose: (_link, close) => {
          this.closes.push(close);
          setTimeout(() => void this.#connect(), 20 + Math.random() * 200);
        },
      },
    });
  }

  #tickets(): TicketStore {
    return {
      take: () => {
        const t = this.#held;
        this.#held = null;
        return t;
      },
      put: (t) => {
        this.#held = t;
      },
      open: (sealed) => Promise.resolve(this.identity.open(sealed)),
    };
  }

  /** Tickets of the relay it was at are nothing to another one. */
  moveTo(up: Up): void {
    this.up = up;
    this.#held = null;
  }

  #message(code: number, payload: Uint8Array): void {
    if (code !== Code.s2data) return;
    const m = decodeStreamMessage(payload);
    const id = m.type === StreamMessageType.error ? m.data! : m.id;
    const n = numberOf(id);
    if (m.type === StreamMessageType.error) {
      if (id[15] !== RECEIPT) this.#undelivered(n);
      return;
    }
    if (id[15] === RECEIPT) {
      this.unconfirmed?.delete(n);
      return;
    }
    this.got.set(n, (this.got.get(n) ?? 0) + 1);
    if (this.unconfirmed !== null) this.#send(m.sender!, n, RECEIPT);
  }

  #undelivered(n: number): void {
    this.again.push(n);
    if (this.again.length > 1) return;
    this.#againAtMs = Date.now() + this.#againMs;
    this.#againMs = Math.min(2 * this.#againMs, againMsMax);
  }

  /** Its turn: what nobody took once more, else something new. */
  turn(to: Client): void {
    if (!this.open) return;
    const now = Date.now();
    if (this.again.length > 0) {
      if (now >= this.#againAtMs) for (const n of this.again.splice(0)) this.#say(to, n);
      return;
    }
    this.#againMs = againMsMin;
    if (this.unconfirmed !== null) this.#repeat(to, now);
    if (this.#say(to, this.sent)) this.sent++;
  }

  /** What it still has to send, without anything new. */
  rest(to: Client): void {
    if (!this.open) return;
    for (const n of this.again.splice(0)) this.#say(to, n);
    this.#repeat(to, Date.now());
  }

  #repeat(to: Client, now: number): void {
    for (const [n, sentMs] of this.unconfirmed ?? [])
      if (now - sentMs > receiptMs && this.#say(to, n)) this.repeats++;
  }

  /** True when the relay has taken it, as far as a sender can know. */
  #say(to: Client, n: number): boolean {
    const taken = this.#send(to.identity.address, n, 0);
    if (!taken && n < this.sent) this.again.push(n);
    if (taken) this.unconfirmed?.set(n, Date.now());
    return taken;
  }

  #send(recipient: Uint8Array, n: number, kind: number): boolean {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, n, true);
    id[15] = kind;
    const message = streamMessage({
      id,
      type: StreamMessageType.data,
      sender: this.identity.address,
      recipient,
      data: new Uint8Array(kind === RECEIPT ? 1 : 256),
      timestamp: BigInt(Math.floor(Date.now() / 1000)),
    });
    return this.link?.send(Code.s2data, encodeStreamMessage(message)) === true;
  }

  end(): void {
    this.#ended = true;
    this.link?.destroy();
  }
}

export interface CrowdOptions {
  readonly engine: VerifyEngine;
  readonly identities: Identities;
}

/**
 * `n` connected clients: every tenth over WebSocket, every fourth without tickets, as clients of other makes are.
 * `into` has them from their first moment on.
 */
export async function crowd(up: Up, n: number, into: Client[], o: CrowdOptions): Promise<Client[]> {
  const all: Client[] = [];
  await until(
    'all are in',
    () => {
      for (let i = all.filter((c) => !c.open).length; i < newcomersMax && all.length < n; i++) {
        const index = all.length;
        const options = { engine: o.engine, web: index % 10 === 9, tickets: index % 4 !== 3 };
        const client = new Client(o.identities, index, up, options);
        all.push(client);
        into.push(client);
      }
      return all.length === n && all.every((c) => c.open);
    },
    180_000,
  );
  return all;
}

/** Each client sends to its neighbour in turn; what came back undelivered goes out again. */
export class Traffic {
  readonly #timer: NodeJS.Timeout;
  readonly #all: readonly Client[];
  /** How many each had sent before. */
  readonly #from: readonly number[];

  constructor(all: readonly Client[], perSecond: number = messagesPerSecond) {
    this.#all = all;
    this.#from = all.map((c) => c.sent);
    let turn = 0;
    const each = Math.min(all.length, Math.ceil((perSecond * turnMs) / 1000));
    this.#timer = setInterval(() => {
      for (let k = 0; k < each; k++, turn++) all[turn % all.length]!.turn(this.#to(turn));
    }, turnMs);
  }

  #to(i: number): Client {
    return this.#all[(i + 1) % this.#all.length]!;
  }

  /** Ends it and delivers what is still to be sent again. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    let calm = 0;
    await until('nothing is under way', async () => {
      for (const [i, c] of this.#all.entries()) c.rest(this.#to(i));
      await new Promise((r) => setTimeout(r, 100));
      const done = (c: Client) => c.again.length === 0 && c.open && (c.unconfirmed?.size ?? 0) === 0;
      calm = this.#all.every(done) ? calm + 1 : 0;
      return calm > 0 && (this.missing().length === 0 || calm > 20);
    });
  }

  /** Messages that were taken and never came. */
  missing(): string[] {
    return this.#all.flatMap((c, i) =>
      Array.from({ length: c.sent - this.#from[i]! }, (_x, n) => n + this.#from[i]!)
        .filter((n) => !this.#to(i).got.has(n))
        .map((n) => `${i}:${n}`),
    );
  }

  /** Messages that came more than once. */
  repeated(): number {
    return this.#all.reduce((sum, c) => sum + [...c.got.values()].filter((n) => n > 1).length, 0);
  }

  get total(): number {
    return this.#all.reduce((sum, c, i) => sum + c.sent - this.#from[i]!, 0);
  }
}

/** How their connections ended, and how often each way. */
export function endsOf(all: readonly Client[]): Record<string, number> {
  const out: Record<string, number> = {};
  for (const c of all)
    for (const { why, byeCode } of c.closes) {
      const how = `${why} ${byeCode ?? ''}`.trim();
      out[how] = (out[how] ?? 0) + 1;
    }
  return out;
}

export const sum = (all: readonly Client[], of: (c: Client) => number): number =>
  all.reduce((n, c) => n + of(c), 0);
