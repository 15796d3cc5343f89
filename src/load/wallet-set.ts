import type { Address } from '../identity/index.js';
import { encodeKeepAlive, encodePresence, type KeepAlive, keepAliveChecksum } from '../presence/index.js';
import type { Network } from '../wire/index.js';
import { LOAD_PRODUCT_VERSION } from './client.js';
import type { Identities } from './keys/identities.js';

const ADDRESS = 45;
const DEVICE = 16;
const CHOICE = 16;
const ROW = ADDRESS + DEVICE + CHOICE;

/**
 * Wallets without connections of their own, whose presences others carry to the relay: 77 bytes each, so that
 * hundreds of thousands fit. What is announced of each is remembered, to be compared with what the relay answers.
 */
export class WalletSet {
  readonly #rows: Uint8Array;
  /** Network second of the last claim sent, by wallet; 0 before the first. */
  readonly claimed: Uint32Array;

  constructor(
    private readonly identities: Identities,
    firstIdentity: number,
    readonly size: number,
    private readonly network: Network,
    /** What the claims name as the place where the wallet can be reached. */
    private readonly hostname: string,
  ) {
    this.#rows = new Uint8Array(size * ROW);
    this.claimed = new Uint32Array(size);
    this.first = firstIdentity;
  }

  readonly first: number;

  /** Makes wallets `from`…`to`: some 20 µs each. */
  make(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const identity = this.identities.at(this.first + i);
      const at = i * ROW;
      this.#rows.set(identity.address, at);
      this.#rows.set(identity.deviceId, at + ADDRESS);
      this.#rows.set(identity.choice, at + ADDRESS + DEVICE);
    }
  }

  /** A view. */
  address(i: number): Address {
    return this.#rows.subarray(i * ROW, i * ROW + ADDRESS);
  }

  #claim(i: number, timestamp: number): KeepAlive {
    const at = i * ROW;
    const unsigned: KeepAlive = {
      version: 2,
      wallet: this.address(i),
      device: this.#rows.subarray(at + ADDRESS, at + ADDRESS + DEVICE),
      timestamp,
      hostname: this.hostname,
      type: 'C',
      pow: null,
      signature: null,
    };
    const choice = this.#rows.subarray(at + ADDRESS + DEVICE, at + ROW);
    const signature = this.identities.sign(choice, keepAliveChecksum(unsigned, this.network.lock));
    this.claimed[i] = timestamp;
    return { ...unsigned, signature };
  }

  /** A signed keep-alive of that network second. */
  keepAlive(i: number, timestamp: number): Uint8Array {
    return encodeKeepAlive(this.#claim(i, timestamp));
  }

  /** The whole presence with its key: what a relay must have before it takes keep-alives. */
  presence(i: number, timestamp: number): Uint8Array {
    const { device, hostname, type, signature } = this.#claim(i, timestamp);
    return encodePresence({
      version: 1,
      wallet: this.address(i),
      publicKey: this.identities.at(this.first + i).publicKey,
      metadata: null,
      addresses: [
        {
          version: 2,
          device,
          hostname,
          type,
          nodeVersion: LOAD_PRODUCT_VERSION,
          lastSeen: timestamp,
          signature,
          pow: null,
        },
      ],
    });
  }
}
