import type { Counter, Counters } from '../counters/index.js';
import type { VerifyEngine } from '../identity/index.js';
import { bytesEqual, type Network, type NodeType } from '../wire/index.js';
import { isPresenceType, type PresenceType } from './constants.js';
import { KeepAliveIntake } from './keep-alive-intake.js';
import type { Presence } from './presence.js';
import { PresenceIntake } from './presence-intake.js';
import type { ClaimContext, ClaimProblem, FreshnessProblem } from './rules-claim.js';
import { NO_POW_KNOWLEDGE, type PowKnowledge } from './rules-pow.js';
import type { PresenceProblem } from './rules-presence.js';
import { SignatureGate } from './signature-gate.js';
import type { PresenceStore } from './store.js';
import type { DroppedAddress } from './verify.js';

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
  readonly #presenceIntake: PresenceIntake;
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
    const shared = {
      store: this.store,
      gate: this.#gate,
      now: this.#now,
      context: () => this.#context(),
    };
    this.#presenceIntake = new PresenceIntake(shared);
    this.#intake = new KeepAliveIntake({
      ...shared,
      network: this.#network,
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
    const { allow } = options;
    // One copy of the bytes, because the caller may reuse them while signatures are checked.
    const [outcome] = await this.#presences(
      [bytes.slice()],
      allow && ((_at, operations) => allow(operations)),
    );
    return outcome!;
  }

  /**
   * {@link receivePresence} for many at once, from one sender or several: their signatures are verified in one call. Applied
   * in their order; the outcomes are in it, too. The messages must stay as they are until the promise settles, and what
   * the outcomes hold are views into them.
   */
  receivePresences(messages: readonly Uint8Array[]): Promise<PresenceOutcome[]> {
    return this.#presences(messages);
  }

  async #presences(
    messages: readonly Uint8Array[],
    allow?: (at: number, operations: number) => boolean,
  ): Promise<PresenceOutcome[]> {
    const outcomes = await this.#presenceIntake.receive(messages, allow);
    for (const o of outcomes) this.#count('presence_updates_total', 'Presences received', o);
    return outcomes;
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
