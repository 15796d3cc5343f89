import { IndexedDbStorage } from '../../client/web/index.js';
import {
  base64Decode,
  base64Encode,
  checkWalletPassword,
  decodeWalletFile,
  encodeWalletFile,
  generateRsaPrivateKey,
  type KeyProgress,
  randomBytes,
  Wallet,
  WalletError,
} from '../../identity/index.js';

/**
 * The wallet in the browser: a wallet file of the current version, whose own password is not the user's but 32 bytes
 * stretched from it. The file format itself stretches with 10,000 rounds of PBKDF2, too few for what lies in a browser
 * for years; its bytes are fixed by the network, so the stretching happens before it.
 */

/** Rounds of PBKDF2 with SHA-512 for new vaults: some tenths of a second for us, the same for every guess. */
export const stretchRounds = 600_000;
/** What is read: never fewer, and not so many that a planted record would freeze the page. */
const stretchRoundsMin = 600_000;
const stretchRoundsMax = 10_000_000;
const saltBytes = 16;
const stretchedBits = 256;
const recordKey = 'wallet';

/** What is stored, as JSON: all of it may be seen by whoever can read this browser's disk. */
interface VaultRecord {
  readonly version: 1;
  readonly kdf: 'PBKDF2-SHA-512';
  readonly rounds: number;
  /** Base64. */
  readonly salt: string;
  /** Wallet file, base64. */
  readonly file: string;
  /** Shown before the vault is opened. */
  readonly address: string;
  readonly nick: string;
}

/** The password that the wallet file is written with. */
async function stretch(password: string, salt: Uint8Array, rounds: number): Promise<string> {
  const { subtle } = crypto;
  const secret = await subtle.importKey('raw', new TextEncoder().encode(password), 'PBKDF2', false, [
    'deriveBits',
  ]);
  const bits = await subtle.deriveBits(
    { name: 'PBKDF2', hash: 'SHA-512', salt: new Uint8Array(salt), iterations: rounds },
    secret,
    stretchedBits,
  );
  return base64Encode(new Uint8Array(bits));
}

/** One profile's wallet. */
export class Vault {
  private constructor(
    private readonly storage: IndexedDbStorage,
    private record: VaultRecord | null,
  ) {}

  /** Opens the database; the wallet in it stays locked. */
  static async open(database: string): Promise<Vault> {
    const storage = await IndexedDbStorage.open(database);
    const stored = new Map(await storage.list(recordKey)).get(recordKey);
    const record = stored === undefined ? null : (JSON.parse(stored) as VaultRecord);
    if (record !== null && (record.version !== 1 || record.kdf !== 'PBKDF2-SHA-512'))
      throw new WalletError('UNKNOWN_VERSION', 'this profile was made by a newer version of the messenger');
    return new Vault(storage, record);
  }

  /** Address of the wallet inside, null while there is none. */
  get address(): string | null {
    return this.record?.address ?? null;
  }

  get nick(): string {
    return this.record?.nick ?? '';
  }

  /** A fresh RSA-4096 key, made by the browser's own WebCrypto. */
  static async generate(onProgress: (p: KeyProgress) => void): Promise<Wallet> {
    return Wallet.create(await generateRsaPrivateKey({ onProgress }));
  }

  /** Keeps a wallet under a password. @throws WalletError `WEAK_PASSWORD`, `MULTI_PRIME`, `VIEW_ONLY` */
  async keep(wallet: Wallet, address: string, nick: string, password: string): Promise<void> {
    checkWalletPassword(password);
    if (wallet.viewOnly) throw new WalletError('VIEW_ONLY', 'a view-only wallet cannot sign');
    const salt = randomBytes(saltBytes);
    const secret = await stretch(password, salt, stretchRounds);
    const file = encodeWalletFile(wallet, secret, { referenceFormat: true });
    const record: VaultRecord = {
      version: 1,
      kdf: 'PBKDF2-SHA-512',
      rounds: stretchRounds,
      salt: base64Encode(salt),
      file: base64Encode(file),
      address,
      nick,
    };
    await this.storage.commit([{ key: recordKey, value: JSON.stringify(record) }]);
    this.record = record;
  }

  /** The wallet; wipe it after use. @throws WalletError `WRONG_PASSWORD`, `NOT_FOUND`, `CORRUPT` */
  async unlock(password: string): Promise<Wallet> {
    const { record } = this;
    if (record === null) throw new WalletError('NOT_FOUND', 'this profile has no wallet');
    const { rounds } = record;
    const [salt, file] = [base64Decode(record.salt), base64Decode(record.file)];
    const sane = Number.isInteger(rounds) && rounds >= stretchRoundsMin && rounds <= stretchRoundsMax;
    if (salt === null || file === null || !sane)
      throw new WalletError('CORRUPT', 'the stored wallet is damaged');
    return decodeWalletFile(file, await stretch(password, salt, rounds));
  }

  /** A wallet file as every program of the network reads it. @throws WalletError `WRONG_PASSWORD`, `WEAK_PASSWORD` */
  async export(password: string, filePassword: string): Promise<Uint8Array> {
    checkWalletPassword(filePassword);
    const wallet = await this.unlock(password);
    try {
      return encodeWalletFile(wallet, filePassword, { referenceFormat: true });
    } finally {
      wallet.wipe();
    }
  }
}
