import { bytesKey, keyBytes, type ProtocolLine } from '../wire/index.js';
import type { BlockTip, PeerInfo, Verified } from './types.js';

const NO_KEY = new Uint8Array(0);

/**
 * What is kept of a peer that was accepted: its own short copies, so that the chunk its hello came in goes, and the
 * public key only where it is needed again, with a peer that may renew a ticket.
 */
export class KeptPeer implements PeerInfo {
  readonly address: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly nodeType: string;
  readonly productVersion: string;
  /** A string costs a fifth of an array of sixteen bytes, and is asked for seldom. */
  readonly #deviceKey: string;
  readonly port: number;
  readonly timestamp: number;
  readonly observedIp: string;
  readonly hostname: string;
  readonly signedEndpoint: string | null;
  readonly line: ProtocolLine;
  readonly timeDifferenceSeconds: number;
  readonly verified: Verified;

  private constructor(of: PeerInfo, address: Uint8Array, publicKey: Uint8Array, verified: Verified) {
    this.address = address;
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
    return new KeptPeer(peer, peer.address.slice(), renews ? peer.publicKey.slice() : NO_KEY, peer.verified);
  }

  /** The same peer after it has shown its key. */
  proven(): KeptPeer {
    return new KeptPeer(this, this.address, this.publicKey, 'proven');
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
