import type { Network } from '../wire/index.js';
import { isAcceptableHostname } from './rules-hostname.js';

/** Hostnames remembered at most: a relay's clients name a handful of relays. */
export const hostnamesRememberedMax = 256;

/** What a hostname reads as, and whether the rule takes it. */
export interface KnownHostname {
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly acceptable: boolean;
}

const utf8 = new TextDecoder();

/**
 * Hostnames as they arrive, decoded and judged once (docs/protocol/05 §7.1): the rule looks at nothing but the text, and
 * thousands of clients name the same relay. One place per hash, so a sender of many names only costs what it would have
 * cost anyway.
 */
export class HostnameMemo {
  readonly #known: (KnownHostname | undefined)[] = new Array<KnownHostname | undefined>(
    hostnamesRememberedMax,
  );

  constructor(private readonly network: Network) {}

  /** The hostname in `message` from `from` up to `to`, which must be well-formed UTF-8. */
  read(message: Uint8Array, from: number, to: number): KnownHostname {
    let hash = to - from;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ message[i]!, 0x0100_0193);
    const at = (hash ^ (hash >>> 16)) & (hostnamesRememberedMax - 1);
    const known = this.#known[at];
    if (known !== undefined && isSame(known.bytes, message, from, to)) return known;
    const bytes = message.slice(from, to);
    const text = utf8.decode(bytes);
    const read = { bytes, text, acceptable: isAcceptableHostname(text, this.network) };
    this.#known[at] = read;
    return read;
  }
}

function isSame(bytes: Uint8Array, message: Uint8Array, from: number, to: number): boolean {
  if (bytes.length !== to - from) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== message[from + i]) return false;
  return true;
}
