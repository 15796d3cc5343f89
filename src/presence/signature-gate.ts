import { sha512, VerifyBusy, type VerifyEngine, type VerifyItem } from '../identity/index.js';
import { bytesEqual, bytesKey, concatBytes } from '../wire/index.js';
import { UnderWay, type Waiting } from './under-way.js';

/** Signatures that may wait for the engine at once: about 2 s of one core, then senders are refused. */
export const pendingSignaturesMax = 4096;
/** Refused signatures remembered per generation; two generations are kept, about 4 MB. */
const rememberedRefusalsMax = 16_384;
/** Bytes of a digest that tells signatures apart. */
const digestBytes = 24;
/**
 * Questions compared before one is taken for another: their short hashes agree by chance hardly ever, and whoever makes
 * them agree on purpose gains no more RSA operations than with so many different questions.
 */
const sameHashMax = 8;
/** Bytes at the end of a message, and at both ends of a signature, that a short hash is made of. */
const hashedMessageBytes = 24;
const hashedSignatureBytes = 8;

/** Why no verdict was reached. */
export type GateRefusal = 'busy';

/** The verdict on one item. */
export type GateVerdict = boolean | GateRefusal;

/** One call of the engine. */
interface Run {
  readonly questions: Question[];
  /** Verdicts in the order of the questions, or `busy` for all of them. */
  verdicts: Promise<readonly boolean[] | GateRefusal>;
}

interface Question extends Waiting {
  readonly item: VerifyItem;
  readonly run: Run;
  /** Its place in the run. */
  readonly at: number;
}

/**
 * The way from presence to the verify engine: the same question asked twice at once costs one RSA operation,
 * a signature that failed is not tried again, and no more than a bounded number waits.
 *
 * Questions under way are found by a short hash and compared whole. A digest is made only of what failed, and of what
 * looks like it: hashing every signature with SHA-512 took a tenth of the time that verifying it takes.
 */
export class SignatureGate {
  readonly #engine: VerifyEngine;
  readonly #pendingMax: number;
  readonly #underWay = new UnderWay<Question>();
  #pending = 0;
  #refused = new Set<string>();
  #refusedBefore = new Set<string>();
  /** Short hashes of what was refused, and perhaps of others. */
  #suspects = new Set<number>();
  #suspectsBefore = new Set<number>();

  constructor(engine: VerifyEngine, pendingMax = pendingSignaturesMax) {
    this.#engine = engine;
    this.#pendingMax = pendingMax;
  }

  /** Signatures at the engine right now. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Verdicts in the order of the items, `busy` where the queue was full, here or at the engine. One engine call for all
   * of them; the items' arrays may be reused once it has answered. Rejects when the engine reached no verdict.
   */
  async verify(items: readonly VerifyItem[]): Promise<GateVerdict[]> {
    const own: Run = { questions: [], verdicts: Promise.resolve([]) };
    const out: (GateVerdict | Question)[] = [];
    for (const item of items) out.push(this.#place(item, own));
    if (own.questions.length > 0) own.verdicts = this.#ask(own);
    const answers = new Map<Run, readonly boolean[] | GateRefusal>();
    for (const o of out) if (typeof o === 'object' && !answers.has(o.run)) answers.set(o.run, []);
    const runs = [...answers.keys()];
    const settled = await Promise.all(runs.map((r) => r.verdicts));
    for (const [i, r] of runs.entries()) answers.set(r, settled[i]!);
    return out.map((o) => {
      if (typeof o !== 'object') return o;
      const verdicts = answers.get(o.run)!;
      return verdicts === 'busy' ? 'busy' : verdicts[o.at] === true;
    });
  }

  /** The verdict where one is known without asking; else the question, which may be another's already. */
  #place(item: VerifyItem, run: Run): GateVerdict | Question {
    const hash = hashOf(item);
    if (this.#isRefused(item, hash)) return false;
    let looked = 0;
    for (
      let q = this.#underWay.first(hash);
      q !== null && looked < sameHashMax;
      q = this.#underWay.after(q)
    ) {
      if (q.hash !== hash) continue;
      if (isSame(q.item, item)) return q;
      looked++;
    }
    if (this.#pending >= this.#pendingMax) return 'busy';
    const question: Question = { item, hash, run, at: run.questions.length, slot: 0 };
    this.#underWay.add(question);
    run.questions.push(question);
    this.#pending++;
    return question;
  }

  async #ask(run: Run): Promise<readonly boolean[] | GateRefusal> {
    try {
      const verdicts = await this.#engine.verify(run.questions.map((q) => q.item));
      for (const q of run.questions) if (verdicts[q.at] !== true) this.#remember(q);
      return verdicts;
    } catch (error) {
      // An engine that took nothing said nothing about the signatures: they must not be remembered as refused.
      if (error instanceof VerifyBusy) return 'busy';
      throw error;
    } finally {
      for (const q of run.questions) this.#underWay.delete(q);
      this.#pending -= run.questions.length;
    }
  }

  #isRefused(item: VerifyItem, hash: number): boolean {
    if (!this.#suspects.has(hash) && !this.#suspectsBefore.has(hash)) return false;
    const digest = digestOf(item);
    return this.#refused.has(digest) || this.#refusedBefore.has(digest);
  }

  #remember(q: Question): void {
    if (this.#refused.size >= rememberedRefusalsMax) {
      this.#refusedBefore = this.#refused;
      this.#suspectsBefore = this.#suspects;
      this.#refused = new Set();
      this.#suspects = new Set();
    }
    this.#refused.add(digestOf(q.item));
    this.#suspects.add(q.hash);
  }
}

const isSame = (a: VerifyItem, b: VerifyItem): boolean =>
  bytesEqual(a.message, b.message) && bytesEqual(a.signature, b.signature) && bytesEqual(a.key, b.key);

/** 32 bits of message and signature; the end of a message is a hash itself, or what differs between claims. */
function hashOf({ message, signature }: VerifyItem): number {
  let h = 0x811c_9dc5;
  for (let i = Math.max(0, message.length - hashedMessageBytes); i < message.length; i++)
    h = Math.imul(h ^ message[i]!, 0x0100_0193);
  const n = Math.min(hashedSignatureBytes, signature.length);
  for (let i = 0; i < n; i++) h = Math.imul(h ^ signature[i]!, 0x0100_0193);
  for (let i = signature.length - n; i < signature.length; i++) h = Math.imul(h ^ signature[i]!, 0x0100_0193);
  // Signed, because such numbers are keys without an object of their own.
  return h | 0;
}

/** Key, message and signature all count: the same signature under another key is another question. */
function digestOf(item: VerifyItem): string {
  return bytesKey(sha512(concatBytes(item.message, item.signature, item.key)).subarray(0, digestBytes));
}
