import type { VerifyEngine } from '../identity/index.js';
import {
  type ClaimContext,
  type DecodedPresence,
  NO_POW_KNOWLEDGE,
  SignatureGate,
  verifyPresence,
} from '../presence/index.js';
import type { Network } from '../wire/index.js';
import type { DroppedEndpoint, VerifiedEndpoints } from './types.js';

/** Endpoints of one packet that are looked at; the protocol sends ten at a time (docs/protocol/05 §4.3). */
const endpointsMax = 32;

/**
 * Checks presences the way a client must (05 §7.4 and the discovery document): the key belongs to the wallet,
 * every endpoint is fresh, publicly reachable and signed; bad ones are dropped one by one, with the reason.
 */
export class PresenceVerifier {
  readonly context: ClaimContext;
  readonly gate: SignatureGate;

  constructor(
    network: Network,
    engine: VerifyEngine,
    private readonly networkSeconds: () => number,
  ) {
    this.context = { network, ownType: 'C', pow: NO_POW_KNOWLEDGE };
    this.gate = new SignatureGate(engine);
  }

  /** Null when the packet as a whole is not that wallet's. */
  async verify(p: DecodedPresence): Promise<VerifiedEndpoints | null> {
    const now = this.networkSeconds();
    const dropped: DroppedEndpoint[] = p.malformed.map(() => ({ endpoint: null, reason: 'malformed' }));
    const candidates = p.addresses.slice(0, endpointsMax);
    // One by one, so that each refusal names its endpoint; the engine still sees them together.
    const verdicts = await Promise.all(
      candidates.map((a) =>
        verifyPresence({ ...p, addresses: [a], malformed: [] }, now, this.context, this.gate),
      ),
    );
    if (verdicts.some((v) => v.problem === 'foreign-key' || v.problem === 'key-length')) return null;
    const addresses = verdicts.flatMap((v) => [...v.addresses]);
    verdicts.forEach((v, i) => {
      for (const d of v.dropped) dropped.push({ endpoint: candidates[i]!.hostname, reason: d.reason });
    });
    return { publicKey: p.publicKey, addresses, dropped };
  }
}
