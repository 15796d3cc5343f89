import type { Clock, Timer } from '../clock/index.js';
import type { Signer } from '../identity/index.js';
import {
  addressOf,
  encodeKeepAlive,
  encodePresence,
  type KeepAlive,
  KeepAliveGenerator,
} from '../presence/index.js';
import { Code, type Network } from '../wire/index.js';
import type { RelayConnection } from './relay-connection.js';

/** How often a due keep-alive is looked for; it is renewed every 100 s (docs/protocol/05 §9). */
const passMs = 5_000;

export interface AnnouncerOptions {
  readonly signer: Signer;
  readonly network: Network;
  readonly device: Uint8Array;
  readonly productVersion: string;
  readonly clock: Clock;
  networkSeconds(): number;
  /** Relays that are to hold our presence right now. */
  homes(): readonly RelayConnection[];
  onAnnounced(keepAlive: KeepAlive, relays: readonly string[], ms: number): void;
  onError(error: unknown, during: string): void;
}

/**
 * Tells the relays of the own sector where this device is reached (05 §9, 08 §3.2): every 100 s, and at once
 * when the primary relay changes. Silent without a primary, so that nobody is sent to a relay that is gone.
 */
export class Announcer {
  readonly #o: AnnouncerOptions;
  readonly #generator: KeepAliveGenerator;
  #attached = false;
  #told: KeepAlive | null = null;
  #pass: Timer | null = null;

  /** @param notBefore timestamp of the last claim of an earlier run, 0 without one: ours must be newer */
  constructor(options: AnnouncerOptions, notBefore: number) {
    this.#o = options;
    this.#generator = new KeepAliveGenerator({
      signer: options.signer,
      network: options.network,
      type: 'C',
      device: options.device,
      now: () => {
        const now = options.networkSeconds();
        return notBefore >= now && notBefore <= now + 10 ? notBefore + 2 : now;
      },
    });
  }

  /** Our newest claim, null before the first. */
  get last(): KeepAlive | null {
    return this.#generator.last;
  }

  start(): void {
    this.#pass = this.#o.clock.every(passMs, () => void this.#announce(false));
  }

  stop(): void {
    this.#pass?.cancel();
    this.#attached = false;
  }

  /** The primary relay changed; null: there is none, nothing is announced until there is one again. */
  setPrimary(endpoint: string | null): void {
    this.#attached = endpoint !== null;
    if (endpoint === null) return;
    this.#generator.setHostname(endpoint);
    void this.#announce(true);
  }

  /** A relay of the own sector was reached: it gets the claim the others have. */
  greet(connection: RelayConnection): void {
    const ka = this.#told;
    if (ka !== null && this.#attached && ka.hostname === this.#generator.hostname)
      connection.send(Code.keepAlivePresence, encodeKeepAlive(ka));
  }

  /** Our presence as the answer to getPresence2, null while there is nothing to say. */
  presence(): Uint8Array | null {
    const ka = this.#generator.last;
    if (ka === null) return null;
    const { signer, productVersion } = this.#o;
    return encodePresence({
      version: 1,
      wallet: signer.address,
      publicKey: signer.publicKey,
      metadata: null,
      addresses: [addressOf(ka, productVersion)],
    });
  }

  async #announce(force: boolean): Promise<void> {
    if (!this.#attached) return;
    const startMs = this.#o.clock.nowMs();
    try {
      const ka = await this.#generator.next(force);
      if (ka === null || !this.#attached || ka === this.#told) return;
      // The primary changed again while this was being signed: the next one is on its way.
      if (ka.hostname !== this.#generator.hostname) return;
      this.#told = ka;
      const bytes = encodeKeepAlive(ka);
      const told = this.#o.homes().filter((c) => c.send(Code.keepAlivePresence, bytes));
      const relays = told.map((c) => c.endpoint);
      this.#o.onAnnounced(ka, relays, this.#o.clock.nowMs() - startMs);
    } catch (error) {
      this.#o.onError(error, 'announcing the own presence');
    }
  }
}
