/** Why a scan refused its input; the numbers are those of assembly/status.ts. */
export const ScanStatus = {
  ok: 0,
  /** Input ended inside the field. */
  eof: 1,
  /** Lead byte not legal for this integer (docs/protocol/01 §2.1). */
  badLead: 2,
  /** Value outside the range of the field. */
  range: 3,
  /** Longer than the field or the structure may be. */
  tooLong: 4,
  /** Malformed text or structure. */
  format: 5,
  /** Bytes after the last field. */
  trailing: 6,
  /** Embedded checksum does not match. */
  checksum: 7,
  /** A version this scan does not know. */
  version: 8,
  /** The older layout: well-known, not scanned here; decode it field by field. */
  legacy: 9,
  /** Not the shortest form, so re-encoding would give other bytes (docs/protocol/05 §5.1). */
  notCanonical: 10,
} as const;
/** One of the values of {@link ScanStatus}. */
export type ScanStatus = (typeof ScanStatus)[keyof typeof ScanStatus];

/** Which field a status is about; the numbers are those of assembly/status.ts. */
export const ScanField = {
  whole: 0,
  version: 1,
  wallet: 2,
  device: 3,
  timestamp: 4,
  hostname: 5,
  type: 6,
  pow: 7,
  signature: 8,
  publicKey: 9,
  metadata: 10,
  count: 11,
  slot: 12,
  nodeVersion: 13,
} as const;
/** One of the values of {@link ScanField}. */
export type ScanField = (typeof ScanField)[keyof typeof ScanField];

/** Status of a word `code | field << 8`. */
export function statusOf(word: number): ScanStatus {
  return (word & 0xff) as ScanStatus;
}

/** Field of a word `code | field << 8`. */
export function fieldOf(word: number): ScanField {
  return (word >>> 8) as ScanField;
}
