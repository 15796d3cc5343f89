import type { Clock, Timer } from '../clock/index.js';
import type { Counters } from '../counters/index.js';
import { Code } from '../wire/index.js';
import type { RelayPeer } from './peer.js';

/** Headers asked for at once (docs/protocol/09 §2). */
export const headersPerRequest = 250;
/** Without any header activity for this long the next ones are asked for anyway (09 §2). */
export const headerPollMs = 30_000;
/** Silence is the normal answer for "nothing newer" (09 §1): after this long another peer may be asked. */
export const headerAnswerMs = 5_000;

/** Outcome of taking one answer. */
export interface HeaderProgress {
  /** Headers appended. */
  readonly appended: number;
  /**
   * Whom to ask for headers from further back, where its branch and ours may still agree: the peer itself when
   * its first header did not chain to our tip, another one to confirm a branch. Null: nothing of that kind.
   */
  readonly askBranch: RelayPeer | null;
}

/** What a request is for. */
export type HeaderQuestion = 'next' | 'branch';

export interface HeaderSyncOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  /** Height of the own chain. */
  height(): number;
  /** Ledger nodes to ask, handshaken. */
  sources(): readonly RelayPeer[];
  /** First header of a branch question: as far back as a rollback may go. */
  branchFrom(): number;
  /** Takes the headers of an answer that was asked for. */
  take(peer: RelayPeer, payload: Uint8Array, question: HeaderQuestion): HeaderProgress;
  /** A branch question met silence, or its peer left. */
  branchUnanswered(): void;
  /** Encodes the request. */
  request(from: number, count: number): Uint8Array;
  readonly random?: () => number;
}

/**
 * Follows the ledger's headers: asks one ledger node at a time for what comes after the own tip, goes on at
 * once while answers bring progress, otherwise on an announcement or every 30 s. Answers nobody asked for are
 * ignored (docs/protocol/09 §7, §13).
 */
export class HeaderSync {
  #inFlight: { peerId: number; question: HeaderQuestion; timer: Timer } | null = null;
  #lastActivityMs = Number.NEGATIVE_INFINITY;
  #poll: Timer | null = null;
  /** Announced and not yet asked for because a request was open. */
  #wanted = false;

  constructor(private readonly options: HeaderSyncOptions) {}

  start(): void {
    this.#poll = this.options.clock.every(1_000, () => {
      if (this.options.clock.nowMs() - this.#lastActivityMs > headerPollMs) this.ask();
    });
  }

  stop(): void {
    this.#poll?.cancel();
    this.#inFlight?.timer.cancel();
    this.#inFlight = null;
  }

  /** Asks for the headers after the own tip unless a request is open. `prefer`: who announced them. */
  ask(prefer: RelayPeer | null = null): void {
    if (this.#inFlight !== null) {
      this.#wanted = true;
      return;
    }
    const { random = Math.random } = this.options;
    const sources = this.options.sources();
    const peer =
      prefer?.isOpen && sources.includes(prefer) ? prefer : sources[Math.floor(random() * sources.length)];
    if (peer === undefined) return;
    this.#send(peer, 'next', this.options.height() + 1);
  }

  #send(peer: RelayPeer, question: HeaderQuestion, from: number): boolean {
    const { clock } = this.options;
    if (!peer.send(Code.getBlockHeaders3, this.options.request(from, headersPerRequest))) return false;
    this.#wanted = false;
    this.#lastActivityMs = clock.nowMs();
    this.#inFlight = {
      peerId: peer.id,
      question,
      timer: clock.after(headerAnswerMs, () => {
        this.#inFlight = null;
        if (question === 'branch') this.options.branchUnanswered();
        if (this.#wanted) this.ask();
      }),
    };
    return true;
  }

  /** An answer. False when this peer was not asked: ignored. */
  answered(peer: RelayPeer, payload: Uint8Array): boolean {
    const open = this.#inFlight;
    if (open === null || open.peerId !== peer.id) return false;
    open.timer.cancel();
    this.#inFlight = null;
    this.#lastActivityMs = this.options.clock.nowMs();
    const progress = this.options.take(peer, payload, open.question);
    this.options.counters
      .counter('ixian_headers_received_total', 'Block headers appended to the own chain')
      .add(progress.appended);
    if (progress.askBranch !== null) {
      if (!this.#send(progress.askBranch, 'branch', this.options.branchFrom()))
        this.options.branchUnanswered();
    } else if (progress.appended > 0 || this.#wanted) this.ask(peer);
    return true;
  }

  /** A ledger node left: its open request is void. */
  dropped(peerId: number): void {
    if (this.#inFlight?.peerId !== peerId) return;
    const { question, timer } = this.#inFlight;
    timer.cancel();
    this.#inFlight = null;
    if (question === 'branch') this.options.branchUnanswered();
    this.ask();
  }
}
