/** What runs inside the browser: the very cases of the client suite, over WebSocket, with IndexedDB. */
import { dialWebRelay, IndexedDbStorage } from '../../src/client/web/index.js';
import { createSigner } from '../../src/identity/index.js';
import { fromHex, NETWORKS } from '../../src/wire/index.js';
import { cases } from '../client/suite.js';

interface WorldFacts {
  readonly relays: readonly { readonly endpoint: string; readonly wsUrl: string }[];
}

async function control<T>(path: string): Promise<T> {
  const answer = await fetch(path, { method: 'POST' });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

let storages = 0;

const suite = {
  names: (): string[] => cases.map((c) => c.name),
  async run(name: string): Promise<void> {
    const found = cases.find((c) => c.name === name);
    if (found === undefined) throw new Error(`no case ${name}`);
    const { relays } = await control<WorldFacts>('/world/start');
    const urlOf = (endpoint: string): string | null =>
      relays.find((r) => r.endpoint === endpoint)?.wsUrl ?? null;
    try {
      await found.run({
        network: NETWORKS.reg,
        relays: relays.map((r) => ({ endpoint: r.endpoint, seed: { host: r.endpoint } })),
        dial: dialWebRelay({ urlOf }),
        wallet: async (w) => createSigner(fromHex((await control<{ key: string }>(`/wallet/${w}`)).key)),
        storage: () => IndexedDbStorage.open(`suite-${Date.now()}-${storages++}`),
        kill: (endpoint) => control(`/world/kill/${endpoint}`),
      });
    } finally {
      await control('/world/stop');
    }
  },
  /** Length of a signature made with that key: the browser has taken it. */
  sign: async (key: string): Promise<number> => {
    const signer = await createSigner(fromHex(key));
    return (await signer.sign(Uint8Array.of(1, 2, 3))).length;
  },
};

Object.assign(globalThis, { suite });
