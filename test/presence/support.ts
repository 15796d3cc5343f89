import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  createSigner,
  createVerifyEngine,
  type Signer,
  type VerifyEngine,
  type VerifyItem,
} from '../../src/identity/index.js';
import {
  type ClaimContext,
  encodeKeepAlive,
  encodePow,
  encodePresence,
  type KeepAlive,
  keepAliveChecksum,
  keepAliveOf,
  MemoryPresenceStore,
  NO_POW_KNOWLEDGE,
  type Presence,
  type PresenceAddress,
  PresenceService,
  type PresenceServiceOptions,
  type StoreOptions,
} from '../../src/presence/index.js';
import { fromHex, NETWORKS, type Network } from '../../src/wire/index.js';

/** Network second at which most tests stand. */
export const T0 = 1_767_225_600;
export const HOST = '8.8.8.8:10235';
export const OTHER_HOST = '1.1.1.1:10235';
export const DEVICE = Uint8Array.of(1);

interface WalletCase {
  readonly name: string;
  readonly in: { readonly privateKey: string };
  readonly out: { readonly publicKey: string };
}

const wallets = (
  JSON.parse(readFileSync(resolve(import.meta.dirname, '../vectors/wallets.json'), 'utf8')) as {
    cases: WalletCase[];
  }
).cases;

const found = (name: string): WalletCase => {
  const w = wallets.find((c) => c.name === name);
  if (w === undefined) throw new Error(`no wallet ${name}`);
  return w;
};

const signers = new Map<string, Promise<Signer>>();

/** Signer of a wallet of the golden vectors: w0 … w5. */
export function signer(name = 'w0'): Promise<Signer> {
  let s = signers.get(name);
  if (s === undefined) {
    s = createSigner(fromHex(found(name).in.privateKey));
    signers.set(name, s);
  }
  return s;
}

/** A proof of work that has the right form: its key is the RSA-2048 signing key of the vectors. */
export function somePow(block = 5_875_000n): Uint8Array {
  return encodePow({
    block,
    solution: new Uint8Array(32).fill(7),
    signingPublicKey: fromHex(found('signer').out.publicKey),
  });
}

export const ledgerless: ClaimContext = { network: NETWORKS.main, ownType: 'R', pow: NO_POW_KNOWLEDGE };

export type Fields = Partial<Omit<KeepAlive, 'wallet'>> & { readonly nodeVersion?: string };

/** A signed endpoint of a wallet. */
export async function address(
  fields: Fields = {},
  who = 'w0',
  network: Network = NETWORKS.main,
): Promise<PresenceAddress> {
  const s = await signer(who);
  const a: PresenceAddress = {
    version: fields.version ?? 2,
    device: fields.device ?? DEVICE,
    hostname: fields.hostname ?? HOST,
    type: fields.type ?? 'C',
    nodeVersion: fields.nodeVersion ?? 'v',
    lastSeen: fields.timestamp ?? T0,
    pow: fields.pow ?? null,
    signature: null,
  };
  if (fields.signature !== undefined) return { ...a, signature: fields.signature };
  return { ...a, signature: await s.sign(keepAliveChecksum(keepAliveOf(s.address, a), network.lock)) };
}

/** Bytes of a signed keep-alive. */
export async function keepAlive(
  fields: Fields = {},
  who = 'w0',
  network: Network = NETWORKS.main,
): Promise<Uint8Array> {
  const s = await signer(who);
  return encodeKeepAlive(keepAliveOf(s.address, await address(fields, who, network)));
}

/** A presence of a wallet with these endpoints. */
export async function presence(addresses: readonly PresenceAddress[], who = 'w0'): Promise<Presence> {
  const s = await signer(who);
  return { version: 1, wallet: s.address, publicKey: s.publicKey, metadata: null, addresses };
}

/** Bytes of {@link presence}. */
export async function packet(addresses: readonly PresenceAddress[], who = 'w0'): Promise<Uint8Array> {
  return encodePresence(await presence(addresses, who));
}

/** A signature of the right length that is wrong. */
export function forged(a: PresenceAddress): PresenceAddress {
  const signature = a.signature!.slice();
  signature[100]! ^= 1;
  return { ...a, signature };
}

let shared: Promise<VerifyEngine> | undefined;

/** The default verify engine, shared by all tests of a file. */
export function engine(): Promise<VerifyEngine> {
  shared ??= createVerifyEngine();
  return shared;
}

/** Counts what reaches the engine and answers when told to. */
export class HeldEngine implements VerifyEngine {
  readonly name = 'native';
  operations = 0;
  readonly #waiting: (() => void)[] = [];
  #held: boolean;

  constructor(
    readonly inner: VerifyEngine,
    held = true,
  ) {
    this.#held = held;
  }

  async verify(items: readonly VerifyItem[]): Promise<boolean[]> {
    this.operations += items.length;
    const verdicts = this.inner.verify(items);
    if (this.#held) await new Promise<void>((go) => this.#waiting.push(go));
    return verdicts;
  }

  /** Lets the oldest call answer. */
  release(): void {
    this.#waiting.shift()?.();
  }

  releaseAll(): void {
    this.#held = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  async close(): Promise<void> {}
}

/** A relay's service with a clock that stands where it is put and an engine that counts. */
export class Bench {
  now = T0;
  readonly engine: HeldEngine;
  readonly store: MemoryPresenceStore;
  readonly service: PresenceService;

  constructor(
    inner: VerifyEngine,
    options: Partial<PresenceServiceOptions> & { readonly store?: MemoryPresenceStore } = {},
    storeOptions: StoreOptions = {},
    held = false,
  ) {
    this.engine = new HeldEngine(inner, held);
    this.store = options.store ?? new MemoryPresenceStore(storeOptions);
    this.service = new PresenceService({
      store: this.store,
      network: NETWORKS.main,
      ownType: 'R',
      engine: this.engine,
      now: () => this.now,
      ...options,
    });
  }

  get operations(): number {
    return this.engine.operations;
  }

  /** Puts endpoints of a wallet in through a presence and forgets what that cost. */
  async seed(addresses: readonly PresenceAddress[], who = 'w0'): Promise<void> {
    const o = await this.service.receivePresence(await packet(addresses, who));
    if (o.kind !== 'changed') throw new Error(`the seed was ${o.kind}`);
    this.engine.operations = 0;
  }
}

/** Lets everything that can settle settle. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((r) => setImmediate(r));
}
