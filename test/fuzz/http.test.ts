import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock/index.js';
import { parseRelayInfo } from '../../src/link/index.js';
import { dialNodeWs } from '../../src/link/node/index.js';
import type { Relay } from '../../src/relay/index.js';
import { encodeFrame, encodeHello, NETWORKS } from '../../src/wire/index.js';
import { engine, selfInfo, signedHello, Watched } from '../link/support.js';
import { rawSocket } from '../relay/hostile-support.js';
import { startRelay, until } from '../relay/support.js';
import { mutate, random } from './engine.js';

/** Seconds for both servers together. */
const seconds = Number(process.env.FUZZ_SECONDS ?? 1);
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff);
/** Connections of the fuzzer open at once. */
const openMax = 64;
/** How long the server may think about one input before the fuzzer hangs up. */
const patienceMs = 15;

const ascii = (s: string): Uint8Array => new TextEncoder().encode(s);

const UPGRADE = [
  'GET /ixian HTTP/1.1',
  'Host: 127.0.0.1',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '',
  '',
].join('\r\n');

const REQUESTS: readonly Uint8Array[] = [
  ascii('GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n'),
  ascii(
    'OPTIONS /v1/info HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\nAccess-Control-Request-Method: GET\r\n\r\n',
  ),
  ascii('POST /v1/info HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'),
  ascii(
    'POST /v1/info HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nhello\r\n0\r\n\r\n',
  ),
  ascii('GET /v1/../%2e%2e/etc?a=%ff&b=%zz HTTP/1.0\r\nX-Forwarded-For: 1.2.3.4, ::1\r\n\r\n'),
  ascii(UPGRADE),
  ascii(UPGRADE.replace('Version: 13', 'Version: 99')),
  ascii(`GET /${'a'.repeat(3000)} HTTP/1.1\r\nHost: x\r\n\r\n`),
];

/** A masked client frame: opcode with flags, payload. */
function wsFrame(first: number, payload: Uint8Array): Uint8Array {
  const head =
    payload.length < 126
      ? [first, 0x80 | payload.length]
      : [first, 0x80 | 126, payload.length >> 8, payload.length & 255];
  // A mask of zeros leaves the payload readable.
  return Uint8Array.from([...head, 0, 0, 0, 0, ...payload]);
}

async function frames(): Promise<Uint8Array[]> {
  const hello = encodeFrame(
    0,
    encodeHello(await signedHello('w1', { lock: NETWORKS.reg.lock, testFlag: true, endpoint: '', port: 0 })),
  );
  return [
    wsFrame(0x82, hello),
    wsFrame(0x02, hello.subarray(0, 100)),
    wsFrame(0x80, hello.subarray(100)),
    wsFrame(0x81, ascii('text')),
    wsFrame(0x88, Uint8Array.of(3, 232)),
    wsFrame(0x89, ascii('ping')),
    wsFrame(0xc2, ascii('reserved bit')),
    Uint8Array.of(0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
    Uint8Array.of(0x82, 0x7e, 0xff, 0xff, 1, 2, 3),
  ];
}

let relay: Relay | null = null;
afterEach(async () => {
  await relay?.stop();
  relay = null;
});

describe.each(['node', 'uws'] as const)(
  `HTTP and WebSocket of the relay over %s, FUZZ_SEED=${seed}`,
  (httpEngine) => {
    it(
      'survive damaged requests and frames, and go on serving',
      async () => {
        relay = await startRelay({ wsPort: 0, httpEngine });
        const port = relay.wsPort!;
        const rnd = random(seed);
        const messages = await frames();
        const open = new Set<Socket>();
        const end = Date.now() + (seconds * 1000) / 2;
        let runs = 0;
        do {
          const s = await rawSocket(port, '127.0.0.2');
          open.add(s);
          s.once('close', () => open.delete(s));
          if (rnd() % 2 === 0) s.write(mutate(REQUESTS, rnd));
          else {
            s.write(ascii(UPGRADE));
            for (let i = rnd() % 4; i >= 0; i--) s.write(mutate(messages, rnd));
          }
          setTimeout(() => s.destroy(), patienceMs);
          runs++;
          if (open.size >= openMax) await new Promise((r) => setTimeout(r, patienceMs));
        } while (Date.now() < end);
        for (const s of open) s.destroy();
        expect(runs).toBeGreaterThan(20);
        // Both ways still work, for somebody who behaves.
        const info = parseRelayInfo(await (await fetch(`http://127.0.0.1:${port}/v1/info`)).text());
        expect(info.endpoint).toBe(`127.0.0.1:${relay.port}`);
        const client = new Watched(await dialNodeWs(`ws://127.0.0.1:${port}/ixian`), {
          direction: 'out',
          self: await selfInfo(systemClock, { wallet: 'w2', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
          clock: systemClock,
          engine: await engine(),
          policy: { expectedEndpoints: [info.endpoint] },
        });
        await until('served', () => client.opened === 1);
        client.link.destroy();
        await until('forgotten', () => relay!.status().connections === 0);
        const wrong = relay.counters
          .samples()
          .filter((s) => s.name === 'ixian_frames_dropped_total' && s.labels.reason === 'handler_error');
        expect(wrong).toEqual([]);
      },
      Math.max(20_000, seconds * 2_000),
    );
  },
);
