import { addressFromKey, isRsaPublicKey, parseAddress, sha512 } from '../../identity/index.js';
import {
  type BlockHeader,
  type BlockSignature,
  buildPitProof,
  buildPitProofFor,
  decodeHeader,
  decodePitProof,
  encodeBlockSignature,
  encodeHeader,
  encodeName,
  type HeaderFields,
  type HeaderTail,
  isSuperblock,
  makeHeader,
  pitRoot,
  signatureDifficulty,
  signatureFreezeChecksum,
  signedByPowKey,
} from '../../ledger/index.js';
import {
  bitsToDifficulty,
  bitsToHash,
  difficultyFromText,
  difficultyToBits,
  difficultyToHash,
  powHash,
} from '../../presence/index.js';
import { CuckooFilter, fromHex, NETWORKS, toHex } from '../../wire/index.js';
import type { Answer, Family, JsonObject, Outcome, VectorCase, VectorContext } from './case.js';
import { vectorEngine } from './engine.js';
import { big, bytes, bytesOrNull, int, objects, text, texts } from './ledger-fields.js';
import { balanceCase, messageCase, pitMessages } from './ledger-messages.js';

const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));
const bitsHex = (bits: bigint): string => bits.toString(16).padStart(16, '0');

/** Bytes of `hashedPartPrefix` where a hashed part is too long for the file. */
const SHOWN_PREFIX_BYTES = 300;

function segmentsOf(q: JsonObject): readonly Uint8Array[] {
  const s = q.segments;
  if (typeof s !== 'string') {
    const pairs = s as readonly (readonly [string, string])[];
    return pairs.map(([, checksum]) => fromHex(checksum));
  }
  // "999 segments: for n = 5001..5999 checksum = SHA-512(ASCII "pub/segment/<n>")"
  const m = /n = (\d+)\.\.(\d+) checksum = SHA-512\(ASCII "([^"<]*)<n>"\)/.exec(s);
  if (m === null) throw new TypeError(`cannot expand ${s}`);
  const out: Uint8Array[] = [];
  for (let n = Number(m[1]); n <= Number(m[2]); n++) out.push(sha512(new TextEncoder().encode(m[3]! + n)));
  return out;
}

function fieldsOf(q: JsonObject): { fields: HeaderFields; ids: Uint8Array[] } {
  const number = int(q, 'blockNum');
  const ids = texts(q, 'transactions').map(fromHex);
  // Writers go by the previous superblock's checksum, readers by the number (09 §7.2): the file holds headers
  // of a multiple of 1000 without one.
  const superblock = isSuperblock(number) && q.lastSuperBlockChecksum !== null;
  const fields: HeaderFields = {
    version: int(q, 'version'),
    number,
    previousChecksum: bytesOrNull(q, 'lastBlockChecksum'),
    freezeChecksum: bytesOrNull(q, 'signatureFreezeChecksum'),
    transactionCount: int(q, 'transactionCount'),
    pitRoot: pitRoot(ids),
    timestamp: int(q, 'timestamp'),
    difficulty: big(q, 'difficulty'),
    signerBits: number === 1 || superblock ? BigInt(`0x${text(q, 'signerBits')}`) : null,
    superblock: superblock
      ? {
          previousNumber: int(q, 'lastSuperBlockNum'),
          previousChecksum: bytesOrNull(q, 'lastSuperBlockChecksum'),
          segments: segmentsOf(q),
        }
      : null,
    walletStateChecksum: bytes(q, 'walletStateChecksum'),
    nameStateChecksum: bytesOrNull(q, 'regNameStateChecksum'),
    totalFee: big(q, 'totalFee'),
  };
  return { fields, ids };
}

const tailOf = (line: string): HeaderTail => (line === '0.9.7' ? 'bits' : 'difficulty');

function headerCase(c: VectorCase): Answer {
  const { fields, ids } = fieldsOf(c.in);
  const header = makeHeader(fields, { transactions: ids });
  const tail = tailOf(c.line);
  const plain = toHex(encodeHeader(header, { signatures: 'none', tail }));
  return {
    out: {
      hashedPart: toHex(header.hashed),
      hashedPartLength: header.hashed.length,
      hashedPartPrefix: toHex(header.hashed.subarray(0, SHOWN_PREFIX_BYTES)),
      blockChecksum: toHex(header.checksum),
      pitChecksum: hexOrNull(header.pitRoot),
      header: plain,
      headerNoSignatures: plain,
      headerNoSignaturesWithTransactions: toHex(
        encodeHeader(header, { signatures: 'none', tail, transactions: true }),
      ),
    },
  };
}

