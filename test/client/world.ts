import { Coordinator } from '../../src/coordinator/index.js';
import type { Signer } from '../../src/identity/index.js';
import { Relay, type RelayOptions } from '../../src/relay/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { wallet } from '../coordinator/support.js';
import { engine, signerOf } from '../link/support.js';

/** A relay of the test network. */
export interface WorldRelay {
  readonly relay: Relay;
  /** `ip:port`. */
  readonly endpoint: string;
  readonly wsUrl: string;
  readonly wallet: Uint8Array;
  /** Ends it at once; its clients see a closed connection. */
  kill(): Promise<void>;
}

/** Coordinator and relays on loopback. */
export interface World {
  readonly coordinator: Coordinator;
  readonly relays: readonly WorldRelay[];
  stop(): Promise<void>;
}

/** Signer of a test wallet of either file. */
export function testWallet(name: string): Promise<Signer> {
  return /^w\d$/.test(name) ? signerOf(name) : wallet(name);
}

/** Starts a coordinator and `n` relays (wallets w0, w1, …) that know each other. */
export async function startWorld(n: number, over: Partial<RelayOptions> = {}): Promise<World> {
  const coordinator = new Coordinator({
    network: NETWORKS.reg,
    signer: await testWallet('alice'),
    engine: await engine(),
    host: '127.0.0.1',
    publicIp: '127.0.0.1',
    port: 0,
    genesisBlocks: 1,
  });
  await coordinator.start();
  const relays: WorldRelay[] = [];
  for (let i = 0; i < n; i++) {
    const relay = await Relay.start({
      network: NETWORKS.reg,
      signer: await signerOf(`w${i}`),
      host: '0.0.0.0',
      port: 0,
      wsPort: 0,
      externalIp: '127.0.0.1',
      seeds: [{ host: `127.0.0.1:${coordinator.port}`, wallet: (await testWallet('alice')).address }],
      engine: await engine(),
      ...over,
    });
    relays.push({
      relay,
      endpoint: `127.0.0.1:${relay.port}`,
      wsUrl: `ws://127.0.0.1:${relay.wsPort}/ixian`,
      wallet: relay.address,
      kill: () => relay.stop(),
    });
  }
  const end = Date.now() + 10_000;
  while (relays.some((r) => r.relay.status().relaysKnown < n || r.relay.status().ledgerPeers < 1)) {
    if (Date.now() > end) throw new Error('the relays did not find each other');
    await new Promise((r) => setTimeout(r, 20));
  }
  return {
    coordinator,
    relays,
    stop: async () => {
      for (const r of relays) await r.relay.stop();
      await coordinator.stop();
    },
  };
}
