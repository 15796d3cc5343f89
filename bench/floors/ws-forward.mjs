// Floor: what uWebSockets.js costs to forward one message to one connection, and nothing else.
//
//   node bench/floors/ws-forward.mjs
//
// A binary message is u32 recipient, bytes. One without bytes names its connection, an empty one is a ping and comes back.
// One send per message. Ends when its standard input does.

const { App, DISABLED, us_socket_local_port } = await import('uWebSockets.js');

const sockets = [];
const numberIn = (message) => new DataView(message).getUint32(0, true);

App()
  .ws('/*', {
    compression: DISABLED,
    idleTimeout: 0,
    maxBackpressure: 0,
    maxPayloadLength: 1 << 20,
    message: (ws, message) => {
      if (message.byteLength > 4) sockets[numberIn(message)]?.send(message, true);
      else if (message.byteLength === 0) ws.send(message, true);
      else {
        const id = numberIn(message);
        ws.getUserData().id = id;
        sockets[id] = ws;
      }
    },
    close: (ws) => {
      const { id } = ws.getUserData();
      if (id !== undefined) sockets[id] = undefined;
    },
  })
  .listen('127.0.0.1', 0, (socket) => console.log(JSON.stringify({ port: us_socket_local_port(socket) })));
process.stdin.on('end', () => process.exit(0)).resume();
