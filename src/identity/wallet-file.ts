import { ByteReader, ByteWriter, concatBytes, DecodeError, EMPTY_BYTES, fromHex } from '../wire/index.js';
import { decryptWithPassword, encryptWithPassword, type PasswordMode } from './password.js';
import { wipe } from './runtime.js';
import { Wallet, WalletError, type WalletVersion } from './wallet.js';

/** UTF-16 units a password needs for writing; reading takes any (docs/protocol/02 §10). */
export const walletPasswordUnitsMin = 10;
/** Largest wallet file looked at: the biggest real one is 6 kB, its hex form 12. */
export const walletFileBytesMax = 65_536;

const HEX_MARK = 'IXIHEX';
const VIEW_KIND = 'v';
const FULL_KIND = 'f';
/**
 * Kind and version of a relay wallet: like version 5, but the private key has our form of more than two primes.
 * The file starts with `SRW` and 1, which readers of the reference's format refuse as an unknown version.
 */
const RELAY_KIND = 'r';
const RELAY_VERSION = 0x01575253;

/**
 * The binary form of a file that is hex text behind the mark `IXIHEX` (blanks around it ignored); other files
 * are returned as they are. Throws `CORRUPT` for bad hex.
 */
export function unwrapIxiHex(file: Uint8Array): Uint8Array {
  const start = new TextDecoder().decode(file.subarray(0, 16)).trimStart();
  if (!start.startsWith(HEX_MARK)) return file;
  try {
    return fromHex(new TextDecoder().decode(file).trim().slice(HEX_MARK.length).trim());
  } catch {
    throw new WalletError('CORRUPT', 'the hex text of the wallet file is damaged');
  }
}

/** Sections of a file before decryption. */
type Sealed =
  | { readonly version: 1 | 2; readonly view: false; readonly parts: readonly Uint8Array[] }
  | { readonly version: 4; readonly view: boolean; readonly parts: readonly Uint8Array[] }
  | { readonly version: 5; readonly inner: Uint8Array; readonly relay: boolean };

function section(r: ByteReader, field: string): Uint8Array {
  const at = r.offset;
  const n = r.i32(field);
  if (n < 0) throw new DecodeError('RANGE', field, at);
  return r.raw(n, field);
}

/** First the key (or base nonce), then the public key, then, if bytes remain, the last nonce. */
function sections(r: ByteReader): Uint8Array[] {
  const parts = [section(r, 'wallet.secret'), section(r, 'wallet.publicKey')];
  if (r.remaining > 0) parts.push(section(r, 'wallet.lastNonce'));
  return parts;
}

function parseSealed(file: Uint8Array, skipKind: boolean): Sealed {
  const r = new ByteReader(file);
  const version = r.i32('wallet.version');
  if (version === 1 || version === 2) return { version, view: false, parts: sections(r) };
  if (version === 4) {
    const view = skipKind && r.char('wallet.kind') === VIEW_KIND;
    return { version, view, parts: sections(r) };
  }
  if (version === 5 || version === RELAY_VERSION)
    return { version: 5, inner: r.rest(), relay: version === RELAY_VERSION };
  if (version === 3)
    throw new WalletError('UNSUPPORTED_VERSION', 'wallet version 3 cannot be loaded by any implementation');
  throw new WalletError('UNKNOWN_VERSION', `unknown wallet version ${version}`);
}

function sealedParts(file: Uint8Array, skipKind = true): Sealed {
  if (file.length > walletFileBytesMax) throw new WalletError('CORRUPT', 'too long for a wallet file');
  try {
    return parseSealed(unwrapIxiHex(file), skipKind);
  } catch (error) {
    if (error instanceof DecodeError) throw new WalletError('CORRUPT', 'the wallet file is damaged');
    throw error;
  }
}

function open(data: Uint8Array, password: string, mode: PasswordMode): Uint8Array {
  const plain = decryptWithPassword(data, password, mode);
  if (plain === null) throw new WalletError('WRONG_PASSWORD', 'the password does not open the wallet file');
  return plain;
}

/**
 * Loads a wallet file of version 1, 2, 4 or 5, full or view-only, binary or `IXIHEX` (02 §10).
 * Throws {@link WalletError}.
 */
export function decodeWalletFile(file: Uint8Array, password: string): Wallet {
  const sealed = sealedParts(file);
  if (sealed.version === 5) return openVersion5(sealed.inner, sealed.relay, password);
  const opened: Uint8Array[] = [];
  try {
    for (const part of sealed.parts) opened.push(open(part, password, 'cbc'));
    const [secret, publicKey, lastNonce = null] = opened as [Uint8Array, Uint8Array, Uint8Array?];
    return new Wallet({
      version: sealed.version,
      privateKey: sealed.view ? null : secret,
      publicKey,
      baseNonce: sealed.view ? secret : null,
      lastNonce,
    });
  } catch (error) {
    // CBC is not authenticated: a wrong password that happens to end in valid padding gives noise.
    if (error instanceof WalletError && error.code === 'CORRUPT')
      throw new WalletError('WRONG_PASSWORD', 'wrong password, or the wallet file is damaged');
    throw error;
  } finally {
    wipe(...opened);
  }
}

