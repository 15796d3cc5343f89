import { createHash } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cachedDataVersionTag } from 'node:v8';

/** Bytes of the digest in front of the compiled code. */
const digestBytes = 32;

/** Caches kept beside one bundle: one for each version of Node and set of V8's flags it was run with. */
export const codeCachesMax = 8;

const ENDING = '.compiled';

const digestOf = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();

/**
 * Where the compiled form of a bundle lies: beside it, since it is code and whoever may write there may change the
 * bundle itself. The bundle's name must tell its content. V8's tag stands for its version, flags and processor
 * features: compiled code fits no other.
 */
export function codeCachePath(bundle: string): string {
  const { version, platform, arch } = process;
  const tag = (cachedDataVersionTag() >>> 0).toString(16);
  return `${bundle}.${version}-${platform}-${arch}-${tag}${ENDING}`;
}

/**
 * Compiled code, or null where there is none that can be trusted: the file must belong to the bundle's owner, to this
 * user or to root, nobody else may have been able to write it, and its digest must hold.
 */
export function readCodeCache(bundle: string): Buffer | null {
  let fd: number;
  try {
    fd = openSync(codeCachePath(bundle), 'r');
  } catch {
    return null;
  }
  try {
    const { uid, mode, size } = fstatSync(fd);
    const owners = [0, statSync(bundle).uid, process.geteuid?.() ?? uid];
    const others = process.platform === 'win32' ? 0 : mode & 0o022;
    if (!owners.includes(uid) || others !== 0 || size <= digestBytes) return null;
    const file = readFileSync(fd);
    const data = file.subarray(digestBytes);
    return digestOf(data).equals(file.subarray(0, digestBytes)) ? data : null;
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}

/** Keeps compiled code for the next start; false where it cannot be written, which only costs time. */
export function writeCodeCache(bundle: string, data: Uint8Array): boolean {
  const path = codeCachePath(bundle);
  const part = `${path}.${process.pid}.part`;
  try {
    const folder = dirname(bundle);
    const mine = (name: string): boolean => name.startsWith(`${basename(bundle)}.`) && name.endsWith(ENDING);
    const kept = readdirSync(folder).filter((n) => mine(n) && join(folder, n) !== path);
    if (kept.length >= codeCachesMax) return false;
    // A crash while writing leaves no half a file under the name that is read.
    writeFileSync(part, Buffer.concat([digestOf(data), data]), { flag: 'wx', mode: 0o644 });
    renameSync(part, path);
    return true;
  } catch {
    rmSync(part, { force: true });
    return false;
  }
}
