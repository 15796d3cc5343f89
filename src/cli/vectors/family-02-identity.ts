import {
  type Address,
  addressFromBytes,
  addressFromKey,
  addressFromNonce,
  addressFromText,
  addressFromUncheckedText,
  addressText,
  addressWithChecksum,
  aesCbcDecrypt,
  aesCbcDecryptSelfContained,
  aesCbcEncrypt,
  aesGcmDecrypt,
  aesGcmDecryptSelfContained,
  aesGcmEncrypt,
  base58Decode,
  base58Encode,
  chacha20Poly1305Decrypt,
  chacha20Poly1305Encrypt,
  chachaLegacy,
  chachaLegacyDecryptSelfContained,
  chachaLegacyNonce,
  createSigner,
  decodeExtendedAddress,
  decodeWalletFile,
  decryptWithPassword,
  type ExtendedAddress,
  encodeExtendedAddress,
  encodeWalletFile,
  extendedAddressFromText,
  extendedAddressText,
  groupAddress,
  hasAddressChecksum,
  hasAddressShape,
  hkdfSha3_512,
  makeExtendedAddress,
  mlKem1024,
  p521,
  publicKeyOf,
  rsaOaepEncrypt,
  type Signer,
  sectorPrefix,
  sha512,
  truncate,
  Wallet,
  WalletError,
  walletPasswordMatches,
} from '../../identity/index.js';
import { rsa2Decrypt, spixi1Decrypt, spixi2Decrypt } from '../../messages/index.js';
import { ByteWriter, concatBytes, DecodeError, EMPTY_BYTES, fromHex, toHex } from '../../wire/index.js';
import {
  type Answer,
  compareOut,
  type Family,
  type Json,
  type JsonObject,
  type Outcome,
  type VectorCase,
  type VectorContext,
} from './case.js';
import { vectorEngine } from './engine.js';

const FILE = '02-identity.json';
const WALLETS = 'wallets.json';
const STREAMING_WALLETS = 'streaming-wallets.json';

function text(o: JsonObject, key: string): string {
  const v = o[key];
  if (typeof v !== 'string') throw new TypeError(`member ${key} is no text`);
  return v;
}

function integer(o: JsonObject, key: string): number {
  const v = o[key];
  if (typeof v !== 'number') throw new TypeError(`member ${key} is no number`);
  return v;
}

const bytes = (o: JsonObject, key: string): Uint8Array => fromHex(text(o, key));

const bytesOrNull = (o: JsonObject, key: string): Uint8Array | null =>
  o[key] === null || o[key] === undefined ? null : bytes(o, key);

const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));

const has = (o: JsonObject, key: string): boolean => key in o;

/** What the files say of an address; the last two are attributes of the reference's object, not of the address. */
function describeAddress(raw: Address, nonce: Uint8Array | null, fromKey: boolean): JsonObject {
  return {
    version: raw[0]!,
    raw: toHex(raw),
    withChecksum: toHex(addressWithChecksum(raw)),
    text: addressText(raw),
    sectorPrefix: toHex(sectorPrefix(raw)),
    nonceKept: hexOrNull(nonce),
    inputKeptAsPubKey: fromKey,
  };
}

/** Inputs above 48 bytes are keys (docs/protocol/02 §3.1). */
const isKeyInput = (b: Uint8Array): boolean => b.length > 48;