function signatureOf(q: JsonObject, ctx: VectorContext): BlockSignature {
  const address = parseAddress(bytes(q, 'signer'));
  const sentAs = /^public key of (.+)$/.exec(text(q, 'signerSentAs'));
  const signer =
    sentAs === null ? address : bytes(ctx.find('streaming-wallets.json', sentAs[1]!).out, 'publicKey');
  return {
    signer,
    address: sentAs === null ? address : addressFromKey(signer),
    pow: {
      block: big(q, 'powBlock'),
      solution: bytes(q, 'solution'),
      signingPublicKey: bytes(q, 'signingKey'),
    },
    rsa: bytesOrNull(q, 'rsaSignature'),
  };
}

/** The case spells out every part of each signature inside its question; ours must give the same parts. */
async function wrongPart(
  q: JsonObject,
  s: BlockSignature,
  header: BlockHeader,
  ctx: VectorContext,
): Promise<string | null> {
  const pow = s.pow!;
  const target = bytes(q, 'powBlockChecksum');
  const ours: readonly (readonly [string, string])[] = [
    ['full', toHex(encodeBlockSignature(s))],
    ['compacted', toHex(encodeBlockSignature(s, true))],
    ['powHash', toHex(powHash(pow, s.address, target)!)],
    ['powDifficultyUnits', signatureDifficulty(s, target).toString()],
    ['bytesSignedByPowKey', toHex(signedByPowKey(header.checksum, pow))],
  ];
  for (const [key, value] of ours) if (value !== text(q, key)) return `signatures.${key}`;
  if (!isRsaPublicKey(pow.signingPublicKey) || s.rsa === null) return null;
  const item = { key: pow.signingPublicKey, message: signedByPowKey(header.checksum, pow), signature: s.rsa };
  return (await (await vectorEngine(ctx)).verify([item]))[0] === true ? null : 'signatures.rsaSignature';
}

async function signedCase(c: VectorCase, ctx: VectorContext): Promise<Answer | Outcome> {
  const { fields, ids } = fieldsOf(c.in);
  const parts = objects(c.in, 'signatures');
  const signatures = parts.map((q) => signatureOf(q, ctx));
  const header = makeHeader(fields, { transactions: ids, signatures });
  for (const [i, q] of parts.entries()) {
    const wrong = await wrongPart(q, signatures[i]!, header, ctx);
    if (wrong !== null) return { kind: 'failed', detail: `in.${wrong} of signature ${i} differs` };
  }
  const tail = tailOf(c.line);
  return {
    out: {
      hashedPart: toHex(header.hashed),
      blockChecksum: toHex(header.checksum),
      pitChecksum: hexOrNull(header.pitRoot),
      headerFullSignatures: toHex(encodeHeader(header, { signatures: 'full', tail })),
      headerCompactedSignatures: toHex(encodeHeader(header, { signatures: 'compacted', tail })),
      headerFullWithTransactions: toHex(
        encodeHeader(header, { signatures: 'full', tail, transactions: true }),
      ),
      signatureFreezeChecksumOfThisBlock: toHex(signatureFreezeChecksum(header.number, header.signatures)),
    },
  };
}

function parsedOut(h: BlockHeader): JsonObject {
  const first = h.number - (h.superblock?.segments.length ?? 0);
  return {
    accept: true,
    version: h.version,
    blockNum: String(h.number),
    lastBlockChecksum: hexOrNull(h.previousChecksum),
    signatureFreezeChecksum: hexOrNull(h.freezeChecksum),
    transactionCount: String(h.transactionCount),
    transactions: h.transactions.map(toHex),
    timestamp: String(h.timestamp),
    difficulty: h.difficulty.toString(),
    signerBits: bitsHex(h.signerBits ?? 0n),
    lastSuperBlockNum: String(h.superblock?.previousNumber ?? 0),
    lastSuperBlockChecksum: hexOrNull(h.superblock?.previousChecksum ?? null),
    segments: (h.superblock?.segments ?? []).map((s, i) => [String(first + i), toHex(s)]),
    walletStateChecksum: toHex(h.walletStateChecksum),
    regNameStateChecksum: hexOrNull(h.nameStateChecksum),
    totalFee: h.totalFee.toString(),
    blockChecksum: toHex(h.checksum),
    pitChecksum: hexOrNull(h.pitRoot),
    signatures: h.signatures.length,
    signatureCount: h.signerCount,
    totalSignerDifficultyUnits: h.signerDifficulty.toString(),
  };
}

