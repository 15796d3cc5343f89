import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ScanStatus } from '../../src/core/index.js';
import type { VarIntTable } from '../../src/core/tables.js';
import { ByteReader, DecodeError } from '../../src/wire/index.js';
import { cores } from './support/cores.js';

interface StreamResult {
  value?: string;
  consumed: number;
}
interface VarIntCase {
  name: string;
  in: { bytes: string; offset: number };
  out: { streamSigned: StreamResult; streamUnsigned: StreamResult };
}
const vectors = (
  JSON.parse(readFileSync(new URL('../vectors/01-encoding.json', import.meta.url), 'utf8')) as {
    cases: VarIntCase[];
  }
).cases.filter((c) => c.name.startsWith('varint/decode/') && c.in.offset === 0);

const STATUS_OF = {
  EOF: ScanStatus.eof,
  BADLEAD: ScanStatus.badLead,
  RANGE: ScanStatus.range,
} as Record<string, ScanStatus>;

type Row = { value: bigint; end: number; status: ScanStatus };

function rows(table: VarIntTable): Row[] {
  const out: Row[] = [];
  for (let i = 0; i < table.count; i++)
    out.push({ value: table.value(i), end: table.end(i), status: table.status(i) });
  return out;
}

/** One integer after the other with the codec's reader. */
function dumbDecode(data: Uint8Array, signed: boolean, max: number): Row[] {
  const reader = new ByteReader(data);
  const out: Row[] = [];
  while (out.length < max && reader.remaining > 0) {
    try {
      const value = signed ? reader.var('x') : reader.uvar('x');
      out.push({ value, end: reader.offset, status: ScanStatus.ok });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      out.push({ value: 0n, end: error.offset, status: STATUS_OF[error.code]! });
      break;
    }
  }
  return out;
}

/** Bytes in which lead bytes of every kind are common. */
const bytes = fc.array(
  fc.oneof(fc.constantFrom(0, 1, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x80), fc.nat(255)),
  { maxLength: 40 },
);

describe.each(cores)('IxiVarInt, %s', (_engine, core) => {
  it.each(vectors.map((c) => [c.name, c] as const))('%s', (_name, c) => {
    const data = Buffer.from(c.in.bytes, 'hex').subarray(c.in.offset);
    for (const signed of [true, false]) {
      const want = signed ? c.out.streamSigned : c.out.streamUnsigned;
      const got = rows(core.decodeVarInts(data, { signed, rowsMax: 1 }));
      if (want.value !== undefined) {
        expect(got).toEqual([{ value: BigInt(want.value), end: want.consumed, status: ScanStatus.ok }]);
      } else {
        // No bytes are no integer: an empty table. Everything else is a row that says why.
        expect(got.length).toBe(data.length === 0 ? 0 : 1);
        if (data.length > 0) expect(got[0]!.status).not.toBe(ScanStatus.ok);
      }
    }
  });

  it('decodes a run as the codec does, one by one', () => {
    fc.assert(
      fc.property(bytes, fc.boolean(), fc.integer({ min: 1, max: 50 }), (list, signed, rowsMax) => {
        const data = Uint8Array.from(list);
        const got = rows(core.decodeVarInts(data, { signed, rowsMax }));
        const want = dumbDecode(data, signed, rowsMax);
        expect(got.map((r) => [r.value, r.status])).toEqual(want.map((r) => [r.value, r.status]));
        for (const [i, r] of got.entries()) if (r.status === ScanStatus.ok) expect(r.end).toBe(want[i]!.end);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses limits that make no sense', () => {
    expect(() => core.decodeVarInts(new Uint8Array(1), { rowsMax: 0 })).toThrow(RangeError);
    expect(() => core.decodeVarInts(new Uint8Array(1), { rowsMax: 2 ** 21 })).toThrow(RangeError);
  });
});

it('both implementations fail at the same offset', () => {
  const [wasm, js] = cores.map(([, core]) => core);
  fc.assert(
    fc.property(bytes, fc.boolean(), (list, signed) => {
      const data = Uint8Array.from(list);
      expect(rows(wasm!.decodeVarInts(data, { signed }))).toEqual(rows(js!.decodeVarInts(data, { signed })));
    }),
    { numRuns: 500 },
  );
});
