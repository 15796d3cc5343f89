import { fromHex, toHex } from '../../wire/index.js';
import { type Forge, loadForge } from '../forge.js';
import type { RsaPublicKey } from '../rsa-key.js';
import { InPlaceEngine } from './base.js';
import { type Candidate, opensTo } from './engine.js';

/**
 * Plain JavaScript: only the big-integer arithmetic of node-forge is used, the comparison is ours, so that
 * its padding parser is never asked. Runs everywhere, tens of milliseconds per 4096-bit signature.
 */
export class ForgeEngine extends InPlaceEngine {
  override readonly name = 'forge';
  protected override readonly chunkItemsMax = 1;
  readonly #forge: Forge;

  private constructor(forge: Forge) {
    super();
    this.#forge = forge;
  }

  /** Null where the module cannot be loaded: a bundle or an installation may have left it out. */
  static async create(): Promise<ForgeEngine | null> {
    const forge = await loadForge().catch(() => null);
    return forge === null ? null : new ForgeEngine(forge);
  }

  protected override check(c: Candidate): boolean {
    return forgeVerify(this.#forge, c);
  }

  protected override release(): void {
    // Nothing is held between items.
  }
}

/** For engines that cannot take every key: the rare odd one is checked with node-forge, loaded when it comes. */
export class LazyForge {
  #forge: Promise<Forge> | null = null;

  async verify(c: Candidate): Promise<boolean> {
    this.#forge ??= loadForge();
    return forgeVerify(await this.#forge, c);
  }
}

/** One verification with node-forge's integers. */
function forgeVerify(forge: Forge, c: Candidate): boolean {
  return opensTo(forgePublicOperation(forge, c.parsed, c.signature), c.message);
}

function forgePublicOperation(forge: Forge, key: RsaPublicKey, signature: Uint8Array): Uint8Array {
  const int = (b: Uint8Array): InstanceType<Forge['jsbn']['BigInteger']> =>
    new forge.jsbn.BigInteger(toHex(b), 16);
  const opened = int(signature).modPow(int(key.e), int(key.n)).toString(16);
  return fromHex(opened.padStart(key.n.length * 2, '0'));
}
