import type { Counter, Counters } from '../counters/index.js';
import type { VerifyEngine, VerifyItem } from '../identity/index.js';
import { bytesEqual, bytesKey, DecodeError, type Network, type NodeType } from '../wire/index.js';
import type { PresenceAddress } from './address.js';
import { isPresenceType, type PresenceType } from './constants.js';
import { keepAliveOf } from './keep-alive.js';
import { KeepAliveIntake } from './keep-alive-intake.js';
import { type DecodedPresence, decodePresence, type Presence } from './presence.js';
import type { ClaimContext, ClaimProblem, FreshnessProblem } from './rules-claim.js';
import { NO_POW_KNOWLEDGE, type PowKnowledge } from './rules-pow.js';
import {
  entryProblem,
  judgeAddress,
  keyProblem,
  type PresenceProblem,
  replacesStored,
} from './rules-presence.js';
import { timeProblem } from './rules-time.js';
import { SignatureGate } from './signature-gate.js';
import type { PresenceStore } from './store.js';
import { claimItem, type DroppedAddress } from './verify.js';

/** Why a keep-alive changed nothing. */
export type KeepAliveRefusal =
  | 'malformed'
  | 'type'
  | FreshnessProblem
  | ClaimProblem
  | 'rate' // the sender has used up what it may cost
  | 'busy' // too many signatures wait already
  | 'signature'
  | 'engine' // the verify engine reached no verdict
  | 'own'; // about the own wallet: the own entry was put back instead

export type KeepAliveOutcome =
  | {
      readonly kind: 'updated';
      readonly wallet: Uint8Array;
      readonly device: Uint8Array;
      readonly type: PresenceType;
      readonly timestamp: number;
      readonly hostname: string;
      /** False when others know as much already (docs/protocol/05 §8.3 Strict): do not pass it on. */
      readonly announce: boolean;
    }
  /** Wallet or device not known: ask the sender for the presence, within the limits of 05 §8.3. */
  | {
      readonly kind: 'unknown';
      readonly wallet: Uint8Array;
      readonly device: Uint8Array;
      readonly timestamp: number;
    }
  | { readonly kind: 'refused'; readonly reason: KeepAliveRefusal };

/** Why a presence was refused as a whole. */
export type PresenceRefusal = 'malformed' | PresenceProblem | 'engine';

export type PresenceOutcome =
  | {
      readonly kind: 'changed';
      /** Holds only what changed; to be announced. */
      readonly presence: Presence;
      readonly dropped: readonly DroppedAddress[];
    }
  | { readonly kind: 'unchanged'; readonly dropped: readonly DroppedAddress[] }
  | {
      readonly kind: 'refused';
      readonly reason: PresenceRefusal;
      readonly dropped: readonly DroppedAddress[];
    };

/** What the caller adds to received bytes. */
export interface ReceiveOptions {
  /**
   * Asked once before RSA operations are spent, with their number; false refuses with `rate`. The caller
   * charges the connection the bytes came from.
   */
  readonly allow?: (operations: number) => boolean;
}

export interface PresenceServiceOptions {
  readonly store: PresenceStore;
  readonly network: Network;
  readonly ownType: NodeType;
  /** Raw address of the own wallet, when there is one. */
  readonly ownWallet?: Uint8Array;
  readonly engine: VerifyEngine;
  /** Network time in whole seconds. */
  readonly now: () => number;
  /** What is known of the ledger right now; nothing when absent. */
  readonly pow?: () => PowKnowledge;
  /** Signatures that may wait at once. */
  readonly pendingMax?: number;
  readonly counters?: Counters;
}

/** Endpoints of one packet worth a signature check: what a wallet may keep, and a little more. */
export const addressesPerPacketMax = 16;

interface Candidate {
  readonly address: PresenceAddress;
  readonly item: VerifyItem;
  readonly powVerified: boolean;
}

/**
 * Takes keep-alives and presences from anybody and keeps the store true. Cheap checks come first, so that a
 * replayed, stale or future claim never costs an RSA operation; signatures are verified off this thread, and
 * what they are about is looked at again afterwards, because the store moved on meanwhile.
 */
