import {
  constants,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  randomBytes,
  sign,
} from 'node:crypto';
import { expect, it } from 'vitest';
import { loadRsaCore, type RsaCore, RsaVerdict, rsaEngineNames } from '../../src/core/index.js';
import { enableRelaxedSimd } from '../../src/core/node/index.js';
import { createVerifyEngine, encodePublicKey, type VerifyItem } from '../../src/identity/index.js';
import { seededRandom } from '../support/random.js';

// 100,000 generated cases, valid and each kind of invalid, through every engine that can take them in minutes:
//
//   npm run test:slow -- engines-differential
//
// STARLING_SEED repeats a run (the seed is printed), STARLING_CASES shortens it.

enableRelaxedSimd();

const seed = Number(process.env.STARLING_SEED ?? randomBytes(4).readUInt32LE());
const cases = Number(process.env.STARLING_CASES ?? 100_000);
/** Of every hundred cases the slow engines see one: their verdicts must be those of the others. */
const SLOW_SHARE = 100;
const BATCH = 500;

const toBytes = (value: bigint, size: number): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex'));
const toBigInt = (b: Uint8Array): bigint => BigInt(`0x${Buffer.from(b).toString('hex')}`);

interface Key {
  readonly privateKey: KeyObject;
  readonly n: Uint8Array;
  readonly e: Uint8Array;
  readonly blob: Uint8Array;
}

function makeKey(bits: number, exponent: number): Key {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: bits,
    publicExponent: exponent,
  });
  const jwk = publicKey.export({ format: 'jwk' });
  const n = new Uint8Array(Buffer.from(jwk.n!, 'base64url'));
  const e = new Uint8Array(Buffer.from(jwk.e!, 'base64url'));
  return { privateKey, n, e, blob: encodePublicKey({ addressVersion: 1, n, e }) };
}

interface Signed extends VerifyItem {
  readonly key: Uint8Array;
  readonly of: Key;
}

const INFO = Buffer.from('3051300d060960864801650304020305000440', 'hex');

function encoded(message: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size).fill(0xff);
  out[0] = 0;
  out[1] = 1;
  out[size - 84] = 0;
  out.set(INFO, size - 83);
  out.set(createHash('sha512').update(message).digest(), size - 64);
  return out;
}

/** Signatures whose opened form is almost an encoded message. */
function forgeries(key: Key, message: Uint8Array): Uint8Array[] {
  const size = key.n.length;
  const good = encoded(message, size);
  const changed = (f: (em: Uint8Array) => void): Uint8Array => {
    const em = good.slice();
    f(em);
    return new Uint8Array(privateEncrypt({ key: key.privateKey, padding: constants.RSA_NO_PADDING }, em));
  };
  return [
    changed((m) => m.set([2], 1)),
    changed((m) => m.set([0], 1)),
    changed((m) => m.set([0xfe], 30)),
    changed((m) => m.set([0xff], size - 84)),
    changed((m) => m.set([2], size - 83 + 14)),
    changed((m) => {
      m.copyWithin(10, size - 84);
      m.fill(0x5a, 94);
    }),
    changed((m) => m.set([m[size - 1]! ^ 1], size - 1)),
    changed((m) => m.set([m[size - 64]! ^ 0x80], size - 64)),
  ];
}

