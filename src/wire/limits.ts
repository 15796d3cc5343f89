import { Code } from './codes.js';

/** Largest payload a v6 frame may announce (docs/protocol/03 §2.1): above it the peer is not speaking v6. */
export const framePayloadBytesMax = 50_000_000;

/** Cap until hello or helloData was accepted: an honest hello is at most about 6 kB (03 §2.3). */
export const preHelloPayloadBytesMax = 16 * 1024;

/** Product version in hello, UTF-16 code units (03 §3.1): longer gets bye 605. */
export const productVersionCharsMax = 20;

/** Address in hello (03 §3.5 step 2): longer gets bye 605; no address form is longer than 48. */
export const helloAddressBytesMax = 70;

/** Device id (03 §3.1): a GUID is 16 bytes, the rule allows twice that. */
export const deviceIdBytesMax = 32;

/** RSA key blob in hello: from 1024 bytes on the reference answers bye 501 (03 §3.5 step 14). */
export const publicKeyBytesMax = 1023;

/** RSA signature: 512 bytes for 4096 bits; the largest key blob admitted above signs with at most this. */
export const signatureBytesMax = 1024;

/** Block checksums, transaction ids and solutions are at most 64 bytes (01 §4.5); twice that for safety. */
export const hashBytesMax = 128;

/** One inventory item (04 §3.1): Core 0.9.8 aborts the message beyond this. */
export const inventoryItemBytesMax = 192;

/** Items per inventory2 message and items looked at on receipt, 0.9.8 line (04 §3.1). */
export const inventoryItemsMax = 10_000;

/** Items a 0.9.7 peer looks at (04 §3.1): what is beyond is lost, so split there. */
export const inventoryItemsMaxOld = 500;

/** Pairs per getKeepAlives and keep-alives per chunk (04 §6). */
export const keepAlivesPerMessageMax = 500;

/** Transaction ids per getTransactions2 (03 §6). */
export const transactionIdsPerMessageMax = 500;

/** Transactions in one transactionsChunk3: the declared count is always 500 for relevant ones (03 §6.2 f). */
export const transactionsPerChunkMax = 2_000;

/** Presences in one sectorNodes: a relay never asks for more than 20 (03 §6). */
export const sectorNodesMax = 64;

/** Records of one name; a name holds a handful, this bounds what an answer may claim. */
export const nameRecordsMax = 1_000;

/** Headers per answer: the reference never sends more than 1,000 (03 §6, code 46). */
export const blockHeadersMax = 1_000;

/** Whole `rejected` payload (03 §6.1): larger ones are refused by every peer. */
export const rejectedPayloadBytesMax = 128;

/**
 * Serialised Cuckoo filter in an event or a request. 500 items need about 2.5 kB; 64 KiB leaves room for
 * wallets with thousands of contacts.
 */
export const cuckooFilterBytesMax = 64 * 1024;

/** Application data: chat files are cut into pieces far below this; it bounds one relayed message. */
export const streamMessageBytesMax = 2 * 1024 * 1024;

/** One presence with 10 addresses carries 10 signatures and proofs of work: about 20 kB. */
export const presenceBytesMax = 64 * 1024;

/** One keep-alive with an RSA signature and a proof-of-work solution: about 2 kB. */
export const keepAliveBytesMax = 8 * 1024;

/** One transaction: the ledger refuses larger ones long before this. */
export const transactionBytesMax = 256 * 1024;

/** Smallest cap given to a code that has no own line: requests and retired messages fit. */
export const defaultPayloadBytesMax = 64 * 1024;

/** Answers of masters that carry many headers, proofs or transactions. */
export const ledgerAnswerBytesMax = 16 * 1024 * 1024;

const payloadBytesMax = new Map<number, number>([
  [Code.hello, preHelloPayloadBytesMax],
  [Code.helloData, preHelloPayloadBytesMax],
  // Free text; nobody shows more than a line of it.
  [Code.bye, 4 * 1024],
  // The codec enforces 128; the frame is let through so that the refusal is counted, not the link closed.
  [Code.rejected, 4 * 1024],
  // 500 pairs of a 48-byte address and a 32-byte device id.
  [Code.getKeepAlives, 64 * 1024],
  [Code.keepAlivesChunk, 4 * 1024 * 1024],
  [Code.transactionData2, transactionBytesMax],
  [Code.getSectorNodes, 1024],
  [Code.sectorNodes, sectorNodesMax * presenceBytesMax],
  // Block number and a filter over the asked transaction ids.
  [Code.getPIT2, cuckooFilterBytesMax + 32],
  [Code.pitData2, ledgerAnswerBytesMax],
  [Code.updatePresence, presenceBytesMax],
  [Code.s2data, streamMessageBytesMax],
  [Code.getBalance2, 1024],
  [Code.balance2, 1024],
  [Code.keepAlivePresence, keepAliveBytesMax],
  [Code.getPresence2, 1024],
  [Code.attachEvent, cuckooFilterBytesMax + 8],
  [Code.detachEvent, 1024],
  [Code.getNameRecord, 4 * 1024],
  [Code.nameRecord, 4 * 1024 * 1024],
  [Code.getBlockHeaders3, 1024],
  [Code.blockHeaders3, ledgerAnswerBytesMax],
  [Code.getRandomPresences, 64],
  [Code.getBlockHeaders4, cuckooFilterBytesMax + 64],
  [Code.blockHeaders4, ledgerAnswerBytesMax],
  // Full blocks go between masters; a relay ignores them but need not drop its ledger peer for one.
  [Code.blockData2, framePayloadBytesMax],
  [Code.walletStateChunk, framePayloadBytesMax],
  [Code.getTransactions2, 64 * 1024],
  [Code.getTransaction3, 1024],
  [Code.inventory2, inventoryItemsMax * (inventoryItemBytesMax + 3) + 16],
  // The reference fills chunks up to the frame limit (03 §6.2 e).
  [Code.transactionsChunk3, framePayloadBytesMax],
]);

/** What only masters and relays have reason to send: up to 50 MB a piece, so no client may (03 §2.3 Weakness). */
const serverOnly: ReadonlySet<number> = new Set<number>([
  Code.sectorNodes,
  Code.pitData2,
  Code.nameRecord,
  Code.blockHeaders3,
  Code.blockHeaders4,
  Code.blockData2,
  Code.walletStateChunk,
  Code.transactionsChunk3,
]);

/**
 * Largest payload accepted for a code after the handshake, in bytes. A larger frame closes the link.
 *
 * @param peerType Node type letter of the peer; from a C the large answers of servers are not taken.
 */
export function payloadBytesMaxOf(code: number, peerType = 'M'): number {
  if (peerType === 'C' && serverOnly.has(code)) return defaultPayloadBytesMax;
  return payloadBytesMax.get(code) ?? defaultPayloadBytesMax;
}

/** Largest payload accepted for a code before the handshake, in bytes. */
export function preHelloPayloadBytesMaxOf(code: number): number {
  return Math.min(payloadBytesMaxOf(code), preHelloPayloadBytesMax);
}
