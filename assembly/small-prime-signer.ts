// RSA-4096 signatures with keys of 128 primes of 32 bits: for load tests only. Whoever knows the seed knows every key,
// and whoever does not can factor such a modulus at home. To a verifier they are ordinary keys: a modulus of 4096 bits,
// exponent 65537, RSASSA-PKCS1-v1_5 with SHA-512, at the ordinary cost.
//
// All keys of one pool are products over 128 slots with two primes each; a key chooses one per slot, so its private part
// is 128 bits of choice and everything expensive (pairwise inverses, exponents) belongs to the pool and is made once.
//
// A signature is s = m^d mod n: one power modulo each prime, four primes to a vector, and the residues put together by
// Garner's method. Its inner loop runs over independent columns, so it needs no carries and no order; only the last
// step, mixed radix to binary, carries. About 8,000 products of 32 bits for each of the three parts.
//
// Products are Montgomery's with R = 2^32 in the form hi(a b) - hi(m p), m = lo(a b) / p mod R: no sum that would need
// 65 bits, and any a below 2^32 will do.

/** Primes in a key. */
const SLOTS: u32 = 128;
/** Primes in the pool: two for each slot; prime of slot j and choice c has the index c * SLOTS + j. */
const PRIMES: u32 = 256;
const SLOT_BYTES: usize = 512;
const MODULUS_WORDS: u32 = 128;

/** Tables by prime: p, 1/p mod R, R^2 mod p, exponent d = 1/65537 mod (p - 1), padding constant mod p. */
const P = memory.data(1024, 64);
const PI = memory.data(1024, 64);
const R2 = memory.data(1024, 64);
const D = memory.data(1024, 64);
const PADDING = memory.data(1024, 64);
/** Row of prime k: R / k modulo every prime of the pool. */
const INVERSES = memory.data(262144, 64);
const ROW_BYTES: usize = 1024;

/** The key in work: a mask by slot, and its columns of the tables above. */
const MASK = memory.data(512, 64);
const KP = memory.data(512, 64);
const KPI = memory.data(512, 64);
const KR2 = memory.data(512, 64);
const KD = memory.data(512, 64);
const KPADDING = memory.data(512, 64);
/** Residues, powers 1 to 3 of the base, digits of the mixed radix, the number being put together. */
const X = memory.data(512, 64);
const B1 = memory.data(512, 64);
const B2 = memory.data(512, 64);
const B3 = memory.data(512, 64);
const DIGITS = memory.data(512, 64);
const WIDE = memory.data(528, 64);

/** 16 bytes: bit j of byte j / 8 is the choice in slot j. */
const CHOICE = memory.data(16, 64);
/** SHA-512 of the message, big endian. */
const DIGEST = memory.data(64, 64);
/** Modulus or signature, 512 bytes big endian. */
const OUT = memory.data(512, 64);

/** Where the caller writes 256 primes, all in [2^32 * 2^(-1/128), 2^32), so that 128 of them have 4096 bits. */
export function primesAt(): usize {
  return P;
}
/** Where the caller writes the 256 exponents. */
export function exponentsAt(): usize {
  return D;
}
/** Where the caller writes the padding 00 01 FF … 00 DigestInfo 0^64, as a number, modulo each prime. */
export function paddingAt(): usize {
  return PADDING;
}
export function choiceAt(): usize {
  return CHOICE;
}
export function digestAt(): usize {
  return DIGEST;
}
export function outAt(): usize {
  return OUT;
}

// @ts-ignore: decorator
@inline
function product(a: u32, b: u32, p: u32, pi: u32): u32 {
  const t = <u64>a * b;
  const high = <u32>(t >> 32);
  const taken = <u32>((<u64>(<u32>t * pi) * p) >> 32);
  const r = high - taken;
  return high < taken ? r + p : r;
}

