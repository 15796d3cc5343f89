import { systemClock } from '../../src/clock/index.js';
import type { LinkLimits, PeerInfo } from '../../src/link/index.js';
import { dialTcp } from '../../src/link/node/tcp.js';
import { addressOf, type KeepAlive, type Presence, signKeepAlive } from '../../src/presence/index.js';
import { Relay, type RelayOptions } from '../../src/relay/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { engine, selfInfo, signerOf, Watched } from '../link/support.js';

/** A relay on loopback; `w0` unless told otherwise. */
export async function startRelay(over: Partial<RelayOptions> & { wallet?: string } = {}): Promise<Relay> {
  const { wallet, ...options } = over;
  return Relay.start({
    network: NETWORKS.reg,
    signer: await signerOf(wallet ?? 'w0'),
    host: '0.0.0.0',
    port: 0,
    wsPort: null,
    externalIp: '127.0.0.1',
    standalone: true,
    engine: await engine(),
    ...options,
  });
}

export interface ClientOptions {
  readonly wallet: string;
  readonly deviceId?: Uint8Array;
  readonly nodeType?: string;
  /** Endpoint the hello is signed over; the relay's own by default. */
  readonly endpoint?: { ip: string; port: number };
  /** Replaces every signature by zeros: a client that does not hold the key. */
  readonly forged?: boolean;
  /** Source address on loopback. */
  readonly localAddress?: string;
  readonly limits?: Partial<LinkLimits>;
}

/** A bare protocol client connected to that relay, with everything it received. */
export async function connect(relay: Relay, o: ClientOptions): Promise<Watched> {
  const transport = await dialTcp({
    host: '127.0.0.1',
    port: relay.port,
    ...(o.localAddress === undefined ? {} : { localAddress: o.localAddress }),
  });
  const self = await selfInfo(systemClock, {
    wallet: o.wallet,
    nodeType: o.nodeType ?? 'C',
    endpoint: o.endpoint ?? { ip: '127.0.0.1', port: relay.port },
    deviceId: o.deviceId ?? Uint8Array.of(9),
    ...(o.forged === true ? { sign: () => Promise.resolve(new Uint8Array(512)) } : {}),
  });
  return new Watched(transport, {
    direction: 'out',
    self,
    clock: systemClock,
    engine: await engine(),
    ...(o.limits === undefined ? {} : { limits: o.limits }),
  });
}

/** Waits until `probe` is true; fails after `ms`. */
export async function until(what: string, probe: () => boolean, ms = 5_000): Promise<void> {
  const end = Date.now() + ms;
  while (!probe()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((r) => setTimeout(r, 5));
  }
}

export async function connected(relay: Relay, o: ClientOptions): Promise<Watched> {
  const w = await connect(relay, o);
  await until(`${o.wallet} connected`, () => w.opened > 0);
  return w;
}

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

export async function keepAliveFor(
  wallet: string,
  over: Partial<{ timestamp: number; hostname: string; device: Uint8Array; type: string }> = {},
): Promise<KeepAlive> {
  return signKeepAlive(
    {
      device: over.device ?? Uint8Array.of(9),
      timestamp: over.timestamp ?? nowSeconds(),
      hostname: over.hostname ?? '127.0.0.1:1',
      type: (over.type ?? 'C') as 'C',
      pow: null,
    },
    await signerOf(wallet),
    NETWORKS.reg,
  );
}

export async function presenceFor(wallet: string, ...claims: readonly KeepAlive[]): Promise<Presence> {
  const signer = await signerOf(wallet);
  return {
    version: 1,
    wallet: signer.address,
    publicKey: signer.publicKey,
    metadata: null,
    addresses: claims.map((c) => addressOf(c, 'test-1.0')),
  };
}

export const peerOf = (w: Watched): PeerInfo => w.link.peer!;
