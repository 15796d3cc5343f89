import { type Core, loadCore, type RsaItem } from '../../core/index.js';
import { BaseEngine, turn } from './base.js';
import { type Candidate, candidate, type VerifyItem } from './engine.js';
import { LazyForge } from './forge.js';

/** Items verified in one go on the calling thread: about 20 ms of 4096-bit keys. */
const chunkItemsMax = 16;

/** What the kernels were made for; anything else goes the slow road, so that verdicts are those of every engine. */
const kernelBitsMin = 2048;
const kernelExponentBytesMax = 4;

/** RSA in the WebAssembly core: one arena, no dependency, the same in every runtime. */
export class WasmEngine extends BaseEngine {
  override readonly name = 'wasm-scalar';
  readonly #core: Core;
  readonly #forge = new LazyForge();

  private constructor(core: Core) {
    super();
    this.#core = core;
  }

  /** Null where WebAssembly is not available and the core runs as JavaScript. */
  static async create(): Promise<WasmEngine | null> {
    const core = await loadCore();
    return core.engine === 'wasm-scalar' ? new WasmEngine(core) : null;
  }

  protected override async run(items: readonly VerifyItem[]): Promise<boolean[]> {
    const verdicts = new Array<boolean>(items.length).fill(false);
    const batch: RsaItem[] = [];
    const places: number[] = [];
    const odd: (readonly [place: number, c: Candidate])[] = [];
    items.forEach((item, i) => {
      const c = candidate(item);
      if (c === null) return;
      const { n, e, bits } = c.parsed;
      if (bits < kernelBitsMin || e.length > kernelExponentBytesMax) odd.push([i, c]);
      else {
        const exponent = e.reduce((sum, b) => sum * 256 + b, 0);
        batch.push({ modulus: n, exponent, signature: c.signature, message: c.message });
        places.push(i);
      }
    });
    this.operationsDone += batch.length + odd.length;
    for (let at = 0; at < batch.length; at += chunkItemsMax) {
      if (at > 0) await turn();
      const answers = this.#core.rsaVerifyBatch(batch.slice(at, at + chunkItemsMax));
      answers.forEach((answer, i) => {
        verdicts[places[at + i]!] = answer === 1;
      });
    }
    for (const [place, c] of odd) verdicts[place] = await this.#forge.verify(c);
    return verdicts;
  }

  protected override release(): void {
    // The core is shared by the whole thread and holds nothing between calls.
  }
}
