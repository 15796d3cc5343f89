import { bytesKey } from '../wire/index.js';
import type { ProxyPeer } from './ledger-proxy.js';

/** Announcements waiting for their keep-alive, all peers together; the oldest gives way. */
export const announcedMax = 100_000;
/** Of those, per announcing connection: one peer must not fill the table. */
export const announcedPerPeerMax = 20_000;
/** A request not answered for this long is put to another announcer (docs/protocol/04 §5). */
export const fetchRetryMs = 30_000;
/** Requests after the first one before an announcement is given up. */
export const fetchRetriesMax = 2;
/** Announcers remembered per item. */
export const announcersMax = 4;

/** A keep-alive that a peer says it has (inventory item of type 3 or 5). */
export interface Announcement {
  readonly wallet: Uint8Array;
  readonly device: Uint8Array;
  /** Unix seconds, network time. */
  readonly lastSeen: number;
}

interface Pending extends Announcement {
  readonly sources: ProxyPeer[];
  requestedMs: number;
  retries: number;
}

/** What a relay knows of a wallet's device: decides between three questions. */
export type Known = { readonly wallet: boolean; readonly lastSeen: number | null };

/** One request to send. */
export interface Fetch extends Announcement {
  readonly peer: ProxyPeer;
  /** `presence`: the wallet is unknown and its key is needed too. */
  readonly kind: 'keepAlive' | 'presence';
}

/**
 * Decides which announced keep-alives are worth fetching, and from whom. Only newer ones inside the accepted
 * time window are fetched (docs/protocol/05 §10.3), each once, with two more tries at other announcers; the
 * identity is (wallet, device, last seen) for both item types, since one fact has two hashes there.
 */
export class KeepAliveFetch {
  readonly #pending = new Map<string, Pending>();
  readonly #perPeer = new Map<number, number>();

  get size(): number {
    return this.#pending.size;
  }

  /** A peer announced an item; returns the request to make now, or null. */
  offered(
    peer: ProxyPeer,
    item: Announcement,
    known: (item: Announcement) => Known,
    nowMs: number,
    networkSeconds: number,
  ): Fetch | null {
    const age = networkSeconds - item.lastSeen;
    // lastSeen 0 is what a 0.9.8 client sends before its first keep-alive (04 §3.3): nothing to fetch yet.
    if (age > 300 || age < -30) return null;
    const k = known(item);
    if (k.lastSeen !== null && k.lastSeen >= item.lastSeen) return null;
    const key = `${bytesKey(item.wallet)}|${bytesKey(item.device)}|${item.lastSeen}`;
    const old = this.#pending.get(key);
    if (old !== undefined) {
      if (old.sources.length < announcersMax && !old.sources.some((s) => s.id === peer.id))
        old.sources.push(peer);
      return null;
    }
    const mine = this.#perPeer.get(peer.id) ?? 0;
    if (mine >= announcedPerPeerMax) return null;
    if (this.#pending.size >= announcedMax) this.#forget(this.#pending.keys().next().value!);
    this.#perPeer.set(peer.id, mine + 1);
    this.#pending.set(key, {
      wallet: item.wallet.slice(),
      device: item.device.slice(),
      lastSeen: item.lastSeen,
      sources: [peer],
      requestedMs: nowMs,
      retries: 0,
    });
    return { ...item, peer, kind: k.wallet ? 'keepAlive' : 'presence' };
  }

  #forget(key: string): void {
    const p = this.#pending.get(key);
    if (p === undefined) return;
    this.#pending.delete(key);
    const first = p.sources[0];
    if (first === undefined) return;
    const n = (this.#perPeer.get(first.id) ?? 1) - 1;
    if (n <= 0) this.#perPeer.delete(first.id);
    else this.#perPeer.set(first.id, n);
  }

  /** Requests to repeat at another announcer; gives up what arrived, grew old or was tried enough. */
  sweep(known: (item: Announcement) => Known, nowMs: number, networkSeconds: number): Fetch[] {
    const out: Fetch[] = [];
    for (const [key, p] of this.#pending) {
      const k = known(p);
      const arrived = k.lastSeen !== null && k.lastSeen >= p.lastSeen;
      if (arrived || networkSeconds - p.lastSeen > 300) {
        this.#forget(key);
        continue;
      }
      if (nowMs - p.requestedMs < fetchRetryMs) continue;
      const live = p.sources.filter((s) => s.isOpen);
      if (p.retries >= fetchRetriesMax || live.length === 0) {
        this.#forget(key);
        continue;
      }
      p.retries++;
      p.requestedMs = nowMs;
      const peer = live[p.retries % live.length]!;
      out.push({
        wallet: p.wallet,
        device: p.device,
        lastSeen: p.lastSeen,
        peer,
        kind: k.wallet ? 'keepAlive' : 'presence',
      });
    }
    return out;
  }
}
