// Why a scan refused its input. The numbers are the ABI: src/core/status.ts holds the same list.

export const OK: u32 = 0;
/** Input ended inside the field. */
export const EOF: u32 = 1;
/** Lead byte not legal for this integer. */
export const BAD_LEAD: u32 = 2;
/** Value outside the range of the field. */
export const RANGE: u32 = 3;
/** Longer than the field or the structure may be. */
export const TOO_LONG: u32 = 4;
/** Malformed text or structure. */
export const FORMAT: u32 = 5;
/** Bytes after the last field. */
export const TRAILING: u32 = 6;
/** Embedded checksum does not match. */
export const CHECKSUM: u32 = 7;
/** A version this scan does not know. */
export const VERSION: u32 = 8;
/** The older layout: well-known, not scanned here, the caller decodes it. */
export const LEGACY: u32 = 9;
/** Not the shortest form, so re-encoding would give other bytes (docs/protocol/05 §5.1). */
export const NOT_CANONICAL: u32 = 10;

// Fields, for the second byte of a status word.
export const FIELD_WHOLE: u32 = 0;
export const FIELD_VERSION: u32 = 1;
export const FIELD_WALLET: u32 = 2;
export const FIELD_DEVICE: u32 = 3;
export const FIELD_TIMESTAMP: u32 = 4;
export const FIELD_HOSTNAME: u32 = 5;
export const FIELD_TYPE: u32 = 6;
export const FIELD_POW: u32 = 7;
export const FIELD_SIGNATURE: u32 = 8;
export const FIELD_PUBLIC_KEY: u32 = 9;
export const FIELD_METADATA: u32 = 10;
export const FIELD_COUNT: u32 = 11;
export const FIELD_SLOT: u32 = 12;
export const FIELD_NODE_VERSION: u32 = 13;