/** Makes the pool's tables from the primes. 65,536 inversions by Fermat: some hundredths of a second. */
export function prepare(): void {
  for (let k: u32 = 0; k < PRIMES; k++) {
    const at: usize = <usize>k << 2;
    const p = load<u32>(P + at);
    // Newton: an odd number is its own inverse to 3 bits, each step doubles them.
    let pi = p;
    for (let step = 0; step < 4; step++) pi *= 2 - p * pi;
    store<u32>(PI + at, pi);
    // R mod p, for p above R / 2.
    const r: u64 = 0x100000000 - <u64>p;
    store<u32>(R2 + at, <u32>((r * r) % p));
  }
  for (let k: u32 = 0; k < PRIMES; k++) {
    const prime = load<u32>(P + (<usize>k << 2));
    const row = INVERSES + <usize>k * ROW_BYTES;
    for (let j: u32 = 0; j < PRIMES; j++) {
      const at: usize = <usize>j << 2;
      const p = load<u32>(P + at);
      const pi = load<u32>(PI + at);
      if (prime == p) {
        store<u32>(row + at, 0);
        continue;
      }
      let base = product(prime, load<u32>(R2 + at), p, pi);
      let power: u32 = <u32>(0x100000000 - <u64>p);
      for (let e = p - 2; e != 0; e >>= 1) {
        if (e & 1) power = product(power, base, p, pi);
        base = product(base, base, p, pi);
      }
      store<u32>(row + at, power);
    }
  }
}

// @ts-ignore: decorator
@inline
function products(a: v128, b: v128, p: v128, pi: v128): v128 {
  const low = i64x2.extmul_low_i32x4_u(a, b);
  const high = i64x2.extmul_high_i32x4_u(a, b);
  const m = i32x4.mul(v128.shuffle<i32>(low, high, 0, 2, 4, 6), pi);
  const t = v128.shuffle<i32>(low, high, 1, 3, 5, 7);
  const taken = v128.shuffle<i32>(i64x2.extmul_low_i32x4_u(m, p), i64x2.extmul_high_i32x4_u(m, p), 1, 3, 5, 7);
  return i32x4.add(i32x4.sub(t, taken), v128.and(i32x4.lt_u(t, taken), p));
}

/** a + b mod p for a below p, b below 2^32. */
// @ts-ignore: decorator
@inline
function sums(a: v128, b: v128, p: v128): v128 {
  const reduced = i32x4.sub(b, v128.andnot(p, i32x4.lt_u(b, p)));
  // a - (p - b): no sum above 2^32.
  const complement = i32x4.sub(p, reduced);
  return i32x4.add(i32x4.sub(a, complement), v128.and(i32x4.lt_u(a, complement), p));
}

// @ts-ignore: decorator
@inline
function choose(table: usize, at: usize, mask: v128): v128 {
  return v128.bitselect(v128.load(table + at + SLOT_BYTES), v128.load(table + at), mask);
}

/** Takes the key's columns out of the pool's tables. */
function loadKey(): void {
  for (let j: u32 = 0; j < SLOTS; j++) {
    const bit = (<u32>load<u8>(CHOICE + (j >> 3)) >> (j & 7)) & 1;
    store<u32>(MASK + (<usize>j << 2), 0 - bit);
  }
  for (let at: usize = 0; at < SLOT_BYTES; at += 16) {
    const mask = v128.load(MASK + at);
    v128.store(KP + at, choose(P, at, mask));
    v128.store(KPI + at, choose(PI, at, mask));
    v128.store(KR2 + at, choose(R2, at, mask));
    v128.store(KD + at, choose(D, at, mask));
    v128.store(KPADDING + at, choose(PADDING, at, mask));
  }
}

/** B1 = (padding + digest) mod p in Montgomery form: Horner over the digest's sixteen words. */
function reduceMessage(): void {
  for (let at: usize = 0; at < SLOT_BYTES; at += 16) {
    const p = v128.load(KP + at);
    const pi = v128.load(KPI + at);
    const r2 = v128.load(KR2 + at);
    let x = i32x4.splat(0);
    for (let w: usize = 0; w < 64; w += 4)
      x = sums(products(x, r2, p, pi), i32x4.splat(<i32>bswap<u32>(load<u32>(DIGEST + w))), p);
    x = sums(x, v128.load(KPADDING + at), p);
    v128.store(B1 + at, products(x, r2, p, pi));
  }
}

