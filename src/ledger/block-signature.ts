import { addressFromKey, parseAddress, sha3_512sq } from '../identity/index.js';
import {
  compactPow,
  decodePow,
  encodePow,
  hashToDifficulty,
  powHash,
  type SignerPowSolution,
} from '../presence/index.js';
import { ByteReader, ByteWriter, concatBytes } from '../wire/index.js';

/** One signer's entry in a header's tail (docs/protocol/09 §7.3). */
export const blockSignatureBytesMax = 2048;
/** A signer given as public key: what an address field accepts beyond addresses (10 §2.1). */
const signerKeyBytesMax = 1023;

/** A block signature as it stands in a header. */
export interface BlockSignature {
  /** Signer as sent: raw address without checksum, or public key. */
  readonly signer: Uint8Array;
  /** Address of the signer without checksum. */
  readonly address: Uint8Array;
  /** Absent before v10. */
  readonly pow: SignerPowSolution | null;
  /** RSA signature; absent when compacted. */
  readonly rsa: Uint8Array | null;
}

const ownedPow = (p: SignerPowSolution): SignerPowSolution => ({
  block: p.block,
  solution: p.solution.slice(),
  signingPublicKey: p.signingPublicKey.slice(),
});

/** Decodes one signature. Bytes after the last field are ignored (01 §9). */
export function decodeBlockSignature(bytes: Uint8Array, field = 'blockSignature'): BlockSignature {
  const r = new ByteReader(bytes);
  const sent = r.vb(`${field}.signer`, signerKeyBytesMax);
  if (sent.length === 0) r.fail('EMPTY', `${field}.signer`);
  const isKey = sent.length > 48;
  const address = isKey ? addressFromKey(sent) : parseAddress(sent, `${field}.signer`).slice();
  const powBytes = r.vb(`${field}.pow`, blockSignatureBytesMax);
  const pow = powBytes.length === 0 ? null : ownedPow(decodePow(powBytes, `${field}.pow`));
  const rsaBytes = r.remaining > 0 ? r.ixiBytes(`${field}.rsa`, blockSignatureBytesMax) : null;
  return {
    signer: isKey ? sent.slice() : address,
    address,
    pow,
    rsa: rsaBytes === null ? null : rsaBytes.slice(),
  };
}

/**
 * Bytes of one signature. Compacted: signer as address, long signing key replaced by its hash, no RSA
 * signature. Compacting twice changes nothing.
 */
export function encodeBlockSignature(s: BlockSignature, compacted = false): Uint8Array {
  const w = new ByteWriter(1200);
  w.vb(compacted ? s.address : s.signer);
  w.vb(s.pow === null ? null : encodePow(compacted ? compactPow(s.pow) : s.pow));
  if (!compacted && s.rsa !== null) w.vb(s.rsa);
  return w.bytes();
}

/**
 * Freeze checksum of a block's signatures (09 §7.3): field 4 of block n + 5 must equal it. Takes the
 * signatures in stored order; full and compacted forms give the same 64 bytes.
 */
export function signatureFreezeChecksum(
  blockNumber: number,
  signatures: readonly BlockSignature[],
): Uint8Array {
  const w = new ByteWriter(64 + 180 * signatures.length);
  w.u64(blockNumber);
  for (const s of signatures) w.vb(encodeBlockSignature(s, true));
  return sha3_512sq(w.bytes());
}

/** Difficulty of a signer's work in 10⁻⁸ units; 0 without one. */
export function signatureDifficulty(s: BlockSignature, powBlockChecksum: Uint8Array): bigint {
  const hash = s.pow === null ? null : powHash(s.pow, s.address, powBlockChecksum);
  return hash === null ? 0n : hashToDifficulty(hash);
}

/** What the signer's RSA key signs: the double hash of block checksum and solution (09 §7.7 rule 3). */
export function signedByPowKey(blockChecksum: Uint8Array, pow: SignerPowSolution): Uint8Array {
  return sha3_512sq(concatBytes(blockChecksum, pow.solution));
}

/**
 * Sum of the work of all signers whose target block is known, for a minimal tail. `checksumOf` names the
 * checksum of a block or null.
 */
export function totalDifficulty(
  signatures: readonly BlockSignature[],
  checksumOf: (block: number) => Uint8Array | null,
): bigint {
  let sum = 0n;
  for (const s of signatures) {
    const target = s.pow === null ? null : checksumOf(Number(s.pow.block));
    if (target !== null) sum += signatureDifficulty(s, target);
  }
  return sum;
}