function address(c: VectorCase, group: string): Answer | Outcome {
  switch (group) {
    case 'address/from-key':
      return { out: describeAddress(addressFromKey(bytes(c.in, 'publicKey')), null, true) };
    case 'address/nonce': {
      const nonce = bytesOrNull(c.in, 'nonce');
      if (has(c.in, 'publicKey'))
        return { out: describeAddress(addressFromKey(bytes(c.in, 'publicKey'), nonce), nonce, true) };
      const input = bytes(c.in, 'bytes');
      const base = addressFromBytes(input);
      return { out: describeAddress(addressFromNonce(base, nonce), nonce, isKeyInput(input)) };
    }
    case 'address/from-bytes': {
      // Absent and empty fail alike.
      const input = bytesOrNull(c.in, 'bytes') ?? EMPTY_BYTES;
      const raw = addressFromBytes(input, 'address', c.in.verifyChecksum !== false);
      return { out: describeAddress(raw, null, isKeyInput(input)) };
    }
    case 'address/from-text':
      return fromText(c);
    case 'address/validators': {
      const input = bytes(c.in, 'bytes');
      return { out: { checksum: hasAddressChecksum(input), shape: hasAddressShape(input) } };
    }
    default:
      return { uncovered: `no runner for ${group}` };
  }
}

/** Stands for "refused" in both the file's answer and ours, so that only the fact is compared (README §1). */
const REFUSED: JsonObject = { refused: true };

function attempt(f: () => JsonObject): JsonObject {
  try {
    return f();
  } catch (error) {
    if (error instanceof DecodeError) return REFUSED;
    throw error;
  }
}

/** Two parsers in one case; a strict mark names the members that must refuse where the reference accepts. */
function fromText(c: VectorCase): Outcome {
  const typed = text(c.in, 'text');
  const actual: JsonObject = {
    // The text constructor of the reference leaves its version attribute at 0 (docs/protocol/02 §3.4).
    textPath: attempt(() => ({ ...describeAddress(addressFromText(typed), null, false), version: 0 })),
    base58ThenBytes: attempt(() => describeAddress(addressFromUncheckedText(typed), null, false)),
  };
  const marked = typeof c.strict?.field === 'string' ? c.strict.field.split(',') : [];
  const expected = Object.fromEntries(
    Object.entries(c.out).map(([key, value]): [string, Json] => {
      const fails = value !== null && typeof value === 'object' && 'error' in value;
      return [key, fails || (marked.includes(key) && c.strict?.accept === false) ? REFUSED : value];
    }),
  );
  const mismatch = compareOut(expected, actual);
  return mismatch === null
    ? { kind: 'passed' }
    : { kind: 'failed', detail: `${mismatch.path}: ${mismatch.detail}` };
}

function base58(c: VectorCase, group: string): Answer {
  return group === 'base58/encode'
    ? { out: { text: base58Encode(bytes(c.in, 'bytes')) } }
    : { out: { bytes: toHex(base58Decode(text(c.in, 'text'))) } };
}

/** Private key of a case: given in bytes, or as the name of a wallet. */
function privateKey(c: VectorCase, ctx: VectorContext): Uint8Array {
  if (has(c.in, 'privateKey')) return bytes(c.in, 'privateKey');
  return bytes(ctx.find(WALLETS, text(c.in, 'wallet')).in, 'privateKey');
}

async function signature(c: VectorCase, group: string, ctx: VectorContext): Promise<Answer> {
  const engine = await vectorEngine(ctx);
  const message = bytes(c.in, 'message');
  if (group === 'signature/verify') {
    // Absent and empty fail alike.
    const key = bytesOrNull(c.in, 'publicKey') ?? EMPTY_BYTES;
    const given = bytesOrNull(c.in, 'signature') ?? EMPTY_BYTES;
    const [verifies] = await engine.verify([{ key, message, signature: given }]);
    return { out: { verifies: verifies === true } };
  }
  const blob = privateKey(c, ctx);
  let signer: Signer;
  try {
    signer = await createSigner(blob);
  } catch (error) {
    // "Signing returns nothing" (docs/protocol/02 §2.2).
    if (error instanceof DecodeError) return { out: { signature: null } };
    throw error;
  }
  const made = await signer.sign(message);
  const key = bytesOrNull(c.in, 'publicKey') ?? publicKeyOf(blob);
  const [verifies] = await engine.verify([{ key, message, signature: made }]);
  return { out: { signature: toHex(made), verifies: verifies === true } };
}