it(`all engines agree on ${cases} cases, seed ${seed}`, { timeout: 1_800_000 }, async () => {
  console.log(`engines-differential: seed ${seed}, ${cases} cases`);
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const keys = [
    ...[4096, 4096, 4096, 4095, 4089, 3072, 2560, 2049, 2048].map((bits) => makeKey(bits, 65537)),
    makeKey(4096, 3),
    makeKey(2048, 3),
  ];
  const pool: Signed[] = keys.flatMap((of) =>
    [0, 1, 44, 127, 128, 1100].map((length) => {
      const message = Uint8Array.from({ length }, () => below(256));
      return { key: of.blob, message, signature: new Uint8Array(sign('sha512', message, of.privateKey)), of };
    }),
  );
  const forged: Signed[] = keys.flatMap((of) => {
    const message = Uint8Array.from({ length: 44 }, () => below(256));
    return forgeries(of, message).map((signature) => ({ key: of.blob, message, signature, of }));
  });

  const flip = (b: Uint8Array): Uint8Array => {
    const out = b.slice();
    if (out.length > 0) out[below(out.length)]! ^= 1 << below(8);
    return out;
  };
  /** A case and whether it must be valid; null = the engines only have to agree. */
  const one = (): readonly [VerifyItem, boolean | null] => {
    const item = pool[below(pool.length)]!;
    const { n, e } = item.of;
    const size = n.length;
    const withSignature = (signature: Uint8Array): readonly [VerifyItem, false] => [
      { ...item, signature },
      false,
    ];
    switch (below(14)) {
      case 0:
      case 1:
      case 2:
        return [item, true];
      case 3:
        return withSignature(flip(item.signature));
      case 4:
        return [
          { ...item, message: item.message.length === 0 ? Uint8Array.of(1) : flip(item.message) },
          false,
        ];
      case 5:
        return [forged[below(forged.length)]!, false];
      case 6: {
        // The same residue, not below n: must be refused where it fits at all.
        const sum = toBigInt(item.signature) + toBigInt(n);
        return withSignature(sum < 1n << BigInt(8 * size) ? toBytes(sum, size) : n);
      }
      case 7:
        return withSignature(toBytes(toBigInt(n) - BigInt(below(3)), size));
      case 8:
        return withSignature(toBytes([0n, 1n, toBigInt(n) - toBigInt(item.signature)][below(3)]!, size));
      case 9:
        return withSignature(
          [
            item.signature.subarray(1),
            Uint8Array.of(0, ...item.signature),
            Uint8Array.of(...item.signature, 0),
          ][below(3)]!,
        );
      case 10:
        // A damaged key: it may happen to parse, so only agreement is asked, the verdict is never valid.
        return [{ ...item, key: flip(item.key) }, null];
      case 11:
        return [{ ...item, key: pool[below(pool.length)]!.key.subarray(0, below(item.key.length)) }, false];
      case 12: {
        // An even modulus, or an odd neighbour, of the same length.
        const changed = n.slice();
        changed[size - 1]! ^= random() < 0.5 ? 1 : 2;
        return [{ ...item, key: encodePublicKey({ addressVersion: 1, n: changed, e }) }, false];
      }
      default: {
        const other = Uint8Array.from({ length: size }, () => below(256));
        return withSignature(other);
      }
    }
  };

  const kernels: RsaCore[] = [];
  for (const name of rsaEngineNames) kernels.push((await loadRsaCore(name))!);
  const native = await createVerifyEngine('native-sync');
  const slow = [await createVerifyEngine('webcrypto'), await createVerifyEngine('forge')];
  const kinds = { valid: 0, invalid: 0 };
  for (let done = 0; done < cases; done += BATCH) {
    const drawn = Array.from({ length: Math.min(BATCH, cases - done) }, one);
    const items = drawn.map(([item]) => item);
    const verdicts = await native.verify(items);
    drawn.forEach(([, want], i) => {
      if (want !== null) expect(verdicts[i], `case ${done + i}, seed ${seed}`).toBe(want);
      kinds[verdicts[i] === true ? 'valid' : 'invalid']++;
    });
    for (const kernel of kernels) {
      const got = [...kernel.verifyKeys(items)];
      got.forEach((verdict, i) => {
        // A damaged length may make a key that the kernels leave to others.
        if (verdict === RsaVerdict.elsewhere) return;
        expect(verdict === RsaVerdict.valid, `${kernel.engine}, case ${done + i}, seed ${seed}`).toBe(
          verdicts[i],
        );
      });
    }
    const few = items.filter((_, i) => (done + i) % SLOW_SHARE === 0);
    const expected = verdicts.filter((_, i) => (done + i) % SLOW_SHARE === 0);
    for (const engine of slow)
      expect(await engine.verify(few), `${engine.name}, from ${done}, seed ${seed}`).toEqual(expected);
  }
  expect(kinds.valid).toBeGreaterThan(cases / 10);
  expect(kinds.invalid).toBeGreaterThan(cases / 3);
  for (const engine of [native, ...slow]) await engine.close();
});
