import { Bye, encodeFrame, ResumeCode } from '../wire/index.js';
import {
  answerRenew,
  askForTicket,
  challengeResume,
  keepOffer,
  type PendingResume,
  RenewAttempt,
  ResumeAttempt,
  type TicketIssuer,
  type TicketStore,
  takeOffer,
} from './resumption.js';
import type { HandshakePolicy, PeerInfo, SelfInfo } from './types.js';

/** A relay that does not know the extension says nothing to it: after this long a client says a full hello. */
export const resumeAnswerMs = 2_500;

/** What this half of a link needs of the rest. */
export interface ResumeHost {
  readonly self: SelfInfo;
  readonly policy: HandshakePolicy;
  readonly observedIp: string;
  nowMs(): number;
  timeDifferenceSeconds(): number;
  write(code: number, payload: Uint8Array): void;
  /** The session is there. */
  open(peer: PeerInfo): void;
  sayFullHello(): void;
  bye(code: number, text: string, data?: string): void;
  /** A message that has no place here. */
  unexpected(): void;
}

/** What a link does with the messages of the extension (docs/resumption.md). */
export interface LinkResumption {
  /** Sends what comes in place of a hello; false when there is nothing to come back with. */
  begin(): boolean;
  /** Throws DecodeError. */
  message(code: number, payload: Uint8Array, open: boolean): void;
  /** A full hello was received or said: what was begun is over. */
  drop(): void;
  tick(nowMs: number, open: boolean): void;
}

/** The accepting side: at most one attempt per connection. */
export class AcceptingResumption implements LinkResumption {
  #tried = false;
  #pending: PendingResume | null = null;

  constructor(
    private readonly host: ResumeHost,
    private readonly issuer: TicketIssuer,
    private readonly endpoint: () => string,
  ) {}

  begin(): boolean {
    return false;
  }

  drop(): void {
    this.#pending = null;
  }

  tick(): void {}

  message(code: number, payload: Uint8Array, open: boolean): void {
    if (code === ResumeCode.resume && !open && !this.#tried) this.#resume(payload);
    else if (code === ResumeCode.proof && !open && this.#pending !== null) this.#proof(payload);
    else this.host.unexpected();
  }

  #resume(payload: Uint8Array): void {
    this.#tried = true;
    const { host } = this;
    const answer = challengeResume(
      this.issuer,
      host.self,
      this.endpoint(),
      host.observedIp,
      host.timeDifferenceSeconds(),
      payload,
    );
    if (typeof answer === 'number') {
      host.write(ResumeCode.refused, Uint8Array.of(answer));
      return;
    }
    const { address, port } = answer.pending.peer;
    if (host.policy.blacklisted?.(address, `${host.observedIp}:${port}`) === true) {
      this.issuer.count('blacklisted');
      host.bye(Bye.rejected, 'Blacklisted');
      return;
    }
    const { limits } = host.policy;
    if (limits !== undefined && limits.clients() > limits.clientsMax) {
      this.issuer.count('full');
      host.bye(Bye.rejected, 'Too many clients connected');
      return;
    }
    this.#pending = answer.pending;
    host.write(ResumeCode.challenge, answer.challenge);
  }

  #proof(payload: Uint8Array): void {
    const pending = this.#pending!;
    this.#pending = null;
    if (!pending.proves(payload)) {
      this.issuer.count('bad_proof');
      this.host.bye(Bye.authFailed, 'The ticket is not yours');
      return;
    }
    if (!pending.spend()) {
      this.issuer.count('used');
      this.host.bye(Bye.notReady, 'The ticket has been used', '0');
      return;
    }
    this.issuer.count('resumed');
    this.host.open(pending.peer);
  }
}

/** The dialling side. */
export class DiallingResumption implements LinkResumption {
  #attempt: ResumeAttempt | null = null;
  #attemptMs = 0;
  #renewal: RenewAttempt | null = null;
  /** When the ticket in the store is renewed; the store itself is asked then. */
  #renewAtMs = Number.POSITIVE_INFINITY;

  constructor(
    private readonly host: ResumeHost,
    private readonly store: TicketStore,
  ) {}

