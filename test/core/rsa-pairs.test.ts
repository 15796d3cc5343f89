import { beforeAll, describe, expect, it, vi } from 'vitest';
import { relaxedWasm } from '../../src/core/generated/relaxed.js';
import { scalarWasm } from '../../src/core/generated/scalar.js';
import { simdWasm } from '../../src/core/generated/simd.js';
import { loadRsaCore, RsaVerdict, rsaEngineNames } from '../../src/core/index.js';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import { decodePublicKey, encodePublicKey } from '../../src/identity/index.js';
import { selfTestItems } from '../../src/identity/verify/self-test.js';
import { DecodeError } from '../../src/wire/index.js';

enableRelaxedSimd();

const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toBytes = (value: bigint, size: number): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex'));

function powerOf(s: bigint, exponent: number, n: bigint): bigint {
  let out = 1n;
  for (const bit of exponent.toString(2)) {
    out = (out * out) % n;
    if (bit === '1') out = (out * s) % n;
  }
  return out;
}

/** Small and repeatable; the seed is printed with a failure through the message of the expectation. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface PairExports {
  arenaBase(): number;
  selfTest(scratch: number): number;
  rsaPowerPair(moduli: number, bytes: number, signatures: number, exponent: number, out: number): number;
}

type Pair = readonly [bigint, bigint];

class PairModule {
  readonly #x: PairExports;
  readonly #bytes: Uint8Array;
  readonly #base: number;

  constructor(base64: string) {
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 4 });
    const module = new WebAssembly.Module(Buffer.from(base64, 'base64'));
    // The one place where types cannot follow: WebAssembly.Exports knows no signatures.
    this.#x = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as PairExports;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#base = this.#x.arenaBase();
  }

  get selfTest(): number {
    return this.#x.selfTest(this.#base);
  }

  power(moduli: Pair, signatures: Pair, exponent: number, size: number): Pair | null {
    const base = this.#base;
    moduli.forEach((n, i) => {
      this.#bytes.set(toBytes(n, size), base + i * size);
    });
    signatures.forEach((s, i) => {
      this.#bytes.set(toBytes(s, size), base + 1024 + i * size);
    });
    if (this.#x.rsaPowerPair(base, size, base + 1024, exponent, base + 2048) === 0) return null;
    const result = (i: number): bigint =>
      toBigInt(this.#bytes.slice(base + 2048 + i * size, base + 2048 + (i + 1) * size));
    return [result(0), result(1)];
  }
}

describe.each([
  ['wasm-relaxed', relaxedWasm, 51],
  ['wasm-simd', simdWasm, 23],
] as const)('two powers at a time, %s', (_name, base64, width) => {
  let pairs: PairModule;
  beforeAll(() => {
    pairs = new PairModule(base64);
  });

  const mask = (1n << BigInt(width)) - 1n;
  const half = 1n << BigInt(width - 1);
  /** Where a balanced digit is largest, smallest, or about to carry. */
  const extremes = [0n, 1n, half - 2n, half - 1n, half, half + 1n, mask - 1n, mask];
  const count = Math.ceil(4200 / width);
  const number = (digit: (i: number) => bigint): bigint => {
    let out = 0n;
    for (let i = 0; i < count; i++) out |= digit(i) << BigInt(i * width);
    return out;
  };
  const shaped = (n: bigint, bits: number): bigint =>
    (n & ((1n << BigInt(bits)) - 1n)) | 1n | (1n << BigInt(bits - 1));

  const check = (moduli: Pair, signatures: Pair, exponent: number, size: number, what: string): void => {
    const got = pairs.power(moduli, signatures, exponent, size);
    const want = moduli.map((n, i) => powerOf(signatures[i]!, exponent, n));
    expect(got, what).toEqual(want);
  };

  it('passes its self-test here', () => {
    expect(pairs.selfTest).toBe(1);
  });

  it('all digits at one extreme, in modulus and signature', () => {
    for (const a of extremes) {
      const n = shaped(
        number(() => a),
        4096,
      );
      for (const b of extremes) {
        const s = number(() => b) % n;
        check([n, n - 2n], [s, n - 3n], 3, 512, `digits ${a.toString(16)} and ${b.toString(16)}`);
      }
      check([n, n], [number(() => mask) % n, number(() => half) % n], 65537, 512, a.toString(16));
    }
  });

  it('digits that alternate between extremes', () => {
    for (const a of extremes)
      for (const b of extremes) {
        const pattern = number((i) => (i % 2 === 0 ? a : b));
        const n = shaped(pattern, 4095);
        const m = shaped(~pattern & ((1n << 4096n) - 1n), 4096);
        check([n, m], [pattern % n, pattern % m], 3, 512, `${a.toString(16)}, ${b.toString(16)}`);
      }
  });

  it('signatures 0, 1, n − 1, n/2 and powers of two against moduli just above and below powers of two', () => {
    const moduli = [(1n << 4095n) + 1n, (1n << 4096n) - 1n, (1n << 4089n) + 1n, (1n << 4088n) + 1n];
    for (const n of moduli) {
      const signatures = [0n, 1n, n - 1n, n >> 1n, (n >> 1n) + 1n, 1n << 4000n, (1n << 4088n) - 1n];
      for (let i = 0; i + 1 < signatures.length; i++)
        check([n, n], [signatures[i]!, signatures[i + 1]!], 65537, 512, `${n.toString(16).slice(0, 8)} ${i}`);
    }
  });

  it('every length of modulus, each with its first byte at its least and most, wide after narrow', () => {
    const random = generator(7);
    const sizes = Array.from({ length: 257 }, (_, i) => 256 + i);
    // Not in order, so that what a wider number leaves behind is seen by a narrower one.
    for (const size of sizes.sort(() => random() - 0.5)) {
      const least = size === 256 ? 1n << 2047n : 1n << BigInt(8 * size - 8);
      const all = (1n << BigInt(8 * size)) - 1n;
      check([least + 1n, all], [least, all - 1n], 3, size, `${size} bytes`);
      check([all - 2n, least + 3n], [all >> 1n, least - 1n], 65537, size, `${size} bytes`);
    }
  });

  it('other exponents, with factors on the way', () => {
    const n = shaped(
      number((i) => (i % 3 === 0 ? half : mask)),
      4096,
    );
    const s = number(() => half) % n;
    for (const exponent of [5, 7, 17, 257, 65539, 0xffffffff])
      check([n, n - 2n], [s, n - 2n - s], exponent, 512, `e = ${exponent}`);
  });

  it('random numbers made of extreme and other digits, at random sizes', () => {
    const seed = 20261121;
    const random = generator(seed);
    const digit = (): bigint =>
      random() < 0.7
        ? extremes[Math.floor(random() * extremes.length)]!
        : BigInt(Math.floor(random() * 2 ** 51)) & mask;
    for (let round = 0; round < 60; round++) {
      const size = random() < 0.5 ? 512 : 256 + Math.floor(random() * 257);
      const bits = (): number => Math.max(2048, 8 * size - Math.floor(random() * 8));
      const moduli: Pair = [shaped(number(digit), bits()), shaped(number(digit), bits())];
      const signatures: Pair = [number(digit) % moduli[0], number(digit) % moduli[1]];
      check(moduli, signatures, random() < 0.5 ? 3 : 65537, size, `seed ${seed}, round ${round}`);
    }
  });

  it('refuses s >= n, even, short and long moduli, leading zeros and useless exponents, in either lane', () => {
    const n = (1n << 4096n) - 5n;
    const good: [Pair, Pair, number, number] = [[n, n], [2n, 3n], 3, 512];
    expect(pairs.power(...good)).toEqual([8n, 27n]);
    for (const bad of [n - 1n, (1n << 4088n) - 1n]) {
      expect(pairs.power([n, bad], good[1], 3, 512)).toBe(null);
      expect(pairs.power([bad, n], good[1], 3, 512)).toBe(null);
    }
    for (const s of [n, n + 1n, (1n << 4096n) - 1n]) {
      expect(pairs.power(good[0], [s, 3n], 3, 512)).toBe(null);
      expect(pairs.power(good[0], [3n, s], 3, 512)).toBe(null);
    }
    const short = (1n << 2047n) - 1n;
    expect(pairs.power([short, short], [2n, 3n], 3, 256)).toBe(null);
    expect(pairs.power([(1n << 2040n) - 1n, (1n << 2040n) - 1n], [2n, 3n], 3, 255)).toBe(null);
    for (const exponent of [0, 1, 2, 4, 65536])
      expect(pairs.power(good[0], good[1], exponent, 512)).toBe(null);
  });
});

