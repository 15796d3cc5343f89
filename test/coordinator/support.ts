import { ManualClock } from '../../src/clock/index.js';
import { Coordinator, type CoordinatorEvent, type CoordinatorOptions } from '../../src/coordinator/index.js';
import { Counters } from '../../src/counters/index.js';
import {
  createSigner,
  createVerifyEngine,
  type Signer,
  type VerifyEngine,
} from '../../src/identity/index.js';
import { Link, memoryPair, type SelfInfo } from '../../src/link/index.js';
import {
  addressOf,
  encodeKeepAlive,
  encodePresence,
  type KeepAlive,
  signKeepAlive,
} from '../../src/presence/index.js';
import { Code, fromHex, NETWORKS } from '../../src/wire/index.js';
import { vectorContext } from '../support/vectors.js';

/** A moment at which every test begins. */
export const START_MS = 1_770_000_000_000;

const signers = new Map<string, Promise<Signer>>();

/** A wallet of the golden files: alice, bob, carol, dave. Public keys: for tests only. */
export function wallet(name: string): Promise<Signer> {
  let s = signers.get(name);
  if (s === undefined) {
    s = createSigner(fromHex(vectorContext().find('streaming-wallets.json', name).in.privateKey as string));
    signers.set(name, s);
  }
  return s;
}

let engine: Promise<VerifyEngine> | undefined;
export const sharedEngine = (): Promise<VerifyEngine> => (engine ??= createVerifyEngine());

/** Lets everything that needs no clock happen: deliveries, signatures, file writes. */
export async function settle(turns = 6): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((r) => setImmediate(r));
}

/** Waits in real time until something holds; the coordinator's own clock stands still meanwhile. */
export async function until(holds: () => boolean, what = 'condition'): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (holds()) return;
    await new Promise((r) => setTimeout(r, 2));
  }
  throw new Error(`never: ${what}`);
}

export interface Stage {
  readonly coordinator: Coordinator;
  readonly clock: ManualClock;
  readonly events: CoordinatorEvent[];
  /** Moves the clock second by second, so that pings and answers flow. */
  pass(seconds: number): Promise<void>;
  /** Moves the clock until something holds, at most `secondsMax`. */
  passUntil(holds: () => boolean, secondsMax: number): Promise<void>;
}

/** A started coordinator of the regression network under a clock that stands still. */
export async function stage(options: Partial<CoordinatorOptions> = {}, startMs = START_MS): Promise<Stage> {
  const clock = new ManualClock(startMs);
  const events: CoordinatorEvent[] = [];
  const coordinator = new Coordinator({
    network: NETWORKS.reg,
    signer: await wallet('alice'),
    engine: await sharedEngine(),
    clock,
    onEvent: (e) => events.push(e),
    ...options,
  });
  await coordinator.start();
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      clock.advance(1000);
      await settle(3);
    }
    await settle();
  };
  const passUntil = async (holds: () => boolean, secondsMax: number): Promise<void> => {
    for (let i = 0; i < secondsMax && !holds(); i++) {
      await pass(1);
      // Files and signatures take real time.
      await new Promise((r) => setTimeout(r, 1));
    }
    await until(holds, `within ${secondsMax} s`);
  };
  return { coordinator, clock, events, pass, passUntil };
}

export interface Received {
  readonly code: number;
  readonly payload: Uint8Array;
}

/** A node that dialled the coordinator. */
export class Guest {
  readonly received: Received[] = [];
  closed: string | null = null;
  byeCode: number | null = null;
  link!: Link;
  #read = 0;

  private constructor(
    readonly signer: Signer,
    readonly type: string,
    readonly port: number,
    readonly clock: ManualClock,
  ) {}

  /** Dials in memory and waits for the handshake unless `waits` is false. */
  static async dial(s: Stage, name: string, type: string, port: number, waits = true): Promise<Guest> {
    const signer = await wallet(name);
    const g = new Guest(signer, type, port, s.clock);
    const [mine, theirs] = memoryPair({ poison: true });
    s.coordinator.accept(theirs);
    const ip = type === 'C' && port === 0 ? '' : '127.0.0.1';
    const self: SelfInfo = {
      network: NETWORKS.reg,
      nodeType: type,
      address: signer.address,
      publicKey: signer.publicKey,
      productVersion: 'xs2c-0.9.3b',
      deviceId: Uint8Array.of(1),
      publicEndpoint: () => ({ ip, port }),
      networkTimeMs: () => s.clock.nowMs(),
      tip: () => ({ number: 0, checksum: new Uint8Array(0), version: 0 }),
      sign: (r) => signer.sign(r.message),
    };
    g.link = new Link(mine, {
      direction: 'out',
      self,
      clock: s.clock,
      engine: await sharedEngine(),
      counters: new Counters(),
      // A memory pair has no port to observe, so the coordinator's endpoint is named.
      policy: { expectedEndpoints: [`127.0.0.1:${s.coordinator.port}`] },
      handlers: {
        onMessage: (_, code, payload) => g.received.push({ code, payload: payload.slice() }),
        onClose: (_, c) => {
          g.closed = c.why;
          g.byeCode = c.byeCode;
        },
      },
    });
    if (waits) await until(() => g.link.isOpen || g.closed !== null, `handshake of ${name}`);
    return g;
  }

  /** The next message of that code, skipping others; waits in real time. */
  async next(code: number): Promise<Uint8Array> {
    let found: Received | undefined;
    await until(() => {
      while (this.#read < this.received.length) {
        const m = this.received[this.#read++]!;
        if (m.code === code) {
          found = m;
          return true;
        }
      }
      return false;
    }, `message ${code}`);
    return found!.payload;
  }

  /** Messages of that code so far. */
  count(code: number): number {
    return this.received.filter((m) => m.code === code).length;
  }

  send(code: number, payload: Uint8Array): void {
    this.link.send(code, payload);
  }

  keepAlive(timestamp = Math.floor(this.clock.nowMs() / 1000)): Promise<KeepAlive> {
    const type = this.type as 'R' | 'C';
    const hostname = `127.0.0.1:${this.port}`;
    return signKeepAlive(
      { device: Uint8Array.of(1), timestamp, hostname, type, pow: null },
      this.signer,
      NETWORKS.reg,
    );
  }

  async sendKeepAlive(): Promise<void> {
    this.send(Code.keepAlivePresence, encodeKeepAlive(await this.keepAlive()));
  }

  async presence(): Promise<Uint8Array> {
    const ka = await this.keepAlive();
    return encodePresence({
      version: 1,
      wallet: this.signer.address,
      publicKey: this.signer.publicKey,
      metadata: null,
      addresses: [addressOf(ka, 'xs2c-0.9.3b')],
    });
  }

  async sendPresence(): Promise<void> {
    this.send(Code.updatePresence, await this.presence());
  }
}
