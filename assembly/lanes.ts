// What the two-lane RSA kernels (relaxed.ts, simd.ts) share: big numbers as little-endian words in memory, one area per
// lane, their way into balanced digits held as doubles, and the batch that finds two signatures for the two lanes.
//
// A number in digits is an array of v128: lane 0 of element i is digit i of the first signature's number, lane 1 of the
// second's. Balanced digits of width w lie in −2^(w−1) … 2^(w−1) − 1.

import { openKey, PENDING, REFUSED, VALID, WRONG } from './keyblob';
import { encodeMessage, isUsableKey } from './pkcs1';

/** Zero bytes in front of a number, so that its digits can be cut from a few bits below its end. */
const BELOW_BYTES: usize = 8;
/** 512 bytes, and zeros above for the digits that a number does not fill: 186 × 23 bits = 535 bytes, plus one load. */
const AREA_BYTES: usize = 8 + 512 + 56;

const MODULI = memory.data(1152, 64);
const SIGNATURES = memory.data(1152, 64);
const POWERS = memory.data(1152, 64);
/** −1 / n modulo 2^160, then zeros. */
const INVERSES = memory.data(1152, 64);

const ENCODED = memory.data(512, 64);
const OPENED = memory.data(512, 64);

/** modulus at, bytes; signature at, bytes; message at, bytes; exponent; 0. Addresses are absolute. */
const ITEM_BYTES: usize = 32;

/** Words of the modulus of a lane, least significant first. */
// @ts-ignore: decorator
@inline
export function modulusOf(lane: u32): usize {
  return MODULI + BELOW_BYTES + <usize>lane * AREA_BYTES;
}

// @ts-ignore: decorator
@inline
export function signatureOf(lane: u32): usize {
  return SIGNATURES + BELOW_BYTES + <usize>lane * AREA_BYTES;
}

/** Where a kernel leaves signature^exponent mod n, below n, as words. */
// @ts-ignore: decorator
@inline
export function powerOf(lane: u32): usize {
  return POWERS + BELOW_BYTES + <usize>lane * AREA_BYTES;
}

/** −1 / n modulo 2^160, as words. */
// @ts-ignore: decorator
@inline
export function inverseOf(lane: u32): usize {
  return INVERSES + BELOW_BYTES + <usize>lane * AREA_BYTES;
}

/** Big-endian bytes as little-endian words, zeros up to the end of the area. */
function loadWords(at: usize, bytes: u32, out: usize): void {
  let left = bytes;
  let to = out;
  for (; left >= 8; left -= 8) {
    store<u64>(to, bswap<u64>(load<u64>(at + left - 8)));
    to += 8;
  }
  for (; left > 0; left--) {
    store<u8>(to, load<u8>(at + left - 1));
    to++;
  }
  memory.fill(to, 0, out + AREA_BYTES - BELOW_BYTES - to);
}

/** The low `bytes` bytes of the words at `from`, big-endian. */
function storeBytes(from: usize, bytes: u32, out: usize): void {
  let left = bytes;
  for (; left >= 8; left -= 8) {
    store<u64>(out + left - 8, bswap<u64>(load<u64>(from)));
    from += 8;
  }
  for (; left > 0; left--) {
    store<u8>(out + left - 1, load<u8>(from));
    from++;
  }
}

/** −1 / n modulo 2^160 for odd n, one 32-bit digit of the quotient at a time: afterwards t + q n = 0 modulo 2^160. */
function negativeInverse(n: usize, out: usize): void {
  // Newton: n is an inverse of itself modulo 8, and every step doubles the bits: 3, 6, 12, 24, 48.
  const low = load<u32>(n);
  let inverse = low;
  for (let i = 0; i < 4; i++) inverse *= 2 - low * inverse;
  const step: u32 = 0 - inverse;

  memory.fill(out, 0, AREA_BYTES - BELOW_BYTES);
  // t, here in the place of the result: t starts as 1; word i of it becomes 0 and makes room for word i of q.
  store<u32>(out, 1);
  for (let i: usize = 0; i < 20; i += 4) {
    const digit: u32 = load<u32>(out + i) * step;
    let carry: u64 = 0;
    for (let j: usize = 0; i + j < 20; j += 4) {
      // At most (2^32 − 1)² + 2 (2^32 − 1) = 2^64 − 1.
      const sum = <u64>digit * <u64>load<u32>(n + j) + <u64>load<u32>(out + i + j) + carry;
      store<u32>(out + i + j, <u32>sum);
      carry = sum >> 32;
    }
    store<u32>(out + i, digit);
  }
}

