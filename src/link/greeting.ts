import { VerifyBusy, VerifyFailed } from '../identity/index.js';
import {
  Bye,
  Code,
  decodeBye,
  encodeFrame,
  encodeTimeRecords,
  PING_BYTE,
  PROBE_BYTE,
  timeDifferenceSeconds,
  timeSamplesMs,
} from '../wire/index.js';
import { judgeHello, judgeHelloData, type Verdict } from './handshake.js';
import { answerHello, buildHello, endpointText, randomChallenge, type SignTerms } from './hello-build.js';
import type { LinkLimits } from './limits.js';
import type { LinkCounters } from './link-counters.js';
import {
  AcceptingResumption,
  DiallingResumption,
  type LinkResumption,
  type ResumeHost,
} from './link-resumption.js';
import { makeOffer } from './resumption.js';
import type { Transport } from './transport.js';
import type { HandshakePolicy, LinkCloseWhy, LinkOptions, PeerInfo, SelfInfo } from './types.js';

/** Messages kept while the server's helloData is still being verified: its first ones follow right behind. */
const heldMessagesMax = 1_000;

/** A message that came before the handshake was complete. */
export interface HeldMessage {
  readonly code: number;
  readonly payload: Uint8Array;
}

/** Said when the trouble is ours. */
const anotherTimeText = 'Not ready yet, please try again later';

const NO_POLICY: HandshakePolicy = {};
const NO_MESSAGES: readonly HeldMessage[] = [];

/** What a greeting needs of its link. */
export interface GreetingHost {
  readonly isClosed: boolean;
  /** When the link began, by its clock. */
  readonly startedMs: number;
  write(bytes: Uint8Array): void;
  writeFrame(frame: Uint8Array): void;
  /** The handshake is complete; what was held comes behind it. `renews`: the peer holds a ticket. */
  opened(peer: PeerInfo, held: readonly HeldMessage[], renews: boolean): void;
  bye(code: number, text: string, data?: string): void;
  abort(why: LinkCloseWhy, text?: string): void;
  /** What a handler or an engine threw. */
  failed(error: unknown): void;
  guard(call: () => void): void;
}

/**
 * The handshake of one link (docs/protocol/03 §3), from its first byte until it is complete. All that is needed for
 * that alone lives here and goes with it, so that an open link does not carry it along.
 */
export class Greeting implements ResumeHost {
  readonly #challenge: number;
  #judging = false;
  /** Null where sessions do not resume, and on the accepting side until somebody tries. */
  #resumption: LinkResumption | null = null;
  /** The full hello we sent or received; for the offer that answers it. */
  #hello: Uint8Array | null = null;
  #offered = false;
  #times: { at: number; sent: number }[] | null = null;
  #held: HeldMessage[] | null = null;
  /** Bytes that begin nothing. */
  #garbageBytes = 0;

  constructor(
    private readonly host: GreetingHost,
    private readonly transport: Transport,
    private readonly options: LinkOptions,
    private readonly limits: LinkLimits,
    private readonly counters: LinkCounters,
  ) {
    const { direction, tickets } = options;
    // Ours is that of a dialled link; an accepted one signs over the peer's.
    this.#challenge = options.challenge ?? (direction === 'out' ? randomChallenge() : 0);
    if (direction === 'out' && tickets !== undefined)
      this.#resumption = new DiallingResumption(this, tickets);
  }

