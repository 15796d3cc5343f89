import {
  addressBytesMax,
  addressFromKey,
  addressKeyBytesMin,
  addressWithChecksum,
  base58Encode,
  parseAddress,
  sha3sqTrunc,
  sha512sqTrunc,
} from '../identity/index.js';
import {
  ByteReader,
  ByteWriter,
  bytesKey,
  DecodeError,
  decodeIxiNumber,
  encodeIxiNumber,
  formatAmount,
} from '../wire/index.js';

/** Newest version read (docs/protocol/10 §1); every version travels in the structure of version 7. */
export const TRANSACTION_VERSION_MAX = 7;
/** Whole wire form (10 §2.1). */
export const transactionBytesMax = 512_000;
/** Amounts: a 256-bit integer is far beyond the coin supply (10 §2.1, interoperable reader). */
export const amountBytesMax = 32;
/** Output data or memo: bounded by the whole. */
const dataBytesMax = transactionBytesMax;
/** Sender: a public key where it is no address (10 §2.1 field 14). */
const senderBytesMax = 1023;
const dataChecksumBytesMax = 64;
/** Input key of the sender's base address. */
export const BASE_INPUT_KEY: Uint8Array = Uint8Array.of(0);
const NONCE_KEY_BYTES = 16;
const INT32_MIN = -0x8000_0000;
const INT32_MAX = 0x7fff_ffff;

/** Transaction types (10 §1). */
export const TransactionType = {
  normal: 0,
  powSolution: 1,
  stakingReward: 2,
  genesis: 3,
  regName: 4,
} as const;

/** Where the coins come from. */
export interface TransactionInput {
  /** `00` for the sender's base address, or the 16-byte nonce of a derived one. */
  readonly key: Uint8Array;
  /** 10⁻⁸ units. */
  readonly amount: bigint;
}

/** Where the coins go. */
export interface TransactionOutput {
  /** Raw address, 33 or 45 bytes. */
  readonly address: Uint8Array;
  readonly amount: bigint;
  /** Payment tag or memo. In version 7 no signature covers it (10 §2.3): a hint, never a proof. */
  readonly data: Uint8Array | null;
  /** Hash of the data; transmitted only where the data itself is not. */
  readonly dataChecksum: Uint8Array | null;
}

/** A transaction as it travels (10 §2.1). */
export interface Transaction {
  readonly version: number;
  readonly type: number;
  /** Block height at creation. */
  readonly blockHeight: number;
  readonly inputs: readonly TransactionInput[];
  readonly outputs: readonly TransactionOutput[];
  /** Signed 32-bit. */
  readonly nonce: number;
  /** Public key or raw address; null is never valid, yet decodes. */
  readonly sender: Uint8Array | null;
  readonly signature: Uint8Array | null;
  /** Block that contains it; 0 = not yet. */
  readonly applied: number;
  /** Unix seconds; transmitted before version 7 only, else 0. */
  readonly timestamp: number;
}

/** First 32 bytes of the data's double hash; the hash function changed with version 7 (10 §2.3). */
export function transactionDataChecksum(version: number, data: Uint8Array): Uint8Array {
  return version >= 7 ? sha3sqTrunc(data, 32) : sha512sqTrunc(data, 32);
}

function readAmount(r: ByteReader, field: string): bigint {
  const at = r.offset;
  const bytes = r.ixiBytes(field, amountBytesMax) ?? r.fail('EMPTY', field);
  const v = decodeIxiNumber(bytes, field, at);
  if (v < 0n) throw new DecodeError('RANGE', field, at, 'negative amount');
  return v;
}

function readInput(r: ByteReader): TransactionInput {
  const key =
    r.ixiBytes('transaction.input.key', NONCE_KEY_BYTES) ?? r.fail('EMPTY', 'transaction.input.key');
  if (key.length !== BASE_INPUT_KEY.length && key.length !== NONCE_KEY_BYTES)
    r.fail('RANGE', 'transaction.input.key', `${key.length} bytes`);
  const amount = readAmount(r, 'transaction.input.amount');
  // Reserved values are written as 0 and ignored (10 §2.1 field 7).
  r.uvar('transaction.input.reserved');
  r.uvar('transaction.input.reserved');
  return { key: key.slice(), amount };
}

function readOutput(r: ByteReader, version: number): TransactionOutput {
  const at = r.offset;
  const sent = r.vb('transaction.output.address', addressBytesMax);
  // Strict: neither checksums nor public keys stand for an address here.
  if (sent.length !== 33 && sent.length !== 45)
    throw new DecodeError('RANGE', 'transaction.output.address', at, `${sent.length} bytes`);
  const address = parseAddress(sent, 'transaction.output.address').slice();
  const amount = readAmount(r, 'transaction.output.amount');
  const checksum = r.ixiBytes('transaction.output.dataChecksum', dataChecksumBytesMax);
  const data = r.ixiBytes('transaction.output.data', dataBytesMax);
  const dataChecksum = data === null ? checksum : transactionDataChecksum(version, data);
  return {
    address,
    amount,
    data: data === null ? null : data.slice(),
    dataChecksum: dataChecksum === null ? null : dataChecksum.slice(),
  };
}