/**
 * The number at `words` (little-endian, with zeros below and above) times 2^shift, as `count` balanced digits of
 * `width` bits into lane `lane` of the array at `out`. width <= 51, shift < 51. What does not fit `count` digits is
 * dropped: the result is then right modulo 2^(count × width).
 */
export function splitDigits(words: usize, shift: u32, width: u32, count: u32, out: usize, lane: u32): void {
  const half: i64 = (<i64>1) << (width - 1);
  const mask: i64 = ((<i64>1) << width) - 1;
  let bit: u32 = 64 - shift;
  let carry: i64 = 0;
  let to = out + (<usize>lane << 3);
  const base = words - BELOW_BYTES;
  for (let i: u32 = 0; i < count; i++) {
    // 7 bits of offset and 51 of digit fit one load.
    const value = (<i64>(load<u64>(base + (bit >> 3)) >> (bit & 7)) & mask) + carry;
    // 0 <= value <= 2^width, so the carry is 0 or 1.
    carry = (value + half) >> width;
    store<f64>(to, <f64>(value - (carry << width)));
    bit += width;
    to += 16;
  }
}

/**
 * Digits to words: the number Σ digit[i] 2^(width i) of lane `lane`, which must lie in −n < x < n, into the lane's
 * power as the remainder 0 <= x mod n. The digits are whole numbers below 2^62 in size, as i64 in `columns`; they are
 * overwritten.
 */
export function joinDigits(columns: usize, width: u32, count: u32, lane: u32): void {
  const mask: i64 = ((<i64>1) << width) - 1;
  const at = columns + (<usize>lane << 3);
  let carry: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value = load<i64>(at + (<usize>i << 4)) + carry;
    store<i64>(at + (<usize>i << 4), value & mask);
    carry = value >> width;
  }
  // Now the digits are those of x, or of x + 2^(width count) when x is negative: then the carry is −1.
  const out = powerOf(lane);
  memory.fill(out, 0, AREA_BYTES - BELOW_BYTES);
  let bit: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const word = out + ((bit >> 3) & ~7);
    const offset = bit & 63;
    const digit = load<u64>(at + (<usize>i << 4));
    store<u64>(word, load<u64>(word) | (digit << offset));
    if (offset + width > 64) store<u64>(word + 8, digit >> (64 - offset));
    bit += width;
  }
  if (carry < 0) addModulus(out, modulusOf(lane), bit);
}

/** out += modulus, modulo 2^bits, and zeros from there on. */
function addModulus(out: usize, modulus: usize, bits: u32): void {
  let carry: u64 = 0;
  const words: usize = <usize>(bits + 63) >> 6;
  for (let i: usize = 0; i < words; i++) {
    const a = load<u64>(out + (i << 3));
    const b = load<u64>(modulus + (i << 3));
    const sum = a + b;
    const total = sum + carry;
    carry = (sum < a ? 1 : 0) | (total < sum ? 1 : 0);
    store<u64>(out + (i << 3), total);
  }
  const top = out + ((words - 1) << 3);
  if ((bits & 63) != 0) store<u64>(top, load<u64>(top) & (((<u64>1) << (bits & 63)) - 1));
}

// @ts-ignore: decorator
@inline
function isBelow(signature: usize, modulus: usize, bytes: u32): bool {
  // Both are big-endian and equally long, so their order is that of their bytes.
  return memory.compare(signature, modulus, bytes) < 0;
}

function loadLane(lane: u32, modulusAt: usize, bytes: u32, signatureAt: usize): void {
  loadWords(modulusAt, bytes, modulusOf(lane));
  loadWords(signatureAt, bytes, signatureOf(lane));
  negativeInverse(modulusOf(lane), inverseOf(lane));
}

/** A kernel: both lanes' signature^exponent mod n into their powers, for moduli of `bytes` bytes. */
export type Kernel = (bytes: u32, exponent: u32) => void;

