import { addressRanges } from '../link/node/index.js';

/** Source addresses that may connect: everybody while the list is empty, else only those in it. */
export class AllowList {
  #entries: readonly string[] = [];
  #inRange: (ip: string) => boolean = () => true;

  /**
   * @param entries IP addresses and CIDR ranges
   * @throws RangeError for an entry that is neither
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
   * @throws RangeError for an entry that is neither address nor range
   */
  replace(entries: readonly string[]): void {
    this.#inRange = entries.length === 0 ? () => true : addressRanges(entries);
    this.#entries = [...entries];
  }

  /** Whether connections from that address are taken. */
  admits(ip: string): boolean {
    return this.#inRange(ip);
  }
}