function parseCase(c: VectorCase): Answer | Outcome {
  const input = bytes(c.in, 'bytes');
  if (c.line !== 'both') return { out: parsedOut(decodeHeader(input, tailOf(c.line))) };
  // Where both lines gave one answer, both of our readers must give it.
  const bits = parsedOut(decodeHeader(input, 'bits'));
  const difficulty = parsedOut(decodeHeader(input, 'difficulty'));
  if (JSON.stringify(bits) !== JSON.stringify(difficulty))
    return { kind: 'failed', detail: 'the two tail readers differ' };
  return { out: difficulty };
}

function bitsCase(c: VectorCase): Answer {
  const bits = BigInt(`0x${text(c.in, 'bits')}`);
  const difficulty = bitsToDifficulty(bits);
  return {
    out: {
      accept: true,
      hash: toHex(bitsToHash(bits)),
      difficultyUnits: difficulty.toString(),
      bitsOfDifficulty: bitsHex(difficultyToBits(difficulty)),
    },
  };
}

function difficultyCase(c: VectorCase): Answer {
  const units = difficultyFromText(text(c.in, 'difficulty'));
  return {
    out: { accept: true, bits: bitsHex(difficultyToBits(units)), hash: toHex(difficultyToHash(units)) },
  };
}

/**
 * Which ids to prove stands beside the expected proofs: `matched` and `filter` are questions, read from there.
 * Every id of `matched` that lies in the tree must also be shown by the proof.
 */
function pitCase(c: VectorCase): Answer {
  const ids = texts(c.in, 'ids').map(fromHex);
  const proofs = objects(c.out, 'proofs').map((q): JsonObject => {
    if ('filter' in q) {
      const filter = CuckooFilter.decode(bytes(q, 'filter'));
      return {
        filter: toHex(filter.encode()),
        filterMatches: ids.filter((id) => filter.has(id)).map(toHex),
        proof: toHex(buildPitProofFor(ids, filter)),
      };
    }
    const matched = texts(q, 'matched').map(fromHex);
    const proof = buildPitProof(ids, matched);
    const decoded = decodePitProof(proof);
    return {
      matched: matched.map(toHex),
      accept: true,
      proof: toHex(proof),
      rootFromProof: toHex(decoded.root),
      contains: matched.map((id) => decoded.has(id)),
    };
  });
  return { out: { root: toHex(pitRoot(ids)), proofs } };
}

function proofCase(c: VectorCase, ctx: VectorContext, file: string): Answer {
  const proof = decodePitProof(bytes(c.in, 'proof'));
  // The proofs of these cases were made from the tree with five ids, for the first of them.
  const first = fromHex(texts(ctx.find(file, 'pit 5 ids #3').in, 'ids')[0]!);
  return { out: { accept: true, root: toHex(proof.root), containsFirst: proof.has(first) } };
}

function pitMessageCase(c: VectorCase): Answer {
  const ids = texts(c.in, 'ids').map(fromHex);
  const filter = CuckooFilter.build([bytes(c.in, 'wanted')]);
  if (toHex(filter.encode()) !== text(c.in, 'filter'))
    return { refused: 'our filter differs from in.filter' };
  return { out: pitMessages(int(c.in, 'block'), filter.encode(), buildPitProofFor(ids, filter)) };
}

/** Ledger coordination of document 09. */
export const family09: Family = {
  name: '09-dlt-coordination',
  files: ['09-dlt-coordination.json'],
  run(c, ctx, file) {
    const is = (start: string): boolean => c.name.startsWith(start);
    if (is('header parse')) return parseCase(c);
    if (is('header v') || is('superblock')) return headerCase(c);
    if (is('signed block')) return signedCase(c, ctx);
    if (is('bits')) return bitsCase(c);
    if (is('difficulty')) return difficultyCase(c);
    if (is('pit proof decode')) return proofCase(c, ctx, file);
    if (is('pit ')) return pitCase(c);
    if (is('getPIT2 and pitData2')) return pitMessageCase(c);
    if (is('name label'))
      return { out: { accept: true, encoded: toHex(encodeName(text(c.in, 'name'), NETWORKS.main.lock)) } };
    if (is('message ')) return messageCase(c, ctx, file);
    if (is('balance2') || is('getBalance2')) return balanceCase(c);
    return { uncovered: `no rule for ${c.name}` };
  },
};