/**
 * The primitive alone (RSAVP1, RFC 8017 §5.2.2), in both lanes: signature^exponent mod n, as long as the modulus, one
 * result behind the other into `out`. Every array holds two numbers, one behind the other.
 * @returns false, with nothing written, when a key or signature is not acceptable
 */
export function powerPair(
  moduli: usize,
  bytes: u32,
  signatures: usize,
  exponent: u32,
  out: usize,
  kernel: Kernel,
): bool {
  for (let lane: u32 = 0; lane < 2; lane++) {
    const modulus = moduli + lane * bytes;
    if (!isUsableKey(modulus, bytes, exponent)) return false;
    if (!isBelow(signatures + lane * bytes, modulus, bytes)) return false;
    loadLane(lane, modulus, bytes, signatures + lane * bytes);
  }
  kernel(bytes, exponent);
  for (let lane: u32 = 0; lane < 2; lane++) storeBytes(powerOf(lane), bytes, out + lane * bytes);
  return true;
}

/** True when the lane's power, byte for byte, is the encoded message of the item. */
function opensTo(lane: u32, item: usize): bool {
  const bytes = load<u32>(item, 4);
  storeBytes(powerOf(lane), bytes, OPENED);
  encodeMessage(load<u32>(item, 16), load<u32>(item, 20), bytes, ENCODED);
  return memory.compare(OPENED, ENCODED, bytes) == 0;
}

/** What costs nothing: a usable key and a signature as long as the modulus and below it. */
function isCandidate(item: usize): bool {
  const modulusAt: usize = load<u32>(item, 0);
  const bytes = load<u32>(item, 4);
  if (load<u32>(item, 12) != bytes) return false;
  if (!isUsableKey(modulusAt, bytes, load<u32>(item, 24))) return false;
  return isBelow(load<u32>(item, 8), modulusAt, bytes);
}

/** The next item from `from` on that is pending and has this modulus length and exponent; `count` when none has. */
function findPartner(items: usize, count: u32, verdicts: usize, from: u32, bytes: u32, exponent: u32): u32 {
  for (let i = from; i < count; i++) {
    const item = items + <usize>i * ITEM_BYTES;
    if (load<u8>(verdicts + i) == PENDING && load<u32>(item, 4) == bytes && load<u32>(item, 24) == exponent) return i;
  }
  return count;
}

/** Settles every pending verdict: VALID, or `wrong`. */
function verifyPending(items: usize, count: u32, verdicts: usize, wrong: u8, kernel: Kernel): void {
  for (let i: u32 = 0; i < count; i++) {
    if (load<u8>(verdicts + i) != PENDING) continue;
    const first = items + <usize>i * ITEM_BYTES;
    const bytes = load<u32>(first, 4);
    const exponent = load<u32>(first, 24);
    const partner = findPartner(items, count, verdicts, i + 1, bytes, exponent);
    // A lone signature wastes the other lane: a copy of it goes there.
    const second = partner < count ? items + <usize>partner * ITEM_BYTES : first;
    loadLane(0, load<u32>(first, 0), bytes, load<u32>(first, 8));
    loadLane(1, load<u32>(second, 0), bytes, load<u32>(second, 8));
    kernel(bytes, exponent);
    store<u8>(verdicts + i, opensTo(0, first) ? VALID : wrong);
    if (partner < count) store<u8>(verdicts + partner, opensTo(1, second) ? VALID : wrong);
  }
}

/** One verdict byte per item: 1 valid, 0 not. Whatever is wrong with key, signature or lengths is a 0. */
export function verifyPairs(items: usize, count: u32, verdicts: usize, kernel: Kernel): void {
  for (let i: u32 = 0; i < count; i++) {
    store<u8>(verdicts + i, isCandidate(items + <usize>i * ITEM_BYTES) ? PENDING : REFUSED);
  }
  verifyPending(items, count, verdicts, REFUSED, kernel);
}

/** The same for rows with serialized keys, which are overwritten; verdicts as in keyblob.ts. */
export function verifyKeyPairs(items: usize, count: u32, verdicts: usize, kernel: Kernel): void {
  for (let i: u32 = 0; i < count; i++) store<u8>(verdicts + i, openKey(items + <usize>i * ITEM_BYTES));
  verifyPending(items, count, verdicts, WRONG, kernel);
}