function readSender(r: ByteReader): Uint8Array | null {
  const at = r.offset;
  const sent = r.ixiBytes('transaction.sender', senderBytesMax);
  if (sent === null) return null;
  if (sent.length >= addressKeyBytesMin) return sent.slice();
  if (![33, 36, 45, 48].includes(sent.length))
    throw new DecodeError('RANGE', 'transaction.sender', at, `${sent.length} bytes`);
  return parseAddress(sent, 'transaction.sender').slice();
}

function readList<T>(r: ByteReader, field: string, read: () => T, keyOf: (item: T) => Uint8Array): T[] {
  const count = r.uvarInt(field);
  // Every entry takes several bytes, so a larger count cannot be true; nothing is allocated for it.
  if (count > r.remaining) r.fail('EOF', field, `${count} entries`);
  const seen = new Set<string>();
  const items: T[] = [];
  for (let i = 0; i < count; i++) {
    const item = read();
    const key = bytesKey(keyOf(item));
    if (seen.has(key)) r.fail('FORMAT', field, 'twice the same key');
    seen.add(key);
    items.push(item);
  }
  return items;
}

/**
 * Decodes the network form strictly (10 §2.1): amounts not negative, input keys of 1 or 16 bytes, outputs to
 * 33- or 45-byte addresses, nothing after the last field. Keep the received bytes for forwarding: reserved
 * fields do not survive. Throws `DecodeError`.
 */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  if (bytes.length > transactionBytesMax)
    throw new DecodeError('TOOLONG', 'transaction', 0, `${bytes.length} > ${transactionBytesMax}`);
  const r = new ByteReader(bytes);
  const version = r.uvarInt('transaction.version', TRANSACTION_VERSION_MAX);
  const type = r.varInt('transaction.type');
  const blockHeight = r.uvarSafe('transaction.blockHeight');
  const inputs = readList(
    r,
    'transaction.inputs',
    () => readInput(r),
    (i) => i.key,
  );
  const outputs = readList(
    r,
    'transaction.outputs',
    () => readOutput(r, version),
    (o) => o.address,
  );
  const nonceAt = r.offset;
  const nonce = r.varSafe('transaction.nonce');
  if (nonce < INT32_MIN || nonce > INT32_MAX) throw new DecodeError('RANGE', 'transaction.nonce', nonceAt);
  const sender = readSender(r);
  const signature = r.ixiBytes('transaction.signature')?.slice() ?? null;
  const applied = r.uvarSafe('transaction.applied');
  const timestamp = version < 7 ? r.uvarSafe('transaction.timestamp') : 0;
  r.done('transaction');
  return {
    version,
    type,
    blockHeight,
    inputs,
    outputs,
    nonce,
    sender,
    signature,
    applied,
    timestamp,
  };
}

/** Fields 1–6 and 8–14; the checksum form leaves out one reserved byte per input and the data (10 §2.3). */
function writeBody(w: ByteWriter, t: Transaction, forChecksum: boolean): void {
  w.var(t.version).var(t.type).var(t.blockHeight).var(t.inputs.length);
  for (const i of t.inputs) {
    w.vb(i.key).vb(encodeIxiNumber(i.amount)).u8(0);
    if (!forChecksum) w.u8(0);
  }
  w.var(t.outputs.length);
  for (const o of t.outputs) {
    w.vb(o.address).vb(encodeIxiNumber(o.amount));
    w.vb(o.data === null ? o.dataChecksum : null);
    if (!forChecksum) w.vb(o.data);
  }
  w.var(t.nonce).vb(t.sender);
}

/** Wire form, payload of transactionData2; `applied` overrides the transaction's own value. */
export function encodeTransaction(t: Transaction, applied = t.applied): Uint8Array {
  const w = new ByteWriter(1200);
  writeBody(w, t, false);
  w.vb(t.signature).var(applied);
  if (t.version < 7) w.var(t.timestamp);
  return w.bytes();
}

/** Address bytes with checksum, or the key itself: what versions before 7 hash for the sender. */
function senderBytes(sender: Uint8Array): Uint8Array {
  return sender.length >= addressKeyBytesMin ? sender : addressWithChecksum(sender);
}

const isAddress = (b: Uint8Array): boolean => b.length < addressKeyBytesMin;

