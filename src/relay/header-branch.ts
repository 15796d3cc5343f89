import { type BlockHeader, type HeaderChain, rollbackBlocksMax } from '../ledger/index.js';
import { bytesEqual } from '../wire/index.js';
import type { RelayPeer } from './peer.js';

/** What became of another branch that a ledger node showed. */
export type BranchVerdict =
  /** Nothing differs after all. */
  | { readonly kind: 'same' }
  /** Longer than ours; somebody else must show it too. */
  | { readonly kind: 'confirm'; readonly peer: RelayPeer }
  | { readonly kind: 'adopted'; readonly headers: readonly BlockHeader[] }
  | { readonly kind: 'refused'; readonly reason: string };

interface Claim {
  readonly peerId: number;
  /** Its headers from the first that is not ours. */
  readonly headers: readonly BlockHeader[];
}

/**
 * Decides whether the own chain gives way to another branch (docs/protocol/09 §7.5, better rule): only to a
 * longer one, at most 100 blocks back, and only when a second ledger node shows the same branch, so that one
 * liar rolls nobody back. With a single ledger node connected there is nobody else to ask, and its word holds.
 */
export class HeaderBranch {
  #claim: Claim | null = null;
  /** Nodes whose branch others did not confirm: no longer asked for headers while there are others. */
  readonly #doubted = new Set<number>();

  constructor(
    private readonly chain: HeaderChain,
    private readonly sources: () => readonly RelayPeer[],
  ) {}

  /** First header to ask a branch from. */
  get from(): number {
    return Math.max(this.chain.first, this.chain.height - rollbackBlocksMax + 1);
  }

  /** Of these nodes the ones whose headers are worth asking for. */
  trusted(peers: readonly RelayPeer[]): readonly RelayPeer[] {
    const good = peers.filter((p) => !this.#doubted.has(p.id));
    return good.length > 0 ? good : peers;
  }

  /** The answer of a node to a question from {@link from} on. */
  judge(peer: RelayPeer, headers: readonly BlockHeader[]): BranchVerdict {
    const claim = this.#claim;
    this.#claim = null;
    if (claim !== null && claim.peerId !== peer.id) return this.#confirm(claim, headers);
    const fork = headers.findIndex((h) => {
      const ours = this.chain.checksumOf(h.number);
      return ours === null || !bytesEqual(ours, h.checksum);
    });
    if (fork < 0) return { kind: 'same' };
    const branch = headers.slice(fork);
    if (branch[branch.length - 1]!.number <= this.chain.height)
      return { kind: 'refused', reason: 'not-longer' };
    const others = this.sources().filter((p) => p.id !== peer.id);
    // Not those that were doubted, unless nobody else is there: two liars must not vouch for each other.
    const witness = this.trusted(others)[0];
    if (witness === undefined) return this.#adopt(branch);
    this.#claim = { peerId: peer.id, headers: branch };
    return { kind: 'confirm', peer: witness };
  }

  #confirm(claim: Claim, headers: readonly BlockHeader[]): BranchVerdict {
    const shown = new Map(headers.map((h) => [h.number, h.checksum]));
    const differs = claim.headers.findIndex((h) => {
      const theirs = shown.get(h.number);
      return theirs === undefined || !bytesEqual(theirs, h.checksum);
    });
    // Only what both show: nobody may put headers of his own on top of a confirmed beginning.
    if (differs !== 0) return this.#adopt(differs < 0 ? claim.headers : claim.headers.slice(0, differs));
    this.#doubted.add(claim.peerId);
    return { kind: 'refused', reason: 'unconfirmed' };
  }

  #adopt(branch: readonly BlockHeader[]): BranchVerdict {
    const result = this.chain.adopt(branch);
    if (result.kind === 'refused') return result;
    // Who was right cannot be told from an old quarrel any more.
    this.#doubted.clear();
    return { kind: 'adopted', headers: branch };
  }

  /** The confirmation did not come: the next mismatch begins anew. */
  forget(): void {
    this.#claim = null;
  }

  dropped(peerId: number): void {
    this.#doubted.delete(peerId);
    if (this.#claim?.peerId === peerId) this.#claim = null;
  }
}
