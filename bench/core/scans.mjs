// The batch kernels against the same in JavaScript: CRC-32C, IxiVarInt, frames, keep-alives, sector prefixes. What each
// function of the façade does follows from these tables; src/core/hashes.ts and src/core/wasm-core.ts hold the figures.

import { createHash, randomBytes } from 'node:crypto';
import { crc32c, loadCoreSync } from '../../dist/core/index.js';
import { crc32cJs } from '../../dist/core/js/crc32c.js';
import { JsCore } from '../../dist/core/js-core.js';
import { equal, must } from './checks.mjs';
import { measure } from './measure.mjs';

const COUNT = 64;
const words = (table) => Buffer.from(table.words.buffer, table.words.byteOffset, table.words.byteLength);

function twoArms(title, inJs, inWasm, settings, operations = COUNT) {
  const arms = [
    { name: 'JavaScript', run: inJs, operations },
    { name: 'WebAssembly', run: inWasm, operations },
  ];
  return { title, left: [], ...measure(arms, settings) };
}

/** CRC-32C of 64 messages, in a batch and one by one. */
export function crcTable(bytes, settings) {
  const messages = Array.from({ length: COUNT }, () => new Uint8Array(randomBytes(bytes)));
  const core = loadCoreSync();
  const want = messages.map((m) => crc32cJs(m, 0));
  equal(core.crc32cBatch(messages), Uint32Array.from(want), 'crc32cBatch');
  must(
    messages.every((m, i) => core.crc32c(m) === want[i]),
    'crc32c',
  );
  const out = new Uint32Array(COUNT);
  const arms = [
    {
      name: 'JavaScript',
      operations: COUNT,
      run: () => {
        for (let i = 0; i < COUNT; i++) out[i] = crc32cJs(messages[i], 0);
      },
    },
    {
      name: 'WebAssembly, one at a time',
      operations: COUNT,
      run: () => {
        for (let i = 0; i < COUNT; i++) out[i] = core.crc32c(messages[i]);
      },
    },
    { name: 'WebAssembly, batch of 64', operations: COUNT, run: () => core.crc32cBatch(messages) },
  ];
  return { title: `CRC-32C of ${bytes} bytes, copy in and out`, left: [], ...measure(arms, settings) };
}

/** Consecutive integers of all sizes, 512 of them, to rows. */
export function varIntTable(settings) {
  const parts = [];
  for (let i = 0; i < 128; i++) {
    parts.push(
      Buffer.of(i),
      Buffer.of(0xfc, i, 1),
      Buffer.of(0xfd, i, 1, 1, 1),
      Buffer.of(0xfe, i, 1, 1, 1, 1, 1, 1, 0),
    );
  }
  const data = new Uint8Array(Buffer.concat(parts));
  const core = loadCoreSync();
  const js = new JsCore();
  equal(words(core.decodeVarInts(data)), words(js.decodeVarInts(data)), 'decodeVarInts');
  must(js.decodeVarInts(data).count === parts.length, 'decodeVarInts');
  return twoArms(
    `IxiVarInt, ${parts.length} integers to rows`,
    () => js.decodeVarInts(data),
    () => core.decodeVarInts(data),
    settings,
    parts.length,
  );
}

/** A chunk of 64 frames to rows with their CRC verdicts. */
export function frameTable(settings) {
  const data = new Uint8Array(Buffer.concat(Array.from({ length: COUNT }, keepAliveFrame)));
  const core = loadCoreSync();
  const js = new JsCore();
  equal(words(core.scanFrames(data)), words(js.scanFrames(data)), 'scanFrames');
  must(js.scanFrames(data).count === COUNT, 'scanFrames');
  return twoArms(
    `Frame scan with CRC, frames of ${data.length / COUNT} bytes`,
    () => js.scanFrames(data),
    () => core.scanFrames(data),
    settings,
  );
}

/** Parsing alone, the bytes not yet in the arena. */
export function keepAliveScanTable(settings) {
  const messages = Array.from({ length: COUNT }, () => new Uint8Array(keepAliveFrame().subarray(12)));
  const core = loadCoreSync();
  const js = new JsCore();
  equal(words(core.scanKeepAlives(messages)), words(js.scanKeepAlives(messages)), 'scanKeepAlives');
  return twoArms(
    `Keep-alive scan alone, ${messages[0].length} bytes`,
    () => js.scanKeepAlives(messages),
    () => core.scanKeepAlives(messages),
    settings,
  );
}

