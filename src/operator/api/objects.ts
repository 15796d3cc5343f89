import { addressFromText, addressText, addressWithChecksum, sectorPrefix } from '../../identity/index.js';
import type { BlockHeader } from '../../ledger/index.js';
import type { Presence } from '../../presence/index.js';
import { formatAmount, toHex } from '../../wire/index.js';
import { type Json, RpcCode, RpcError } from './envelope.js';

const base64 = (b: Uint8Array | null): string | null =>
  b === null ? null : Buffer.from(b.buffer, b.byteOffset, b.length).toString('base64');

/** A whole address as the reference dumps it (docs/protocol/11 §3). */
export function addressObject(raw: Uint8Array, publicKey: Uint8Array | null = null): Json {
  return {
    version: raw[0] ?? 0,
    addressWithChecksum: base64(addressWithChecksum(raw)),
    base58Address: addressText(raw),
    addressNoChecksum: base64(raw),
    sectorPrefix: base64(sectorPrefix(raw)),
    nonce: null,
    pubKey: base64(publicKey),
  };
}

/** A presence as `/pl` and `/getpresence` show it (11 §4.2). */
export function presenceObject(p: Presence): Json {
  return {
    version: p.version,
    wallet: addressObject(p.wallet),
    pubkey: base64(p.publicKey),
    metadata: base64(p.metadata),
    addresses: p.addresses.map((a) => ({
      version: a.version,
      device: base64(a.device),
      address: a.hostname,
      type: a.type,
      nodeVersion: a.nodeVersion,
      lastSeenTime: a.lastSeen,
      signature: base64(a.signature),
      powSolution: base64(a.pow),
    })),
  };
}

/** An address parameter; the reference's error where it is none. */
export function addressParameter(text: string, field: string): Uint8Array {
  try {
    return addressFromText(text);
  } catch {
    throw new RpcError(RpcCode.address, 'Invalid address was specified', field);
  }
}

/** A header as `/getBlockHeader` shows it: all values are text (11 §4.2). */
export function headerObject(h: BlockHeader): Json {
  const optional: Record<string, Json> = {};
  if (h.nameStateChecksum !== null) optional['RegName State Checksum'] = toHex(h.nameStateChecksum);
  if (h.freezeChecksum !== null) optional['Sig freeze Checksum'] = toHex(h.freezeChecksum);
  return {
    'Block Number': String(h.number),
    Version: String(h.version),
    'Block Checksum': toHex(h.checksum),
    'Last Block Checksum': h.previousChecksum === null ? '' : toHex(h.previousChecksum),
    'Wallet State Checksum': toHex(h.walletStateChecksum),
    ...optional,
    'PoW field': '',
    Timestamp: String(h.timestamp),
    Difficulty: String(h.difficulty),
    Hashrate: '0',
    Compacted: String(h.signatures.every((s) => s.rsa === null)),
    'Signature count': String(h.signerCount),
    'Total Signer Difficulty': formatAmount(h.signerDifficulty),
    'Transaction count': String(h.transactionCount),
    'Total fees': formatAmount(h.totalFee),
    Signatures: JSON.stringify(h.signatures.map((s) => addressText(s.address))),
    'Signer Bits': h.signerBits === null ? '0' : h.signerBits.toString(),
    'TX IDs': JSON.stringify(h.transactions.map((t) => toHex(t))),
    'Last Superblock': String(h.superblock?.previousNumber ?? 0),
    'Last Superblock checksum':
      h.superblock === null || h.superblock.previousChecksum === null
        ? ''
        : toHex(h.superblock.previousChecksum),
  };
}
