import { sha512sqTrunc } from '../identity/index.js';
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  bytesKey,
  compareBytes,
  concatBytes,
  DecodeError,
} from '../wire/index.js';

/** Levels of the tree of every block since v8 (docs/protocol/09 §8); the last level are the leaves. */
const LEVELS = 3;
/** Bytes of a node's hash. */
const HASH_BYTES = 44;
/** The one proof kind that is sent. */
const KIND_MATCHER = 3;
const NODE_INNER = 0xfe;
const NODE_LEAF = 0xff;
/** A transaction id on the wire (09 §7.2 field 14). */
export const transactionIdBytesMax = 128;

interface Inner {
  /** Hash of a branch that the proof left out. */
  readonly pruned: Map<number, Uint8Array>;
  readonly followed: Map<number, Node>;
}
interface Leaf {
  readonly ids: readonly Uint8Array[];
}
type Node = Inner | Leaf;

const isLeaf = (n: Node): n is Leaf => 'ids' in n;

function sortedUnique(ids: readonly Uint8Array[]): Uint8Array[] {
  const sorted = [...ids].sort(compareBytes);
  return sorted.filter((id, i) => i === 0 || !bytesEqual(id, sorted[i - 1]!));
}

function grow(ids: readonly Uint8Array[], level: number): Node {
  if (level === LEVELS - 1) return { ids: sortedUnique(ids) };
  const groups = new Map<number, Uint8Array[]>();
  for (const id of ids) {
    const key = id[level]!;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [id]);
    else group.push(id);
  }
  const followed = new Map<number, Node>();
  for (const [key, group] of groups) followed.set(key, grow(group, level + 1));
  return { pruned: new Map(), followed };
}

function treeOf(ids: readonly Uint8Array[]): Node {
  for (const id of ids)
    if (id.length < LEVELS || id.length > transactionIdBytesMax)
      throw new DecodeError(
        'RANGE',
        'transactionId',
        0,
        `a transaction id has ${LEVELS} to ${transactionIdBytesMax} bytes, not ${id.length}`,
      );
  return grow(ids, 0);
}

const ascending = (a: number, b: number): number => a - b;

function hashOf(node: Node): Uint8Array {
  if (isLeaf(node)) return sha512sqTrunc(concatBytes(...node.ids), HASH_BYTES);
  const keys = [...node.pruned.keys(), ...node.followed.keys()].sort(ascending);
  return sha512sqTrunc(
    concatBytes(...keys.map((k) => node.pruned.get(k) ?? hashOf(node.followed.get(k)!))),
    HASH_BYTES,
  );
}

/**
 * Root of the prefix inclusion tree over transaction ids, 44 bytes; the root of no ids at all is the hash of
 * nothing. Order and repetition of `ids` do not matter. Throws `DecodeError` for an id outside 3…128 bytes.
 */
export function pitRoot(ids: readonly Uint8Array[]): Uint8Array {
  return hashOf(treeOf(ids));
}

function writeNode(w: ByteWriter, node: Node, matched: readonly Uint8Array[], level: number): void {
  if (isLeaf(node)) {
    w.u8(NODE_LEAF).i32(node.ids.length);
    for (const id of node.ids) w.i32Bytes(id);
    return;
  }
  const keys = [...node.followed.keys()].sort(ascending);
  const wanted = keys.filter((k) => matched.some((id) => id[level] === k));
  const left = keys.filter((k) => !wanted.includes(k));
  w.u8(NODE_INNER).u8(left.length);
  for (const k of left) w.u8(k).raw(hashOf(node.followed.get(k)!));
  w.u8(wanted.length);
  for (const k of wanted) {
    w.u8(k);
    writeNode(
      w,
      node.followed.get(k)!,
      matched.filter((id) => id[level] === k),
      level + 1,
    );
  }
}

/**
 * Proof over the block's `ids` that reveals every branch in which one of `matched` would lie; without any the
 * proof is pruned at the root. Bytes of pitData2's proof field.
 */
export function buildPitProof(ids: readonly Uint8Array[], matched: readonly Uint8Array[]): Uint8Array {
  const w = new ByteWriter(64 + 54 * ids.length);
  w.u8(KIND_MATCHER).u8(LEVELS).u8(HASH_BYTES);
  writeNode(w, treeOf(ids), matched, 0);
  return w.bytes();
}

/** As {@link buildPitProof}, for the ids of the block that a filter contains (getPIT2). */
export function buildPitProofFor(
  ids: readonly Uint8Array[],
  filter: { has(item: Uint8Array): boolean },
): Uint8Array {
  return buildPitProof(
    ids,
    ids.filter((id) => filter.has(id)),
  );
}