  begin(): boolean {
    const held = this.store.take();
    const now = this.host.nowMs();
    if (held === null || now - held.obtainedMs >= held.lifetimeSeconds * 1_000) return false;
    const expected = this.host.policy.expectedWallet ?? null;
    if (expected !== null && !expected.every((b, i) => held.relay.address[i] === b)) return false;
    const { self } = this.host;
    this.#attempt = new ResumeAttempt(held, self.network.lock, Math.floor(self.networkTimeMs() / 1000));
    this.#attemptMs = now;
    this.host.write(ResumeCode.resume, this.#attempt.payload);
    return true;
  }

  /** What a full hello asks with. */
  ask(): Uint8Array {
    return askForTicket();
  }

  drop(): void {
    this.#attempt = null;
  }

  tick(nowMs: number, open: boolean): void {
    if (this.#attempt !== null && nowMs - this.#attemptMs > resumeAnswerMs) this.#giveUp();
    if (!open || nowMs < this.#renewAtMs) return;
    this.#renewAtMs = Number.POSITIVE_INFINITY;
    const held = this.store.take();
    if (held === null) return;
    this.#renewal = new RenewAttempt(held);
    this.host.write(ResumeCode.renew, this.#renewal.payload);
  }

  message(code: number, payload: Uint8Array, open: boolean): void {
    if (code === ResumeCode.challenge && this.#attempt !== null) this.#challenge(this.#attempt, payload);
    else if (code === ResumeCode.refused && this.#attempt !== null) this.#giveUp();
    else if (code === ResumeCode.renewed && open && this.#renewal !== null) {
      const next = this.#renewal.answer(payload, this.host.nowMs());
      this.#renewal = null;
      if (next !== null) this.#put(next);
    } else this.host.unexpected();
  }

  /** The offer of a helloData that was accepted; gives the peer its real device id back. */
  accepted(hello: Uint8Array, trailing: Uint8Array | undefined, peer: PeerInfo): PeerInfo {
    const offer = takeOffer(hello, trailing, peer.deviceId);
    if (offer === null) return peer;
    const relay = { ...peer, deviceId: offer.deviceId };
    const now = this.host.nowMs();
    this.#renewAt(now, offer.lifetimeSeconds);
    // Beside the session, which does not wait for it.
    void keepOffer(this.store, offer, relay, now).catch(() => undefined);
    return relay;
  }

  #put(ticket: Parameters<TicketStore['put']>[0]): void {
    this.store.put(ticket);
    this.#renewAt(ticket.obtainedMs, ticket.lifetimeSeconds);
  }

  /** At half of its life, so that whoever is cut has at least the other half to come back. */
  #renewAt(nowMs: number, lifetimeSeconds: number): void {
    this.#renewAtMs = nowMs + Math.max(1, lifetimeSeconds) * 500;
  }

  #giveUp(): void {
    this.#attempt = null;
    this.host.sayFullHello();
  }

  #challenge(attempt: ResumeAttempt, payload: Uint8Array): void {
    this.#attempt = null;
    const { host } = this;
    const endpoints = (port: number): readonly string[] => [
      ...(host.observedIp === '' ? [] : [`${host.observedIp}:${port}`]),
      ...(host.policy.expectedEndpoints ?? []),
    ];
    const answer = attempt.answer(
      payload,
      endpoints,
      host.nowMs(),
      host.timeDifferenceSeconds(),
      host.observedIp,
    );
    if (answer === null) {
      host.bye(Bye.authFailed, 'Not the relay that issued the ticket');
      return;
    }
    const { relay, next, proof } = answer;
    if (host.policy.blacklisted?.(relay.address, `${host.observedIp}:${relay.port}`) === true) {
      host.bye(Bye.rejected, 'Blacklisted');
      return;
    }
    host.write(ResumeCode.proof, proof);
    this.#put(next);
    host.open(relay);
  }
}

/** Accepting side of an open session: the frame with a fresh ticket, or null, counted. Throws DecodeError. */
export function renewedTicket(issuer: TicketIssuer, peer: PeerInfo, payload: Uint8Array): Uint8Array | null {
  const answer = answerRenew(issuer, peer, payload);
  if (answer === null) issuer.count('renewal_refused');
  return answer === null ? null : encodeFrame(ResumeCode.renewed, answer);
}

/** True for the question for a fresh ticket. */
export function isRenewal(code: number): boolean {
  return code === ResumeCode.renew;
}

/** True for a code of the extension. */
export function isResumeCode(code: number): boolean {
  return code >= ResumeCode.resume && code <= ResumeCode.renewed;
}
