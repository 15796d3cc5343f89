import { DecodeError, toHex } from '../wire/index.js';
import { type Address, addressFromKey } from './address.js';
import { type ForgePrivateKey, fromBinary, loadForge, toBinary } from './forge.js';
import {
  decodeMultiPrimeKey,
  isConsistentMultiPrimeKey,
  isMultiPrimeBlob,
  multiPrimeToPkcs1,
  publicKeyOfMultiPrime,
} from './multi-prime.js';
import { pkcs1ToPkcs8 } from './pem.js';
import {
  decodePrivateKey,
  decodePublicKey,
  isConsistentPrivateKey,
  privateKeyToJwk,
  publicKeyOf,
  publicKeyToJwk,
  type RsaPrivateKey,
} from './rsa-key.js';
import { cryptoRuntime, type NodeCrypto, plainBytes, webBytes, wipe } from './runtime.js';

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

/** The two operations a runtime offers with one imported private key. */
interface PrivateOperations {
  sign(message: Uint8Array): Promise<Uint8Array>;
  /** Any rejection means "does not open". */
  open(ciphertext: Uint8Array): Promise<Uint8Array>;
}

const SIGN_ALGORITHM = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' } as const;
const OAEP_ALGORITHM = { name: 'RSA-OAEP', hash: 'SHA-1' } as const;

async function subtleOperations(subtle: SubtleCrypto, key: RsaPrivateKey): Promise<PrivateOperations> {
  const jwk = privateKeyToJwk(key);
  const [signKey, openKey] = await Promise.all([
    subtle.importKey('jwk', jwk, SIGN_ALGORITHM, false, ['sign']),
    subtle.importKey('jwk', jwk, OAEP_ALGORITHM, false, ['decrypt']),
  ]);
  return {
    sign: async (message) =>
      new Uint8Array(await subtle.sign(SIGN_ALGORITHM.name, signKey, webBytes(message))),
    open: async (c) => new Uint8Array(await subtle.decrypt(OAEP_ALGORITHM.name, openKey, webBytes(c))),
  };
}

type SignKey = ReturnType<NodeCrypto['createPrivateKey']>;

/** Signing on the libuv pool. */
function nodeSign(node: NodeCrypto, key: SignKey): PrivateOperations['sign'] {
  return (message) =>
    new Promise((resolve, reject) => {
      node.sign('sha512', message, key, (error, signature) =>
        error === null ? resolve(plainBytes(signature)) : reject(new Error('RSA signing failed')),
      );
    });
}

/** Opening through Node's WebCrypto, whose decrypt runs on the libuv pool too, unlike privateDecrypt. */
async function nodeOperations(node: NodeCrypto, key: RsaPrivateKey): Promise<PrivateOperations> {
  const signKey = node.createPrivateKey({ key: privateKeyToJwk(key), format: 'jwk' });
  const { open } = await subtleOperations(node.webcrypto.subtle as SubtleCrypto, key);
  return { sign: nodeSign(node, signKey), open };
}

/** As DER, because a JWK would drop the further primes without a word, and the key with them its speed. */
async function createMultiPrimeSigner(blob: Uint8Array): Promise<Signer> {
  const key = decodeMultiPrimeKey(blob);
  if (!isConsistentMultiPrimeKey(key))
    throw new DecodeError('FORMAT', 'rsaKey', 0, 'inconsistent private key');
  const { node } = cryptoRuntime();
  if (node === null)
    throw new DecodeError('FORMAT', 'rsaKey', 0, 'a key of more than two primes needs node:crypto');
  const pkcs1 = multiPrimeToPkcs1(key);
  const pkcs8 = pkcs1ToPkcs8(pkcs1);
  try {
    const signKey = node.createPrivateKey({ key: pkcs1 as Buffer, format: 'der', type: 'pkcs1' });
    const subtle = node.webcrypto.subtle as SubtleCrypto;
    const openKey = await subtle.importKey('pkcs8', webBytes(pkcs8), OAEP_ALGORITHM, false, ['decrypt']);
    return new RsaSigner(publicKeyOfMultiPrime(blob), key.n.length, {
      sign: nodeSign(node, signKey),
      open: async (c) => new Uint8Array(await subtle.decrypt(OAEP_ALGORITHM.name, openKey, webBytes(c))),
    });
  } finally {
    wipe(pkcs1, pkcs8);
  }
}

