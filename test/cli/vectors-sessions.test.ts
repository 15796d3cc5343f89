import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/cli/vectors/case.js';
import { runSession } from '../../src/cli/vectors/family-sessions.js';
import { type CaseResult, tally } from '../../src/cli/vectors/run.js';
import { vectorContext } from '../support/vectors.js';

const FILES = ['session-m-s2.json', 'session-c98-s2.json'];
type Session = { connections: { t0_unix_ms: number; records: Record<string, unknown>[] }[] };

const copy = (file: string): Session => structuredClone(vectorContext().file(file)) as unknown as Session;
const run = (file: string, session: Session): Promise<readonly CaseResult[]> =>
  runSession({ kind: 'session', path: file, session: session as unknown as JsonObject });
const failures = (results: readonly CaseResult[]): string[] =>
  results.flatMap((r) => (r.outcome.kind === 'failed' ? [`${r.name}: ${r.outcome.detail}`] : []));

/** The other hexadecimal digit at a place. */
const flipped = (hex: string, at: number): string =>
  hex.slice(0, at) + (hex[at] === '0' ? '1' : '0') + hex.slice(at + 1);

describe.each(FILES)('the parser test of %s', (file) => {
  it('passes with every payload decoded', async () => {
    const results = await run(file, copy(file));
    expect(failures(results)).toEqual([]);
    expect(tally(results).uncovered).toBe(0);
    expect(results.length).toBeGreaterThan(25);
  });

  it('fails when any byte of any kind of record is damaged', async () => {
    const whole = copy(file);
    const seen = new Set<string>();
    let damaged = 0;
    for (const [ci, c] of whole.connections.entries()) {
      for (const [ri, r] of c.records.entries()) {
        const kind = `${r.from} ${r.kind} ${r.code ?? ''}`;
        if (seen.has(kind)) continue;
        seen.add(kind);
        const hex = r.hex as string;
        // First, middle and last byte: mark, body, end.
        for (const at of new Set([0, (hex.length >> 2) * 2, hex.length - 2])) {
          // The record alone: a whole connection for each damage would take long.
          const s = { connections: [{ ...c, records: [{ ...r, hex: flipped(hex, at) }] }] };
          damaged++;
          expect(failures(await run(file, s)), `connection ${ci} record ${ri} at ${at}`).not.toEqual([]);
        }
      }
    }
    expect(damaged).toBeGreaterThan(20);
  });

  it.each([
    ['code', 12],
    ['name', 'noSuchMessage'],
    ['payload_len', 3],
    ['kind', 'byte'],
    ['from', 'nobody'],
    ['hex', 'zz'],
    ['hex', ''],
  ])('fails when %s of a frame is replaced by %s', async (member, value) => {
    const s = copy(file);
    const frame = s.connections[0]!.records.find((r) => r.kind === 'frame')!;
    frame[member] = value;
    expect(failures(await run(file, s))).not.toEqual([]);
  });

  it('fails when a record is missing from the list of what was sent, or one is left over', async () => {
    const s = copy(file);
    const { records } = s.connections[0]!;
    // Half of a frame: the reader finds another sequence than the one listed.
    const at = records.findIndex((r) => r.kind === 'frame');
    records[at]!.hex = (records[at]!.hex as string).slice(0, -2);
    expect(failures(await run(file, s))).not.toEqual([]);
  });
});
