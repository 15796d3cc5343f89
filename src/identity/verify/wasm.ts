import { loadRsaCore, type RsaCore, type RsaEngineName, RsaVerdict } from '../../core/index.js';
import { BaseEngine, turn } from './base.js';
import { candidate, type VerifyItem } from './engine.js';
import { LazyForge } from './forge.js';

/**
 * Items verified in one go on the calling thread: with 4096-bit keys about 20 ms of the scalar kernel, and 5 ms of the
 * others, whose batches are larger so that few are left without a partner.
 */
const chunkItemsMax: Readonly<Record<RsaEngineName, number>> = {
  'wasm-relaxed': 64,
  'wasm-simd': 64,
  'wasm-scalar': 16,
};

/** RSA in a kernel of the WebAssembly core: keys are parsed, messages hashed and signatures judged in its arena. */
export class WasmEngine extends BaseEngine {
  override readonly name: RsaEngineName;
  readonly #core: RsaCore;
  readonly #forge = new LazyForge();

  private constructor(core: RsaCore) {
    super();
    this.name = core.engine;
    this.#core = core;
  }

  /** Null where this runtime cannot run that kernel. */
  static async create(name: RsaEngineName): Promise<WasmEngine | null> {
    const core = await loadRsaCore(name);
    return core === null ? null : new WasmEngine(core);
  }

  protected override async run(items: readonly VerifyItem[]): Promise<boolean[]> {
    const out: boolean[] = [];
    const chunk = chunkItemsMax[this.name];
    for (let at = 0; at < items.length; at += chunk) {
      if (at > 0) await turn();
      const part = items.slice(at, at + chunk);
      const verdicts = this.#core.verifyKeys(part);
      for (let i = 0; i < part.length; i++) {
        const verdict = verdicts[i]!;
        if (verdict !== RsaVerdict.refused) this.operationsDone++;
        // Waited for only where there is something to wait for: it would cost every item a turn of the microtasks.
        out.push(
          verdict === RsaVerdict.elsewhere ? await this.#elsewhere(part[i]!) : verdict === RsaVerdict.valid,
        );
      }
    }
    return out;
  }

  async #elsewhere(item: VerifyItem): Promise<boolean> {
    const c = candidate(item);
    return c !== null && (await this.#forge.verify(c));
  }

  protected override release(): void {
    // The kernel is shared by the whole thread and holds nothing between calls.
  }
}
