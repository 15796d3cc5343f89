// Floor: what idle WebSockets cost over uWebSockets.js: one byte to each every 3 s, whatever arrives is thrown away.
//
//   node bench/floors/ws-idle.mjs
//
// One timer for all, a sixth of them each half second. Ends when its standard input does.

const { App, DISABLED, us_socket_local_port } = await import('uWebSockets.js');

const turns = Array.from({ length: 6 }, () => new Set());
const ping = Uint8Array.of(1);
let next = 0;
let turn = 0;

App()
  .ws('/*', {
    compression: DISABLED,
    idleTimeout: 0,
    open: (ws) => {
      ws.getUserData().turn = next++ % turns.length;
      turns[ws.getUserData().turn].add(ws);
    },
    message: () => undefined,
    close: (ws) => turns[ws.getUserData().turn].delete(ws),
  })
  .listen('0.0.0.0', 0, (socket) => console.log(JSON.stringify({ port: us_socket_local_port(socket) })));

setInterval(() => {
  for (const ws of turns[turn++ % turns.length]) ws.send(ping, true);
}, 500);
process.stdin.on('end', () => process.exit(0)).resume();
