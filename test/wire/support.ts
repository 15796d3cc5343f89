import type { StreamSink } from '../../src/wire/index.js';
import { toHex } from '../../src/wire/index.js';

/** Everything a parser handed out, in order, as text. */
export class Recorder implements StreamSink {
  readonly events: string[] = [];
  frame(code: number, payload: Uint8Array, crcValid: boolean): void {
    this.events.push(`frame ${code} ${toHex(payload)} ${crcValid}`);
  }
  time(ms: bigint): void {
    this.events.push(`time ${ms}`);
  }
  byte(b: number): void {
    this.events.push(`byte ${b}`);
  }
}

/** Deterministic random numbers of a seed (mulberry32), so that a failure can be run again. */
export function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Seed of a fuzz loop: from SEED, else the clock. Put it into every failure message. */
export const fuzzSeed = (): number => Number(process.env.SEED ?? Date.now() % 2 ** 31);

export function randomBytesOf(random: () => number, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/** A copy with one to three bytes changed, a piece cut off, or bytes appended. */
export function mutated(random: () => number, bytes: Uint8Array): Uint8Array {
  const pick = random();
  if (pick < 0.25) return bytes.slice(0, Math.floor(random() * bytes.length));
  if (pick < 0.4) return Uint8Array.from([...bytes, ...randomBytesOf(random, 1 + Math.floor(random() * 9))]);
  const out = bytes.slice();
  const n = 1 + Math.floor(random() * 3);
  for (let i = 0; i < n && out.length > 0; i++)
    out[Math.floor(random() * out.length)] = Math.floor(random() * 256);
  return out;
}
