import { sha3_512sq } from '../identity/index.js';
import { bitsToDifficulty, DifficultyError, difficultyToBits } from '../presence/index.js';
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  bytesKey,
  DecodeError,
  encodeIxiNumber,
  readIxiNumber,
} from '../wire/index.js';
import {
  type BlockSignature,
  blockSignatureBytesMax,
  decodeBlockSignature,
  encodeBlockSignature,
} from './block-signature.js';
import { pitRoot, transactionIdBytesMax } from './pit.js';

/** Oldest and newest block version read (docs/protocol/09 §7.2); older ones are hashed differently. */
export const BLOCK_VERSION_MIN = 10;
export const BLOCK_VERSION_MAX = 13;
/** Every block with such a number is a superblock. */
export const SUPERBLOCK_INTERVAL = 1000;
/** 4 MiB plus room for the most signatures a block can have (09 §7.2). */
export const headerBytesMax = 24_457_624;
/** Twice the most signers of a block (09 §7.3). */
export const headerSignaturesMax = 2000;
/** A superblock covers the blocks since the one before it. */
const segmentsMax = SUPERBLOCK_INTERVAL;
const checksumBytesMax = 64;

/** Which of the two indistinguishable zero-signature tails to expect or write (09 §7.3). */
export type HeaderTail = 'bits' | 'difficulty';

/** Field 9': what a superblock says about the thousand blocks before it. */
export interface Superblock {
  /** The superblock before; block 1000 names block 1. */
  readonly previousNumber: number;
  readonly previousChecksum: Uint8Array | null;
  /** Checksums of the blocks `number − segments.length` … `number − 1`. */
  readonly segments: readonly Uint8Array[];
}

/** Fields 1 to 12, from which the checksum follows. */
export interface HeaderFields {
  readonly version: number;
  readonly number: number;
  /** Null in block 1 only. */
  readonly previousChecksum: Uint8Array | null;
  /** Hash of the frozen signatures of block `number − 5`, or null. */
  readonly freezeChecksum: Uint8Array | null;
  readonly transactionCount: number;
  /** Root of the inclusion tree, 44 bytes. */
  readonly pitRoot: Uint8Array | null;
  /** Unix seconds. */
  readonly timestamp: number;
  /** Mining difficulty of a retired scheme, any u64. */
  readonly difficulty: bigint;
  /** Block 1 and superblocks only. */
  readonly signerBits: bigint | null;
  readonly superblock: Superblock | null;
  readonly walletStateChecksum: Uint8Array;
  /** v11 and later. */
  readonly nameStateChecksum: Uint8Array | null;
  /** Σ fees in 10⁻⁸ units, v11 and later (0 before). */
  readonly totalFee: bigint;
}

/** A block header as received. */
export interface BlockHeader extends HeaderFields {
  /** Fields 1–12 exactly as received: the checksum covers these bytes, not a re-encoding. */
  readonly hashed: Uint8Array;
  /** H3² of {@link hashed}, 64 bytes. */
  readonly checksum: Uint8Array;
  readonly signatures: readonly BlockSignature[];
  /** Number of signers: counted, or claimed by a zero-signature tail. */
  readonly signerCount: number;
  /** Total difficulty claimed by a zero-signature tail in units; 0 where signatures are present. */
  readonly signerDifficulty: bigint;
  /** Transaction ids, only if they were sent (their root has been checked then). */
  readonly transactions: readonly Uint8Array[];
}

/** True for numbers that carry field 9'. */
export const isSuperblock = (number: number): boolean => number !== 0 && number % SUPERBLOCK_INTERVAL === 0;

function optional(r: ByteReader, field: string): Uint8Array | null {
  const b = r.ixiBytes(field, checksumBytesMax);
  return b === null ? null : b.slice();
}

function required(r: ByteReader, field: string): Uint8Array {
  // The reference reads an empty state checksum but cannot write the block again; 09 §7.2 forbids it.
  return optional(r, field) ?? r.fail('EMPTY', field);
}

function readSuperblock(r: ByteReader, number: number): Superblock {
  const previousNumber = r.uvarSafe('header.previousSuperblock');
  const previousChecksum = optional(r, 'header.previousSuperblockChecksum');
  const count = r.uvarInt('header.segments', Math.min(segmentsMax, number));
  // Each segment takes at least its length byte.
  if (count > r.remaining) r.fail('EOF', 'header.segments', `${count} entries`);
  const segments: Uint8Array[] = [];
  for (let i = 0; i < count; i++) segments.push(required(r, 'header.segment'));
  return { previousNumber, previousChecksum, segments };
}

