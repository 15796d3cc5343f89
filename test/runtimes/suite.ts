/**
 * One suite over the core in every runtime: plain modules, no test framework, nothing of Node. It imports the package by
 * its name, as any program would; the harness (runtimes.test.ts) puts the packed package there and reads the report.
 */
import {
  type Core,
  crc32c,
  FrameKind,
  loadCore,
  loadCoreSync,
  loadRsaCore,
  loadRsaCoreSync,
  type RsaEngineName,
  rsaEngineNames,
  ScanStatus,
  sha3_512,
  sha512,
} from 'starling-relay/core';
import { fromHex } from './hex.js';

/** Bytes are hex. Expected values come from the JavaScript core, node:crypto or the standards. */
export interface Vectors {
  readonly hashes: readonly { readonly message: string; readonly sha3: string; readonly sha512: string }[];
  readonly crc: readonly { readonly message: string; readonly crc: number }[];
  readonly varints: readonly {
    readonly data: string;
    readonly signed: boolean;
    readonly words: readonly number[];
  }[];
  readonly frames: { readonly chunk: string; readonly words: readonly number[]; readonly consumed: number };
  readonly keepAlives: {
    readonly messages: readonly string[];
    readonly words: readonly number[];
    readonly lock: string;
    readonly checksums: string;
  };
  readonly presences: {
    readonly messages: readonly string[];
    readonly words: readonly number[];
    readonly addressWords: readonly number[];
  };
  readonly rsa: readonly RsaVector[];
  /** Exponents that only verify engines take (verify.ts). */
  readonly otherExponents: readonly Omit<RsaVector, 'modulus' | 'exponent' | 'keyVerdict'>[];
}

export interface RsaVector {
  readonly name: string;
  readonly modulus: string;
  readonly exponent: number;
  readonly signature: string;
  readonly message: string;
  readonly valid: boolean;
  /** The serialized public key, and its RsaVerdict. */
  readonly key: string;
  readonly keyVerdict: number;
}

export interface Report {
  /** Kernels that loaded, in the order of {@link rsaEngineNames}. */
  readonly kernels: readonly RsaEngineName[];
  /** Those that loaded at once, before anything was awaited. */
  readonly kernelsSync: readonly RsaEngineName[];
  readonly core: Core['engine'];
  readonly coreSync: Core['engine'];
  readonly simd: boolean;
  readonly cases: readonly { readonly name: string; readonly error: string | null }[];
}

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

function equal(found: unknown, wanted: unknown, what: string): void {
  const a = JSON.stringify(found);
  const b = JSON.stringify(wanted);
  if (a !== b) throw new Error(`${what}: ${a?.slice(0, 200)} instead of ${b?.slice(0, 200)}`);
}

/** The call throws an error of exactly that class. */
function throwing(wanted: typeof TypeError | typeof RangeError, what: string, call: () => unknown): void {
  try {
    call();
  } catch (e) {
    if (e instanceof wanted) return;
    throw new Error(`${what}: ${String(e)} instead of ${wanted.name}`);
  }
  throw new Error(`${what}: nothing thrown instead of ${wanted.name}`);
}

const notBytes = 'text' as unknown as Uint8Array;

