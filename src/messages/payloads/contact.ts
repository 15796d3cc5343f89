import { ByteReader, ByteWriter, DecodeError } from '../../wire/index.js';

/** Capability bits a side announces (docs/protocol/07 §6.2). */
export const Capability = {
  incoming: 1,
  outgoing: 2,
  push: 4,
  apps: 8,
  appProtocols: 16,
  groups: 32,
} as const;

/** What a side without the capability field is taken to have. */
export const capabilitiesDefault = 15;

/** Highest contact protocol version spoken here. */
export const contactVersionMax = 1;

/** RSA key fields: 8192-bit keys do not exist on the network (02 §3.1 refuses 1024 bytes and more). */
const rsaKeyBytesMax = 1023;
/** X9.62 point of secp521r1: 67 bytes compressed, 133 uncompressed. */
const ecdhKeyBytesMax = 133;
/** ML-KEM-1024 encapsulation key and ciphertext are 1568 bytes; checked where they are used. */
const mlKemBytesMax = 1568;
const saltBytesMax = 64;

/** Body of requestAdd2 and of openSecureConnection. */
export interface RequestAdd2 {
  readonly maxVersion: number;
  readonly publicKey: Uint8Array;
}

export function encodeRequestAdd2(p: RequestAdd2): Uint8Array {
  return new ByteWriter(p.publicKey.length + 8).var(p.maxVersion).vb(p.publicKey).bytes();
}

/** @throws DecodeError; trailing bytes are ignored. */
export function decodeRequestAdd2(bytes: Uint8Array): RequestAdd2 {
  const r = new ByteReader(bytes);
  const maxVersion = r.uvarInt('requestAdd2.maxVersion');
  return { maxVersion, publicKey: present(r, r.vb('requestAdd2.publicKey', rsaKeyBytesMax), 'publicKey') };
}

/** Body of acceptAdd2. */
export interface AcceptAdd2 {
  readonly version: number;
  readonly rsaPublicKey: Uint8Array;
  readonly ecdhPublicKey: Uint8Array;
  readonly mlKemPublicKey: Uint8Array;
  readonly aesSalt: Uint8Array;
  readonly capabilities: number;
}

export function encodeAcceptAdd2(p: AcceptAdd2): Uint8Array {
  const w = new ByteWriter(2304).var(p.version).vb(p.rsaPublicKey).vb(p.ecdhPublicKey);
  return w.vb(p.mlKemPublicKey).vb(p.aesSalt).var(p.capabilities).bytes();
}

/** @throws DecodeError; a missing capability field reads as {@link capabilitiesDefault}. */
export function decodeAcceptAdd2(bytes: Uint8Array): AcceptAdd2 {
  const r = new ByteReader(bytes);
  return {
    version: r.uvarInt('acceptAdd2.version'),
    rsaPublicKey: present(r, r.vb('acceptAdd2.rsaPublicKey', rsaKeyBytesMax), 'rsaPublicKey'),
    ecdhPublicKey: present(r, r.vb('acceptAdd2.ecdhPublicKey', ecdhKeyBytesMax), 'ecdhPublicKey'),
    mlKemPublicKey: present(r, r.vb('acceptAdd2.mlKemPublicKey', mlKemBytesMax), 'mlKemPublicKey'),
    aesSalt: present(r, r.vb('acceptAdd2.aesSalt', saltBytesMax), 'aesSalt'),
    capabilities: r.remaining === 0 ? capabilitiesDefault : r.uvarInt('acceptAdd2.capabilities'),
  };
}

/** Body of keys2. */
export interface Keys2 {
  readonly ecdhPublicKey: Uint8Array;
  readonly mlKemCiphertext: Uint8Array;
  readonly chachaSalt: Uint8Array;
  readonly capabilities: number;
}

export function encodeKeys2(p: Keys2): Uint8Array {
  const w = new ByteWriter(1792).vb(p.ecdhPublicKey).vb(p.mlKemCiphertext).vb(p.chachaSalt);
  return w.var(p.capabilities).bytes();
}

/** @throws DecodeError; a missing capability field reads as {@link capabilitiesDefault}. */
export function decodeKeys2(bytes: Uint8Array): Keys2 {
  const r = new ByteReader(bytes);
  return {
    ecdhPublicKey: present(r, r.vb('keys2.ecdhPublicKey', ecdhKeyBytesMax), 'ecdhPublicKey'),
    mlKemCiphertext: present(r, r.vb('keys2.mlKemCiphertext', mlKemBytesMax), 'mlKemCiphertext'),
    chachaSalt: present(r, r.vb('keys2.chachaSalt', saltBytesMax), 'chachaSalt'),
    capabilities: r.remaining === 0 ? capabilitiesDefault : r.uvarInt('keys2.capabilities'),
  };
}

/** Session key length of both versions. */
const sessionKeyBytes = 32;

/** Body of the version 0 keys message (07 §6.5): no AES key, one ChaCha key. */
export function encodeKeys0(chachaKey: Uint8Array): Uint8Array {
  return new ByteWriter(40).i32(0).i32Bytes(chachaKey).bytes();
}

/** The ChaCha key of a version 0 keys message. @throws DecodeError unless it holds exactly 32 bytes. */
export function decodeKeys0(bytes: Uint8Array): Uint8Array {
  const r = new ByteReader(bytes);
  r.i32Bytes('keys.aesKey', sessionKeyBytes);
  const key = r.i32Bytes('keys.chachaKey', sessionKeyBytes);
  if (key === null || key.length !== sessionKeyBytes) r.fail('FORMAT', 'keys.chachaKey', 'not 32 bytes');
  return key as Uint8Array;
}

/** The AES key of a version 0 acceptAdd message: the body itself. @throws DecodeError unless 32 bytes. */
export function decodeAcceptAdd0(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== sessionKeyBytes)
    throw new DecodeError('FORMAT', 'acceptAdd.aesKey', 0, 'not 32 bytes');
  return bytes;
}

function present(r: ByteReader, bytes: Uint8Array, field: string): Uint8Array {
  if (bytes.length === 0) r.fail('EMPTY', field);
  return bytes;
}
