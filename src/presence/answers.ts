import { parseAddress } from '../identity/index.js';
import { ByteReader, ByteWriter } from '../wire/index.js';
import { addressesPerChunk, keepAlivesPerChunk } from './constants.js';
import { encodeKeepAlive, keepAliveOf } from './keep-alive.js';
import type { Presence } from './presence.js';
import type { PresenceStore } from './store.js';

/** A device of a wallet whose keep-alive is asked for. */
export interface WalletDevice {
  readonly wallet: Uint8Array;
  readonly device: Uint8Array;
}

/** Most pairs answered from one getKeepAlives: four full chunks, 1.2 MB; honest nodes ask for at most 500. */
export const keepAlivePairsMax = 2000;

/**
 * Reads a getKeepAlives payload up to the end of its data: the announced count is a promise, what is present
 * is what counts (docs/protocol/05 §10.3 Weakness). Throws DecodeError for a broken pair.
 */
export function readKeepAlivePairs(payload: Uint8Array): WalletDevice[] {
  const r = new ByteReader(payload);
  const count = Math.min(r.uvarInt('getKeepAlives.count'), keepAlivePairsMax);
  const out: WalletDevice[] = [];
  while (out.length < count && r.remaining > 0) {
    const wallet = parseAddress(r.vb('getKeepAlives.wallet'), 'getKeepAlives.wallet');
    out.push({ wallet, device: r.vb('getKeepAlives.device') });
  }
  return out;
}

/**
 * The keepAlivesChunk payloads that answer a getKeepAlives: up to 500 pairs each, unknown ones counted but
 * left out as in the reference, and never a message without a keep-alive in it (05 §10.3).
 */
export function keepAliveChunks(store: PresenceStore, pairs: readonly WalletDevice[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let i = 0; i < pairs.length; i += keepAlivesPerChunk) {
    const slice = pairs.slice(i, i + keepAlivesPerChunk);
    const w = new ByteWriter(620 * slice.length).var(slice.length);
    let known = 0;
    for (const { wallet, device } of slice) {
      const entry = store.entry(wallet, device);
      if (entry === null) continue;
      known++;
      w.vb(encodeKeepAlive(keepAliveOf(wallet, entry.address)));
    }
    if (known > 0) out.push(w.bytes());
  }
  return out;
}

/** The updatePresence payloads that answer a getPresence2; none for an unknown wallet (05 §10.3). */
export function presenceAnswer(store: PresenceStore, wallet: Uint8Array): Uint8Array[] {
  return store.packets(wallet, addressesPerChunk);
}

/** Newest wallets that getRandomPresences chooses from, and how many of them it gives (05 §10.3). */
const randomCandidatesMax = 20;
const randomAnswersMax = 10;

/**
 * Presences that answer getRandomPresences: ten in a row of the twenty newest of the type, those first whose
 * proof of work was checked. Clients are listed to nobody (05 §10.3 Strict).
 *
 * @param random uniform number in 0…1, 1 excluded
 */
export function randomPresences(
  store: PresenceStore,
  type: string,
  now: number,
  random: () => number,
): Presence[] {
  if (type !== 'M' && type !== 'H' && type !== 'R') return [];
  const found = store.byType(type, randomCandidatesMax, now).flatMap((w) => store.get(w) ?? []);
  const proven = (p: Presence): boolean =>
    p.addresses.some((a) => a.type === type && store.entry(p.wallet, a.device)?.powVerified === true);
  const ranked = [...found.filter(proven), ...found.filter((p) => !proven(p))];
  if (ranked.length <= randomAnswersMax) return ranked;
  // The reference's window never reaches the last candidate; neither does ours.
  const from = Math.floor(random() * (ranked.length - randomAnswersMax));
  return ranked.slice(from, from + randomAnswersMax);
}
