import {
  createSigner,
  decodePrivateKey,
  encodePublicKey,
  publicKeyOf,
  type VerifyItem,
} from '../../src/identity/index.js';
import { encodedMessage } from '../../src/identity/verify/engine.js';
import { concatBytes, fromHex } from '../../src/wire/index.js';
import { walletKey } from './fixtures.js';

/** What the edges sign. */
export const message = new TextEncoder().encode('a message');

export interface Edge extends VerifyItem {
  readonly what: string;
  readonly valid: boolean;
  /** RSA operations the item may cost. */
  readonly cost: 0 | 1;
}

function bigToBytes(v: bigint, size: number): Uint8Array {
  return fromHex(v.toString(16).padStart(size * 2, '0'));
}

const toBig = (b: Uint8Array): bigint => BigInt(`0x${Buffer.from(b).toString('hex')}`);

function powMod(base: bigint, exponent: bigint, m: bigint): bigint {
  let r = 1n;
  let b = base % m;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) r = (r * b) % m;
    b = (b * b) % m;
  }
  return r;
}

/** Signs an arbitrary encoded message with the private numbers: how forgeries of the padding are made. */
function rawSign(d: Uint8Array, n: Uint8Array, em: Uint8Array): Uint8Array {
  return bigToBytes(powMod(toBig(em), toBig(d), toBig(n)), n.length);
}

/** Every way in which a signature, its key or its padding can be wrong, and the few in which all is right. */
export async function edges(): Promise<Edge[]> {
  const blob = walletKey('signer');
  const priv = decodePrivateKey(blob);
  const key = publicKeyOf(blob);
  const other = publicKeyOf(walletKey('w0'));
  const signature = await (await createSigner(blob)).sign(message);
  const n = priv.n;
  const em = encodedMessage(message, n.length);
  const changed = (b: Uint8Array, at: number): Uint8Array => {
    const out = new Uint8Array(b);
    out[at]! ^= 1;
    return out;
  };
  const forged = (f: (em: Uint8Array) => void): Uint8Array => {
    const copy = new Uint8Array(em);
    f(copy);
    return rawSign(priv.d, n, copy);
  };
  const digestInfoAt = n.length - 64 - 19;
  const item = (what: string, valid: boolean, cost: 0 | 1, change: Partial<VerifyItem> = {}): Edge => ({
    what,
    valid,
    cost,
    key,
    message,
    signature,
    ...change,
  });
  const e3 = { addressVersion: 1, n, e: Uint8Array.of(3) };
  return [
    item('valid', true, 1),
    item('valid, made by hand', true, 1, { signature: forged(() => {}) }),
    item('message of another', false, 1, { message: changed(message, 0) }),
    item('empty message', false, 1, { message: new Uint8Array(0) }),
    item('signature bit', false, 1, { signature: changed(signature, 255) }),
    item('signature short', false, 0, { signature: signature.subarray(1) }),
    item('signature long', false, 0, { signature: concatBytes(signature, Uint8Array.of(0)) }),
    item('signature with leading zero', false, 0, { signature: concatBytes(Uint8Array.of(0), signature) }),
    item('signature empty', false, 0, { signature: new Uint8Array(0) }),
    item('signature zero', false, 1, { signature: new Uint8Array(n.length) }),
    item('signature one', false, 1, { signature: bigToBytes(1n, n.length) }),
    item('signature n − 1', false, 1, { signature: bigToBytes(toBig(n) - 1n, n.length) }),
    item('signature n', false, 0, { signature: n }),
    item('signature all ones', false, 0, { signature: new Uint8Array(n.length).fill(0xff) }),
    item('other key', false, 0, { key: other }),
    item('key empty', false, 0, { key: new Uint8Array(0) }),
    item('key garbage', false, 0, { key: new Uint8Array(272).fill(0xa5) }),
    item('key cut', false, 0, { key: key.subarray(0, key.length - 1) }),
    item('key with trailing byte', false, 0, { key: concatBytes(key, Uint8Array.of(0)) }),
    item('key even', false, 0, { key: changed(key, 9 + n.length - 1) }),
    item('exponent 3, not the key', false, 1, { key: encodePublicKey(e3) }),
    item('exponent 1', false, 0, { key: encodePublicKey({ ...e3, e: Uint8Array.of(1) }) }),
    item('exponent even', false, 0, { key: encodePublicKey({ ...e3, e: Uint8Array.of(2) }) }),
    item('exponent 5, odd one out', false, 1, { key: encodePublicKey({ ...e3, e: Uint8Array.of(5) }) }),
    item('exponent too long', false, 0, { key: encodePublicKey({ ...e3, e: new Uint8Array(9).fill(1) }) }),
    item('exponent with leading zeros', true, 1, {
      key: encodePublicKey({ ...e3, e: Uint8Array.of(0, 1, 0, 1) }),
    }),
    item('private key as public', true, 1, { key: blob }),
    item('padding: first byte', false, 1, { signature: forged((m) => m.set([1], 0)) }),
    item('padding: block type 2', false, 1, { signature: forged((m) => m.set([2], 1)) }),
    item('padding: hole', false, 1, { signature: forged((m) => m.set([0xfe], 20)) }),
    item('padding: no separator', false, 1, { signature: forged((m) => m.set([0xff], digestInfoAt - 1)) }),
    item('digest info: SHA-384', false, 1, { signature: forged((m) => m.set([2], digestInfoAt + 14)) }),
    item('digest info: no NULL', false, 1, { signature: forged((m) => m.set([4], digestInfoAt + 15)) }),
    item('hash moved left, garbage behind', false, 1, {
      signature: forged((m) => {
        m.copyWithin(10, digestInfoAt - 1);
        m.fill(0x5a, 10 + 84);
      }),
    }),
    item('digest: last bit', false, 1, {
      signature: forged((m) => m.set([m[n.length - 1]! ^ 1], n.length - 1)),
    }),
  ];
}