describe('kernels by name', () => {
  it('a kernel that is refused or computes otherwise is passed over, the next one taken', async () => {
    const real = WebAssembly;
    const members = {
      Module: real.Module,
      Memory: real.Memory,
      compile: real.compile.bind(real),
      validate: real.validate.bind(real),
    };
    /** A runtime whose relaxed multiply-add rounds twice: the module compiles, its self-test says no. */
    const unfused = class {
      readonly exports: object;
      constructor(module: WebAssembly.Module, imports: WebAssembly.Imports) {
        const { exports } = new real.Instance(module, imports);
        const relaxed = (exports.arenaBase as () => number)() > 80_000;
        this.exports = relaxed ? { ...exports, selfTest: () => 0 } : exports;
      }
    };
    const fresh = async (stub: object): Promise<typeof import('../../src/core/index.js')> => {
      vi.stubGlobal('WebAssembly', stub);
      vi.resetModules();
      return await import('../../src/core/index.js');
    };
    try {
      let core = await fresh({ ...members, Instance: unfused });
      expect(await core.loadRsaCore('wasm-relaxed')).toBe(null);
      expect((await core.loadRsaCore())!.engine).toBe('wasm-simd');
      expect(core.loadRsaCoreSync()!.engine).toBe('wasm-simd');
      expect(await core.loadRsaCore()).toBe(core.loadRsaCoreSync());

      const known = Buffer.from(scalarWasm, 'base64').length;
      const validate = (bytes: Uint8Array<ArrayBuffer>): boolean => bytes.length === known;
      core = await fresh({ ...members, Instance: real.Instance, validate });
      expect(core.loadRsaCoreSync()!.engine).toBe('wasm-scalar');
      expect(await core.loadRsaCore('wasm-simd')).toBe(null);

      core = await fresh({});
      expect(core.loadRsaCoreSync()).toBe(null);
      expect(await core.loadRsaCore()).toBe(null);
    } finally {
      vi.unstubAllGlobals();
      vi.resetModules();
    }
  });

  it.each(rsaEngineNames)('%s reads serialized keys exactly as the key parser does', async (name) => {
    const core = (await loadRsaCore(name))!;
    expect(core.engine).toBe(name);
    const { key, message, signature } = selfTestItems()[0]!;
    const { n } = decodePublicKey(key);
    const random = generator(3);
    const keys: Uint8Array[] = [
      key,
      key.subarray(5),
      new Uint8Array(0),
      new Uint8Array(523),
      new Uint8Array(9000),
    ];
    for (const bytes of [
      Uint8Array.of(0, 1, 0, 1),
      Uint8Array.of(3),
      Uint8Array.of(1),
      Uint8Array.of(4),
      new Uint8Array(9).fill(1),
      new Uint8Array(0),
    ])
      keys.push(encodePublicKey({ addressVersion: 1, n, e: bytes }));
    for (const modulus of [n.subarray(0, 128), n.subarray(0, 127), n.subarray(0, 255), n.subarray(0, 256)])
      keys.push(
        encodePublicKey({
          addressVersion: 1,
          n: Uint8Array.from([...modulus.subarray(0, -1), 1]),
          e: Uint8Array.of(1, 0, 1),
        }),
      );
    keys.push(
      encodePublicKey({ addressVersion: 1, n: Uint8Array.of(0, 0, ...n), e: Uint8Array.of(1, 0, 1) }),
    );
    for (let i = 0; i < 300; i++) {
      // Lengths and ends are where a parser goes wrong.
      const broken = key.slice(0, random() < 0.3 ? Math.floor(random() * key.length) : key.length);
      const place = [5, 6, 7, 8, 9, 521, 522, 523, 524, 525, 526, 527][Math.floor(random() * 12)]!;
      if (place < broken.length) broken[place] = Math.floor(random() * 256);
      keys.push(broken);
    }
    let accepted = 0;
    for (const candidate of keys) {
      let want: 'refused' | 'elsewhere' | 'operation' = 'refused';
      // As long as the modulus that a parser would find, and below it.
      let own = signature;
      try {
        const parsed = decodePublicKey(candidate);
        own = parsed.n.length === n.length ? signature : new Uint8Array(parsed.n.length);
        const fits = Buffer.compare(own, parsed.n) < 0;
        const here = parsed.bits >= 2048 && parsed.e.length <= 4;
        if (fits) want = here ? 'operation' : 'elsewhere';
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
      const [verdict] = core.verifyKeys([{ key: candidate, signature: own, message }]);
      if (want === 'operation') {
        expect([RsaVerdict.valid, RsaVerdict.wrong]).toContain(verdict);
        accepted++;
      } else expect(verdict, Buffer.from(candidate).toString('hex')).toBe(RsaVerdict[want]);
    }
    expect(accepted).toBeGreaterThan(20);
    expect([...core.verifyKeys(selfTestItems())]).toEqual(
      selfTestItems().map((t) => (t.valid ? RsaVerdict.valid : RsaVerdict.wrong)),
    );
  });

  it('an item finds its partner past others of another length, and a lone one is judged alone', async () => {
    const core = (await loadRsaCore('wasm-simd'))!;
    const [good, other] = selfTestItems();
    const refused = { ...good!, signature: good!.signature.subarray(1) };
    const v = (...items: readonly (typeof refused)[]): number[] => [...core.verifyKeys(items)];
    expect(v()).toEqual([]);
    expect(v(good!)).toEqual([1]);
    expect(v(other!)).toEqual([2]);
    expect(v(good!, refused, other!, good!)).toEqual([1, 0, 2, 1]);
    expect(v(refused, other!, refused, good!, refused)).toEqual([0, 2, 0, 1, 0]);
  });
});
