// One reading position over one range. The first failure sticks: it is recorded with its field and offset, the
// cursor jumps to the end, and every later read returns 0, so a parser may test once, after its last field.
// No read touches a byte at or behind `end`.

import { BAD_LEAD, EOF, FORMAT, NOT_CANONICAL, OK, RANGE, TOO_LONG } from './status';

let start: usize = 0;
let at: usize = 0;
let end: usize = 0;
let status: u32 = OK;
let failedAt: u32 = 0;

/** Starts reading `bytes` bytes at `address`. */
export function open(address: usize, bytes: u32): void {
  start = address;
  at = address;
  end = address + bytes;
  status = OK;
  failedAt = 0;
}

// @ts-ignore: decorator
@inline
export function offset(): u32 {
  return <u32>(at - start);
}

// @ts-ignore: decorator
@inline
export function remaining(): u32 {
  return <u32>(end - at);
}

// @ts-ignore: decorator
@inline
export function failed(): bool {
  return status != OK;
}

/** code | field << 8, or 0. */
export function statusWord(): u32 {
  return status;
}

/** Where the first failure was, relative to the start. */
export function failureOffset(): u32 {
  return failedAt;
}

/** Records a failure of `field` at `where` (an absolute address) unless there was one. */
export function fail(code: u32, field: u32, where: usize): void {
  if (status == OK) {
    status = code | (field << 8);
    failedAt = <u32>(where - start);
  }
  at = end;
}

/** Records a failure of `field` at the current position. */
export function failHere(code: u32, field: u32): void {
  fail(code, field, at);
}

// @ts-ignore: decorator
@inline
export function u8At(field: u32): u32 {
  if (at >= end) {
    fail(EOF, field, at);
    return 0;
  }
  return load<u8>(at++);
}

/** Moves over `bytes` bytes and returns the offset of the first. */
export function skip(bytes: u32, field: u32): u32 {
  const here = offset();
  if (bytes > remaining()) fail(EOF, field, at);
  else at += bytes;
  return here;
}

/** Bytes behind a lead byte, or −1 when it leads nothing (docs/protocol/01 §2.1). */
// @ts-ignore: decorator
@inline
function payloadBytes(lead: u32, signed: bool): i32 {
  if (lead < 0xf8) return 0;
  if (lead == 0xfc || (signed && lead == 0xf8)) return 2;
  if (lead == 0xfd || (signed && lead == 0xf9)) return 4;
  if (lead == 0xfe || (signed && lead == 0xfa)) return 8;
  return -1;
}

/** True when `magnitude` would have fitted a shorter form than `payload` bytes (01 §2.2). */
// @ts-ignore: decorator
@inline
function hasShorterForm(magnitude: u64, payload: i32, negative: bool): bool {
  if (payload == 2) return !negative ? magnitude <= 247 : magnitude == 0;
  if (payload == 4) return magnitude <= 0xffff;
  return magnitude <= 0xffffffff;
}

/**
 * IxiVarInt (01 §2). Signed values come back as two's complement. With `canonical` only the shortest form passes.
 */
export function varInt(field: u32, signed: bool, canonical: bool): u64 {
  const first = at;
  const lead = u8At(field);
  if (failed()) return 0;
  const payload = payloadBytes(lead, signed);
  if (payload == 0) return lead;
  if (payload < 0) {
    fail(BAD_LEAD, field, first);
    return 0;
  }
  if (<u32>payload > remaining()) {
    fail(EOF, field, at);
    return 0;
  }
  const magnitude: u64 = payload == 2 ? load<u16>(at) : payload == 4 ? load<u32>(at) : load<u64>(at);
  at += payload;

  const negative = lead < 0xfb;
  if (signed && payload == 8) {
    const limit: u64 = negative ? 0x8000000000000000 : 0x7fffffffffffffff;
    if (magnitude > limit) {
      fail(RANGE, field, first);
      return 0;
    }
  }
  if (canonical && hasShorterForm(magnitude, payload, negative)) {
    fail(NOT_CANONICAL, field, first);
    return 0;
  }
  return negative ? 0 - magnitude : magnitude;
}

/**
 * The `uvar` length of a field whose bytes follow: checked against `limit` and against what is left before anyone
 * uses it (01 §3.2).
 */
export function length(field: u32, limit: u32, canonical: bool): u32 {
  const first = at;
  const value = varInt(field, false, canonical);
  if (failed()) return 0;
  if (value > limit) {
    fail(TOO_LONG, field, first);
    return 0;
  }
  if (value > remaining()) {
    fail(EOF, field, first);
    return 0;
  }
  return <u32>value;
}

/** The byte count in front of a `netstr` (01 §4.2), in groups of 7 bits. */
export function netstrLength(field: u32, canonical: bool): u32 {
  const first = at;
  let value: u32 = 0;
  let group: u32 = 0;
  for (let shift: u32 = 0; ; shift += 7) {
    group = u8At(field);
    if (failed()) return 0;
    // The fifth group may hold three bits: bit 31 would make the length negative.
    if (shift == 28 && group > 0x07) {
      fail(group > 0x0f ? FORMAT : RANGE, field, first);
      return 0;
    }
    value |= (group & 0x7f) << shift;
    if (group < 0x80) break;
  }
  if (canonical && group == 0 && at - first > 1) {
    fail(NOT_CANONICAL, field, first);
    return 0;
  }
  if (value > remaining()) {
    fail(EOF, field, first);
    return 0;
  }
  return value;
}