  /** Says what comes first: time records, a hello, or what comes in place of one. */
  begin(): void {
    if (this.options.direction === 'in')
      this.host.write(encodeTimeRecords(Math.round(this.self.networkTimeMs())));
    else if (this.#resumption?.begin() !== true) void this.#sayHello();
  }

  /** A hello is being judged. */
  get judging(): boolean {
    return this.#judging;
  }

  /** On the dialling side the one that goes on renewing tickets. */
  get resumption(): LinkResumption | null {
    return this.options.direction === 'out' ? this.#resumption : null;
  }

  // --- what the peer says ----------------------------------------------------------------------------------

  /** A time record came. */
  time(sentMs: number): void {
    this.#times ??= [];
    this.#times.push({ at: this.nowMs(), sent: sentMs });
  }

  /** Whoever says nothing of the protocol is cut with the rest of its chunk unread. */
  byte(b: number): void {
    if (this.options.direction === 'out' || b === PING_BYTE || b === PROBE_BYTE) return;
    if (++this.#garbageBytes > this.limits.preHelloGarbageBytesMax) this.host.abort('pre-hello-garbage');
  }

  /** Any message but a bye and those of the extension. */
  message(code: number, payload: Uint8Array): void {
    if (code === Code.hello || code === Code.helloData) this.#onHello(code, payload);
    else if (
      this.#judging &&
      this.options.direction === 'out' &&
      (this.#held?.length ?? 0) < heldMessagesMax
    ) {
      this.#held ??= [];
      this.#held.push({ code, payload: payload.slice() });
    } else this.unexpected();
  }

  /** A message of the extension. While a hello is judged there is nothing to resume any more. */
  resume(code: number, payload: Uint8Array): void {
    if (this.#judging) {
      this.unexpected();
      return;
    }
    const { issuer } = this.options;
    if (this.#resumption === null && issuer !== undefined && this.options.direction === 'in')
      this.#resumption = new AcceptingResumption(this, issuer, () =>
        endpointText(this.self.publicEndpoint()),
      );
    this.host.guard(() => this.#resumption?.message(code, payload, false));
  }

  tick(nowMs: number): void {
    this.#resumption?.tick(nowMs, false);
  }

  // --- for the resumption ----------------------------------------------------------------------------------

  get self(): SelfInfo {
    return this.options.self;
  }

  get policy(): HandshakePolicy {
    return this.options.policy ?? NO_POLICY;
  }

  get observedIp(): string {
    return this.transport.remoteAddress;
  }

  nowMs(): number {
    return this.options.clock.nowMs();
  }

  timeDifferenceSeconds(): number {
    return this.#times === null ? 0 : timeDifferenceSeconds(timeSamplesMs(this.#times));
  }

  write(code: number, payload: Uint8Array): void {
    this.host.writeFrame(encodeFrame(code, payload));
  }

  /** The session was resumed: its peer holds a ticket. */
  open(peer: PeerInfo): void {
    this.#open(peer, true);
  }

  sayFullHello(): void {
    void this.#sayHello();
  }

  bye(code: number, text: string, data?: string): void {
    this.counters.refused(this.options.direction, code);
    this.host.bye(code, text, data);
  }

  unexpected(): void {
    this.counters.error('before_hello');
  }

  // --- hello -----------------------------------------------------------------------------------------------

  get #terms(): SignTerms {
    const { host } = this;
    return {
      deadlineMs: host.startedMs + this.limits.helloTimeoutMs,
      abandoned: () => host.isClosed,
    };
  }

  async #sayHello(): Promise<void> {
    const { host } = this;
    try {
      const ask = this.#resumption instanceof DiallingResumption ? this.#resumption.ask() : undefined;
      const payload = await buildHello(this.self, this.#challenge, this.#terms, ask);
      if (host.isClosed) return;
      this.#hello = ask === undefined ? null : payload;
      if (payload === null) host.abort('hello-timeout', 'not signed in time');
      else host.writeFrame(encodeFrame(Code.hello, payload));
    } catch (error) {
      this.#broken(error);
    }
  }

  #onHello(code: number, payload: Uint8Array): void {
    const { options, limits, counters } = this;
    const { direction } = options;
    if (this.#judging) {
      counters.error('hello_again');
      return;
    }
    // The reference takes either on either side; we hold to the direction (03 §3.5 Quirk).
    if (code !== (direction === 'in' ? Code.hello : Code.helloData)) {
      counters.error('wrong_direction');
      this.bye(Bye.deprecated, 'Wrong direction of hello');
      return;
    }
    this.#judging = true;
    this.#resumption?.drop();
    if (direction === 'in' && options.issuer !== undefined)
      this.#hello = this.transport.chunksStay ? payload : payload.slice();
    // What follows helloData must wait for the verdict, so it may as well wait in the socket.
    if (direction === 'out') this.transport.pause();
    // One shape for both sides, see the end of `answerHello`.
    const context = {
      network: this.self.network,
      observedIp: this.observedIp,
      engine: options.engine,
      candidatesMax: limits.helloCandidatesMax,
      timeDifferenceSeconds: this.timeDifferenceSeconds(),
      terms: this.#terms,
      verify: options.verifyHello,
      policy: options.policy,
      challenge: this.#challenge,
      ownEndpoint: direction === 'in' ? endpointText(this.self.publicEndpoint()) : '',
      busy: (deadlineMs: number) => this.self.busy?.(deadlineMs) ?? null,
    };
    const verdict = direction === 'in' ? judgeHello(payload, context) : judgeHelloData(payload, context);
    verdict.then((v) => this.#judged(v)).catch((error: unknown) => this.#broken(error));
  }

  async #judged(verdict: Verdict): Promise<void> {
    const { host } = this;
    if (host.isClosed || verdict.kind === 'ignore') return;
    if (verdict.kind === 'refuse') {
      this.bye(verdict.bye, verdict.text, verdict.data);
      return;
    }
    if (this.options.direction === 'in') {
      const answer = await answerHello(this.self, verdict.peer, verdict.challenge, this.#terms, () =>
        this.#offerTicket(verdict.peer, verdict.trailing),
      );
      if (host.isClosed) return; // gone while we signed
      if (answer.code === Code.bye) {
        this.counters.refused('in', Bye.notReady);
        const { code, text, data } = decodeBye(answer.payload);
        host.bye(code, text, data);
        return;
      }
      host.writeFrame(encodeFrame(answer.code, answer.payload));
    }
    const { peer, trailing } = verdict;
    const resumption = this.#resumption;
    const mayKeep = resumption instanceof DiallingResumption && this.#hello !== null;
    this.#open(mayKeep ? resumption.accepted(this.#hello!, trailing, peer) : peer, this.#offered);
  }

  async #offerTicket(peer: PeerInfo, trailing: Uint8Array | undefined): ReturnType<typeof makeOffer> {
    const { issuer } = this.options;
    if (issuer === undefined || this.#hello === null) return null;
    const offer = await makeOffer(issuer, peer, this.#hello, trailing, this.self.deviceId);
    this.#offered = offer !== null;
    return offer;
  }

  #open(peer: PeerInfo, renews: boolean): void {
    this.#hello = null;
    this.#judging = false;
    this.host.opened(peer, this.#held ?? NO_MESSAGES, renews);
  }

  /** A failing signer or engine is our trouble, not the peer's: it may come back later. */
  #broken(error: unknown): void {
    const { host } = this;
    if (host.isClosed) return;
    if (error instanceof VerifyBusy || error instanceof VerifyFailed) {
      // Nothing is known of the signature, and nothing is wrong with the code: another time.
      this.bye(Bye.notReady, anotherTimeText);
      return;
    }
    this.counters.error('handler');
    host.bye(Bye.notReady, anotherTimeText);
    host.failed(error);
  }
}
