/** Why a decoder refused its input (docs/protocol/01 §0). */
export type DecodeErrorCode =
  | 'EOF' // input ended inside a field
  | 'BADLEAD' // lead byte not legal for this integer decoder
  | 'RANGE' // value outside the range the field allows
  | 'TOOLONG' // declared length above the field's limit
  | 'EMPTY' // zero length where at least one byte is needed
  | 'BADARG' // offset or length outside the buffer
  | 'FORMAT' // malformed text or structure
  | 'TRAILING' // bytes after the last field where none may follow
  | 'CHECKSUM'; // embedded checksum does not match

/**
 * The one error every decoder throws: names the field it was reading and the byte offset it had reached,
 * so that an operator can say which peer sent what.
 */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  constructor(
    readonly code: DecodeErrorCode,
    /** Dotted path of the field, e.g. `keepAlive.timestamp`. */
    readonly field: string,
    /** Byte offset inside the buffer handed to the decoder. */
    readonly offset: number,
    detail = '',
  ) {
    super(`${field} at ${offset}: ${code}${detail === '' ? '' : ` (${detail})`}`);
  }
}
