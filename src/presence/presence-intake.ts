import type { VerifyItem } from '../identity/index.js';
import { bytesKey, DecodeError } from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import { ChecksumMaker, keepAliveOf } from './keep-alive.js';
import { type DecodedPresence, decodePresence } from './presence.js';
import type { ClaimContext } from './rules-claim.js';
import { entryProblem, judgeAddress, keyProblem, replacesStored } from './rules-presence.js';
import { timeProblem } from './rules-time.js';
import type { PresenceOutcome, PresenceRefusal } from './service.js';
import type { GateVerdict, SignatureGate } from './signature-gate.js';
import type { PresenceStore } from './store.js';
import { claimItem, type DroppedAddress } from './verify.js';

/** Endpoints of one packet worth a signature check: what a wallet may keep, and a little more. */
export const addressesPerPacketMax = 16;

/** What an intake needs of the service it belongs to. */
export interface PresenceIntakeOptions {
  readonly store: PresenceStore;
  readonly gate: SignatureGate;
  /** Network time in whole seconds. */
  readonly now: () => number;
  readonly context: () => ClaimContext;
}

/** An endpoint that passed everything that costs no RSA operation. */
interface Candidate {
  readonly address: PresenceAddress;
  readonly item: VerifyItem;
  readonly powVerified: boolean;
}

/** A packet of which something is left to be verified, or that is known already. */
interface Judged {
  readonly packet: DecodedPresence;
  readonly candidates: readonly Candidate[];
  /** The store holds as much of one of its endpoints already. */
  readonly known: boolean;
  readonly dropped: DroppedAddress[];
}

const refused = (reason: PresenceRefusal, dropped: readonly DroppedAddress[] = []): PresenceOutcome => ({
  kind: 'refused',
  reason,
  dropped,
});

/**
 * Presences in batches: judged one by one by docs/protocol/05 §7.4 and §8.2, what is left over verified in one call, and
 * stored in the order they came in. A lone one is a batch of one.
 */
export class PresenceIntake {
  readonly #o: PresenceIntakeOptions;
  readonly #checksums = new ChecksumMaker();

  constructor(options: PresenceIntakeOptions) {
    this.#o = options;
  }

  /**
   * What came of each message, in their order. The messages must stay as they are until then. `allow` is asked once for
   * each that is worth RSA operations, with the message's index and their number.
   */
  async receive(
    messages: readonly Uint8Array[],
    allow?: (at: number, operations: number) => boolean,
  ): Promise<PresenceOutcome[]> {
    const now = this.#o.now();
    const ctx = this.#o.context();
    const items: VerifyItem[] = [];
    const judged: (Judged | PresenceOutcome)[] = [];
    for (let at = 0; at < messages.length; at++) {
      const j = this.#judge(messages[at]!, at, now, ctx, allow);
      judged.push(j);
      if (!('kind' in j)) for (const c of j.candidates) items.push(c.item);
    }
    const verdicts = items.length === 0 ? [] : await this.#verify(items);
    let next = 0;
    return judged.map((j) => {
      if ('kind' in j) return j;
      const from = next;
      next += j.candidates.length;
      return verdicts === null && j.candidates.length > 0
        ? refused('engine', j.dropped)
        : this.#apply(j, verdicts ?? [], from);
    });
  }

