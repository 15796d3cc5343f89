import { sha3_512sq } from '../identity/index.js';
import { ByteReader, ByteWriter, concatBytes, DecodeError } from '../wire/index.js';

/** Longest label of a domain name, in characters of its ASCII form. */
const labelCharsMax = 63;
/** Longest name in characters. */
const nameCharsMax = 253;

// Parameters of punycode (RFC 3492 §5).
const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;
const INITIAL_BIAS = 72;
const INITIAL_N = 128;

function adapt(delta: number, points: number, first: boolean): number {
  let d = first ? Math.floor(delta / DAMP) : Math.floor(delta / 2);
  d += Math.floor(d / points);
  let k = 0;
  while (d > ((BASE - T_MIN) * T_MAX) >> 1) {
    d = Math.floor(d / (BASE - T_MIN));
    k += BASE;
  }
  return k + Math.floor(((BASE - T_MIN + 1) * d) / (d + SKEW));
}

const digit = (d: number): string => String.fromCharCode(d < 26 ? 97 + d : 22 + d);

function punycode(label: string): string {
  const points = [...label].map((c) => c.codePointAt(0)!);
  const basic = points.filter((p) => p < 0x80);
  let out = String.fromCharCode(...basic);
  let done = basic.length;
  if (done > 0) out += '-';
  let n = INITIAL_N;
  let delta = 0;
  let bias = INITIAL_BIAS;
  while (done < points.length) {
    const next = Math.min(...points.filter((p) => p >= n));
    delta += (next - n) * (done + 1);
    n = next;
    for (const p of points) {
      if (p < n) delta++;
      if (p !== n) continue;
      let q = delta;
      for (let k = BASE; ; k += BASE) {
        const t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
        if (q < t) break;
        out += digit(t + ((q - t) % (BASE - t)));
        q = Math.floor((q - t) / (BASE - t));
      }
      out += digit(q);
      bias = adapt(delta, done + 1, done === basic.length);
      delta = 0;
      done++;
    }
    delta++;
    n++;
  }
  return out;
}

/** Lower-case ASCII form of one label; `xn--` punycode where it holds other characters. */
function asciiLabel(label: string): string {
  const ascii = /^[\x20-\x7e]*$/.test(label) ? label : `xn--${punycode(label)}`;
  if (ascii.length === 0 || ascii.length > labelCharsMax)
    throw new DecodeError('RANGE', 'name.label', 0, `${ascii.length} of 1 to ${labelCharsMax} characters`);
  return ascii;
}

/**
 * Wire form of a registered name (docs/protocol/09 §11): for each label, top label first, the length and the
 * double hash of network lock and lower-case punycode label; 65 bytes each. Throws `DecodeError` for an empty
 * label, a label above 63 or a name above 253 characters.
 */
export function encodeName(name: string, lock: Uint8Array): Uint8Array {
  const lower = name.toLowerCase().normalize('NFC');
  if (lower.length > nameCharsMax)
    throw new DecodeError('TOOLONG', 'name', 0, `${lower.length} > ${nameCharsMax}`);
  const text = new TextEncoder();
  const parts = lower
    .split('.')
    .map(asciiLabel)
    .reverse()
    .map((label) => sha3_512sq(concatBytes(lock, text.encode(label))));
  const w = new ByteWriter(65 * parts.length);
  for (const p of parts) w.vb(p);
  return w.bytes();
}

/** Key of a record that is asked for without one. */
export const DEFAULT_RECORD_KEY: Uint8Array = new TextEncoder().encode('@');
/** Record keys (09 §11). */
const recordKeyBytesMax = 256;

/** One record of a name as nameRecord carries it (09 §11). */
export interface NameEntry {
  /** 1…256 bytes. */
  readonly key: Uint8Array;
  /** Seconds it may be kept. */
  readonly ttl: number;
  readonly data: Uint8Array;
}

/** Bytes of one record inside nameRecord. */
export function encodeNameEntry(e: NameEntry): Uint8Array {
  return new ByteWriter(64 + e.data.length).vb(e.key).var(e.ttl).vb(e.data).bytes();
}

/** Inverse of {@link encodeNameEntry}; the bytes are views. Nothing vouches for a record. Throws `DecodeError`. */
export function decodeNameEntry(bytes: Uint8Array): NameEntry {
  const r = new ByteReader(bytes);
  const key = r.ixiBytes('nameEntry.key', recordKeyBytesMax) ?? r.fail('EMPTY', 'nameEntry.key');
  return { key, ttl: r.varInt('nameEntry.ttl'), data: r.vb('nameEntry.data') };
}
