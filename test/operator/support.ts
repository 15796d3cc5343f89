import { Counters } from '../../src/counters/index.js';
import { measuredEngine, type NodeFacts, RelayNode } from '../../src/operator/index.js';
import type { Relay, RelayOptions } from '../../src/relay/index.js';
import { engine } from '../link/support.js';
import { startRelay } from '../relay/support.js';

export const FACTS: NodeFacts = {
  network: 'reg',
  version: '0.1.0',
  ready: { mastersMin: 1, headerAgeMaxSeconds: 600, blocksBehindMax: 10, standalone: true },
};

/** A relay on loopback with the operator's view of it. */
export async function startNode(
  over: Partial<RelayOptions> = {},
  facts: NodeFacts = FACTS,
): Promise<{ node: RelayNode; relay: Relay; stop(): Promise<void> }> {
  const counters = new Counters();
  const node = new RelayNode(facts, counters);
  const relay = await startRelay({
    counters,
    engine: measuredEngine(await engine(), counters),
    ...over,
  });
  node.attach(relay);
  return {
    node,
    relay,
    stop: async () => {
      await relay.stop();
      node.close();
    },
  };
}