function readFields(r: ByteReader): HeaderFields {
  const version = r.uvarInt('header.version', BLOCK_VERSION_MAX);
  if (version < BLOCK_VERSION_MIN) throw new DecodeError('RANGE', 'header.version', r.offset, `${version}`);
  const number = r.uvarSafe('header.number');
  const previousChecksum = optional(r, 'header.previousChecksum');
  const freezeChecksum = optional(r, 'header.freezeChecksum');
  const transactionCount = r.uvarInt('header.transactionCount');
  const root = optional(r, 'header.pitRoot');
  const timestamp = r.uvarSafe('header.timestamp');
  const difficulty = r.uvar('header.difficulty');
  const special = number === 1 || isSuperblock(number);
  const signerBits = special ? r.u64('header.signerBits') : null;
  const superblock = isSuperblock(number) ? readSuperblock(r, number) : null;
  const walletStateChecksum = required(r, 'header.walletState');
  const late = version >= 11;
  const nameStateChecksum = late ? required(r, 'header.nameState') : null;
  const totalFee = late ? readIxiNumber(r, 'header.totalFee') : 0n;
  return {
    version,
    number,
    previousChecksum,
    freezeChecksum,
    transactionCount,
    pitRoot: root,
    timestamp,
    difficulty,
    signerBits,
    superblock,
    walletStateChecksum,
    nameStateChecksum,
    totalFee,
  };
}

/** A difficulty of 0 or above the maximum in a received tail is the sender's fault, so it names the offset. */
function difficultyOfBits(bits: bigint, offset: number): bigint {
  try {
    return bitsToDifficulty(bits);
  } catch (e) {
    if (e instanceof DifficultyError) throw new DecodeError('RANGE', 'header.tailBits', offset, e.message);
    throw e;
  }
}

interface Tail {
  readonly signatures: readonly BlockSignature[];
  readonly signerCount: number;
  readonly signerDifficulty: bigint;
}

function readTail(r: ByteReader, tail: HeaderTail): Tail {
  if (r.remaining === 0) return { signatures: [], signerCount: 0, signerDifficulty: 0n };
  const count = r.uvarInt('header.signatures', headerSignaturesMax);
  if (count === 0) {
    const signerCount = r.uvarInt('header.signerCount');
    const at = r.offset;
    const signerDifficulty =
      tail === 'bits'
        ? difficultyOfBits(r.uvar('header.tailBits'), at)
        : readIxiNumber(r, 'header.signerDifficulty');
    if (signerDifficulty < 0n) throw new DecodeError('RANGE', 'header.signerDifficulty', at, 'negative');
    return { signatures: [], signerCount, signerDifficulty };
  }
  const seen = new Set<string>();
  const signatures: BlockSignature[] = [];
  for (let i = 0; i < count; i++) {
    const s = decodeBlockSignature(r.vb('header.signature', blockSignatureBytesMax), 'header.signature');
    const key = bytesKey(s.address);
    if (seen.has(key)) continue;
    seen.add(key);
    signatures.push(s);
  }
  return { signatures, signerCount: signatures.length, signerDifficulty: 0n };
}

function readTransactions(r: ByteReader, fields: HeaderFields): Uint8Array[] {
  if (r.remaining === 0 || fields.transactionCount === 0) return [];
  const start = r.offset;
  const seen = new Set<string>();
  const ids: Uint8Array[] = [];
  for (let i = 0; i < fields.transactionCount; i++) {
    const id =
      r.ixiBytes('header.transaction', transactionIdBytesMax) ?? r.fail('EMPTY', 'header.transaction');
    if (id.length < 3) r.fail('RANGE', 'header.transaction', 'shorter than three bytes');
    const key = bytesKey(id);
    if (seen.has(key)) r.fail('FORMAT', 'header.transaction', 'twice the same id');
    seen.add(key);
    ids.push(id.slice());
  }
  if (fields.pitRoot === null || !bytesEqual(pitRoot(ids), fields.pitRoot))
    throw new DecodeError('CHECKSUM', 'header.transactions', start, 'the ids do not give the root');
  return ids;
}