/** A decoded inclusion proof. Nothing in it counts before {@link root} equals the root in a verified header. */
export interface PitProof {
  /** The root that follows from the proof, to be compared with field 6 of the header. */
  readonly root: Uint8Array;
  /** Every id the proof shows, in ascending order of their branches. */
  readonly ids: readonly Uint8Array[];
  /** True when the proof shows this id. False is no proof of absence: a pruned branch hides its ids (09 §8). */
  has(id: Uint8Array): boolean;
}

function readNode(r: ByteReader, path: readonly number[]): Node {
  const level = path.length;
  const at = `pit.level${level}`;
  const kind = r.peek(`${at}.kind`);
  if (level === LEVELS - 1) {
    if (kind !== NODE_LEAF) r.fail('FORMAT', `${at}.kind`, 'a leaf belongs here');
    r.u8(`${at}.kind`);
    const count = r.i32(`${at}.count`);
    // Each id takes at least its own length field, so a larger count cannot be true.
    if (count < 0 || count > r.remaining / 4) r.fail('RANGE', `${at}.count`, `${count}`);
    const ids: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const id = r.i32Bytes(`${at}.id`, transactionIdBytesMax);
      // Branch keys are not hashed, so an id is only where its own bytes say.
      if (id === null || path.some((key, n) => id[n] !== key)) r.fail('FORMAT', `${at}.id`, 'wrong branch');
      ids.push(id.slice());
    }
    return { ids: sortedUnique(ids) };
  }
  if (kind !== NODE_INNER) r.fail('FORMAT', `${at}.kind`, 'an inner node belongs here');
  r.u8(`${at}.kind`);
  const pruned = new Map<number, Uint8Array>();
  const followed = new Map<number, Node>();
  for (let n = r.u8(`${at}.pruned`); n > 0; n--) {
    const key = r.u8(`${at}.key`);
    if (pruned.has(key)) r.fail('FORMAT', `${at}.key`, 'twice the same branch');
    pruned.set(key, r.raw(HASH_BYTES, `${at}.hash`).slice());
  }
  for (let n = r.u8(`${at}.followed`); n > 0; n--) {
    const key = r.u8(`${at}.key`);
    if (pruned.has(key) || followed.has(key)) r.fail('FORMAT', `${at}.key`, 'twice the same branch');
    followed.set(key, readNode(r, [...path, key]));
  }
  return { pruned, followed };
}

function collect(node: Node, into: Uint8Array[]): Uint8Array[] {
  if (isLeaf(node)) into.push(...node.ids);
  else for (const k of [...node.followed.keys()].sort(ascending)) collect(node.followed.get(k)!, into);
  return into;
}

function contains(node: Node, id: Uint8Array): boolean {
  for (let level = 0; !isLeaf(node); level++) {
    const next = node.followed.get(id[level] ?? -1);
    if (next === undefined) return false;
    node = next;
  }
  return node.ids.some((have) => bytesEqual(have, id));
}

/**
 * Decodes a proof strictly (09 §8): kind 3, three levels, 44-byte hashes, inner nodes above leaves, no branch
 * twice, nothing cut or added. The reference checks none of this and relies on the root alone.
 */
export function decodePitProof(bytes: Uint8Array): PitProof {
  const r = new ByteReader(bytes);
  const head: readonly [string, number][] = [
    ['pit.kind', KIND_MATCHER],
    ['pit.levels', LEVELS],
    ['pit.hashLength', HASH_BYTES],
  ];
  for (const [field, want] of head) {
    if (r.peek(field) !== want) r.fail('FORMAT', field, `not ${want}`);
    r.u8(field);
  }
  const tree = readNode(r, []);
  r.done('pit');
  return { root: hashOf(tree), ids: collect(tree, []), has: (id) => contains(tree, id) };
}

/**
 * The whole check of an answer to getPIT2: does this proof belong to the block with that root, and which of
 * `wanted` does it show? Null when the root differs. Throws `DecodeError` for malformed bytes.
 */
export function verifyPitProof(
  proof: Uint8Array,
  headerRoot: Uint8Array,
  wanted: readonly Uint8Array[],
): Uint8Array[] | null {
  const decoded = decodePitProof(proof);
  if (!bytesEqual(decoded.root, headerRoot)) return null;
  const shown = new Set(decoded.ids.map(bytesKey));
  return wanted.filter((id) => shown.has(bytesKey(id)) && decoded.has(id));
}
