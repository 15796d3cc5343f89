import { p521 as curve } from '@noble/curves/nist.js';
import {
  aesCbcEncrypt,
  aesGcmDecryptSelfContained,
  aesGcmEncrypt,
  chacha20Poly1305Encrypt,
  chachaLegacy,
  createSigner,
  hkdfSha3_512,
  mlKem1024,
  p521,
  publicKeyOf,
  type Signer,
} from '../../identity/index.js';
import {
  encodeRequestAdd2,
  messageAad,
  rsa2Decrypt,
  rsaDecrypt,
  rsaEncrypt,
  type SessionKeys,
  spixi1Decrypt,
  spixi2Decrypt,
  spixi2Encrypt,
} from '../../messages/index.js';
import { ByteReader, bytesEqual, fromHex, toHex } from '../../wire/index.js';
import type { Answer, Family, JsonObject, Outcome, VectorCase, VectorContext } from './case.js';
import { replaySession } from './contact-session.js';
import { walletKey } from './family-07-streaming.js';
import { big, bytes, bytesOrNull, int, text, texts } from './ledger-fields.js';

const FILE = '08-communication-setup.json';
const out = (o: JsonObject): Answer => ({ out: o });
const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));

const signers = new Map<string, Promise<Signer>>();

/** Signer of a wallet of `streaming-wallets.json`, made once. */
function signerOf(ctx: VectorContext, name: string): Promise<Signer> {
  const key = walletKey(ctx, name);
  const id = toHex(key);
  let s = signers.get(id);
  if (s === undefined) {
    s = createSigner(key);
    signers.set(id, s);
  }
  return s;
}

const keysOf = (q: JsonObject): SessionKeys => ({
  aesKey: bytes(q, 'aesKey'),
  chachaKey: bytes(q, 'chachaKey'),
});

/** An attempt to open something: nothing is a refusal. */
function opened(plaintext: Uint8Array | null): Answer {
  return plaintext === null
    ? { refused: 'does not open' }
    : out({ accept: true, plaintext: toHex(plaintext) });
}

function cipherCase(c: VectorCase): Answer {
  const q = c.in;
  const key = bytes(q, 'key');
  if (c.name.includes('self-contained')) return opened(aesGcmDecryptSelfContained(key, bytes(q, 'input')));
  const plain = bytes(q, 'plaintext');
  if (c.name.startsWith('aes-256-gcm'))
    return out({ ciphertext: toHex(aesGcmEncrypt(key, bytes(q, 'iv'), plain)) });
  if (c.name.startsWith('aes-256-cbc'))
    return out({ ciphertext: toHex(aesCbcEncrypt(key, bytes(q, 'iv'), plain)) });
  if (c.name.startsWith('chacha20-poly1305'))
    return out({
      ciphertext: toHex(chacha20Poly1305Encrypt(key, bytes(q, 'nonce'), plain, bytes(q, 'aad'))),
    });
  return out({ ciphertext: hexOrNull(chachaLegacy(key, bytes(q, 'nonce'), plain)) });
}

function spixi2Case(c: VectorCase): Answer {
  const q = c.in;
  const keys = keysOf(q);
  if (!('plaintext' in q)) return opened(spixi2Decrypt(bytes(q, 'data'), keys, bytes(q, 'aad')));
  const aad = messageAad(bytes(q, 'id'), int(q, 'type'), big(q, 'timestamp'));
  const data = spixi2Encrypt(bytes(q, 'plaintext'), keys, aad, bytes(q, 'messageNonce'));
  return out({ aad: toHex(aad), data: toHex(data), decrypts: hexOrNull(spixi2Decrypt(data, keys, aad)) });
}

async function rsaCase(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const q = c.in;
  if ('length' in q) {
    const anyKey = ctx.cases('streaming-wallets.json')[0];
    if (anyKey === undefined) return { uncovered: 'a wallet' };
    try {
      await rsaEncrypt(new Uint8Array(int(q, 'length')), publicKeyOf(walletKey(ctx, anyKey.name)));
      return out({ accept: true });
    } catch (e) {
      if (e instanceof RangeError) return { refused: e.message };
      throw e;
    }
  }
  const signer = await signerOf(ctx, text(q, 'recipient'));
  const data = bytes(q, 'data');
  if (!c.name.startsWith('rsa2')) {
    const plain = await rsaDecrypt(data, signer);
    return plain === null ? { refused: 'does not open' } : out({ plaintext: toHex(plain) });
  }
  const plain = await rsa2Decrypt(data, signer, bytes(q, 'aad'));
  if (plain === null) return { refused: 'does not open' };
  const oaepPlaintext = await signer.decryptOaep(new ByteReader(data).vb('block'));
  return out({ accept: true, plaintext: toHex(plain), oaepPlaintext: toHex(oaepPlaintext) });
}

