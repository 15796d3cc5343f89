import { addressText, sha3sqTrunc } from '../../identity/index.js';
import {
  bitsToDifficulty,
  bitsToHash,
  compactPow,
  type DecodedPresence,
  decodeKeepAlive,
  decodePow,
  decodePresence,
  decodePresenceAddress,
  difficultyFromText,
  difficultyText,
  difficultyToBits,
  difficultyToHash,
  encodeKeepAlive,
  encodePow,
  encodePresence,
  encodePresenceAddress,
  encodePresenceSlots,
  hashToBits,
  hashToDifficulty,
  type KeepAlive,
  keepAliveChecksum,
  keepAlivePreimage,
  type PresenceAddress,
  powFormProblem,
  powHash,
  powVerdict,
  presenceChunks,
  type SignerPowSolution,
  verifyKeepAlive,
  verifyPresence,
} from '../../presence/index.js';
import {
  bytesEqual,
  Code,
  concatBytes,
  DecodeError,
  EMPTY_BYTES,
  encodeFrame,
  FRAME_HEADER_BYTES,
  fromHex,
  NETWORKS,
  toHex,
} from '../../wire/index.js';
import type { Answer, Family, Json, JsonObject, Outcome, VectorCase, VectorContext } from './case.js';
import { vectorEngine } from './engine.js';
import { generateCase, storeCase } from './family-05-store.js';
import { big, bytes, bytesOrNull, int, list, text } from './ledger-fields.js';
import {
  addressJson,
  attempt,
  networkOf,
  ownTypeOf,
  powKnowledgeOf,
  presenceJson,
  reasons,
  signerOf,
  typeUnits,
  verdict,
} from './presence-json.js';

/** Exception names are information (README §1). */
const ERROR_NAMES = ['error', '*.error', '*.*.error'];

const bitsHex = (bits: bigint): string => bits.toString(16).padStart(16, '0');

// Proof of work

function powOf(o: JsonObject, blockKey = 'block'): SignerPowSolution {
  return {
    block: big(o, blockKey),
    solution: bytesOrNull(o, 'solution') ?? EMPTY_BYTES,
    signingPublicKey: bytesOrNull(o, 'signingPublicKey') ?? EMPTY_BYTES,
  };
}

function powEncode(o: JsonObject): Answer {
  const pow = powOf(o);
  const hash = powHash(pow, bytes(o, 'wallet'), bytes(o, 'blockHash'));
  return {
    ignore: ERROR_NAMES,
    out: {
      bytes: toHex(encodePow(pow)),
      compact: toHex(encodePow(compactPow(pow))),
      powHash: hash === null ? null : toHex(hash),
      difficulty: attempt(() => difficultyText(hashToDifficulty(hash!))),
      bits: bitsHex(hashToBits(hash!)),
    },
  };
}

function powDecode(o: JsonObject): Answer {
  const pow = decodePow(bytes(o, 'bytes'));
  const form = powFormProblem(pow, networkOf(o));
  if (form !== null) return { refused: form };
  return {
    out: {
      block: String(pow.block),
      solution: toHex(pow.solution),
      signingPublicKey: toHex(pow.signingPublicKey),
      reencoded: toHex(encodePow(pow)),
    },
  };
}

function powHashCase(o: JsonObject): Answer {
  const hash = powHash(powOf(o), bytes(o, 'wallet'), bytes(o, 'blockHash'));
  return { out: { hash: hash === null ? null : toHex(hash) } };
}

function powCompacted(o: JsonObject): Answer {
  const pow = powOf(o);
  const compact = { ...pow, signingPublicKey: bytes(o, 'compactKey') };
  const hex = (p: SignerPowSolution): Json => {
    const hash = powHash(p, bytes(o, 'wallet'), bytes(o, 'blockHash'));
    return hash === null ? null : toHex(hash);
  };
  if (!bytesEqual(compactPow(pow).signingPublicKey, compact.signingPublicKey))
    return { out: { full: 'the compacted key differs' } };
  return { out: { full: hex(pow), compact: hex(compact) } };
}

function bitsCase(o: JsonObject): Answer {
  const bits = BigInt(`0x${text(o, 'bits')}`);
  return {
    ignore: ERROR_NAMES,
    out: {
      hash: attempt(() => toHex(bitsToHash(bits))),
      difficulty: attempt(() => difficultyText(bitsToDifficulty(bits))),
    },
  };
}

