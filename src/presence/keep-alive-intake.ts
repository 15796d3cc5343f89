import { KeepAliveTable, loadCoreSync } from '../core/index.js';
import type { VerifyItem } from '../identity/index.js';
import type { Network } from '../wire/index.js';
import { isPresenceType, type PresenceType } from './constants.js';
import { HostnameMemo } from './hostname-memo.js';
import { addressOf, keepAliveChecksum } from './keep-alive.js';
import { type ReceivedClaim, readClaims } from './received-claim.js';
import {
  type ClaimContext,
  type FreshnessProblem,
  freshnessProblem,
  isNews,
  isWorthAnnouncing,
  judgeClaim,
} from './rules-claim.js';
import { timeProblem } from './rules-time.js';
import type { KeepAliveOutcome, KeepAliveRefusal } from './service.js';
import type { GateVerdict, SignatureGate } from './signature-gate.js';
import type { PresenceStore, RenewingClaim } from './store.js';

/** What an intake needs of the service it belongs to. */
export interface IntakeOptions {
  readonly store: PresenceStore;
  readonly gate: SignatureGate;
  /** Network time in whole seconds. */
  readonly now: () => number;
  readonly network: Network;
  readonly context: () => ClaimContext;
  readonly isOwn: (wallet: Uint8Array) => boolean;
  /** Puts the own presence back into the store. */
  readonly restoreOwn: () => void;
}

/** A claim that passed everything that costs no RSA operation. */
interface Candidate {
  readonly claim: ReceivedClaim;
  readonly type: PresenceType;
  readonly signature: Uint8Array;
  readonly powVerified: boolean;
  /** Where its key lies in the batch's {@link KeyCopies}. */
  readonly keyAt: number;
  readonly keyEnd: number;
}

/** Bytes that a key of RSA-4096 takes with its header. */
const usualKeyBytes = 528;

/**
 * Copies of the stored keys of one batch, because the store moves on while signatures are checked. In one buffer: an array
 * of its own for each was the most expensive thing that the collector had to find again.
 */
class KeyCopies {
  #bytes = new Uint8Array(0);
  end = 0;

  constructor(private readonly keysMax: number) {}

  /** Where the copy ends; it begins where the last one ended. */
  add(key: Uint8Array): number {
    const end = this.end + key.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length, this.keysMax * usualKeyBytes));
      grown.set(this.#bytes.subarray(0, this.end));
      this.#bytes = grown;
    }
    this.#bytes.set(key, this.end);
    this.end = end;
    return end;
  }

  /** A view, once all have been added. */
  view(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, to);
  }
}

/** Bytes of a checksum under a signature (docs/protocol/05 §5.1). */
const checksumBytes = 44;

const refused = (reason: KeepAliveRefusal): KeepAliveOutcome => ({ kind: 'refused', reason });

/**
 * Keep-alives in batches: read in one pass, judged one by one in the order of docs/protocol/05 §8.3 Strict, those left
 * over hashed in one pass and verified in one call, and what they say stored in the order they came in. A lone one is a
 * batch of one.
 */
export class KeepAliveIntake {
  readonly #o: IntakeOptions;
  readonly #hostnames: HostnameMemo;

  constructor(options: IntakeOptions) {
    this.#o = options;
    this.#hostnames = new HostnameMemo(options.network);
  }

  /**
   * What came of each message, in their order. The messages must stay as they are until then. `allow` is asked, with the
   * message's index, for each that is worth an RSA operation.
   */
  async receive(
    messages: readonly Uint8Array[],
    allow?: (at: number) => boolean,
  ): Promise<KeepAliveOutcome[]> {
    const core = loadCoreSync();
    const { table, claims } = readClaims(core, messages, this.#hostnames);
    const now = this.#o.now();
    const ctx = this.#o.context();
    const candidates: Candidate[] = [];
    const keys = new KeyCopies(messages.length);
    const outcomes = claims.map((claim, at): KeepAliveOutcome | null => {
      if (claim === null) return refused('malformed');
      const judged = this.#judge(claim, at, now, ctx, keys, allow);
      if ('kind' in judged) return judged;
      candidates.push(judged);
      return null;
    });
    const verdicts = await this.#verify(candidates, this.#checksums(candidates, table, ctx), keys);
    let next = 0;
    return outcomes.map((outcome) => {
      if (outcome !== null) return outcome;
      const verdict = verdicts === null ? null : verdicts[next]!;
      const candidate = candidates[next++]!;
      if (verdict === null) return refused('engine');
      if (verdict === 'busy') return refused('busy');
      return verdict ? this.#apply(candidate) : refused('signature');
    });
  }

  /** Everything that costs neither hash nor RSA operation. */
  #judge(
    claim: ReceivedClaim,
    at: number,
    now: number,
    ctx: ClaimContext,
    keys: KeyCopies,
    allow: ((at: number) => boolean) | undefined,
  ): Candidate | KeepAliveOutcome {
    const { type, timestamp, wallet } = claim;
    if (!isPresenceType(type)) return refused('type');
    const time = timeProblem(timestamp, now);
    if (time !== null) return refused(time);
    const { store } = this.#o;
    let held = this.#held(claim);
    if (held === null && this.#o.isOwn(wallet) && !store.has(wallet)) {
      this.#o.restoreOwn();
      held = this.#held(claim);
    }
    if (held === null) return this.#unknown(claim);
    const fresh = freshnessProblem(timestamp, held.lastSeen, now);
    if (fresh !== null) return refused(fresh);
    if (allow?.(at) === false) return refused('rate');
    const { problem, powVerified } = judgeClaim(claim, ctx, claim.hostnameAcceptable);
    if (problem !== null) return refused(problem);
    const { signature } = claim;
    if (signature === null) return refused('unsigned');
    const keyAt = keys.end;
    return { claim, type, signature, powVerified, keyAt, keyEnd: keys.add(held.publicKey) };
  }

