// What a pair of connections says in each protocol: how it is opened, the bytes that send one message, and how many bytes
// of which kind arrive for it. A dialect knows no rates and no clocks.

/** Bytes of application data in every message. */
export const dataBytes = 512;

const u32 = (n) => {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n);
  return b;
};

/** Frames of the bare TCP floor: length of what follows, recipient, data. */
const floor = {
  async open(socket, id) {
    socket.write(Buffer.concat([u32(4), u32(id)]));
  },
  frame: (to) => Buffer.concat([u32(4 + dataBytes), u32(to), Buffer.alloc(dataBytes, to & 0xff)]),
  received: (to) => floor.frame(to),
  ping: u32(0),
  foreign: (bytes, at) => (bytes.length - at < 4 ? 0 : 4 + bytes.readUInt32LE(at)),
};

/** nats-server's own protocol; nobody asks for acknowledgements. */
const nats = {
  async open(socket, id, { receives }) {
    await socket.until((bytes) => bytes.includes('\r\n'));
    socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":false}\r\n');
    if (receives) socket.write(`SUB p${id} 1\r\n`);
    socket.write('PING\r\n');
    await socket.until((bytes) => bytes.includes('PONG\r\n'));
  },
  frame: (to) => Buffer.concat([Buffer.from(`PUB p${to} ${dataBytes}\r\n`), natsData(to)]),
  received: (to) => Buffer.concat([Buffer.from(`MSG p${to} 1 ${dataBytes}\r\n`), natsData(to)]),
  ping: Buffer.from('PING\r\n'),
  foreign(bytes, at, socket) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return 0;
    if (bytes.toString('latin1', at, end) === 'PING') socket.write('PONG\r\n');
    return end + 2 - at;
  },
};

const natsData = (to) => Buffer.concat([Buffer.alloc(dataBytes, to & 0xff), Buffer.from('\r\n')]);

/** A client's WebSocket message. Masked with zeros, so that the bytes stay as they are. */
function masked(payload) {
  const n = payload.length;
  const head = n < 126 ? Buffer.of(0x82, 0x80 | n) : Buffer.of(0x82, 0xfe, n >> 8, n & 255);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** A server's WebSocket message. */
function unmasked(payload) {
  const n = payload.length;
  return Buffer.concat([n < 126 ? Buffer.of(0x82, n) : Buffer.of(0x82, 126, n >> 8, n & 255), payload]);
}

/** Length of the server's WebSocket message at `at`, 0 when more bytes are needed to know it. */
function unmaskedLength(bytes, at) {
  const left = bytes.length - at;
  if (left < 2) return 0;
  const short = bytes[at + 1];
  if (short < 126) return 2 + short;
  if (short === 126) return left < 4 ? 0 : 4 + bytes.readUInt16BE(at + 2);
  return left < 10 ? 0 : 10 + Number(bytes.readBigUInt64BE(at + 2));
}

async function upgrade(socket, path) {
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  const answer = await socket.until((bytes) => bytes.includes('\r\n\r\n'));
  if (!answer.includes(' 101 ')) throw new Error(`no upgrade: ${answer.toString('latin1').split('\r\n')[0]}`);
}

const wsFloor = {
  async open(socket, id) {
    await upgrade(socket, '/');
    socket.write(masked(u32(id)));
  },
  frame: (to) => masked(Buffer.concat([u32(to), Buffer.alloc(dataBytes, to & 0xff)])),
  received: (to) => unmasked(Buffer.concat([u32(to), Buffer.alloc(dataBytes, to & 0xff)])),
  ping: masked(Buffer.alloc(0)),
  foreign: unmaskedLength,
};

/** S2 frames; `crowd` knows the wallets behind the numbers. */
const starling = (crowd) => ({
  async open(socket, id) {
    socket.write(await crowd.hello(id));
    await socket.until((bytes) => crowd.greeted(bytes));
  },
  frame: (to) => crowd.message(to),
  received: (to) => crowd.message(to),
  ping: Buffer.of(1),
  foreign: (bytes, at) => crowd.lengthAt(bytes, at),
});

const wsStarling = (crowd) => ({
  async open(socket, id) {
    await upgrade(socket, '/ixian');
    socket.write(masked(await crowd.hello(id)));
    await socket.until((bytes) => crowd.greeted(bytes));
  },
  frame: (to) => masked(crowd.message(to)),
  received: (to) => unmasked(crowd.message(to)),
  ping: masked(Buffer.of(1)),
  foreign: unmaskedLength,
});

/** The dialect of that name. `crowd` is needed by those of S2. */
export function dialectOf(name, crowd) {
  const made = { floor, nats, 'ws-floor': wsFloor, tcp: starling(crowd), ws: wsStarling(crowd) }[name];
  if (made === undefined) throw new RangeError(`no dialect ${name}`);
  return made;
}
