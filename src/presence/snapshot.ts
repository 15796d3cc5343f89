import { secretEqual } from '../wire/index.js';

/**
 * A store's content as a file, for a warm start (little endian):
 *
 * header: magic 8 | format u32 | block stride u32 | saved at f64 | network lock 32 | wallets u32 | salt 16 | MAC 16
 * block:  index u32 | payload length u32 | flags u32 | wallets u32 | payload | MAC 16
 *
 * Blocks begin at multiples of the stride behind the header, the last one ends the file. A local key that never leaves
 * the machine makes the file's key, HMAC-SHA256 of its salt. Every MAC is AES-256-GMAC by that one (the tag of AES-GCM
 * over nothing encrypted, several times as fast as a hash), its nonce the block's place: a block counts only in its own
 * file at its own place, and no nonce is used twice, because every file has a salt of its own. The signatures of what
 * is inside were verified once, so they are not again; the MAC stands for that. Ages are judged anew, by whoever reads.
 * The number of wallets in the header is how many there were when it was begun.
 */
export const snapshotFormat = 2;
const magic = new TextEncoder().encode('STARLPRS');
export const snapshotHeaderBytes = 92;
/** Bytes of a tag. */
const macBytes = 16;
const lockBytes = 32;
const saltBytes = 16;
const prefixBytes = 16;
const lockAt = 24;
const walletsAt = lockAt + lockBytes;
const saltAt = walletsAt + 4;
const nonceBytes = 12;
/** In the place of a block's index: the header. */
const headerIndex = 0xffff_ffff;
const lastFlag = 1;
/** Payload of a block: about 900 presences. */
export const snapshotBlockBytes = 1024 * 1024;
/**
 * Filled in one go: presences lie all over the memory, so a whole block takes milliseconds, for which everybody who asks
 * for something would wait.
 */
const sliceBytes = 64 * 1024;
/** From one block to the next. */
export const snapshotStride = prefixBytes + snapshotBlockBytes + macBytes;
/** Blocks read and verified ahead of the one that is taken in. */
const aheadMax = 4;
/** Bytes of the key; a shorter one is refused. */
export const snapshotKeyBytes = 32;

/** What is wrong with a snapshot. */
export type SnapshotProblem =
  /** Not a snapshot, or of another format. */
  | 'format'
  /** Of another network. */
  | 'network'
  /** Made with another key, or changed since. */
  | 'mac'
  /** It ends before its last block. */
  | 'torn'
  /** What is inside does not hold together. */
  | 'content';

/** Thrown for a snapshot that must not be used. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  constructor(
    readonly problem: SnapshotProblem,
    detail = '',
  ) {
    super(`the presence snapshot is refused: ${problem}${detail === '' ? '' : ` (${detail})`}`);
  }
}

/** What one call of {@link SnapshotSource.exportWallets} wrote. */
export interface ExportedWallets {
  readonly next: number | null;
  readonly bytes: number;
  readonly wallets: number;
}

/** A store that can be written to a snapshot, a part at a time. */
export interface SnapshotSource {
  /** Wallets in the store. */
  readonly wallets: number;
  /**
   * Writes wallets from row `row` on into `into`, from `at` on, until `enough` bytes are written or no more fits; null in
   * `next` when none is left. The store may change between two calls.
   */
  exportWallets(row: number, into: Uint8Array, at?: number, enough?: number): ExportedWallets;
}

/** A store that a snapshot is read into. */
export interface SnapshotTarget {
  /** About so many wallets are about to come. */
  importBegins(wallets: number): void;
  /** Takes the wallets of one payload in, told to nobody yet; throws DecodeError or RangeError for nonsense. */
  importWallets(payload: Uint8Array, now: number): { addresses: number; skipped: number };
  /** Tells of what came in, after all of it was good. */
  importFinished(): void;
  /** Forgets everything, after some of it was not; nobody was told of it yet. */
  importAborted(): void;
}

/** What both ways of a snapshot need to know. */
export interface SnapshotContext {
  /** The local key, 32 random bytes. */
  readonly key: Uint8Array;
  /** Lock of the network: a snapshot of another one is refused. */
  readonly lock: Uint8Array;
  /** Network seconds now. */
  readonly now: number;
  /** Another maker of the same MACs; without one WebCrypto makes them. */
  readonly macs?: SnapshotMacs;
  /** Called within a block while it is written: lets others have their turn. */
  readonly pause?: () => Promise<void>;
}