async function oaep(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const blob = privateKey(c, ctx);
  if (has(c.in, 'ciphertext')) {
    const signer = await createSigner(blob);
    return { out: { plaintext: toHex(await signer.decryptOaep(bytes(c.in, 'ciphertext'))) } };
  }
  // Encryption is randomised: only that it can be done, or not, is an answer.
  try {
    await rsaOaepEncrypt(publicKeyOf(blob), bytes(c.in, 'plaintext'));
    return { out: {} };
  } catch (error) {
    if (error instanceof RangeError) return { refused: error.message };
    throw error;
  }
}

function cipher(c: VectorCase, algorithm: string): Answer {
  const key = bytes(c.in, 'key');
  if (has(c.in, 'input')) {
    const open = {
      'aes-cbc': aesCbcDecryptSelfContained,
      'aes-gcm': aesGcmDecryptSelfContained,
      'chacha20-legacy': chachaLegacyDecryptSelfContained,
    }[algorithm];
    if (open === undefined) return { uncovered: `${algorithm} has no self-contained form` };
    return { out: { plaintext: hexOrNull(open(key, bytes(c.in, 'input'))) } };
  }
  const encrypts = has(c.in, 'plaintext');
  const data = bytes(c.in, encrypts ? 'plaintext' : 'ciphertext');
  const result = encrypts ? 'ciphertext' : 'plaintext';
  const nonce = bytes(c.in, has(c.in, 'iv') ? 'iv' : 'nonce');
  switch (algorithm) {
    case 'aes-cbc':
      return { out: { [result]: hexOrNull((encrypts ? aesCbcEncrypt : aesCbcDecrypt)(key, nonce, data)) } };
    case 'aes-gcm':
      return { out: { [result]: hexOrNull((encrypts ? aesGcmEncrypt : aesGcmDecrypt)(key, nonce, data)) } };
    case 'chacha20poly1305': {
      const aead = encrypts ? chacha20Poly1305Encrypt : chacha20Poly1305Decrypt;
      return {
        out: { [result]: hexOrNull(aead(key, nonce, data, bytesOrNull(c.in, 'aad') ?? EMPTY_BYTES)) },
      };
    }
    default: {
      const nonceAfter = toHex(chachaLegacyNonce(nonce));
      return { out: { [result]: hexOrNull(chachaLegacy(key, nonce, data)), nonceAfter } };
    }
  }
}

function hkdf(c: VectorCase): Answer {
  const key = hkdfSha3_512(
    bytes(c.in, 'ikm'),
    integer(c.in, 'length'),
    bytesOrNull(c.in, 'salt'),
    bytesOrNull(c.in, 'info'),
  );
  return { out: { key: toHex(key) } };
}

function ecdh(c: VectorCase): Answer | Outcome {
  const a = bytes(c.in, 'privateA');
  const b = bytes(c.in, 'privateB');
  for (const [scalar, name] of [
    [a, 'publicA'],
    [b, 'publicB'],
  ] as const)
    if (toHex(p521.publicKey(scalar)) !== text(c.in, name))
      return { kind: 'failed', detail: `in.${name}: another public key belongs to the scalar` };
  return {
    out: {
      secret: toHex(p521.sharedSecret(a, bytes(c.in, 'publicB'))),
      secretUncompressed: toHex(p521.sharedSecret(a, bytes(c.in, 'publicBUncompressed'))),
      secretReverse: toHex(p521.sharedSecret(b, bytes(c.in, 'publicA'))),
    },
  };
}

function mlKem(c: VectorCase, ctx: VectorContext): Answer {
  const keys = has(c.in, 'privateKey') ? c : ctx.find(FILE, 'ml-kem-1024/decapsulate');
  const secret = mlKem1024.decapsulate(bytes(c.in, 'ciphertext'), bytes(keys.in, 'privateKey'));
  return { out: { secret: toHex(secret) } };
}

