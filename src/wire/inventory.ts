import { sha3_512, sha512 } from '../core/index.js';
import { bytesEqual, concatBytes } from './bytes.js';
import type { ProtocolLine } from './codes.js';
import { DecodeError } from './errors.js';
import { hashBytesMax, inventoryItemBytesMax, inventoryItemsMax, inventoryItemsMaxOld } from './limits.js';
import { ByteReader } from './reader.js';
import { ByteWriter } from './writer.js';

/** Item types of inventory2 (docs/protocol/04 §3.1). */
export const InventoryType = {
  transaction: 0,
  block: 1,
  keepAlive: 3,
  blockSignature2: 4,
  keepAlive2: 5,
} as const;

/** Bytes of the hash that names a keep-alive or a signature. */
const KEY_BYTES = 44;

export interface TransactionItem {
  readonly type: 0;
  readonly transactionId: Uint8Array;
}

export interface BlockItem {
  readonly type: 1;
  /** Block checksum. */
  readonly hash: Uint8Array;
  readonly block: number;
}

/** Obsolete form, the only one a 0.9.7 peer knows. */
export interface KeepAliveItem {
  readonly type: 3;
  /** First 44 bytes of the double SHA3-512 over the keep-alive, as announced. */
  readonly hash: Uint8Array;
  /** Unix seconds. */
  readonly lastSeen: number;
  /** Raw address, without checksum. */
  readonly address: Uint8Array;
  readonly device: Uint8Array;
}

export interface BlockSignatureItem {
  readonly type: 4;
  readonly solution: Uint8Array;
  readonly block: number;
  readonly blockHash: Uint8Array;
}

export interface KeepAlive2Item {
  readonly type: 5;
  /** Unix seconds. */
  readonly lastSeen: number;
  /** Raw address, without checksum. */
  readonly address: Uint8Array;
  readonly device: Uint8Array;
}

/** Something a peer offers (04 §3.1). */
export type InventoryItem = TransactionItem | BlockItem | KeepAliveItem | BlockSignatureItem | KeepAlive2Item;

/** A type 5 item whose time may exceed 2^53: the format allows it, no decoder of ours yields it. */
export type WideKeepAlive2Item = Omit<KeepAlive2Item, 'lastSeen'> & { readonly lastSeen: number | bigint };

/**
 * One item (04 §3.1).
 *
 * @param line Line of the peer: 0.9.8 refuses items above 192 bytes and transaction ids of 248 bytes or more.
 * @throws RangeError for an item no peer of that line takes, and for an empty device id.
 */
export function encodeInventoryItem(
  item: InventoryItem | WideKeepAlive2Item,
  line: ProtocolLine = '0.9.8',
): Uint8Array {
  const w = new ByteWriter(128).var(item.type);
  switch (item.type) {
    case InventoryType.transaction:
      // The reference writer keeps one byte for this length (01 §4.5).
      if (line === '0.9.8' && item.transactionId.length > 0xf7)
        throw new RangeError(`transaction id of ${item.transactionId.length} bytes`);
      return w.vb(item.transactionId).bytes();
    case InventoryType.block:
      return w.vb(item.hash).var(item.block).bytes();
    case InventoryType.keepAlive:
      return w.vb(item.hash).var(item.lastSeen).vb(item.address).vb(device(item.device)).bytes();
    case InventoryType.blockSignature2:
      return w.vb(item.solution).var(item.block).vb(item.blockHash).bytes();
    case InventoryType.keepAlive2:
      return w.var(item.lastSeen).vb(item.address).vb(device(item.device)).bytes();
  }
}

/** An empty device id aborts the whole message at the receiver (04 §3.1). */
function device(id: Uint8Array): Uint8Array {
  if (id.length === 0) throw new RangeError('an inventory item without device id');
  return id;
}

/** An address in the form keys are built from. With a checksum (36, 48 bytes) that must match (02 §3). */
function readAddress(r: ByteReader): Uint8Array {
  const start = r.offset;
  const bytes = r.vb('inventory.address', 48);
  const raw = bytes[0] === 0 ? 33 : 45;
  if (bytes.length === 0 || bytes[0]! > 2 || (bytes.length !== raw && bytes.length !== raw + 3))
    throw new DecodeError('BADARG', 'inventory.address', start, `${bytes.length} bytes`);
  const plain = bytes.subarray(0, raw);
  if (bytes.length !== raw && !bytesEqual(sha512(sha512(plain)).subarray(0, 3), bytes.subarray(raw)))
    throw new DecodeError('CHECKSUM', 'inventory.address', start);
  return plain;
}

function readDevice(r: ByteReader): Uint8Array {
  const start = r.offset;
  const id = r.vb('inventory.device', inventoryItemBytesMax);
  if (id.length === 0) throw new DecodeError('EMPTY', 'inventory.device', start);
  return id;
}

/** Transaction ids are the one field the reference takes cut short, and vectors hold it to that (04 §3.1). */
function readTransactionId(r: ByteReader): Uint8Array {
  const n = r.uvarInt('inventory.transactionId');
  return r.raw(Math.min(n, r.remaining), 'inventory.transactionId');
}

function readSignature(r: ByteReader): BlockSignatureItem {
  return {
    type: InventoryType.blockSignature2,
    solution: r.vb('inventory.solution', inventoryItemBytesMax),
    block: r.uvarSafe('inventory.block'),
    blockHash: r.vb('inventory.blockHash', hashBytesMax),
  };
}

