import {
  Code,
  concatBytes,
  DecodeError,
  encodeFrame,
  encodeTimeRecord,
  fromHex,
  PING_BYTE,
  payloadBytesMaxOf,
  StreamParser,
  toHex,
} from '../../wire/index.js';
import { compareOut, type Json, type JsonObject, type Outcome } from './case.js';
import { stem, VectorFileError } from './load.js';
import type { CaseResult, SessionRunner } from './run.js';
import { PAYLOAD_CHECKS, type Reader } from './session-payloads.js';

/** One record of a recorded connection (test/vectors/README.md §5). */
interface Recorded {
  readonly ms: number;
  readonly from: string;
  readonly kind: string;
  readonly code?: number;
  readonly name?: string;
  readonly payload_len?: number;
  readonly hex: string;
}

interface Connection {
  readonly dialer: string;
  readonly listener: string;
  readonly t0: number;
  readonly records: readonly Recorded[];
}

/** What the reader made of one record, with the members the recording states. */
type Parsed = {
  readonly kind: string;
  readonly code?: number;
  readonly name?: string;
  readonly hex: string;
} & {
  readonly payload_len?: number;
  readonly time?: number;
  readonly payload?: Uint8Array;
};

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(Code).map(([name, code]) => [code, name]));

/**
 * How far a time record may be from the moment it was recorded: the two nodes and the recorder ran on one
 * clock, so a second is generous and any larger damage shows.
 */
const timeRecordToleranceMs = 1000;

/** A connectivity probe begins with this byte (docs/protocol/03 §3.6); a reference node sends no other but pings. */
const PROBE_BYTE = 0;

/** A single byte is skipped whatever it is (03 §2.3), but only these two are ever sent. */
const isSentByte = (r: Recorded, index: number): boolean =>
  r.hex === toHex(Uint8Array.of(PING_BYTE)) ||
  (r.from === 'dialer' && index === 0 && r.hex === toHex(Uint8Array.of(PROBE_BYTE)));

const PASSED: Outcome = { kind: 'passed' };
const failed = (detail: string): Outcome => ({ kind: 'failed', detail });

function connectionOf(v: Json, where: string): Connection {
  const c = v as JsonObject | null;
  if (c === null || typeof c !== 'object' || !Array.isArray(c.records))
    throw new VectorFileError(`${where} has no records`);
  if (typeof c.dialer !== 'string' || typeof c.listener !== 'string' || typeof c.t0_unix_ms !== 'number')
    throw new VectorFileError(`${where} does not say who dialled whom and when`);
  const records = (c.records as readonly JsonObject[]).map((r, i) => {
    if (typeof r.hex !== 'string' || typeof r.from !== 'string' || typeof r.kind !== 'string')
      throw new VectorFileError(`${where}: record ${i} is not complete`);
    return r as unknown as Recorded;
  });
  return { dialer: c.dialer, listener: c.listener, t0: c.t0_unix_ms, records };
}

/** Feeds a whole direction to a fresh stream reader; throws what the reader throws. */
function parse(stream: Uint8Array): { parsed: Parsed[]; pending: number; wrongChecksum: number } {
  const parsed: Parsed[] = [];
  let wrongChecksum = -1;
  const parser = new StreamParser({ payloadMax: payloadBytesMaxOf });
  parser.push(stream, {
    frame(code, view, crcValid) {
      if (!crcValid && wrongChecksum < 0) wrongChecksum = parsed.length;
      const payload = view.slice();
      parsed.push({
        kind: 'frame',
        code,
        ...(NAMES.has(code) ? { name: NAMES.get(code)! } : {}),
        payload_len: payload.length,
        hex: toHex(encodeFrame(code, payload)),
        payload,
      });
    },
    time: (ms) => parsed.push({ kind: 'time', hex: toHex(encodeTimeRecord(ms)), time: Number(ms) }),
    byte: (b) => parsed.push({ kind: 'byte', hex: toHex(Uint8Array.of(b)) }),
  });
  return { parsed, pending: parser.pendingBytes, wrongChecksum };
}

/** The members of a record that the reader must give back; `ms` is the recorder's and not compared. */
function compared(r: Recorded): JsonObject {
  return {
    kind: r.kind,
    ...(r.code === undefined ? {} : { code: r.code }),
    ...(r.name === undefined ? {} : { name: r.name }),
    ...(r.payload_len === undefined ? {} : { payload_len: r.payload_len }),
    hex: r.hex,
  };
}

