import { randomBytes } from 'node:crypto';
import { Code, encodeFrame, FRAME_HEADER_BYTES, framePayloadBytesMax } from '../../wire/index.js';
import type { ActivityContext, RunningActivity } from '../activity.js';
import type { GarbageActivity } from '../scenario.js';
import { LoadSocket } from '../socket.js';

/** A connection that the relay ended is opened again after this long: an attacker does not give up. */
const reopenMs = 100;
/** `random` writes this much at once. */
const burst = randomBytes(16 * 1024);

/** What a hello looks like to whoever counts its bytes: a header, then nothing that ends. */
function dripped(): Uint8Array {
  return encodeFrame(Code.hello, randomBytes(1_200));
}

/** A header that announces the largest frame the protocol knows, with a right checksum, and no payload. */
export function announcement(): Uint8Array {
  const header = encodeFrame(Code.hello, new Uint8Array(1)).slice(0, FRAME_HEADER_BYTES);
  new DataView(header.buffer).setUint32(3, framePayloadBytesMax, true);
  let sum = 0x7f;
  for (let i = 0; i < FRAME_HEADER_BYTES - 1; i++) sum ^= header[i]!;
  header[FRAME_HEADER_BYTES - 1] = sum;
  return header;
}

/** Hostile connections that never say hello: silent, a byte a second, a huge announcement, or noise at full speed. */
export class Garbage implements RunningActivity {
  readonly #count: number;
  readonly #sockets = new Set<LoadSocket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(
    private readonly a: GarbageActivity,
    private readonly ctx: ActivityContext,
  ) {
    // Rounded so that all processes together have as many as asked for.
    const { processIndex: i, processes: n } = ctx;
    this.#count = Math.floor((a.connections * (i + 1)) / n) - Math.floor((a.connections * i) / n);
  }

  start(): void {
    for (let i = 0; i < this.#count; i++) this.#open();
  }

  #later(ms: number, fn: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#stopped) fn();
    }, ms);
    this.#timers.add(timer);
  }

  #open(): void {
    const { metrics, terms } = this.ctx;
    metrics.add('garbage.begun');
    let dripAt = 0;
    const drip = dripped();
    const dripOn = (): void => {
      if (socket.closed) return;
      socket.write(drip.subarray(dripAt, dripAt + 1));
      dripAt = (dripAt + 1) % drip.length;
      this.#later(1_000, dripOn);
    };
    const flood = (): void => {
      // Until the kernel is full; then again when it is not.
      for (let i = 0; i < 4 && !socket.closed; i++) {
        metrics.add('garbage.bytes', burst.length);
        if (!socket.write(burst)) return;
      }
      if (!socket.closed) setImmediate(flood);
    };
    const socket = new LoadSocket(
      { host: terms.host, port: terms.port, kind: 'tcp', localAddress: undefined },
      {
        onOpen: () => {
          metrics.add('garbage.opened');
          if (this.a.how === 'drip') dripOn();
          else if (this.a.how === 'announce') socket.write(announcement());
          else if (this.a.how === 'random') flood();
        },
        onBytes: () => undefined,
        onFlushed: flood,
        onClose: (reason) => {
          this.#sockets.delete(socket);
          if (this.#stopped) return;
          metrics.add(`garbage.ended.${reason}`);
          this.#later(reopenMs, () => this.#open());
        },
      },
    );
    this.#sockets.add(socket);
  }

  stop(): void {
    this.#stopped = true;
    for (const t of this.#timers) clearTimeout(t);
    for (const s of [...this.#sockets]) s.destroy('done');
  }
}
