// RSA verification, one signature at a time, in integers: for every runtime.

import { compare, fromBytes, isBelowModulus, toBytes } from './digits27';
import { openKey, PENDING, VALID, WRONG } from './keyblob';
import { encodeMessage, isUsableKey } from './pkcs1';
import { raise, setModulus } from './power27';

/** The encoded message that a valid signature must open to. */
const ENCODED = memory.data(512, 8);
/** Numbers, with eight zero digits below and above as power27.ts asks. */
const EXPECTED_AREA = memory.data(704, 64);
const EXPECTED = EXPECTED_AREA + 32;
const SIGNATURE_AREA = memory.data(704, 64);
const SIGNATURE = SIGNATURE_AREA + 32;
const POWER_AREA = memory.data(704, 64);
const POWER = POWER_AREA + 32;

/** modulus at, bytes; signature at, bytes; message at, bytes; exponent; 0. Addresses are absolute. */
const ITEM_BYTES: usize = 32;

/** Loads modulus and signature, which is as long; false when one of them is not acceptable. */
function loadOperands(modulusAt: usize, bytes: u32, signatureAt: usize, exponent: u32): bool {
  if (!isUsableKey(modulusAt, bytes, exponent)) return false;
  setModulus(modulusAt, bytes);
  fromBytes(signatureAt, bytes, SIGNATURE);
  return isBelowModulus(SIGNATURE);
}

/**
 * The primitive alone (RSAVP1, RFC 8017 §5.2.2): signature^exponent mod n, as long as the modulus, into `out`.
 * @returns false, with nothing written, when key or signature is not acceptable
 */
export function rsaPower(modulusAt: usize, bytes: u32, signatureAt: usize, exponent: u32, out: usize): bool {
  if (!loadOperands(modulusAt, bytes, signatureAt, exponent)) return false;
  raise(SIGNATURE, exponent, POWER);
  toBytes(POWER, bytes, out);
  return true;
}

function verify(item: usize): bool {
  const modulusAt: usize = load<u32>(item, 0);
  const modulusBytes = load<u32>(item, 4);
  const signatureAt: usize = load<u32>(item, 8);
  const exponent = load<u32>(item, 24);
  if (load<u32>(item, 12) != modulusBytes) return false;
  if (!loadOperands(modulusAt, modulusBytes, signatureAt, exponent)) return false;

  encodeMessage(load<u32>(item, 16), load<u32>(item, 20), modulusBytes, ENCODED);
  fromBytes(ENCODED, modulusBytes, EXPECTED);
  raise(SIGNATURE, exponent, POWER);
  // Both are below 256^bytes and of the same length, so equal numbers are equal encoded messages, byte for byte.
  return compare(POWER, EXPECTED) == 0;
}

/** One verdict byte per item: 1 valid, 0 not. Whatever is wrong with key, signature or lengths is a 0. */
export function rsaVerifyBatch(items: usize, count: u32, verdicts: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    store<u8>(verdicts + i, verify(items) ? 1 : 0);
    items += ITEM_BYTES;
  }
}

/**
 * The same for received keys. Rows are (key at, bytes; signature at, bytes; message at, bytes; 0; 0) and are overwritten;
 * keys are serialized ones. Verdicts as in keyblob.ts.
 */
export function rsaVerifyKeys(items: usize, count: u32, verdicts: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    let verdict = openKey(items);
    if (verdict == PENDING) verdict = verify(items) ? VALID : WRONG;
    store<u8>(verdicts + i, verdict);
    items += ITEM_BYTES;
  }
}