/** Sectors of 64 addresses of 45 bytes. */
export function sectorTable(settings) {
  const addresses = Array.from({ length: COUNT }, () => new Uint8Array(randomBytes(45)));
  const core = loadCoreSync();
  const native = (a) => new Uint8Array(createHash('sha3-512').update(a).digest().subarray(0, 10));
  const want = Buffer.concat(addresses.map(native));
  equal(Buffer.concat(addresses.map((a) => core.sectorPrefix(a))), want, 'sectorPrefix');
  equal(core.sectorPrefixBatch(addresses), want, 'sectorPrefixBatch');
  const js = new JsCore();
  equal(js.sectorPrefixBatch(addresses), want, 'sectorPrefixBatch, JavaScript');
  const each = (hash) => () => {
    for (const a of addresses) hash(a);
  };
  const arms = [
    { name: 'createHash', run: each(native), operations: COUNT },
    { name: 'JavaScript', run: () => js.sectorPrefixBatch(addresses), operations: COUNT },
    { name: 'WebAssembly, one at a time', run: each((a) => core.sectorPrefix(a)), operations: COUNT },
    { name: 'WebAssembly, batch of 64', run: () => core.sectorPrefixBatch(addresses), operations: COUNT },
  ];
  return { title: 'Sector prefix of an address', left: [], ...measure(arms, settings) };
}

/** Keep-alive frames of 1.1 kB, as a relay receives them, to parsed rows with the checksum under each signature. */
export function keepAliveTable(settings) {
  const frames = Array.from({ length: COUNT }, keepAliveFrame);
  const data = new Uint8Array(Buffer.concat(frames));
  const lock = new TextEncoder().encode('ixian');
  const wasm = loadCoreSync();
  const js = new JsCore();
  const payloads = (table) => {
    const out = [];
    for (let i = 0; i < table.count; i++)
      out.push(data.subarray(table.offset(i) + 12, table.offset(i) + table.bytes(i)));
    return out;
  };
  const inWasm = () => {
    const messages = payloads(wasm.scanFrames(data));
    const table = wasm.scanKeepAlives(messages);
    return wasm.keepAliveChecksums(messages, table, lock);
  };
  // The JavaScript path a relay would take in Node: its parser and CRC, and OpenSSL's SHA3.
  const inJs = () => {
    const messages = payloads(js.scanFrames(data));
    const table = js.scanKeepAlives(messages);
    const out = new Uint8Array(COUNT * 44);
    messages.forEach((m, i) => {
      const once = createHash('sha3-512')
        .update(lock)
        .update(m.subarray(0, table.signedBytes(i)))
        .digest();
      out.set(createHash('sha3-512').update(once).digest().subarray(0, 44), 44 * i);
    });
    return out;
  };
  must(wasm.scanFrames(data).count === COUNT, 'frames');
  equal(inWasm(), inJs(), 'keep-alives');
  const arms = [
    { name: 'JS path', run: inJs, operations: COUNT },
    { name: 'core', run: inWasm, operations: COUNT },
  ];
  return {
    title: `Keep-alive frames of ${frames[0].length} bytes to checksummed rows`,
    left: [],
    ...measure(arms, settings),
  };
}

/** A keep-alive of 1.1 kB with everything in it, in its frame. */
export function keepAliveFrame() {
  const payload = Buffer.concat([
    Buffer.from([2, 45, 1]),
    randomBytes(44),
    Buffer.from([16]),
    randomBytes(16),
    Buffer.from([0xfd]),
    u32(1_700_000_000),
    Buffer.from([0]),
    Buffer.from('C'),
    // A proof of work and a signature, each with a two-byte length.
    Buffer.from([0xfc, 0x08, 0x02]),
    randomBytes(520),
    Buffer.from([0xfc, 0x00, 0x02]),
    randomBytes(512),
  ]);
  const header = Buffer.alloc(12);
  header[0] = 0xea;
  header.writeUInt16LE(26, 1);
  header.writeUInt32LE(payload.length, 3);
  header.writeUInt32LE(crc32c(payload), 7);
  header[11] = header.subarray(0, 11).reduce((sum, b) => sum ^ b, 0x7f);
  return Buffer.concat([header, payload]);
}

function u32(value) {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}
