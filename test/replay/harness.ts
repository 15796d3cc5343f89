import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import { parseAddress, type Signer, type VerifyEngine } from '../../src/identity/index.js';
import { decodePresence } from '../../src/presence/index.js';
import { Relay, type RelayOptions } from '../../src/relay/index.js';
import {
  bytesEqual,
  bytesKey,
  Code,
  decodeHello,
  decodeSectorNodes,
  encodeFrame,
  encodeGetPresence2,
  NETWORKS,
} from '../../src/wire/index.js';
import { selfInfo, engine as sharedEngine, signerOf, Watched } from '../link/support.js';
import { RecordedMaster } from './master.js';
import { exchangesOf, type RecordedConnection, recording, type WireRecord } from './recording.js';
import { dialAs, dialRaw, type RawPeer } from './sockets.js';

/** Turns of the event loop without any new byte after which both ends have read what the other wrote. */
const quietTurns = 4;
/** Real time one step may take before the replay is called stuck. */
const stepMsMax = 10_000;
/** Where the recorded relay was reached, and where ours says it is. */
export const RELAY_IP = '10.77.0.3';
export const RELAY_PORT = 11235;
/** When the stand-in connects, milliseconds after the beginning. */
const standInMs = 1_000;
/** How long after its signing a presence from outside the recording reaches the relay. */
const deliveryMs = 1_000;

interface Event {
  readonly at: number;
  readonly run: () => void | Promise<void>;
}

/** One recorded client connection under replay. */
export interface ReplayedClient {
  readonly connection: RecordedConnection;
  peer: RawPeer | null;
  /** What it sent so far. */
  readonly sent: WireRecord[];
}

/**
 * Replays the two recorded sessions against one relay of ours over TCP on loopback: the recorded master listens
 * and the relay dials it; the recorded clients, and the master's probe, dial the relay. Everything happens at its
 * recorded time (`t0_unix_ms` + ms) of a clock that jumps from one event to the next as soon as no byte, no
 * signature and no verification is under way.
 *
 * What the recorded relay heard on connections that were not recorded is supplied where the recording itself
 * holds the content: one more client (`standIn`, a wallet of the test set) puts to our relay the questions that
 * the recorded relay forwarded for its other clients, and hands in the presences that it had from them.
 */
export class Replay {
  readonly clock: ManualClock;
  readonly counters = new Counters();
  readonly master: RecordedMaster;
  readonly clients: ReplayedClient[] = [];
  readonly probe: RecordedConnection;
  readonly log: { event: string; data: Readonly<Record<string, unknown>> }[] = [];
  probePeer: RawPeer | null = null;
  standIn: Watched | null = null;
  /** Questions the stand-in asked. */
  readonly standInAsked: WireRecord[] = [];
  relay!: Relay;
  readonly #extra: Event[] = [];
  #pending = 0;
  #peers: RawPeer[] = [];

  private constructor(master: RecordedMaster, clock: ManualClock, probe: RecordedConnection) {
    this.master = master;
    this.clock = clock;
    this.probe = probe;
  }

  static async start(over: Partial<RelayOptions> = {}): Promise<Replay> {
    const [link, probe] = recording('session-m-s2.json');
    const clock = new ManualClock(link!.t0);
    const replay = new Replay(await RecordedMaster.start(link!, clock), clock, probe!);
    for (const connection of recording('session-c98-s2.json'))
      replay.clients.push({ connection, peer: null, sent: [] });
    const recordedHello = decodeHello(link!.records.find((r) => r.code === Code.hello)!.payload);
    replay.relay = await Relay.start({
      network: NETWORKS.reg,
      signer: replay.#watchedSigner(await signerOf('w0')),
      engine: replay.#watchedEngine(await sharedEngine()),
      host: '127.0.0.1',
      port: 0,
      publicPort: RELAY_PORT,
      wsPort: null,
      externalIp: RELAY_IP,
      seeds: [{ host: link!.listenerAddress, wallet: null }],
      // The recorded helloData is signed over the recorded relay's challenge.
      challenge: recordedHello.challenge,
      clock,
      counters: replay.counters,
      dial: (host, port) =>
        `${host}:${port}` === link!.listenerAddress
          ? dialAs(replay.master.port, host)
          : Promise.reject(new Error(`${host}:${port} is not in the recording`)),
      log: (level, event, data) => {
        if (level === 'warn' || level === 'error') replay.log.push({ event, data: { ...data } });
      },
      ...over,
    });
    return replay;
  }