/** What makes the tags of one file: AES-256-GMAC by its key; of the bytes nothing is kept. */
export type SnapshotMac = (
  bytes: Uint8Array<ArrayBuffer>,
  nonce: Uint8Array<ArrayBuffer>,
) => Uint8Array | Promise<Uint8Array>;
export type SnapshotMacs = (fileKey: Uint8Array<ArrayBuffer>) => SnapshotMac;

/** What a snapshot held. */
export interface SnapshotResult {
  readonly savedAt: number;
  /** Endpoints in the store now. */
  readonly addresses: number;
  /** Endpoints left out: too old, too far ahead, or beyond a limit of the store. */
  readonly skipped: number;
  readonly bytes: number;
}

/** Makes the tag for a block's index. */
type MacAt = (index: number, bytes: Uint8Array<ArrayBuffer>) => Uint8Array | Promise<Uint8Array>;

async function webMac(fileKey: Uint8Array<ArrayBuffer>): Promise<SnapshotMac> {
  const key = await crypto.subtle.importKey('raw', fileKey, 'AES-GCM', false, ['encrypt']);
  return async (bytes, iv) => {
    const gcm = { name: 'AES-GCM', iv, additionalData: bytes, tagLength: 8 * macBytes };
    return new Uint8Array(await crypto.subtle.encrypt(gcm, key, new Uint8Array(0)));
  };
}

async function macsOf({ key, macs }: SnapshotContext, salt: Uint8Array<ArrayBuffer>): Promise<MacAt> {
  if (key.length !== snapshotKeyBytes) throw new RangeError(`a key of ${key.length} bytes`);
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const local = await crypto.subtle.importKey('raw', key.slice(), hmac, false, ['sign']);
  const fileKey = new Uint8Array(await crypto.subtle.sign('HMAC', local, salt));
  const mac = macs === undefined ? await webMac(fileKey) : macs(fileKey);
  return (index, bytes) => {
    const nonce = new Uint8Array(nonceBytes);
    new DataView(nonce.buffer).setUint32(0, index, true);
    return mac(bytes, nonce);
  };
}

function paddedLock(lock: Uint8Array): Uint8Array {
  const out = new Uint8Array(lockBytes);
  out.set(lock.subarray(0, lockBytes));
  return out;
}

/**
 * The store as pieces to be written one behind the other, each with its place in the file and good until the
 * next one is asked for. Between two pieces the store may change: each wallet is written as it is when its
 * turn comes.
 */
export async function* encodeSnapshot(
  store: SnapshotSource,
  context: SnapshotContext,
): AsyncGenerator<{ readonly at: number; readonly bytes: Uint8Array }> {
  const salt = crypto.getRandomValues(new Uint8Array(saltBytes));
  const macAt = await macsOf(context, salt);
  const header = new Uint8Array(snapshotHeaderBytes);
  const view = new DataView(header.buffer);
  header.set(magic);
  view.setUint32(8, snapshotFormat, true);
  view.setUint32(12, snapshotStride, true);
  view.setFloat64(16, context.now, true);
  header.set(paddedLock(context.lock), lockAt);
  view.setUint32(walletsAt, store.wallets, true);
  header.set(salt, saltAt);
  const unsigned = header.slice(0, snapshotHeaderBytes - macBytes);
  header.set(await macAt(headerIndex, unsigned), unsigned.length);
  yield { at: 0, bytes: header };
  const block = new Uint8Array(snapshotStride);
  let row: number | null = 0;
  const payload = block.subarray(prefixBytes, prefixBytes + snapshotBlockBytes);
  for (let index = 0; row !== null; index++) {
    let bytes = 0;
    let wallets = 0;
    for (let full = false; row !== null && !full; ) {
      const part: ExportedWallets = store.exportWallets(row, payload, bytes, sliceBytes);
      row = part.next;
      bytes += part.bytes;
      wallets += part.wallets;
      full = part.bytes < sliceBytes;
      await context.pause?.();
    }
    const blockView = new DataView(block.buffer);
    blockView.setUint32(0, index, true);
    blockView.setUint32(4, bytes, true);
    blockView.setUint32(8, row === null ? lastFlag : 0, true);
    blockView.setUint32(12, wallets, true);
    const end = prefixBytes + bytes;
    block.set(await macAt(index, block.subarray(0, end)), end);
    yield { at: snapshotHeaderBytes + index * snapshotStride, bytes: block.subarray(0, end + macBytes) };
  }
}

