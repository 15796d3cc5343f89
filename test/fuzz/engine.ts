import { performance } from 'node:perf_hooks';
import { bytesEqual, toHex } from '../../src/wire/index.js';
import { seededRandom } from '../support/random.js';
import type { Target } from './target.js';

/** A decoder that takes longer than this for one input can be used to stop a relay. */
const callMsMax = 200;
/** A slow call counts only if it is slow again: the machine may have been busy. */
const slowRetries = 3;
/** Longest input that is made; limits above it have tests of their own. */
const inputBytesMax = 8_192;
/** Bytes of poison on both sides of the input. */
const poisonBytes = 64;
/** The deep checks (what the result holds, influence of the poison) are made on every so many inputs. */
const deepEvery = 8;
/**
 * What one call may allocate in one piece, and what its result may hold: the input some times over (hex text,
 * re-encoding, tables of words) and a constant for fixed tables.
 */
const allocationFactor = 64;
const allocationConstant = 64 * 1024;

/** 32-bit numbers of a printed seed. */
export function random(seed: number): () => number {
  const next = seededRandom(seed);
  return () => next() * 2 ** 32;
}

/** Byte strings that decoders treat specially: lead bytes of every integer form, huge lengths, signs. */
const TOKENS: readonly number[][] = [
  [0],
  [1],
  [0x7f],
  [0x80],
  [0xf7],
  [0xf8, 1],
  [0xfb, 0xff],
  [0xfc, 0xff],
  [0xfd, 0xff, 0xff],
  [0xfe, 0xff, 0xff, 0xff, 0x7f],
  [0xfe, 0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff],
  [0xea],
  [0x02],
];

/** One damaged input, made of one or two of the corpus. */
export function mutate(corpus: readonly Uint8Array[], rnd: () => number): Uint8Array {
  const pick = (): Uint8Array => corpus[rnd() % corpus.length]!;
  let bytes = [...pick()];
  const rounds = 1 + (rnd() % 4);
  for (let i = 0; i < rounds; i++) {
    const at = bytes.length === 0 ? 0 : rnd() % bytes.length;
    switch (rnd() % 9) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (rnd() & 7));
        break;
      case 1:
        bytes[at] = rnd() & 255;
        break;
      case 2:
        bytes.splice(at, 1 + (rnd() % 8));
        break;
      case 3:
        bytes.splice(at, 0, ...TOKENS[rnd() % TOKENS.length]!);
        break;
      case 4: {
        const token = TOKENS[rnd() % TOKENS.length]!;
        bytes.splice(at, token.length, ...token);
        break;
      }
      case 5:
        bytes = bytes.slice(0, at);
        break;
      case 6: {
        const other = pick();
        bytes = [...bytes.slice(0, at), ...other.subarray(rnd() % (other.length + 1))];
        break;
      }
      case 7:
        bytes.push(...bytes.slice(at, at + 64));
        break;
      default: {
        const n = rnd() % 16;
        for (let k = 0; k < n; k++) bytes.push(rnd() & 255);
      }
    }
  }
  return Uint8Array.from(bytes.slice(0, inputBytesMax));
}

/** The input at the very end of what belongs to it, with poison before and behind. */
function poisoned(input: Uint8Array, poison: number): Uint8Array {
  const whole = new Uint8Array(poisonBytes + input.length + poisonBytes).fill(poison);
  whole.set(input, poisonBytes);
  return whole.subarray(poisonBytes, poisonBytes + input.length);
}

/** Everything a result says, as text, and how many bytes it holds beyond views into the input. */
function describe(value: unknown, input: Uint8Array): { text: string; bytes: number } {
  let bytes = 0;
  const seen = new Set<unknown>();
  const walk = (v: unknown): string => {
    if (v instanceof Uint8Array) {
      if (v.buffer !== input.buffer) bytes += v.length;
      return toHex(v);
    }
    if (typeof v === 'string') {
      bytes += v.length;
      return JSON.stringify(v);
    }
    if (typeof v !== 'object' || v === null) {
      bytes += 8;
      return String(v);
    }
    if (seen.has(v)) return '…';
    seen.add(v);
    if (ArrayBuffer.isView(v)) {
      bytes += v.byteLength;
      return toHex(new Uint8Array(v.buffer, v.byteOffset, v.byteLength));
    }
    if (v instanceof Map) return `{${[...v].map(([k, x]) => `${walk(k)}:${walk(x)}`).join()}}`;
    if (Array.isArray(v) || v instanceof Set) return `[${[...v].map(walk).join()}]`;
    return `{${Object.entries(v)
      .map(([k, x]) => `${k}:${walk(x)}`)
      .join()}}`;
  };
  return { text: walk(value), bytes };
}

