import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock/index.js';
import type { TransportListener } from '../../src/link/index.js';
import { listenTcp } from '../../src/link/node/tcp.js';
import type { Relay } from '../../src/relay/index.js';
import { Code, encodeGetPresence2, payloadBytesMaxOf } from '../../src/wire/index.js';
import { engine, selfInfo, Watched } from '../link/support.js';
import { count } from '../relay/hostile-support.js';
import { connected, startRelay, until } from '../relay/support.js';
import { recording } from '../replay/recording.js';
import { mutate, random } from './engine.js';

/** Seconds of mutated messages. */
const seconds = Number(process.env.FUZZ_SECONDS ?? 1);
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff);
/** Messages between two turns of the event loop: the relay must get to read. */
const atOnce = 40;
/** Payloads kept per code. */
const perCodeMax = 12;

let relay: Relay | null = null;
let listener: TransportListener | null = null;
const links: Watched[] = [];
afterEach(async () => {
  for (const w of links.splice(0)) w.link.destroy();
  await relay?.stop();
  await listener?.close();
});

/** Recorded payloads by code, both directions of all connections. */
function recorded(): Map<number, Uint8Array[]> {
  const out = new Map<number, Uint8Array[]>();
  for (const file of ['session-m-s2.json', 'session-c98-s2.json'] as const)
    for (const c of recording(file))
      for (const r of c.records) {
        if (r.kind !== 'frame' || r.code! <= Code.bye) continue;
        const list = out.get(r.code!) ?? [];
        if (list.length < perCodeMax && r.payload.length < 4_000) list.push(r.payload);
        out.set(r.code!, list);
      }
  return out;
}

it(
  `every handler of a relay takes damaged messages from every kind of peer, FUZZ_SEED=${seed}`,
  async () => {
    const shared = await engine();
    const errors: unknown[] = [];
    // A ledger node that the relay dials, so that its answers are from somebody who was asked.
    let master: Watched | null = null;
    listener = await listenTcp({
      host: '127.0.0.1',
      port: 0,
      onConnection: (t) => {
        void selfInfo(systemClock, {
          wallet: 'w3',
          nodeType: 'M',
          endpoint: { ip: '127.0.0.1', port: listener!.port },
        }).then((self) => {
          master = new Watched(t, { direction: 'in', self, clock: systemClock, engine: shared });
          links.push(master);
        });
      },
    });
    relay = await startRelay({
      standalone: false,
      seeds: [{ host: `127.0.0.1:${listener.port}`, wallet: null }],
      probePeers: false,
      // The handlers are what is tried here, so no allowance stands before them.
      limits: {
        bytesPerSecond: 0,
        messagesPerSecond: 0,
        requestsPerSecond: 0,
        serverRequestsPerSecond: 0,
        walletBytesPerSecond: 0,
        walletMessagesPerSecond: 0,
        walletRequestsPerSecond: 0,
        prefixBytesPerSecond: 0,
        prefixMessagesPerSecond: 0,
        prefixRequestsPerSecond: 0,
      },
      log: (level, event, data) => {
        if (event === 'handler_error' || level === 'error') errors.push({ event, ...data });
      },
    });
    await until('ledger peer', () => relay!.status().ledgerPeers === 1);
    const endpoint = { ip: '127.0.0.1', port: 1 };
    for (const [wallet, nodeType] of [
      ['w1', 'C'],
      ['w2', 'R'],
      ['w4', 'H'],
    ] as const)
      links.push(await connected(relay, { wallet, nodeType, ...(nodeType === 'C' ? {} : { endpoint }) }));
    const corpus = [...recorded()];
    const all = corpus.flatMap(([, list]) => list);
    expect(corpus.length).toBeGreaterThan(18);
    const rnd = random(seed);
    const end = Date.now() + seconds * 1000;
    let sent = 0;
    while (Date.now() < end) {
      for (let i = 0; i < atOnce; i++) {
        const [code, list] = corpus[rnd() % corpus.length]!;
        // Now and then the payload of another code.
        const payload = rnd() % 16 === 0 ? mutate(all, rnd) : rnd() % 8 === 0 ? list[0]! : mutate(list, rnd);
        const from = links[rnd() % links.length]!;
        // Longer ones end the connection, which other tests look at.
        if (payload.length === 0 || payload.length > payloadBytesMaxOf(code, 'C')) continue;
        if (from.link.send(code, payload)) sent++;
      }
      await new Promise((r) => setImmediate(r));
    }
    expect(sent).toBeGreaterThan(500);
    const sender = links[1]!;
    const answers = (): number => sender.messages.filter((m) => m.code === Code.updatePresence).length;
    const before = answers();
    sender.link.send(Code.getPresence2, encodeGetPresence2(relay.address));
    await until('still answers', () => answers() > before, 15_000);
    expect(errors).toEqual([]);
    expect(count(relay, 'ixian_frames_dropped_total', { reason: 'handler_error' })).toBe(0);
    expect(count(relay, 'ixian_frames_dropped_total', { reason: 'malformed' })).toBeGreaterThan(100);
    expect(links.map((w) => w.closed)).toEqual(links.map(() => null));
  },
  30_000 + seconds * 2_000,
);
