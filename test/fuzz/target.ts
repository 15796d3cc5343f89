import { DecodeError } from '../../src/wire/index.js';

type ErrorClass = abstract new (...args: never[]) => Error;

/** One decoder under test. */
export interface Target {
  /** Also the folder of its corpus. */
  readonly name: string;
  readonly run: (input: Uint8Array) => unknown;
  /** What it may throw; anything else is a defect. */
  readonly throws: readonly ErrorClass[];
  /** Message code whose recorded payloads belong into the corpus. */
  readonly code?: number;
  /** The input is text: corpus from texts of the vectors. */
  readonly text?: boolean;
  /** Costly by design (key derivation): few runs, and this many milliseconds allowed. */
  readonly slowMs?: number;
}

/** A decoder of bytes that refuses with a DecodeError. */
export const wire = (name: string, run: Target['run'], code?: number): Target => ({
  name,
  run,
  throws: [DecodeError],
  ...(code === undefined ? {} : { code }),
});

/** A reader of text. */
export const text = (
  name: string,
  run: (s: string) => unknown,
  throws: readonly ErrorClass[] = [],
): Target => ({
  name,
  // Latin-1: every byte sequence is a text, and the engine may cut it anywhere.
  run: (b) => run(new TextDecoder('latin1').decode(b)),
  throws,
  text: true,
});