/** What the core must do, whichever implementation answers. */
const coreCases: Record<string, (core: Core, v: Vectors) => void> = {
  'is one per thread, however it is asked for'(core) {
    equal(loadCoreSync() === core, true, 'loadCoreSync');
  },
  'hashes as the standards say, one by one and in batches'(core, { hashes }) {
    const messages = hashes.map((h) => fromHex(h.message));
    hashes.forEach((h, i) => {
      const message = messages[i]!;
      equal(toHex(sha3_512(message)), h.sha3, `sha3_512 of ${message.length} bytes`);
      equal(toHex(core.sha3_512(message)), h.sha3, `core.sha3_512 of ${message.length} bytes`);
      equal(toHex(sha512(message)), h.sha512, `sha512 of ${message.length} bytes`);
      equal(toHex(core.sha512(message)), h.sha512, `core.sha512 of ${message.length} bytes`);
      equal(
        toHex(core.sectorPrefix(message)),
        h.sha3.slice(0, 20),
        `sectorPrefix of ${message.length} bytes`,
      );
    });
    const all = (key: 'sha3' | 'sha512', chars: number): string =>
      hashes.map((h) => h[key].slice(0, chars)).join('');
    equal(toHex(core.sha3_512Batch(messages)), all('sha3', 128), 'sha3_512Batch');
    equal(toHex(core.sha512Batch(messages)), all('sha512', 128), 'sha512Batch');
    equal(toHex(core.sectorPrefixBatch(messages)), all('sha3', 20), 'sectorPrefixBatch');
    const twice = messages.map((m) => toHex(sha3_512(sha3_512(m))).slice(0, 88)).join('');
    equal(toHex(core.sha3_512Batch(messages, { rounds: 2, keepBytes: 44 })), twice, 'two rounds, 44 bytes');
  },
  'computes CRC-32C, in one piece, in two, in batches'(core, { crc }) {
    const messages = crc.map((c) => fromHex(c.message));
    crc.forEach((c, i) => {
      const message = messages[i]!;
      const half = message.length >>> 1;
      equal(crc32c(message), c.crc, 'crc32c');
      equal(core.crc32c(message), c.crc, 'core.crc32c');
      equal(core.crc32c(message.subarray(half), core.crc32c(message.subarray(0, half))), c.crc, 'in two');
    });
    equal(
      [...core.crc32cBatch(messages)],
      crc.map((c) => c.crc),
      'crc32cBatch',
    );
  },
  'reads IxiVarInts'(core, { varints }) {
    for (const { data, signed, words } of varints)
      equal([...core.decodeVarInts(fromHex(data), { signed }).words], words, `signed ${signed}`);
  },
  'cuts a recorded stream into frames'(core, { frames }) {
    const table = core.scanFrames(fromHex(frames.chunk), { timeRecords: 5 });
    equal([...table.words], frames.words, 'rows');
    equal(table.consumed, frames.consumed, 'consumed');
    let whole = 0;
    for (let row = 0; row < table.count; row++) {
      if (table.kind(row) !== FrameKind.frame) continue;
      whole++;
      equal(table.crcHolds(row), true, `CRC of row ${row}`);
    }
    equal(whole > 10, true, 'more than ten frames');
  },
  'parses keep-alives and hashes what they sign'(core, { keepAlives }) {
    const messages = keepAlives.messages.map(fromHex);
    const table = core.scanKeepAlives(messages);
    equal([...table.words], keepAlives.words, 'rows');
    const checksums = core.keepAliveChecksums(messages, table, fromHex(keepAlives.lock));
    equal(toHex(checksums), keepAlives.checksums, 'checksums');
    const passed = messages.filter((_, row) => table.status(row) === ScanStatus.ok).length;
    equal(passed > 0 && passed < messages.length, true, 'some pass and some do not');
  },
  'parses presences and their addresses'(core, { presences }) {
    const table = core.scanPresences(presences.messages.map(fromHex));
    equal([...table.words], presences.words, 'rows');
    equal([...table.addresses.words], presences.addressWords, 'address rows');
  },
  'verifies RSA signatures and nothing else'(core, { rsa }) {
    verdictsOf(rsa, (items) => core.rsaVerifyBatch(items));
  },
  'throws TypeError for a wrong type and RangeError for a wrong value'(core, { keepAlives }) {
    const one = new Uint8Array(1);
    throwing(TypeError, 'sha3_512', () => sha3_512(notBytes));
    throwing(TypeError, 'sha512', () => sha512(notBytes));
    throwing(TypeError, 'crc32c', () => crc32c(notBytes));
    throwing(TypeError, 'core.sha3_512', () => core.sha3_512(notBytes));
    throwing(TypeError, 'core.sha512', () => core.sha512(notBytes));
    throwing(TypeError, 'core.crc32c', () => core.crc32c(notBytes));
    throwing(TypeError, 'sha3_512Batch', () => core.sha3_512Batch([one, notBytes]));
    throwing(TypeError, 'sha512Batch', () => core.sha512Batch([one, notBytes]));
    throwing(TypeError, 'crc32cBatch', () => core.crc32cBatch([one, notBytes]));
    throwing(TypeError, 'sectorPrefix', () => core.sectorPrefix(notBytes));
    throwing(TypeError, 'sectorPrefixBatch', () => core.sectorPrefixBatch([notBytes]));
    throwing(TypeError, 'decodeVarInts', () => core.decodeVarInts(notBytes));
    throwing(TypeError, 'scanFrames', () => core.scanFrames(notBytes));
    throwing(TypeError, 'scanKeepAlives', () => core.scanKeepAlives([notBytes]));
    throwing(TypeError, 'scanPresences', () => core.scanPresences([notBytes]));
    const item = { modulus: one, exponent: 3, signature: one, message: one };
    throwing(TypeError, 'modulus', () => core.rsaVerifyBatch([{ ...item, modulus: notBytes }]));
    throwing(TypeError, 'signature', () => core.rsaVerifyBatch([{ ...item, signature: notBytes }]));
    throwing(TypeError, 'message', () => core.rsaVerifyBatch([{ ...item, message: notBytes }]));
    throwing(RangeError, 'rounds 0', () => core.sha3_512Batch([one], { rounds: 0 }));
    throwing(RangeError, 'rounds 17', () => core.sha512Batch([one], { rounds: 17 }));
    throwing(RangeError, 'keepBytes 65', () => core.sha3_512Batch([one], { keepBytes: 65 }));
    throwing(RangeError, 'keepBytes 1.5', () => core.sha512Batch([one], { keepBytes: 1.5 }));
    throwing(RangeError, 'rowsMax 0', () => core.scanFrames(one, { rowsMax: 0 }));
    throwing(RangeError, 'timeRecords 256', () => core.scanFrames(one, { timeRecords: 256 }));
    throwing(RangeError, 'addressesMax -1', () => core.scanPresences([one], -1));
    const messages = keepAlives.messages.map(fromHex);
    const table = core.scanKeepAlives(messages);
    throwing(RangeError, 'another batch', () => core.keepAliveChecksums(messages.slice(1), table, one));
    throwing(RangeError, 'lock', () => core.keepAliveChecksums(messages, table, new Uint8Array(65)));
    throwing(TypeError, 'lock', () => core.keepAliveChecksums(messages, table, notBytes));
  },
  'leaves inputs alone, and results to the caller'(core, { hashes }) {
    const message = fromHex(hashes[2]!.message);
    const digest = core.sha3_512(message);
    const batch = core.sha3_512Batch([message]);
    const table = core.scanFrames(message);
    const rows = [...table.words];
    core.sha3_512(new Uint8Array(500).fill(7));
    core.crc32cBatch([new Uint8Array(2_000_000).fill(9)]);
    equal(toHex(message), hashes[2]!.message, 'input');
    equal(toHex(digest), hashes[2]!.sha3, 'digest');
    equal(toHex(batch), hashes[2]!.sha3, 'batch');
    equal([...table.words], rows, 'table');
    equal(digest.buffer.byteLength, 64, 'buffer of a digest');
  },
  'gives memory back'(core, { hashes }) {
    core.freeMemory();
    const initial = core.memoryBytes;
    const crc = core.crc32cBatch([new Uint8Array(3_000_000)]);
    equal(core.memoryBytes > initial || core.engine === 'js', true, 'grown');
    core.freeMemory();
    equal(core.memoryBytes, initial, 'bytes after freeMemory');
    equal(crc[0], crc32c(new Uint8Array(3_000_000)), 'result');
    equal(toHex(core.sha3_512(fromHex(hashes[1]!.message))), hashes[1]!.sha3, 'digest after freeMemory');
  },
};

