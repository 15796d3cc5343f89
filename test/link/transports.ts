import { memoryPair } from '../../src/link/memory.js';
import { createHttpServer } from '../../src/link/node/http.js';
import { dialTcp, listenTcp } from '../../src/link/node/tcp.js';
import { dialNodeWs } from '../../src/link/node/ws-client.js';
import type { Transport, TransportCloseReason, TransportHandlers } from '../../src/link/transport.js';

/** Two connected ends and how to take everything down. */
export interface Pair {
  readonly dialled: Transport;
  readonly accepted: Transport;
  close(): Promise<void>;
}

export interface TransportKindUnderTest {
  readonly name: string;
  /** False where the transport cannot slow its peer down while paused. */
  readonly pausesPeer: boolean;
  pair(): Promise<Pair>;
}

async function tcpPair(): Promise<Pair> {
  let got: (t: Transport) => void;
  const accepted = new Promise<Transport>((resolve) => {
    got = resolve;
  });
  const listener = await listenTcp({ host: '127.0.0.1', port: 0, onConnection: (t) => got(t) });
  const dialled = await dialTcp({ host: '127.0.0.1', port: listener.port });
  const other = await accepted;
  return {
    dialled,
    accepted: other,
    close: async () => {
      dialled.destroy();
      other.destroy();
      await listener.close();
    },
  };
}

async function wsPair(prefer: 'uws' | 'node'): Promise<Pair> {
  const server = await createHttpServer({ prefer });
  let got: (t: Transport) => void;
  const accepted = new Promise<Transport>((resolve) => {
    got = resolve;
  });
  server.websocket('/ixian', { onConnection: (t) => got(t) });
  const listener = await server.listen({ host: '127.0.0.1', port: 0 });
  const dialled = await dialNodeWs(`ws://127.0.0.1:${listener.port}/ixian`);
  const other = await accepted;
  return {
    dialled,
    accepted: other,
    close: async () => {
      dialled.destroy();
      other.destroy();
      await server.close();
    },
  };
}

/** Every transport there is; suites run over all of them. */
export const transportKinds: readonly TransportKindUnderTest[] = [
  {
    name: 'memory',
    pausesPeer: true,
    pair: () => {
      const [dialled, accepted] = memoryPair({ poison: true, chunkBytes: 1000 });
      return Promise.resolve({
        dialled,
        accepted,
        close: () => {
          dialled.destroy();
          accepted.destroy();
          return Promise.resolve();
        },
      });
    },
  },
  { name: 'tcp', pausesPeer: true, pair: tcpPair },
  { name: 'ws (uWebSockets.js)', pausesPeer: false, pair: () => wsPair('uws') },
  { name: 'ws (node:http)', pausesPeer: true, pair: () => wsPair('node') },
];

/** Collects what one end receives. */
export class Recorder {
  readonly #parts: Uint8Array[] = [];
  bytes = 0;
  drains = 0;
  ended: { reason: TransportCloseReason; detail: string } | null = null;
  #wake: (() => void)[] = [];

  constructor(readonly transport: Transport) {
    transport.start({
      data: (chunk) => {
        this.#parts.push(chunk.slice());
        this.bytes += chunk.length;
        this.#notify();
      },
      drain: () => {
        this.drains++;
        this.#notify();
      },
      close: (reason, detail) => {
        if (this.ended !== null) throw new Error('closed twice');
        this.ended = { reason, detail };
        this.#notify();
      },
    });
  }

  #notify(): void {
    for (const fn of this.#wake.splice(0)) fn();
  }

  /** Waits until `test` holds; rejects after five seconds. */
  async until(test: (r: this) => boolean): Promise<void> {
    const limit = Date.now() + 5_000;
    while (!test(this)) {
      if (Date.now() > limit) throw new Error(`still waiting: ${this.bytes} bytes, ${this.drains} drains`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  all(): Uint8Array {
    const out = new Uint8Array(this.bytes);
    let at = 0;
    for (const p of this.#parts) {
      out.set(p, at);
      at += p.length;
    }
    return out;
  }
}

/** Bytes that show any reordering or loss. */
export function pattern(length: number, seed = 1): Uint8Array {
  const out = new Uint8Array(length);
  let x = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    out[i] = x;
  }
  return out;
}

/** A transport that does nothing by itself: the test says what arrives and how much is buffered. */
export class FakeTransport implements Transport {
  readonly kind = 'memory';
  readonly chunksStay = true;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 0;
  readonly localAddress = '127.0.0.1';
  bufferedBytes = 0;
  /** What `write` answers. */
  roomy = true;
  readonly written: Uint8Array[] = [];
  readonly calls: string[] = [];
  #handlers: TransportHandlers | null = null;

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
  }

  write(bytes: Uint8Array): boolean {
    this.written.push(bytes);
    return this.roomy;
  }

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
  }

  end(): void {
    this.calls.push('end');
  }

  destroy(): void {
    this.calls.push('destroy');
  }

  /** Hands bytes over and wipes them afterwards, as uWebSockets.js does. */
  arrive(bytes: Uint8Array): void {
    const given = bytes.slice();
    this.#handlers!.data(given);
    given.fill(0xdd);
  }

  /** The buffer is empty again. */
  drain(): void {
    this.roomy = true;
    this.#handlers!.drain();
  }

  /** Codes of the frames written so far; other bytes are left out. */
  codes(): number[] {
    return this.written.filter((w) => w[0] === 0xea).map((w) => w[1]! | (w[2]! << 8));
  }
}
