import { createServer, type Server } from 'node:net';
import { MemoryHub, type MeshBus } from '../../src/cluster/index.js';
import { Counters } from '../../src/counters/index.js';
import { decodeStreamMessage, encodeStreamMessage, StreamMessageType } from '../../src/messages/index.js';
import { Relay, type RelayOptions } from '../../src/relay/index.js';
import { Code, NETWORKS } from '../../src/wire/index.js';
import { engine, signerOf, type Watched } from '../link/support.js';
import { connected, nowSeconds, until } from '../relay/support.js';

export interface Stage {
  readonly relays: Relay[];
  readonly buses: MeshBus[];
  readonly counters: Counters[];
  /** Which process the next connections go to. */
  next: number;
  /** What `connect` needs: the port of all. */
  readonly front: Relay;
  /** One process more. */
  add(): Promise<void>;
  stop(): Promise<void>;
}

const stages: Stage[] = [];
let names = 1;

export async function stopStages(): Promise<void> {
  for (const s of stages.splice(0)) await s.stop();
}

/** Processes of one relay within this one, behind one listener. */
export async function stage(n: number, over: Partial<RelayOptions> = {}): Promise<Stage> {
  const hub = new MemoryHub();
  const relays: Relay[] = [];
  const buses: MeshBus[] = [];
  const counters: Counters[] = [];
  let server: Server;
  const first = names;
  const s: Stage = {
    relays,
    buses,
    counters,
    next: 0,
    front: {
      get port() {
        return (server.address() as { port: number }).port;
      },
    } as Relay,
    add: () => addProcess(s, hub, `w${first}`, over),
    stop: async () => {
      for (const r of relays) await r.stop();
      for (const b of buses) await b.close();
      server.close();
    },
  };
  server = createServer({ pauseOnConnect: true }, (socket) => relays[s.next]!.adopt(socket));
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  stages.push(s);
  for (let i = 0; i < n; i++) await addProcess(s, hub, `w${first}`, over);
  return s;
}

async function addProcess(
  s: Stage,
  hub: MemoryHub,
  leader: string,
  over: Partial<RelayOptions>,
): Promise<void> {
  const c = new Counters();
  const bus = hub.join({
    self: `w${names++}`,
    counters: c,
    onError: (_t, e) => {
      throw e;
    },
  });
  s.buses.push(bus);
  s.counters.push(c);
  await until('joined', () => bus.members.length === s.buses.length - 1);
  s.relays.push(
    await Relay.start({
      network: NETWORKS.reg,
      signer: await signerOf('w0'),
      externalIp: '127.0.0.1',
      standalone: true,
      engine: await engine(),
      wsPort: null,
      counters: c,
      cluster: { bus, leader, port: s.front.port, wsPort: null },
      ...over,
    }),
  );
}

export async function clientAt(
  s: Stage,
  process: number,
  wallet: string,
  o: { device?: number; localAddress?: string } = {},
): Promise<Watched> {
  s.next = process;
  return connected(s.front, {
    wallet,
    deviceId: Uint8Array.of(o.device ?? 9),
    ...(o.localAddress === undefined ? {} : { localAddress: o.localAddress }),
  });
}

export async function message(
  from: string,
  to: string,
  n = 1,
  data = new Uint8Array(20).fill(5),
): Promise<Uint8Array> {
  return encodeStreamMessage({
    version: 1,
    id: Uint8Array.of(n & 255, n >> 8, 7),
    type: StreamMessageType.data,
    encryptionType: 0,
    sender: (await signerOf(from)).address,
    recipient: (await signerOf(to)).address,
    data,
    timestamp: BigInt(nowSeconds()),
    signature: null,
    transaction: null,
    sigdata: null,
    encryptedHint: false,
    requireRcvConfirmation: true,
  });
}
export const got = (w: Watched): number => w.messages.filter((m) => m.code === Code.s2data).length;
export const failures = (w: Watched): string[] =>
  w.messages
    .filter((m) => m.code === Code.s2data)
    .map((m) => decodeStreamMessage(m.payload))
    .filter((m) => m.type === StreamMessageType.error)
    .map((m) => Buffer.from(m.data ?? []).toString('hex'));
export const total = (s: Stage, name: string, labels: Record<string, string>): number =>
  s.counters.reduce((sum, c) => sum + c.counter(name, '', labels).value, 0);

/** Waits until every process knows of so many connections of the others. */
export const told = (s: Stage, connections: number): Promise<void> =>
  until('all processes know all connections', () =>
    s.relays.every((r) => r.control.connectionsKnown === connections),
  );
