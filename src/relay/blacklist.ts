import { isIP } from 'node:net';
import { addressFromText } from '../identity/index.js';
import { addressRanges } from '../link/node/index.js';
import { bytesKey } from '../wire/index.js';

/** `host:port`; the host may be a name, for candidates that are dialled. */
const ENDPOINT = /^[^\s:/]+:\d{1,5}$/;

/**
 * Who is refused (docs/protocol/03 §3.5 step 7): wallets, endpoints, source addresses and ranges of them. Fixed
 * for the life of a relay, so a lookup is two set look-ups and a prefix match.
 */
export class Blacklist {
  readonly #wallets = new Set<string>();
  readonly #endpoints = new Set<string>();
  readonly #inRange: (ip: string) => boolean;

  /**
   * @param entries wallet addresses as text with checksum, `host:port`, IP addresses, CIDR ranges
   * @throws Error for an entry that is none of them
   */
  constructor(entries: readonly string[] = []) {
    const ranges: string[] = [];
    for (const entry of entries) {
      if (isIP(entry) !== 0 || entry.includes('/')) ranges.push(entry);
      else if (ENDPOINT.test(entry)) this.#endpoints.add(entry);
      else this.#wallets.add(bytesKey(addressFromText(entry)));
    }
    this.#inRange = addressRanges(ranges);
  }

  /** Whether connections from that address are refused before their hello. */
  source(ip: string): boolean {
    return this.#inRange(ip);
  }

  /** Whether that endpoint must be neither dialled nor accepted. */
  endpoint(hostPort: string): boolean {
    return this.#endpoints.has(hostPort) || this.#inRange(hostPort.slice(0, hostPort.lastIndexOf(':')));
  }

  wallet(address: Uint8Array): boolean {
    return this.#wallets.has(bytesKey(address));
  }
}