function streamOutcome(c: Connection, sent: readonly Recorded[]): { outcome: Outcome; parsed: Parsed[] } {
  let stream: Uint8Array;
  try {
    stream = concatBytes(...sent.map((r) => fromHex(r.hex)));
  } catch (e) {
    if (!(e instanceof DecodeError)) throw e;
    return { outcome: failed(`the recorded hex is not readable: ${e.message}`), parsed: [] };
  }
  let result: ReturnType<typeof parse>;
  try {
    result = parse(stream);
  } catch (e) {
    return { outcome: failed(`the stream reader gave up: ${String(e)}`), parsed: [] };
  }
  const { parsed } = result;
  for (const [i, r] of sent.entries()) {
    const p = parsed[i];
    if (p === undefined) return { outcome: failed(`record ${i} (${r.kind}): nothing was read`), parsed };
    const { payload: _payload, time: _time, ...members } = p;
    const m = compareOut(compared(r), members);
    if (m !== null) return { outcome: failed(`record ${i}: ${m.path}: ${m.detail}`), parsed };
    if (p.kind === 'byte' && !isSentByte(r, i))
      return { outcome: failed(`record ${i}: ${r.hex} is neither ping nor probe`), parsed };
    if (p.time !== undefined && Math.abs(p.time - (c.t0 + r.ms)) > timeRecordToleranceMs)
      return { outcome: failed(`record ${i}: time ${p.time} is not that of ${c.t0 + r.ms}`), parsed };
  }
  if (parsed.length > sent.length)
    return { outcome: failed(`${parsed.length} records were read, ${sent.length} are listed`), parsed };
  if (result.wrongChecksum >= 0)
    return { outcome: failed(`record ${result.wrongChecksum}: wrong checksum`), parsed };
  if (result.pending > 0)
    return { outcome: failed(`${result.pending} bytes are left after the last record`), parsed };
  return { outcome: PASSED, parsed };
}

/** Decodes every payload of one code and encodes it again. */
function payloadOutcome(code: number, frames: readonly Parsed[], reader: Reader): Outcome {
  const check = PAYLOAD_CHECKS[code];
  if (check === undefined) return { kind: 'uncovered', detail: `no codec for code ${code}` };
  for (const [i, f] of frames.entries()) {
    try {
      const d = check(f.payload!, reader);
      if (d === null) continue;
      const m = compareOut(d.expected, d.got, [], d.what);
      return failed(`frame ${i}: ${d.what}: ${m?.detail ?? 'differs'}`);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
      return failed(`frame ${i}: ${e.message}`);
    }
  }
  return PASSED;
}

/**
 * The parser test of a recorded session: per connection and direction, the stream reader must give back
 * exactly the listed records, and every payload must decode and encode to the same bytes; one case per
 * direction for the stream and one per message kind.
 */
export const runSession: SessionRunner = async (f) => {
  const results: CaseResult[] = [];
  const family = stem(f.path);
  for (const [i, v] of (f.session.connections as readonly Json[]).entries()) {
    const c = connectionOf(v, `${f.path}: connection ${i}`);
    for (const [side, party, other] of [
      ['dialer', c.dialer, c.listener],
      ['listener', c.listener, c.dialer],
    ] as const) {
      const sent = c.records.filter((r) => r.from === side);
      const put = (name: string, outcome: Outcome): void => {
        const label = `connection ${i}, ${side} ${party}: ${name}`;
        results.push({ family, file: f.path, name: label, line: 'both', outcome });
      };
      const { outcome, parsed } = streamOutcome(c, sent);
      put(`${sent.length} records`, outcome);
      const byCode = new Map<number, Parsed[]>();
      for (const p of parsed)
        if (p.code !== undefined) byCode.set(p.code, [...(byCode.get(p.code) ?? []), p]);
      for (const [code, frames] of byCode)
        put(
          `${frames.length} × ${NAMES.get(code) ?? code}`,
          payloadOutcome(code, frames, other.startsWith('client') ? 'client' : 'relay'),
        );
    }
    const strangers = c.records.filter((r) => r.from !== 'dialer' && r.from !== 'listener').length;
    if (strangers > 0)
      results.push({
        family,
        file: f.path,
        name: `connection ${i}: ${strangers} records of nobody`,
        line: 'both',
        outcome: failed('every record is from the dialer or the listener'),
      });
  }
  return results;
};
