import { sha3_512sq } from '../identity/index.js';
import { ByteReader, ByteWriter, DecodeError } from '../wire/index.js';

/** Longest solution the decoder takes (docs/protocol/05 §6.1). */
export const powSolutionBytesMax = 64;
/** Longest signing key the decoder takes (05 §6.1). */
export const powKeyBytesMax = 300;
/** Keys longer than this are replaced by their hash in the compacted form and in the PoW hash (05 §6.2). */
const compactKeyBytes = 64;

/** Proof that a node spent work on a block, for one wallet (05 §6). */
export interface SignerPowSolution {
  /** Height of the block the work was done on; a full u64. */
  readonly block: bigint;
  /** The nonce found, 1 to 64 bytes. */
  readonly solution: Uint8Array;
  /** Key that signs blocks, or its 64-byte hash in compacted form. */
  readonly signingPublicKey: Uint8Array;
}

/**
 * Decodes a proof of work. Strict: shortest integers, no byte beyond the key (05 §6.7), because the bytes
 * are part of signed pre-images that others rebuild. Sizes that only the main and test networks demand are
 * checked in {@link powFormProblem}. Throws DecodeError.
 */
export function decodePow(bytes: Uint8Array, field = 'pow'): SignerPowSolution {
  const r = new ByteReader(bytes);
  const block = r.uvar(`${field}.block`);
  const solution = r.vb(`${field}.solution`, powSolutionBytesMax);
  const signingPublicKey = r.vb(`${field}.signingPublicKey`, powKeyBytesMax);
  r.done(field);
  const pow = { block, solution, signingPublicKey };
  // Lengths were bounded, so a longer input than its encoding means a longer integer than needed.
  if (encodePow(pow).length !== bytes.length)
    throw new DecodeError('FORMAT', field, 0, 'integer not in its shortest form');
  return pow;
}

/** Bytes of a proof of work (05 §6.1). */
export function encodePow(pow: SignerPowSolution): Uint8Array {
  return new ByteWriter(384).var(pow.block).vb(pow.solution).vb(pow.signingPublicKey).bytes();
}

/** Compacted form: a key longer than 64 bytes becomes its hash; the PoW hash stays the same (05 §6.1). */
export function compactPow(pow: SignerPowSolution): SignerPowSolution {
  return { ...pow, signingPublicKey: compactKey(pow.signingPublicKey) };
}

function compactKey(key: Uint8Array): Uint8Array {
  return key.length > compactKeyBytes ? sha3_512sq(key) : key;
}

/**
 * The 64-byte hash whose smallness is the proof (05 §6.2), or null when the solution has not 1 to 64 bytes.
 *
 * @param wallet raw address of the presence or keep-alive that carries the proof
 * @param blockChecksum checksum of block `pow.block`
 */
export function powHash(
  pow: SignerPowSolution,
  wallet: Uint8Array,
  blockChecksum: Uint8Array,
): Uint8Array | null {
  if (pow.solution.length < 1 || pow.solution.length > powSolutionBytesMax) return null;
  const preimage = new ByteWriter(320)
    .var(pow.block)
    .raw(blockChecksum)
    .raw(wallet)
    .raw(compactKey(pow.signingPublicKey))
    .raw(pow.solution)
    .bytes();
  return sha3_512sq(preimage);
}