function difficultyCase(o: JsonObject): Answer {
  const raw = difficultyFromText(text(o, 'difficulty'));
  return {
    ignore: ERROR_NAMES,
    out: {
      hash: attempt(() => toHex(difficultyToHash(raw))),
      bits: attempt(() => bitsHex(difficultyToBits(raw))),
      backToDifficulty: attempt(() => difficultyText(bitsToDifficulty(difficultyToBits(raw)))),
    },
  };
}

function hashCase(o: JsonObject): Answer {
  const hash = bytes(o, 'hash');
  return {
    ignore: ERROR_NAMES,
    out: {
      difficulty: attempt(() => difficultyText(hashToDifficulty(hash))),
      bits: bitsHex(hashToBits(hash)),
    },
  };
}

function powVerify(c: VectorCase): Answer {
  const o = c.in;
  const wallet = bytesOrNull(o, 'wallet') ?? EMPTY_BYTES;
  const { problem } = powVerdict(powOf(o, 'powBlock'), wallet, networkOf(o), ownTypeOf(o), powKnowledgeOf(o));
  return verdict(c, problem, { valid: problem === null });
}

function powCase(c: VectorCase, sub: string): Answer {
  switch (sub) {
    case 'encode':
    case 'mined':
      return powEncode(c.in);
    case 'decode':
      return powDecode(c.in);
    case 'hash-solution-length':
      return powHashCase(c.in);
    case 'hash-compacted-equal':
      return powCompacted(c.in);
    case 'bits':
      return bitsCase(c.in);
    case 'difficulty':
      return difficultyCase(c.in);
    case 'hash':
      return hashCase(c.in);
    case 'verify':
      return powVerify(c);
    default:
      return { uncovered: `no group pow/${sub}` };
  }
}

// Keep-alives

/** Null when the keep-alive verifies under the key, as the node of the case sees it. */
async function keepAliveProblem(
  ka: KeepAlive,
  key: Uint8Array | null,
  o: JsonObject,
  ctx: VectorContext,
): Promise<string | null> {
  if (key === null) return 'no key';
  const claim = { network: networkOf(o), ownType: ownTypeOf(o), pow: powKnowledgeOf(o) };
  return verifyKeepAlive(ka, key, claim, await vectorEngine(ctx));
}

async function signed(
  o: JsonObject,
  version: 1 | 2,
  ctx: VectorContext,
): Promise<{
  ka: KeepAlive & { signature: Uint8Array };
  key: Uint8Array;
  checksum: Uint8Array;
  lock: Uint8Array;
}> {
  const signer = await signerOf(ctx, 'wallet' in o ? text(o, 'wallet') : 'w0');
  const lock = 'lockBytes' in o ? bytes(o, 'lockBytes') : networkOf(o).lock;
  const unsigned: KeepAlive = {
    version,
    wallet: signer.address,
    device: 'device' in o ? bytes(o, 'device') : Uint8Array.of(1),
    timestamp: 'timestamp' in o ? int(o, 'timestamp') : 1_767_225_600,
    hostname: text(o, 'host'),
    type: 'type' in o ? text(o, 'type') : 'R',
    pow: bytesOrNull(o, 'pow'),
    signature: null,
  };
  const checksum = keepAliveChecksum(unsigned, lock);
  const ka = { ...unsigned, signature: await signer.sign(checksum) };
  return { ka, key: signer.publicKey, checksum, lock };
}

async function keepAliveBuild(o: JsonObject, version: 1 | 2, ctx: VectorContext): Promise<Answer> {
  const { ka, key, checksum, lock } = await signed(o, version, ctx);
  const wire = encodeKeepAlive(ka);
  return {
    out: {
      bytes: toHex(wire),
      checksumPreimage: toHex(concatBytes(lock, keepAlivePreimage(ka))),
      checksum: toHex(checksum),
      signature: toHex(ka.signature),
      decodedChecksumEqual: bytesEqual(keepAliveChecksum(decodeKeepAlive(wire), lock), checksum),
      verifies: (await keepAliveProblem(ka, key, o, ctx)) === null,
      frame34Header: toHex(encodeFrame(Code.keepAlivePresence, wire).subarray(0, FRAME_HEADER_BYTES)),
      inventoryType3Hash: toHex(sha3sqTrunc(wire)),
    },
  };
}

