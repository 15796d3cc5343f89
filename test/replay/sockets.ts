import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Transport } from '../../src/link/index.js';
import { dialTcp } from '../../src/link/node/tcp.js';
import { StreamParser } from '../../src/wire/index.js';

/** What a raw socket received, split into records. */
export interface Received {
  readonly kind: 'time' | 'frame' | 'byte';
  readonly code: number;
  readonly payload: Uint8Array;
}

/** A plain TCP connection that sends bytes as it is told and takes apart what arrives. */
export class RawPeer {
  readonly received: Received[] = [];
  readonly #parser = new StreamParser();
  bytesIn = 0;
  bytesOut = 0;
  ended = false;

  constructor(
    readonly socket: Socket,
    onRecord: (r: Received) => void = () => undefined,
  ) {
    const take = (kind: Received['kind'], code = 0, payload: Uint8Array = new Uint8Array(0)): void => {
      const r = { kind, code, payload: payload.slice() };
      this.received.push(r);
      onRecord(r);
    };
    socket.setNoDelay(true);
    socket.on('data', (chunk: Uint8Array) => {
      this.bytesIn += chunk.length;
      this.#parser.push(chunk, {
        frame: (code, payload) => take('frame', code, payload),
        time: () => take('time'),
        byte: (b) => take('byte', b),
      });
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
    });
    socket.on('end', () => {
      this.ended = true;
    });
  }

  send(bytes: Uint8Array): void {
    this.bytesOut += bytes.length;
    this.socket.write(bytes);
  }

  frames(code?: number): Received[] {
    return this.received.filter((r) => r.kind === 'frame' && (code === undefined || r.code === code));
  }

  /** The payload of the first frame of that code. */
  first(code: number): Uint8Array | null {
    return this.frames(code)[0]?.payload ?? null;
  }
}

/** Connects to a port on loopback. */
export function dialRaw(port: number, onRecord?: (r: Received) => void): Promise<RawPeer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(new RawPeer(socket, onRecord));
    });
  });
}

/** Listens on a free port on loopback. */
export function listenRaw(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, onSocket);
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const at = server.address();
      if (at === null || typeof at === 'string') throw new TypeError('not a TCP address');
      resolve({ server, port: at.port });
    });
  });
}

/**
 * Dials a port on loopback and shows the address that was recorded: signatures cover `ip:port`, which no test
 * machine has.
 */
export async function dialAs(port: number, recordedIp: string): Promise<Transport> {
  const t = await dialTcp({ host: '127.0.0.1', port });
  return {
    kind: t.kind,
    chunksStay: true,
    remoteAddress: recordedIp,
    remotePort: t.remotePort,
    localAddress: t.localAddress,
    get bufferedBytes() {
      return t.bufferedBytes;
    },
    start: (h) => t.start(h),
    write: (b) => t.write(b),
    pause: () => t.pause(),
    resume: () => t.resume(),
    end: () => t.end(),
    destroy: () => t.destroy(),
  };
}