export class PresenceService {
  readonly store: PresenceStore;
  readonly #network: Network;
  readonly #ownType: NodeType;
  readonly #ownWallet: Uint8Array | null;
  readonly #now: () => number;
  readonly #pow: () => PowKnowledge;
  readonly #gate: SignatureGate;
  readonly #counters: Counters | null;
  readonly #counted = new Map<string, Counter>();
  readonly #intake: KeepAliveIntake;
  #own: Presence | null = null;

  constructor(options: PresenceServiceOptions) {
    this.store = options.store;
    this.#network = options.network;
    this.#ownType = options.ownType;
    this.#ownWallet = options.ownWallet ?? null;
    this.#now = options.now;
    this.#pow = options.pow ?? (() => NO_POW_KNOWLEDGE);
    this.#gate = new SignatureGate(options.engine, options.pendingMax);
    this.#counters = options.counters ?? null;
    this.#intake = new KeepAliveIntake({
      store: this.store,
      gate: this.#gate,
      now: this.#now,
      network: this.#network,
      context: () => this.#context(),
      isOwn: (wallet) => this.#isOwn(wallet),
      restoreOwn: () => this.#restoreOwn(),
    });
  }

  /** Signatures under way right now. */
  get pending(): number {
    return this.#gate.pending;
  }

  #context(): ClaimContext {
    return { network: this.#network, ownType: this.#ownType, pow: this.#pow() };
  }

  #isOwn(wallet: Uint8Array): boolean {
    return this.#ownWallet !== null && bytesEqual(wallet, this.#ownWallet);
  }

  /** Puts the own presence into the store, now and whenever it is found missing (05 §8.3 rules 2 and 4). */
  setOwn(own: Presence): void {
    this.#own = own;
    this.#restoreOwn();
  }

  #restoreOwn(): void {
    const own = this.#own;
    // Going through the store keeps the own entry indexed, which the reference forgets (05 §8.4 Quirk).
    for (const a of own?.addresses ?? []) if (isPresenceType(a.type)) this.store.upsert(own!, a);
  }

  /** Removes what is too old; call it every few seconds. Returns how many endpoints went. */
  expire(): number {
    return this.store.expire(this.#now());
  }

  /**
   * One keepAlivePresence or one entry of a keepAlivesChunk. Order of 05 §8.3 Strict: length and layout,
   * type, time window, known wallet and device, replay or older, rate, proof of work, hostname, signature.
   */
  async receiveKeepAlive(bytes: Uint8Array, options: ReceiveOptions = {}): Promise<KeepAliveOutcome> {
    const { allow } = options;
    const [outcome] = await this.#keepAlives([bytes.slice()], allow && (() => allow(1)));
    return outcome!;
  }

  /**
   * {@link receiveKeepAlive} for many at once, from one sender or several, which costs each a fraction. Applied in their
   * order; the outcomes are in it, too. The messages must stay as they are until the promise settles.
   */
  receiveKeepAlives(messages: readonly Uint8Array[]): Promise<KeepAliveOutcome[]> {
    return this.#keepAlives(messages);
  }

  async #keepAlives(
    messages: readonly Uint8Array[],
    allow?: (at: number) => boolean,
  ): Promise<KeepAliveOutcome[]> {
    const outcomes = await this.#intake.receive(messages, allow);
    for (const o of outcomes) this.#count('presence_keepalives_total', 'Keep-alives received', o);
    return outcomes;
  }

  /**
   * One updatePresence or one entry of sectorNodes: 05 §7.4, then §8.2. Endpoints that could not change the
   * store anyway are set aside before any signature is looked at.
   */
  async receivePresence(bytes: Uint8Array, options: ReceiveOptions = {}): Promise<PresenceOutcome> {
    const outcome = await this.#presence(bytes, options);
    this.#count('presence_updates_total', 'Presences received', outcome);
    return outcome;
  }

  async #presence(bytes: Uint8Array, options: ReceiveOptions): Promise<PresenceOutcome> {
    const dropped: DroppedAddress[] = [];
    const refused = (reason: PresenceRefusal): PresenceOutcome => ({ kind: 'refused', reason, dropped });
    let packet: DecodedPresence;
    try {
      // One copy of the bytes, because the caller may reuse them while signatures are checked.
      packet = decodePresence(bytes.slice());
    } catch (e) {
      if (e instanceof DecodeError) return refused('malformed');
      throw e;
    }
    const key = keyProblem(packet);
    if (key !== null) return refused(key);
    for (const _ of packet.malformed) dropped.push({ device: null, reason: 'malformed' });
    const { candidates, known } = this.#candidates(packet, dropped);
    if (candidates.length > 0 && options.allow?.(candidates.length) === false) {
      for (const c of candidates) dropped.push({ device: c.address.device, reason: 'rate' });
      candidates.length = 0;
    }
    const verdicts = candidates.length === 0 ? [] : await this.#verify(candidates.map((c) => c.item));
    if (verdicts === null) return refused('engine');
    const valid = candidates.filter((c, i) => {
      if (verdicts[i] === true) return true;
      dropped.push({ device: c.address.device, reason: verdicts[i] === 'busy' ? 'busy' : 'signature' });
      return false;
    });
    const changed = this.#applyPresence(packet, newestPerDevice(valid), dropped);
    if (changed.length > 0) {
      const { version, wallet, publicKey } = packet;
      return {
        kind: 'changed',
        presence: { version, wallet, publicKey, metadata: null, addresses: changed },
        dropped,
      };
    }
    return known || valid.length > 0 ? { kind: 'unchanged', dropped } : refused('no-address');
  }

  /** Endpoints worth a signature check, newest first when there are too many. */
  #candidates(
    packet: DecodedPresence,
    dropped: DroppedAddress[],
  ): { readonly candidates: Candidate[]; readonly known: boolean } {
    const now = this.#now();
    const ctx = this.#context();
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
      const stored = this.store.entry(packet.wallet, address.device);
      if (stored !== null && !replacesStored(stored.address, address)) {
        known = true;
        continue;
      }
      const { problem, powVerified } = judgeAddress(packet.wallet, address, now, ctx);
      const item =
        problem === null ? claimItem(keepAliveOf(packet.wallet, address), packet.publicKey, ctx) : null;
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

  #applyPresence(
    packet: Presence,
    valid: readonly Candidate[],
    dropped: DroppedAddress[],
  ): PresenceAddress[] {
    const changed: PresenceAddress[] = [];
    for (const { address, powVerified } of valid) {
      const stored = this.store.entry(packet.wallet, address.device);
      if (stored !== null && !replacesStored(stored.address, address)) continue;
      if (timeProblem(address.lastSeen, this.#now()) !== null) continue;
      const result = this.store.upsert(packet, address, { powVerified });
      if (result === 'device-cap' || result === 'full') {
        dropped.push({ device: address.device, reason: result });
        continue;
      }
      this.store.markAnnounced(packet.wallet, address.device, address.lastSeen);
      changed.push(address);
    }
    return changed;
  }

  async #verify(items: readonly VerifyItem[]): Promise<(boolean | 'busy')[] | null> {
    try {
      return await this.#gate.verify(items);
    } catch {
      // Closed, because the node is stopping, or its threads died: nothing is known of the signatures.
      return null;
    }
  }

  #count(name: string, help: string, outcome: { readonly kind: string; readonly reason?: string }): void {
    const { kind, reason } = outcome;
    // Looked up once: making a key of name and labels costs more than judging a keep-alive does.
    const key = `${name} ${kind} ${reason}`;
    let counter = this.#counted.get(key);
    if (counter === undefined) {
      if (this.#counters === null) return;
      const labels = reason === undefined ? { outcome: kind } : { outcome: kind, reason };
      counter = this.#counters.counter(name, help, labels);
      this.#counted.set(key, counter);
    }
    counter.add();
  }
}

/** One endpoint per device, the newest (05 §8.1 Strict); only verified ones are compared. */
function newestPerDevice(valid: readonly Candidate[]): Candidate[] {
  const newest = new Map<string, Candidate>();
  for (const c of valid) {
    const id = bytesKey(c.address.device);
    const other = newest.get(id);
    if (other === undefined || other.address.lastSeen < c.address.lastSeen) newest.set(id, c);
  }
  return [...newest.values()];
}
