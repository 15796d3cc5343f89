import { DecodeError } from '../../wire/index.js';
import { base64Decode } from '../base64.js';
import { encodePublicKey } from '../rsa-key.js';
import type { VerifyEngine, VerifyItem } from './engine.js';

// A 4096-bit key made for this test alone, its private half was never stored, and one signature of it.
const MODULUS =
  'yl5cTVukoS1qfuYlHfUs3tio0lTwMjvxTZ1n5wGd8nu8coSeI3xRLDLOpBvpM9ElciDMNfjp7dDNFGHVf39+k7l5/9BwS2mx' +
  'hcmy6/1QcPiSvQ1lPnkEUI92QNUh+WvlIuXqdSI/FdI3gRUYV+5/m/CJ7DJwvZ2VQNKj3NhWAJxgKm9OGOCfGLp5UoWU7GkY' +
  'ofcrAHosmk+wzShpt1FbidAuPBMeUMMzgVu/GvB5UopwjOUXcH5NkqYhF3h6Mkq1G+OWkPXuizUC4j7Wr6V8m+fOnL//etN+' +
  'Q8by970ga+s6P+8Tbnm9lSz0C35fYnO7WCo0dtRHo3wCT42mA21ZsUEpgkVQF+II3lfXQle0U+CgzOTIPXw4OIP+urkAPVW2' +
  'pwfPRxZD2sDN7MKV8RnEGsa25/5jKkcSp+PoQq5dctF2hK7ryv9un0jwjOufgKYA5StwwJ3CbASvI6g+pn6Ld6z1NZuHMIw8' +
  'nA6K965jwDo930sHATRka5DSO/mNDfNjInBd02u6liEuCGh7LcG/hxvDhre7FafBuly+mb3dzPtPRAr75KT/3+rB49twwRDS' +
  'gPGuNYLF12U3/Kthuf5mDkuZ5fWtb0L3bZsHgrNex7Wc/8En682M5xD3rN0+uVWBCypS9WEyghtz2F2Xc+ZZFM7et7QlCSKZ' +
  'SGdxPDTUT80=';

const SIGNATURE =
  'XB5S8j3IH7O/L37FuCtRm8sxrGigO1u042NEbR9RcjumuFh2kXOhvxLLHNyapjt+45ZYGw9Q24SXUw/3KcTlzxqLAgfqmMD5' +
  'RPkIr3kUt6D2nNPjo81GiV97r6lGkveI75dpw4AIl0kT8In1ZwzJhkoODX83REt0na6WgbrTsiad1j2bggnhSj4PWAi2O8uk' +
  'gRsuRiVixpDVcvRgKcjq7Xp7uZzsHyBEyyR7kc3bsq+omLVP+XoOBaXWvtGAwBUAMaSbXi4b+iKyJs/Z8WlMqg/pj0Y5qvyk' +
  '3vmE4LXUhELgIP27IwE8YJf6owxqfDjxrPUJWYxjEuoyLA6/F/ZawvFDQ5xIDNkXNGrPz2F1PUO33xy1GtfXwixPhBkimTcj' +
  '4BcQLIWLIecmkKNx081y1vTWh3+9e/OZRXyhGVZkJpSmEhZqjmm3LzU1meRLeiunBfKkFLRmtpD10HLF3X4CC2GFVIRUZ+vZ' +
  'aNvMgLzGy/iHoZI0G2kL+0uSaz8G9kX4NAVHjrtYNep4BZYKy8OJNCg6wAvtmCSedhxCxiRqY7yKjD49nuTCqeOYI6IoLgy6' +
  'kSWFURdSdn5ky+6N2ex21xs8Fd1apJ3zngLvpxe0N92OXwmGvRjJlQYj/dBj+iD0EQqtO9nfc9cUNGin71Qu9Kiqu3zpgR2s' +
  'ph2E5vjL1Kc=';

const MESSAGE = new TextEncoder().encode('starling verify engine self-test');

function decoded(text: string): Uint8Array {
  const b = base64Decode(text);
  if (b === null) throw new DecodeError('FORMAT', 'selfTest', 0);
  return b;
}

function flipped(b: Uint8Array, at: number): Uint8Array {
  const out = new Uint8Array(b);
  out[at]! ^= 1;
  return out;
}

/** A valid signature and three that must fail, with the verdicts expected. */
export function selfTestItems(): readonly (VerifyItem & { readonly valid: boolean })[] {
  const key = encodePublicKey({ addressVersion: 1, n: decoded(MODULUS), e: Uint8Array.of(1, 0, 1) });
  const signature = decoded(SIGNATURE);
  const good = { key, message: MESSAGE, signature };
  return [
    { ...good, valid: true },
    { ...good, message: flipped(MESSAGE, 0), valid: false },
    { ...good, signature: flipped(signature, 511), valid: false },
    // Another modulus with the same length: the arithmetic itself must come out differently.
    { ...good, key: flipped(key, 300), valid: false },
  ];
}

/** True when the engine gives the right verdicts here: a runtime that miscalculates must not judge anybody. */
export async function passesSelfTest(engine: VerifyEngine): Promise<boolean> {
  const items = selfTestItems();
  try {
    const verdicts = await engine.verify(items);
    return verdicts.length === items.length && items.every((item, i) => verdicts[i] === item.valid);
  } catch {
    return false;
  }
}