function openVersion5(sealed: Uint8Array, relay: boolean, password: string): Wallet {
  const inner = open(sealed, password, 'gcm');
  try {
    const r = new ByteReader(inner);
    // Any kind but 'v' is a full wallet.
    const kind = r.char('wallet.kind');
    if (relay && kind !== RELAY_KIND) throw new DecodeError('FORMAT', 'wallet.kind', 0);
    const view = kind === VIEW_KIND;
    const baseNonce = section(r, 'wallet.baseNonce');
    const privateKey = view ? null : section(r, 'wallet.privateKey');
    const publicKey = section(r, 'wallet.publicKey');
    const lastNonce = section(r, 'wallet.lastNonce');
    const wallet = new Wallet({ version: 5, privateKey, publicKey, baseNonce, lastNonce });
    if (relay !== wallet.primes > 2)
      throw new WalletError('CORRUPT', 'the wallet file holds a key of another kind than it says');
    return wallet;
  } catch (error) {
    if (error instanceof DecodeError) throw new WalletError('CORRUPT', 'the wallet file is damaged inside');
    throw error;
  } finally {
    wipe(inner);
  }
}

export interface PasswordCheckOptions {
  /**
   * Repeats a defect of the reference, which looks for the kind byte of a version 4 file only after it has
   * loaded one, and so calls every password wrong (02 §10). For conformance runs.
   */
  readonly missKindByte?: boolean;
}

/** True when the password opens every part of the file, without building a wallet. Unreadable files are false. */
export function walletPasswordMatches(
  file: Uint8Array,
  password: string,
  options: PasswordCheckOptions = {},
): boolean {
  try {
    const sealed = sealedParts(file, options.missKindByte !== true);
    const [parts, mode] =
      sealed.version === 5 ? ([[sealed.inner], 'gcm'] as const) : ([sealed.parts, 'cbc'] as const);
    for (const part of parts) wipe(open(part, password, mode));
    return true;
  } catch (error) {
    if (error instanceof WalletError) return false;
    throw error;
  }
}

/** Throws `WEAK_PASSWORD` for a password that no file is written with. */
export function checkWalletPassword(password: string): void {
  if (password.length < walletPasswordUnitsMin)
    throw new WalletError(
      'WEAK_PASSWORD',
      `a wallet password needs at least ${walletPasswordUnitsMin} characters`,
    );
}

export interface EncodeWalletOptions {
  /** Only a file that the reference can read: `MULTI_PRIME` for a relay wallet instead of a file of our own. */
  readonly referenceFormat?: boolean;
}

/**
 * Writes a wallet: version 5 as version 5, an older one in its own layout, because its addresses depend on it;
 * a relay wallet in its own container. Throws `WEAK_PASSWORD` below ten UTF-16 units.
 */
export function encodeWalletFile(
  wallet: Wallet,
  password: string,
  options: EncodeWalletOptions = {},
): Uint8Array {
  checkWalletPassword(password);
  if (options.referenceFormat === true && wallet.primes > 2)
    throw new WalletError(
      'MULTI_PRIME',
      `the reference's wallet file cannot hold a key of ${wallet.primes} primes; only this relay can use it`,
    );
  return wallet.version === 5
    ? writeVersion5(wallet, password)
    : writeOlder(wallet, wallet.version, password);
}

function i32(n: number): Uint8Array {
  return new ByteWriter(4).i32(n).bytes();
}

function writeVersion5(wallet: Wallet, password: string): Uint8Array {
  const privateKey = wallet.viewOnly ? null : wallet.exportPrivateKey();
  const relay = wallet.primes > 2;
  const baseNonce = wallet.exportBaseNonce();
  const lastNonce = wallet.lastNonce ?? EMPTY_BYTES;
  // Joined in one step: a growing buffer would leave copies of the key behind.
  const inner = concatBytes(
    Uint8Array.of((privateKey === null ? VIEW_KIND : relay ? RELAY_KIND : FULL_KIND).charCodeAt(0)),
    i32(baseNonce.length),
    baseNonce,
    ...(privateKey === null ? [] : [i32(privateKey.length), privateKey]),
    i32(wallet.publicKey.length),
    wallet.publicKey,
    i32(lastNonce.length),
    lastNonce,
  );
  const sealed = encryptWithPassword(inner, password, 'gcm');
  wipe(inner, privateKey, baseNonce);
  return new ByteWriter(sealed.length + 4)
    .i32(relay ? RELAY_VERSION : 5)
    .raw(sealed)
    .bytes();
}

function writeOlder(wallet: Wallet, version: Exclude<WalletVersion, 5>, password: string): Uint8Array {
  const secret = wallet.viewOnly ? wallet.exportBaseNonce() : wallet.exportPrivateKey();
  const w = new ByteWriter(4096).i32(version);
  if (version === 4) w.char(wallet.viewOnly ? VIEW_KIND : FULL_KIND);
  w.i32Bytes(encryptWithPassword(secret, password, 'cbc'));
  w.i32Bytes(encryptWithPassword(wallet.publicKey, password, 'cbc'));
  if (wallet.lastNonce !== null) w.i32Bytes(encryptWithPassword(wallet.lastNonce, password, 'cbc'));
  wipe(secret);
  return w.bytes();
}