async function messageCipher(c: VectorCase, mode: string, ctx: VectorContext): Promise<Answer> {
  const input = bytes(c.in, 'input');
  if (mode === 'rsa2') {
    const signer = await createSigner(privateKey(c, ctx));
    return { out: { plaintext: hexOrNull(await rsa2Decrypt(input, signer, bytes(c.in, 'aad'))) } };
  }
  const keys = { aesKey: bytes(c.in, 'aesKey'), chachaKey: bytes(c.in, 'chachaKey') };
  const plain =
    mode === 'spixi1' ? spixi1Decrypt(input, keys) : spixi2Decrypt(input, keys, bytes(c.in, 'aad'));
  return { out: { plaintext: hexOrNull(plain) } };
}

const utf8 = (o: JsonObject, key: string): string => new TextDecoder().decode(bytes(o, key));

function password(c: VectorCase, group: string): Answer {
  const mode = group.startsWith('password/cbc') ? 'cbc' : 'gcm';
  const plain = decryptWithPassword(bytes(c.in, 'input'), utf8(c.in, 'passwordUtf8'), mode);
  return { out: { plaintext: hexOrNull(plain) } };
}

/** File bytes of a case: in hex, or by reference to another case ("same as NAME"). */
function walletFile(c: VectorCase, ctx: VectorContext): Uint8Array {
  const built = /^IXIHEX \+ hex of (\S+)( \+ newline)?$/.exec(String(c.in.fileIsTextOf ?? ''));
  if (built !== null) {
    const hex = text(ctx.find(FILE, built[1]!).in, 'file');
    return new TextEncoder().encode(`IXIHEX${hex}${built[2] === undefined ? '' : '\n'}`);
  }
  const file = text(c.in, 'file');
  const same = /^same as (\S+)$/.exec(file);
  return fromHex(same === null ? file : text(ctx.find(FILE, same[1]!).in, 'file'));
}

function loadedWallet(file: Uint8Array, secret: string): JsonObject {
  let wallet: Wallet;
  try {
    wallet = decodeWalletFile(file, secret);
  } catch (error) {
    if (error instanceof WalletError) return { loaded: false };
    throw error;
  }
  const addresses = wallet.addresses.map((a) => addressText(a.address));
  const key = wallet.viewOnly ? null : wallet.exportPrivateKey();
  return {
    loaded: true,
    walletVersion: wallet.version,
    viewOnly: wallet.viewOnly,
    primary: addressText(wallet.primary),
    privateKeyPresent: key !== null,
    privateKeyMatchesSha512: key === null ? null : toHex(truncate(sha512(key), 16)),
    publicKey: toHex(wallet.publicKey),
    baseNonce: toHex(wallet.exportBaseNonce()),
    lastAddress: addresses[addresses.length - 1]!,
    addresses,
    nextAddresses: [wallet.nextAddress(), wallet.nextAddress()].map((a) => ({
      nonce: hexOrNull(a.nonce),
      address: addressText(a.address),
    })),
  };
}

function walletFiles(c: VectorCase, ctx: VectorContext): Answer {
  if (has(c.in, 'version')) {
    // Everything right but the version.
    const known = ctx.find(FILE, 'wallet-file/v5/full');
    const file = concatBytes(
      new ByteWriter(4).i32(integer(c.in, 'version')).bytes(),
      bytes(known.in, 'file').subarray(4),
    );
    return { out: loadedWallet(file, utf8(known.in, 'passwordUtf8')) };
  }
  if (has(c.in, 'password')) {
    const wallet = Wallet.create(bytes(ctx.find(WALLETS, 'w0').in, 'privateKey'));
    try {
      const file = encodeWalletFile(wallet, text(c.in, 'password'));
      return { out: { written: true, length: String(file.length) } };
    } catch (error) {
      if (error instanceof WalletError) return { out: { written: false } };
      throw error;
    }
  }
  const file = walletFile(c, ctx);
  const secret = utf8(c.in, 'passwordUtf8');
  if (c.name.endsWith('/verify'))
    return { out: { verified: walletPasswordMatches(file, secret, { missKindByte: true }) } };
  return { out: loadedWallet(file, secret) };
}

