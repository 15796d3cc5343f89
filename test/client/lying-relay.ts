import type { Dial } from '../../src/client/index.js';
import { systemClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import type { Signer, VerifyEngine } from '../../src/identity/index.js';
import { Link, memoryPair, signDirectly } from '../../src/link/index.js';
import {
  addressOf,
  encodeKeepAlive,
  encodePresence,
  type KeepAlive,
  type Presence,
  type PresenceAddress,
  signKeepAlive,
} from '../../src/presence/index.js';
import { Code, decodeGetSectorNodes, encodeSectorNodes, type Network } from '../../src/wire/index.js';

/** What a relay that answers whatever it is told to is made of. Portable, like the suite that uses it. */
export interface LyingRelayOptions {
  readonly network: Network;
  readonly signer: Signer;
  readonly engine: VerifyEngine;
  /** `ip:port` it claims; the client reaches it through {@link LyingRelay.dial}. */
  readonly endpoint: string;
  /** The presence it answers getPresence2 with; null for silence. */
  answer(wallet: Uint8Array): Promise<Presence | null>;
}

const seconds = (): number => Math.floor(Date.now() / 1000);

/** A relay that the test has in its hand: it verifies nothing, and says what the test wants. */
export class LyingRelay {
  readonly links: Link[] = [];
  /** Payloads of s2data it was given. */
  readonly given: Uint8Array[] = [];

  constructor(readonly o: LyingRelayOptions) {}

  /** Dials only this relay. */
  get dial(): Dial {
    return (target) => {
      if ((target.endpoint ?? target.host) !== this.o.endpoint)
        return Promise.reject(new Error('nobody there'));
      const [mine, theirs] = memoryPair();
      this.#accept(theirs);
      return Promise.resolve({ transport: mine });
    };
  }

  #accept(transport: ReturnType<typeof memoryPair>[0]): void {
    const { network, signer, engine, endpoint } = this.o;
    const [ip = '', port] = endpoint.split(':');
    this.links.push(
      new Link(transport, {
        direction: 'in',
        self: {
          network,
          nodeType: 'R',
          address: signer.address,
          publicKey: signer.publicKey,
          productVersion: 'liar-1.0',
          deviceId: Uint8Array.of(1),
          publicEndpoint: () => ({ ip, port: Number(port) }),
          networkTimeMs: () => Date.now(),
          tip: () => ({ number: 0, checksum: new Uint8Array(0), version: 12 }),
          sign: signDirectly(signer, () => Date.now()),
        },
        clock: systemClock,
        engine,
        counters: new Counters(),
        handlers: {
          onMessage: (link, code, payload) => {
            void this.#message(link, code, payload.slice());
          },
        },
      }),
    );
  }

  async #message(link: Link, code: number, payload: Uint8Array): Promise<void> {
    if (code === Code.s2data) this.given.push(payload);
    if (code === Code.getSectorNodes) {
      const { prefix } = decodeGetSectorNodes(payload);
      const own = await claim(this.o.signer, this.o.network, { hostname: this.o.endpoint, type: 'R' });
      const presences = [encodePresence(presenceOf(this.o.signer, [addressOf(own, 'liar-1.0')]))];
      link.send(Code.sectorNodes, encodeSectorNodes({ prefix, presences }));
    }
    if (code === Code.getPresence2) {
      const p = await this.o.answer(payload.subarray(1));
      if (p !== null) link.send(Code.updatePresence, encodePresence(p));
    }
  }

  /** Sends to every client that is connected. */
  say(code: number, payload: Uint8Array): void {
    for (const l of this.links) if (l.isOpen) l.send(code, payload);
  }
}

/** A signed claim of a wallet. */
export function claim(
  signer: Signer,
  network: Network,
  over: Partial<Pick<KeepAlive, 'device' | 'timestamp' | 'hostname' | 'type'>> = {},
): Promise<KeepAlive> {
  const { device = Uint8Array.of(1), timestamp = seconds(), hostname = '127.0.0.1:1', type = 'C' } = over;
  return signKeepAlive({ device, timestamp, hostname, type, pow: null }, signer, network);
}

export function presenceOf(signer: Signer, addresses: readonly PresenceAddress[]): Presence {
  return { version: 1, wallet: signer.address, publicKey: signer.publicKey, metadata: null, addresses };
}

export { encodeKeepAlive };
