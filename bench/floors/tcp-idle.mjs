// Floor: what idle connections cost over node:net: one byte to each every 3 s, whatever arrives is read and thrown away.
//
//   node bench/floors/tcp-idle.mjs
//
// One timer for all, a sixth of them each half second. Ends when its standard input does.

import { createServer } from 'node:net';

const turns = Array.from({ length: 6 }, () => new Set());
const ping = Buffer.of(1);
let next = 0;
let turn = 0;

const server = createServer({ noDelay: true }, (socket) => {
  const members = turns[next++ % turns.length];
  members.add(socket);
  socket.on('data', () => undefined);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => members.delete(socket));
});

setInterval(() => {
  for (const socket of turns[turn++ % turns.length]) socket.write(ping);
}, 500);

server.listen({ host: '0.0.0.0', port: 0, backlog: 4096 }, () =>
  console.log(JSON.stringify({ port: server.address().port })),
);
process.stdin.on('end', () => process.exit(0)).resume();