interface Item {
  readonly modulus: Uint8Array;
  readonly exponent: number;
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}

const itemOf = (v: RsaVector): Item => ({
  modulus: fromHex(v.modulus),
  exponent: v.exponent,
  signature: fromHex(v.signature),
  message: fromHex(v.message),
});

/** In one batch, and one by one: kernels that take two at a time pair them differently. */
function verdictsOf(rsa: readonly RsaVector[], verify: (items: readonly Item[]) => Uint8Array): void {
  const items = rsa.map(itemOf);
  const batch = verify(items);
  rsa.forEach((v, i) => {
    const wanted = v.valid ? 1 : 0;
    equal(batch[i], wanted, `${v.name} in the batch`);
    equal(verify([items[i]!])[0], wanted, `${v.name} alone`);
  });
  const reversed = verify(items.toReversed());
  equal([...reversed], [...batch].reverse(), 'reversed batch');
}

/** A kernel by itself. */
function kernelCase(engine: RsaEngineName, { rsa }: Vectors): void {
  const kernel = loadRsaCoreSync(engine)!;
  equal(kernel.engine, engine, 'engine');
  verdictsOf(rsa, (items) => kernel.verifyBatch(items));
  const verdicts = kernel.verifyKeys(
    rsa.map((v) => ({ key: fromHex(v.key), signature: fromHex(v.signature), message: fromHex(v.message) })),
  );
  equal(
    [...verdicts],
    rsa.map((v) => v.keyVerdict),
    'verifyKeys',
  );
  const item = itemOf(rsa[0]!);
  throwing(TypeError, 'modulus', () => kernel.verifyBatch([{ ...item, modulus: notBytes }]));
  throwing(TypeError, 'key', () =>
    kernel.verifyKeys([{ key: notBytes, signature: item.signature, message: item.message }]),
  );
  throwing(RangeError, 'a batch beyond the arena', () =>
    kernel.verifyBatch([{ ...item, message: new Uint8Array(257 * 1024 * 1024) }]),
  );
  kernel.freeMemory();
  const initial = kernel.memoryBytes;
  equal(kernel.verifyBatch([{ ...item, message: new Uint8Array(3_000_000) }])[0], 0, 'long message');
  equal(kernel.memoryBytes > initial, true, 'grown');
  kernel.freeMemory();
  equal(kernel.memoryBytes, initial, 'bytes after freeMemory');
  equal(kernel.verifyBatch([item])[0], rsa[0]!.valid ? 1 : 0, 'verdict after freeMemory');
}

function attempt(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
}

/** Everything, in a program that has not used the package yet. Never rejects for a case that fails. */
export async function runSuite(vectors: Vectors): Promise<Report> {
  const coreSync = loadCoreSync().engine;
  const kernelsSync = rsaEngineNames.filter((name) => loadRsaCoreSync(name) !== null);
  const core = await loadCore();
  const kernels: RsaEngineName[] = [];
  for (const name of rsaEngineNames) if ((await loadRsaCore(name)) !== null) kernels.push(name);
  const best = await loadRsaCore();
  const cases = Object.entries(coreCases).map(([name, run]) => ({
    name,
    error: attempt(() => run(core, vectors)),
  }));
  cases.push({
    name: 'auto is the first kernel that works',
    error: attempt(() => equal(best?.engine ?? null, kernels[0] ?? null, 'auto')),
  });
  for (const kernel of kernels)
    cases.push({ name: `kernel ${kernel}`, error: attempt(() => kernelCase(kernel, vectors)) });
  return { kernels, kernelsSync, core: core.engine, coreSync, simd: core.simd, cases };
}
