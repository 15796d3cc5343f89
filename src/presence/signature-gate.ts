import { sha512, VerifyBusy, type VerifyEngine, type VerifyItem } from '../identity/index.js';
import { bytesKey, concatBytes } from '../wire/index.js';

/** Signatures that may wait for the engine at once: about 2 s of one core, then senders are refused. */
export const pendingSignaturesMax = 4096;
/** Refused signatures remembered per generation; two generations are kept, about 4 MB. */
const rememberedRefusalsMax = 16_384;
/** Bytes of a digest that tells signatures apart. */
const digestBytes = 24;

/** Why no verdict was reached. */
export type GateRefusal = 'busy';

/**
 * The way from presence to the verify engine: the same question asked twice at once costs one RSA operation,
 * a signature that failed is not tried again, and no more than a bounded number waits.
 */
export class SignatureGate {
  readonly #engine: VerifyEngine;
  readonly #pendingMax: number;
  readonly #underWay = new Map<string, Promise<boolean | GateRefusal>>();
  #refused = new Set<string>();
  #refusedBefore = new Set<string>();

  constructor(engine: VerifyEngine, pendingMax = pendingSignaturesMax) {
    this.#engine = engine;
    this.#pendingMax = pendingMax;
  }

  /** Signatures at the engine right now. */
  get pending(): number {
    return this.#underWay.size;
  }

  /**
   * Verdicts in the order of the items, `busy` where the queue was full, here or at the engine. One engine call for all
   * of them. Rejects when the engine reached no verdict.
   */
  async verify(items: readonly VerifyItem[]): Promise<(boolean | GateRefusal)[]> {
    const out: (boolean | GateRefusal | Promise<boolean | GateRefusal>)[] = [];
    const fresh: { readonly item: VerifyItem; readonly digest: string; readonly at: number }[] = [];
    const asked = new Map<string, number>();
    for (const item of items) {
      const digest = digestOf(item);
      const same = asked.get(digest);
      const joined = this.#underWay.get(digest);
      if (this.#isRefused(digest)) out.push(false);
      else if (joined !== undefined) out.push(joined);
      else if (same !== undefined) out.push(this.#share(out, same));
      else if (this.#underWay.size + fresh.length >= this.#pendingMax) out.push('busy');
      else {
        asked.set(digest, out.length);
        fresh.push({ item, digest, at: out.length });
        out.push(false);
      }
    }
    if (fresh.length > 0) {
      const run = this.#engine.verify(fresh.map((f) => f.item));
      fresh.forEach((f, i) => {
        const verdict = run.then((all) => all[i] === true, busyOrThrow);
        out[f.at] = verdict;
        this.#underWay.set(f.digest, verdict);
        const settled = (ok: boolean | GateRefusal | null): void => {
          this.#underWay.delete(f.digest);
          if (ok === false) this.#remember(f.digest);
        };
        verdict.then(settled, () => settled(null));
      });
    }
    return Promise.all(out);
  }

  /** Resolves once the earlier of two equal items has its verdict in place. */
  #share(
    out: readonly (boolean | GateRefusal | Promise<boolean | GateRefusal>)[],
    at: number,
  ): Promise<boolean | GateRefusal> {
    return Promise.resolve().then(() => out[at]!);
  }

  #isRefused(digest: string): boolean {
    return this.#refused.has(digest) || this.#refusedBefore.has(digest);
  }

  #remember(digest: string): void {
    if (this.#refused.size >= rememberedRefusalsMax) {
      this.#refusedBefore = this.#refused;
      this.#refused = new Set();
    }
    this.#refused.add(digest);
  }
}

/** An engine that took nothing said nothing about the signature: it must not be remembered as refused. */
function busyOrThrow(error: unknown): GateRefusal {
  if (error instanceof VerifyBusy) return 'busy';
  throw error;
}

/** Key, message and signature all count: the same signature under another key is another question. */
function digestOf(item: VerifyItem): string {
  return bytesKey(sha512(concatBytes(item.message, item.signature, item.key)).subarray(0, digestBytes));
}