function ecdhCase(c: VectorCase): Answer {
  const q = c.in;
  if ('peerPublic' in q) {
    const sharedSecret = p521.sharedSecret(bytes(q, 'private'), bytes(q, 'peerPublic'));
    return out({ accept: true, sharedSecret: toHex(sharedSecret) });
  }
  const a = bytes(q, 'privateA');
  const b = bytes(q, 'privateB');
  const publicA = p521.publicKey(a);
  const publicB = p521.publicKey(b);
  const fromA = p521.sharedSecret(a, publicB);
  const uncompressed = curve.Point.fromBytes(publicA).toBytes(false);
  const fromB = p521.sharedSecret(b, uncompressed);
  return out({
    publicA: toHex(publicA),
    publicB: toHex(publicB),
    publicAUncompressed: toHex(uncompressed),
    sharedSecret: toHex(fromA),
    sameFromB: bytesEqual(fromA, fromB),
  });
}

function kemPair(q: JsonObject): { publicKey: Uint8Array; privateKey: Uint8Array; random: Uint8Array } {
  const join = (key: string): Uint8Array => fromHex(texts(q, key).join(''));
  return { ...mlKem1024.keygen(join('keygenRandom')), random: join('encapsRandom') };
}

function kemCase(c: VectorCase, ctx: VectorContext): Answer {
  const q = c.in;
  if ('keyLength' in q) {
    const { ciphertext } = mlKem1024.encapsulate(new Uint8Array(int(q, 'keyLength')));
    return out({ accept: true, ciphertext: toHex(ciphertext) });
  }
  if ('ciphertextLength' in q) {
    const { privateKey } = mlKem1024.keygen();
    const secret = mlKem1024.decapsulate(new Uint8Array(int(q, 'ciphertextLength')), privateKey);
    return out({ accept: true, sharedSecret: toHex(secret) });
  }
  if ('decapsulationKey' in q) {
    const other = /^as (.+)$/.exec(text(q, 'decapsulationKey'));
    const flip = /^ciphertext byte (\d+) XOR ([0-9a-f]{2})$/.exec(text(q, 'flipBit'));
    if (other === null || flip === null) return { uncovered: c.name };
    const pair = kemPair(ctx.find(FILE, other[1]!).in);
    const { ciphertext } = mlKem1024.encapsulate(pair.publicKey, pair.random);
    const damaged = new Uint8Array(ciphertext);
    damaged[Number(flip[1])]! ^= Number.parseInt(flip[2]!, 16);
    return out({ accept: true, sharedSecret: toHex(mlKem1024.decapsulate(damaged, pair.privateKey)) });
  }
  const pair = kemPair(q);
  const { ciphertext, sharedSecret } = mlKem1024.encapsulate(pair.publicKey, pair.random);
  if (!bytesEqual(mlKem1024.decapsulate(ciphertext, pair.privateKey), sharedSecret))
    return { refused: 'decapsulation gives another secret' };
  return out({
    encapsulationKey: toHex(pair.publicKey),
    decapsulationKey: toHex(pair.privateKey),
    ciphertext: toHex(ciphertext),
    sharedSecret: toHex(sharedSecret),
  });
}

async function run(c: VectorCase, ctx: VectorContext): Promise<Answer | Outcome> {
  const q = c.in;
  if ('A' in q && 'B' in q) return await replaySession(c, ctx);
  const group = /^(aes-256|chacha|spixi1|spixi2|rsa|hkdf|ecdh|ml-kem|requestAdd2 payload)/.exec(c.name)?.[1];
  switch (group) {
    case 'aes-256':
    case 'chacha':
      return cipherCase(c);
    case 'spixi1':
      return out({ plaintext: hexOrNull(spixi1Decrypt(bytes(q, 'data'), keysOf(q))) });
    case 'spixi2':
      return spixi2Case(c);
    case 'rsa':
      return await rsaCase(c, ctx);
    case 'hkdf': {
      const info = new TextEncoder().encode(text(q, 'info'));
      return out({ key: toHex(hkdfSha3_512(bytes(q, 'ikm'), 32, bytesOrNull(q, 'salt'), info)) });
    }
    case 'ecdh':
      return ecdhCase(c);
    case 'ml-kem':
      return kemCase(c, ctx);
    case 'requestAdd2 payload': {
      const publicKey = publicKeyOf(walletKey(ctx, text(q, 'wallet')));
      return out({ bytes: toHex(encodeRequestAdd2({ maxVersion: 1, publicKey })) });
    }
    default:
      return { uncovered: c.name };
  }
}

/** Message encryption, key agreement, and the two-party transcripts of the contact set-up. */
export const family08: Family = {
  name: '08-communication',
  files: [FILE, '08-sessions.json', '08-sessions-more.json'],
  run,
};