  /** What decides about the claim, of what is stored. */
  #held(claim: ReceivedClaim): { readonly lastSeen: number; readonly publicKey: Uint8Array } | null {
    const { wallet, device, bytes } = claim;
    const { store } = this.#o;
    if (bytes !== null) return store.glance({ wallet, device, bytes });
    const publicKey = store.publicKey(wallet);
    const entry = store.entry(wallet, device);
    return publicKey === null || entry === null ? null : { lastSeen: entry.address.lastSeen, publicKey };
  }

  #unknown({ wallet, device, timestamp }: ReceivedClaim): KeepAliveOutcome {
    if (!this.#o.isOwn(wallet)) return { kind: 'unknown', wallet, device, timestamp };
    this.#o.restoreOwn();
    return refused('own');
  }

  /** What the signatures cover: of those read by the scan in one pass, which is handed their rows and no others. */
  #checksums(candidates: readonly Candidate[], table: KeepAliveTable, ctx: ClaimContext): Uint8Array[] {
    const { lock } = ctx.network;
    const scanned = candidates.filter((c) => c.claim.bytes !== null);
    const width = KeepAliveTable.rowWords;
    const words = new Uint32Array(scanned.length * width);
    scanned.forEach(({ claim: { row } }, i) => {
      words.set(table.words.subarray(row * width, (row + 1) * width), i * width);
    });
    const messages = scanned.map((c) => c.claim.bytes!.message);
    const sums =
      scanned.length === 0
        ? new Uint8Array(0)
        : loadCoreSync().keepAliveChecksums(messages, new KeepAliveTable(words, scanned.length), lock);
    let at = 0;
    return candidates.map(({ claim }) => {
      if (claim.bytes === null) return keepAliveChecksum(claim, lock);
      at += checksumBytes;
      return sums.subarray(at - checksumBytes, at);
    });
  }

  async #verify(
    candidates: readonly Candidate[],
    checksums: readonly Uint8Array[],
    keys: KeyCopies,
  ): Promise<readonly GateVerdict[] | null> {
    if (candidates.length === 0) return [];
    const items = candidates.map(
      ({ signature, keyAt, keyEnd }, i): VerifyItem => ({
        key: keys.view(keyAt, keyEnd),
        message: checksums[i]!,
        signature,
      }),
    );
    try {
      return await this.#o.gate.verify(items);
    } catch {
      // Closed, because the node is stopping, or its threads died: nothing is known of the signatures.
      return null;
    }
  }

  /** The verdict took its time: the entry may be gone or newer by now. */
  #apply({ claim, type, signature, powVerified }: Candidate): KeepAliveOutcome {
    const { wallet, device, timestamp, hostname, bytes } = claim;
    const outcome =
      bytes === null
        ? this.#replace(claim, powVerified)
        : this.#renew({ wallet, device, timestamp, hostname, type, signature, bytes });
    if (outcome === null) return { kind: 'unknown', wallet, device, timestamp };
    if (typeof outcome === 'string') return refused(outcome);
    if (outcome) this.#o.store.markAnnounced(wallet, device, timestamp);
    return { kind: 'updated', wallet, device, type, timestamp, hostname, announce: outcome };
  }

  /** Stores it; whether others are to be told, why it was too late, or null when nothing is known of it any more. */
  #renew(claim: RenewingClaim): boolean | FreshnessProblem | null {
    const { store } = this.#o;
    const held = store.glance(claim);
    if (held === null) return null;
    const late = freshnessProblem(claim.timestamp, held.lastSeen, this.#o.now());
    if (late !== null) return late;
    const { announced, saysSame } = held;
    return store.renew(claim) ? isNews(claim, announced, saysSame) : null;
  }

  /** {@link KeepAliveIntake.#renew} the long way. */
  #replace(claim: ReceivedClaim, powVerified: boolean): boolean | FreshnessProblem | null {
    const { store } = this.#o;
    const entry = store.entry(claim.wallet, claim.device);
    const owner = store.get(claim.wallet);
    if (entry === null || owner === null) return null;
    const { address, announced } = entry;
    const late = freshnessProblem(claim.timestamp, address.lastSeen, this.#o.now());
    if (late !== null) return late;
    const before = { announced, hostname: address.hostname, type: address.type };
    store.upsert(owner, addressOf(claim, address.nodeVersion), { powVerified });
    return isWorthAnnouncing(claim, before);
  }
}
