// Floor: what uWebSockets.js costs to forward one message to one connection, and nothing else.
//
//   node bench/floors/ws-forward.mjs
//
// A binary message is u32 recipient, bytes. The first message of a connection names the connection. An empty message is a
// ping and comes back. One send per message. Ends when its standard input does.

const { App, DISABLED, us_socket_local_port } = await import('uWebSockets.js');

const sockets = [];

App()
  .ws('/*', {
    compression: DISABLED,
    idleTimeout: 0,
    maxBackpressure: 0,
    maxPayloadLength: 1 << 20,
    message: (ws, message) => {
      if (message.byteLength === 0) {
        ws.send(message, true);
        return;
      }
      const id = new DataView(message).getUint32(0, true);
      const data = ws.getUserData();
      if (data.named === true) sockets[id]?.send(message, true);
      else {
        data.named = true;
        data.id = id;
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