  #watched<T>(work: Promise<T>): Promise<T> {
    this.#pending++;
    return work.finally(() => {
      this.#pending--;
    });
  }

  #watchedSigner(s: Signer): Signer {
    return {
      publicKey: s.publicKey,
      address: s.address,
      sign: (m) => this.#watched(s.sign(m)),
      decryptOaep: (c) => s.decryptOaep(c),
    };
  }

  #watchedEngine(e: VerifyEngine): VerifyEngine {
    return {
      name: e.name,
      get operations() {
        return e.operations;
      },
      verify: (items) => this.#watched(e.verify(items)),
      close: () => Promise.resolve(),
    };
  }

  /** Waits, in real time, until nothing moves: both ends of every connection run in this process. */
  async quiet(): Promise<void> {
    const deadline = Date.now() + stepMsMax;
    let last = -1;
    for (let same = 0; same < quietTurns; ) {
      await new Promise((r) => setImmediate(r));
      let sum = this.counters.total('ixian_protocol_messages_total') + (this.standIn?.messages.length ?? 0);
      for (const p of this.#peers) sum += p.bytesIn + p.bytesOut + (p.ended ? 1 : 0);
      if (this.master.peer !== null) sum += this.master.peer.bytesIn + this.master.peer.bytesOut;
      same = sum === last && this.#pending === 0 ? same + 1 : 0;
      last = sum;
      if (Date.now() > deadline) throw new Error(`no rest at ${this.master.ms} ms of the recording`);
    }
  }

  /** Moves the clock, stopping at every timer on the way. */
  async advanceTo(at: number): Promise<void> {
    for (;;) {
      const due = this.clock.nextDueMs();
      if (due === null || due > at) break;
      this.clock.advanceTo(due);
      await this.quiet();
    }
    this.clock.advanceTo(at);
  }

  /** Something to do or to look at when that moment (Unix ms) comes, after what was recorded for it. */
  schedule(at: number, run: Event['run']): void {
    this.#extra.push({ at, run });
  }

  /** Runs the whole recording. */
  async run(): Promise<void> {
    const events = [
      ...this.#masterEvents(),
      ...this.#probeEvents(),
      ...this.clients.flatMap((c) => this.#clientEvents(c)),
      ...this.#standInEvents(),
      ...this.#extra,
    ].sort((a, b) => a.at - b.at);
    await this.quiet();
    for (const e of events) {
      await this.advanceTo(e.at);
      await e.run();
      await this.quiet();
    }
  }

  async stop(): Promise<void> {
    const stopping = this.relay.stop();
    for (const p of this.#peers) p.socket.destroy();
    this.standIn?.link.destroy();
    this.master.close();
    await stopping;
  }

  #masterEvents(): Event[] {
    const { connection } = this.master;
    const events = this.master.pushes.map((r) => ({
      at: connection.t0 + r.ms,
      run: () => {
        this.master.peer!.send(r.bytes);
        // The recorded question names the recorded relay's wallet; a master asks for the wallet of the hello.
        if (r.code === Code.getPresence2)
          this.master.peer!.send(encodeFrame(r.code, encodeGetPresence2(this.relay.address)));
      },
    }));
    if (connection.endMs !== null)
      events.push({ at: connection.t0 + connection.endMs, run: () => this.master.peer!.socket.end() });
    return events;
  }

  #probeEvents(): Event[] {
    const { t0, records, endMs } = this.probe;
    return [
      {
        at: t0,
        run: async () => {
          this.probePeer = await dialRaw(this.relay.port);
          this.#peers.push(this.probePeer);
        },
      },
      ...records
        .filter((r) => r.from === 'dialer')
        .map((r) => ({ at: t0 + r.ms, run: () => this.probePeer!.send(r.bytes) })),
      { at: t0 + (endMs ?? 0), run: () => void this.probePeer!.socket.end() },
    ];
  }

  #clientEvents(client: ReplayedClient): Event[] {
    const { t0, records } = client.connection;
    return [
      {
        at: t0,
        run: async () => {
          client.peer = await dialRaw(this.relay.port);
          this.#peers.push(client.peer);
        },
      },
      ...records
        .filter((r) => r.from === 'dialer')
        .map((r) => ({
          at: t0 + r.ms,
          run: () => {
            client.sent.push(r);
            client.peer!.send(r.bytes);
          },
        })),
      { at: t0 + records.at(-1)!.ms + 1, run: () => void client.peer!.socket.end() },
    ];
  }

  /** Questions of the recorded relay's unrecorded clients, and the presences it had from them. */
  #standInEvents(): Event[] {
    const { connection } = this.master;
    const own = decodeHello(connection.records.find((r) => r.code === Code.hello)!.payload).address;
    const events: Event[] = [{ at: connection.t0 + standInMs, run: () => this.#dialStandIn() }];
    for (const e of exchangesOf(connection)) {
      const { code, payload } = e.request;
      const at = connection.t0 + e.ms;
      // The relay's own affairs: headers, presences of ledger nodes, its own balance and sector.
      if (code === Code.getBlockHeaders3 || code === Code.getRandomPresences) continue;
      if (code === Code.getBalance2 && bytesEqual(payload.subarray(1, 46), own.subarray(0, 45))) continue;
      if (code === Code.getSectorNodes && e.ms < 10_000) continue;
      if (this.#askedByRecordedClient(code!, payload, at)) continue;
      events.push({
        at,
        run: () => {
          this.standInAsked.push(e.request);
          this.standIn!.link.send(code!, payload);
        },
      });
    }
    for (const [at, presence] of this.#heardElsewhere(own))
      events.push({ at, run: () => void this.standIn!.link.send(Code.updatePresence, presence) });
    return events;
  }

  /**
   * Presences that the recorded relay had from peers outside the recording (its neighbour relay, the other
   * clients), as its own answers show them, each at the moment its owner signed it.
   */
  #heardElsewhere(own: Uint8Array): [number, Uint8Array][] {
    const out = new Map<string, [number, Uint8Array]>();
    const add = (bytes: Uint8Array): void => {
      const p = decodePresence(bytes);
      if (bytesEqual(p.wallet, parseAddress(own))) return;
      const signedMs = Math.max(...p.addresses.map((a) => a.lastSeen)) * 1000;
      const at = Math.max(signedMs, this.master.connection.t0 + standInMs) + deliveryMs;
      out.set(bytesKey(bytes), [at, bytes]);
    };
    for (const r of this.master.connection.records)
      if (r.code === Code.sectorNodes) for (const p of decodeSectorNodes(r.payload).presences) add(p);
    for (const c of this.clients)
      for (const r of c.connection.records)
        if (r.from === 'listener' && r.code === Code.updatePresence) add(r.payload);
    return [...out.values()];
  }

  #askedByRecordedClient(code: number, payload: Uint8Array, at: number): boolean {
    return this.clients.some((c) =>
      c.connection.records.some(
        (r) =>
          r.from === 'dialer' &&
          r.code === code &&
          bytesEqual(r.payload, payload) &&
          Math.abs(c.connection.t0 + r.ms - at) < 1_000,
      ),
    );
  }

  async #dialStandIn(): Promise<void> {
    const transport = await dialAs(this.relay.port, RELAY_IP);
    this.standIn = new Watched(transport, {
      direction: 'out',
      self: await selfInfo(this.clock, {
        wallet: 'w1',
        nodeType: 'C',
        endpoint: { ip: RELAY_IP, port: RELAY_PORT },
        deviceId: Uint8Array.of(9),
      }),
      clock: this.clock,
      engine: await sharedEngine(),
    });
    const deadline = Date.now() + stepMsMax;
    while (this.standIn.opened === 0 && Date.now() < deadline) await new Promise((r) => setImmediate(r));
  }
}
