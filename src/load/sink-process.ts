// A bare sink in a process of its own: takes every hello unseen, hands messages on by the recipient's bytes, answers
// questions with what it was given, and keeps nothing else of the protocol. What it carries, the generator can make.
import { createServer, type Socket } from 'node:net';
import {
  bytesKey,
  Code,
  decodeHello,
  encodeFrame,
  encodeHelloData,
  encodeSectorNodes,
  FRAME_HEADER_BYTES,
  PROTOCOL_VERSION,
} from '../wire/index.js';
import { FrameReader } from './frame-reader.js';

/** Where the recipient's address stands in a load message: version, id, types, sender (docs/protocol/07 §3.4). */
const RECIPIENT_AT = 2 + 16 + 2 + 46 + 1;
const ADDRESS_BYTES = 45;

const byWallet = new Map<string, Socket>();
/** The last presence or keep-alive of each wallet, as an updatePresence payload where one came. */
const presences = new Map<string, Uint8Array>();

/** What any hello is answered with; nobody checks a sink's signature. */
function welcome(hello: Uint8Array): Uint8Array {
  const { challenge: _, ...common } = decodeHello(hello);
  return encodeFrame(
    Code.helloData,
    encodeHelloData({
      ...common,
      version: PROTOCOL_VERSION,
      nodeType: 'R',
      lastBlock: 0,
      lastBlockChecksum: null,
      lastBlockVersion: 0,
      yourAddress: '',
    }),
  );
}

const server = createServer({ noDelay: true }, (socket) => {
  let wallet = '';
  const answer = (code: number, payload: Uint8Array): void => {
    socket.write(encodeFrame(code, payload));
  };
  const reader = new FrameReader((code, bytes, at, length) => {
    if (code === Code.s2data) {
      const to = byWallet.get(bytesKey(bytes.subarray(at + RECIPIENT_AT, at + RECIPIENT_AT + ADDRESS_BYTES)));
      to?.write(bytes.slice(at - FRAME_HEADER_BYTES, at + length));
      return;
    }
    const payload = bytes.slice(at, at + length);
    switch (code) {
      case Code.hello:
        wallet = bytesKey(decodeHello(payload).address);
        byWallet.set(wallet, socket);
        socket.write(welcome(payload));
        return;
      case Code.updatePresence:
        // version, length of the address, address.
        presences.set(bytesKey(payload.subarray(2, 2 + ADDRESS_BYTES)), payload);
        return;
      case Code.getPresence2: {
        const known = presences.get(bytesKey(payload.subarray(1)));
        if (known !== undefined) answer(Code.updatePresence, known);
        return;
      }
      case Code.getSectorNodes:
        answer(Code.sectorNodes, encodeSectorNodes({ prefix: payload.subarray(1, 11), presences: [] }));
    }
  });
  socket.on('data', (chunk: Buffer) => {
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    try {
      if (!reader.push(bytes)) socket.destroy();
    } catch {
      socket.destroy();
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (byWallet.get(wallet) === socket) byWallet.delete(wallet);
  });
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  const address = server.address();
  process.send!({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
// Everybody is pinged: a generator leaves a silent relay.
setInterval(() => {
  for (const socket of byWallet.values()) socket.write(Uint8Array.of(1));
}, 3_000);
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
