import { bytesEqual } from '../wire/index.js';
import { AddressTable } from './address-table.js';

/** How a connection showed that it holds the key of the wallet it claims (docs/protocol/07 §9.1). */
export type Proof =
  /** Not at all: it may look things up, but is no session of the wallet. */
  | 'none'
  /** Its hello signature verified. Replayable, so it yields to a stronger proof from elsewhere. */
  | 'signature'
  /** It delivered a keep-alive newer than any known, or answered a challenge of this relay. */
  | 'key';

/** What the table needs of a connection. */
export interface SessionPeer {
  readonly id: number;
  /** Source address as seen by this relay, without the port. */
  readonly sourceAddress: string;
  /** When it opened; decides the order of arrival between connections of different processes. */
  readonly openedMs?: number;
  /** Number of its process; absent for a connection of this one. */
  readonly process?: number;
  /** `verified`: how its hello was found, before anything else it delivered. */
  readonly info: {
    /** Raw address of the wallet it claims. */
    readonly address: Uint8Array;
    readonly deviceId: Uint8Array;
    readonly verified: 'none' | 'signature' | 'proven';
  };
}

interface Entry<P> {
  readonly peer: P;
  readonly proof: Proof;
}

/** One wallet: who claims it, in order of arrival, and who of them receives. */
interface Wallet<P> {
  /** With one claim whose peer receives, as nearly always, its proof alone: a hundred bytes less than a list. */
  claims: readonly Entry<P>[] | Proof;
  /** Recomputed when the claims change, so that forwarding is a lookup. */
  receivers: readonly P[];
}

function claimsOf<P>({ claims, receivers }: Wallet<P>): readonly Entry<P>[] {
  return typeof claims === 'string' ? [{ peer: receivers[0]!, proof: claims }] : claims;
}

const NOBODY: readonly never[] = [];

/** Told of every change of the table. */
export interface SessionObserver<P> {
  added(peer: P, proof: Proof): void;
  proved(peer: P, proof: 'signature' | 'key'): void;
  removed(peer: P): void;
}

/** Connections of one device from one source address; a peer without device id is a device of its own. */
function sameDevice(a: SessionPeer, b: SessionPeer): boolean {
  if (a === b) return true;
  return (
    a.info.deviceId.length > 0 &&
    a.sourceAddress === b.sourceAddress &&
    bytesEqual(a.info.deviceId, b.info.deviceId)
  );
}

/**
 * Which connections receive a wallet's messages. A connection without proof is never in the answer; one whose
 * hello signature verified is, unless a connection from another source address gave the stronger proof, or an
 * earlier one from elsewhere gave the same. Nothing a newcomer without the key does takes a message away from a
 * session that proved it (docs/protocol/07 §9.1, strict).
 *
 * A device gets one copy: reference clients keep two connections to their primary relay, and hand application
 * data on as often as it arrives. Its newest connection that proved the key twice, by hello and keep-alive,
 * receives; as long as there is none, all of them do, since a replayed hello or a keep-alive carried over from
 * another relay may name the owner's device (07 §9.1, quirk on multiple devices).
 */
export class SessionTable<P extends SessionPeer> {
  /** All connections that claim a wallet, by its address. */
  readonly #wallets = new AddressTable<Wallet<P>>();
  #sessions = 0;
  #receiving = 0;
  /** Of {@link SessionTable.sessions} those of other processes. */
  #remote = 0;
  #observer: SessionObserver<P> | null = null;
  #process = 0;

  /** Connections that receive messages. */
  get sessions(): number {
    return this.#sessions;
  }

  /** Wallets with at least one receiving connection. */
  get wallets(): number {
    return this.#receiving;
  }

  /** Who receives the messages of the wallet whose address lies there; empty when nobody does. */
  receivers(address: Uint8Array, at = 0, length = address.length): readonly P[] {
    return this.#wallets.get(address, at, length)?.receivers ?? NOBODY;
  }

  /** Receiving connections of other processes, counted in {@link SessionTable.sessions} too. */
  get remoteSessions(): number {
    return this.#remote;
  }

