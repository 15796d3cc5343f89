// One client connection of the generator: node:net with one receive buffer shared by all, so that reading costs little.

import { connect } from 'node:net';

const shared = Buffer.allocUnsafe(256 * 1024);

/** A connection. `onData(bytes)` gets views that are valid during the call; before it is set, bytes are kept. */
export function openSocket({ host = '127.0.0.1', port, localAddress }) {
  return new Promise((resolve, reject) => {
    let kept = Buffer.alloc(0);
    let waiting = null;
    const receive = (bytes) => {
      if (socket.onData !== null) {
        socket.onData(bytes);
        return;
      }
      kept = Buffer.concat([kept, bytes]);
      waiting?.();
    };
    const raw = connect({
      host,
      port,
      localAddress,
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (n, buffer) => {
          receive(buffer.subarray(0, n));
          return true;
        },
      },
    });
    const socket = {
      raw,
      closed: false,
      onData: null,
      write: (bytes) => raw.write(bytes),
      /** Resolves with everything received so far once `test` holds for it; forgets it then. */
      until: (test) =>
        new Promise((done, failed) => {
          waiting = () => {
            try {
              if (socket.closed) throw new Error('the connection was closed');
              if (!test(kept)) return;
              const bytes = kept;
              kept = Buffer.alloc(0);
              waiting = null;
              done(bytes);
            } catch (e) {
              waiting = null;
              failed(e);
            }
          };
          waiting();
        }),
      close: () => raw.destroy(),
    };
    raw.on('connect', () => resolve(socket));
    raw.on('error', reject);
    raw.on('close', () => {
      socket.closed = true;
      waiting?.();
    });
  });
}
