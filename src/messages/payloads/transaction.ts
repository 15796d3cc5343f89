import { ByteReader, ByteWriter, DecodeError } from '../../wire/index.js';

/** Longest tag of a transactionSendRequest (docs/protocol/07 §4.3). */
export const transactionTagBytesMax = 16;

/** Longest integer an amount may have on the wire: 2^127 units are far above any supply (01 §5). */
const amountBytesMax = 16;

/** Body of transactionSendRequest: asks for payment instructions. Amounts in 10^-8 coins. */
export interface TransactionSendRequest {
  readonly amount: bigint;
  readonly tag: Uint8Array | null;
  readonly message: Uint8Array | null;
}

/** Body of transactionSendResponse. */
export interface TransactionSendResponse {
  /** StreamMessage id of the request. */
  readonly requestId: Uint8Array | null;
  /** Serialized extended address. */
  readonly instructions: Uint8Array | null;
}

/** Body of transactionSend. */
export interface TransactionSend {
  readonly transaction: Uint8Array | null;
  readonly requestId: Uint8Array | null;
  /** Sender's key; null once the handshake is complete. */
  readonly publicKey: Uint8Array | null;
}

/** Body of transactionRequest. */
export interface TransactionRequest {
  readonly requestId: Uint8Array | null;
  readonly amount: bigint;
  readonly message: Uint8Array | null;
  readonly instructions: Uint8Array | null;
  readonly publicKey: Uint8Array | null;
}

export function encodeTransactionSendRequest(p: TransactionSendRequest): Uint8Array {
  return new ByteWriter().vb(amountBytes(p.amount)).vb(p.tag).vb(p.message).bytes();
}

/** @throws DecodeError */
export function decodeTransactionSendRequest(bytes: Uint8Array): TransactionSendRequest {
  const r = new ByteReader(bytes);
  return {
    amount: amount(r, 'transactionSendRequest.amount'),
    tag: r.ixiBytes('transactionSendRequest.tag', transactionTagBytesMax),
    message: r.ixiBytes('transactionSendRequest.message'),
  };
}

export function encodeTransactionSendResponse(p: TransactionSendResponse): Uint8Array {
  return new ByteWriter().vb(p.requestId).vb(p.instructions).bytes();
}

/** @throws DecodeError */
export function decodeTransactionSendResponse(bytes: Uint8Array): TransactionSendResponse {
  const r = new ByteReader(bytes);
  return {
    requestId: r.ixiBytes('transactionSendResponse.requestId'),
    instructions: r.ixiBytes('transactionSendResponse.instructions'),
  };
}

export function encodeTransactionSend(p: TransactionSend): Uint8Array {
  return new ByteWriter(1024).vb(p.transaction).vb(p.requestId).vb(p.publicKey).bytes();
}

/** @throws DecodeError */
export function decodeTransactionSend(bytes: Uint8Array): TransactionSend {
  const r = new ByteReader(bytes);
  return {
    transaction: r.ixiBytes('transactionSend.transaction'),
    requestId: r.ixiBytes('transactionSend.requestId'),
    publicKey: r.ixiBytes('transactionSend.publicKey'),
  };
}

export function encodeTransactionRequest(p: TransactionRequest): Uint8Array {
  const w = new ByteWriter().vb(p.requestId).vb(amountBytes(p.amount));
  return w.vb(p.message).vb(p.instructions).vb(p.publicKey).bytes();
}

/** @throws DecodeError */
export function decodeTransactionRequest(bytes: Uint8Array): TransactionRequest {
  const r = new ByteReader(bytes);
  return {
    requestId: r.ixiBytes('transactionRequest.requestId'),
    amount: amount(r, 'transactionRequest.amount'),
    message: r.ixiBytes('transactionRequest.message'),
    instructions: r.ixiBytes('transactionRequest.instructions'),
    publicKey: r.ixiBytes('transactionRequest.publicKey'),
  };
}

/** Shortest little-endian two's complement of an amount (01 §5.1); zero is one zero byte. */
function amountBytes(units: bigint): Uint8Array {
  const out: number[] = [];
  let rest = units;
  for (;;) {
    const byte = Number(rest & 0xffn);
    rest >>= 8n;
    out.push(byte);
    if ((rest === 0n && byte < 0x80) || (rest === -1n && byte >= 0x80)) return Uint8Array.from(out);
  }
}

function amount(r: ByteReader, field: string): bigint {
  const at = r.offset;
  const bytes = r.vb(field, amountBytesMax);
  if (bytes.length === 0) throw new DecodeError('EMPTY', field, at);
  let v = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) v = (v << 8n) | BigInt(bytes[i]!);
  return BigInt.asIntN(bytes.length * 8, v);
}
