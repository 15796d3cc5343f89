// SHA-512 (FIPS 180-4 §6.4) and its repeated and truncated forms (docs/protocol/02 §1).

const BLOCK_BYTES: u32 = 128;
const DIGEST_BYTES: u32 = 64;

/** K of §4.2.3: fractional parts of the cube roots of the first 80 primes. */
const K = memory.data<u64>(
  [
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
  ],
  64,
);

/** The chaining value: eight words, native byte order. */
const STATE = memory.data(64, 8);
/** Message schedule W: 80 words, native byte order. */
const SCHEDULE = memory.data(640, 64);
/** Padding needs one block, or two when fewer than 17 bytes are free. */
const LAST_BLOCKS = memory.data(256, 8);
const DIGEST = memory.data(64, 8);

/** Bytes absorbed so far, for the length in the padding. */
let absorbedBytes: u64 = 0;

// @ts-ignore: decorator
@inline
function compress(block: usize): void {
  for (let i: usize = 0; i < 128; i += 8) store<u64>(SCHEDULE + i, bswap<u64>(load<u64>(block + i)));
  for (let i: usize = 128; i < 640; i += 8) {
    const w2 = load<u64>(SCHEDULE + i - 16);
    const w15 = load<u64>(SCHEDULE + i - 120);
    const s1 = rotr<u64>(w2, 19) ^ rotr<u64>(w2, 61) ^ (w2 >> 6);
    const s0 = rotr<u64>(w15, 1) ^ rotr<u64>(w15, 8) ^ (w15 >> 7);
    store<u64>(SCHEDULE + i, s1 + load<u64>(SCHEDULE + i - 56) + s0 + load<u64>(SCHEDULE + i - 128));
  }

  let a = load<u64>(STATE, 0);
  let b = load<u64>(STATE, 8);
  let c = load<u64>(STATE, 16);
  let d = load<u64>(STATE, 24);
  let e = load<u64>(STATE, 32);
  let f = load<u64>(STATE, 40);
  let g = load<u64>(STATE, 48);
  let h = load<u64>(STATE, 56);
  for (let i: usize = 0; i < 640; i += 8) {
    const sum1 = rotr<u64>(e, 14) ^ rotr<u64>(e, 18) ^ rotr<u64>(e, 41);
    const t1 = h + sum1 + (g ^ (e & (f ^ g))) + load<u64>(K + i) + load<u64>(SCHEDULE + i);
    const sum0 = rotr<u64>(a, 28) ^ rotr<u64>(a, 34) ^ rotr<u64>(a, 39);
    const t2 = sum0 + ((a & b) | (c & (a | b)));
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + t2;
  }
  store<u64>(STATE, load<u64>(STATE, 0) + a, 0);
  store<u64>(STATE, load<u64>(STATE, 8) + b, 8);
  store<u64>(STATE, load<u64>(STATE, 16) + c, 16);
  store<u64>(STATE, load<u64>(STATE, 24) + d, 24);
  store<u64>(STATE, load<u64>(STATE, 32) + e, 32);
  store<u64>(STATE, load<u64>(STATE, 40) + f, 40);
  store<u64>(STATE, load<u64>(STATE, 48) + g, 48);
  store<u64>(STATE, load<u64>(STATE, 56) + h, 56);
}

function compressAll(at: usize, bytes: u32): void {
  const end = at + bytes;
  for (; at < end; at += BLOCK_BYTES) compress(at);
}

/** Starts a hash with the initial value of §5.3.5. One at a time: the state is the module's. */
export function sha512Begin(): void {
  store<u64>(STATE, 0x6a09e667f3bcc908, 0);
  store<u64>(STATE, 0xbb67ae8584caa73b, 8);
  store<u64>(STATE, 0x3c6ef372fe94f82b, 16);
  store<u64>(STATE, 0xa54ff53a5f1d36f1, 24);
  store<u64>(STATE, 0x510e527fade682d1, 32);
  store<u64>(STATE, 0x9b05688c2b3e6c1f, 40);
  store<u64>(STATE, 0x1f83d9abfb41bd6b, 48);
  store<u64>(STATE, 0x5be0cd19137e2179, 56);
  absorbedBytes = 0;
}

/** Absorbs whole blocks only: `bytes` must be a multiple of 128. */
export function sha512Update(at: usize, bytes: u32): void {
  absorbedBytes += bytes;
  compressAll(at, bytes);
}

/** Absorbs what is left (any length), pads and writes the 64-byte digest to `out`, which may overlap the input. */
export function sha512Finish(at: usize, bytes: u32, out: usize): void {
  const totalBytes = absorbedBytes + bytes;
  const whole = bytes & ~(BLOCK_BYTES - 1);
  compressAll(at, whole);

  const rest = bytes - whole;
  // 1 byte of 80 and 16 of length must fit behind the rest (§5.1.2).
  const padded: u32 = rest + 17 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
  memory.fill(LAST_BLOCKS, 0, padded);
  memory.copy(LAST_BLOCKS, at + whole, rest);
  store<u8>(LAST_BLOCKS + rest, 0x80);
  // The upper half of the 128-bit bit count stays zero: it starts at 2^61 bytes.
  store<u64>(LAST_BLOCKS + padded - 8, bswap<u64>(totalBytes << 3));
  compressAll(LAST_BLOCKS, padded);
  for (let i: usize = 0; i < DIGEST_BYTES; i += 8) store<u64>(out + i, bswap<u64>(load<u64>(STATE + i)));
}

/** SHA-512 applied `rounds` times (at least 1), the whole digest to `out`. */
export function sha512Repeated(at: usize, bytes: u32, rounds: u32, out: usize): void {
  sha512Begin();
  sha512Finish(at, bytes, out);
  for (; rounds > 1; rounds--) {
    sha512Begin();
    sha512Finish(out, DIGEST_BYTES, out);
  }
}

/** The first `keep` bytes (at most 64) of each item's digest, one behind the other, into `out`. */
export function sha512Batch(items: usize, count: u32, rounds: u32, keep: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    sha512Repeated(load<u32>(items), load<u32>(items, 4), rounds, DIGEST);
    memory.copy(out, DIGEST, keep);
    items += 8;
    out += keep;
  }
}
