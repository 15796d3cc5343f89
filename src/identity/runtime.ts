/** The functions of `node:crypto`, where the runtime has them. */
export type NodeCrypto = typeof import('node:crypto');

interface BuiltinHost {
  readonly process?: { getBuiltinModule?(id: string): unknown };
}

function findNodeCrypto(): NodeCrypto | null {
  // Asked for at run time and not imported: a bundle for browsers must not contain a Node import.
  const found = (globalThis as BuiltinHost).process?.getBuiltinModule?.('node:crypto');
  return found === undefined || found === null ? null : (found as NodeCrypto);
}

/** The two fast roads to cryptography; either may be missing, the portable code needs neither. */
export interface CryptoRuntime {
  readonly node: NodeCrypto | null;
  /** WebCrypto; browsers offer it in secure contexts only. */
  readonly subtle: SubtleCrypto | null;
}

const detected: CryptoRuntime = {
  node: findNodeCrypto(),
  subtle: globalThis.crypto?.subtle ?? null,
};

let current: CryptoRuntime = detected;

/** What this room may use right now. */
export function cryptoRuntime(): CryptoRuntime {
  return current;
}

/**
 * Takes roads away, so that one machine can run what a browser or an edge runtime would; no argument puts
 * the detected ones back. For tests and tuning: not part of the façade.
 */
export function restrictRuntime(without: { node?: boolean; subtle?: boolean } = {}): void {
  current = {
    node: without.node === true ? null : detected.node,
    subtle: without.subtle === true ? null : detected.subtle,
  };
}

/**
 * The same bytes as a plain `Uint8Array`. Node's functions answer with `Buffer`, whose `slice` is a view
 * where everybody else's is a copy.
 */
export function plainBytes(b: Uint8Array): Uint8Array {
  return new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
}

/** Bytes as the web platform's types want them: never over shared memory. Copies only when shared. */
export function webBytes(b: Uint8Array): Uint8Array<ArrayBuffer> {
  return b.buffer instanceof ArrayBuffer ? (b as Uint8Array<ArrayBuffer>) : new Uint8Array(b);
}

/** Largest request `crypto.getRandomValues` takes at once. */
const RANDOM_CHUNK_BYTES_MAX = 65_536;

/** `n` bytes from the system's generator. Throws when the runtime has none: there is no fallback. */
export function randomBytes(n: number): Uint8Array {
  const out = new Uint8Array(n);
  for (let at = 0; at < n; at += RANDOM_CHUNK_BYTES_MAX)
    globalThis.crypto.getRandomValues(out.subarray(at, at + RANDOM_CHUNK_BYTES_MAX));
  return out;
}

/** Overwrites secrets that are no longer needed. Best effort: the engine may have copied them. */
export function wipe(...secrets: readonly (Uint8Array | null | undefined)[]): void {
  for (const s of secrets) s?.fill(0);
}
