// Wallets of a measured crowd, and what each of them says to an S2 relay. The keys are those of the load generator: a
// relay pays for them what it pays for any RSA-4096 key, and making one costs microseconds.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = (room) => join(dirname(fileURLToPath(import.meta.url)), '../../../dist', room, 'index.js');
const wire = await import(dist('wire'));
const { encodeStreamMessage, streamMessage } = await import(dist('messages'));
const { addressOf, encodePresence, signKeepAlive } = await import(dist('presence'));
const { Identities } = await import(dist('load'));
const { Code, encodeFrame, encodeHello, helloPreimage, NETWORKS, readFrameHeader } = wire;
const { dataBytes } = await import('./dialects.mjs');

const network = NETWORKS.reg;
const seed = 'starling bench';

/** Length of the foreign thing at `at`: a ping byte, a time record, a frame; 0 when more bytes are needed. */
function lengthAt(bytes, at) {
  if (bytes[at] !== wire.FRAME_START) return 1;
  if (bytes.length - at < wire.FRAME_HEADER_BYTES) return 0;
  const h = readFrameHeader(bytes, at);
  return h === null ? 1 : wire.FRAME_HEADER_BYTES + h.length;
}

/** @param endpoint `ip:port` that the relay announces and hellos are signed over */
export function createCrowd(endpoint) {
  const identities = new Identities(seed);
  const port = Number(endpoint.split(':')[1]);
  const known = new Map();
  const identity = (id) => {
    let i = known.get(id);
    if (i === undefined) {
      i = identities.at(id);
      known.set(id, i);
    }
    return i;
  };
  return {
    identity,
    /** A whole hello frame of wallet `id`. */
    hello(id) {
      const who = identities.at(id);
      const challenge = 1 + id;
      const timestamp = Math.floor(Date.now() / 1000);
      const { address, deviceId, publicKey } = who;
      const message = helloPreimage({ lock: network.lock, deviceId, timestamp, endpoint, challenge });
      const hello = {
        version: wire.PROTOCOL_VERSION,
        address,
        testFlag: network.testFlag,
        nodeType: 'C',
        productVersion: 'starling-bench',
        deviceId,
        publicKey,
        port,
        timestamp,
        signature: who.sign(message),
        challenge,
      };
      return Buffer.from(encodeFrame(Code.hello, encodeHello(hello)));
    },
    /** True when helloData is there; throws when the relay said bye instead. */
    greeted(bytes) {
      for (let at = bytes.indexOf(wire.FRAME_START); at >= 0; at = bytes.indexOf(wire.FRAME_START, at + 1)) {
        if (bytes.length - at < wire.FRAME_HEADER_BYTES) return false;
        const h = readFrameHeader(bytes, at);
        if (h === null) continue;
        if (bytes.length - at < wire.FRAME_HEADER_BYTES + h.length) return false;
        if (h.code === Code.helloData) return true;
        throw new Error(`code ${h.code} instead of helloData: ${bytes.subarray(at + 12).toString('latin1')}`);
      }
      return false;
    },
    /** An s2data frame to wallet `to` with 512 bytes of data. */
    message(to) {
      const m = streamMessage({
        sender: identity(to).address,
        recipient: identity(to).address,
        data: new Uint8Array(dataBytes).fill(to & 0xff),
        timestamp: 1_767_225_600n,
        id: new Uint8Array(16).fill(7),
      });
      return Buffer.from(encodeFrame(Code.s2data, encodeStreamMessage(m)));
    },
    /** An updatePresence frame of wallet `id` with one endpoint of `type`. */
    async presence(id, type, hostname) {
      const who = identity(id);
      const claim = {
        device: who.deviceId,
        timestamp: Math.floor(Date.now() / 1000),
        hostname,
        type,
        pow: null,
      };
      const signer = { address: who.address, sign: async (m) => who.sign(m) };
      const ka = await signKeepAlive(claim, signer, network);
      const presence = {
        version: 1,
        wallet: who.address,
        publicKey: who.publicKey,
        metadata: null,
        addresses: [addressOf(ka, 'bench')],
      };
      return Buffer.from(encodeFrame(Code.updatePresence, encodePresence(presence)));
    },
    lengthAt,
  };
}
