// What is measured, and against what. Every arm's answer is compared before anything is timed.

import * as nodeCrypto from 'node:crypto';
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { crc32c, loadCoreSync, loadRsaCoreSync, rsaEngineNames, sha3_512 } from '../../dist/core/index.js';
import { JsCore } from '../../dist/core/js-core.js';
import { encodePublicKey } from '../../dist/identity/index.js';
import { createVerifyPool } from '../../dist/identity/node/index.js';
import { measure, median, percentile, ratioOf } from './measure.mjs';

const equal = (a, b, what) => {
  if (Buffer.compare(Buffer.from(a), Buffer.from(b)) !== 0) throw new Error(`${what}: answers differ`);
};
const must = (condition, what) => {
  if (!condition) throw new Error(`${what}: wrong verdict`);
};

const toBigInt = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

/** A package that is measured against when it is installed, and named as left out otherwise. */
async function optional(name) {
  try {
    return await import(name);
  } catch {
    return null;
  }
}

const BATCH = 32;
/** What the protocol signs: the 44-byte checksum of a keep-alive (docs/protocol/05 §1). */
const SIGNED_BYTES = 44;

function rsaItems() {
  const keys = Array.from({ length: 8 }, () => generateKeyPairSync('rsa', { modulusLength: 4096 }));
  return Array.from({ length: BATCH }, (_, i) => {
    const { privateKey, publicKey } = keys[i % keys.length];
    const message = new Uint8Array(randomBytes(SIGNED_BYTES));
    const n = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n, 'base64url'));
    return {
      message,
      signature: new Uint8Array(sign('sha512', message, privateKey)),
      n,
      big: toBigInt(n),
      publicKey,
      spki: publicKey.export({ format: 'der', type: 'spki' }),
      key: encodePublicKey({ addressVersion: 1, n, e: Uint8Array.of(1, 0, 1) }),
    };
  });
}

/** Square and multiply, plainly. */
function bigIntPower({ big, signature }) {
  const s = toBigInt(signature);
  let power = s;
  for (let i = 0; i < 16; i++) power = (power * power) % big;
  return (power * s) % big;
}

export async function rsaTable(settings) {
  const items = rsaItems();
  const loop = (what, one) => () => {
    for (const item of items) must(one(item), what);
  };
  const arms = [
    {
      name: 'node:crypto, cached key',
      run: loop('native', (v) => verify('sha512', v.message, v.publicKey, v.signature)),
    },
    {
      name: 'node:crypto, fresh key from JWK',
      run: loop('jwk', (v) => {
        const jwk = { kty: 'RSA', n: Buffer.from(v.n).toString('base64url'), e: 'AQAB' };
        return verify('sha512', v.message, createPublicKey({ key: jwk, format: 'jwk' }), v.signature);
      }),
    },
    {
      name: 'node:crypto, fresh key from SPKI',
      run: loop('spki', (v) => {
        const key = createPublicKey({ key: v.spki, format: 'der', type: 'spki' });
        return verify('sha512', v.message, key, v.signature);
      }),
    },
    {
      name: 'V8 BigInt',
      run: loop('BigInt', (v) => {
        const digest = createHash('sha512').update(v.message).digest('hex');
        return bigIntPower(v).toString(16).endsWith(digest);
      }),
    },
  ];
  const left = [];
  for (const name of rsaEngineNames) {
    const core = loadRsaCoreSync(name);
    if (core === null) {
      left.push(name);
      continue;
    }
    must(core.verifyKeys([{ ...items[0], message: items[1].message }])[0] === 2, name);
    arms.push({
      name,
      run: () => {
        const verdicts = core.verifyKeys(items);
        for (let i = 0; i < BATCH; i++) must(verdicts[i] === 1, name);
      },
    });
  }
  const forge = await optional('node-forge');
  if (forge === null) left.push('node-forge');
  else {
    const { BigInteger } = forge.default.jsbn;
    const e = new BigInteger('10001', 16);
    const [item] = items;
    const n = new BigInteger(Buffer.from(item.n).toString('hex'), 16);
    const s = new BigInteger(Buffer.from(item.signature).toString('hex'), 16);
    arms.push({
      name: 'node-forge',
      single: true,
      run: () => must(s.modPow(e, n).bitLength() > 4000, 'forge'),
    });
  }
  for (const arm of arms) {
    arm.operations = arm.single ? 1 : BATCH;
    arm.run();
  }
  return {
    title: `RSA-4096 verification, batches of ${BATCH}, ${SIGNED_BYTES}-byte messages`,
    left,
    ...measure(arms, settings),
  };
}

