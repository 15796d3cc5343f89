// Floor: what node:net costs to forward one frame to one connection, and nothing else. No protocol, no limit, no log.
//
//   node bench/floors/tcp-forward.mjs [--gather]
//
// A frame is u32 length of what follows, u32 recipient, bytes. The first frame of a connection names the connection. An
// empty frame is a ping and comes back. One write per frame; with --gather one per socket and turn of the event loop.
// Ends when its standard input does.

import { createServer } from 'node:net';

const gather = process.argv.includes('--gather');
const sockets = [];
const corked = [];

function flush() {
  for (const s of corked.splice(0)) s.uncork();
}

function forward(frame) {
  const to = sockets[frame.readUInt32LE(4)];
  if (to === undefined) return;
  if (gather && to.writableCorked === 0) {
    to.cork();
    if (corked.push(to) === 1) setImmediate(flush);
  }
  to.write(frame);
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = null;
  let named = false;
  socket.on('data', (chunk) => {
    const bytes = rest === null ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const size = 4 + bytes.readUInt32LE(at);
      if (bytes.length - at < size) break;
      if (size === 4) socket.write(bytes.subarray(at, at + size));
      else if (named) forward(bytes.subarray(at, at + size));
      else {
        sockets[bytes.readUInt32LE(at + 4)] = socket;
        named = true;
      }
      at += size;
    }
    rest = at === bytes.length ? null : bytes.subarray(at);
  });
  socket.on('error', () => socket.destroy());
});

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
  console.log(JSON.stringify({ port: server.address().port })),
);
process.stdin.on('end', () => process.exit(0)).resume();
