import { freePort, isFreePort } from '../../src/cli/devnet/free-port.js';
import { MemoryStorage, StarlingClient } from '../../src/client/index.js';
import { dialTcpRelay } from '../../src/client/node/index.js';
import { Coordinator } from '../../src/coordinator/index.js';
import { encodeWalletFile, Wallet } from '../../src/identity/index.js';
import { addAppRoutes } from '../../src/operator/index.js';
import { Relay } from '../../src/relay/index.js';
import { fromHex, NETWORKS } from '../../src/wire/index.js';
import { testWallet } from '../client/world.js';
import { engine, signerOf, vectorFile } from '../link/support.js';

/** A relay of the test network with its page. */
export interface AppRelay {
  readonly endpoint: string;
  /** `http://127.0.0.1:port`, empty for a relay that serves TCP only. */
  readonly origin: string;
  /** Ends it and starts it anew on the same ports. */
  restart(): Promise<void>;
}

export interface AppWorld {
  readonly relays: readonly AppRelay[];
  stop(): Promise<void>;
}

/** Two free ports in a row: from a presence alone a browser expects the WebSocket one above TCP. */
async function freePair(): Promise<number> {
  for (;;) {
    const port = await freePort('127.0.0.1');
    if (await isFreePort('127.0.0.1', port + 1)) return port;
  }
}

/** A coordinator and relays on loopback that know each other: `web` ones serve the messenger, `tcp` ones TCP only. */
export async function startAppWorld(kinds: readonly ('web' | 'tcp')[]): Promise<AppWorld> {
  const alice = await testWallet('alice');
  const coordinator = new Coordinator({
    network: NETWORKS.reg,
    signer: alice,
    engine: await engine(),
    host: '127.0.0.1',
    publicIp: '127.0.0.1',
    port: 0,
    genesisBlocks: 1,
  });
  await coordinator.start();
  const running: Relay[] = [];
  const start = async (i: number, port: number, web: boolean): Promise<void> => {
    const relay = await Relay.start({
      network: NETWORKS.reg,
      signer: await signerOf(`w${i}`),
      host: '0.0.0.0',
      port,
      wsPort: web ? port + 1 : null,
      externalIp: '127.0.0.1',
      seeds: [{ host: `127.0.0.1:${coordinator.port}`, wallet: alice.address }],
      engine: await engine(),
    });
    if (relay.web !== null) await addAppRoutes(relay.web);
    running[i] = relay;
  };
  const relays: AppRelay[] = [];
  for (const [i, kind] of kinds.entries()) {
    const port = await freePair();
    await start(i, port, kind === 'web');
    relays.push({
      endpoint: `127.0.0.1:${port}`,
      origin: kind === 'web' ? `http://127.0.0.1:${port + 1}` : '',
      restart: async () => {
        await running[i]!.stop();
        await start(i, port, kind === 'web');
      },
    });
  }
  const end = Date.now() + 20_000;
  while (running.some((r) => r.status().relaysKnown < kinds.length || r.status().ledgerPeers < 1)) {
    if (Date.now() > end) throw new Error('the relays did not find each other');
    await new Promise((r) => setTimeout(r, 20));
  }
  return {
    relays,
    stop: async () => {
      for (const r of running) await r.stop();
      await coordinator.stop();
    },
  };
}

/** A terminal client's like: TCP, one relay to begin with, accepts everybody. */
export async function nodeClient(wallet: string, endpoint: string, nick: string): Promise<StarlingClient> {
  const client = await StarlingClient.open({
    wallet: await signerOf(wallet),
    network: NETWORKS.reg,
    relays: [{ host: endpoint }],
    storage: new MemoryStorage(),
    dial: dialTcpRelay(),
    autoAccept: true,
    nick,
    // The first relay only: where it is is what the test is about.
    limits: { sectorConnections: 1 },
  });
  await client.start();
  return client;
}

/** A wallet file of a public test wallet, as a person would bring it. */
export function walletFile(name: string, password: string): Buffer {
  const { cases } = vectorFile<{ cases: { name: string; in: { privateKey: string } }[] }>('wallets.json');
  const key = cases.find((c) => c.name === name)!.in.privateKey;
  return Buffer.from(encodeWalletFile(Wallet.create(fromHex(key)), password));
}