function legacyInput(t: Transaction, lock: Uint8Array): Uint8Array {
  const sender = t.sender;
  if (sender === null)
    throw new DecodeError('EMPTY', 'transaction.sender', 0, 'needed for the checksum before version 7');
  const w = new ByteWriter(512);
  w.raw(lock).i32(t.type);
  const amount = transactionAmount(t);
  const fee = transactionFee(t);
  const first = t.outputs[0];
  if (t.version === 6) {
    w.raw(encodeIxiNumber(amount)).raw(encodeIxiNumber(fee));
    for (const o of t.outputs) w.raw(addressWithChecksum(o.address)).raw(encodeIxiNumber(o.amount));
    for (const i of t.inputs) w.raw(i.key).raw(encodeIxiNumber(i.amount));
  } else {
    // Version 5 hashes sums as text, and leaves amounts out where there is only one party.
    const text = new TextEncoder();
    w.raw(text.encode(formatAmount(amount))).raw(text.encode(formatAmount(fee)));
    if (t.outputs.length === 1 && first !== undefined) w.raw(addressWithChecksum(first.address));
    else for (const o of t.outputs) w.raw(addressWithChecksum(o.address)).raw(encodeIxiNumber(o.amount));
    if (t.inputs.length === 1)
      w.raw(addressWithChecksum(isAddress(sender) ? sender : addressFromKey(sender)));
    else for (const i of t.inputs) w.raw(i.key).raw(encodeIxiNumber(i.amount));
  }
  if (first !== undefined && first.dataChecksum !== null) w.raw(first.dataChecksum);
  w.u64(t.blockHeight).i32(t.nonce);
  if (t.type !== TransactionType.stakingReward) w.i64(t.timestamp);
  w.i32(t.version).raw(senderBytes(sender));
  return w.bytes();
}

/**
 * The bytes whose double hash is the checksum; `lock` is the network's (10 §2.3). Versions 5, 6 and 7.
 *
 * @throws DecodeError for an older version or a missing sender: both parse, but no such transaction has an id, and
 * peers send what they like.
 */
export function transactionChecksumInput(t: Transaction, lock: Uint8Array): Uint8Array {
  if (t.version < 5 || t.version > TRANSACTION_VERSION_MAX)
    throw new DecodeError('RANGE', 'transaction.version', 0, `version ${t.version} has no checksum`);
  if (t.version < 7) return legacyInput(t, lock);
  const w = new ByteWriter(1200);
  w.raw(lock);
  writeBody(w, t, true);
  return w.bytes();
}

/** 44 bytes: what the sender signs, and the tail of the id. */
export function transactionChecksum(t: Transaction, lock: Uint8Array): Uint8Array {
  const input = transactionChecksumInput(t, lock);
  return t.version < 7 ? sha512sqTrunc(input, 44) : sha3sqTrunc(input, 44);
}

/** Id of a transaction from its parts: type byte, height, checksum (10 §2.3). */
export function transactionIdOf(type: number, blockHeight: number, checksum: Uint8Array): Uint8Array {
  const kind = type === TransactionType.stakingReward ? 0 : 1;
  return new ByteWriter(64).u8(kind).var(blockHeight).raw(checksum).bytes();
}

/** The key of a transaction everywhere: inventory, inquiries, rejections, inclusion trees. 46–54 bytes. */
export function transactionId(t: Transaction, lock: Uint8Array): Uint8Array {
  return transactionIdOf(t.type, t.blockHeight, transactionChecksum(t, lock));
}

/**
 * Text form of an id: `<height>-<base58>`, staking rewards `stk-<height−5>-<height>-<base58>`. Throws
 * `DecodeError` for bytes that are no id.
 */
export function transactionIdText(id: Uint8Array): string {
  const r = new ByteReader(id);
  const kind = r.u8('transactionId.kind');
  if (kind > 1) throw new DecodeError('RANGE', 'transactionId.kind', 0, `${kind}`);
  const height = r.uvarSafe('transactionId.height');
  const hash = base58Encode(r.raw(r.remaining, 'transactionId.checksum'));
  return kind === 0 ? `stk-${height - 5}-${height}-${hash}` : `${height}-${hash}`;
}

/** Σ outputs in units. */
export function transactionAmount(t: Pick<Transaction, 'outputs'>): bigint {
  return t.outputs.reduce((sum, o) => sum + o.amount, 0n);
}

/** Σ inputs − Σ outputs in units; negative means invalid. */
export function transactionFee(t: Pick<Transaction, 'inputs' | 'outputs'>): bigint {
  return t.inputs.reduce((sum, i) => sum + i.amount, 0n) - transactionAmount(t);
}

/** The public key in the sender field, or null where only an address or nothing stands there. */
export function transactionSenderKey(t: Pick<Transaction, 'sender'>): Uint8Array | null {
  return t.sender !== null && !isAddress(t.sender) ? t.sender : null;
}