/** Reads at a place of the file into an array; fewer bytes than asked for only at the end. */
export type SnapshotRead = (into: Uint8Array, at: number) => Promise<number>;

interface Block {
  readonly payload: Uint8Array;
  readonly last: boolean;
  readonly end: number;
}

/**
 * Reads a snapshot into an empty store. All or nothing: when a block is damaged or missing, the store is
 * empty again and nobody was told of anything.
 *
 * @throws SnapshotError when the file must not be used
 */
export async function decodeSnapshot(
  store: SnapshotTarget,
  read: SnapshotRead,
  context: SnapshotContext,
): Promise<SnapshotResult> {
  const header = new Uint8Array(snapshotHeaderBytes);
  const got = await read(header, 0);
  const view = new DataView(header.buffer);
  if (got >= magic.length && !secretEqual(header.subarray(0, magic.length), magic))
    throw new SnapshotError('format', 'another kind of file');
  if (got < snapshotHeaderBytes) throw new SnapshotError('torn', 'header');
  const format = view.getUint32(8, true);
  if (format !== snapshotFormat || view.getUint32(12, true) !== snapshotStride)
    throw new SnapshotError('format', `version ${format}`);
  const macAt = await macsOf(context, header.slice(saltAt, saltAt + saltBytes));
  const mac = await macAt(headerIndex, header.slice(0, snapshotHeaderBytes - macBytes));
  if (!secretEqual(mac, header.subarray(snapshotHeaderBytes - macBytes)))
    throw new SnapshotError('mac', 'header');
  if (!secretEqual(header.subarray(lockAt, walletsAt), paddedLock(context.lock)))
    throw new SnapshotError('network');

  // One more than are read ahead: the one that is taken in stays until the next is asked for.
  const buffers = Array.from({ length: aheadMax + 1 }, () => new Uint8Array(snapshotStride));
  const load = async (index: number): Promise<Block> => {
    const bytes = buffers[index % buffers.length]!;
    const at = snapshotHeaderBytes + index * snapshotStride;
    const have = await read(bytes, at);
    const prefix = new DataView(bytes.buffer);
    if (have < prefixBytes) throw new SnapshotError('torn', `block ${index}`);
    const length = prefix.getUint32(4, true);
    if (length > snapshotBlockBytes) throw new SnapshotError('mac', `block ${index}`);
    if (have < prefixBytes + length + macBytes) throw new SnapshotError('torn', `block ${index}`);
    const end = prefixBytes + length;
    const right = await macAt(index, bytes.subarray(0, end));
    if (!secretEqual(right, bytes.subarray(end, end + macBytes)) || prefix.getUint32(0, true) !== index)
      throw new SnapshotError('mac', `block ${index}`);
    const last = (prefix.getUint32(8, true) & lastFlag) !== 0;
    return {
      payload: bytes.subarray(prefixBytes, end),
      last,
      end: at + end + macBytes,
    };
  };
  const ahead: Promise<Block>[] = [];
  let asked = 0;
  const ask = (): void => {
    const block = load(asked++);
    // Blocks behind the last one, or behind a damaged one, are never awaited.
    block.catch(() => undefined);
    ahead.push(block);
  };
  let addresses = 0;
  let skipped = 0;
  try {
    store.importBegins(view.getUint32(walletsAt, true));
    while (ahead.length < aheadMax) ask();
    for (;;) {
      const block = await ahead.shift()!;
      if (!block.last) ask();
      const part = store.importWallets(block.payload, context.now);
      addresses += part.addresses;
      skipped += part.skipped;
      if (!block.last) continue;
      store.importFinished();
      return { savedAt: view.getFloat64(16, true), addresses, skipped, bytes: block.end };
    }
  } catch (e) {
    await Promise.allSettled(ahead);
    store.importAborted();
    if (e instanceof SnapshotError) throw e;
    if (e instanceof RangeError || (e instanceof Error && e.name === 'DecodeError'))
      throw new SnapshotError('content', e.message);
    throw e;
  }
}
