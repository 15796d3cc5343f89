import { addressFromText, addressText, parseAddress } from '../identity/index.js';
import { bytesEqual } from '../wire/index.js';

/** Entries kept at most; above it the one not seen for longest goes (docs/protocol/03 §5.6). */
export const peerEntriesMax = 2000;
/** Seconds between two attempts at one host: spreads a node's dials over its candidates. */
export const peerRetrySeconds = 30;
/** The same while nobody is connected: a node without any ledger peer must not sit out the half minute. */
export const peerRetryAloneSeconds = 5;
/** Entries below which the file is not worth overwriting: a node that lost everybody keeps its old list. */
export const peerFileEntriesMin = 2;

/** One known ledger node. Times are Unix seconds, 0 = never. */
export interface PeerEntry {
  /** `host:port`. */
  host: string;
  /** Expected wallet, null when unknown. */
  wallet: Uint8Array | null;
  lastSeen: number;
  lastConnectAttempt: number;
  lastConnected: number;
  rating: number;
}

function hostPort(host: string): { name: string; port: number } | null {
  const colon = host.lastIndexOf(':');
  if (colon <= 0) return null;
  const port = Number(host.slice(colon + 1));
  if (!Number.isInteger(port) || port < 1 || port > 65535) return null;
  return { name: host.slice(0, colon), port };
}

/**
 * The list of ledger nodes a relay may dial, in the reference's file format, so that an operator can move
 * `peers.ixi` over. Pure state: reading and writing the file is the caller's business.
 */
export class PeerStorage {
  readonly #entries: PeerEntry[] = [];
  /** Whether a stored peer connected since the last reset: decides between freshest and random choice. */
  #connectedOnce = false;

  constructor(
    private readonly allowLoopback: boolean,
    private readonly random: () => number = Math.random,
  ) {}

  get entries(): readonly PeerEntry[] {
    return this.#entries;
  }

  /** Adds or renews a peer; the same host or the same wallet replaces the old entry (03 §5.6). */
  add(host: string, wallet: Uint8Array | null, lastSeen: number, lastConnected = 0): boolean {
    const hp = hostPort(host);
    if (hp === null) return false;
    if (!this.allowLoopback && (hp.name === '127.0.0.1' || hp.name === 'localhost')) return false;
    const entry: PeerEntry = { host, wallet, lastSeen, lastConnectAttempt: 0, lastConnected, rating: 0 };
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const old = this.#entries[i]!;
      const sameWallet = wallet !== null && old.wallet !== null && bytesEqual(wallet, old.wallet);
      if (old.host !== host && !sameWallet) continue;
      if (old.host === host) {
        entry.lastConnectAttempt = old.lastConnectAttempt;
        entry.rating = old.rating;
        entry.wallet = wallet ?? old.wallet;
      }
      entry.lastConnected = Math.max(entry.lastConnected, old.lastConnected);
      this.#entries.splice(i, 1);
    }
    this.#entries.push(entry);
    if (this.#entries.length > peerEntriesMax) this.#evictOldest();
    return true;
  }

  #evictOldest(): void {
    let oldest = 0;
    for (let i = 1; i < this.#entries.length; i++)
      if (this.#entries[i]!.lastSeen < this.#entries[oldest]!.lastSeen) oldest = i;
    this.#entries.splice(oldest, 1);
  }

  /**
   * The next host to dial, stamped as attempted; null when none is eligible. Until a stored peer has
   * connected the one that worked last is tried first, afterwards any at random.
   */
  pick(nowSeconds: number, skip: (entry: PeerEntry) => boolean): PeerEntry | null {
    const pause = this.#connectedOnce ? peerRetrySeconds : peerRetryAloneSeconds;
    const free = this.#entries.filter((e) => nowSeconds - e.lastConnectAttempt > pause && !skip(e));
    if (free.length === 0) return null;
    let choice = free[Math.floor(this.random() * free.length)]!;
    if (!this.#connectedOnce)
      choice = free.reduce((best, e) => (e.lastConnected > best.lastConnected ? e : best));
    choice.lastConnectAttempt = nowSeconds;
    return choice;
  }

  /** A stored peer completed its handshake. */
  connected(host: string, nowSeconds: number): void {
    this.#connectedOnce = true;
    const e = this.#entries.find((x) => x.host === host);
    if (e === undefined) return;
    e.lastConnected = nowSeconds;
    e.rating++;
  }

  /** A stored peer was given up. */
  failed(host: string): void {
    const e = this.#entries.find((x) => x.host === host);
    if (e !== undefined) e.rating--;
  }

  /** No outbound peer is left: the next pick starts again with the one that worked last. */
  reset(): void {
    this.#connectedOnce = false;
  }

  /** The file's text, or null when there is too little to save. Entries without a wallet are not saved. */
  serialize(): string | null {
    const lines = this.#entries
      .filter((e) => e.wallet !== null)
      .map((e) =>
        [e.host, addressText(e.wallet!), e.lastSeen, e.lastConnectAttempt, e.lastConnected, e.rating].join(
          ';',
        ),
      );
    return lines.length < peerFileEntriesMin ? null : `${lines.join('\n')}\n`;
  }

  /** Reads the reference's format (two or six fields a line). Returns how many lines were refused. */
  load(text: string): number {
    let refused = 0;
    for (const line of text.split(/\r?\n/)) {
      if (line.trim() === '') continue;
      const f = line.split(';');
      const number = (i: number): number => {
        const n = Number(f[i] ?? 0);
        return Number.isSafeInteger(n) ? n : 0;
      };
      try {
        const wallet = parseAddress(addressFromText(f[1] ?? ''));
        if (!this.add(f[0]!, wallet, number(2), number(4))) throw new RangeError('host');
        // A full list may have given up the very entry that was read.
        const e = this.#entries.find((x) => x.host === f[0]);
        if (e === undefined) continue;
        e.lastConnectAttempt = number(3);
        e.rating = number(5);
      } catch {
        refused++;
      }
    }
    return refused;
  }
}
