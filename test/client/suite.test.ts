import { describe, it } from 'vitest';
import { type Dial, MemoryStorage } from '../../src/client/index.js';
import { dialTcpRelay, dialWsRelay } from '../../src/client/node/index.js';
import { memoryPair } from '../../src/link/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { engine } from '../link/support.js';
import { cases, type SuiteEnv } from './suite.js';
import { startWorld, testWallet, type World } from './world.js';

/** Relays reached within this process; a killed one is not reached any more. */
function dialMemory(world: World, dead: ReadonlySet<string>): Dial {
  return (target) => {
    const place = target.endpoint ?? target.host;
    const found = world.relays.find((r) => r.endpoint === place);
    if (found === undefined || dead.has(found.endpoint)) return Promise.reject(new Error('nobody there'));
    const [mine, theirs] = memoryPair({ poison: true });
    found.relay.accept(theirs);
    return Promise.resolve({ transport: mine });
  };
}

const ways: Readonly<Record<string, (world: World, dead: ReadonlySet<string>) => Dial>> = {
  tcp: () => dialTcpRelay(),
  ws: (world) => dialWsRelay({ urlOf: (e) => world.relays.find((r) => r.endpoint === e)?.wsUrl ?? null }),
  memory: dialMemory,
};

// Each case has a network of its own and mostly waits, so some go on side by side.
for (const [way, dialOf] of Object.entries(ways))
  describe.concurrent(`client over ${way}`, () => {
    for (const c of cases)
      it(c.name, async () => {
        const world = await startWorld(3);
        const dead = new Set<string>();
        const env: SuiteEnv = {
          network: NETWORKS.reg,
          relays: world.relays.map((r) => ({ endpoint: r.endpoint, seed: { host: r.endpoint } })),
          dial: dialOf(world, dead),
          engine: await engine(),
          wallet: testWallet,
          storage: () => Promise.resolve(new MemoryStorage()),
          kill: async (endpoint) => {
            dead.add(endpoint);
            await world.relays.find((r) => r.endpoint === endpoint)!.kill();
          },
        };
        try {
          await c.run(env);
        } finally {
          await world.stop();
        }
      }, 40_000);
  });