  /** Everything that costs no RSA operation. */
  #judge(
    message: Uint8Array,
    at: number,
    now: number,
    ctx: ClaimContext,
    allow: ((at: number, operations: number) => boolean) | undefined,
  ): Judged | PresenceOutcome {
    let packet: DecodedPresence;
    try {
      packet = decodePresence(message);
    } catch (e) {
      if (e instanceof DecodeError) return refused('malformed');
      throw e;
    }
    const key = keyProblem(packet);
    if (key !== null) return refused(key);
    const dropped: DroppedAddress[] = [];
    for (const _ of packet.malformed) dropped.push({ device: null, reason: 'malformed' });
    const { candidates, known } = this.#candidates(packet, now, ctx, dropped);
    if (candidates.length > 0 && allow?.(at, candidates.length) === false) {
      for (const c of candidates) dropped.push({ device: c.address.device, reason: 'rate' });
      candidates.length = 0;
    }
    return { packet, candidates, known, dropped };
  }

  /** Endpoints worth a signature check, newest first when there are too many. */
  #candidates(
    packet: DecodedPresence,
    now: number,
    ctx: ClaimContext,
    dropped: DroppedAddress[],
  ): { readonly candidates: Candidate[]; readonly known: boolean } {
    const candidates: Candidate[] = [];
    let known = false;
    for (const address of packet.addresses) {
      const drop = (reason: DroppedAddress['reason']): void =>
        void dropped.push({ device: address.device, reason });
      const entry = entryProblem(address, now);
      if (entry !== null) {
        drop(entry);
        continue;
      }
      const stored = this.#o.store.entry(packet.wallet, address.device);
      if (stored !== null && !replacesStored(stored.address, address)) {
        known = true;
        continue;
      }
      const { problem, powVerified } = judgeAddress(packet.wallet, address, now, ctx);
      const item =
        problem === null
          ? claimItem(keepAliveOf(packet.wallet, address), packet.publicKey, ctx, this.#checksums)
          : null;
      if (item === null) drop(problem ?? 'unsigned');
      else candidates.push({ address, item, powVerified });
    }
    if (candidates.length > addressesPerPacketMax) {
      candidates.sort((a, b) => b.address.lastSeen - a.address.lastSeen);
      for (const c of candidates.splice(addressesPerPacketMax))
        dropped.push({ device: c.address.device, reason: 'surplus' });
    }
    return { candidates, known };
  }

  async #verify(items: readonly VerifyItem[]): Promise<readonly GateVerdict[] | null> {
    try {
      return await this.#o.gate.verify(items);
    } catch {
      // Closed, because the node is stopping, or its threads died: nothing is known of the signatures.
      return null;
    }
  }

  /** The verdicts of a packet stand from `from` on. They took their time: the store may hold something newer by now. */
  #apply(
    { packet, candidates, known, dropped }: Judged,
    verdicts: readonly GateVerdict[],
    from: number,
  ): PresenceOutcome {
    const valid = candidates.filter((c, i) => {
      const verdict = verdicts[from + i];
      if (verdict === true) return true;
      dropped.push({ device: c.address.device, reason: verdict === 'busy' ? 'busy' : 'signature' });
      return false;
    });
    const changed = this.#store(packet, newestPerDevice(valid), dropped);
    if (changed.length > 0) {
      const { version, wallet, publicKey } = packet;
      return {
        kind: 'changed',
        presence: { version, wallet, publicKey, metadata: null, addresses: changed },
        dropped,
      };
    }
    return known || valid.length > 0 ? { kind: 'unchanged', dropped } : refused('no-address', dropped);
  }

  #store(packet: DecodedPresence, valid: readonly Candidate[], dropped: DroppedAddress[]): PresenceAddress[] {
    const { store } = this.#o;
    const changed: PresenceAddress[] = [];
    for (const { address, powVerified } of valid) {
      const stored = store.entry(packet.wallet, address.device);
      if (stored !== null && !replacesStored(stored.address, address)) continue;
      if (timeProblem(address.lastSeen, this.#o.now()) !== null) continue;
      const result = store.upsert(packet, address, { powVerified });
      if (result === 'device-cap' || result === 'full') {
        dropped.push({ device: address.device, reason: result });
        continue;
      }
      store.markAnnounced(packet.wallet, address.device, address.lastSeen);
      changed.push(address);
    }
    return changed;
  }
}

/** One endpoint per device, the newest (05 §8.1 Strict); only verified ones are compared. */
function newestPerDevice(valid: readonly Candidate[]): readonly Candidate[] {
  if (valid.length < 2) return valid;
  const newest = new Map<string, Candidate>();
  for (const c of valid) {
    const id = bytesKey(c.address.device);
    const other = newest.get(id);
    if (other === undefined || other.address.lastSeen < c.address.lastSeen) newest.set(id, c);
  }
  return [...newest.values()];
}
