import { readFileSync } from 'node:fs';
import { type Clock, ManualClock, systemClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import {
  createSigner,
  createVerifyEngine,
  type Signer,
  type VerifyEngine,
} from '../../src/identity/index.js';
import {
  type Endpoint,
  type HandshakePolicy,
  Link,
  type LinkClose,
  type LinkLimits,
  type LinkOptions,
  type SelfInfo,
  signDirectly,
  type Transport,
} from '../../src/link/index.js';
import { fromHex, type Hello, helloPreimage, NETWORKS, type Network } from '../../src/wire/index.js';

interface WalletCase {
  readonly name: string;
  readonly in: { readonly privateKey: string };
}

const folder = new URL('../vectors/', import.meta.url);

/** A vector file, parsed. */
export function vectorFile<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as T;
}

const wallets = vectorFile<{ cases: WalletCase[] }>('wallets.json').cases;

const signers = new Map<string, Promise<Signer>>();

/** Signer of one of the public test wallets w0 … w5. */
export function signerOf(name: string): Promise<Signer> {
  let s = signers.get(name);
  if (s === undefined) {
    const found = wallets.find((c) => c.name === name);
    if (found === undefined) throw new Error(`no wallet ${name}`);
    s = createSigner(fromHex(found.in.privateKey));
    signers.set(name, s);
  }
  return s;
}

let sharedEngine: Promise<VerifyEngine> | null = null;

/** One engine for all suites of a file; needs no closing. */
export function engine(): Promise<VerifyEngine> {
  sharedEngine ??= createVerifyEngine('native-sync');
  return sharedEngine;
}

/** The unsigned part of a hello that `signer` would send. */
export async function signedHello(
  walletName: string,
  over: Partial<Hello> & { endpoint?: string; lock?: Uint8Array; signedChallenge?: number } = {},
): Promise<Hello> {
  const signer = await signerOf(walletName);
  const { endpoint, lock, signedChallenge, ...fields } = over;
  const hello: Hello = {
    version: 6,
    address: signer.address,
    testFlag: false,
    nodeType: 'C',
    productVersion: 'test-1.0',
    deviceId: Uint8Array.of(1, 2, 3),
    publicKey: signer.publicKey,
    port: 10235,
    timestamp: 1_767_225_600,
    signature: new Uint8Array(0),
    challenge: 77,
    ...fields,
  };
  if (fields.signature !== undefined) return hello;
  const message = helloPreimage({
    lock: lock ?? NETWORKS.main.lock,
    deviceId: hello.deviceId,
    timestamp: hello.timestamp,
    endpoint: endpoint ?? `203.0.113.7:${hello.port}`,
    challenge: signedChallenge ?? hello.challenge,
  });
  return { ...hello, signature: await signer.sign(message) };
}

export interface SelfOverrides {
  readonly wallet?: string;
  readonly nodeType?: string;
  readonly endpoint?: Endpoint;
  readonly network?: Network;
  readonly tip?: SelfInfo['tip'];
  readonly sign?: SelfInfo['sign'];
  readonly productVersion?: string;
  readonly deviceId?: Uint8Array;
}

/** A node for tests; R at 127.0.0.1:11235 unless told otherwise. */
export async function selfInfo(clock: Clock, over: SelfOverrides = {}): Promise<SelfInfo> {
  const signer = await signerOf(over.wallet ?? 'w0');
  return {
    network: over.network ?? NETWORKS.reg,
    nodeType: over.nodeType ?? 'R',
    address: signer.address,
    publicKey: signer.publicKey,
    productVersion: over.productVersion ?? 'starling-test',
    deviceId: over.deviceId ?? Uint8Array.of(1),
    publicEndpoint: () => over.endpoint ?? { ip: '127.0.0.1', port: 11235 },
    networkTimeMs: () => clock.nowMs(),
    tip: over.tip ?? (() => ({ number: 42, checksum: new Uint8Array(64).fill(7), version: 12 })),
    sign: over.sign ?? signDirectly(signer, () => clock.nowMs()),
  };
}

/** A link with everything it told. */
export class Watched {
  readonly messages: { code: number; payload: Uint8Array }[] = [];
  readonly errors: unknown[] = [];
  readonly counters = new Counters();
  readonly link: Link;
  opened = 0;
  /** Bytes that were charged. */
  charged = 0;
  drains = 0;
  closed: LinkClose | null = null;

  constructor(
    transport: Transport,
    options: Pick<
      LinkOptions,
      'direction' | 'self' | 'clock' | 'engine' | 'verifyHello' | 'issuer' | 'tickets'
    > & {
      policy?: HandshakePolicy;
      limits?: Partial<LinkLimits>;
      challenge?: number;
      onMessage?: (code: number, payload: Uint8Array) => void;
    },
  ) {
    const { onMessage, ...rest } = options;
    this.link = new Link(transport, {
      ...rest,
      counters: this.counters,
      handlers: {
        onOpen: () => {
          this.opened++;
        },
        onBytes: (_link, bytes) => {
          this.charged += bytes;
        },
        onMessage: (_link, code, payload) => {
          this.messages.push({ code, payload: payload.slice() });
          onMessage?.(code, payload);
        },
        onDrain: () => {
          this.drains++;
        },
        onClose: (_link, close) => {
          if (this.closed !== null) throw new Error('closed twice');
          this.closed = close;
        },
        onError: (_link, error) => {
          this.errors.push(error);
        },
      },
    });
  }

  /** Value of a counter by name and labels. */
  count(name: string, labels: Record<string, string>): number {
    for (const s of this.counters.samples())
      if (s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v))
        return 'value' in s.metric ? s.metric.value : s.metric.count;
    return 0;
  }
}

/** Waits on real time until `test` holds. */
export async function until(test: () => boolean, what = 'condition'): Promise<void> {
  const limit = Date.now() + 5_000;
  while (!test()) {
    if (Date.now() > limit) throw new Error(`timed out waiting for ${what}`);
    await new Promise((r) => setTimeout(r, 2));
  }
}

/** Lets microtasks and finished crypto run, a few turns. */
export async function settle(turns = 5): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((r) => setTimeout(r, 1));
}

export { ManualClock, systemClock };
