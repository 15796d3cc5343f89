// SHA3-512: one at a time and in batches, and the façade's choice by length.

import * as nodeCrypto from 'node:crypto';
import { createHash, randomBytes } from 'node:crypto';
import { loadCoreSync, sha3_512 } from '../../dist/core/index.js';
import { equal, optional } from './checks.mjs';
import { measure, ratioOf } from './measure.mjs';

const COUNT = 64;

/** What one would call for a SHA3-512 instead, createHash first; and the names of what is not to be had here. */
export async function sha3Alternatives() {
  const left = [];
  const hashes = [['createHash', (m) => createHash('sha3-512').update(m).digest()]];
  if (nodeCrypto.hash === undefined) left.push('crypto.hash');
  else hashes.push(['crypto.hash', (m) => nodeCrypto.hash('sha3-512', m, 'buffer')]);
  const hashWasm = await optional('hash-wasm');
  if (hashWasm === null) left.push('hash-wasm');
  else {
    const hasher = await hashWasm.createSHA3(512);
    hashes.push(['hash-wasm', (m) => hasher.init().update(m).digest('binary')]);
  }
  const noble = await optional('@noble/hashes/sha3.js');
  if (noble === null) left.push('@noble/hashes');
  else hashes.push(['@noble/hashes', (m) => noble.sha3_512(m)]);
  return { hashes, left };
}

export async function sha3Table(bytes, settings) {
  const messages = Array.from({ length: COUNT }, () => new Uint8Array(randomBytes(bytes)));
  const core = loadCoreSync();
  const want = messages.map((m) => createHash('sha3-512').update(m).digest());
  const { hashes, left } = await sha3Alternatives();
  const candidates = [...hashes, ['core, one at a time', (m) => core.sha3_512(m)]];
  for (const [name, hash] of candidates)
    for (const [i, m] of messages.entries()) equal(hash(m), want[i], name);
  const arms = candidates.map(([name, hash]) => ({
    name,
    operations: COUNT,
    run: () => {
      for (const m of messages) hash(m);
    },
  }));
  const batch = () => {
    const all = core.sha3_512Batch(messages);
    return messages.map((_, i) => all.subarray(64 * i, 64 * i + 64));
  };
  for (const [i, digest] of batch().entries()) equal(digest, want[i], 'batch');
  arms.push({ name: 'core, batch of 64', run: batch, operations: COUNT });
  return { title: `SHA3-512 of ${bytes} bytes, copy in and out`, left, ...measure(arms, settings) };
}

/** The façade's choice against each engine at one length; the answer a Uint8Array of its own in each. */
export function autoTable(bytes, settings) {
  const message = new Uint8Array(randomBytes(bytes));
  const core = loadCoreSync();
  const want = createHash('sha3-512').update(message).digest();
  const engines = {
    wasm: (m) => core.sha3_512(m),
    createHash: (m) => new Uint8Array(createHash('sha3-512').update(m).digest()),
  };
  const left = [];
  if (nodeCrypto.hash === undefined) left.push('crypto.hash');
  else engines['crypto.hash'] = (m) => new Uint8Array(nodeCrypto.hash('sha3-512', m, 'buffer'));
  const hashes = { auto: sha3_512, ...engines };
  for (const [name, hash] of Object.entries(hashes)) equal(hash(message), want, name);
  // As in a process that has hashed for a while: the façade has measured its crossover.
  for (let i = 0; i < 2000; i++) sha3_512(message);
  const arms = Object.entries(hashes).map(([name, hash]) => ({
    name,
    operations: 16,
    run: () => {
      for (let i = 0; i < 16; i++) hash(message);
    },
  }));
  const result = measure(arms, settings);
  const toBest = Math.min(...Object.keys(engines).map((name) => ratioOf(result, 'auto', name)));
  return { title: `SHA3-512 of one message of ${bytes} bytes`, left, ...result, toBest };
}
