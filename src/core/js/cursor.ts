import { type ScanField, ScanStatus } from '../status.js';

/**
 * The reading position of the JavaScript scans: the same rules and the same status words as assembly/cursor.ts.
 * The first failure sticks, the position jumps to the end, and every later read returns 0.
 */
export class Cursor {
  at: number;
  /** code | field << 8, or 0. */
  statusWord = 0;
  /** Where the first failure was, relative to `start`. */
  failureOffset = 0;

  constructor(
    readonly data: Uint8Array,
    readonly start = 0,
    readonly end: number = data.length,
  ) {
    this.at = start;
  }

  get failed(): boolean {
    return this.statusWord !== 0;
  }

  /** Relative to `start`. */
  get offset(): number {
    return this.at - this.start;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  /** Records a failure of `field` at the absolute position `where`, unless there was one. */
  fail(code: ScanStatus, field: ScanField, where: number = this.at): void {
    if (this.statusWord === 0) {
      this.statusWord = code | (field << 8);
      this.failureOffset = where - this.start;
    }
    this.at = this.end;
  }

  u8(field: ScanField): number {
    if (this.at >= this.end) {
      this.fail(ScanStatus.eof, field);
      return 0;
    }
    return this.data[this.at++]!;
  }

  /** Moves over `bytes` bytes and returns the offset of the first. */
  skip(bytes: number, field: ScanField): number {
    const here = this.offset;
    if (bytes > this.remaining) this.fail(ScanStatus.eof, field);
    else this.at += bytes;
    return here;
  }

  /** IxiVarInt (docs/protocol/01 §2); with `canonical` only the shortest form passes. */
  varInt(field: ScanField, signed: boolean, canonical: boolean): bigint {
    const first = this.at;
    const lead = this.u8(field);
    if (this.failed) return 0n;
    if (lead < 0xf8) return BigInt(lead);
    const negative = lead < 0xfb;
    const size = lead === 0xfb || lead === 0xff ? 0 : 2 << (negative ? lead - 0xf8 : lead - 0xfc);
    if (size === 0 || (negative && !signed)) {
      this.fail(ScanStatus.badLead, field, first);
      return 0n;
    }
    if (size > this.remaining) {
      this.fail(ScanStatus.eof, field);
      return 0n;
    }
    let magnitude = 0n;
    for (let i = size - 1; i >= 0; i--) magnitude = (magnitude << 8n) | BigInt(this.data[this.at + i]!);
    this.at += size;
    if (signed && magnitude > (negative ? 0x8000_0000_0000_0000n : 0x7fff_ffff_ffff_ffffn)) {
      this.fail(ScanStatus.range, field, first);
      return 0n;
    }
    // The largest value of the next shorter form; a negative number has no one-byte form (01 §2.2).
    const shorter = size === 2 ? (negative ? 0n : 247n) : size === 4 ? 0xffffn : 0xffff_ffffn;
    if (canonical && magnitude <= shorter) {
      this.fail(ScanStatus.notCanonical, field, first);
      return 0n;
    }
    return negative ? -magnitude : magnitude;
  }

  /** The `uvar` length of a field, checked against `limit` and against what is left (01 §3.2). */
  length(field: ScanField, limit: number, canonical: boolean): number {
    const first = this.at;
    const value = this.varInt(field, false, canonical);
    if (this.failed) return 0;
    if (value > BigInt(limit)) {
      this.fail(ScanStatus.tooLong, field, first);
      return 0;
    }
    if (value > BigInt(this.remaining)) {
      this.fail(ScanStatus.eof, field, first);
      return 0;
    }
    return Number(value);
  }

  /** The byte count in front of a `netstr` (01 §4.2). */
  netstrLength(field: ScanField, canonical: boolean): number {
    const first = this.at;
    let value = 0;
    let group = 0;
    for (let shift = 0; ; shift += 7) {
      group = this.u8(field);
      if (this.failed) return 0;
      if (shift === 28 && group > 0x07) {
        this.fail(group > 0x0f ? ScanStatus.format : ScanStatus.range, field, first);
        return 0;
      }
      value |= (group & 0x7f) << shift;
      if (group < 0x80) break;
    }
    if (canonical && group === 0 && this.at - first > 1) {
      this.fail(ScanStatus.notCanonical, field, first);
      return 0;
    }
    if (value > this.remaining) {
      this.fail(ScanStatus.eof, field, first);
      return 0;
    }
    return value;
  }
}

/** Writes a 64-bit value as two words, low first; negative as two's complement. */
export function putU64(words: Uint32Array, at: number, value: bigint): void {
  words[at] = Number(value & 0xffff_ffffn);
  words[at + 1] = Number((value >> 32n) & 0xffff_ffffn);
}
