import { publicKeyToJwk, type RsaPublicKey } from '../rsa-key.js';
import { webBytes } from '../runtime.js';
import { BaseEngine } from './base.js';
import { type Candidate, candidate, KeyCache, type VerifyItem } from './engine.js';
import { LazyForge } from './forge.js';

const ALGORITHM = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' } as const;

/** Browsers verify off the main thread by themselves; this many of one call at a time keeps their queue short. */
const inFlightMax = 16;

/** Exponents every browser imports; others are refused by some, and verdicts must not depend on the browser. */
function isCommonExponent(e: Uint8Array): boolean {
  return (e.length === 1 && e[0] === 3) || (e.length === 3 && e[0] === 1 && e[1] === 0 && e[2] === 1);
}

/** The platform's WebCrypto. */
export class WebCryptoEngine extends BaseEngine {
  override readonly name = 'webcrypto';
  readonly #subtle: SubtleCrypto;
  readonly #keys: KeyCache<Promise<CryptoKey | null>>;
  readonly #forge = new LazyForge();

  constructor(subtle: SubtleCrypto) {
    super();
    this.#subtle = subtle;
    this.#keys = new KeyCache((key: RsaPublicKey) =>
      subtle.importKey('jwk', publicKeyToJwk(key), ALGORITHM, false, ['verify']).catch(() => null),
    );
  }

  protected override async run(items: readonly VerifyItem[]): Promise<boolean[]> {
    const out: boolean[] = [];
    for (let i = 0; i < items.length; i += inFlightMax) {
      const group = items.slice(i, i + inFlightMax).map((item) => {
        const c = candidate(item);
        return c === null ? false : this.#check(c);
      });
      out.push(...(await Promise.all(group)));
    }
    return out;
  }

  async #check(c: Candidate): Promise<boolean> {
    if (!isCommonExponent(c.parsed.e)) {
      this.operationsDone++;
      return await this.#forge.verify(c);
    }
    const key = await this.#keys.get(c);
    if (key === null) return false;
    this.operationsDone++;
    return await this.#subtle.verify(ALGORITHM.name, key, webBytes(c.signature), webBytes(c.message));
  }

  protected override release(): void {
    this.#keys.clear();
  }
}
