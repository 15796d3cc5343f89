import { hkdfSha3_512, ML_KEM_1024, mlKem1024, p521, randomBytes, wipe } from '../identity/index.js';
import { concatBytes } from '../wire/index.js';
import type { RandomSource, SessionKeys } from './encryption.js';

/** Bytes of a session key and of both salts (docs/protocol/07 §5.3). */
export const sessionKeyBytes = 32;
export const saltBytes = 32;

const aesInfo = new TextEncoder().encode('IXI AES Key');
const chachaInfo = new TextEncoder().encode('IXI ChaCha Key');

/** A fresh pair of one of the two key agreements. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/**
 * Where a contact set-up takes everything random from; replaced in replays. The defaults are the real thing.
 */
export interface AgreementSource {
  /** secp521r1: private scalar, compressed public point. */
  ecdhKeys(): KeyPair;
  /** ML-KEM-1024: decapsulation key, encapsulation key. */
  mlKemKeys(): KeyPair;
  encapsulate(publicKey: Uint8Array): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array };
  readonly bytes: RandomSource;
}

/** Real randomness. */
export const agreementSource: AgreementSource = {
  ecdhKeys: () => p521.generate(),
  mlKemKeys: () => mlKem1024.keygen(),
  encapsulate: (publicKey) => mlKem1024.encapsulate(publicKey),
  bytes: randomBytes,
};

/** What the accepting side keeps until keys2 arrives, then erases. */
export interface PendingAgreement {
  readonly ecdhPrivateKey: Uint8Array;
  readonly mlKemPrivateKey: Uint8Array;
  readonly aesSalt: Uint8Array;
}

/** The accepting side's half for acceptAdd2, and what it must keep. */
export interface AcceptorOffer {
  readonly ecdhPublicKey: Uint8Array;
  readonly mlKemPublicKey: Uint8Array;
  readonly pending: PendingAgreement;
}

/** Starts an agreement as the accepting side. */
export function offerAgreement(source: AgreementSource = agreementSource): AcceptorOffer {
  const ecdh = source.ecdhKeys();
  const mlKem = source.mlKemKeys();
  const aesSalt = source.bytes(saltBytes);
  return {
    ecdhPublicKey: ecdh.publicKey,
    mlKemPublicKey: mlKem.publicKey,
    pending: { ecdhPrivateKey: ecdh.privateKey, mlKemPrivateKey: mlKem.privateKey, aesSalt },
  };
}

/** The requesting side's half for keys2, and the keys. */
export interface RequesterAnswer {
  readonly ecdhPublicKey: Uint8Array;
  readonly mlKemCiphertext: Uint8Array;
  readonly chachaSalt: Uint8Array;
  readonly keys: SessionKeys;
}

/**
 * Answers an acceptAdd2 as the requesting side.
 *
 * @throws DecodeError for a point off the curve or an encapsulation key of the wrong length.
 */
export function answerAgreement(
  offer: {
    readonly ecdhPublicKey: Uint8Array;
    readonly mlKemPublicKey: Uint8Array;
    readonly aesSalt: Uint8Array;
  },
  source: AgreementSource = agreementSource,
): RequesterAnswer {
  const own = source.ecdhKeys();
  const ecdh = p521.sharedSecret(own.privateKey, offer.ecdhPublicKey);
  const { ciphertext, sharedSecret } = source.encapsulate(offer.mlKemPublicKey);
  const chachaSalt = source.bytes(saltBytes);
  const keys = deriveSessionKeys(ecdh, sharedSecret, offer.aesSalt, chachaSalt);
  wipe(own.privateKey, ecdh, sharedSecret);
  return { ecdhPublicKey: own.publicKey, mlKemCiphertext: ciphertext, chachaSalt, keys };
}

/**
 * Completes an agreement as the accepting side. A manipulated ciphertext of the right length gives other
 * keys, not an error (02 §9.3).
 *
 * @throws DecodeError for a point off the curve or a ciphertext of the wrong length.
 */
export function completeAgreement(
  pending: PendingAgreement,
  answer: {
    readonly ecdhPublicKey: Uint8Array;
    readonly mlKemCiphertext: Uint8Array;
    readonly chachaSalt: Uint8Array;
  },
): SessionKeys {
  const ecdh = p521.sharedSecret(pending.ecdhPrivateKey, answer.ecdhPublicKey);
  const kem = mlKem1024.decapsulate(answer.mlKemCiphertext, pending.mlKemPrivateKey);
  const keys = deriveSessionKeys(ecdh, kem, pending.aesSalt, answer.chachaSalt);
  wipe(ecdh, kem);
  return keys;
}

/** Both session keys from the two secrets (07 §5.3); `ecdh` without leading zero bytes. */
export function deriveSessionKeys(
  ecdh: Uint8Array,
  mlKem: Uint8Array,
  aesSalt: Uint8Array,
  chachaSalt: Uint8Array,
): SessionKeys {
  const combined = concatBytes(ecdh, mlKem);
  const keys = {
    aesKey: hkdfSha3_512(combined, sessionKeyBytes, aesSalt, aesInfo),
    chachaKey: hkdfSha3_512(combined, sessionKeyBytes, chachaSalt, chachaInfo),
  };
  wipe(combined);
  return keys;
}

/** The encapsulation key inside an expanded ML-KEM-1024 decapsulation key (FIPS 203: dk ‖ ek ‖ H(ek) ‖ z). */
export function mlKemPublicKeyOf(privateKey: Uint8Array): Uint8Array {
  const at = ML_KEM_1024.privateKeyBytes - 64 - ML_KEM_1024.publicKeyBytes;
  return privateKey.slice(at, at + ML_KEM_1024.publicKeyBytes);
}