function decodeWith(bytes: Uint8Array, tail: HeaderTail, exact: boolean): BlockHeader {
  const r = new ByteReader(bytes);
  const fields = readFields(r);
  const hashed = bytes.slice(0, r.offset);
  const rest = readTail(r, tail);
  const transactions = readTransactions(r, fields);
  if (exact) r.done('header');
  return { ...fields, hashed, checksum: sha3_512sq(hashed), ...rest, transactions };
}

/**
 * Decodes one header of the V10 structure (09 §7.2–7.3), block versions 10 to 13. `tail` says how a
 * zero-signature tail is to be read; `any` takes whichever of the two forms fits the bytes exactly, for
 * answers of responders whose line is unknown. Transaction ids, when sent, must give the header's root.
 * Bytes after the last field are ignored as in the reference (not with `any`). Throws `DecodeError`.
 */
export function decodeHeader(bytes: Uint8Array, tail: HeaderTail | 'any' = 'any'): BlockHeader {
  if (bytes.length > headerBytesMax)
    throw new DecodeError('TOOLONG', 'header', 0, `${bytes.length} > ${headerBytesMax}`);
  if (tail !== 'any') return decodeWith(bytes, tail, false);
  try {
    return decodeWith(bytes, 'difficulty', true);
  } catch (e) {
    if (!(e instanceof DecodeError)) throw e;
    return decodeWith(bytes, 'bits', true);
  }
}

/**
 * Canonical bytes of fields 1–12: what a block's maker hashes. Fields 9 and 9' are written where they are
 * given; a reader expects them by the block's number (09 §7.2).
 */
export function encodeHeaderFields(h: HeaderFields): Uint8Array {
  const w = new ByteWriter(h.superblock === null ? 400 : 400 + 66 * h.superblock.segments.length);
  w.var(h.version).var(h.number).vb(h.previousChecksum).vb(h.freezeChecksum);
  w.var(h.transactionCount).vb(h.pitRoot).var(h.timestamp).var(h.difficulty);
  if (h.signerBits !== null) w.u64(h.signerBits);
  if (h.superblock !== null) {
    w.var(h.superblock.previousNumber).vb(h.superblock.previousChecksum).var(h.superblock.segments.length);
    for (const s of h.superblock.segments) w.vb(s);
  }
  w.vb(h.walletStateChecksum);
  if (h.version >= 11) w.vb(h.nameStateChecksum).vb(encodeIxiNumber(h.totalFee));
  return w.bytes();
}

/** What to write after the hashed part. */
export interface HeaderForm {
  /** `none` writes signer count and total difficulty instead of signatures. */
  readonly signatures: 'none' | 'compacted' | 'full';
  /** Form of the zero-signature tail. */
  readonly tail: HeaderTail;
  /** Append the transaction ids, where they are known. */
  readonly transactions?: boolean;
}

/** A header to be written: the bytes under the checksum and what may follow them. */
export type HeaderContent = Pick<
  BlockHeader,
  'hashed' | 'signatures' | 'signerCount' | 'signerDifficulty' | 'transactions'
>;

/**
 * Bytes of a header in the wanted form. Fields 1–12 go out as they came in. A header without signatures
 * always gets the zero-signature tail.
 */
export function encodeHeader(h: HeaderContent, form: HeaderForm): Uint8Array {
  const w = new ByteWriter(h.hashed.length + 64);
  w.raw(h.hashed);
  if (form.signatures === 'none' || h.signatures.length === 0) {
    w.var(0).var(h.signerCount);
    if (form.tail === 'bits') w.var(difficultyToBits(h.signerDifficulty));
    else w.vb(encodeIxiNumber(h.signerDifficulty));
  } else {
    w.var(h.signatures.length);
    for (const s of h.signatures) w.vb(encodeBlockSignature(s, form.signatures === 'compacted'));
  }
  if (form.transactions === true) for (const id of h.transactions) w.vb(id);
  return w.bytes();
}

/** A complete header from its fields: hashed part, checksum, and an empty tail unless given. */
export function makeHeader(
  fields: HeaderFields,
  rest: Partial<Pick<BlockHeader, 'signatures' | 'signerCount' | 'signerDifficulty' | 'transactions'>> = {},
): BlockHeader {
  const hashed = encodeHeaderFields(fields);
  return {
    ...fields,
    hashed,
    checksum: sha3_512sq(hashed),
    signatures: rest.signatures ?? [],
    signerCount: rest.signerCount ?? rest.signatures?.length ?? 0,
    signerDifficulty: rest.signerDifficulty ?? 0n,
    transactions: rest.transactions ?? [],
  };
}