/** Last resort: pages outside a secure context have no WebCrypto. Hundreds of milliseconds per operation. */
async function forgeOperations(key: RsaPrivateKey): Promise<PrivateOperations> {
  const forge = await loadForge();
  const int = (b: Uint8Array): InstanceType<typeof forge.jsbn.BigInteger> =>
    new forge.jsbn.BigInteger(toHex(b), 16);
  const priv: ForgePrivateKey = forge.pki.setRsaPrivateKey(
    int(key.n),
    int(key.e),
    int(key.d),
    int(key.p),
    int(key.q),
    int(key.dp),
    int(key.dq),
    int(key.qInv),
  );
  return {
    sign: async (message) => fromBinary(priv.sign(forge.md.sha512.create().update(toBinary(message)))),
    open: async (c) => fromBinary(priv.decrypt(toBinary(c), 'RSA-OAEP', { md: forge.md.sha1.create() })),
  };
}

class RsaSigner implements Signer {
  readonly publicKey: Uint8Array;
  readonly address: Address;
  readonly #modulusBytes: number;
  readonly #operations: PrivateOperations;

  constructor(publicKey: Uint8Array, modulusBytes: number, operations: PrivateOperations) {
    this.publicKey = publicKey;
    this.address = addressFromKey(publicKey);
    this.#modulusBytes = modulusBytes;
    this.#operations = operations;
  }

  sign(message: Uint8Array): Promise<Uint8Array> {
    return this.#operations.sign(message);
  }

  async decryptOaep(ciphertext: Uint8Array): Promise<Uint8Array> {
    if (ciphertext.length !== this.#modulusBytes) throw new RsaDecryptError();
    try {
      return await this.#operations.open(ciphertext);
    } catch {
      throw new RsaDecryptError();
    }
  }
}

/**
 * A signer for a serialized private key. The blob is not kept: the caller may wipe it afterwards. Rejects
 * with DecodeError when it is malformed or its numbers do not belong together; no error quotes key material.
 */
export async function createSigner(privateKeyBlob: Uint8Array): Promise<Signer> {
  if (isMultiPrimeBlob(privateKeyBlob)) return createMultiPrimeSigner(privateKeyBlob);
  const key = decodePrivateKey(privateKeyBlob);
  if (!isConsistentPrivateKey(key)) throw new DecodeError('FORMAT', 'rsaKey', 0, 'inconsistent private key');
  const { node, subtle } = cryptoRuntime();
  const operations = await (node !== null
    ? nodeOperations(node, key)
    : subtle !== null
      ? subtleOperations(subtle, key)
      : forgeOperations(key));
  return new RsaSigner(publicKeyOf(privateKeyBlob), key.n.length, operations);
}

/** Bytes that OAEP with SHA-1 adds: two hashes and two. */
const OAEP_OVERHEAD_BYTES = 42;

/**
 * RSAES-OAEP with SHA-1 and an empty label under a serialized public key (02 §2.4). Rejects with RangeError
 * for more than modulus − 42 bytes (470 for 4096 bit), with DecodeError for an unusable key.
 */
export async function rsaOaepEncrypt(publicKeyBlob: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
  const key = decodePublicKey(publicKeyBlob);
  const max = key.n.length - OAEP_OVERHEAD_BYTES;
  if (plaintext.length > max) throw new RangeError(`${plaintext.length} bytes do not fit, ${max} would`);
  const { node, subtle } = cryptoRuntime();
  const jwk = publicKeyToJwk(key);
  if (node !== null) {
    const publicKey = node.createPublicKey({ key: jwk, format: 'jwk' });
    const padding = node.constants.RSA_PKCS1_OAEP_PADDING;
    return plainBytes(node.publicEncrypt({ key: publicKey, padding, oaepHash: 'sha1' }, plaintext));
  }
  if (subtle !== null) {
    const publicKey = await subtle.importKey('jwk', jwk, OAEP_ALGORITHM, false, ['encrypt']);
    return new Uint8Array(await subtle.encrypt(OAEP_ALGORITHM.name, publicKey, webBytes(plaintext)));
  }
  const forge = await loadForge();
  const publicKey = forge.pki.setRsaPublicKey(
    new forge.jsbn.BigInteger(toHex(key.n), 16),
    new forge.jsbn.BigInteger(toHex(key.e), 16),
  );
  return fromBinary(publicKey.encrypt(toBinary(plaintext), 'RSA-OAEP', { md: forge.md.sha1.create() }));
}
