import { bytesKey, keyBytes, type ProtocolLine } from '../wire/index.js';
import type { BlockTip, PeerInfo, Verified } from './types.js';

const NO_KEY = new Uint8Array(0);

/**
 * What is kept of a peer that was accepted: its own short copies, so that the chunk its hello came in goes, and the
 * public key only where it is needed again, with a peer that may renew a ticket.
 */
export class KeptPeer implements PeerInfo {
  /** Map key of {@link address}. A string costs a fifth of an array, and the bytes are asked for seldom. */
  readonly walletKey: string;
  readonly publicKey: Uint8Array;
  readonly nodeType: string;
  readonly productVersion: string;
  readonly #deviceKey: string;
  readonly port: number;
  readonly timestamp: number;
  readonly observedIp: string;
  readonly hostname: string;
  readonly signedEndpoint: string | null;
  readonly line: ProtocolLine;
  readonly timeDifferenceSeconds: number;
  readonly verified: Verified;

  private constructor(of: PeerInfo, walletKey: string, publicKey: Uint8Array, verified: Verified) {
    this.walletKey = walletKey;
    this.publicKey = publicKey;
    this.nodeType = of.nodeType;
    this.productVersion = of.productVersion;
    this.#deviceKey = bytesKey(of.deviceId);
    this.port = of.port;
    this.timestamp = of.timestamp;
    this.observedIp = of.observedIp;
    this.hostname = of.hostname;
    this.signedEndpoint = of.signedEndpoint;
    this.line = of.line;
    this.timeDifferenceSeconds = of.timeDifferenceSeconds;
    this.verified = verified;
  }

  /** `renews`: it holds a ticket. */
  static of(peer: PeerInfo, renews: boolean): KeptPeer {
    return new KeptPeer(
      peer,
      bytesKey(peer.address),
      renews ? peer.publicKey.slice() : NO_KEY,
      peer.verified,
    );
  }

  /** The same peer after it has shown its key. */
  proven(): KeptPeer {
    return new KeptPeer(this, this.walletKey, this.publicKey, 'proven');
  }

  get address(): Uint8Array {
    return keyBytes(this.walletKey);
  }

  get deviceId(): Uint8Array {
    return keyBytes(this.#deviceKey);
  }

  /** Hellos name no block, and no address of ours: those are of helloData. */
  get lastBlock(): BlockTip | null {
    return null;
  }

  get reportedEndpoint(): string | null {
    return null;
  }
}

/** Map key of a peer's wallet; of one that is kept the string it keeps. */
export function walletKeyOf(peer: PeerInfo): string {
  return peer instanceof KeptPeer ? peer.walletKey : bytesKey(peer.address);
}
