// RSA-4096 verification: the kernels against node:crypto, V8 BigInt and node-forge.

import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { loadRsaCoreSync, rsaEngineNames } from '../../dist/core/index.js';
import { encodePublicKey } from '../../dist/identity/index.js';
import { must, optional } from './checks.mjs';
import { measure } from './measure.mjs';

export const BATCH = 32;
/** What the protocol signs: the 44-byte checksum of a keep-alive (docs/protocol/05 §1). */
const SIGNED_BYTES = 44;

const toBigInt = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

/** A batch of signatures under eight keys. */
export function rsaItems() {
  const keys = Array.from({ length: 8 }, () => generateKeyPairSync('rsa', { modulusLength: 4096 }));
  return Array.from({ length: BATCH }, (_, i) => {
    const { privateKey, publicKey } = keys[i % keys.length];
    const message = new Uint8Array(randomBytes(SIGNED_BYTES));
    const n = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n, 'base64url'));
    return {
      message,
      signature: new Uint8Array(sign('sha512', message, privateKey)),
      n,
      big: toBigInt(n),
      publicKey,
      spki: publicKey.export({ format: 'der', type: 'spki' }),
      key: encodePublicKey({ addressVersion: 1, n, e: Uint8Array.of(1, 0, 1) }),
    };
  });
}

/** Square and multiply, plainly. */
function bigIntPower({ big, signature }) {
  const s = toBigInt(signature);
  let power = s;
  for (let i = 0; i < 16; i++) power = (power * power) % big;
  return (power * s) % big;
}

const verifiers = [
  ['node:crypto, cached key', (v) => verify('sha512', v.message, v.publicKey, v.signature)],
  [
    'node:crypto, fresh key from JWK',
    (v) => {
      const jwk = { kty: 'RSA', n: Buffer.from(v.n).toString('base64url'), e: 'AQAB' };
      return verify('sha512', v.message, createPublicKey({ key: jwk, format: 'jwk' }), v.signature);
    },
  ],
  [
    'node:crypto, fresh key from SPKI',
    (v) => {
      const key = createPublicKey({ key: v.spki, format: 'der', type: 'spki' });
      return verify('sha512', v.message, key, v.signature);
    },
  ],
  [
    'V8 BigInt',
    (v) => {
      const digest = createHash('sha512').update(v.message).digest('hex');
      return bigIntPower(v).toString(16).endsWith(digest);
    },
  ],
];

function forgeArm(forge, item) {
  const { BigInteger } = forge.default.jsbn;
  const e = new BigInteger('10001', 16);
  const n = new BigInteger(Buffer.from(item.n).toString('hex'), 16);
  const s = new BigInteger(Buffer.from(item.signature).toString('hex'), 16);
  const digest = createHash('sha512').update(item.message).digest('hex');
  return { name: 'node-forge', run: () => must(s.modPow(e, n).toString(16).endsWith(digest), 'node-forge') };
}

export async function rsaTable(settings) {
  const items = rsaItems();
  const other = { ...items[0], message: items[1].message };
  const arms = verifiers.map(([name, one]) => {
    must(!one(other), name);
    return {
      name,
      operations: BATCH,
      run: () => {
        for (const item of items) must(one(item), name);
      },
    };
  });
  const left = [];
  for (const name of rsaEngineNames) {
    const core = loadRsaCoreSync(name);
    if (core === null) {
      left.push(name);
      continue;
    }
    must(core.verifyKeys([other])[0] === 2, name);
    arms.push({
      name,
      operations: BATCH,
      run: () => {
        const verdicts = core.verifyKeys(items);
        for (let i = 0; i < BATCH; i++) must(verdicts[i] === 1, name);
      },
    });
  }
  const forge = await optional('node-forge');
  if (forge === null) left.push('node-forge');
  else arms.push(forgeArm(forge, items[0]));
  for (const arm of arms) arm.run();
  return {
    title: `RSA-4096 verification, batches of ${BATCH}, ${SIGNED_BYTES}-byte messages, a fresh key per item in the kernels`,
    left,
    ...measure(arms, settings),
  };
}
