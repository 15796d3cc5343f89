/**
 * SHA-512 in plain JavaScript (FIPS 180-4 §6.4), for runtimes without WebAssembly. A word is two 32-bit halves, high
 * first; sums of low halves are exact in a double, and what is above 2^32 is the carry.
 */

const BLOCK_BYTES = 128;
const DIGEST_BYTES = 64;

/** K of §4.2.3, high and low halves. */
const K = /* @__PURE__ */ Uint32Array.of(
  0x428a2f98,
  0xd728ae22,
  0x71374491,
  0x23ef65cd,
  0xb5c0fbcf,
  0xec4d3b2f,
  0xe9b5dba5,
  0x8189dbbc,
  0x3956c25b,
  0xf348b538,
  0x59f111f1,
  0xb605d019,
  0x923f82a4,
  0xaf194f9b,
  0xab1c5ed5,
  0xda6d8118,
  0xd807aa98,
  0xa3030242,
  0x12835b01,
  0x45706fbe,
  0x243185be,
  0x4ee4b28c,
  0x550c7dc3,
  0xd5ffb4e2,
  0x72be5d74,
  0xf27b896f,
  0x80deb1fe,
  0x3b1696b1,
  0x9bdc06a7,
  0x25c71235,
  0xc19bf174,
  0xcf692694,
  0xe49b69c1,
  0x9ef14ad2,
  0xefbe4786,
  0x384f25e3,
  0x0fc19dc6,
  0x8b8cd5b5,
  0x240ca1cc,
  0x77ac9c65,
  0x2de92c6f,
  0x592b0275,
  0x4a7484aa,
  0x6ea6e483,
  0x5cb0a9dc,
  0xbd41fbd4,
  0x76f988da,
  0x831153b5,
  0x983e5152,
  0xee66dfab,
  0xa831c66d,
  0x2db43210,
  0xb00327c8,
  0x98fb213f,
  0xbf597fc7,
  0xbeef0ee4,
  0xc6e00bf3,
  0x3da88fc2,
  0xd5a79147,
  0x930aa725,
  0x06ca6351,
  0xe003826f,
  0x14292967,
  0x0a0e6e70,
  0x27b70a85,
  0x46d22ffc,
  0x2e1b2138,
  0x5c26c926,
  0x4d2c6dfc,
  0x5ac42aed,
  0x53380d13,
  0x9d95b3df,
  0x650a7354,
  0x8baf63de,
  0x766a0abb,
  0x3c77b2a8,
  0x81c2c92e,
  0x47edaee6,
  0x92722c85,
  0x1482353b,
  0xa2bfe8a1,
  0x4cf10364,
  0xa81a664b,
  0xbc423001,
  0xc24b8b70,
  0xd0f89791,
  0xc76c51a3,
  0x0654be30,
  0xd192e819,
  0xd6ef5218,
  0xd6990624,
  0x5565a910,
  0xf40e3585,
  0x5771202a,
  0x106aa070,
  0x32bbd1b8,
  0x19a4c116,
  0xb8d2d0c8,
  0x1e376c08,
  0x5141ab53,
  0x2748774c,
  0xdf8eeb99,
  0x34b0bcb5,
  0xe19b48a8,
  0x391c0cb3,
  0xc5c95a63,
  0x4ed8aa4a,
  0xe3418acb,
  0x5b9cca4f,
  0x7763e373,
  0x682e6ff3,
  0xd6b2b8a3,
  0x748f82ee,
  0x5defb2fc,
  0x78a5636f,
  0x43172f60,
  0x84c87814,
  0xa1f0ab72,
  0x8cc70208,
  0x1a6439ec,
  0x90befffa,
  0x23631e28,
  0xa4506ceb,
  0xde82bde9,
  0xbef9a3f7,
  0xb2c67915,
  0xc67178f2,
  0xe372532b,
  0xca273ece,
  0xea26619c,
  0xd186b8c7,
  0x21c0c207,
  0xeada7dd6,
  0xcde0eb1e,
  0xf57d4f7f,
  0xee6ed178,
  0x06f067aa,
  0x72176fba,
  0x0a637dc5,
  0xa2c898a6,
  0x113f9804,
  0xbef90dae,
  0x1b710b35,
  0x131c471b,
  0x28db77f5,
  0x23047d84,
  0x32caab7b,
  0x40c72493,
  0x3c9ebe0a,
  0x15c9bebc,
  0x431d67c4,
  0x9c100d4c,
  0x4cc5d4be,
  0xcb3e42b6,
  0x597f299c,
  0xfc657e2a,
  0x5fcb6fab,
  0x3ad6faec,
  0x6c44198c,
  0x4a475817,
);

/** Initial value of §5.3.5, high and low halves. */
const INITIAL = /* @__PURE__ */ Uint32Array.of(
  0x6a09e667,
  0xf3bcc908,
  0xbb67ae85,
  0x84caa73b,
  0x3c6ef372,
  0xfe94f82b,
  0xa54ff53a,
  0x5f1d36f1,
  0x510e527f,
  0xade682d1,
  0x9b05688c,
  0x2b3e6c1f,
  0x1f83d9ab,
  0xfb41bd6b,
  0x5be0cd19,
  0x137e2179,
);

const TWO_32 = 0x1_0000_0000;

/** High half of the word (h, l) rotated right by n < 32; the low half is the same with h and l swapped. */
function rotr(h: number, l: number, n: number): number {
  return (h >>> n) | (l << (32 - n));
}