export async function sha3Table(bytes, settings) {
  const COUNT = 64;
  const messages = Array.from({ length: COUNT }, () => new Uint8Array(randomBytes(bytes)));
  const core = loadCoreSync();
  const want = messages.map((m) => createHash('sha3-512').update(m).digest());
  const each = (hash) => () => {
    for (const m of messages) hash(m);
  };
  const left = [];
  const candidates = [['createHash', (m) => createHash('sha3-512').update(m).digest()]];
  if (nodeCrypto.hash === undefined) left.push('crypto.hash');
  else candidates.push(['crypto.hash', (m) => nodeCrypto.hash('sha3-512', m, 'buffer')]);
  const hashWasm = await optional('hash-wasm');
  if (hashWasm === null) left.push('hash-wasm');
  else {
    const hasher = await hashWasm.createSHA3(512);
    candidates.push(['hash-wasm', (m) => hasher.init().update(m).digest('binary')]);
  }
  const noble = await optional('@noble/hashes/sha3.js');
  if (noble === null) left.push('@noble/hashes');
  else candidates.push(['@noble/hashes', (m) => noble.sha3_512(m)]);
  candidates.push(['core, one at a time', (m) => core.sha3_512(m)]);
  for (const [name, hash] of candidates)
    for (const [i, m] of messages.entries()) equal(hash(m), want[i], name);
  const arms = candidates.map(([name, hash]) => ({ name, run: each(hash), operations: COUNT }));
  const batch = () => {
    const all = core.sha3_512Batch(messages);
    return messages.map((_, i) => all.subarray(64 * i, 64 * i + 64));
  };
  for (const [i, digest] of batch().entries()) equal(digest, want[i], 'batch');
  arms.push({ name: 'core, batch of 64', run: batch, operations: COUNT });
  return { title: `SHA3-512 of ${bytes} bytes, copy in and out`, left, ...measure(arms, settings) };
}

/** The façade's choice against each engine at one length. */
export function autoTable(bytes, settings) {
  const message = new Uint8Array(randomBytes(bytes));
  const core = loadCoreSync();
  const want = createHash('sha3-512').update(message).digest();
  const hashes = {
    auto: sha3_512,
    wasm: (m) => core.sha3_512(m),
    createHash: (m) => new Uint8Array(createHash('sha3-512').update(m).digest()),
  };
  for (const [name, hash] of Object.entries(hashes)) equal(hash(message), want, name);
  const arms = Object.entries(hashes).map(([name, hash]) => ({ name, run: () => hash(message) }));
  const result = measure(arms, settings);
  const best = ['wasm', 'createHash'].map((name) => ratioOf(result, 'auto', name));
  return {
    title: `SHA3-512 of one message of ${bytes} bytes`,
    left: [],
    ...result,
    toBest: Math.min(...best),
  };
}

/** Keep-alive frames of 1.1 kB, as a relay receives them, to parsed rows with the checksum under each signature. */
export function keepAliveTable(settings) {
  const COUNT = 64;
  const frames = Array.from({ length: COUNT }, keepAliveFrame);
  const chunk = Buffer.concat(frames);
  const lock = new TextEncoder().encode('ixian');
  const wasm = loadCoreSync();
  const js = new JsCore();
  const payloads = (table, data) => {
    const out = [];
    for (let i = 0; i < table.count; i++)
      out.push(data.subarray(table.offset(i) + 12, table.offset(i) + table.bytes(i)));
    return out;
  };
  const data = new Uint8Array(chunk);
  const inWasm = () => {
    const messages = payloads(wasm.scanFrames(data), data);
    const table = wasm.scanKeepAlives(messages);
    return wasm.keepAliveChecksums(messages, table, lock);
  };
  // The JavaScript path a relay would take in Node: its parser and CRC, and OpenSSL's SHA3.
  const inJs = () => {
    const messages = payloads(js.scanFrames(data), data);
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

function keepAliveFrame() {
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

const quantiles = (values) => ({ p50: percentile(values, 0.5), p99: percentile(values, 0.99) });

/** Wall time for two threads against one, and what a lone item waits beyond its own verification. */
export async function poolTable({ rounds, ms }) {
  const items = rsaItems();
  const load = Array.from({ length: 512 }, (_, i) => items[i % BATCH]);
  const pools = [
    ['1 thread', await createVerifyPool({ workers: 1 })],
    ['A/A', await createVerifyPool({ workers: 1 })],
    ['2 threads', await createVerifyPool({ workers: 2 })],
  ];
  const engine = pools[0][1].name;
  const rates = pools.map(() => []);
  const once = async (pool) => {
    const start = performance.now();
    let done = 0;
    do {
      const verdicts = await pool.verify(load);
      must(verdicts.every(Boolean), 'pool');
      done += load.length;
    } while (performance.now() - start < 2 * ms);
    return (done * 1000) / (performance.now() - start);
  };
  for (const [, pool] of pools) await once(pool);
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < pools.length; i++) {
      const k = (i + round) % pools.length;
      rates[k].push(await once(pools[k][1]));
    }
  const rows = pools.map(([name], k) => {
    const ratio = median(rates[k].map((r, i) => r / rates[0][i]));
    const perSecond = median(rates[k]);
    const [least, most] = [Math.min(...rates[k]), Math.max(...rates[k])];
    return { name, perSecond, least, most, cpuMicroseconds: 1e6 / perSecond, rates: rates[k], ratio };
  });
  const self = rates[1].map((r, i) => r / rates[0][i]);
  const interval = Math.max(1 - percentile(self, 0.1), percentile(self, 0.9) - 1, 0);

  const core = loadRsaCoreSync(engine) ?? loadRsaCoreSync();
  const waits = [];
  for (let i = 0; i < 1000; i++) {
    const one = [items[i % BATCH]];
    const start = performance.now();
    await pools[0][1].verify(one);
    const there = performance.now();
    core.verifyKeys(one);
    waits.push(there - start - (performance.now() - there));
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (const [, pool] of pools) await pool.close();
  return {
    title: `Verify pool (${engine}), 512 items at a time, wall time`,
    left: [],
    rows,
    interval,
    addedWait: { ...quantiles(waits), halves: [quantiles(waits.slice(0, 500)), quantiles(waits.slice(500))] },
  };
}