/** A defect found: the input and what is wrong with it. */
export class Finding extends Error {
  constructor(target: string, what: string, input: Uint8Array, cause?: unknown) {
    super(`${target}: ${what}; input ${toHex(input)}`, cause === undefined ? {} : { cause });
  }
}

/** Largest piece asked of the allocator since the last reset. */
const largest = { bytes: 0 };

/**
 * Watches `new Uint8Array(n)` and its siblings while `body` runs: a decoder that believes a declared length
 * shows here even when it fails right afterwards.
 */
export function watchingAllocations<T>(body: () => T): T {
  const g = globalThis as unknown as Record<string, unknown>;
  const names = ['Uint8Array', 'Uint32Array', 'BigUint64Array', 'ArrayBuffer', 'Array'] as const;
  const saved = names.map((n) => g[n]);
  for (const n of names) {
    const original = g[n] as new (...args: unknown[]) => object;
    g[n] = new Proxy(original, {
      construct(target, args, newTarget): object {
        if (args.length === 1 && typeof args[0] === 'number')
          largest.bytes = Math.max(largest.bytes, args[0]);
        return Reflect.construct(target, args, newTarget === g[n] ? target : newTarget) as object;
      },
    });
  }
  try {
    return body();
  } finally {
    names.forEach((n, i) => {
      g[n] = saved[i];
    });
  }
}

interface Outcome {
  readonly value: unknown;
  readonly error: string | null;
  readonly ms: number;
}

function call(target: Target, view: Uint8Array, input: Uint8Array): Outcome {
  const begin = performance.now();
  try {
    const value = target.run(view);
    return { value, error: null, ms: performance.now() - begin };
  } catch (e) {
    const ms = performance.now() - begin;
    if (!(e instanceof Error) || !target.throws.some((t) => e instanceof t))
      throw new Finding(target.name, `throws ${String(e)}`, input, e);
    return { value: null, error: `${e.name}: ${e.message}`, ms };
  }
}

/** Runs one input with every check. Returns whether it was accepted. Throws {@link Finding}. */
export function check(target: Target, input: Uint8Array, deep = true): boolean {
  const allowed = allocationConstant + allocationFactor * input.length;
  const view = poisoned(input, 0xa5);
  largest.bytes = 0;
  const first = call(target, view, input);
  if (largest.bytes > allowed)
    throw new Finding(target.name, `allocates ${largest.bytes} bytes in one piece`, input);
  const most = target.slowMs ?? callMsMax;
  let { ms } = first;
  for (let i = 0; i < slowRetries && ms > most; i++) ms = call(target, poisoned(input, 0xa5), input).ms;
  if (ms > most) throw new Finding(target.name, `takes ${Math.round(ms)} ms`, input);
  if (!bytesEqual(view, input)) throw new Finding(target.name, 'changes its input', input);
  if (!deep) return first.error === null;
  const other = poisoned(input, 0x5a);
  const second = call(target, other, input);
  const a = describe(first.value, view);
  const b = describe(second.value, other);
  if (first.error !== second.error || a.text !== b.text)
    throw new Finding(target.name, 'reads bytes that are not its input', input);
  if (a.bytes > allowed) throw new Finding(target.name, `result holds ${a.bytes} bytes`, input);
  return first.error === null;
}

export interface Report {
  readonly runs: number;
  readonly accepted: number;
}

/** Fuzzes one target until the time is over; at least one pass over the corpus. */
export function fuzz(target: Target, corpus: readonly Uint8Array[], ms: number, seed: number): Report {
  return watchingAllocations(() => {
    const end = performance.now() + ms;
    const rnd = random(seed);
    let runs = 0;
    let accepted = 0;
    for (const input of corpus) {
      if (check(target, input)) accepted++;
      runs++;
    }
    while (performance.now() < end) {
      if (check(target, mutate(corpus, rnd), runs % deepEvery === 0)) accepted++;
      runs++;
    }
    return { runs, accepted };
  });
}