/** W of §6.4.2 step 1, in place of the first 16 words up to all 80. */
function expand(w: Uint32Array): void {
  for (let i = 32; i < 160; i += 2) {
    const h15 = w[i - 30]!;
    const l15 = w[i - 29]!;
    const h2 = w[i - 4]!;
    const l2 = w[i - 3]!;
    // σ0: rotations by 1 and 8, shift by 7. σ1: rotations by 19 and 61 (29 with the halves swapped), shift by 6.
    const s0h = rotr(h15, l15, 1) ^ rotr(h15, l15, 8) ^ (h15 >>> 7);
    const s0l = rotr(l15, h15, 1) ^ rotr(l15, h15, 8) ^ rotr(l15, h15, 7);
    const s1h = rotr(h2, l2, 19) ^ rotr(l2, h2, 29) ^ (h2 >>> 6);
    const s1l = rotr(l2, h2, 19) ^ rotr(h2, l2, 29) ^ rotr(l2, h2, 6);
    const low = (s0l >>> 0) + (s1l >>> 0) + w[i - 13]! + w[i - 31]!;
    w[i] = s0h + s1h + w[i - 14]! + w[i - 32]! + Math.floor(low / TWO_32);
    w[i + 1] = low;
  }
}

function compress(state: Uint32Array, w: Uint32Array): void {
  expand(w);
  let ah = state[0]!;
  let al = state[1]!;
  let bh = state[2]!;
  let bl = state[3]!;
  let ch = state[4]!;
  let cl = state[5]!;
  let dh = state[6]!;
  let dl = state[7]!;
  let eh = state[8]!;
  let el = state[9]!;
  let fh = state[10]!;
  let fl = state[11]!;
  let gh = state[12]!;
  let gl = state[13]!;
  let hh = state[14]!;
  let hl = state[15]!;
  for (let i = 0; i < 160; i += 2) {
    // Σ1: 14, 18, 41 (9 swapped). Σ0: 28, 34 (2 swapped), 39 (7 swapped).
    const sum1h = rotr(eh, el, 14) ^ rotr(eh, el, 18) ^ rotr(el, eh, 9);
    const sum1l = rotr(el, eh, 14) ^ rotr(el, eh, 18) ^ rotr(eh, el, 9);
    const chooseH = gh ^ (eh & (fh ^ gh));
    const chooseL = gl ^ (el & (fl ^ gl));
    const t1l = hl + (sum1l >>> 0) + (chooseL >>> 0) + K[i + 1]! + w[i + 1]!;
    const t1h = hh + sum1h + chooseH + K[i]! + w[i]! + Math.floor(t1l / TWO_32);
    const sum0h = rotr(ah, al, 28) ^ rotr(al, ah, 2) ^ rotr(al, ah, 7);
    const sum0l = rotr(al, ah, 28) ^ rotr(ah, al, 2) ^ rotr(ah, al, 7);
    const majorityH = (ah & bh) | (ch & (ah | bh));
    const majorityL = (al & bl) | (cl & (al | bl));
    const t1lWord = t1l >>> 0;
    const t2l = (sum0l >>> 0) + (majorityL >>> 0);
    const newE = dl + t1lWord;
    const newA = t1lWord + t2l;
    hh = gh;
    hl = gl;
    gh = fh;
    gl = fl;
    fh = eh;
    fl = el;
    eh = (dh + t1h + Math.floor(newE / TWO_32)) >>> 0;
    el = newE >>> 0;
    dh = ch;
    dl = cl;
    ch = bh;
    cl = bl;
    bh = ah;
    bl = al;
    ah = (t1h + sum0h + majorityH + Math.floor(newA / TWO_32)) >>> 0;
    al = newA >>> 0;
  }
  addWord(state, 0, ah, al);
  addWord(state, 2, bh, bl);
  addWord(state, 4, ch, cl);
  addWord(state, 6, dh, dl);
  addWord(state, 8, eh, el);
  addWord(state, 10, fh, fl);
  addWord(state, 12, gh, gl);
  addWord(state, 14, hh, hl);
}

function addWord(state: Uint32Array, at: number, high: number, low: number): void {
  const sum = state[at + 1]! + low;
  state[at] = state[at]! + high + (sum >= TWO_32 ? 1 : 0);
  state[at + 1] = sum;
}

function absorb(state: Uint32Array, w: Uint32Array, data: Uint8Array, at: number): void {
  for (let i = 0; i < 32; i++) {
    const p = at + 4 * i;
    w[i] = (data[p]! << 24) | (data[p + 1]! << 16) | (data[p + 2]! << 8) | data[p + 3]!;
  }
  compress(state, w);
}

/** SHA-512, 64 bytes. */
export function sha512Js(data: Uint8Array): Uint8Array {
  const state = INITIAL.slice();
  const w = new Uint32Array(160);
  let at = 0;
  for (; data.length - at >= BLOCK_BYTES; at += BLOCK_BYTES) absorb(state, w, data, at);

  const rest = data.length - at;
  // 1 byte of 80 and 16 of length must fit behind the rest (§5.1.2).
  const last = new Uint8Array(rest + 17 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES);
  last.set(data.subarray(at));
  last[rest] = 0x80;
  // An array has less than 2^53 bytes, so of the 128-bit bit count two words are enough.
  const view = new DataView(last.buffer);
  view.setUint32(last.length - 8, Math.floor(data.length / 0x2000_0000));
  view.setUint32(last.length - 4, data.length << 3);
  for (let p = 0; p < last.length; p += BLOCK_BYTES) absorb(state, w, last, p);

  const out = new DataView(new ArrayBuffer(DIGEST_BYTES));
  for (let i = 0; i < 16; i++) out.setUint32(4 * i, state[i]!);
  return new Uint8Array(out.buffer);
}