/** X = B1^d mod p, out of Montgomery form; two bits of the exponent at a time. */
function power(): void {
  for (let at: usize = 0; at < SLOT_BYTES; at += 16) {
    const p = v128.load(KP + at);
    const pi = v128.load(KPI + at);
    const b = v128.load(B1 + at);
    const b2 = products(b, b, p, pi);
    v128.store(B2 + at, b2);
    v128.store(B3 + at, products(b2, b, p, pi));
    // One in Montgomery form is R mod p = 2^32 - p.
    v128.store(X + at, i32x4.neg(p));
  }
  // The loop over the primes is the inner one: its iterations are independent, so latencies overlap.
  for (let shift: i32 = 30; shift >= 0; shift -= 2) {
    for (let at: usize = 0; at < SLOT_BYTES; at += 16) {
      const p = v128.load(KP + at);
      const pi = v128.load(KPI + at);
      let x = v128.load(X + at);
      x = products(x, x, p, pi);
      x = products(x, x, p, pi);
      const digit = v128.and(i32x4.shr_u(v128.load(KD + at), shift), i32x4.splat(3));
      let factor = i32x4.neg(p);
      factor = v128.bitselect(v128.load(B1 + at), factor, i32x4.eq(digit, i32x4.splat(1)));
      factor = v128.bitselect(v128.load(B2 + at), factor, i32x4.eq(digit, i32x4.splat(2)));
      factor = v128.bitselect(v128.load(B3 + at), factor, i32x4.eq(digit, i32x4.splat(3)));
      v128.store(X + at, products(x, factor, p, pi));
    }
  }
  for (let at: usize = 0; at < SLOT_BYTES; at += 16) {
    const p = v128.load(KP + at);
    v128.store(X + at, products(v128.load(X + at), i32x4.splat(1), p, v128.load(KPI + at)));
  }
}

/** DIGITS: s = v0 + p0 (v1 + p1 (v2 + …)). Each digit is taken out of all later columns at once. */
function garner(): void {
  for (let i: u32 = 0; i < SLOTS; i++) {
    const digit = load<u32>(X + (<usize>i << 2));
    store<u32>(DIGITS + (<usize>i << 2), digit);
    const v = i32x4.splat(<i32>digit);
    const chosen = load<u32>(MASK + (<usize>i << 2)) & SLOTS;
    const row = INVERSES + <usize>(chosen + i) * ROW_BYTES;
    // Columns at or before i in the first vector become nonsense, and are not looked at again.
    for (let at: usize = (<usize>(i + 1) << 2) & ~15; at < SLOT_BYTES; at += 16) {
      const p = v128.load(KP + at);
      const x = v128.load(X + at);
      const reduced = i32x4.sub(v, v128.andnot(p, i32x4.lt_u(v, p)));
      const difference = i32x4.add(i32x4.sub(x, reduced), v128.and(i32x4.lt_u(x, reduced), p));
      v128.store(X + at, products(difference, choose(row, at, v128.load(MASK + at)), p, v128.load(KPI + at)));
    }
  }
}

/** WIDE = WIDE * factor + term, `words` words long, and one more. */
// @ts-ignore: decorator
@inline
function multiplyAdd(words: u32, factor: u64, term: u32): void {
  let carry: u64 = term;
  const end = WIDE + (<usize>words << 2);
  for (let at = WIDE; at < end; at += 4) {
    const t = <u64>load<u32>(at) * factor + carry;
    store<u32>(at, <u32>t);
    carry = t >> 32;
  }
  store<u32>(end, <u32>carry);
}

function wideToOut(): void {
  for (let w: u32 = 0; w < MODULUS_WORDS; w++)
    store<u32>(OUT + (<usize>(MODULUS_WORDS - 1 - w) << 2), bswap<u32>(load<u32>(WIDE + (<usize>w << 2))));
}

/** The modulus of the chosen key into `outAt`. */
export function modulus(): void {
  loadKey();
  store<u32>(WIDE, 1);
  for (let i: u32 = 0; i < SLOTS; i++) multiplyAdd(i == 0 ? 1 : i, load<u32>(KP + (<usize>i << 2)), 0);
  wideToOut();
}

/** The signature of the chosen key over the digest into `outAt`. */
export function sign(): void {
  loadKey();
  reduceMessage();
  power();
  garner();
  store<u32>(WIDE, load<u32>(DIGITS + SLOT_BYTES - 4));
  for (let i: u32 = 1; i < SLOTS; i++) {
    const at: usize = <usize>(SLOTS - 1 - i) << 2;
    multiplyAdd(i, load<u32>(KP + at), load<u32>(DIGITS + at));
  }
  wideToOut();
}
