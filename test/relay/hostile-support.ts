import { connect as netConnect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Relay } from '../../src/relay/index.js';
import { Code, encodeGetPresence2 } from '../../src/wire/index.js';
import type { Watched } from '../link/support.js';

/** The longest a legitimate client may wait for an answer while somebody misbehaves. */
export const servedMsMax = 1_000;
/** How often it asks. */
const askEveryMs = 40;

/** A plain socket from one of the machine's loopback addresses. */
export function rawSocket(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const s = netConnect({ host: '127.0.0.1', port, localAddress, noDelay: true });
    s.once('error', reject);
    s.once('connect', () => {
      s.off('error', reject);
      s.on('error', () => undefined);
      s.resume();
      resolve(s);
    });
  });
}

/** Resolves when the relay ended that socket; rejects after `ms`. */
export function endOf(s: Socket, ms = 5_000): Promise<void> {
  return new Promise((resolve, reject) => {
    if (s.destroyed || s.readableEnded) {
      resolve();
      return;
    }
    const timer = setTimeout(() => reject(new Error('not ended')), ms);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    s.once('end', done);
    s.once('close', done);
  });
}

/** A frame header with a valid header checksum that promises `length` bytes. */
export function headerOf(code: number, length: number): Uint8Array {
  const h = new Uint8Array(12);
  const view = new DataView(h.buffer);
  h[0] = 0xea;
  view.setUint16(1, code, true);
  view.setUint32(3, length, true);
  h[11] = h.subarray(0, 11).reduce((a, b) => a ^ b, 0x7f);
  return h;
}

/** Value of a counter, all samples that carry these labels together. */
export function count(relay: Relay, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const s of relay.counters.samples())
    if (s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v) && 'value' in s.metric)
      sum += s.metric.value;
  return sum;
}

/** A client that asks the same question all the time and notes the longest wait for an answer. */
export class Customer {
  longestMs = 0;
  answers = 0;
  #running = true;
  readonly #loop: Promise<void>;

  constructor(
    private readonly client: Watched,
    private readonly wallet: Uint8Array,
  ) {
    this.#loop = this.#run();
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const before = this.#got();
      const begin = performance.now();
      this.client.link.send(Code.getPresence2, encodeGetPresence2(this.wallet));
      while (this.#got() === before && performance.now() - begin < 5 * servedMsMax)
        await new Promise((r) => setTimeout(r, 1));
      this.longestMs = Math.max(this.longestMs, performance.now() - begin);
      if (this.#got() > before) this.answers++;
      await new Promise((r) => setTimeout(r, askEveryMs));
    }
  }

  #got(): number {
    let n = 0;
    for (const m of this.client.messages) if (m.code === Code.updatePresence) n++;
    return n;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
  }
}
