import { bytesKey } from '../wire/index.js';

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
  /** `verified`: how its hello was found, before anything else it delivered. */
  readonly info: { readonly deviceId: Uint8Array; readonly verified: 'none' | 'signature' | 'proven' };
}

interface Entry<P> {
  readonly peer: P;
  /** Equal for connections of one device from one source address; a peer without device id is its own. */
  readonly device: string;
  proof: Proof;
  /** Order of arrival: among connections with replayable proofs the first source address counts. */
  readonly order: number;
}

const NOBODY: readonly never[] = [];

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
  /** All connections that claim a wallet, by wallet key, in order of arrival. */
  readonly #claims = new Map<string, Entry<P>[]>();
  /** The receivers of each wallet, recomputed when its claims change: forwarding is a lookup. */
  readonly #receivers = new Map<string, readonly P[]>();
  #order = 0;
  #sessions = 0;

  /** Connections that receive messages. */
  get sessions(): number {
    return this.#sessions;
  }

  /** Wallets with at least one receiving connection. */
  get wallets(): number {
    return this.#receivers.size;
  }

  /** Who receives this wallet's messages; empty when nobody does. `key` = bytesKey(wallet). */
  receivers(key: string): readonly P[] {
    return this.#receivers.get(key) ?? NOBODY;
  }

  add(key: string, peer: P, proof: Proof): void {
    const list = this.#claims.get(key) ?? [];
    const { deviceId } = peer.info;
    const device = `${peer.sourceAddress}|${deviceId.length === 0 ? `#${peer.id}` : bytesKey(deviceId)}`;
    list.push({ peer, device, proof, order: this.#order++ });
    this.#claims.set(key, list);
    this.#recompute(key, list);
  }

  /** Raises the proof of a connection; a weaker one than it has changes nothing. */
  prove(key: string, peerId: number, proof: 'signature' | 'key'): void {
    const list = this.#claims.get(key);
    const e = list?.find((x) => x.peer.id === peerId);
    if (list === undefined || e === undefined || e.proof === 'key' || e.proof === proof) return;
    e.proof = proof;
    this.#recompute(key, list);
  }

  proofOf(key: string, peerId: number): Proof | null {
    return this.#claims.get(key)?.find((x) => x.peer.id === peerId)?.proof ?? null;
  }

  remove(key: string, peerId: number): void {
    const list = this.#claims.get(key);
    if (list === undefined) return;
    const i = list.findIndex((x) => x.peer.id === peerId);
    if (i < 0) return;
    list.splice(i, 1);
    if (list.length === 0) this.#claims.delete(key);
    this.#recompute(key, list);
  }

  #recompute(key: string, list: readonly Entry<P>[]): void {
    const strong = list.filter((e) => e.proof === 'key');
    const weak = list.filter((e) => e.proof === 'signature');
    const firstWeak = weak[0]?.peer.sourceAddress;
    const admitted = [
      ...strong,
      ...weak.filter((w) =>
        strong.length === 0
          ? w.peer.sourceAddress === firstWeak
          : strong.every((s) => s.peer.sourceAddress === w.peer.sourceAddress),
      ),
    ].sort((a, b) => a.order - b.order);
    // In order of arrival, so the last one of a device stays.
    const chosen = new Map(
      strong.filter((e) => e.peer.info.verified !== 'none').map((e) => [e.device, e.peer.id]),
    );
    const receivers = admitted
      .filter((e) => (chosen.get(e.device) ?? e.peer.id) === e.peer.id)
      .map((e) => e.peer);
    this.#sessions += receivers.length - (this.#receivers.get(key)?.length ?? 0);
    if (receivers.length === 0) this.#receivers.delete(key);
    else this.#receivers.set(key, receivers);
  }
}