async function keepAliveDecode(o: JsonObject, ctx: VectorContext): Promise<Answer> {
  const ka = decodeKeepAlive(bytes(o, 'bytes'));
  const problem = await keepAliveProblem(ka, bytesOrNull(o, 'publicKey'), o, ctx);
  return {
    out: {
      version: ka.version,
      wallet: addressText(ka.wallet),
      device: toHex(ka.device),
      timestamp: String(ka.timestamp),
      host: ka.hostname,
      type: typeUnits(ka.type),
      pow: ka.pow === null ? null : toHex(ka.pow),
      signatureLength: ka.signature?.length ?? 0,
      checksum: toHex(keepAliveChecksum(ka, networkOf(o).lock)),
      reencoded: toHex(encodeKeepAlive(ka)),
      verifies: problem === null,
    },
  };
}

async function keepAliveVerify(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  let problem: string | null = 'no bytes';
  // One case could not be serialized by the reference and says so in place of the bytes.
  if (typeof c.in.bytes === 'string') {
    try {
      const ka = decodeKeepAlive(bytes(c.in, 'bytes'));
      problem = await keepAliveProblem(ka, bytesOrNull(c.in, 'publicKey'), c.in, ctx);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
      problem = e.message;
    }
  }
  return verdict(c, problem, { verifies: problem === null });
}

async function keepAliveHost(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const { ka, key } = await signed(c.in, 2, ctx);
  const problem = await keepAliveProblem(decodeKeepAlive(encodeKeepAlive(ka)), key, c.in, ctx);
  return verdict(c, problem, { verifies: problem === null });
}

function keepAliveCase(c: VectorCase, sub: string, ctx: VectorContext): Promise<Answer> | Answer {
  switch (sub) {
    case 'v2':
      return keepAliveBuild(c.in, 2, ctx);
    case 'v1':
      return keepAliveBuild(c.in, 1, ctx);
    case 'decode':
      return keepAliveDecode(c.in, ctx);
    case 'tamper':
    case 'pow-check':
    case 'no-pow':
      return keepAliveVerify(c, ctx);
    case 'host':
      return keepAliveHost(c, ctx);
    default:
      return { uncovered: `no group keepalive/${sub}` };
  }
}

// Presence addresses and presences

function addressEncode(o: JsonObject): Answer {
  const a: PresenceAddress = {
    version: int(o, 'version'),
    device: bytes(o, 'device'),
    hostname: text(o, 'address'),
    type: text(o, 'type'),
    nodeVersion: text(o, 'nodeVersion'),
    lastSeen: int(o, 'lastSeen'),
    signature: bytesOrNull(o, 'signature'),
    pow: bytesOrNull(o, 'pow'),
  };
  const wire = encodePresenceAddress(a);
  const decoded = decodePresenceAddress(wire);
  return {
    out: {
      bytes: toHex(wire),
      length: wire.length,
      decoded: addressJson(decoded),
      decodedReencoded: toHex(encodePresenceAddress(decoded)),
    },
  };
}

function addressDecode(o: JsonObject): Answer {
  const a = decodePresenceAddress(bytes(o, 'bytes'));
  return { out: { ...addressJson(a), reencoded: toHex(encodePresenceAddress(a)) } };
}

const slotsOf = (o: JsonObject): (PresenceAddress | null)[] =>
  list(o, 'slots').map((s) => (s === null ? null : decodePresenceAddress(fromHex(s as string))));

function presenceEncode(o: JsonObject): Answer {
  const header = {
    version: int(o, 'version'),
    wallet: bytes(o, 'wallet'),
    publicKey: bytes(o, 'publicKey'),
    metadata: bytesOrNull(o, 'metadata'),
  };
  const wire = encodePresenceSlots(header, slotsOf(o));
  const decoded = decodePresence(wire);
  return {
    out: {
      bytes: toHex(wire),
      decoded: presenceJson(decoded),
      reencodedEqual: bytesEqual(encodePresence(decoded), wire),
      chunks: presenceChunks(decoded).length,
    },
  };
}

/** A packet the case gives in full, or filled up with zeros to a length. */
function presenceBytes(o: JsonObject): Uint8Array {
  const given = bytes(o, 'bytes');
  if (!('bytesThenZerosTo' in o)) return given;
  const filled = new Uint8Array(int(o, 'bytesThenZerosTo'));
  filled.set(given);
  return filled;
}

