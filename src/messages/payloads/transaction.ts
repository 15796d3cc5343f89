import { ByteReader, ByteWriter, readIxiNumber, writeIxiNumber } from '../../wire/index.js';

/** Longest tag of a transactionSendRequest (docs/protocol/07 §4.3). */
export const transactionTagBytesMax = 16;

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
  return writeIxiNumber(new ByteWriter(), p.amount).vb(p.tag).vb(p.message).bytes();
}

/** @throws DecodeError */
export function decodeTransactionSendRequest(bytes: Uint8Array): TransactionSendRequest {
  const r = new ByteReader(bytes);
  return {
    amount: readIxiNumber(r, 'transactionSendRequest.amount'),
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
  const w = writeIxiNumber(new ByteWriter().vb(p.requestId), p.amount);
  return w.vb(p.message).vb(p.instructions).vb(p.publicKey).bytes();
}

/** @throws DecodeError */
export function decodeTransactionRequest(bytes: Uint8Array): TransactionRequest {
  const r = new ByteReader(bytes);
  return {
    requestId: r.ixiBytes('transactionRequest.requestId'),
    amount: readIxiNumber(r, 'transactionRequest.amount'),
    message: r.ixiBytes('transactionRequest.message'),
    instructions: r.ixiBytes('transactionRequest.instructions'),
    publicKey: r.ixiBytes('transactionRequest.publicKey'),
  };
}
