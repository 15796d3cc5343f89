import { crc32c } from '../../core/index.js';
import {
  merkleRoot,
  sha3_256,
  sha3_512,
  sha3_512sq,
  sha3sqTrunc,
  sha3Trunc,
  sha256,
  sha512,
  sha512qu,
  sha512quTrunc,
  sha512sq,
  sha512sqTrunc,
  truncate,
} from '../../identity/index.js';
import {
  amountFromCoins,
  ByteReader,
  ByteWriter,
  compareAmounts,
  compareBytes,
  DecodeError,
  divideAmounts,
  divRemAmounts,
  divRemLowPrecision,
  encodeIxiNumber,
  formatAmount,
  fromHex,
  guidText,
  multiplyAmounts,
  parseAmount,
  parseGuid,
  readIxiNumber,
  toHex,
  writeIxiNumber,
} from '../../wire/index.js';
import type { Answer, Family, Json, JsonObject, Outcome, VectorCase } from './case.js';
import {
  answer,
  attempt,
  big,
  bytes,
  bytesList,
  hex32,
  hexOrNull,
  num,
  optionalBytes,
  refusalLike,
  text,
} from './wire-fields.js';

type Runner = (c: VectorCase) => Answer | Outcome;

const utf8 = (s: string): string => toHex(new TextEncoder().encode(s));
const fromUtf8 = (b: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(b);
const unit = (s: string): string => s.charCodeAt(0).toString(16).padStart(4, '0');

/** Bytes a stream decoder has taken when it fails: all of them when the data ended, else up to where it stood. */
const consumedOnFailure = (e: Error, r: ByteReader): number =>
  e instanceof DecodeError && e.code === 'EOF' ? r.end : r.offset;

/** `{value, consumed}` of a reading, or the refusal in the same shape. */
function reading(
  data: Uint8Array,
  read: (r: ByteReader) => Json,
  expected: Json | undefined,
  stream: boolean,
): JsonObject {
  const r = new ByteReader(data);
  const got = attempt(() => read(r));
  if ('value' in got) return { value: got.value, consumed: r.offset };
  const error = refusalLike(expected);
  return stream ? { error, consumed: consumedOnFailure(got.refused, r) } : { error };
}

function varintDecode(c: VectorCase): Answer {
  const data = bytes(c.in, 'bytes');
  const offset = num(c.in, 'offset');
  const signed = (r: ByteReader): Json => r.var('value').toString();
  const unsigned = (r: ByteReader): Json => r.uvar('value').toString();
  // An array decoder is a reader that starts at the offset; its byte count is relative to that.
  const array = (read: (r: ByteReader) => Json, expected: Json | undefined): JsonObject => {
    const got = attempt(() => {
      const r = new ByteReader(data, offset);
      const value = read(r);
      return { value, consumed: r.offset - offset };
    });
    return 'value' in got ? got.value : { error: refusalLike(expected) };
  };
  return {
    out: {
      streamSigned: reading(data, signed, c.out.streamSigned, true),
      streamUnsigned: reading(data, unsigned, c.out.streamUnsigned, true),
      arraySigned: array(signed, c.out.arraySigned),
      arrayUnsigned: array(unsigned, c.out.arrayUnsigned),
    },
  };
}

function narrow(c: VectorCase): Answer {
  return answer(() => {
    const data = bytes(c.in, 'bytes');
    const int32 = new ByteReader(data).uvarInt('value');
    return { value: new ByteReader(data).uvar('value').toString(), int32 };
  });
}

function ixibytesDecode(c: VectorCase): Answer | Outcome {
  const data = bytes(c.in, 'bytes');
  const offset = num(c.in, 'offset');
  const got = attempt(() => {
    const r = new ByteReader(data, offset);
    const value = r.ixiBytes('data');
    // In 0.9.7 the array reader gave back its absolute position behind a zero length (01 §3.1); a codec that
    // walks with a cursor, as ours does for both lines, stands at that very position.
    const absolute = value === null && c.line === '0.9.7';
    return { value: hexOrNull(value), bytesRead: absolute ? r.offset : r.offset - offset };
  });
  const out = {
    array: 'value' in got ? got.value : { error: refusalLike(c.out.array) },
    lax: reading(data.subarray(offset), (r) => toHex(r.vb('data')), c.out.lax, true),
  };
  if (c.strict === undefined) return { out };
  // The mark names the member that strict mode refuses (README §6); the others still hold.
  const field = String(c.strict.field);
  if (field !== 'lax' || c.strict.accept !== false) return { refused: `no strict rule for ${field}` };
  if (!('error' in out.lax)) return { kind: 'failed', detail: 'lax: accepted, but refusal is expected' };
  const arrayRefused = 'refused' in got;
  const arrayWanted = 'error' in (c.out.array as JsonObject);
  return arrayRefused === arrayWanted
    ? { kind: 'passed' }
    : { kind: 'failed', detail: `array: ${JSON.stringify(out.array)}` };
}

function arith(c: VectorCase): Answer {
  const a = parseAmount(text(c.in, 'a'));
  const b = parseAmount(text(c.in, 'b'));
  const orError = (f: () => Json, key: string): Json => {
    const r = attempt(f);
    return 'value' in r ? r.value : { error: refusalLike(c.out[key]) };
  };
  const pair = (r: { quotient: bigint; remainder: bigint }): JsonObject => ({
    q: formatAmount(r.quotient),
    r: formatAmount(r.remainder),
  });
  return {
    out: {
      add: formatAmount(a + b),
      sub: formatAmount(a - b),
      mul: formatAmount(multiplyAmounts(a, b)),
      div: orError(() => formatAmount(divideAmounts(a, b)), 'div'),
      divRem: orError(() => pair(divRemAmounts(a, b)), 'divRem'),
      divRemLow: orError(() => pair(divRemLowPrecision(a, b)), 'divRemLow'),
      cmp: compareAmounts(a, b),
    },
  };
}

function crc(c: VectorCase): Answer {
  const data = bytes(c.in, 'data');
  const whole = crc32c(data);
  const out: Record<string, Json> = { crc: hex32(whole), le: toHex(new ByteWriter(4).u32(whole).bytes()) };
  if (c.in.split !== undefined) {
    const at = num(c.in, 'split');
    const first = crc32c(data.subarray(0, at));
    out.first = hex32(first);
    out.incremental = hex32(crc32c(data.subarray(at), first));
  }
  return { out };
}

function hash(c: VectorCase): Answer {
  const data = bytes(c.in, 'data');
  if (c.in.n !== undefined)
    return answer(() => ({ truncated: toHex(truncate(sha512(data), num(c.in, 'n'))) }));
  const offset = c.in.offset === undefined ? 0 : num(c.in, 'offset');
  const count = c.in.count === undefined ? 0 : num(c.in, 'count');
  const part = data.subarray(offset, count === 0 ? data.length : offset + count);
  const all: Record<string, Uint8Array> = {
    sha256: sha256(part),
    sha512: sha512(part),
    sha512sq: sha512sq(part),
    sha512sqTrunc44: sha512sqTrunc(part, 44),
    sha512sqTrunc3: sha512sqTrunc(part, 3),
    sha512qu: sha512qu(part),
    sha512quTrunc32: sha512quTrunc(part, 32),
    sha3_256: sha3_256(part),
    sha3_512: sha3_512(part),
    sha3_512Trunc10: sha3Trunc(part, 10),
    sha3_512sq: sha3_512sq(part),
    sha3_512sqTrunc44: sha3sqTrunc(part, 44),
  };
  return { out: Object.fromEntries(Object.entries(all).map(([k, v]) => [k, toHex(v)])) };
}

const runners: readonly (readonly [prefix: string, run: Runner])[] = [
  ['varint/encode-', (c) => ({ out: { bytes: toHex(new ByteWriter().var(big(c.in, 'value')).bytes()) } })],
  ['varint/decode/', varintDecode],
  ['varint/narrow-int32/', narrow],
  [
    'ixibytes/encode/',
    (c) => ({ out: { bytes: toHex(new ByteWriter().vb(optionalBytes(c.in, 'data')).bytes()) } }),
  ],
  [
    'ixibytes/decode-stream/',
    (c) => {
      const got = reading(bytes(c.in, 'bytes'), (r) => hexOrNull(r.ixiBytes('data')), c.out, true);
      return 'error' in got ? { refused: String(got.error) } : { out: got };
    },
  ],
  ['ixibytes/decode/', ixibytesDecode],
  [
    'netstr/encode-lone-surrogate',
    (c) => {
      const s = (c.in.utf16 as readonly string[])
        .map((u) => String.fromCharCode(Number.parseInt(u, 16)))
        .join('');
      return { out: { bytes: toHex(new ByteWriter().netstr(s).bytes()) } };
    },
  ],
  [
    'netstr/encode/',
    (c) => ({ out: { bytes: toHex(new ByteWriter().netstr(fromUtf8(bytes(c.in, 'textUtf8'))).bytes()) } }),
  ],
  [
    'netstr/decode/',
    (c) =>
      answer(() => {
        const r = new ByteReader(bytes(c.in, 'bytes'));
        const s = r.netstr('text');
        return { value: { utf8: utf8(s), utf16Length: s.length }, consumed: r.offset };
      }),
  ],
  [
    'char/encode/',
    (c) =>
      answer(() => {
        const ch = String.fromCharCode(Number.parseInt(text(c.in, 'utf16'), 16));
        return { bytes: toHex(new ByteWriter().char(ch).bytes()) };
      }),
  ],
  [
    'char/decode/',
    (c) =>
      answer(() => {
        const r = new ByteReader(bytes(c.in, 'bytes'));
        return { value: unit(r.char('char')), consumed: r.offset };
      }),
  ],
  [
    'bool/decode/',
    (c) =>
      answer(() => {
        const r = new ByteReader(bytes(c.in, 'bytes'));
        return { value: r.bool('bool'), consumed: r.offset };
      }),
  ],
  ['guid/parse/', (c) => answer(() => ({ bytes: toHex(parseGuid(text(c.in, 'text'))) }))],
  [
    'guid/',
    (c) => {
      const t = guidText(bytes(c.in, 'bytes'));
      return { out: { text: t, back: toHex(parseGuid(t)) } };
    },
  ],
  [
    'num/encode/',
    (c) => {
      const units = big(c.in, 'units');
      const full = toHex(writeIxiNumber(new ByteWriter(), units).bytes());
      const amountBytes = toHex(encodeIxiNumber(units));
      return { out: { amountBytes, num: full, text: formatAmount(units), raw: units.toString() } };
    },
  ],
  [
    'num/decode/',
    (c) =>
      answer(() => {
        const r = new ByteReader(bytes(c.in, 'bytes'));
        const units = readIxiNumber(r, 'num');
        const reencoded = toHex(writeIxiNumber(new ByteWriter(), units).bytes());
        return {
          value: { units: units.toString(), text: formatAmount(units), reencoded },
          consumed: r.offset,
        };
      }),
  ],
  [
    'num/parse/',
    (c) =>
      answer(() => {
        const units = parseAmount(text(c.in, 'text'));
        return { units: units.toString(), text: formatAmount(units) };
      }),
  ],
  ['num/arith/', arith],
  [
    'num/from-int/',
    (c) => {
      const coins = big(c.in, 'value');
      const units = amountFromCoins(coins);
      const equalsInt = compareAmounts(units, amountFromCoins(Number(coins))) === 0;
      return { out: { units: units.toString(), text: formatAmount(units), equalsInt } };
    },
  ],
  ['crc32c/', crc],
  ['hex/decode/', (c) => answer(() => ({ bytes: toHex(fromHex(text(c.in, 'text'))) }))],
  [
    'hex/encode/',
    (c) => {
      const data = optionalBytes(c.in, 'data');
      return { out: { text: data === null ? 'null' : toHex(data) } };
    },
  ],
  ['hash/', hash],
  ['merkle/', (c) => ({ out: { root: hexOrNull(merkleRoot(bytesList(c.in, 'leaves'))) } })],
  ['order/', (c) => ({ out: { sorted: bytesList(c.in, 'items').sort(compareBytes).map(toHex) } })],
];

/** Primitive encodings (docs/protocol/01). */
export const family01: Family = {
  name: '01-encoding',
  files: ['01-encoding.json'],
  run(c) {
    const runner = runners.find(([prefix]) => c.name.startsWith(prefix));
    return runner === undefined ? { uncovered: 'unknown group' } : runner[1](c);
  },
};
