import { type Clock, type ManualClock, systemClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import type { Signer, VerifyEngine } from '../../src/identity/index.js';
import {
  type HandshakePolicy,
  type HeldTicket,
  memoryPair,
  type TicketIssuer,
  type TicketStore,
  type Transport,
} from '../../src/link/index.js';
import { TicketKeys } from '../../src/relay/ticket-keys.js';
import { Tickets } from '../../src/relay/tickets.js';
import { encodeFrame, encodeTimeRecords, StreamParser } from '../../src/wire/index.js';
import { engine, selfInfo, signerOf, until, Watched } from './support.js';

/** Where a test's client keeps its one ticket. */
export class Pocket implements TicketStore {
  held: HeldTicket | null = null;
  taken: HeldTicket[] = [];
  constructor(private readonly signer: Signer) {}
  take(): HeldTicket | null {
    const t = this.held;
    this.held = null;
    if (t !== null) this.taken.push(t);
    return t;
  }
  put(t: HeldTicket): void {
    this.held = t;
  }
  async open(sealed: Uint8Array): Promise<Uint8Array | null> {
    return this.signer.decryptOaep(sealed).catch(() => null);
  }
}

export async function pocketOf(wallet: string): Promise<Pocket> {
  return new Pocket(await signerOf(wallet));
}

export interface ConnectOptions {
  readonly wallet?: string;
  readonly deviceId?: Uint8Array;
  readonly productVersion?: string;
  readonly source?: string;
  /** What the client signs its hello over. */
  readonly endpoint?: { ip: string; port: number };
  readonly policy?: HandshakePolicy;
  readonly clientPolicy?: HandshakePolicy;
  readonly issuer?: TicketIssuer | null;
  readonly forged?: boolean;
  readonly clock?: Clock;
  /** Sees, and may change, every frame between the two. */
  readonly tap?: Tap;
}

export interface Frame {
  readonly from: 'client' | 'relay';
  readonly code: number;
  readonly payload: Uint8Array;
}
/** Null: the frame is lost. */
export type Tap = (frame: Frame) => { code: number; payload: Uint8Array } | null;

/** Somebody on the path between a client and a relay. */
function middle(source: string, tap: Tap): readonly [Transport, Transport] {
  const [client, a] = memoryPair({ addresses: [source, '127.0.0.1'] });
  const [b, relay] = memoryPair({ addresses: [source, '127.0.0.1'] });
  const pass = (from: 'client' | 'relay', input: Transport, output: Transport): void => {
    const parser = new StreamParser({ payloadMax: () => 1 << 20 });
    input.start({
      data: (chunk) =>
        parser.push(chunk, {
          frame: (code, payload) => {
            const out = tap({ from, code, payload: payload.slice() });
            if (out !== null) output.write(encodeFrame(out.code, out.payload));
          },
          time: () => {
            // All five records are as good as the first one: the clocks agree.
            output.write(encodeTimeRecords(Date.now()).subarray(0, 9));
          },
          byte: () => undefined,
        }),
      drain: () => undefined,
      close: () => output.end(),
    });
  };
  pass('client', a, b);
  pass('relay', b, a);
  return [client, relay];
}

/** A relay with tickets, as far as one link needs it. */
export async function world(
  over: { clock?: ManualClock; keys?: TicketKeys; nowSeconds?: () => number } = {},
) {
  const clock: Clock = over.clock ?? systemClock;
  const nowSeconds = over.nowSeconds ?? (() => Math.floor(clock.nowMs() / 1000));
  const keys =
    over.keys ??
    (await TicketKeys.open(null, nowSeconds, (e) => {
      throw e;
    }));
  const counters = new Counters();
  const tickets = new Tickets(keys, counters, nowSeconds);
  let rsa = 0;
  const real = await engine();
  const counting: VerifyEngine = {
    name: real.name,
    get operations() {
      return real.operations;
    },
    verify: (items) => {
      rsa += items.length;
      return real.verify(items);
    },
    close: () => Promise.resolve(),
  };
  const counted = (result: string): number => {
    for (const s of counters.samples())
      if (s.name === 'ixian_resumptions_total' && s.labels.result === result && 'value' in s.metric)
        return s.metric.value;
    return 0;
  };
  const connect = async (
    tickets_: TicketStore | null,
    o: ConnectOptions = {},
  ): Promise<{ client: Watched; relay: Watched }> => {
    const source = o.source ?? '10.0.0.9';
    const c = o.clock ?? clock;
    const counts = async (wallet: string) => {
      const signer = await signerOf(wallet);
      return async ({ message }: { message: Uint8Array }) => {
        rsa++;
        return o.forged === true && wallet !== 'w0' ? new Uint8Array(512) : signer.sign(message);
      };
    };
    const [dialler, accepted] =
      o.tap === undefined ? memoryPair({ addresses: [source, '127.0.0.1'] }) : middle(source, o.tap);
    const wallet = o.wallet ?? 'w1';
    const relay = new Watched(accepted, {
      direction: 'in',
      self: await selfInfo(c, { wallet: 'w0', sign: await counts('w0') }),
      clock: c,
      engine: counting,
      ...(o.issuer === null ? {} : { issuer: o.issuer ?? tickets }),
      ...(o.policy === undefined ? {} : { policy: o.policy }),
    });
    const client = new Watched(dialler, {
      direction: 'out',
      self: await selfInfo(c, {
        wallet,
        nodeType: 'C',
        endpoint: o.endpoint ?? { ip: '', port: 0 },
        deviceId: o.deviceId ?? Uint8Array.of(4, 5, 6),
        sign: await counts(wallet),
        ...(o.productVersion === undefined ? {} : { productVersion: o.productVersion }),
      }),
      clock: c,
      engine: counting,
      policy: { expectedEndpoints: ['127.0.0.1:11235'], ...o.clientPolicy },
      ...(tickets_ === null ? {} : { tickets: tickets_ }),
    });
    return { client, relay };
  };
  /** A session with a ticket in the pocket, cut again. */
  const visit = async (pocket: Pocket, o: ConnectOptions = {}): Promise<HeldTicket> => {
    const { client, relay } = await connect(pocket, o);
    await until(() => relay.opened > 0 && pocket.held !== null, 'a first session with a ticket');
    client.link.destroy();
    return pocket.held!;
  };
  return { clock, tickets, keys, counted, connect, visit, rsa: () => rsa };
}