function presenceDecode(o: JsonObject): Answer {
  const p = decodePresence(presenceBytes(o));
  if (p.malformed.length > 0 && p.addresses.length === 0) return { refused: p.malformed[0]!.message };
  return { out: { ...presenceJson(p), reencodedLength: encodePresence(p).length } };
}

/**
 * Chunks. The files write `bytes` only for the reference's broken chunks, and `decodes` with the number of
 * endpoints; where it breaks, ours must hold every endpoint once, ten to a chunk (docs/protocol/05 §4.3).
 */
function presenceChunksCase(c: VectorCase): Answer | Outcome {
  const slots = slotsOf(c.in).filter((a) => a !== null);
  const chunks = presenceChunks({
    version: 1,
    wallet: bytes(c.in, 'wallet'),
    publicKey: bytes(c.in, 'publicKey'),
    metadata: null,
    addresses: slots,
  });
  const decoded = chunks.map(decodePresence);
  const described = chunks.map((b, i) => ({
    bytes: null,
    length: b.length,
    decodes: decoded[i]!.addresses.length,
  }));
  if (c.strict === undefined) return { out: { chunks: described } };
  const fail = (detail: string): Outcome => ({ kind: 'failed', detail });
  const expected = list(c.out, 'chunks') as readonly JsonObject[];
  if (expected.length !== chunks.length) return fail(`${chunks.length} chunks, not ${expected.length}`);
  // The reference's first chunk is right, so its length and content are compared as they stand.
  const first = expected[0]!;
  if (first.length !== described[0]!.length || first.decodes !== described[0]!.decodes)
    return fail(`first chunk: expected ${JSON.stringify(first)}, got ${JSON.stringify(described[0])}`);
  for (let i = 0; i < decoded.length; i++) {
    const want = slots.slice(10 * i, 10 * i + 10).map((a) => toHex(encodePresenceAddress(a)));
    const got = decoded[i]!.addresses.map((a) => toHex(encodePresenceAddress(a)));
    if (want.join() !== got.join()) return fail(`chunk ${i} does not hold addresses ${10 * i} and on`);
  }
  return c.strict.accept === true ? { kind: 'passed' } : fail('taken, but refusal is expected');
}

async function presenceVerify(c: VectorCase, ctx: VectorContext): Promise<Answer | Outcome> {
  const o = c.in;
  const p: DecodedPresence = decodePresence(bytes(o, 'presence'));
  const claim = { network: NETWORKS.main, ownType: ownTypeOf(o), pow: powKnowledgeOf(o) };
  const verified = await verifyPresence(p, int(o, 'networkTime'), claim, await vectorEngine(ctx));
  const problem = reasons(verified.problem, verified.dropped);
  const before = p.addresses.length + p.malformed.length;
  // A refused packet is left as it came; a valid one goes on with the survivors.
  const survivors = problem === null ? verified.addresses.length : before;
  if (c.strict?.accept === true) {
    const bad = p.malformed.length;
    const good = problem === null && bad > 0 && survivors === before - bad;
    return good ? { kind: 'passed' } : { kind: 'failed', detail: `${survivors} of ${before} survive` };
  }
  return verdict(c, problem, { valid: problem === null, survivors, before });
}

function presenceCase(
  c: VectorCase,
  sub: string,
  ctx: VectorContext,
): Promise<Answer | Outcome> | Answer | Outcome {
  switch (sub) {
    case 'encode':
      return presenceEncode(c.in);
    case 'decode':
      return presenceDecode(c.in);
    case 'chunks':
      return presenceChunksCase(c);
    case 'verify':
      return presenceVerify(c, ctx);
    default:
      return { uncovered: `no group presence/${sub}` };
  }
}

function run(c: VectorCase, ctx: VectorContext): Promise<Answer | Outcome> | Answer | Outcome {
  const [group = '', sub = ''] = c.name.split('/');
  switch (group) {
    case 'pow':
      return powCase(c, sub);
    case 'keepalive':
      return keepAliveCase(c, sub, ctx);
    case 'presence-address':
      return sub === 'encode' ? addressEncode(c.in) : addressDecode(c.in);
    case 'presence':
      return presenceCase(c, sub, ctx);
    case 'store':
      return storeCase(c, ctx);
    case 'generate':
      return generateCase(c, ctx);
    default:
      return { uncovered: `no group ${group}` };
  }
}

/** Keep-alives, presences, proof of work, the presence store (docs/protocol/05). */
export const family05: Family = { name: '05-presence', files: ['05-presence.json'], run };
