import type { Address } from './address.js';

/** Holds a private key and uses it; the key itself never comes out, nor into errors or inspected output. */
export interface Signer {
  /** Serialized public key, in the form of the private one (docs/protocol/02 §2.1). */
  readonly publicKey: Uint8Array;
  /** Primary address of the key. */
  readonly address: Address;
  /** RSASSA-PKCS1-v1_5 with SHA-512 over the message, which is hashed inside the scheme (02 §2.3). */
  sign(message: Uint8Array): Promise<Uint8Array>;
  /**
   * Opens RSAES-OAEP with SHA-1 and an empty label (02 §2.4). Rejects with {@link RsaDecryptError}, the same
   * for every cause, so that nothing can be learnt from the difference.
   */
  decryptOaep(ciphertext: Uint8Array): Promise<Uint8Array>;
}

/** A ciphertext that does not open; deliberately without detail. */
export class RsaDecryptError extends Error {
  override readonly name = 'RsaDecryptError';
  constructor() {
    super('the RSA ciphertext does not open with this key');
  }
}