  /** One observer, told after each change; `process` is this process's number among several. */
  observe(observer: SessionObserver<P>, process: number): void {
    this.#observer = observer;
    this.#process = process;
  }

  /** Whether `a` arrived after `b`, the same in every process; within one, whoever comes later did. */
  #isLater(a: P, b: P): boolean {
    if (a.process === b.process) return true;
    const [at, bt] = [a.openedMs ?? 0, b.openedMs ?? 0];
    return at === bt ? (a.process ?? this.#process) > (b.process ?? this.#process) : at > bt;
  }

  add(peer: P, proof: Proof): void {
    const { address } = peer.info;
    let wallet = this.#wallets.get(address);
    if (wallet === undefined) {
      wallet = { claims: [], receivers: NOBODY };
      this.#wallets.set(address, wallet);
    }
    const claims = claimsOf(wallet);
    let at = claims.length;
    while (at > 0 && !this.#isLater(peer, claims[at - 1]!.peer)) at--;
    this.#change(wallet, claims.toSpliced(at, 0, { peer, proof }));
    this.#observer?.added(peer, proof);
  }

  /** Raises the proof of a connection; a weaker one than it has changes nothing. */
  prove(peer: P, proof: 'signature' | 'key'): void {
    const wallet = this.#wallets.get(peer.info.address);
    if (wallet === undefined) return;
    const claims = claimsOf(wallet);
    const at = claims.findIndex((e) => e.peer === peer);
    const before = claims[at]?.proof;
    if (before === undefined || before === 'key' || before === proof) return;
    this.#change(wallet, claims.with(at, { peer, proof }));
    this.#observer?.proved(peer, proof);
  }

  proofOf(peer: P): Proof | null {
    const wallet = this.#wallets.get(peer.info.address);
    if (wallet === undefined) return null;
    return claimsOf(wallet).find((e) => e.peer === peer)?.proof ?? null;
  }

  remove(peer: P): void {
    const wallet = this.#wallets.get(peer.info.address);
    if (wallet === undefined) return;
    const claims = claimsOf(wallet);
    const left = claims.filter((e) => e.peer !== peer);
    if (left.length === claims.length) return;
    if (left.length === 0) this.#wallets.delete(peer.info.address);
    this.#change(wallet, left);
    this.#observer?.removed(peer);
  }

  /** Other claims than before: who receives follows from them. */
  #change(wallet: Wallet<P>, claims: readonly Entry<P>[]): void {
    const receivers = receiversOf(claims);
    this.#sessions += receivers.length - wallet.receivers.length;
    this.#remote += remoteOf(receivers) - remoteOf(wallet.receivers);
    this.#receiving += Math.sign(receivers.length) - Math.sign(wallet.receivers.length);
    wallet.receivers = receivers;
    wallet.claims = claims.length === 1 && receivers.length === 1 ? claims[0]!.proof : claims;
  }
}

function remoteOf(peers: readonly SessionPeer[]): number {
  let n = 0;
  for (const p of peers) if (p.process !== undefined) n++;
  return n;
}

/** `claims` in order of arrival: among connections with replayable proofs the first source address counts. */
function receiversOf<P extends SessionPeer>(claims: readonly Entry<P>[]): readonly P[] {
  const only = claims.length === 1 ? claims[0]! : null;
  // By far the most: nothing to decide.
  if (only !== null) return only.proof === 'none' ? NOBODY : [only.peer];
  const strong = claims.filter((e) => e.proof === 'key');
  const firstWeak = claims.find((e) => e.proof === 'signature')?.peer.sourceAddress;
  const admitted = claims.filter(
    ({ peer, proof }) =>
      proof === 'key' ||
      (proof === 'signature' &&
        (strong.length === 0
          ? peer.sourceAddress === firstWeak
          : strong.every((s) => s.peer.sourceAddress === peer.sourceAddress))),
  );
  const provenTwice = strong.filter((e) => e.peer.info.verified !== 'none');
  return admitted
    .map((e) => e.peer)
    .filter((p) => {
      const newest = provenTwice.findLast((e) => sameDevice(e.peer, p));
      return newest === undefined || newest.peer === p;
    });
}