function describeExtended(a: ExtendedAddress): JsonObject {
  return {
    flag: a.flag,
    payment: addressText(a.payment),
    routing: addressText(a.routing),
    tag: hexOrNull(a.tag),
    bytes: toHex(encodeExtendedAddress(a)),
    text: extendedAddressText(a),
  };
}

function extended(c: VectorCase, group: string, ctx: VectorContext): Answer {
  if (group === 'extended/parse-text')
    return { out: describeExtended(extendedAddressFromText(text(c.in, 'text'))) };
  if (group === 'extended/parse-bytes')
    return { out: describeExtended(decodeExtendedAddress(bytes(c.in, 'bytes'))) };
  const routing = bytesOrNull(c.in, 'routing');
  const made = makeExtendedAddress({
    payment:
      bytesOrNull(c.in, 'payment') ??
      bytesOrNull(c.in, 'address') ??
      bytes(ctx.find(WALLETS, 'w0').out, 'addressRaw'),
    routing,
    flag: has(c.in, 'flag') ? integer(c.in, 'flag') : routing === null ? 0 : 3,
    tag: bytesOrNull(c.in, 'tag'),
    nonce: bytesOrNull(c.in, 'nonce'),
  });
  return { out: describeExtended(made) };
}

function group(c: VectorCase): Answer {
  const made = groupAddress(bytes(c.in, 'creator'), bytes(c.in, 'random'));
  return { out: { address: toHex(made), text: addressText(made) } };
}

/** The test wallets themselves: everything public follows from the private key. */
function wallet(c: VectorCase): Answer {
  const publicKey = publicKeyOf(bytes(c.in, 'privateKey'));
  const raw = addressFromKey(publicKey);
  return {
    out: {
      publicKey: toHex(publicKey),
      addressVersion: raw[0]!,
      addressRaw: toHex(raw),
      addressHex: toHex(raw),
      addressWithChecksum: toHex(addressWithChecksum(raw)),
      addressText: addressText(raw),
      address: addressText(raw),
      sectorPrefix: toHex(sectorPrefix(raw)),
    },
  };
}

async function run(c: VectorCase, ctx: VectorContext, file: string): Promise<Answer | Outcome> {
  if (file !== FILE) return wallet(c);
  const [first = '', second = ''] = c.name.split('/');
  const name = `${first}/${second}`;
  switch (first) {
    case 'address':
      return address(c, name);
    case 'base58':
      return base58(c, name);
    case 'signature':
      return await signature(c, name, ctx);
    case 'rsa-oaep':
      return await oaep(c, ctx);
    case 'aes-cbc':
    case 'aes-gcm':
    case 'chacha20poly1305':
    case 'chacha20-legacy':
      return cipher(c, first);
    case 'hkdf':
      return hkdf(c);
    case 'ecdh-p521':
      return ecdh(c);
    case 'ml-kem-1024':
      return mlKem(c, ctx);
    case 'spixi1':
    case 'spixi2':
    case 'rsa2':
      return await messageCipher(c, first, ctx);
    case 'password':
      return password(c, name);
    case 'wallet-file':
      return walletFiles(c, ctx);
    case 'extended':
      return extended(c, name, ctx);
    case 'group-address':
      return group(c);
    default:
      return { uncovered: `no runner for ${name}` };
  }
}

/** Keys, addresses, ciphers and wallets (docs/protocol/02) and the test wallets of the other families. */
export const family02: Family = { name: '02-identity', files: [FILE, WALLETS, STREAMING_WALLETS], run };