/**
 * Decodes one item; null for a type nobody knows. Bytes after the last field are ignored. The result is a view
 * into `bytes`.
 *
 * @param line What to decode as: 0.9.7 has no type 5, no length limit, and reads type 2 like type 4. Peers of
 * both lines can be decoded as 0.9.8.
 * @throws DecodeError
 */
export function decodeInventoryItem(bytes: Uint8Array, line: ProtocolLine = '0.9.8'): InventoryItem | null {
  const old = line === '0.9.7';
  if (!old && bytes.length > inventoryItemBytesMax)
    throw new DecodeError('TOOLONG', 'inventory.item', 0, `${bytes.length} bytes`);
  const r = new ByteReader(bytes);
  switch (r.varSafe('inventory.type')) {
    case InventoryType.transaction:
      return { type: InventoryType.transaction, transactionId: readTransactionId(r) };
    case InventoryType.block:
      return {
        type: InventoryType.block,
        hash: r.vb('inventory.hash', hashBytesMax),
        block: r.uvarSafe('inventory.block'),
      };
    case 2:
      return old ? readSignature(r) : null;
    case InventoryType.keepAlive:
      return {
        type: InventoryType.keepAlive,
        hash: r.vb('inventory.hash', hashBytesMax),
        lastSeen: r.varSafe('inventory.lastSeen'),
        address: readAddress(r),
        device: readDevice(r),
      };
    case InventoryType.blockSignature2:
      return readSignature(r);
    case InventoryType.keepAlive2:
      if (old) return null;
      return {
        type: InventoryType.keepAlive2,
        lastSeen: r.varSafe('inventory.lastSeen'),
        address: readAddress(r),
        device: readDevice(r),
      };
    default:
      return null;
  }
}

/** What makes two items the same (04 §3.1, last column). Unique only within one type. */
export function itemKey(item: InventoryItem | WideKeepAlive2Item): Uint8Array {
  switch (item.type) {
    case InventoryType.transaction:
      return item.transactionId;
    case InventoryType.block:
    case InventoryType.keepAlive:
      return item.hash;
    case InventoryType.blockSignature2:
      return sha3_512(sha3_512(concatBytes(item.solution, item.blockHash))).slice(0, KEY_BYTES);
    case InventoryType.keepAlive2: {
      const key = new Uint8Array(8 + item.address.length + item.device.length);
      new DataView(key.buffer).setBigInt64(0, BigInt(item.lastSeen), false);
      key.set(item.address, 8);
      key.set(item.device, 8 + item.address.length);
      return key;
    }
  }
}

/** The hash of a type 3 item: first 44 bytes of the double SHA3-512 over the keep-alive message (04 §3.1). */
export function keepAliveItemHash(keepAlive: Uint8Array): Uint8Array {
  return sha3_512(sha3_512(keepAlive)).slice(0, KEY_BYTES);
}

/** Items per message that a peer of the line looks at (04 §3.1). */
export function inventoryItemsMaxOf(line: ProtocolLine): number {
  return line === '0.9.7' ? inventoryItemsMaxOld : inventoryItemsMax;
}

/**
 * inventory2 payload from encoded items (04 §3.1).
 *
 * @throws RangeError for no items at all (an empty message is never sent) and for more than a peer of the line
 * looks at: use {@link inventoryBatches} first.
 */
export function encodeInventory2(items: readonly Uint8Array[], line: ProtocolLine = '0.9.8'): Uint8Array {
  const max = inventoryItemsMaxOf(line);
  if (items.length === 0 || items.length > max)
    throw new RangeError(`${items.length} items, 1 to ${max} fit`);
  const w = new ByteWriter(items.reduce((n, i) => n + i.length + 3, 8)).var(items.length);
  for (const i of items) w.vb(i);
  return w.bytes();
}

/** Items cut into messages, oldest first (04 §3.2). */
export function inventoryBatches<T>(items: readonly T[], line: ProtocolLine = '0.9.8'): T[][] {
  const max = inventoryItemsMaxOf(line);
  const out: T[][] = [];
  for (let i = 0; i < items.length; i += max) out.push(items.slice(i, i + max));
  return out;
}

/** What an inventory2 message held. */
export interface Inventory2 {
  readonly items: readonly InventoryItem[];
  /** Items of a type nobody knows. */
  readonly unknown: number;
  /** Items that did not decode; the rest of the message stands (04 §4.1). */
  readonly malformed: number;
}

/**
 * Decodes an inventory2 payload. Each item is decoded for itself, because its length is known: unknown types
 * and broken items are skipped and counted instead of aborting the message (04 §4.1). Of more than 10,000
 * items the first 10,000 are read. Items are views into the payload.
 *
 * @throws DecodeError when the count or an item's length is broken, so that nothing behind it can be found.
 */
export function decodeInventory2(payload: Uint8Array): Inventory2 {
  const r = new ByteReader(payload);
  const n = Math.min(r.uvarInt('inventory2.count'), inventoryItemsMax);
  const items: InventoryItem[] = [];
  let unknown = 0;
  let malformed = 0;
  for (let i = 0; i < n; i++) {
    const bytes = r.vb('inventory2.item');
    try {
      const item = decodeInventoryItem(bytes);
      if (item === null) unknown++;
      else items.push(item);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
      malformed++;
    }
  }
  return { items, unknown, malformed };
}
