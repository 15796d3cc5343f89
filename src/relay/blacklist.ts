import { isIP } from 'node:net';
import { addressFromText } from '../identity/index.js';
import { addressRanges } from '../link/node/index.js';
import { bytesKey } from '../wire/index.js';

/** `host:port`; the host may be a name, for candidates that are dialled. */
const ENDPOINT = /^[^\s:/]+:\d{1,5}$/;

/**
 * Who is refused (docs/protocol/03 §3.5 step 7): wallets, endpoints, source addresses and ranges of them. The
 * list is replaced as a whole, so a lookup is two set look-ups and a prefix match.
 */
export class Blacklist {
  #wallets: ReadonlySet<string> = new Set();
  #endpoints: ReadonlySet<string> = new Set();
  #inRange: (ip: string) => boolean = () => false;
  #entries: readonly string[] = [];

  /**
   * @param entries wallet addresses as text with checksum, `host:port`, IP addresses, CIDR ranges
   * @throws Error for an entry that is none of them
   */
  constructor(entries: readonly string[] = []) {
    this.replace(entries);
  }

  /** The entries in force, as given. */
  get entries(): readonly string[] {
    return this.#entries;
  }

  /**
   * Puts another list in force, or keeps the old one when an entry is wrong.
   *
   * @throws Error for an entry that is no wallet, endpoint, address or range
   */
  replace(entries: readonly string[]): void {
    const ranges: string[] = [];
    const wallets = new Set<string>();
    const endpoints = new Set<string>();
    for (const entry of entries) {
      if (isIP(entry) !== 0 || entry.includes('/')) ranges.push(entry);
      else if (ENDPOINT.test(entry)) endpoints.add(entry);
      else wallets.add(bytesKey(addressFromText(entry)));
    }
    this.#inRange = addressRanges(ranges);
    this.#wallets = wallets;
    this.#endpoints = endpoints;
    this.#entries = [...entries];
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
