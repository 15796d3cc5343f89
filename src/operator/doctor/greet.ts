import { systemClock } from '../../clock/index.js';
import { Counters } from '../../counters/index.js';
import {
  createSigner,
  createVerifyEngine,
  generateRsaPrivateKey,
  type Signer,
  type VerifyEngine,
} from '../../identity/index.js';
import { Link, type LinkClose, type PeerInfo, type SelfInfo, signDirectly } from '../../link/index.js';
import { DialError, dialTcp } from '../../link/node/index.js';
import { Bye, type Network } from '../../wire/index.js';

/** How long a connection and its hello may take each. */
export const greetTimeoutMs = 5_000;
/** The key that says hello for a check lives for one run: small, so that it is made at once. */
const greeterKeyBits = 2_048;

/** What came of saying hello somewhere. */
export interface Greeting {
  /** A TCP connection came about. */
  readonly reached: boolean;
  /** The node answered in the protocol: helloData, or a bye with its reason. */
  readonly answered: boolean;
  /** Who answered, null unless the handshake was completed. */
  readonly peer: PeerInfo | null;
  /** Why there is no peer, '' when there is one. */
  readonly problem: string;
  /** Milliseconds from the dial to the answer. */
  readonly tookMs: number;
  /** Seconds by which this machine's clock is ahead of the peer's, null when unknown. */
  readonly clockOffsetSeconds: number | null;
}

/**
 * Says hello to nodes of a network as a passing client with a key of its own, so that a running relay's connections
 * and sessions notice nothing.
 */
export class Greeter {
  #signer: Promise<Signer> | null = null;
  #engine: Promise<VerifyEngine> | null = null;

  constructor(
    private readonly network: Network,
    private readonly nowMs: () => number = () => Date.now(),
    private readonly timeoutMs: number = greetTimeoutMs,
  ) {}

  /** Never rejects: what went wrong is in the answer. `wallet`: who must answer, null for anybody. */
  async greet(host: string, port: number, wallet: Uint8Array | null = null): Promise<Greeting> {
    const started = performance.now();
    this.#signer ??= freshSigner();
    this.#engine ??= createVerifyEngine();
    const [signer, engine] = [await this.#signer, await this.#engine];
    const none = { reached: false, answered: false, peer: null, clockOffsetSeconds: null };
    const took = (): number => Math.round(performance.now() - started);
    let transport: Awaited<ReturnType<typeof dialTcp>>;
    try {
      transport = await dialTcp({ host, port, timeoutMs: this.timeoutMs });
    } catch (e) {
      const problem = e instanceof DialError ? e.reason : String(e);
      return { ...none, problem, tookMs: took() };
    }
    const { nowMs, network } = this;
    const self: SelfInfo = {
      network,
      nodeType: 'C',
      address: signer.address,
      publicKey: signer.publicKey,
      productVersion: 'starling-doctor',
      deviceId: Uint8Array.of(1),
      publicEndpoint: () => ({ ip: '', port: 0 }),
      networkTimeMs: nowMs,
      tip: () => null,
      sign: signDirectly(signer, () => systemClock.nowMs()),
    };
    return new Promise((resolve) => {
      const end = (peer: PeerInfo | null, close: LinkClose | null): void => {
        const said = close !== null && close.byeCode !== null;
        resolve({
          reached: true,
          answered: peer !== null || said,
          peer,
          problem: peer !== null || close === null ? '' : closeText(close),
          tookMs: took(),
          clockOffsetSeconds: peer === null ? null : Math.round(nowMs() / 1000) - peer.timestamp,
        });
      };
      const link = new Link(transport, {
        direction: 'out',
        self,
        clock: systemClock,
        engine,
        counters: new Counters(),
        limits: { helloTimeoutMs: this.timeoutMs },
        policy: { expectedWallet: wallet },
        handlers: {
          onOpen: () => {
            end(link.peer, null);
            link.bye(Bye.bye, 'Thank you');
          },
          onClose: (_link, close) => {
            if (!close.opened) end(null, close);
          },
          onError: () => link.destroy(),
        },
      });
    });
  }

  async close(): Promise<void> {
    if (this.#engine !== null) await (await this.#engine).close();
  }
}

async function freshSigner(): Promise<Signer> {
  return createSigner(await generateRsaPrivateKey({ bits: greeterKeyBits }));
}

function closeText(close: LinkClose): string {
  if (close.byeCode === null) return close.why === 'hello-timeout' ? 'no answer to the hello' : close.why;
  return `bye ${close.byeCode}${close.text === '' ? '' : `: ${close.text.slice(0, 80)}`}`;
}
